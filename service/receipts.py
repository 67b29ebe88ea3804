"""Receipts of decisions: what was decided on, by whom and how, signed with the installation's key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import rfc8785
from sqlalchemy import Connection

from placet.audit.admin_acts import OPERATOR, Act, ActedBy
from placet.audit.chain import exact, moment
from placet.audit.receipts import ReceiptKey
from placet.errors import Conflict
from placet.sentences import sentence
from service.context import Context
from service.principal import Principal
from service.transparency.proofs import inclusion_of
from service.visibility import see_request, seen_task
from storage.database import Database
from storage.queries import receipt_keys
from storage.queries.definitions import definitions
from storage.queries.receipt_keys import PublicKey
from storage.queries.requests import timelines
from storage.queries.requests.requests import RequestRow, TaskRow
from storage.queries.requests.timelines import TimelineRow
from storage.recording import admin_acts

_DECIDES = {"decided", "changes_requested"}
PATH = frozenset({"task_opened", "claimed", "released", "reassigned", "delegated", "escalated"})
"""The kinds of entries by which a task comes to whoever decides it."""


async def receipt_of(context: Context, principal: Principal, task_id: str, secret: str) -> dict[str, Any]:
    """Return the receipt of the decision on a task; raises NotFound, and Conflict where there is no decision yet.

    Its `inclusion` is None until a checkpoint of the log is over the entry of the decision.
    """
    key = await signing_key(context.database, secret, context.now())

    def read(connection: Connection) -> tuple[dict[str, Any], dict[str, Any] | None]:
        body = _body(connection, context, principal, task_id)
        return body, inclusion_of(connection, body)

    body, inclusion = await context.database.read(read)
    return {**key.sign(body), "inclusion": inclusion}


async def signing_key(database: Database, secret: str, now: datetime) -> ReceiptKey:
    """Return the key that signs now; its public key is kept before anything is signed with it."""

    def read(connection: Connection) -> tuple[ReceiptKey, int, bool]:
        generation = receipt_keys.generation(connection)
        key = ReceiptKey(secret, generation)
        return key, generation, receipt_keys.is_kept(connection, key.id)

    key, generation, kept = await database.read(read)
    if not kept:
        await database.write(receipt_keys.keep, _public(key, generation, now))
    return key


async def rotate(database: Database, secret: str, now: datetime, *, by: ActedBy = OPERATOR) -> PublicKey:
    """Sign with a new key from now on, and return it; those of before stay, and verify what they have signed."""

    def write(connection: Connection) -> PublicKey:
        before = receipt_keys.generation(connection)
        first = ReceiptKey(secret, before)
        if not receipt_keys.is_kept(connection, first.id):
            receipt_keys.keep(connection, _public(first, before, now))
        fresh = _public(ReceiptKey(secret, before + 1), before + 1, now)
        receipt_keys.keep(connection, fresh)
        act = Act(kind="key_rotated", target=f"key:{fresh.id}", detail={"before": first.id})
        admin_acts.record(connection, by, act, now)
        return fresh

    return await database.write(write)


def _public(key: ReceiptKey, generation: int, now: datetime) -> PublicKey:
    return PublicKey(id=key.id, key=key.public, since=now, generation=generation)


async def keys(context: Context) -> list[PublicKey]:
    """Return every public key that receipts were signed with, oldest first."""
    return await context.database.read(receipt_keys.listed)


def _body(connection: Connection, context: Context, principal: Principal, task_id: str) -> dict[str, Any]:
    now = context.now()
    task = seen_task(connection, principal, task_id, now)
    if task.undo_until is not None:
        raise Conflict(
            sentence(
                "The decision can be undone until {undo_until}; its receipt is there after that.",
                undo_until=moment(task.undo_until),
            )
        )
    if task.decision is None:
        raise Conflict("Nobody has decided this task, so there is no receipt of a decision.")
    request = see_request(connection, principal, task.request_id, now).request
    return body_of(connection, request, task, timelines.of_request(connection, task.request_id))


def body_of(connection: Connection, request: RequestRow, task: TaskRow, rows: Sequence[TimelineRow]) -> dict[str, Any]:
    """Return what the receipt of a decided task says; `rows` is the timeline of its request.

    Raises Conflict where somebody has taken the decision out of the chain.
    """
    entry = next((row for row in reversed(rows) if row.task_id == task.id and row.kind in _DECIDES), None)
    if entry is None:
        raise Conflict("The audit chain does not have the decision of this task; verify the request.")
    version = definitions.find(connection, request.template, _version_at(rows, entry.seq) or request.version)
    detail = entry.detail
    return {
        "request_id": task.request_id,
        "task_id": task.id,
        "stage": task.stage,
        "round": task.round,
        "revision": detail.get("revision", task.revision),
        "content_digest": detail.get("content_digest"),
        "template": request.template,
        "version": version.version,
        "blueprint_digest": version.digest,
        "certificate_digest": None if version.certificate is None else digest_of(version.certificate),
        "decision": task.decision,
        "comment": detail.get("why"),
        "decided_by": entry.actor,
        "on_behalf_of": detail.get("on_behalf_of"),
        "assigned_via": task.assigned_via,
        "path": [
            {"seq": row.seq, "kind": row.kind, "entry_hash": row.hash}
            for row in rows
            if row.task_id == task.id and row.kind in PATH and row.seq < entry.seq and not row.delivery
        ],
        "via": detail.get("via"),
        "decided_at": moment(entry.at),
        "signature": detail.get("signature"),
        "seq": entry.seq,
        "entry_hash": entry.hash,
    }


def _version_at(rows: Sequence[TimelineRow], seq: int) -> str | None:
    """Return the version of its process that a request followed at an entry; None where its entries do not say."""
    version: Any = None
    for row in rows:
        if row.kind == "started":
            version = row.detail.get("version")
        elif row.kind == "migrated" and row.seq < seq:
            version = (row.detail.get("after") or {}).get("version", version)
    return version if isinstance(version, str) else None


def digest_of(value: Any) -> str:
    """Return the SHA-256 (hex) of a JSON value in its RFC 8785 form."""
    return hashlib.sha256(rfc8785.dumps(exact(value))).hexdigest()
