"""The evidence packs that were ordered. None of these rows is ever deleted: they say who got what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.tables.evidence import EvidencePack


@of_rows
def insert(session: Session, pack: EvidencePack) -> EvidencePack:
    """Store an order."""
    session.add(pack)
    return pack


def known(connection: Connection, pack_id: str) -> bool:
    """Say whether there is such an order already."""
    return connection.execute(select(col(EvidencePack.id)).where(col(EvidencePack.id) == pack_id)).first() is not None


@of_rows
def get(session: Session, pack_id: str) -> EvidencePack:
    """Return one pack; raises NotFound."""
    found = session.get(EvidencePack, pack_id)
    if found is None:
        raise NotFound(sentence("There is no evidence pack {pack_id!r}.", pack_id=pack_id))
    return found


@of_rows
def page(session: Session, *, limit: int, cursor: str | None = None) -> cursors.Page[EvidencePack]:
    """List the packs, newest first, `limit` at a time."""
    at, ident = col(EvidencePack.ordered_at), col(EvidencePack.id)
    query = select(EvidencePack).order_by(at.desc(), ident.desc()).limit(limit + 1)
    if cursor is not None:
        moment, last = cursors.read_moment(cursor)
        query = query.where((at < moment) | ((at == moment) & (ident < last)))
    return cursors.page(session.scalars(query).all(), limit, lambda row: (row.ordered_at, row.id))


def running(connection: Connection) -> int:
    """Count the packs that are being made."""
    return connection.execute(
        select(func.count()).select_from(EvidencePack).where(col(EvidencePack.status) == "running")
    ).scalar_one()


def finish(connection: Connection, pack_id: str, values: Mapping[str, Any]) -> bool:
    """End a pack that is being made; False where it has ended."""
    changed = connection.execute(
        update(EvidencePack)
        .where(col(EvidencePack.id) == pack_id, col(EvidencePack.status) == "running")
        .values({**values, "held_until": None})
    )
    return bool(changed.rowcount)


def hold(connection: Connection, ids: Sequence[str], *, until: datetime) -> None:
    """Extend the lease of the process that makes these packs."""
    connection.execute(update(EvidencePack).where(col(EvidencePack.id).in_(ids)).values(held_until=until))


def abandoned(connection: Connection, now: datetime) -> Sequence[str]:
    """Return the ids of packs whose process has ended before they were made."""
    query = select(col(EvidencePack.id)).where(
        col(EvidencePack.status) == "running", col(EvidencePack.held_until) < now
    )
    return connection.scalars(query).all()


def expired(connection: Connection, now: datetime) -> Sequence[str]:
    """Return the ids of packs whose file is due to be deleted."""
    query = select(col(EvidencePack.id)).where(col(EvidencePack.status) == "ready", col(EvidencePack.expires_at) <= now)
    return connection.scalars(query).all()


def expire(connection: Connection, pack_id: str) -> None:
    """Say that the file of a pack is gone."""
    connection.execute(update(EvidencePack).where(col(EvidencePack.id) == pack_id).values(status="expired"))
