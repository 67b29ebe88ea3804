"""Logging in and out: by a token, by a one-time address, and the session that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from placet.audit.admin_acts import OPERATOR, Act, ActedBy
from placet.errors import CodeSpent, NotAuthenticated, Unavailable
from service import security_log
from service.administration.acts import write_with_act
from service.context import Context
from service.identity import failures
from service.identity.settings import CODE_SECONDS
from service.principal import Principal, principal_of
from storage.database import Database
from storage.queries.identity import passkeys, sessions, tokens
from storage.queries.identity.sessions import NewSession, ProviderSession
from storage.queries.people import people
from storage.tables.approvals import ApiToken
from storage.tables.identity import BrowserSession

_NOTED_AFTER = timedelta(minutes=1)  # the last use of a token or session is stored once in this time
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser session: its principal, and the token that forms and scripts prove themselves with.

    `id` is how it is listed. `preferences` are the person's; pages read the language and the time zone in them.
    `authenticated_at` is when they last proved who they are; None where their log-in says too little of that.
    """

    id: str
    principal: Principal
    csrf_token: str
    began_at: datetime
    preferences: Mapping[str, Any] = field(default_factory=dict)
    authenticated_at: datetime | None = None


async def by_token(context: Context, text: str, *, address: str) -> Principal | None:
    """Return whom an API token stands for; None: it is unknown, expired or revoked, or its person has left."""
    now = context.now()
    held = await context.database.look_up(tokens.holder, text, now)
    if held is None:
        return None
    if held.last_used_at is None or now - held.last_used_at >= _NOTED_AFTER:
        token = tokens.id_of(tokens.digest(text))
        security_log.note("authenticated", way="token", person=held.person, token=token, address=address)
        await _note_use(context, text, now)
    return principal_of(held)


async def by_session(context: Context, value: str) -> Session | None:
    """Return the session of a cookie; None: it is unknown or has ended, or its person has left."""
    now = context.now()
    held = await context.database.look_up(sessions.holder, value, now, context.identity.session_idle)
    if held is None:
        return None
    if now - held.seen_at >= _NOTED_AFTER:
        try:
            await context.database.write(sessions.note_use, value, now)
        except Unavailable as error:
            _log.warning("last_use_not_stored", reason=error.message)
    return Session(
        id=tokens.id_of(tokens.digest(value)),
        principal=replace(principal_of(held.holder), channel="session"),
        csrf_token=held.csrf_token,
        began_at=held.created_at,
        preferences=held.preferences,
        authenticated_at=held.authenticated_at,
    )


async def log_in_with_token(context: Context, text: str, *, address: str, user_agent: str) -> str:
    """Open a session with an API token and return its cookie; raises NotAuthenticated, and Busy at a rate limit."""
    await failures.require(context, "token", address=address)
    now = context.now()

    def who(connection: Connection) -> tuple[tokens.TokenHolder | None, ApiToken | None, bool]:
        found = tokens.holder(connection, text, now)
        return found, tokens.find(connection, text), found is not None and passkeys.has_any(connection, found.person)

    # Beside a provider or a passkey, a token proves too little to change how somebody signs.
    held, row, stronger = await context.database.read(who)
    if held is None or row is None:
        await failures.note(context, "token", address=address, status=401)
        raise NotAuthenticated(
            "This token is unknown, has expired or was revoked, or its person has left. "
            "Ask for a new one: `placet token PERSON` makes it."
        )
    cookie = await open_session(
        context,
        held.person,
        method="token",
        address=address,
        user_agent=user_agent,
        scopes=None if held.scopes is None else sorted(held.scopes),
        token=row,
        authenticated_at=None if stronger or context.identity.oidc is not None else now,
    )
    await _note_use(context, text, now)
    return cookie


async def _note_use(context: Context, text: str, now: datetime) -> None:
    """Note when a token was last used; where it cannot be noted now, what reads still works, and the next use is."""
    try:
        await context.database.write(tokens.note_use, text, now)
    except Unavailable as error:
        _log.warning("last_use_not_stored", reason=error.message)


async def log_in_with_code(context: Context, code: str, *, address: str, user_agent: str) -> str:
    """Open a session with a one-time code and return its cookie; raises CodeSpent, and Busy at a rate limit."""
    await failures.require(context, "one-time address", address=address)
    person = await context.database.write(sessions.take_code, code, context.now())
    if person is None:
        await failures.note(context, "one-time address", address=address, status=410)
        raise CodeSpent
    proven = context.now() if context.identity.oidc is None else None
    return await open_session(
        context, person, method="link", address=address, user_agent=user_agent, authenticated_at=proven
    )


async def log_out(context: Context, value: str) -> str | None:
    """End a session, and return the ID token that it began with, if any; its cookie is refused from then on."""
    ended = await context.database.write(sessions.close, value)
    if ended is None:
        return None
    security_log.note("logged_out", person=ended.person, sessions=1)
    return ended.id_token


async def log_out_everywhere(context: Context, principal: Principal) -> int:
    """End all sessions of a person, and return how many."""
    ended = await context.database.write(sessions.close_all, principal.person)
    security_log.note("logged_out", person=principal.person, sessions=ended)
    return ended


async def sessions_of(context: Context, person: str) -> list[BrowserSession]:
    """List the browser sessions of a person that go on; raises NotFound."""

    def read(connection: Connection) -> list[BrowserSession]:
        people.get(connection, person)
        return sessions.listed(connection, person, context.now(), context.identity.session_idle)

    return await context.database.read(read)


async def log_person_out(context: Context, principal: Principal, person: str) -> int:
    """End all sessions of somebody, as an admin, and return how many; raises NotFound.

    Their API tokens stay: a program that has one goes on, and it opens a session again.
    """

    def close(connection: Connection) -> int:
        people.get(connection, person)
        return sessions.close_all(connection, person)

    def act(ended: int) -> Act | None:
        return Act(kind="sessions_ended", target=f"person:{person}", detail={"ended": ended}) if ended else None

    return await write_with_act(context.database, principal.acted_by, context.now(), act, close)


async def issue_code(database: Database, person: str, now: datetime, *, by: ActedBy = OPERATOR) -> str:
    """Make a code for a one-time address of a person; raises NotFound."""
    act = Act(kind="login_link_made", target=f"person:{person}")
    ttl = timedelta(seconds=CODE_SECONDS)
    return await write_with_act(database, by, now, act, sessions.issue_code, person, ttl=ttl, now=now)


async def open_session(
    context: Context,
    person: str,
    *,
    method: str,
    address: str,
    user_agent: str,
    access: Sequence[str] | None = None,
    scopes: Sequence[str] | None = None,
    token: ApiToken | None = None,
    provider: ProviderSession | None = None,
    authenticated_at: datetime | None = None,
) -> str:
    """Open a session for a person who has proven who they are, and return its cookie; raises Busy at a rate limit."""
    with security_log.refusals("log_in_failed", way=method, person=person, address=address):
        await context.rate_limits.logins.count(person)
    now = context.now()
    until = now + context.identity.session_longest
    if token is not None and token.expires_at is not None:
        until = min(until, token.expires_at)
    opened = NewSession(
        person=person,
        method=method,
        expires_at=until,
        user_agent=user_agent,
        access=access,
        scopes=scopes,
        token_digest=None if token is None else token.digest,
        provider=provider,
        authenticated_at=authenticated_at,
    )
    value = await context.database.write(sessions.open_session, opened, now)
    security_log.note("logged_in", way=method, person=person, address=address)
    return value
