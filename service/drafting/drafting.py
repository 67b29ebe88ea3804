"""Have a draft written from words, and store it: as a draft, or as a suggestion for the process that it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from placet.errors import Busy
from service.context import Context
from service.drafting.instructions import Message, opening
from service.drafting.language_model import language_model
from service.drafting.patch import patch_between
from service.drafting.settings import DraftingSettings, settings_of
from service.drafting.writing import Judge, Written, check_words, write
from service.drafts import drafts
from service.drafts.draft import Draft
from service.principal import Principal
from service.suggestions import suggestions
from service.suggestions.evaluation import Evaluator
from service.suggestions.suggestions import Author, Proposal, SuggestionWithDraft
from service.visibility import viewer_of
from storage.database import Database
from storage.queries import suggestions as stored

OPERATOR_NAME: Final = "operator"
"""Who a draft is by that was made on the command line."""
_RETRY_AFTER: Final = 30  # seconds
_LONGEST_TITLE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """What was written, and what it was stored as: a draft, or a suggestion where it changes a process."""

    written: Written
    model: str
    draft: Draft | None = None
    suggestion: SuggestionWithDraft | None = None


async def preview(database: Database, words: str, template: str | None) -> tuple[Message, ...]:
    """Return what would be sent first; nothing is. Raises InputInvalid, and NotFound for an unknown process."""
    return tuple(opening(check_words(words), await _current(database, template)))


async def draft_from_words(
    context: Context, principal: Principal, words: str, *, template: str | None = None, ident: str
) -> Drafted:
    """Do what `draft` does for somebody; raises NotConfigured and Busy besides."""
    settings = settings_of(context.drafting)
    author = Author(person=principal.person, acted_by=principal.acted_by, viewer=viewer_of(principal))
    turns = context.drafting_turns
    if turns.locked():
        raise Busy("Other drafts are being written at the moment; repeat this later.", retry_after=_RETRY_AFTER)
    async with turns:
        return await draft(Evaluator.of(context), settings, author, words, template=template, ident=ident)


async def draft(
    evaluator: Evaluator,
    settings: DraftingSettings,
    author: Author,
    words: str,
    *,
    template: str | None,
    ident: str,
) -> Drafted:
    """Have a blueprint written from words, and store it under this id: a new draft, or a change of a process.

    Raises InputInvalid, NotFound, DraftingFailed, NotConfigured, TooMuchWork and ModelUnavailable; then nothing is
    stored.
    """
    asked, by = check_words(words), author.person or ""
    before = await _current(evaluator.database, template)
    judge = Judge(
        database=evaluator.database,
        pool=evaluator.pool,
        clock=evaluator.clock,
        by=by,
        kept=_kept(before, author.person),
        current=before,
    )
    async with language_model(settings) as model:
        written = await write(model, judge, asked, seconds=settings.seconds, current=before)
    if before is None or template is None:
        row = drafts.new_row(written.blueprint, by=by or OPERATOR_NAME, now=evaluator.clock(), draft_id=ident)
        stored_draft = await drafts.store_new(evaluator.database, row, by=author.acted_by)
        return Drafted(written=written, model=settings.model, draft=stored_draft)
    proposal = Proposal(
        template=template,
        title=" ".join(asked.split())[:_LONGEST_TITLE],
        description=asked,
        patch=await evaluator.pool.run(patch_between, before, written.blueprint, by=by),
        type="other",
        source="llm",
    )
    made = await suggestions.propose(evaluator, author, proposal, suggestion_id=ident)
    return Drafted(written=written, model=settings.model, suggestion=made)


async def _current(database: Database, template: str | None) -> dict[str, Any] | None:
    return None if template is None else (await database.read(stored.current, template)).blueprint


def _kept(current: dict[str, Any] | None, person: str | None) -> dict[str, Any]:
    """Return what a model does not choose: name, version and owner of the process, or of the one who asks."""
    if current is not None:
        return {name: current[name] for name in ("name", "version", "owner") if name in current}
    return {"version": "1.0.0"} | ({} if person is None else {"owner": f"user:{person}"})
