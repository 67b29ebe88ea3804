"""Health: for whatever watches this process. It needs no token and says no more than what is up."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.http.parameters import PublicRoute
from api.http.shutdown import Shutdown
from service.administration.health import Health

router = APIRouter(prefix="/health", tags=["health"], route_class=PublicRoute)


@router.get("/live")
async def live() -> dict[str, Any]:
    """Say that this process answers."""
    return {"status": "ok", "checks": {"api": "ok"}}


@router.get("/ready", responses={503: {"description": "Some part is down; `checks` says which."}})
async def ready(request: Request) -> JSONResponse:
    """Say whether every part is up, and which is not; a process that stops is down itself, at once."""
    health: Health = request.app.state.health
    shutdown: Shutdown = request.app.state.shutdown
    checks = {"api": "down"} if shutdown.stopping else await health.checks()
    up = all(check == "ok" for check in checks.values())
    headers = {} if up else {"Retry-After": "2"}
    return JSONResponse({"status": "ok" if up else "down", "checks": checks}, 200 if up else 503, headers)
