"""Pages of API tokens, for admins: everybody's, what is odd about them, and revoked after asking."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from service.identity.api_tokens import revoke_for
from storage.queries.identity import tokens
from storage.queries.identity.tokens import TokenFilter, TokenState
from web.operations.tokens import STATES, token_lines
from web.paging import PAGE
from web.routes.common import Here, operations_frame, see_other, shown
from web.security import PageRoute
from web.visitor import SignedIn

router = APIRouter(prefix="/operations/tokens", route_class=PageRoute)

TokenId = Annotated[str, Path(max_length=100)]


@router.get("")
async def list_tokens(
    request: Request, here: Here, visitor: SignedIn, cursor: Annotated[str | None, Query(max_length=500)] = None
) -> HTMLResponse:
    """Show everybody's tokens, newest first, or those of one person or state."""
    wording, given = visitor.wording, request.query_params
    state: TokenState | None = next((one for one in get_args(TokenState) if one == given.get("state")), None)
    person = given.get("person", "").replace("\0", "")[:200].removeprefix("user:").strip()
    chosen = TokenFilter(person=person or None, state=state)

    def read(connection: Connection) -> dict[str, Any]:
        page = tokens.page(connection, chosen, wording.now, limit=PAGE, cursor=cursor)
        lines = token_lines(connection, page.items, wording)
        return {"tokens": lines, "next_cursor": page.next_cursor} | operations_frame(connection, visitor, "tokens")

    states = {name: wording.say(word) for name, word in STATES.items()}
    values = await here.context.database.read(read)
    return shown(request, "operations/tokens.html", chosen=chosen, states=states, **values)


@router.get("/{token_id}")
async def ask_before_revoking(request: Request, here: Here, visitor: SignedIn, token_id: TokenId) -> HTMLResponse:
    """Ask before a token is revoked."""

    def read(connection: Connection) -> dict[str, Any]:
        (line,) = token_lines(connection, [tokens.by_id(connection, token_id)], visitor.wording)
        return {"token": line} | operations_frame(connection, visitor, "tokens")

    return shown(request, "operations/revoke.html", back="/operations/tokens", **await here.context.database.read(read))


@router.post("/{token_id}")
async def revoke(here: Here, visitor: SignedIn, token_id: TokenId) -> Response:
    """Revoke a token."""
    await revoke_for(here.context, visitor.principal, token_id)
    return see_other("/operations/tokens", "token_revoked")
