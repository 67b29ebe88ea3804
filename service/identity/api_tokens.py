"""API tokens: made, listed and revoked by their own person, or by the operator on the command line."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from placet.audit.admin_acts import OPERATOR, Act, ActedBy
from placet.audit.chain import moment
from placet.errors import InputInvalid, NotPermitted, Problem
from placet.sentences import sentence
from service.administration.acts import write_with_act
from service.principal import SCIM, Principal
from storage.database import Database
from storage.queries.identity import tokens
from storage.recording import admin_acts
from storage.tables.approvals import ApiToken

if TYPE_CHECKING:  # commands that need no engine do not load its client
    from service.context import Context


def token_text(secret: str, subject: str) -> str:
    """Return the text of a token that a call makes; a repeat of the call makes the same one, and nobody else can."""
    made = hmac.new(secret.encode(), f"api-token:{subject}".encode(), hashlib.sha256).digest()
    return tokens.PREFIX + base64.urlsafe_b64encode(made).decode().rstrip("=")


async def make_own(
    context: Context,
    principal: Principal,
    text: str,
    *,
    name: str | None,
    scopes: Sequence[str] | None,
    expires_at: datetime | None,
) -> ApiToken:
    """Store a token for the caller; raises NotPermitted where it would be allowed more than the call itself."""
    now = context.now()
    if expires_at is not None and expires_at <= now:
        raise InputInvalid(problems=(Problem(pointer="/expires_at", message="is over already; give a later moment"),))
    if principal.scopes is not None and not set(scopes or ("all",)) <= principal.scopes:
        own = ", ".join(sorted(principal.scopes))
        raise NotPermitted(sentence("A token with scopes makes only tokens with scopes of its own: {own}.", own=own))
    if scopes is not None and SCIM in scopes and not principal.admin:
        raise NotPermitted("Only an admin makes tokens with the scope `scim`.")

    def store(connection: Connection) -> ApiToken:
        known = tokens.find(connection, text) is not None
        row = tokens.store(connection, principal.person, text, expires_at=expires_at, now=now, name=name, scopes=scopes)
        if not known:
            admin_acts.record(connection, principal.acted_by, _made(row), now)
        return row

    return await context.database.write(store)


async def make_for(
    database: Database,
    person: str,
    *,
    ttl: timedelta | None,
    now: datetime,
    name: str | None = None,
    scopes: Sequence[str] | None = None,
) -> str:
    """Make a token for anybody, as the operator, and return its text, which is not stored; raises NotFound."""

    def store(connection: Connection) -> str:
        text = tokens.issue(connection, person, ttl=ttl, now=now, name=name, scopes=scopes)
        row = tokens.find(connection, text)
        assert row is not None, "it was just stored"  # noqa: S101
        admin_acts.record(connection, OPERATOR, _made(row), now)
        return text

    return await database.write(store)


async def list_own(context: Context, principal: Principal) -> list[ApiToken]:
    """List the caller's tokens that are not revoked, newest first."""
    return await context.database.read(tokens.listed, principal.person)


async def revoke_own(context: Context, principal: Principal, token_id: str) -> ApiToken:
    """Revoke one of the caller's tokens; raises NotFound. Browser sessions that began with it end."""
    return await _revoke(context.database, principal.acted_by, token_id, context.now(), person=principal.person)


async def revoke_for(context: Context, principal: Principal, token_id: str) -> ApiToken:
    """Revoke anybody's token, as an admin; raises NotFound. Browser sessions that began with it end."""
    return await _revoke(context.database, principal.acted_by, token_id, context.now())


async def revoke_any(database: Database, token_id: str, now: datetime) -> ApiToken:
    """Revoke anybody's token, as the operator; raises NotFound. Browser sessions that began with it end."""
    return await _revoke(database, OPERATOR, token_id, now)


async def _revoke(
    database: Database, by: ActedBy, token_id: str, now: datetime, *, person: str | None = None
) -> ApiToken:
    def act(row: ApiToken) -> Act | None:
        if row.revoked_at != now:  # it was revoked before
            return None
        return Act(kind="token_revoked", target=f"token:{token_id}", detail={"person": row.person})

    return await write_with_act(database, by, now, act, tokens.revoke_by_id, token_id, now, person=person)


def _made(row: ApiToken) -> Act:
    detail = {
        "person": row.person,
        "scopes": row.scopes,
        "expires_at": None if row.expires_at is None else moment(row.expires_at),
    }
    return Act(kind="token_made", target=f"token:{tokens.id_of(row.digest)}", detail=detail)
