"""One suggestion as it is shown: evidence, the change in words, what the proofs find, the backtest, the decision."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from placet.errors import NotFound
from service.drafts.work import Comparison
from service.principal import Principal
from service.suggestions import suggestions
from service.suggestions.stored_words import findings_of, no_backtest
from service.visibility import see_request
from storage.queries import canaries
from storage.queries.definitions import definitions, drafts
from storage.tables.approvals import DefinitionVersion
from storage.tables.suggestions import WorkflowSuggestion
from web.canaries.listing import MOST_CHOICES
from web.editor.findings import FindingLine, line_of
from web.languages import Wording, utc
from web.paging import address_of
from web.simulations.figures import hours_of
from web.suggestions.wording import (
    SOURCES,
    STATUSES,
    TONES,
    TYPES,
    bound,
    chance,
    facts,
    least,
    people_of,
    told,
)
from web.views.people import names_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    """What was decided about a suggestion, by whom and when; `notes` are their words."""

    by: str
    at: datetime
    notes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftView:
    """The version that accepting made. `editor` is its draft's address in the editor; None until somebody opens it.

    `canary` is the address of the form that begins a canary with it; None where none can begin.
    """

    version: str
    published: bool
    address: str
    editor: str | None
    canary: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestView:
    """How past requests would have gone: each line has a measure, before and after. `why` says why there is none."""

    why: str = ""
    compared: int = 0
    unknown: int = 0
    different: str = ""
    left_out: int = 0
    lines: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionPage:
    """One suggestion."""

    id: str
    title: str
    description: str
    process: str
    version: str
    version_id: str | None  # None where that version cannot be found
    newest: str | None  # a version that was published since
    type: str
    source: str
    by: str
    status: str
    word: str
    tone: str
    confidence: str  # or that nothing is known
    bound: str
    chance: str  # empty without a model
    count: int
    begin: datetime | None
    end: datetime | None
    facts: tuple[tuple[str, str], ...]
    examples: tuple[tuple[str, str], ...]  # id and title
    hidden: int  # examples that the reader may not see
    patch: str
    findings: tuple[FindingLine, ...]
    errors: int
    backtest: BacktestView
    review: ReviewView | None
    draft: DraftView | None
    created_at: datetime
    updated_at: datetime


def draft_id_of(suggestion_id: str) -> str:
    """Return the id of the one draft in the editor that goes on from an accepted suggestion."""
    return f"suggestion-{suggestion_id}"


def read_suggestion(
    connection: Connection, principal: Principal, suggestion_id: str, wording: Wording
) -> tuple[SuggestionPage, dict[str, Any] | None, dict[str, Any]]:
    """Read a suggestion, the blueprint that it was made for (None where it is gone), and the changed one.

    Raises NotFound.
    """
    found = suggestions.show(connection, suggestion_id)
    row, say = found.row, wording.say
    base = newest = None
    with suppress(NotFound):
        base = definitions.find(connection, row.template, row.version)
    with suppress(NotFound):
        newest = definitions.find(connection, row.template)
    names = names_of(connection, people_of(row))
    examples: list[tuple[str, str]] = []
    given = [str(one) for one in row.supporting_data.get("examples") or ()]
    for ident in given:
        with suppress(NotFound):
            examples.append((ident, see_request(connection, principal, ident, wording.now).request.title))
    period = row.supporting_data.get("period") or {}
    findings = findings_of(row)
    draft = None
    if found.draft is not None:
        editor = None
        begins = found.draft.id in {one.id for one in canaries.candidates(connection, limit=MOST_CHOICES)}
        with suppress(NotFound):
            editor = f"/drafts/{drafts.get(connection, draft_id_of(row.id)).id}"
        draft = DraftView(
            version=found.draft.version,
            published=found.draft.status != "draft",
            address=f"/processes/{found.draft.id}",
            editor=editor,
            canary=address_of("/canaries", version=found.draft.id) if begins else None,
        )
    review = None
    if row.reviewed_at is not None:
        review = ReviewView(by=names(row.reviewed_by), at=row.reviewed_at, notes=row.review_notes or "")
    page = SuggestionPage(
        id=row.id,
        title=told(row, "title", names, wording),
        description=told(row, "description", names, wording),
        process=row.template,
        version=row.version,
        version_id=None if base is None else base.id,
        newest=_newer(row.version, newest),
        type=say(TYPES.get(row.suggestion_type, row.suggestion_type)),
        source=say(SOURCES.get(row.source, row.source)),
        by=names(row.created_by),
        status=row.status,
        word=say(STATUSES.get(row.status, row.status)),
        tone=TONES.get(row.status, "open"),
        confidence=least(row, wording),
        bound=bound(row, wording),
        chance=chance(row, wording),
        count=int(row.supporting_data.get("count") or 0),
        begin=utc(str(period.get("from") or "")),
        end=utc(str(period.get("to") or "")),
        facts=tuple(facts(row.supporting_data, wording)),
        examples=tuple(examples),
        hidden=len(given) - len(examples),
        patch=json.dumps(row.patch, ensure_ascii=False, indent=2),
        findings=tuple(line_of(row.blueprint, one, "", wording) for one in findings),
        errors=sum(one.severity == "error" for one in findings),
        backtest=_backtest(row, wording),
        review=review,
        draft=draft,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
    return page, None if base is None else base.blueprint, row.blueprint


def changes_of(compared: Comparison | None) -> tuple[str, ...]:
    """Return how the changed blueprint differs, as the editor tells it; nothing where it can be no blueprint."""
    if compared is None or compared.change is None:
        return ()
    return tuple(reason.message for reason in compared.change.reasons)


def _newer(version: str, newest: DefinitionVersion | None) -> str | None:
    return None if newest is None or newest.version == version else newest.version


def _backtest(row: WorkflowSuggestion, wording: Wording) -> BacktestView:
    say, backtest = wording.say, row.backtest
    if backtest is None:
        return BacktestView(why=say("It was not simulated."))
    if (why := no_backtest(row)) is not None:
        return BacktestView(why=wording.tell(why))
    left_out, totals = int(backtest.get("left_out") or 0), backtest.get("totals") or {}
    if not totals.get("known"):
        unknown = int(totals.get("unknown") or 0)
        return BacktestView(why=say("No past request could be compared."), left_out=left_out, unknown=unknown)
    hours, breached, cost = totals["hours"], totals["breached"], totals.get("cost") or {}
    number = wording.number
    lines = [
        (
            say("Median duration"),
            hours_of(hours["median_before"], wording),
            hours_of(hours["median_after"], wording),
        ),
        (say("Requests that were overdue"), number(int(breached["before"])), number(int(breached["after"]))),
    ]
    costs = [wording.as_decimal(cost.get(name)) for name in ("before", "after")]
    if any(costs):
        before, after = ("" if one is None else number(one) for one in costs)
        lines.append((say("Cost"), before, after))
    different = totals["outcome_changed"]
    return BacktestView(
        compared=int(totals["known"]),
        unknown=int(totals["unknown"]),
        different=say("{count} of {of}").format(count=number(different["count"]), of=number(different["of"])),
        left_out=left_out,
        lines=tuple(lines),
    )
