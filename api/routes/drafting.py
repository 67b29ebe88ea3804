"""Drafts that a language model writes from words."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.deps import Caller, Here, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.drafting import DraftedView, WordsBody
from service.drafting import drafting

router = APIRouter(prefix="/workflow/process-templates", tags=["blueprint drafts"], route_class=PersonalRoute)


@router.post("/draft/", status_code=201)
async def draft_from_words(
    context: Here, caller: Caller, call: ThisCall, body: WordsBody, response: Response
) -> DraftedView:
    """Have a language model write a draft from words, or a suggestion for `template`; the proofs check it first.

    Where no model is set up, nothing is sent, and the answer is 501. A draft that is still faulty after three repairs
    is not stored (422). For designers and admins.
    """
    if body.show:
        response.status_code = 200
        return DraftedView.unsent(await drafting.preview(context.database, body.words, body.template))
    made = await drafting.draft_from_words(context, caller, body.words, template=body.template, ident=call.subject)
    return DraftedView.of(made)
