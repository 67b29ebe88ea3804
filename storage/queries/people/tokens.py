"""API tokens, which are shown once and stored as a digest."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from storage.database import of_rows
from storage.queries.people.people import get
from storage.tables.approvals import ApiToken, StoredPerson

# By this prefix, scanners for leaked secrets recognise the token.
_PREFIX = "placet_"
# Every call runs this statement, so it is built once.
_HOLDER = (
    select(col(StoredPerson.id), col(StoredPerson.access), col(StoredPerson.roles), col(StoredPerson.groups))
    .join(ApiToken, col(ApiToken.person) == col(StoredPerson.id))
    .where(
        col(ApiToken.digest) == bindparam("given"),
        col(ApiToken.revoked_at).is_(None),
        or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > bindparam("now")),
        col(StoredPerson.active),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolder:
    """The holder of a token: `access` is their access to Placet; roles and groups are those of the organisation."""

    person: str
    access: frozenset[str]
    roles: frozenset[str]
    groups: frozenset[str]


@of_rows
def issue(session: Session, person: str, *, ttl: timedelta | None, now: datetime) -> str:
    """Make a token for a person and return its text, which is not stored; raises NotFound."""
    get(session.connection(), person)
    text = _PREFIX + secrets.token_urlsafe(32)
    session.add(
        ApiToken(digest=digest(text), person=person, created_at=now, expires_at=None if ttl is None else now + ttl)
    )
    session.flush()
    return text


def holder(connection: Connection, text: str, now: datetime) -> TokenHolder | None:
    """Return the active holder of a token, or None for an unknown, expired or revoked token."""
    row = connection.execute(_HOLDER, {"given": digest(text), "now": now}).one_or_none()
    if row is None:
        return None
    return TokenHolder(
        person=row.id, access=frozenset(row.access), roles=frozenset(row.roles), groups=frozenset(row.groups)
    )


def revoke(connection: Connection, text: str, now: datetime) -> None:
    """Revoke a token; an unknown one is ignored."""
    connection.execute(
        update(ApiToken)
        .where(col(ApiToken.digest) == digest(text), col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=now)
    )


def digest(text: str) -> str:
    """Return the stored digest of a token. Tokens are long and random, so a plain hash is enough."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
