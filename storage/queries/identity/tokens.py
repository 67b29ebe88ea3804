"""API tokens, which are shown once and stored as a digest."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, and_, bindparam, delete, or_, select, update
from sqlalchemy.orm import Session, aliased
from sqlmodel import col

from placet.errors import NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.prepared import Prepared
from storage.queries import cursor as cursors
from storage.queries.people.people import get
from storage.tables.approvals import ApiToken, StoredPerson
from storage.tables.identity import BrowserSession

# By this prefix, scanners for leaked secrets recognise the token.
PREFIX = "placet_"
# The length of a token's id, which is the beginning of its digest: long enough to be unique.
ID_LENGTH = 16

SOON: Final = timedelta(days=14)
"""A token that expires within this time is told of."""
TokenState = Literal["unused", "expiring", "expired", "lasting"]

ACTS_FOR = aliased(StoredPerson, name="acts_for")
"""The principal of an agent."""
ITS_PRINCIPAL = col(ACTS_FOR.id) == col(StoredPerson.principal)
IS_ACTIVE = and_(col(StoredPerson.active), or_(col(StoredPerson.principal).is_(None), col(ACTS_FOR.active)))
"""Whether somebody can act: an agent only while its principal is there."""
PERSON_COLUMNS: tuple[Any, ...] = (
    col(StoredPerson.id),
    col(StoredPerson.name),
    col(StoredPerson.actor_type),
    col(StoredPerson.access),
    col(StoredPerson.roles),
    col(StoredPerson.groups),
    col(StoredPerson.principal),
    col(ACTS_FOR.access).label("principal_access"),
)
"""What a principal is made of."""
_HOLDER = Prepared(
    select(*PERSON_COLUMNS, col(ApiToken.scopes), col(ApiToken.last_used_at))
    .join(ApiToken, col(ApiToken.person) == col(StoredPerson.id))
    .outerjoin(ACTS_FOR, ITS_PRINCIPAL)
    .where(
        col(ApiToken.digest) == bindparam("given"),
        col(ApiToken.revoked_at).is_(None),
        or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > bindparam("now")),
        IS_ACTIVE,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFilter:
    """Which tokens are listed: of one person, and never used, about to expire, expired, or without an end."""

    person: str | None = None
    state: TokenState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolder:
    """The holder of a token: `access` is their access to Placet; roles and groups are those of the organisation.

    `scopes` are the token's; None: it may do whatever its person may. `last_used_at` is to the minute. `principal` is
    whom an agent acts for, and `principal_access` that person's access.
    """

    person: str
    name: str
    actor_type: str
    access: frozenset[str]
    roles: frozenset[str]
    groups: frozenset[str]
    scopes: frozenset[str] | None = None
    last_used_at: datetime | None = None
    principal: str | None = None
    principal_access: frozenset[str] | None = None


def issue(
    connection: Connection,
    person: str,
    *,
    ttl: timedelta | None,
    now: datetime,
    name: str | None = None,
    scopes: Sequence[str] | None = None,
) -> str:
    """Make a token for a person and return its text, which is not stored; raises NotFound."""
    text = PREFIX + secrets.token_urlsafe(32)
    expires_at = None if ttl is None else now + ttl
    store(connection, person, text, expires_at=expires_at, now=now, name=name, scopes=scopes)
    return text


@of_rows
def store(
    session: Session,
    person: str,
    text: str,
    *,
    expires_at: datetime | None,
    now: datetime,
    name: str | None = None,
    scopes: Sequence[str] | None = None,
) -> ApiToken:
    """Store a token, unless it is there already, and return its row; raises NotFound for an unknown person."""
    get(session.connection(), person)
    there = session.get(ApiToken, digest(text))
    if there is not None:
        return there
    row = ApiToken(
        digest=digest(text),
        person=person,
        name=name,
        scopes=None if scopes is None else list(scopes),
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row


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
        principal=row.principal,
        principal_access=None if row.principal_access is None else frozenset(row.principal_access),
    )


def note_use(connection: Connection, text: str, now: datetime) -> None:
    """Store that a token was used."""
    connection.execute(update(ApiToken).where(col(ApiToken.digest) == digest(text)).values(last_used_at=now))


def find(connection: Connection, text: str) -> ApiToken | None:
    """Return the row of a token by its text."""
    row = connection.execute(select(ApiToken).where(col(ApiToken.digest) == digest(text))).mappings().one_or_none()
    return None if row is None else ApiToken(**row)


@of_rows
def page(
    session: Session, chosen: TokenFilter, now: datetime, *, limit: int, cursor: str | None = None
) -> cursors.Page[ApiToken]:
    """List tokens that are not revoked, newest first; raises InputInvalid for an invalid cursor."""
    made, ident = col(ApiToken.created_at), col(ApiToken.digest)
    query = select(ApiToken).where(col(ApiToken.revoked_at).is_(None))
    if chosen.person is not None:
        query = query.where(col(ApiToken.person) == chosen.person)
    if chosen.state == "unused":
        query = query.where(col(ApiToken.last_used_at).is_(None))
    elif chosen.state == "expiring":
        query = query.where(col(ApiToken.expires_at).between(now, now + SOON))
    elif chosen.state == "expired":
        query = query.where(col(ApiToken.expires_at) < now)
    elif chosen.state == "lasting":
        query = query.where(col(ApiToken.expires_at).is_(None))
    if cursor is not None:
        at, last = cursors.read_moment(cursor)
        query = query.where((made < at) | ((made == at) & (ident < last)))
    rows = session.scalars(query.order_by(made.desc(), ident.desc()).limit(limit + 1)).all()
    return cursors.page(rows, limit, lambda row: (row.created_at, id_of(row.digest)))


@of_rows
def by_id(session: Session, token_id: str, *, person: str | None = None) -> ApiToken:
    """Return a token by its id, of this person if one is given; raises NotFound."""
    return _by_id(session, token_id, person)


@of_rows
def listed(session: Session, person: str | None = None) -> list[ApiToken]:
    """List the tokens that are not revoked, of one person or of all, newest first."""
    query = select(ApiToken).where(col(ApiToken.revoked_at).is_(None))
    if person is not None:
        query = query.where(col(ApiToken.person) == person)
    return list(session.scalars(query.order_by(col(ApiToken.created_at).desc(), col(ApiToken.digest))))


def revoke(connection: Connection, text: str, now: datetime) -> None:
    """Revoke a token, and end the browser sessions that began with it; an unknown token is ignored."""
    kept = col(ApiToken.digest) == digest(text), col(ApiToken.revoked_at).is_(None)
    connection.execute(update(ApiToken).where(*kept).values(revoked_at=now))
    connection.execute(delete(BrowserSession).where(col(BrowserSession.token_digest) == digest(text)))


@of_rows
def revoke_by_id(session: Session, token_id: str, now: datetime, *, person: str | None = None) -> ApiToken:
    """Revoke a token by its id, of this person if one is given, and return it; raises NotFound.

    Revoking it again changes nothing. Browser sessions that began with it end.
    """
    row = _by_id(session, token_id, person)
    row.revoked_at = row.revoked_at or now
    session.execute(delete(BrowserSession).where(col(BrowserSession.token_digest) == row.digest))
    return row


def _by_id(session: Session, token_id: str, person: str | None) -> ApiToken:
    query = select(ApiToken).where(col(ApiToken.digest).startswith(token_id, autoescape=True))
    rows = session.scalars(query if person is None else query.where(col(ApiToken.person) == person)).all()
    if len(token_id) != ID_LENGTH or len(rows) != 1:
        raise NotFound(sentence("There is no token {token_id!r}.", token_id=token_id))
    return rows[0]


def id_of(stored: str) -> str:
    """Return the id under which a token is listed, from its digest."""
    return stored[:ID_LENGTH]


def digest(text: str) -> str:
    """Return the stored digest of a token. Tokens are long and random, so a plain hash is enough."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
