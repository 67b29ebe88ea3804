"""Identity: who calls, and their tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.auth import Me, TokenBody, TokenMade, TokenView
from api.schemas.common import Listed
from service.documents import PersonRef
from service.identity.api_tokens import list_own, make_own, revoke_for, revoke_own, token_text
from service.identity.login import Session
from storage.queries.cursor import part
from storage.queries.identity import tokens
from storage.queries.identity.tokens import TokenFilter, TokenState

router = APIRouter(prefix="/auth", tags=["identity"], route_class=PersonalRoute)
everybodys = APIRouter(prefix="/workflow/api-tokens", tags=["identity"], route_class=PersonalRoute)


@router.get("/me/")
async def read_me(request: Request, caller: Caller) -> Me:
    """Show who calls, with the CSRF token of their browser session if they call with one."""
    session: Session | None = getattr(request.state, "session", None)
    return Me.of(caller, None if session is None else session.csrf_token)


@router.get("/tokens/")
async def list_tokens(context: Here, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Listed[TokenView]:
    """List your own tokens that are not revoked, newest first, with when each was last used."""
    page = part(await list_own(context, caller), limit, cursor)
    return Listed(items=[TokenView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.post("/tokens/", status_code=201)
async def create_token(request: Request, context: Here, caller: Caller, call: ThisCall, body: TokenBody) -> TokenMade:
    """Make a token for yourself. Only this answer shows its text."""
    # The answer has a secret, so it is not stored: the same key makes the same token again.
    request.state.unsettled = True
    text = token_text(context.secret, call.subject)
    row = await make_own(context, caller, text, name=body.name, scopes=body.scopes, expires_at=body.expires_at)
    return TokenMade.made(row, text)


@router.delete("/tokens/{token_id}/")
async def revoke_token(context: Here, caller: Caller, token_id: str) -> TokenView:
    """Revoke one of your own tokens and return it. Browser sessions that began with it end."""
    return TokenView.of(await revoke_own(context, caller, token_id))


@everybodys.get("/")
async def list_everybodys_tokens(
    context: Here,
    limit: Limit = 50,
    cursor: Cursor = None,
    person: PersonRef | None = None,
    state: Annotated[TokenState | None, Query()] = None,
) -> Listed[TokenView]:
    """List everybody's tokens that are not revoked, newest first. For admins.

    `state` narrows them: `unused` since they were made, `expiring` within 14 days, `expired`, or `lasting` without end.
    """
    chosen = TokenFilter(person=person, state=state)
    page = await context.database.read(tokens.page, chosen, context.now(), limit=limit, cursor=cursor)
    return Listed(items=[TokenView.of(row) for row in page.items], next_cursor=page.next_cursor)


@everybodys.delete("/{token_id}/")
async def revoke_anybodys_token(context: Here, caller: Caller, token_id: str) -> TokenView:
    """Revoke anybody's token and return it. Browser sessions that began with it end. For admins."""
    return TokenView.of(await revoke_for(context, caller, token_id))
