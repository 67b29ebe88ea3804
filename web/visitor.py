"""The visitor of a page: who looks at it, and in which language and time zone they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from api.context import ApiContext
from service.identity.login import Session
from service.principal import Principal
from web.languages import Wording, negotiate, zone_of

UNCHOSEN = "UTC"
"""What preferences have where nobody chose a zone; whoever means it chooses `Etc/UTC`."""
ZONE_COOKIE = "placet_zone"
"""The time zone of the browser, which a script notes; it is no secret."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Somebody who is logged in, and how they read."""

    principal: Principal
    wording: Wording


def wording_of(request: Request) -> Wording:
    """Return how whoever opens a page reads: as they chose, else as their browser says.

    Whom a link stands for has chosen as well (`request.state.preferences`).
    """
    context: ApiContext = request.app.state.context
    session: Session | None = getattr(request.state, "session", None)
    chosen = session.preferences if session is not None else getattr(request.state, "preferences", {})
    named = chosen.get("timezone")
    zone = (
        zone_of(named if named != UNCHOSEN else None)
        or zone_of(unquote(request.cookies.get(ZONE_COOKIE, "")))
        or ZoneInfo("UTC")
    )
    language = negotiate(chosen.get("language"), request.headers.get("accept-language"))
    return Wording(language=language, zone=zone, now=context.now())


async def _signed_in(request: Request) -> Visitor:
    principal: Principal = request.state.principal
    return Visitor(principal=principal, wording=wording_of(request))


SignedIn = Annotated[Visitor, Depends(_signed_in)]
"""Whoever is logged in; web.security has seen to it that somebody is."""
