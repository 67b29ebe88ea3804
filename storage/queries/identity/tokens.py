"""API tokens, which are shown once and stored as a digest."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import NotFound
from storage.database import of_rows
from storage.prepared import Prepared
from storage.queries.people.people import get
from storage.tables.approvals import ApiToken, StoredPerson
from storage.tables.identity import BrowserSession

# By this prefix, scanners for leaked secrets recognise the token.
_PREFIX = "placet_"
# The length of a token's id, which is the beginning of its digest: long enough to be unique.
_ID_LENGTH = 16

PERSON_COLUMNS = (
    col(StoredPerson.id),
    col(StoredPerson.name),
    col(StoredPerson.actor_type),
    col(StoredPerson.access),
    col(StoredPerson.roles),
    col(StoredPerson.groups),
)
"""What a principal is made of."""
_HOLDER = Prepared(
    select(*PERSON_COLUMNS, col(ApiToken.scopes), col(ApiToken.last_used_at))
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
    """The holder of a token: `access` is their access to Placet; roles and groups are those of the organisation.

    `scopes` are the token's; None: it may do whatever its person may. `last_used_at` is to the minute.
    """

    person: str
    name: str
    actor_type: str
    access: frozenset[str]
    roles: frozenset[str]
    groups: frozenset[str]
    scopes: frozenset[str] | None = None
    last_used_at: datetime | None = None


@of_rows
def issue(
    session: Session,
    person: str,
    *,
    ttl: timedelta | None,
    now: datetime,
    name: str | None = None,
    scopes: Sequence[str] | None = None,
) -> str:
    """Make a token for a person and return its text, which is not stored; raises NotFound."""
    get(session.connection(), person)
    text = _PREFIX + secrets.token_urlsafe(32)
    session.add(
        ApiToken(
            digest=digest(text),
            person=person,
            name=name,
            scopes=None if scopes is None else list(scopes),
            created_at=now,
            expires_at=None if ttl is None else now + ttl,
        )
    )
    session.flush()
    return text


def holder(connection: Connection, text: str, now: datetime) -> TokenHolder | None:
    """Return the active holder of a token, or None for an unknown, expired or revoked token."""
    row = _HOLDER.first(connection, given=digest(text), now=now)
    if row is None:
        return None
    return TokenHolder(
        person=row.id,
        name=row.name,
        actor_type=row.actor_type,
        access=frozenset(row.access),
        roles=frozenset(row.roles),
        groups=frozenset(row.groups),
        scopes=None if row.scopes is None else frozenset(row.scopes),
        last_used_at=row.last_used_at,
    )


def note_use(connection: Connection, text: str, now: datetime) -> None:
    """Store that a token was used."""
    connection.execute(update(ApiToken).where(col(ApiToken.digest) == digest(text)).values(last_used_at=now))


def find(connection: Connection, text: str) -> ApiToken | None:
    """Return the row of a token by its text."""
    row = connection.execute(select(ApiToken).where(col(ApiToken.digest) == digest(text))).mappings().one_or_none()
    return None if row is None else ApiToken(**row)


@of_rows
def listed(session: Session, person: str) -> list[ApiToken]:
    """List the tokens of a person that are not revoked, newest first."""
    query = select(ApiToken).where(col(ApiToken.person) == person, col(ApiToken.revoked_at).is_(None))
    return list(session.scalars(query.order_by(col(ApiToken.created_at).desc(), col(ApiToken.digest))))


def revoke(connection: Connection, text: str, now: datetime) -> None:
    """Revoke a token; an unknown one is ignored."""
    _revoke(connection, digest(text), now)


def revoke_by_id(connection: Connection, token_id: str, now: datetime, *, person: str | None = None) -> None:
    """Revoke a token by its id, of this person if one is given; raises NotFound where there is none."""
    query = select(col(ApiToken.digest)).where(
        col(ApiToken.digest).startswith(token_id, autoescape=True), col(ApiToken.revoked_at).is_(None)
    )
    found = connection.scalars(query if person is None else query.where(col(ApiToken.person) == person)).all()
    if len(token_id) != _ID_LENGTH or len(found) != 1:
        raise NotFound(f"There is no token {token_id!r} that is not revoked yet.")
    _revoke(connection, found[0], now)


def _revoke(connection: Connection, stored: str, now: datetime) -> None:
    """Revoke a token, and end the browser sessions that began with it."""
    connection.execute(
        update(ApiToken)
        .where(col(ApiToken.digest) == stored, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=now)
    )
    connection.execute(delete(BrowserSession).where(col(BrowserSession.token_digest) == stored))


def id_of(stored: str) -> str:
    """Return the id under which a token is listed, from its digest."""
    return stored[:_ID_LENGTH]


def digest(text: str) -> str:
    """Return the stored digest of a token. Tokens are long and random, so a plain hash is enough."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
