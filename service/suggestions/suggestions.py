"""Make suggestions by hand, show them, and accept or reject them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection

from placet.audit.admin_acts import Act, ActedBy
from placet.errors import Conflict, Unavailable
from service.administration.acts import write_with_act
from service.context import Context
from service.definitions import act_of, unstored_version
from service.principal import Principal
from service.suggestions.evaluation import Evaluator
from service.suggestions.patching import next_version
from service.suggestions.stored_words import words_of
from service.visibility import viewer_of
from storage.queries import suggestions
from storage.queries.cursor import Page
from storage.queries.definitions import definitions
from storage.queries.definitions.definitions import VersionHeader
from storage.recording import admin_acts
from storage.tables.approvals import DefinitionVersion
from storage.tables.suggestions import WorkflowSuggestion

COMPARED: Final = 1000  # past requests, the latest, on which a suggestion by hand is backtested
_TRIES = 8  # of numbering the draft, while others make versions as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A suggestion as a person makes it, or has it written (`source` is `person` or `llm`)."""

    template: str
    title: str
    description: str
    patch: Any
    type: str
    source: Literal["person", "llm"] = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who suggests: a person, or None for the operator. `viewer` is whose requests are compared; None: everybody's."""

    person: str | None
    acted_by: ActedBy
    viewer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionWithDraft:
    """A suggestion, and the version that accepting it made."""

    row: WorkflowSuggestion
    draft: VersionHeader | None = None


async def suggest(
    context: Context, principal: Principal, proposal: Proposal, *, suggestion_id: str
) -> SuggestionWithDraft:
    """Store a suggestion of somebody's, as `propose` does."""
    author = Author(person=principal.person, acted_by=principal.acted_by, viewer=viewer_of(principal))
    return await propose(Evaluator.of(context), author, proposal, suggestion_id=suggestion_id)


async def propose(
    evaluator: Evaluator, author: Author, proposal: Proposal, *, suggestion_id: str
) -> SuggestionWithDraft:
    """Store a suggestion with its proofs and its backtest; the same id again is the same suggestion.

    Its confidence is how sure it is that past requests would have ended as they did. Raises InputInvalid, also where
    there is no such process, Busy and TooMuchWork.
    """
    database = evaluator.database
    if await database.read(suggestions.there, suggestion_id):
        return await database.read(show, suggestion_id)
    version = await database.read(suggestions.current, proposal.template)
    found = await evaluator.evaluate(
        version.blueprint,
        proposal.patch,
        by=author.person or "",
        viewer=author.viewer,
        limit=COMPARED,
    )
    now = evaluator.clock()
    row = WorkflowSuggestion(
        id=suggestion_id,
        template=version.name,
        version=version.version,
        suggestion_type=proposal.type,
        source=proposal.source,
        subject=[version.name, suggestion_id],
        subject_id=suggestion_id,
        title=proposal.title,
        description=proposal.description,
        words=words_of(proposal.title, proposal.description, found),
        patch=proposal.patch,
        blueprint=found.blueprint,
        confidence=found.same_outcome,
        supporting_data={"count": found.compared, "period": {"from": None, "to": None}, "examples": []},
        findings=found.findings,
        backtest=found.backtest,
        created_by=author.person,
        created_at=now,
        updated_at=now,
    )

    def act(new: bool) -> Act | None:
        return _act("suggestion_added", row) if new else None

    await write_with_act(database, author.acted_by, now, act, suggestions.insert, row)
    return await database.read(show, suggestion_id)


def show(connection: Connection, suggestion_id: str) -> SuggestionWithDraft:
    """Return a suggestion; raises NotFound."""
    return with_drafts(connection, [suggestions.get(connection, suggestion_id)])[0]


def list_(
    connection: Connection, *, limit: int, cursor: str | None, equal: Mapping[str, str | None]
) -> Page[SuggestionWithDraft]:
    """List suggestions, newest first."""
    page = suggestions.page(connection, limit=limit, cursor=cursor, equal=equal)
    return Page(items=tuple(with_drafts(connection, page.items)), next_cursor=page.next_cursor)


def with_drafts(connection: Connection, rows: Sequence[WorkflowSuggestion]) -> list[SuggestionWithDraft]:
    """Return suggestions with the versions that accepting them made."""
    drafts = suggestions.drafts_of(connection, rows)
    return [SuggestionWithDraft(row=row, draft=drafts.get(row.draft_id or "")) for row in rows]


async def accept(
    context: Context, principal: Principal, suggestion_id: str, *, notes: str | None = None
) -> SuggestionWithDraft:
    """Accept a suggestion: the next version of its process becomes a draft, which is still to be proved and published.

    What was published since it was suggested is kept. Raises NotFound, Conflict where it was reviewed before or the
    same places have changed since, and BlueprintInvalid where it leads to no blueprint.
    """
    for _ in range(_TRIES):
        row, base, current, taken = await context.database.read(_around, suggestion_id)
        document = await context.pool.run(
            next_version, base.blueprint, row.blueprint, current.blueprint, taken, by=principal.person
        )
        draft = await unstored_version(context, principal, document)
        now = context.now()

        def store(connection: Connection, made: DefinitionVersion = draft) -> SuggestionWithDraft:
            reviewed = suggestions.review(
                connection,
                suggestion_id,
                status="accepted",
                notes=notes,
                by=principal.person,
                now=made.created_at,
                draft_id=made.id,
            )
            stored = definitions.insert(connection, made)
            admin_acts.record(connection, principal.acted_by, act_of("version_created", stored), made.created_at)
            return with_drafts(connection, [reviewed])[0]

        try:
            return await write_with_act(
                context.database, principal.acted_by, now, lambda done: _act("suggestion_accepted", done.row), store
            )
        except Conflict:
            versions = await context.database.read(suggestions.versions_of, draft.name)
            if draft.version in taken or draft.version not in versions:
                raise  # it was reviewed meanwhile, or its own number is taken
    raise Unavailable("others made versions of this process during each attempt")


async def reject(
    context: Context, principal: Principal, suggestion_id: str, *, notes: str | None = None
) -> SuggestionWithDraft:
    """Reject a suggestion; it comes back only with other evidence. Raises NotFound and Conflict."""
    now = context.now()
    row = await write_with_act(
        context.database,
        principal.acted_by,
        now,
        lambda done: _act("suggestion_rejected", done),
        suggestions.review,
        suggestion_id,
        status="rejected",
        notes=notes,
        by=principal.person,
        now=now,
    )
    return SuggestionWithDraft(row=row)


def _around(
    connection: Connection, suggestion_id: str
) -> tuple[WorkflowSuggestion, DefinitionVersion, DefinitionVersion, frozenset[str]]:
    """Return a pending suggestion, the version it was made for, the current one, and all version numbers."""
    row = suggestions.get(connection, suggestion_id)
    suggestions.require_pending(row)
    return (
        row,
        definitions.find(connection, row.template, row.version),
        definitions.find(connection, row.template),
        suggestions.versions_of(connection, row.template),
    )


def _act(kind: str, row: WorkflowSuggestion) -> Act:
    detail = {"process": row.template, "version": row.version, "type": row.suggestion_type, "source": row.source}
    return Act(kind=kind, target=f"suggestion:{row.id}", detail=detail)
