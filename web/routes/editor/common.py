"""What the pages of one draft share: the draft as its reader sees it, and what it may name outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import Path
from sqlalchemy import Connection

from placet.definition.assignees import parse_assignee
from placet.errors import PlacetError
from service.drafts import analysis
from service.drafts.analysis import Analysis
from service.drafts.draft import Draft
from storage.queries import actions
from storage.queries.definitions import definitions
from web.access import rule_of
from web.editor import parts
from web.editor.findings import ReportView, report_of
from web.editor.page import Surroundings
from web.routes.common import WebContext
from web.views.people import Names, names_of
from web.views.words import marked
from web.visitor import Visitor

DraftId = Annotated[str, Path(max_length=200)]
PART: Final = "x-placet-part"  # of a script, which puts the answer in place; a form without it is led on to the page
STATUSES: Final = {
    "open": (marked("Draft"), "open"),
    "submitted": (marked("Waits to be published"), "warn"),
    "published": (marked("Published"), "good"),
    "discarded": (marked("Discarded"), "bad"),
}


@dataclass(frozen=True, kw_only=True)
class DraftLine:
    """A draft as pages head it."""

    id: str
    base: str
    name: str
    version: str
    status: str
    status_word: str
    tone: str
    based_on: str | None
    revision: int
    changed_by: str
    changed_at: datetime
    closed: bool
    may_edit: bool
    may_try: bool


def line_of(draft: Draft, named: Names, visitor: Visitor) -> DraftLine:
    """Return what heads the pages of a draft."""
    word, tone = STATUSES[draft.status]
    return DraftLine(
        id=draft.id,
        base=f"/drafts/{draft.id}",
        name=str(draft.content.get("name") or draft.process),
        version=str(draft.content.get("version") or ""),
        status=draft.status,
        status_word=visitor.wording.say(word),
        tone=tone,
        based_on=draft.based_on,
        revision=draft.revision,
        changed_by=named(draft.updated_by),
        changed_at=draft.updated_at,
        closed=draft.status in {"published", "discarded"},
        may_edit=draft.status == "open" and bool(visitor.principal.access & rule_of("POST", "/drafts/{draft_id}")),
        may_try=bool(visitor.principal.access & rule_of("POST", "/drafts/{draft_id}/try")),
    )


async def headed(here: WebContext, visitor: Visitor, draft: Draft) -> DraftLine:
    """Read what heads a page of a draft that shows none of its forms."""
    return line_of(draft, await here.context.database.read(names_of, [draft.updated_by]), visitor)


async def report_about(here: WebContext, visitor: Visitor, draft: Draft) -> tuple[ReportView, Analysis]:
    """Prove a draft, and compare it with the version before it; raises Busy and TooMuchWork."""
    found = await analysis.analyse(here.context, visitor.principal, draft)
    return report_of(draft.content, found, f"/drafts/{draft.id}", visitor.wording), found


async def around(here: WebContext, draft: Draft) -> tuple[Surroundings, Names]:
    """Read what the forms of a draft offer, and how people are called whom it names."""

    def read(connection: Connection) -> tuple[Surroundings, Names]:
        named = names_of(connection, {*_people(draft), draft.updated_by, draft.created_by})
        return (
            Surroundings(
                actions=tuple(sorted(actions.specs(connection))),
                processes=tuple(sorted(definitions.published_names(connection))),
                named=named,
            ),
            named,
        )

    return await here.context.database.read(read)


def _people(draft: Draft) -> set[str]:
    """Return the ids of the people whom the stages name."""
    found: set[str] = set()
    for _, step in parts.steps(draft.content):
        approvers = step.get("approvers")
        for one in approvers if isinstance(approvers, list) else ():
            try:
                root = parse_assignee(one if isinstance(one, str) else str(one["who"])).root
            except (PlacetError, KeyError, TypeError):
                continue
            if root.kind == "user":
                found.add(root.name)
    return found
