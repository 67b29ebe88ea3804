"""Rules of retention: how long the contents of each process's requests are kept."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import Caller, Cursor, Here, Limit
from api.http.calls import PersonalRoute
from api.schemas.common import Listed
from api.schemas.retention import RetentionRuleBody, RetentionRuleView
from service.retention.rules import remove_rule, set_rule
from storage.queries import retention

router = APIRouter(prefix="/workflow/retention-rules", tags=["retention"], route_class=PersonalRoute)


@router.get("/")
async def list_retention_rules(context: Here, limit: Limit = 50, cursor: Cursor = None) -> Listed[RetentionRuleView]:
    """List the rules by the names of their processes; for others `PLACET_CONTENT_DAYS` holds."""
    page = await context.database.read(retention.page, limit=limit, cursor=cursor)
    return Listed(items=[RetentionRuleView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.post("/", status_code=201)
async def set_retention_rule(context: Here, caller: Caller, body: RetentionRuleBody) -> RetentionRuleView:
    """Set the rule of a process, new or changed. For admins.

    Contents that are due by it are erased within an hour, for good; who decided what and when stays on record.
    """
    return RetentionRuleView.of(await set_rule(context, caller, body.template, body.content_days))


@router.delete("/{rule_id}/")
async def remove_retention_rule(context: Here, caller: Caller, rule_id: str) -> RetentionRuleView:
    """Remove a rule, and return it. For admins."""
    return RetentionRuleView.of(await remove_rule(context, caller, rule_id))
