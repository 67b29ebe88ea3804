"""Health checks for monitoring. They need no token and show only which parts are up."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.http.parameters import PublicRoute
from api.http.shutdown import Shutdown
from service.administration.health import Health

router = APIRouter(prefix="/health", tags=["health"], route_class=PublicRoute)


@router.get("/live")
async def live() -> dict[str, Any]:
    """Confirm that this process answers."""
    return {"status": "ok", "checks": {"api": "ok"}}


class Readiness(BaseModel):
    """Whether a process is ready, and each of its parts."""

    status: Literal["ok", "down"]
    checks: dict[str, str]


@router.get(
    "/ready",
    responses={
        200: {"model": Readiness},
        503: {"model": Readiness, "description": "A part is down; `checks` says which one."},
    },
)
async def ready(request: Request) -> JSONResponse:
    """Say whether engine, database and worker are up. A process that is stopping is down at once."""
    health: Health = request.app.state.health
    shutdown: Shutdown = request.app.state.shutdown
    checks = {"api": "down"} if shutdown.stopping else await health.checks()
    up = all(check == "ok" for check in checks.values())
    headers = {} if up else {"Retry-After": "2"}
    return JSONResponse({"status": "ok" if up else "down", "checks": checks}, 200 if up else 503, headers)
