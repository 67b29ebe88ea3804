"""The tables of SLAs: their definitions, the executions that they have judged, and the breaches."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Float, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column

_WAITS = text("acknowledged_at IS NULL")
_OPEN = text("ended_at IS NULL")


class WorkflowSla(SQLModel, table=True):
    """One SLA of a process, or of one of its stages. Durations are in seconds.

    What ends after `since` can be a breach; what has ended before only counts in the window. Executions that ended
    before `judged_until` are judged; those that ended before `forgotten_until` may have been deleted since.
    """

    __tablename__ = "workflow_sla"
    __table_args__ = (Index("ix_workflow_sla_created", "created_at", "id"),)

    id: str = Field(primary_key=True)
    name: str
    template: str = Field(index=True)  # the name of the process
    stage: str | None = None
    target_duration_seconds: float = Field(sa_type=Float)
    warning_threshold_seconds: float | None = Field(default=None, sa_type=Float)
    critical_threshold_seconds: float | None = Field(default=None, sa_type=Float)
    slo_window_hours: float = Field(sa_type=Float)
    slo_target_percentage: float = Field(sa_type=Float)  # 0 to 100
    business_time: bool = False
    enabled: bool = True
    since: datetime = moment_column()
    judged_until: datetime = moment_column()
    forgotten_until: datetime | None = moment_column(nullable=True)
    created_by: str
    created_at: datetime = moment_column()
    updated_by: str
    updated_at: datetime = moment_column()


class SlaExecution(SQLModel, table=True):
    """One execution of a process, or visit to a stage, as an SLA has judged it; recomputed from its audit entries.

    `visit` is the number of the entry with which it began. It counts in the window from `known_at` on, when it was
    known whether it was `breached`.
    """

    __tablename__ = "sla_execution"
    __table_args__ = (
        Index("ix_sla_execution_known", "sla_id", "known_at", "breached"),
        Index("ix_sla_execution_open", "sla_id", "look_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_sla_execution_request", "request_id"),
        Index("ix_sla_execution_ended", "sla_id", "ended_at"),
    )

    sla_id: str = Field(primary_key=True)
    request_id: str = Field(primary_key=True)
    visit: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    task_id: str | None = None
    began_at: datetime = moment_column()
    ended_at: datetime | None = moment_column(nullable=True)
    end_seq: int | None = None
    actual_seconds: float = Field(sa_type=Float)  # until its end, or until it was looked at
    warned: bool = False
    breached: bool | None = None
    known_at: datetime | None = moment_column(nullable=True)
    look_at: datetime | None = moment_column(nullable=True)  # when an open one exceeds the next threshold
    head: str  # of the request's chain when it was judged


class SlaBreach(SQLModel, table=True):
    """One breach: an execution that has exceeded a threshold of an SLA, by the severity of the threshold."""

    __tablename__ = "sla_breach"
    __table_args__ = (
        UniqueConstraint("sla_id", "request_id", "visit", "severity"),
        Index("ix_sla_breach_at", "breached_at", "id"),
        Index("ix_sla_breach_sla", "sla_id", "breached_at", "id"),
        Index("ix_sla_breach_template", "template", "breached_at", "id"),
        Index("ix_sla_breach_owned", "owner", "breached_at", "id"),
        Index("ix_sla_breach_waits", "breached_at", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
        Index("ix_sla_breach_owner", "owner", "breached_at", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
        Index("ix_sla_breach_remind", "remind_at", sqlite_where=_WAITS, postgresql_where=_WAITS),
        Index("ix_sla_breach_request", "request_id"),
    )

    id: str = Field(primary_key=True)
    sla_id: str
    sla_name: str
    template: str
    request_id: str
    visit: int
    task_id: str | None = None
    stage: str | None = None
    severity: str  # warning, critical
    target_duration_seconds: float = Field(sa_type=Float)
    threshold_seconds: float = Field(sa_type=Float)  # that was exceeded: the target, or the critical one
    actual_duration_seconds: float = Field(sa_type=Float)
    breached_at: datetime = moment_column()
    recorded_at: datetime = moment_column()
    owner: str | None = None  # of the process, as the request has it
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = moment_column(nullable=True)
    notes: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    reminders: int = 0  # how often it was mailed again
    remind_at: datetime | None = moment_column(nullable=True)  # when it is mailed again, unless it is acknowledged
