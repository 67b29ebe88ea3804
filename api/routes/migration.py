"""Moving running requests to another version of their process: the preflight."""

from __future__ import annotations

from fastapi import APIRouter

from api.calls import PersonalRoute
from api.deps import Caller, Here
from api.migrating import preflight
from api.schemas.migration import FateView, MigrationBody, PreflightView

router = APIRouter(prefix="/workflow/process-templates", tags=["process templates"], route_class=PersonalRoute)


@router.post("/{template_id}/migrate/")
async def preflight_migration(context: Here, caller: Caller, template_id: str, body: MigrationBody) -> PreflightView:
    """Say for each running request of other versions whether it maps to this one, and what would differ.

    Nothing moves: a request stays on the version that it began with. Admins can, for this shows every request.
    """
    caller.need("admin")
    found = await preflight(context, template_id, body.from_version)
    return PreflightView(
        template_id=template_id,
        totals=found.totals,
        left_out=found.left_out,
        requests=[
            FateView.model_construct(
                request_id=fate.request_id,
                version=fate.version,
                stage=fate.stage,
                verdict=fate.verdict,
                reasons=list(fate.reasons),
            )
            for fate in found.fates
        ],
    )
