"""The models of simulations."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.common import Shown, View
from service.simulations.simulations import SimulationWithRows
from simulation.report.result import SENTENCES
from storage.tables.simulations import WorkflowSimulation

_LARGE = ("execution_path", "branch_explorations", "approval_chain", "rows", "timelines", "differences", "statistics")


class SimulationView(View):
    """A simulation. Once it is completed, the fields of its result are added."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    mode: str
    status: str
    template: str | None
    version: str | None
    request_id: str | None
    created_by: str
    created_at: Shown
    finished_at: Shown | None
    error: str | None
    execution_path: list[dict[str, Any]] = Field(default_factory=list)
    branch_explorations: list[dict[str, Any]] = Field(default_factory=list)
    approval_chain: list[dict[str, Any]] = Field(default_factory=list)
    predicted_duration_ms: int | None = None
    validation_errors: list[dict[str, Any]] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, found: SimulationWithRows) -> SimulationView:
        """Show a stored simulation with its result; of a backtest or a shadow with the first rows."""
        row, rows = found.row, found.rows
        looks = row.mode in {"backtest", "shadow"} and row.result is not None
        told = {"rows": [one.row for one in rows], "rows_left_out": found.count - len(rows)} if looks else {}
        return cls(**{**_told(row), **told, **_facts(row)})


class SimulationLine(View):
    """A simulation in a list, without the large fields of its result."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    mode: str
    status: str
    template: str | None
    version: str | None
    request_id: str | None
    created_by: str
    created_at: Shown
    finished_at: Shown | None
    error: str | None

    @classmethod
    def of(cls, row: WorkflowSimulation) -> SimulationLine:
        """Show a stored simulation."""
        small = {k: v for k, v in _told(row).items() if k not in _LARGE}
        return cls(**{**small, **_facts(row)})


def _told(row: WorkflowSimulation) -> dict[str, Any]:
    """Return what a result says; what its sentences are made of is for readers of other languages, on pages."""
    return {key: value for key, value in (row.result or {}).items() if key != SENTENCES}


def _facts(row: WorkflowSimulation) -> dict[str, Any]:
    result = row.result or {}
    return {
        "id": row.id,
        "mode": row.mode,
        "status": row.status,
        "template": result.get("template") or row.template,
        "version": result.get("version") or row.version,
        "request_id": row.request_id,
        "created_by": f"user:{row.created_by}",
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "error": row.error,
    }
