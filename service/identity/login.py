"""Logging in and out: by a token, by a one-time address, and the session that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from placet.errors import CodeSpent, NotAuthenticated, Unavailable
from service.context import Context
from service.identity.settings import CODE_SECONDS
from service.principal import Principal, principal_of
from storage.database import Database
from storage.queries.identity import sessions, tokens
from storage.queries.identity.sessions import NewSession, ProviderSession
from storage.tables.approvals import ApiToken

_NOTED_AFTER = timedelta(minutes=1)  # the last use of a token or session is stored once in this time
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser session: its principal, and the token that forms and scripts prove themselves with.

    `preferences` are the person's; pages read the language and the time zone in them.
    """

    principal: Principal
    csrf_token: str
    preferences: Mapping[str, Any] = field(default_factory=dict)


async def by_token(context: Context, text: str) -> Principal | None:
    """Return whom an API token stands for; None: it is unknown, expired or revoked, or its person has left."""
    now = context.now()
    held = await context.database.look_up(tokens.holder, text, now)
    if held is None:
        return None
    if held.last_used_at is None or now - held.last_used_at >= _NOTED_AFTER:
        try:
            await context.database.write(tokens.note_use, text, now)
        except Unavailable as error:  # what reads still works, and the next call notes it
            _log.warning("last_use_not_stored", reason=error.message)
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
    return Session(principal=principal_of(held.holder), csrf_token=held.csrf_token, preferences=held.preferences)


async def log_in_with_token(context: Context, text: str, *, address: str, user_agent: str) -> str:
    """Open a session with an API token and return its cookie; raises NotAuthenticated, and Busy at a rate limit."""
    await context.rate_limits.failed_logins.require(address)
    now = context.now()

    def who(connection: Connection) -> tuple[tokens.TokenHolder | None, ApiToken | None]:
        return tokens.holder(connection, text, now), tokens.find(connection, text)

    held, row = await context.database.read(who)
    if held is None or row is None:
        await context.rate_limits.failed_logins.count(address)
        raise NotAuthenticated(
            "This token is unknown, has expired or was revoked, or its person has left. "
            "Ask for a new one: `placet token PERSON` makes it."
        )
    return await open_session(
        context,
        held.person,
        method="token",
        user_agent=user_agent,
        scopes=None if held.scopes is None else sorted(held.scopes),
        token=row,
    )


async def log_in_with_code(context: Context, code: str, *, address: str, user_agent: str) -> str:
    """Open a session with a one-time code and return its cookie; raises CodeSpent, and Busy at a rate limit."""
    await context.rate_limits.failed_logins.require(address)
    person = await context.database.write(sessions.take_code, code, context.now())
    if person is None:
        await context.rate_limits.failed_logins.count(address)
        raise CodeSpent
    return await open_session(context, person, method="link", user_agent=user_agent)


async def log_out(context: Context, value: str) -> str | None:
    """End a session, and return the ID token that it began with, if any; its cookie is refused from then on."""
    return await context.database.write(sessions.close, value)


async def log_out_everywhere(context: Context, principal: Principal) -> int:
    """End all sessions of a person, and return how many."""
    return await context.database.write(sessions.close_all, principal.person)


async def issue_code(database: Database, person: str, now: datetime) -> str:
    """Make a code for a one-time address of a person; raises NotFound."""
    return await database.write(sessions.issue_code, person, ttl=timedelta(seconds=CODE_SECONDS), now=now)


async def open_session(
    context: Context,
    person: str,
    *,
    method: str,
    user_agent: str,
    access: Sequence[str] | None = None,
    scopes: Sequence[str] | None = None,
    token: ApiToken | None = None,
    provider: ProviderSession | None = None,
) -> str:
    """Open a session for a person who has proven who they are, and return its cookie; raises Busy at a rate limit."""
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
    )
    return await context.database.write(sessions.open_session, opened, now)
