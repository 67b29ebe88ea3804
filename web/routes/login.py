"""Logging in and out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from api.context import ApiContext
from api.deps import Here
from api.http.authentication import (
    address_of,
    base_url,
    cookie_of,
    delete_cookie,
    is_https,
    require_safe_transport,
    set_cookie,
)
from placet.errors import Busy, NotAuthenticated
from service.identity import login
from service.identity.oidc import log_in
from service.identity.oidc import log_out as log_out_there
from web.security import PageRoute, local_path
from web.templating import render

router = APIRouter(route_class=PageRoute)
_LONGEST_TOKEN = 1000
_LONGEST_LOGOUT_TOKEN = 20_000


@router.get("/login")
async def show_login(request: Request, context: Here, next: str | None = None) -> Response:  # noqa: A002 - the name in the address
    """Show the log-in page."""
    if request.state.session is not None:
        return RedirectResponse(local_path(next), 303)
    return render(request, "login.html", _shown(context, local_path(next)))


@router.post("/login")
async def log_in_with_token(
    request: Request,
    context: Here,
    token: Annotated[str, Form(max_length=_LONGEST_TOKEN)] = "",
    next: Annotated[str | None, Form()] = None,  # noqa: A002 - the name in the form
) -> Response:
    """Log in with an API token."""
    require_safe_transport(context, request)
    there = local_path(next)
    try:
        value = await login.log_in_with_token(
            context, token.strip(), address=address_of(request), user_agent=_user_agent(request)
        )
    except NotAuthenticated as error:
        return render(request, "login.html", _shown(context, there, error.message), status=401)
    except Busy as error:
        shown = _shown(context, there, error.message)
        return render(request, "login.html", shown, status=429, headers={"Retry-After": str(error.retry_after)})
    return await _entered(request, context, value, RedirectResponse(there, 303))


@router.get("/login/oidc")
async def begin_oidc(
    request: Request,
    context: Here,
    next: str | None = None,  # noqa: A002 - as above
    fresh: bool = False,
) -> Response:
    """Go to the identity provider to log in; `fresh`: it has to ask anew who somebody is."""
    return await to_provider(request, context, next_path=local_path(next), fresh=fresh)


async def to_provider(
    request: Request, context: ApiContext, *, next_path: str, fresh: bool = False, step_up: str = ""
) -> Response:
    """Lead the browser to the identity provider: to log in, or for a step-up."""
    require_safe_transport(context, request)
    redirect_uri = f"{base_url(context, request)}/login/oidc/callback"
    address, kept = await log_in.begin(
        context, context.secret, redirect_uri=redirect_uri, next_path=next_path, fresh=fresh, step_up=step_up
    )
    answer = RedirectResponse(address, 302)
    answer.set_cookie(
        _oidc_cookie(context, request),
        kept,
        max_age=log_in.MINUTES * 60,
        path="/",
        secure=is_https(context, request),
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get("/login/oidc/callback")
async def finish_oidc(request: Request, context: Here) -> Response:
    """Log in with what the identity provider sent the browser back with."""
    require_safe_transport(context, request)
    name = _oidc_cookie(context, request)
    value, there = await log_in.finish(
        context,
        context.secret,
        request.cookies.get(name),
        dict(request.query_params),
        address=address_of(request),
        user_agent=_user_agent(request),
        visitor=None if request.state.session is None else request.state.session.principal,
    )
    answer: Response = RedirectResponse(local_path(there), 303)
    if value is not None:
        answer = await _entered(request, context, value, answer)
    answer.delete_cookie(name, path="/", secure=is_https(context, request), httponly=True, samesite="lax")
    return answer


@router.post("/login/oidc/logout")
async def log_out_by_provider(
    request: Request, context: Here, logout_token: Annotated[str, Form(max_length=_LONGEST_LOGOUT_TOKEN)] = ""
) -> Response:
    """End the sessions of somebody who has logged out at the identity provider, which says so itself."""
    try:
        await log_out_there.by_provider(context, logout_token, address=address_of(request))
    except NotAuthenticated as error:
        return JSONResponse({"error": "invalid_request", "error_description": error.message}, 400)
    return Response(status_code=200)


@router.get("/login/{code}")
async def log_in_with_code(request: Request, context: Here, code: str) -> Response:
    """Log in with the one-time address that `placet login PERSON` prints."""
    require_safe_transport(context, request)
    value = await login.log_in_with_code(
        context, code[:_LONGEST_TOKEN], address=address_of(request), user_agent=_user_agent(request)
    )
    return await _entered(request, context, value, RedirectResponse("/", 302))


@router.post("/logout")
async def log_out(request: Request, context: Here) -> Response:
    """End this session."""
    return await _left(request, context)


@router.post("/logout/everywhere")
async def log_out_everywhere(request: Request, context: Here) -> Response:
    """End all sessions of this person, on every device."""
    answer = await _left(request, context)
    await login.log_out_everywhere(context, request.state.principal)
    return answer


def _shown(context: Here, there: str, problem: str | None = None) -> dict[str, Any]:
    return {"next": there, "problem": problem, "oidc": context.identity.oidc is not None}


async def _entered(request: Request, context: Here, value: str, answer: Response) -> Response:
    """Give the browser its new session, in place of the one that it had."""
    if (before := cookie_of(context, request)) is not None:
        await login.log_out(context, before)
    set_cookie(context, request, answer, value)
    return answer


async def _left(request: Request, context: Here) -> Response:
    """End this session, also at the provider where it began there.

    The browser goes there from a page: a form of ours may lead to no other site (`form-action`).
    """
    value = cookie_of(context, request)
    id_token = None if value is None else await login.log_out(context, value)
    address = await log_out_there.address_after(context, id_token, back_to=f"{base_url(context, request)}/login")
    request.state.session = None
    answer: Response = (
        RedirectResponse("/login", 303) if address is None else render(request, "logged_out.html", {"address": address})
    )
    delete_cookie(context, request, answer)
    answer.headers["Clear-Site-Data"] = '"storage"'  # what was typed and not sent
    return answer


def _oidc_cookie(context: Here, request: Request) -> str:
    return "__Host-placet-oidc" if is_https(context, request) else "placet_oidc"


def _user_agent(request: Request) -> str:
    return request.headers.get("user-agent", "")
