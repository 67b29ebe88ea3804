"""Logging in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from api.deps import Here
from api.http.authentication import cookie_of, delete_cookie, require_safe_transport, set_cookie
from placet.errors import Busy, NotAuthenticated
from service.identity import login
from web.security import PageRoute, local_path
from web.templating import render

router = APIRouter(route_class=PageRoute)
_LONGEST_TOKEN = 1000


@router.get("/login")
async def show_login(request: Request, next: str | None = None) -> Response:  # noqa: A002 - the name in the address
    """Show the log-in page."""
    if request.state.session is not None:
        return RedirectResponse(local_path(next), 303)
    return render(request, "login.html", {"next": local_path(next), "problem": None})


@router.post("/login")
async def log_in(
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
            context, token.strip(), address=_address(request), user_agent=_user_agent(request)
        )
    except NotAuthenticated as error:
        return render(request, "login.html", {"next": there, "problem": error.message}, status=401)
    except Busy as error:
        shown = {"next": there, "problem": error.message}
        return render(request, "login.html", shown, status=429, headers={"Retry-After": str(error.retry_after)})
    return await _entered(request, context, value, RedirectResponse(there, 303))


@router.get("/login/{code}")
async def log_in_with_code(request: Request, context: Here, code: str) -> Response:
    """Log in with the one-time address that `placet login PERSON` prints."""
    require_safe_transport(context, request)
    value = await login.log_in_with_code(
        context, code[:_LONGEST_TOKEN], address=_address(request), user_agent=_user_agent(request)
    )
    return await _entered(request, context, value, RedirectResponse("/", 302))


@router.post("/logout")
async def log_out(request: Request, context: Here) -> Response:
    """End this session."""
    if (value := cookie_of(context, request)) is not None:
        await login.log_out(context, value)
    return _left(request, context)


@router.post("/logout/everywhere")
async def log_out_everywhere(request: Request, context: Here) -> Response:
    """End all sessions of this person, on every device."""
    await login.log_out_everywhere(context, request.state.principal)
    return _left(request, context)


async def _entered(request: Request, context: Here, value: str, answer: Response) -> Response:
    """Give the browser its new session, in place of the one that it had."""
    if (before := cookie_of(context, request)) is not None:
        await login.log_out(context, before)
    set_cookie(context, request, answer, value)
    return answer


def _left(request: Request, context: Here) -> Response:
    answer = RedirectResponse("/login", 303)
    delete_cookie(context, request, answer)
    return answer


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"


def _user_agent(request: Request) -> str:
    return request.headers.get("user-agent", "")
