"""Browser sessions and one-time log-in codes; the cookie's value and the code are stored as digests."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from storage.database import of_rows
from storage.prepared import Prepared
from storage.queries.identity.tokens import (
    ACTS_FOR,
    ID_LENGTH,
    IS_ACTIVE,
    ITS_PRINCIPAL,
    PERSON_COLUMNS,
    TokenHolder,
    digest,
)
from storage.queries.people.people import get
from storage.tables.approvals import StoredPerson
from storage.tables.identity import BrowserSession, LoginCode

_LONGEST_AGENT = 200  # characters of a browser's name
_select: Any = select  # it has no type for so many columns
_HOLDER = Prepared(
    _select(
        *PERSON_COLUMNS,
        col(StoredPerson.preferences),
        col(BrowserSession.csrf_token),
        col(BrowserSession.access).label("granted"),
        col(BrowserSession.scopes),
        col(BrowserSession.created_at),
        col(BrowserSession.seen_at),
        col(BrowserSession.authenticated_at),
    )
    .join(BrowserSession, col(BrowserSession.person) == col(StoredPerson.id))
    .outerjoin(ACTS_FOR, ITS_PRINCIPAL)
    .where(
        col(BrowserSession.digest) == bindparam("given"),
        col(BrowserSession.expires_at) > bindparam("now"),
        col(BrowserSession.seen_at) > bindparam("idle_since"),
        IS_ACTIVE,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHolder:
    """The person of a session, and the session's own facts."""

    holder: TokenHolder
    csrf_token: str
    created_at: datetime
    seen_at: datetime
    preferences: dict[str, Any]
    authenticated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSession:
    """A session that has ended: whose it was, and the ID token of the identity provider that it began with."""

    person: str
    id_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSession:
    """A log-in at the identity provider: its ID token, and what the provider calls the person and the log-in."""

    id_token: str
    subject: str
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session to open: whose, how they logged in, and what it is limited to."""

    person: str
    method: str
    expires_at: datetime
    user_agent: str = ""
    access: Sequence[str] | None = None
    scopes: Sequence[str] | None = None
    token_digest: str | None = None
    provider: ProviderSession | None = None
    authenticated_at: datetime | None = None


def open_session(connection: Connection, new: NewSession, now: datetime) -> str:
    """Open a session and return the value of its cookie, which is not stored."""
    value = secrets.token_urlsafe(32)
    row = BrowserSession(
        digest=digest(value),
        person=new.person,
        csrf_token=secrets.token_urlsafe(24),
        method=new.method,
        access=None if new.access is None else list(new.access),
        scopes=None if new.scopes is None else list(new.scopes),
        token_digest=new.token_digest,
        id_token=None if new.provider is None else new.provider.id_token,
        provider_subject=None if new.provider is None else new.provider.subject,
        provider_session=None if new.provider is None else new.provider.session,
        user_agent=new.user_agent[:_LONGEST_AGENT],
        created_at=now,
        seen_at=now,
        expires_at=new.expires_at,
        authenticated_at=new.authenticated_at,
    )
    connection.execute(insert(BrowserSession).values(**row.model_dump()))
    return value


def holder(connection: Connection, value: str, now: datetime, idle: timedelta) -> SessionHolder | None:
    """Return who a cookie stands for, or None where the session has ended or its person has left."""
    row = _HOLDER.first(connection, given=digest(value), now=now, idle_since=now - idle)
    if row is None:
        return None
    person = replace(
        _person(row),
        access=frozenset(row.access if row.granted is None else row.granted),
        scopes=None if row.scopes is None else frozenset(row.scopes),
    )
    return SessionHolder(
        holder=person,
        csrf_token=row.csrf_token,
        created_at=row.created_at,
        seen_at=row.seen_at,
        preferences=row.preferences or {},
        authenticated_at=row.authenticated_at,
    )


def note_use(connection: Connection, value: str, now: datetime) -> None:
    """Store that a session was used."""
    connection.execute(update(BrowserSession).where(col(BrowserSession.digest) == digest(value)).values(seen_at=now))


def close(connection: Connection, value: str) -> EndedSession | None:
    """End a session, and return whose it was; None for one that has ended before."""
    mine = col(BrowserSession.digest) == digest(value)
    row = connection.execute(select(col(BrowserSession.person), col(BrowserSession.id_token)).where(mine)).one_or_none()
    connection.execute(delete(BrowserSession).where(mine))
    return None if row is None else EndedSession(person=row.person, id_token=row.id_token)


def close_named(connection: Connection, *, subject: str | None, session: str | None, until: datetime) -> int:
    """End the sessions that began until a moment with a log-in that the provider names; return how many."""
    named = []
    if subject is not None:
        named.append(col(BrowserSession.provider_subject) == subject)
    if session is not None:
        named.append(col(BrowserSession.provider_session) == session)
    if not named:
        return 0
    ended = delete(BrowserSession).where(and_(*named), col(BrowserSession.created_at) <= until)
    return connection.execute(ended).rowcount


@of_rows
def listed(session: Session, person: str, now: datetime, idle: timedelta) -> list[BrowserSession]:
    """List the sessions of a person that go on, the one used last first."""
    query = select(BrowserSession).where(
        col(BrowserSession.person) == person,
        col(BrowserSession.expires_at) > now,
        col(BrowserSession.seen_at) > now - idle,
    )
    return list(session.scalars(query.order_by(col(BrowserSession.seen_at).desc(), col(BrowserSession.digest))))


def close_all(connection: Connection, person: str) -> int:
    """End all sessions of a person, and return how many."""
    return connection.execute(delete(BrowserSession).where(col(BrowserSession.person) == person)).rowcount


def close_of(connection: Connection, person: str, *, only: str | None = None, but: str | None = None) -> int:
    """End the session of a person with an id, or all of them but one, and return how many."""
    ident = func.substr(col(BrowserSession.digest), 1, ID_LENGTH)
    chosen = [col(BrowserSession.person) == person]
    if only is not None:
        chosen.append(ident == only)
    if but is not None:
        chosen.append(ident != but)
    return connection.execute(delete(BrowserSession).where(*chosen)).rowcount


def issue_code(connection: Connection, person: str, *, ttl: timedelta, now: datetime) -> str:
    """Make a code that logs an active person in once; raises NotFound."""
    get(connection, person)
    code = secrets.token_urlsafe(32)
    row = LoginCode(digest=digest(code), person=person, created_at=now, expires_at=now + ttl)
    connection.execute(insert(LoginCode).values(**row.model_dump()))
    return code


def take_code(connection: Connection, code: str, now: datetime) -> str | None:
    """Use a code up and return its person, or None where it is unknown, used, expired, or the person has left."""
    mine = col(LoginCode.digest) == digest(code), col(LoginCode.used_at).is_(None), col(LoginCode.expires_at) > now
    if not connection.execute(update(LoginCode).where(*mine).values(used_at=now)).rowcount:
        return None
    active = (
        select(col(StoredPerson.id))
        .join(LoginCode, col(LoginCode.person) == col(StoredPerson.id))
        .where(col(LoginCode.digest) == digest(code), col(StoredPerson.active))
    )
    return connection.execute(active).scalar_one_or_none()


def person_holder(connection: Connection, person: str) -> TokenHolder | None:
    """Return an active person by id, or None."""
    query = _ACTIVE.where(col(StoredPerson.id) == person)
    row = connection.execute(query).one_or_none()
    return None if row is None else _person(row)


def person_by_email(connection: Connection, email: str) -> TokenHolder | None:
    """Return the one active person with this mail address, or None where there is none or more than one."""
    same = func.lower(col(StoredPerson.email)) == email.lower()
    rows = connection.execute(_ACTIVE.where(same).limit(2)).all()
    return _person(rows[0]) if len(rows) == 1 else None


def _person(row: Any) -> TokenHolder:
    return TokenHolder(
        person=row.id,
        name=row.name,
        actor_type=row.actor_type,
        access=frozenset(row.access),
        roles=frozenset(row.roles),
        groups=frozenset(row.groups),
        principal=row.principal,
        principal_access=None if row.principal_access is None else frozenset(row.principal_access),
    )


_ACTIVE = select(*PERSON_COLUMNS).outerjoin(ACTS_FOR, ITS_PRINCIPAL).where(IS_ACTIVE)
