"""Identity: who calls."""

from __future__ import annotations

from fastapi import APIRouter, Request

from api.deps import Caller
from api.http.calls import PersonalRoute
from api.schemas.auth import Me
from service.identity.login import Session

router = APIRouter(prefix="/auth", tags=["identity"], route_class=PersonalRoute)


@router.get("/me/")
async def read_me(request: Request, caller: Caller) -> Me:
    """Show who calls, with the CSRF token of their browser session if they call with one."""
    session: Session | None = getattr(request.state, "session", None)
    return Me.of(caller, None if session is None else session.csrf_token)
