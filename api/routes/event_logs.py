"""Event logs of other systems: preview and import one, see what it holds, and have a blueprint suggested."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api.context import ApiContext
from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.http.uploads import FIELD, UploadRoute
from api.schemas.common import Listed
from api.schemas.event_logs import EventLogPreview, EventLogView, LogSuggestionView, SuggestBody
from api.schemas.log_trials import LogBacktestBody, LogBacktestView, LogForecastsView
from insight.event_logs.column_map import read_map
from placet.errors import InputInvalid
from service.event_logs import logs
from storage.queries import event_logs


class EventLogRoute(UploadRoute):
    """A route that takes an event log with its name and map."""

    texts = ("name", "map", "preview")

    def most_bytes(self, context: ApiContext) -> int:
        """Return how large a log may be as it is sent."""
        return context.event_log_bytes


router = APIRouter(prefix="/workflow/event-logs", tags=["event logs"], route_class=PersonalRoute)
uploads = APIRouter(prefix="/workflow/event-logs", tags=["event logs"], route_class=EventLogRoute)

_FORM: dict[str, Any] = {
    "type": "object",
    "required": [FIELD],
    "properties": {
        FIELD: {"type": "string", "format": "binary", "description": "XES or CSV, plain or packed by gzip."},
        "name": {"type": "string", "description": "What the log is called; by default as its file."},
        "map": {
            "type": "string",
            "description": "JSON `{case, activity, timestamp, timestamp_format?, person?, lifecycle?, "
            "attributes?: []}`: the columns that mean this. Without it, the map that a preview proposes.",
        },
        "preview": {"type": "string", "enum": ["true", "false"], "description": "Store nothing."},
    },
}
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


@uploads.post(
    "/",
    status_code=201,
    responses={200: {"model": EventLogPreview, "description": "A preview; nothing is stored."}},
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def import_event_log(
    context: Here, caller: Caller, call: ThisCall, request: Request, response: Response
) -> EventLogView | EventLogPreview:
    """Import the event log of another system. It is read in the background; its `status` says when it is whole.

    With `preview`, the answer (200) shows the columns of the file, a proposed map and the first cases.
    """
    texts: dict[str, str] = request.state.texts
    name = texts.get("name", request.state.upload.name)
    mapped = read_map(texts["map"]) if texts.get("map", "").strip() else None
    wants_preview = _TRUTH.get(texts.get("preview", "").strip().lower())
    if wants_preview is None:
        raise InputInvalid.at("/preview", "write true or false")
    if wants_preview:
        response.status_code = 200
        told = await logs.preview(context, caller, request.state.upload, mapped)
        return EventLogPreview(name=name, **told)
    row = await logs.import_log(
        context, context.event_logs, caller, request.state.upload, log_id=call.subject, name=name, mapped=mapped
    )
    return EventLogView.of(row)


@router.get("/")
async def list_event_logs(context: Here, limit: Limit = 50, cursor: Cursor = None) -> Listed[EventLogView]:
    """List the event logs, newest first."""
    page = await context.database.read(event_logs.page, limit=limit, cursor=cursor)
    return Listed(items=[EventLogView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{log_id}/")
async def read_event_log(context: Here, log_id: str) -> EventLogView:
    """Show one event log: what became of it, and the decisions and waits of each stage."""
    return EventLogView.of(await context.database.read(event_logs.get, log_id))


@router.delete("/{log_id}/")
async def delete_event_log(context: Here, caller: Caller, log_id: str) -> EventLogView:
    """Delete an event log with its cases, and return it as it was."""
    return EventLogView.of(await logs.delete_log(context, caller, log_id))


@router.post("/{log_id}/suggest/", status_code=201)
async def suggest_from_event_log(
    context: Here, caller: Caller, log_id: str, body: SuggestBody | None = None
) -> LogSuggestionView:
    """Suggest a blueprint out of an event log, and measure on later cases how many it reproduces. Nothing is stored."""
    least = (body or SuggestBody()).min_occurrences
    return LogSuggestionView(**await logs.suggest(context, caller, log_id, min_occurrences=least))


@router.post("/{log_id}/forecasts/")
async def evaluate_forecasts_on_event_log(
    context: Here, caller: Caller, log_id: str, body: SuggestBody | None = None
) -> LogForecastsView:
    """Tell how right forecasts are about the latest cases of an event log, beside naive ones. Nothing is stored.

    They are learned from the cases that ended first, and calibrated on those in between.
    """
    least = (body or SuggestBody()).min_occurrences
    found = await logs.evaluate_forecasts(context, caller, log_id, min_occurrences=least)
    return LogForecastsView.model_validate(found)


@router.post("/{log_id}/backtest/")
async def backtest_on_event_log(context: Here, caller: Caller, log_id: str, body: LogBacktestBody) -> LogBacktestView:
    """Run the later cases of an event log through a blueprint, and show what would have changed. Nothing is stored.

    Without `blueprint`, the one that the log shows is changed by `patch`.
    """
    found = await logs.backtest_log(
        context,
        caller,
        log_id,
        blueprint=body.blueprint,
        patch=body.patch,
        min_occurrences=body.min_occurrences,
    )
    return LogBacktestView.model_validate(found)
