"""Migration: move running requests to another version of their process."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from fastapi import APIRouter, Request

from api.deps import Caller, Here, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.migration import FateView, MigrationBody, MigrationView
from service.migration.move import MoveOrder, move
from service.migration.preflight import RequestVerdict, Result, Selection, Verdict, preflight
from storage.queries.definitions import definitions

router = APIRouter(prefix="/workflow/process-templates", tags=["process templates"], route_class=PersonalRoute)


@router.post("/{template_id}/migrate/")
async def migrate_requests(  # noqa: PLR0917 - called by keyword
    request: Request, context: Here, caller: Caller, call: ThisCall, template_id: str, body: MigrationBody
) -> MigrationView:
    """Move running requests of other versions to this version, or say what a move would do to each.

    Without `dry_run: false`, nothing moves. For admins, because the answer shows every request; nobody moves their own
    requests. A request that does not move stays on its version, and the answer says why. Repeat the call later to move
    requests that did not map before.
    """
    target = await context.database.read(definitions.get, template_id)
    selection = Selection(
        from_version=body.from_version, request_ids=None if body.request_ids is None else tuple(body.request_ids)
    )
    if body.dry_run:
        fates, left_out = await preflight(context, target, selection, caller.actor)
    else:
        order = MoveOrder(
            selection=selection,
            allow_outcome_change=body.allow_outcome_change,
            reason=body.reason,
            key=call.key,
        )
        fates, left_out = await move(context, caller, target, order)
        # An unknown result is not stored as the answer of the key; a repeat finds the result.
        request.state.unsettled = any(fate.result == "unknown" for fate in fates)
    return MigrationView(
        template_id=template_id,
        version=target.version,
        dry_run=body.dry_run,
        totals={**dict.fromkeys(get_args(Verdict), 0), **Counter(fate.verdict for fate in fates)},
        results=None if body.dry_run else _counted(fates),
        left_out=left_out,
        requests=[
            FateView.model_construct(
                request_id=fate.request_id,
                version=fate.version,
                stage=fate.stage,
                verdict=fate.verdict,
                reasons=list(fate.reasons),
                result=fate.result,
            )
            for fate in fates
        ],
    )


def _counted(fates: list[RequestVerdict]) -> dict[Result, int]:
    return {**dict.fromkeys(get_args(Result), 0), **Counter(fate.result for fate in fates if fate.result)}
