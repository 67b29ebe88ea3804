"""Suggestions: changes of processes that their past or a person proposes, to be accepted or rejected."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.common import Listed
from api.schemas.suggestions import (
    GenerateBody,
    GeneratedView,
    ReviewBody,
    Source,
    Status,
    SuggestionBody,
    SuggestionView,
    SuggestionWhole,
)
from placet.json_text import with_floats
from service.suggestions import suggestions
from service.suggestions.evaluation import Evaluator
from service.suggestions.generation import generate

router = APIRouter(prefix="/workflow/workflow-suggestions", tags=["suggestions"], route_class=PersonalRoute)


@router.post("/", status_code=201)
async def create_suggestion(context: Here, caller: Caller, call: ThisCall, body: SuggestionBody) -> SuggestionWhole:
    """Suggest a change of a process by a JSON Patch; it is proved and backtested. For designers and admins."""
    proposal = body.proposal(with_floats(body.patch))
    return SuggestionWhole.of(await suggestions.suggest(context, caller, proposal, suggestion_id=call.subject))


@router.get("/")
async def list_suggestions(  # noqa: PLR0917 - FastAPI passes them by name
    context: Here,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: Status | None = None,
    template: Annotated[str | None, Query(max_length=200)] = None,
    suggestion_type: Annotated[str | None, Query(max_length=50)] = None,
    source: Source | None = None,
) -> Listed[SuggestionView]:
    """List suggestions, newest first. For designers, auditors and admins."""
    equal = {"status": status, "template": template, "suggestion_type": suggestion_type, "source": source}
    page = await context.database.read(suggestions.list_, limit=limit, cursor=cursor, equal=equal)
    return Listed(items=[SuggestionView.of(found) for found in page.items], next_cursor=page.next_cursor)


@router.post("/generate/")
async def generate_suggestions(context: Here, caller: Caller, body: GenerateBody | None = None) -> GeneratedView:
    """Mine the past for suggestions. What is pending, or was rejected with the same evidence, is not made again.

    For designers and admins.
    """
    order = (body or GenerateBody()).order()
    return GeneratedView.of(await generate(Evaluator.of(context), order, by=caller.acted_by))


@router.get("/{suggestion_id}/")
async def read_suggestion(context: Here, suggestion_id: str) -> SuggestionWhole:
    """Show a suggestion with its evidence, its backtest and the changed blueprint."""
    return SuggestionWhole.of(await context.database.read(suggestions.show, suggestion_id))


@router.post("/{suggestion_id}/accept/")
async def accept_suggestion(
    context: Here, caller: Caller, suggestion_id: str, body: ReviewBody | None = None
) -> SuggestionWhole:
    """Accept a suggestion: `draft` is the next version of its process, to be published. For designers and admins."""
    notes = None if body is None else body.notes
    return SuggestionWhole.of(await suggestions.accept(context, caller, suggestion_id, notes=notes))


@router.post("/{suggestion_id}/reject/")
async def reject_suggestion(
    context: Here, caller: Caller, suggestion_id: str, body: ReviewBody | None = None
) -> SuggestionWhole:
    """Reject a suggestion; it comes back only with other evidence. For designers and admins."""
    notes = None if body is None else body.notes
    return SuggestionWhole.of(await suggestions.reject(context, caller, suggestion_id, notes=notes))
