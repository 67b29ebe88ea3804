"""Questions to the requester with their answers, and the requester's reminders."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import Caller, Here, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.conversation import NewAnswer, NewQuestion
from api.schemas.requests import Nothing, RequestView
from placet.engine.events import AnswerQuestion, AskQuestion, Remind
from service.commands import act_on_request

router = APIRouter(prefix="/workflow/requests/{request_id}", tags=["requests"], route_class=PersonalRoute)


@router.post("/questions/")
async def ask(context: Here, caller: Caller, call: ThisCall, request_id: str, body: NewQuestion) -> RequestView:
    """Ask the requester a question. The request is not returned, and its clocks run on.

    For people with an open task in the request, the process owner and admins.
    """
    event = AskQuestion(by=caller.actor, text=body.text, task_id=body.task_id, key=call.key)
    stored = await act_on_request(context, caller, request_id, event, key=call.key, task_id=body.task_id)
    return RequestView.of(stored, context.ui_link(stored.request.id))


@router.post("/questions/{n}/answer/")
async def answer(  # noqa: PLR0917 - called by keyword, with what the path names
    context: Here,
    caller: Caller,
    call: ThisCall,
    request_id: str,
    n: int,
    body: NewAnswer,
) -> RequestView:
    """Answer a question. For the requester; whoever asked and who has the task now are notified."""
    event = AnswerQuestion(by=caller.actor, n=n, text=body.text, key=call.key)
    stored = await act_on_request(context, caller, request_id, event, key=call.key)
    return RequestView.of(stored, context.ui_link(stored.request.id))


@router.post("/remind/")
async def remind(
    context: Here,
    caller: Caller,
    call: ThisCall,
    request_id: str,
    body: Nothing | None = None,  # noqa: ARG001 - an empty object may be sent
) -> RequestView:
    """Remind those whom the request waits for. For the requester, once in 24 hours; before, 429 says when again.

    While the request is returned, or waits for nobody's decision, it is 409.
    """
    event = Remind(by=caller.actor, key=call.key)
    stored = await act_on_request(context, caller, request_id, event, key=call.key)
    return RequestView.of(stored, context.ui_link(stored.request.id))
