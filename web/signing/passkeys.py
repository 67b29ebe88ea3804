"""The reader's passkeys: listed, added and removed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.http.authentication import base_url
from api.http.problems import status_of
from placet.errors import InputInvalid, PlacetError, ProofRefused, ReauthenticationRequired
from service.identity import passkeys
from service.identity.passkeys import Site
from web.forms.reading import Entries
from web.routes.common import Here, WebContext, entries_of, see_other, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/me/passkeys", route_class=PageRoute)


@router.get("")
async def show_passkeys(request: Request, here: Here, visitor: SignedIn) -> Response:
    """List the reader's passkeys."""
    return await _page(request, here, visitor)


@router.post("")
async def add_passkey(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Keep a passkey that the browser has made."""
    entries = await entries_of(request, visitor)
    try:
        answer = _answer(entries)
        site = passkeys.require_site(here.context, base_url(here.context, request))
        await passkeys.register(
            here.context,
            visitor.principal,
            request.state.session,
            site,
            answer=answer,
            name=entries.text("name"),
        )
    except (InputInvalid, ProofRefused, ReauthenticationRequired) as error:
        return await _page(request, here, visitor, error=error)
    return see_other("/me/passkeys", "passkey_added")


@router.post("/{passkey_id}")
async def remove_passkey(
    request: Request, here: Here, visitor: SignedIn, passkey_id: Annotated[str, Path(max_length=2000)]
) -> Response:
    """Remove a passkey of the reader."""
    try:
        await passkeys.remove(here.context, visitor.principal, request.state.session, passkey_id)
    except ReauthenticationRequired as error:
        return await _page(request, here, visitor, error=error)
    return see_other("/me/passkeys", "passkey_removed")


def _answer(entries: Entries) -> str:
    if not entries.text("answer"):
        raise InputInvalid("The browser has made no passkey. Nothing was changed; try again.")
    return entries.text("answer")


def _site(here: WebContext, request: Request) -> Site | None:
    return passkeys.site_of(here.context, base_url(here.context, request))


async def _page(request: Request, here: WebContext, visitor: Visitor, *, error: PlacetError | None = None) -> Response:
    context, principal = here.context, visitor.principal
    known = await passkeys.of_person(context, principal.person)
    badge = await context.database.read(read_inbox_count, principal, visitor.wording)
    site, stale = _site(here, request), False
    try:
        passkeys.require_fresh(context, request.state.session)
    except ReauthenticationRequired:
        stale = True
    values: dict[str, Any] = {
        "passkeys": known,
        "site": site,
        "stale": stale,
        "oidc": context.identity.oidc is not None,
        "minutes": context.identity.sign_minutes,
        "options": None if site is None or stale else await passkeys.registration(context, principal, site),
        "faults": () if error is None else [{"ident": None, "label": None, "message": error.message}],
        "badge": badge,
    }
    status = 200 if error is None else status_of(error)
    return shown(request, "passkeys.html", status=status, section="me", **values)
