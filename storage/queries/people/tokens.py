"""API tokens: shown once, kept as a digest only."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from storage.queries.people.people import get
from storage.tables.approvals import ApiToken, Person

# Tells scanners for leaked secrets whose token it is.
_PREFIX = "placet_"
# Every call asks this, so the statement is built once.
_HOLDER = (
    select(col(Person.id), col(Person.access), col(Person.roles), col(Person.groups))
    .join(ApiToken, col(ApiToken.person) == col(Person.id))
    .where(
        col(ApiToken.digest) == bindparam("given"),
        col(ApiToken.revoked_at).is_(None),
        or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > bindparam("now")),
        col(Person.active),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolder:
    """Whom a token stands for: `access` is what they are in Placet, roles and groups what they are outside it."""

    person: str
    access: frozenset[str]
    roles: frozenset[str]
    groups: frozenset[str]


async def issue(session: AsyncSession, person: str, *, ttl: timedelta | None, now: datetime) -> str:
    """Make a token for a person and return its text, which cannot be had again; raises NotFound."""
    await get(session, person)
    text = _PREFIX + secrets.token_urlsafe(32)
    session.add(
        ApiToken(digest=digest(text), person=person, created_at=now, expires_at=None if ttl is None else now + ttl)
    )
    await session.flush()
    return text


def holder(connection: Connection, text: str, now: datetime) -> TokenHolder | None:
    """Return the active person whom a token stands for; None: it is unknown, expired or revoked."""
    row = connection.execute(_HOLDER, {"given": digest(text), "now": now}).one_or_none()
    if row is None:
        return None
    return TokenHolder(
        person=row.id, access=frozenset(row.access), roles=frozenset(row.roles), groups=frozenset(row.groups)
    )


async def revoke(session: AsyncSession, text: str, now: datetime) -> None:
    """End a token's validity; an unknown one is none to end."""
    await session.execute(
        update(ApiToken)
        .where(col(ApiToken.digest) == digest(text), col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=now)
    )


def digest(text: str) -> str:
    """Return what is stored of a token. It is random and long, so a plain hash is enough."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
