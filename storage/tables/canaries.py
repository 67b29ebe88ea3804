"""The tables of canaries: a new version of a process that a share of its requests is given, and those requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Float, Index, Text, text
from sqlmodel import Field, SQLModel

from storage.tables.columns import json_column, moment_column

STORED: Final = 1
"""The number of the form that the JSON of a canary is stored in."""
_RUNNING = text("status = 'running'")
_UNMEASURED = text("measured_at IS NULL")


class WorkflowCanary(SQLModel, table=True):
    """One canary, of which a process has at most one that is running.

    `figures` is what was last found when its versions were compared, `harm` what it was reverted for. Margins, prices
    and the most of cost are in the units of their measures, and None where they were not declared.
    """

    __tablename__ = "workflow_canary"
    __table_args__ = (
        Index("ix_workflow_canary_began", "began_at", "id"),
        Index(
            "ix_workflow_canary_running",
            "template",
            unique=True,
            sqlite_where=_RUNNING,
            postgresql_where=_RUNNING,
        ),
    )

    id: str = Field(primary_key=True)
    template: str
    owner: str | None = None  # of the process, as the new version has it
    version: str  # the new one
    version_id: str
    baseline: str  # the old one
    baseline_id: str
    share: float = Field(sa_type=Float)  # of new requests, above 0 to 1
    people_sample: float = Field(sa_type=Float)  # the part of the share that goes to people, in the old version
    horizon_seconds: float = Field(sa_type=Float)  # how long a request is measured
    alpha: float = Field(sa_type=Float)  # the chance, at most, of reverting what does no harm
    sla_id: str | None = None
    duration_margin_seconds: float | None = Field(default=None, sa_type=Float)
    outcome_margin: float | None = Field(default=None, sa_type=Float)
    sla_margin: float | None = Field(default=None, sa_type=Float)
    cost_margin: float | None = Field(default=None, sa_type=Float)
    most_cost: float | None = Field(default=None, sa_type=Float)
    prices: dict[str, Any] | None = json_column(nullable=True)
    status: str = "running"  # running, promoted, reverted
    began_by: str
    began_at: datetime = moment_column()
    ended_by: str | None = None  # None also where it reverted itself
    ended_at: datetime | None = moment_column(nullable=True)
    notes: str | None = Field(default=None, sa_column=Column(Text, nullable=True))  # of who began it
    end_notes: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    harm: dict[str, Any] | None = json_column(nullable=True)
    figures: list[dict[str, Any]] = json_column()
    compared_at: datetime = moment_column()
    stored_format: int = STORED


class CanaryRequest(SQLModel, table=True):
    """A request that a canary has given one of its versions, and what was measured of it: once, at its end or horizon.

    Measures that it does not have are None.
    """

    __tablename__ = "canary_request"
    __table_args__ = (
        Index("ix_canary_request_assigned", "canary_id", "assigned_at", "request_id"),
        Index("ix_canary_request_unmeasured", "canary_id", sqlite_where=_UNMEASURED, postgresql_where=_UNMEASURED),
        Index("ix_canary_request_request", "request_id"),
    )

    canary_id: str = Field(primary_key=True)
    request_id: str = Field(primary_key=True)
    arm: str  # new, old, sample
    assigned_at: datetime = moment_column()
    measured_at: datetime | None = moment_column(nullable=True)
    duration_seconds: float | None = Field(default=None, sa_type=Float)
    outcome: float | None = Field(default=None, sa_type=Float)  # 1: approved, 0: ended otherwise or still open
    sla: float | None = Field(default=None, sa_type=Float)  # 1: missed, 0: not
    cost: float | None = Field(default=None, sa_type=Float)
