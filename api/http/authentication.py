"""Who calls: by a bearer token, or by the cookie of a browser session.

A cookie comes along with every call that a browser sends, whoever caused it. So a call that changes something with a
cookie must prove that it comes from one of our own pages: by the session's CSRF token, and by where the browser says
that it comes from.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from api.context import ApiContext
from placet.errors import NotAuthenticated, NotPermitted
from service.identity import login
from service.identity.login import Session
from service.identity.oidc.log_in import by_jwt
from service.principal import Principal

COOKIE = "__Host-placet"
"""The cookie over https. By its prefix, browsers take it only with Secure, for `/`, and from this host itself."""
LOOPBACK_COOKIE = "placet_session"
"""The cookie over plain http, which is used on loopback alone; never taken over https."""
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WITHOUT_MARK = (
    "This was sent without the token of your session, so that it may come from another site. Nothing has "
    "happened. Reload the page and send it again; programs send the header X-CSRF-Token with the "
    "`csrf_token` of GET /api/v1/auth/me/."
)
FROM_ELSEWHERE = "This was sent by a page of another site. Nothing has happened. Open Placet itself and do it there."
_OWN_SITES = {"same-origin", "none"}


async def authenticate(context: ApiContext, request: Request, *, changes: bool = True) -> Principal:
    """Return the person of the bearer token or of the session; raises 401, and NotPermitted without a CSRF token.

    `changes` says whether a call that is no GET changes something.
    """
    header = request.headers.get("authorization")
    if header is None and (session := await session_of(context, request)) is not None:
        request.state.session = session
        if changes and request.method not in SAFE_METHODS:
            require_own_page(context, request)
            require_csrf_token(session, request.headers.get(CSRF_HEADER))
        return session.principal
    scheme, _, text = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise _unauthenticated(
            "Send the header `Authorization: Bearer TOKEN`; `placet token PERSON` creates a token.", ""
        )
    try:
        principal = await by_jwt(context, text.strip(), address=address_of(request)) or await login.by_token(
            context, text.strip(), address=address_of(request)
        )
    except NotAuthenticated as error:
        raise _unauthenticated(error.message, "invalid_token") from error
    if principal is None:
        raise _unauthenticated(
            "The token is unknown, expired or revoked, or its person is inactive. Make one with `placet token PERSON`.",
            "invalid_token",
        )
    return principal


async def session_of(context: ApiContext, request: Request) -> Session | None:
    """Return the session of the call's cookie, if there is one that has not ended."""
    value = cookie_of(context, request)
    return None if value is None else await login.by_session(context, value)


def require_csrf_token(session: Session, sent: str | None) -> None:
    """Raise NotPermitted unless the session's CSRF token was sent."""
    if sent is None or not hmac.compare_digest(sent.encode(), session.csrf_token.encode()):
        raise NotPermitted(WITHOUT_MARK)


def require_own_page(context: ApiContext, request: Request) -> None:
    """Raise NotPermitted where the browser says that a call comes from another site."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = {_host_of(str(request.base_url)), request.headers.get("host"), _host_of(context.notify.public_url or "")}
    own.discard("")  # that is the host of `Origin: null`, which a sandboxed frame of any site sends
    if (site is not None and site not in _OWN_SITES) or (origin is not None and _host_of(origin) not in own):
        raise NotPermitted(FROM_ELSEWHERE)


def is_https(context: ApiContext, request: Request) -> bool:
    """Whether the browser reaches Placet by https, directly or by a proxy."""
    public = urlsplit(context.notify.public_url or "")
    return request.url.scheme == "https" or (public.scheme == "https" and public.netloc == request.headers.get("host"))


def cookie_of(context: ApiContext, request: Request) -> str | None:
    """Return the value of the session's cookie, if the browser sent one."""
    return request.cookies.get(_cookie_name(context, request)) or None


def set_cookie(context: ApiContext, request: Request, response: Response, value: str) -> None:
    """Give the browser its cookie; raises NotPermitted over plain http, except on loopback."""
    require_safe_transport(context, request)
    response.set_cookie(
        _cookie_name(context, request),
        value,
        max_age=int(context.identity.session_longest.total_seconds()),
        path="/",
        secure=is_https(context, request),
        httponly=True,
        samesite="lax",
    )


def delete_cookie(context: ApiContext, request: Request, response: Response) -> None:
    """Have the browser forget its cookie."""
    secure = is_https(context, request)
    response.delete_cookie(_cookie_name(context, request), path="/", secure=secure, httponly=True, samesite="lax")


def require_safe_transport(context: ApiContext, request: Request) -> None:
    """Raise NotPermitted where everybody on the way could read the cookie."""
    if not is_https(context, request) and not _is_loopback(request.url.hostname or ""):
        raise NotPermitted(
            "Placet logs people in over https only, except at http://localhost and http://127.0.0.1, so that nobody "
            "on the way reads the session. Open this page by https; a proxy that ends TLS sends X-Forwarded-Proto."
        )


def base_url(context: ApiContext, request: Request) -> str:
    """Return where the browser reaches Placet, without a trailing slash."""
    public = context.notify.public_url
    return public if public is not None else str(request.base_url).rstrip("/")


def address_of(request: Request) -> str:
    """Return the address that a call comes from, for rate limits and the security log."""
    return request.client.host if request.client is not None else "unknown"


def _cookie_name(context: ApiContext, request: Request) -> str:
    return COOKIE if is_https(context, request) else LOOPBACK_COOKIE


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(url: str) -> str:
    return urlsplit(url).netloc


def _unauthenticated(detail: str, error: str) -> HTTPException:
    challenge = f'Bearer realm="placet", error="{error}"' if error else 'Bearer realm="placet"'
    return HTTPException(401, detail, {"WWW-Authenticate": challenge})
