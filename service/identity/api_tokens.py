"""API tokens: made, listed and revoked by their own person, or by the operator on the command line."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection

from placet.errors import InputInvalid, NotPermitted, Problem
from service.context import Context
from service.principal import SCIM, Principal
from storage.queries.identity import tokens
from storage.tables.approvals import ApiToken

_log = structlog.get_logger(__name__)


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
        raise NotPermitted(f"A token with scopes makes only tokens with scopes of its own: {own}.")
    if scopes is not None and SCIM in scopes and not principal.admin:
        raise NotPermitted("Only an admin makes tokens with the scope `scim`.")

    def store(connection: Connection) -> ApiToken:
        return tokens.store(
            connection, principal.person, text, expires_at=expires_at, now=now, name=name, scopes=scopes
        )

    return await context.database.write(store)


async def list_own(context: Context, principal: Principal) -> list[ApiToken]:
    """List the caller's tokens that are not revoked, newest first."""
    return await context.database.read(tokens.listed, principal.person)


async def revoke_own(context: Context, principal: Principal, token_id: str) -> ApiToken:
    """Revoke one of the caller's tokens; raises NotFound. Browser sessions that began with it end."""
    return await context.database.write(tokens.revoke_by_id, token_id, context.now(), person=principal.person)


async def revoke_for(context: Context, principal: Principal, token_id: str) -> ApiToken:
    """Revoke anybody's token, as an admin; raises NotFound. Browser sessions that began with it end."""
    row = await context.database.write(tokens.revoke_by_id, token_id, context.now())
    _log.info("token_revoked", token=token_id, person=row.person, by=principal.person)
    return row
