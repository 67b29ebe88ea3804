"""Rows of notifications and their messages as delivery reads them: plain tuples, for every mail takes several."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import SQLModel, col

from languages.catalogues import Language


class OutboxRow(NamedTuple):
    """A notification as it is stored (storage.tables.approvals.Outbox)."""

    key: str
    request_id: str
    seq: int
    hash: str
    event: str
    person: str
    task_id: str | None
    detail: dict[str, Any]
    status: str
    created_at: datetime


class MessageRow(NamedTuple):
    """A message as it is stored (storage.tables.notifications.NotificationMessage)."""

    key: str
    channel: str
    request_id: str
    seq: int
    hash: str
    event: str
    person: str | None
    digest: bool
    status: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    lease: str | None
    in_doubt: bool
    last_error: str | None
    finished_at: datetime | None


class PersonRow(NamedTuple):
    """What delivery needs of a person (storage.tables.approvals.StoredPerson)."""

    id: str
    name: str
    email: str | None
    active: bool
    preferences: dict[str, Any]


class TemplateRow(NamedTuple):
    """An edited template as it is stored (storage.tables.notifications.NotificationTemplate)."""

    name: str
    version: int
    subject: str
    text: str
    html: str
    language: Language


def columns(model: type[SQLModel], row: type[tuple[Any, ...]]) -> list[Any]:
    """Return the columns of a table that a row has, in their order; `row` is one of the tuples above."""
    names: tuple[str, ...] = row._fields  # type: ignore[attr-defined]  # of every named tuple
    return [col(getattr(model, name)) for name in names]
