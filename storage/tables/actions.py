"""The tables of the action catalog and of the executions of its actions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index
from sqlmodel import Field, SQLModel

from storage.tables.columns import json_column, moment_column


class ActionCatalog(SQLModel, table=True):
    """One action of the catalog. Requests use it as it was when they began."""

    __tablename__ = "action_catalog"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    description: str = ""
    executor: str
    is_idempotent: bool
    latency_class: str
    side_effects: list[str] = json_column()
    accepts_key: bool
    input_schema: dict[str, Any] = json_column()
    output_schema: dict[str, Any] = json_column()
    config: dict[str, Any] = json_column()
    cost: str | None = None  # of one execution, a decimal
    enabled: bool = True
    created_by: str
    created_at: datetime = moment_column()
    updated_by: str
    updated_at: datetime = moment_column()


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
    started_at: datetime = moment_column()
    finished_at: datetime = moment_column()
    duration: float = Field(sa_type=Float)  # seconds
    ok: bool
    error: str | None = None
