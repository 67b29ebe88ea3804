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

from placet.audit.chain import Entry, first_bad, genesis, standing_decisions
from placet.audit.sealed import erased
from placet.engine.bound_action import digest_of
from storage.prepared import Prepared
from storage.recording.outbox import delivery_genesis
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, Delivery

# How a request ends: the kind of its last entry, and the status that goes with it.
_ENDINGS = {"completed": "completed", "failed": "failed", "withdrawn": "cancelled", "cancelled": "cancelled"}
_CLAIMED = ("action", "action_digest", "claim_status", "claimed_by")
_ASKING = {"started", "resubmitted"}  # the kinds of entries that ask for an action
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
    fields = ("seq", "head", "status", "outcome", "requester", "title", "version", *_CLAIMED)
    requests = _raw(connection, ApprovalRequest, fields, request_id, key="id", order="id")
    if not requests or not entries:
        return len(entries) + 1, ["request"]
    request, last = requests[0], entries[-1]
    if request["seq"] != str(last.seq):
        return last.seq + 1, ["request.seq"]  # entries are missing at the end, or were added
    compared: list[tuple[str, int, str | None, str | None]] = [("request.head", last.seq, request["head"], last.hash)]
    first = entries[0]
    if "requester" in first.detail:
        compared.append(("request.requester", first.seq, f"user:{request['requester']}", first.detail["requester"]))
    compared += _title(entries, request["title"]) + _version(entries, request["version"])
    compared += _action(entries, request) + _claim(entries, request)
    ending = next((e for e in reversed(entries) if e.kind in _ENDINGS and e.task_id is None), None)
    status, outcome = (_ENDINGS[ending.kind], ending.detail.get("outcome")) if ending else ("pending", None)
    at = (ending or last).seq
    compared += [
        ("request.status", at, request["status"], status),
        ("request.outcome", at, request["outcome"], outcome),
    ]
    tasks = _raw(connection, ApprovalTask, ("id", "decision"), request_id, order="position")
    decisions = standing_decisions(entries)
    for task in tasks:
        entry = decisions.get(task["id"] or "")
        stored = entry.detail.get("decision") if entry else None
        compared.append((f"tasks.{task['id']}.decision", entry.seq if entry else last.seq, task["decision"], stored))
    opened = {e.task_id: e.seq for e in entries if e.kind == "task_opened"}
    there = {task["id"] for task in tasks}
    compared += [(f"tasks.{t}", seq, None, "open") for t, seq in opened.items() if t not in there]
    wrong = [(seq, name) for name, seq, is_, should in compared if is_ != should]
    return (min(seq for seq, _ in wrong), [name for _, name in wrong]) if wrong else (None, [])


def _title(entries: list[Entry], stored: str | None) -> list[tuple[str, int, str | None, str | None]]:
    """Return the comparison of the title with the last entry that changed it, else with the first entry."""
    titled = (
        (e.seq, e.detail["after"]) for e in reversed(entries) if e.kind == "resubmitted" and e.detail.get("after")
    )
    found = next(((seq, after) for seq, after in titled if "title" in after), (entries[0].seq, entries[0].detail))
    title = found[1].get("title")
    return [] if title is None or erased(title) else [("request.title", found[0], stored, title)]


def _version(entries: list[Entry], stored: str | None) -> list[tuple[str, int, str | None, str | None]]:
    """Return the comparison of the version with the last migration, else with the first entry."""
    moved = next((e for e in reversed(entries) if e.kind == "migrated"), None)
    followed = moved.detail.get("after") if moved is not None else entries[0].detail
    if not isinstance(followed, dict) or "version" not in followed:
        return []
    return [("request.version", (moved or entries[0]).seq, stored, followed["version"])]


def _action(entries: list[Entry], request: dict[str, str | None]) -> list[tuple[str, int, str | None, str | None]]:
    """Return the comparison of the action and its digest with the last entry that asked for one."""
    asking = next((e for e in reversed(entries) if "action_digest" in e.detail and e.kind in _ASKING), None)
    if asking is None:
        return [("request.action_digest", entries[0].seq, request["action_digest"], None)]
    digest = asking.detail["action_digest"]
    if erased(digest):
        return []
    return [
        ("request.action_digest", asking.seq, request["action_digest"], digest),
        ("request.action", asking.seq, _digest(request["action"]), digest),
    ]


def _digest(action: str | None) -> str | None:
    """Return the digest of an action as it is stored; None where it is none."""
    try:
        return digest_of(json.loads(action or ""))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _claim(entries: list[Entry], request: dict[str, str | None]) -> list[tuple[str, int, str | None, str | None]]:
    """Return the comparison of the claim with the entries: whether it was claimed, by whom, and of which action."""
    claimed = next((e for e in reversed(entries) if e.kind == "claimed" and e.task_id is None), None)
    over = next((e for e in reversed(entries) if e.kind == "claim_expired"), None)
    at = (claimed or over or entries[-1]).seq
    by = claimed.actor if claimed is not None else None
    compared = [("request.claimed_by", at, f"user:{request['claimed_by']}" if request["claimed_by"] else None, by)]
    if claimed is not None or over is not None:
        status = "claimed" if claimed is not None else "expired"
        compared.append(("request.claim_status", at, request["claim_status"], status))
    elif request["claim_status"] not in {None, "open"}:
        compared.append(("request.claim_status", at, request["claim_status"], "open"))
    if claimed is not None and not erased(digest := claimed.detail.get("action_digest")) and request["action_digest"]:
        compared.append(("request.claim", claimed.seq, request["action_digest"], digest))
    return compared


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
