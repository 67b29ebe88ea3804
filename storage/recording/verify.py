"""Verify a request from its rows alone: recompute its chains, and compare the projection with what they say.

Somebody may have edited the rows arbitrarily. They are read as raw text and parsed here, so that an unreadable row is a
finding at its place and never an exception.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, Connection, LargeBinary, Text, bindparam, cast, select
from sqlmodel import SQLModel

from placet.audit.chain import Entry, first_bad, genesis
from storage.prepared import Prepared
from storage.recording.differences import REQUEST_FIELDS, TASK_FIELDS, differences
from storage.recording.outbox import delivery_genesis
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, DefinitionVersion, Delivery

_FIELDS = ("seq", "at", "kind", "actor", "stage", "task_id", "detail", "salts", "hash")
_DELIVERED = tuple(f for f in _FIELDS if f != "actor")


class VerifiedRows(TypedDict):
    """The result for one request: whether all rows are valid, and the first entry or delivery that is not.

    `head` is the hash of the last entry, if it is readable. `differs` names the fields of the projection that
    contradict the entries.
    """

    ok: bool
    entries: int
    head: str | None
    first_bad_seq: int | None
    deliveries: int
    first_bad_delivery: int | None
    differs: list[str]


def verify_rows(connection: Connection, request_id: str) -> VerifiedRows:
    """Verify one request; an unknown request is invalid."""
    rows = _raw(connection, AuditEntry, _FIELDS, request_id)
    entries = [entry_of(row) for row in rows]
    bad = first_bad(genesis(request_id), entries)
    deliveries = [entry_of({**row, "actor": "system"}) for row in _raw(connection, Delivery, _DELIVERED, request_id)]
    bad_delivery = first_bad(delivery_genesis(request_id), deliveries)
    differs: list[str] = []
    if bad is None:
        bad, differs = _against_projection(connection, request_id, [e for e in entries if e is not None])
    return VerifiedRows(
        ok=bad is None and bad_delivery is None and not differs,
        entries=len(entries),
        head=rows[-1]["hash"] if rows else None,
        first_bad_seq=bad,
        deliveries=len(deliveries),
        first_bad_delivery=bad_delivery,
        differs=differs,
    )


def _against_projection(connection: Connection, request_id: str, entries: list[Entry]) -> tuple[int | None, list[str]]:
    """Compare request and tasks with a valid chain; return the first contradicted entry, and what differs."""
    requests = _raw(connection, ApprovalRequest, REQUEST_FIELDS, request_id, key="id", order="id")
    if not requests or not entries:
        return len(entries) + 1, ["request"]
    if requests[0]["seq"] != str(entries[-1].seq):
        return entries[-1].seq + 1, ["request.seq"]  # entries are missing at the end, or were added
    tasks = _raw(connection, ApprovalTask, TASK_FIELDS, request_id, order="position")
    template = requests[0]["template_id"] or ""
    blueprints = _raw(connection, DefinitionVersion, ("blueprint",), template, key="id", order="id")
    wrong = differences(entries, requests[0], tasks, blueprints[0]["blueprint"] if blueprints else None)
    return (min(seq for seq, _ in wrong), [name for _, name in wrong]) if wrong else (None, [])


def _raw(
    connection: Connection,
    model: type[SQLModel],
    fields: tuple[str, ...],
    request_id: str,
    *,
    key: str = "request_id",
    order: str = "seq",
) -> list[dict[str, str | None]]:
    rows = _reading(model, fields, key, order).rows(connection, request_id=request_id)
    return [{name: _text(value) for name, value in zip(fields, row, strict=True)} for row in rows]


@lru_cache(maxsize=16)
def _reading(model: type[SQLModel], fields: tuple[str, ...], key: str, order: str) -> Prepared:
    """Return the statement that reads columns of the rows of one request as text."""
    columns = model.__table__.columns  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
    return Prepared(
        lambda dialect: (
            select(*_as_text(columns, fields, dialect))
            .where(columns[key] == bindparam("request_id"))
            .order_by(columns[order])
        )
    )


def raw_rows(
    connection: Connection,
    model: type[SQLModel],
    fields: tuple[str, ...],
    where: ColumnElement[bool],
    *,
    order: str,
    limit: int | None = None,
) -> list[dict[str, str | None]]:
    """Read columns as text, whatever their content; None where it is no text."""
    columns = model.__table__.columns  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
    chosen = _as_text(columns, fields, connection.dialect.name)
    query = select(*chosen).where(where).order_by(columns[order]).limit(limit)
    return [{n: _text(v) for n, v in row.items()} for row in connection.execute(query).mappings()]


def _as_text(columns: Any, fields: tuple[str, ...], dialect: str) -> list[ColumnElement[Any]]:
    # SQLite stores any bytes in a text column, and its driver fails on bytes that are not UTF-8.
    as_text = LargeBinary() if dialect == "sqlite" else Text()
    return [cast(columns[name], as_text).label(name) for name in fields]


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def entry_of(row: dict[str, str | None]) -> Entry | None:
    """Parse a row, or return None where it cannot be read."""
    try:
        at = datetime.fromisoformat(row["at"] or "")
        detail = json.loads(row["detail"] or "")
        salts = json.loads(row["salts"] or "{}")
        seq = int(row["seq"] or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(detail, dict) or not isinstance(salts, dict):
        return None
    return Entry(
        seq=seq,
        at=at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC),
        kind=row["kind"] or "",
        actor=row["actor"] or "",
        stage=row["stage"],
        task_id=row["task_id"],
        detail=detail,
        hash=row["hash"] or "",
        salts=salts,
    )
