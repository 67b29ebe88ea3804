"""Identity: who calls, and their tokens."""

from __future__ import annotations

from fastapi import APIRouter, Request

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.auth import Me, TokenBody, TokenMade, TokenView
from api.schemas.common import Listed
from service.identity.api_tokens import list_own, make_own, revoke_own, token_text
from service.identity.login import Session
from storage.queries.cursor import part

router = APIRouter(prefix="/auth", tags=["identity"], route_class=PersonalRoute)


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
