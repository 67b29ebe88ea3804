"""The tables of simulations: the question, the state, and the result."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from storage.tables.columns import json_column, moment_column


class WorkflowSimulation(SQLModel, table=True):
    """One simulation. `status` is running, completed, failed or cancelled; `result` is there once it is completed."""

    __tablename__ = "workflow_simulation"
    __table_args__ = (
        Index("ix_workflow_simulation_created", "created_at", "id"),
        Index("ix_workflow_simulation_created_by", "created_by"),
        # The newest of a process, whose prices costs are computed by.
        Index("ix_workflow_simulation_template", "template", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    mode: str
    status: str
    template: str | None = None
    version: str | None = None
    request_id: str | None = None
    question: dict[str, Any] = json_column()
    result: dict[str, Any] | None = json_column(nullable=True)
    error: str | None = None
    created_by: str
    created_at: datetime = moment_column()
    finished_at: datetime | None = moment_column(nullable=True)
    followed_by: str | None = None  # the process that runs a shadow
    followed_until: datetime | None = moment_column(nullable=True)  # the end of the lease of the process that runs it


class WorkflowSimulationRow(SQLModel, table=True):
    """The row of one request in a backtest or shadow; `revision` rises with every change in the simulation."""

    __tablename__ = "workflow_simulation_row"
    __table_args__ = (
        Index("ix_workflow_simulation_row_revision", "simulation_id", "revision"),
        Index("ix_workflow_simulation_row_changed", "simulation_id", "changed", "position"),
    )

    simulation_id: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    revision: int
    request_id: str
    changed: bool
    row: dict[str, Any] = json_column()
