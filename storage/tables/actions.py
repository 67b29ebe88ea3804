"""The tables of the action catalog and of the executions of its actions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Float, Index
from sqlmodel import Field, SQLModel

from storage.tables.approvals import Moment


def _moment(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Moment, nullable=nullable))


def _json() -> Any:
    return Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=False))


class ActionCatalog(SQLModel, table=True):
    """One action of the catalog. Requests use it as it was when they began."""

    __tablename__ = "action_catalog"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    description: str = ""
    executor: str
    is_idempotent: bool
    latency_class: str
    side_effects: list[str] = _json()
    accepts_key: bool
    input_schema: dict[str, Any] = _json()
    output_schema: dict[str, Any] = _json()
    config: dict[str, Any] = _json()
    cost: str | None = None  # of one execution, a decimal
    enabled: bool = True
    created_by: str
    created_at: datetime = _moment()
    updated_by: str
    updated_at: datetime = _moment()


class ActionExecution(SQLModel, table=True):
    """One attempt to run an action. `error` is the type of the failure, without input and secrets."""

    __tablename__ = "action_execution"
    __table_args__ = (
        Index("ix_action_execution_action", "action", "duration"),
        Index("ix_action_execution_request", "request_id", "started_at"),
        Index("ix_action_execution_started", "started_at"),
    )

    id: str = Field(primary_key=True)
    request_id: str
    node: str
    visit: int
    action: str
    attempt: int
    started_at: datetime = _moment()
    finished_at: datetime = _moment()
    duration: float = Field(sa_type=Float)  # seconds
    ok: bool
    error: str | None = None
