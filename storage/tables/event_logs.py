"""The tables of event logs of other systems: what each holds, and its cases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from storage.tables.columns import json_column, moment_column


class EventLog(SQLModel, table=True):
    """One log. `status` is running, completed or failed; what was counted is there once it is completed.

    `map` is as it was sent; `columns` are the attributes as the file calls them. `seen` has for each activity how often
    there was one, how often as the first of a case, and how often by a machine.
    """

    __tablename__ = "event_log"
    __table_args__ = (Index("ix_event_log_created", "created_at", "id"),)

    id: str = Field(primary_key=True)
    name: str
    status: str
    file_name: str
    size: int = Field(sa_column=Column(BigInteger, nullable=False))  # bytes, as it was sent
    sha256: str
    map: dict[str, Any] = json_column()
    cases: int | None = None
    events: int | None = None
    people: int | None = None
    activities: int | None = None
    seen: dict[str, Any] | None = json_column(nullable=True)
    columns: list[str] | None = json_column(nullable=True)
    stages: list[dict[str, Any]] | None = json_column(nullable=True)
    warnings: list[str] = json_column()
    error: str | None = None
    words: dict[str, Any] | None = json_column(nullable=True)  # what warnings and error are made of, by their texts
    began: datetime | None = moment_column(nullable=True)
    ended: datetime | None = moment_column(nullable=True)
    created_by: str  # a person's id, or `command line`
    created_at: datetime = moment_column()
    finished_at: datetime | None = moment_column(nullable=True)
    held_until: datetime | None = moment_column(nullable=True)  # the end of the lease of the process that reads it


class EventLogPart(SQLModel, table=True):
    """Some cases of a log, in the order in which they began, packed as insight.event_logs.cases has it."""

    __tablename__ = "event_log_part"

    log_id: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    cases: int
    events: int
    content: bytes
