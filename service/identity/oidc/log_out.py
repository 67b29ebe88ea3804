"""Logging out at the identity provider: from here to there, and from there to here.

Placet sends a browser that logs out to the provider's end_session_endpoint (OpenID Connect RP-Initiated Logout 1.0).
The provider tells Placet by a signed logout token that somebody has logged out there (Back-Channel Logout 1.0).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import structlog

from placet.errors import NotAuthenticated
from service.context import Context
from service.identity.oidc.provider import ProviderUnavailable
from service.identity.oidc.verification import LEEWAY, verify
from service.identity.settings import OidcSettings, settings_of
from storage.queries.identity import sessions

EVENT = "http://schemas.openid.net/event/backchannel-logout"
_OLDEST = timedelta(minutes=10)  # of a logout token
_log = structlog.get_logger(__name__)


async def address_after(context: Context, id_token: str | None, *, back_to: str) -> str | None:
    """Return where a browser goes to log out at the provider as well; None where it need not or cannot.

    `id_token` is that of the session that has ended; the provider leads the browser back to `back_to`, where its
    administrator has allowed that.
    """
    settings = context.identity.oidc
    if settings is None or id_token is None:
        return None
    try:
        endpoint = await context.oidc.optional_endpoint("end_session_endpoint")
    except ProviderUnavailable as error:  # the session here has ended; that there ends by itself
        _log.warning("provider_log_out_skipped", reason=error.message)
        return None
    if endpoint is None:
        return None
    asked = {"id_token_hint": id_token, "client_id": settings.client_id, "post_logout_redirect_uri": back_to}
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"


async def by_provider(context: Context, text: str, *, address: str) -> int:
    """End the sessions that a logout token of the provider names, and return how many.

    A session that began after the token was issued stays: a token that is sent again ends nothing new. Raises
    NotFound without a provider, NotAuthenticated for a token that is none, and Busy after too many of those.
    """
    settings = settings_of(context.identity)
    await context.rate_limits.failed_logins.require(address)
    try:
        subject, session, issued_at = await _named(context, settings, text)
    except NotAuthenticated:
        await context.rate_limits.failed_logins.count(address)
        raise
    until = issued_at + timedelta(seconds=LEEWAY)
    ended = await context.database.write(sessions.close_named, subject=subject, session=session, until=until)
    _log.info("logged_out_by_provider", sessions=ended)
    return ended


async def _named(context: Context, settings: OidcSettings, text: str) -> tuple[str | None, str | None, datetime]:
    """Return whom a logout token names, by their subject, their session or both, and when it was issued."""
    claims = await verify(context.oidc, text, audience=settings.client_id, now=context.now())
    events, subject, session = claims.get("events"), claims.get("sub"), claims.get("sid")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict) or "nonce" in claims:
        raise NotAuthenticated("This is no logout token: it lacks the event, or is an ID token.")
    issued_at = datetime.fromtimestamp(int(claims["iat"]), UTC)
    if context.now() - issued_at > _OLDEST:
        raise NotAuthenticated("The logout token was issued too long ago.")
    named = [one if isinstance(one, str) and one else None for one in (subject, session)]
    if named == [None, None]:
        raise NotAuthenticated("The logout token names nobody: it has neither `sub` nor `sid`.")
    return named[0], named[1], issued_at
