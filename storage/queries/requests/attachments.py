"""The attachments of a request, as its audit chain has them: the entries are the record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlmodel import col

from placet.engine.content import Attachment
from storage.tables.approvals import AuditEntry

KIND = "attached"


def attachments_of(connection: Connection, request_id: str) -> tuple[Attachment, ...]:
    """Return the attachments of a request, oldest first; one whose entry was erased or edited is left out."""
    rows = connection.execute(_ATTACHED, {"sought": request_id})
    return tuple(_read((row.detail, row.actor, row.at) for row in rows))


def attachment_in(detail: dict[str, Any], actor: str, at: datetime) -> Attachment | None:
    """Return the attachment of an entry; None where the entry was erased or edited."""
    try:
        return Attachment(
            n=int(detail["n"]),
            name=str(detail["name"]),
            media_type=str(detail["media_type"]),
            size=int(detail["size"]),
            sha256=_hex(detail["sha256"]),
            uploaded_by=actor.removeprefix("user:"),
            uploaded_at=at,
            revision=int(detail["revision"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _read(rows: Iterator[tuple[str, str, datetime]]) -> Iterator[Attachment]:
    for text, actor, at in rows:
        try:
            detail = json.loads(text)
        except ValueError:  # edited by hand; `verify` says so
            continue
        found = attachment_in(detail, actor, at) if isinstance(detail, dict) else None
        if found is not None:
            yield found


def _hex(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    bytes.fromhex(value)
    return value


_ATTACHED = (
    select(col(AuditEntry.detail), col(AuditEntry.actor), col(AuditEntry.at))
    .where(col(AuditEntry.request_id) == bindparam("sought"), col(AuditEntry.kind) == KIND)
    .order_by(col(AuditEntry.seq))
)
