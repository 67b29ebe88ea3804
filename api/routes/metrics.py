"""Metrics for Prometheus, which needs no token unless PLACET_METRICS_TOKEN is set, and for people."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection
from starlette.exceptions import HTTPException

from api.deps import Caller, Here
from api.http.calls import PersonalRoute
from api.http.parameters import PublicRoute
from api.metrics import expose
from api.schemas.metrics import EscalationsView
from service.visibility import sees_failures
from storage.queries.requests import escalations
from storage.recording import metrics

scraped = APIRouter(prefix="/metrics", tags=["metrics"], route_class=PublicRoute)
router = APIRouter(prefix="/metrics", tags=["metrics"], route_class=PersonalRoute)


@scraped.get(
    "/prometheus", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def prometheus(request: Request, context: Here) -> Response:
    """Show all metrics in the Prometheus exposition format. Every API process shows the same values.

    Those of processes have the name of the process as a label.
    """
    if context.metrics_token is not None:
        sent = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(sent, f"Bearer {context.metrics_token}".encode()):
            detail = "Send the header `Authorization: Bearer TOKEN` with the value of PLACET_METRICS_TOKEN."
            raise HTTPException(401, detail, {"WWW-Authenticate": 'Bearer realm="placet metrics"'})
    totals = await context.database.read(metrics.totals)
    text, content_type = expose(
        totals, context.processes(), request.headers.get("accept", ""), certificates=context.certificates
    )
    return Response(text, headers={"Content-Type": content_type})


@router.get("/workflow-escalations")
async def workflow_escalations(context: Here, caller: Caller) -> EscalationsView:
    """Show the state of escalations: the metrics, open tasks by stage, delays, and the last failures.

    Everybody with a token sees the numbers. Only auditors and admins see which requests failed.
    """

    def read(connection: Connection) -> EscalationsView:
        return EscalationsView.of(
            context.now(),
            metrics.totals(connection),
            escalations.by_stage(connection),
            escalations.lateness(connection),
            escalations.failures(connection) if sees_failures(caller) else None,
        )

    return await context.database.read(read)
