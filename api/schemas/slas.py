"""The models of SLAs: definitions, the figures of their windows, and breaches."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field, StrictBool

from api.schemas.common import Body, Shown, View, shown, with_examples
from insight.slas.window import LEAST_EXECUTIONS
from service.documents import Words
from service.slas.definitions import SlaFacts
from service.slas.monitoring import Window
from storage.tables.slas import SlaBreach, WorkflowSla

_LONGEST = 5 * 366 * 86_400  # seconds; calendars are known for longer
_WIDEST = 366 * 24  # hours
_SLA: dict[str, Any] = {
    "name": "Expenses within a day",
    "template": "Expense approval",
    "stage": None,
    "target_duration_seconds": 86_400,
    "warning_threshold_seconds": 57_600,
    "critical_threshold_seconds": 172_800,
    "slo_window_hours": 168,
    "slo_target_percentage": 95,
    "business_time": False,
    "enabled": True,
}
_BREACH: dict[str, Any] = {
    "id": "br_5d01",
    "sla_id": "sla_3f0c",
    "sla_name": "Expenses within a day",
    "template": "Expense approval",
    "request_id": "0c9d",
    "task_id": None,
    "stage": None,
    "severity": "critical",
    "target_duration_seconds": 86_400,
    "actual_duration_seconds": 180_000,
    "breach_margin_seconds": 93_600,
    "breach_margin_percentage": 108.3333,
    "breached_at": "2026-08-03T00:00:00Z",
    "acknowledged": False,
    "acknowledged_by": None,
    "acknowledged_at": None,
    "notes": None,
}

Seconds = Annotated[float, Field(gt=0, le=_LONGEST, allow_inf_nan=False, strict=True)]
Severity = Literal["warning", "critical"]


class SlaBody(Body):
    """An SLA of a process, or with `stage` of one of its stages: how long it may take, and how often it has to keep it.

    `warning_threshold_seconds` ≤ `target_duration_seconds` ≤ `critical_threshold_seconds`. With `business_time` only
    working time counts, by the calendar of the process.
    """

    model_config = with_examples(_SLA)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    template: Annotated[str, Field(min_length=1, max_length=200)]
    stage: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    target_duration_seconds: Seconds
    warning_threshold_seconds: Seconds | None = None
    critical_threshold_seconds: Seconds | None = None
    slo_window_hours: Annotated[float, Field(gt=0, le=_WIDEST, allow_inf_nan=False, strict=True)] = 24
    slo_target_percentage: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, strict=True)] = 99
    business_time: StrictBool = False
    enabled: StrictBool = True

    def facts(self) -> SlaFacts:
        """Return what it says."""
        return SlaFacts(**self.model_dump())


class SlaView(View):
    """One SLA."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "sla_3f0c",
                    **_SLA,
                    "created_by": "user:desi",
                    "created_at": "2026-08-03T00:00:00Z",
                    "updated_by": "user:desi",
                    "updated_at": "2026-08-03T00:00:00Z",
                }
            ]
        },
    )

    id: str
    name: str
    template: str
    stage: str | None
    target_duration_seconds: float
    warning_threshold_seconds: float | None
    critical_threshold_seconds: float | None
    slo_window_hours: float
    slo_target_percentage: float
    business_time: bool
    enabled: bool
    created_by: str | None
    created_at: Shown
    updated_by: str | None
    updated_at: Shown

    @classmethod
    def of(cls, row: WorkflowSla) -> SlaView:
        """Show a stored SLA."""
        kept = {name: getattr(row, name) for name in cls.model_fields if not name.endswith("_by")}
        return cls.model_construct(**kept, created_by=shown(row.created_by), updated_by=shown(row.updated_by))


class SlaMetricsView(View):
    """The figures of an SLO's window that ends now; without data they are null, and the state is `unknown`.

    `error_budget_remaining` is 1 where nothing has missed its target, 0 where the budget is used up, and negative
    beyond; `burn_rate` is the used share of it. With fewer than `least_executions` in the window no alert fires.
    """

    sla_id: str
    window_start: Shown
    window_end: Shown
    total_executions: int
    breached_executions: int
    current_slo: float | None
    target_slo: float
    error_budget_remaining: float | None
    burn_rate: float | None
    state: Literal["ok", "at_risk", "breached", "unknown"]
    least_executions: int

    @classmethod
    def of(cls, sla: WorkflowSla, window: Window) -> SlaMetricsView:
        """Show the figures of a window."""
        figures = window.figures
        return cls.model_construct(
            sla_id=sla.id,
            window_start=window.start,
            window_end=window.end,
            total_executions=figures.total,
            breached_executions=figures.breached,
            current_slo=figures.current_slo,
            target_slo=sla.slo_target_percentage,
            error_budget_remaining=figures.error_budget_remaining,
            burn_rate=figures.burn_rate,
            state=figures.state,
            least_executions=LEAST_EXECUTIONS,
        )


class BreachView(View):
    """A breach. Of an execution that is still open, the actual duration is the one at which it was recorded."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_BREACH]})

    id: str
    sla_id: str
    sla_name: str
    template: str
    request_id: str
    task_id: str | None
    stage: str | None
    severity: Severity
    target_duration_seconds: float
    actual_duration_seconds: float
    breach_margin_seconds: float
    breach_margin_percentage: float
    breached_at: Shown
    acknowledged: bool
    acknowledged_by: str | None
    acknowledged_at: Shown | None
    notes: str | None

    @classmethod
    def of(cls, row: SlaBreach) -> BreachView:
        """Show a stored breach."""
        margin = round(row.actual_duration_seconds - row.target_duration_seconds, 6)
        at: datetime | None = row.acknowledged_at
        return cls.model_construct(
            id=row.id,
            sla_id=row.sla_id,
            sla_name=row.sla_name,
            template=row.template,
            request_id=row.request_id,
            task_id=row.task_id,
            stage=row.stage,
            severity=cast(Severity, row.severity),
            target_duration_seconds=row.target_duration_seconds,
            actual_duration_seconds=round(row.actual_duration_seconds, 6),
            breach_margin_seconds=margin,
            breach_margin_percentage=round(100 * margin / row.target_duration_seconds, 4),
            breached_at=row.breached_at,
            acknowledged=at is not None,
            acknowledged_by=shown(row.acknowledged_by),
            acknowledged_at=at,
            notes=row.notes,
        )


class Acknowledgement(Body):
    """What somebody says when they acknowledge a breach."""

    model_config = with_examples({"notes": "Two approvers were ill."})

    notes: Words | None = None
