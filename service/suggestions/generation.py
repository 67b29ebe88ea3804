"""Generate suggestions: mine the past of processes, and keep what is new with its proofs and its backtest.

What is suggested already is not suggested again: its evidence is counted anew while it is pending. What was rejected
comes back only when its evidence has changed (`has_grown`), and what was accepted once its version is in use and the
same is still to be found.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from insight.mining.mine import mine
from insight.mining.stored import read_history
from insight.mining.suggestion import Finding
from insight.scoring.scorer import Learned
from placet.audit.admin_acts import Act, ActedBy
from placet.audit.chain import canonical_json
from placet.errors import InputInvalid, PlacetError
from placet.sentences import sentence
from service.context import Context
from service.suggestions import scoring
from service.suggestions.evaluation import Evaluator
from service.suggestions.stored_words import words_of
from service.suggestions.suggestions import SuggestionWithDraft
from simulation.report.result import json_value
from storage.queries import suggestions
from storage.queries.definitions import definitions
from storage.recording import admin_acts
from storage.tables.approvals import DefinitionVersion
from storage.tables.suggestions import WorkflowSuggestion

DAYS: Final = 30
LEAST_OCCURRENCES: Final = 10
MOST_DAYS: Final = 3660
COMPARED: Final = 300  # past requests, the latest, on which each suggestion is backtested
MOST_FINDINGS: Final = 50  # of one process in one run, the most certain first
_GROWN = 1.2  # the factor of occurrences from which evidence is another
_MOVED = 0.05  # the difference of confidence from which it is
_MINING_SECONDS = 120  # of processor time for one process
_NIGHT_BEGINS = 2  # o'clock, UTC
_EVERY = 600.0  # seconds between looks whether the night's run is still to be made
_NIGHT = "suggestions"
_LEASE = timedelta(hours=1)  # after which a night that a process has died in is another's
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which past is mined: of how many days, of which process (None: of all), and how often anything has to occur."""

    days: int = DAYS
    min_occurrences: int = LEAST_OCCURRENCES
    template: str | None = None

    def check(self) -> None:
        """Raise InputInvalid for numbers out of their range."""
        for name, value, most in (("days", self.days, MOST_DAYS), ("min_occurrences", self.min_occurrences, 10**6)):
            if not 1 <= value <= most:
                raise InputInvalid.at(f"/{name}", sentence("give a whole number from 1 to {most}", most=most))


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What came of a run: the new suggestions, how many pending ones have newer evidence, and what could not be mined.

    `left_out` has the name of a process, and why. `learned` is what is known of how people decide here; where it has a
    scorer, the new ones come the likeliest to be accepted first, and `held_back` counts what was found and is not
    suggested, since the like is hardly ever accepted.
    """

    created: tuple[WorkflowSuggestion, ...]
    refreshed: int
    left_out: tuple[tuple[str, str], ...]
    learned: Learned
    held_back: int = 0

    @property
    def items(self) -> list[SuggestionWithDraft]:
        """The new suggestions, none of which has a draft."""
        return [SuggestionWithDraft(row=row) for row in self.created]


async def generate(
    evaluator: Evaluator, order: Order, *, by: ActedBy | None = None, background: bool = False
) -> Generated:
    """Mine the past, and store what it suggests; `by` puts on record who asked for it.

    Raises InputInvalid, also where there is no such process; and where one is named, what keeps it from being mined.
    """
    order.check()
    now = evaluator.clock()
    versions = await evaluator.database.read(_versions, order.template)
    learned = await scoring.learn_from_reviews(evaluator.database, evaluator.pool, background=background)
    found: list[WorkflowSuggestion] = []
    pending: set[str] = set()
    left_out: list[tuple[str, str]] = []
    for version in versions:
        try:
            rows, known = await _suggested(evaluator, version, order, now, background=background)
            found += rows
            pending |= known
        except PlacetError as error:
            if order.template is not None:
                raise
            left_out.append((version.name, error.message))

    chosen = scoring.choose(found, learned, keep=lambda row: row.id in pending)

    def store(connection: Connection) -> Generated:
        created, refreshed = [], 0
        for row in chosen.rows:
            if suggestions.there(connection, row.id):
                suggestions.refresh(connection, row.id, _evidence(row))
                refreshed += 1
            elif suggestions.insert(connection, row):
                created.append(row)
        if by is not None and (created or refreshed):
            detail = {
                "process": order.template,
                "days": order.days,
                "min_occurrences": order.min_occurrences,
                "created": len(created),
                "refreshed": refreshed,
            }
            target = f"process:{order.template}" if order.template is not None else "processes"
            admin_acts.record(connection, by, Act(kind="suggestions_generated", target=target, detail=detail), now)
        return Generated(
            created=tuple(created),
            refreshed=refreshed,
            left_out=tuple(left_out),
            learned=learned,
            held_back=chosen.held_back,
        )

    return await evaluator.database.write(store)


def subject_id(subject: Sequence[str]) -> str:
    """Return the digest of what a suggestion is about."""
    return hashlib.sha256(canonical_json(list(subject))).hexdigest()


def has_grown(row: WorkflowSuggestion, finding: Finding) -> bool:
    """Whether a finding has other evidence than a suggestion had: a fifth more occurrences, or another confidence."""
    counted = int(row.supporting_data.get("count", 0))
    return finding.evidence["count"] >= counted * _GROWN or abs(finding.confidence - row.confidence) >= _MOVED


async def watch(context: Context) -> None:
    """Generate suggestions once a night, in whichever process comes first, until cancelled."""
    while True:
        await asyncio.sleep(_EVERY)
        with suppress(Exception):  # `tonight` has logged it; the next look is the next attempt
            await tonight(context)


async def tonight(context: Context) -> Generated | None:
    """Generate suggestions of all processes, unless it is not night yet or that was done; None where it was not.

    Whoever takes the night has it for an hour. A process that dies, or loses its database, leaves it to whoever looks
    next from then on. Storing is idempotent, so that of a run which takes longer nothing is stored twice.
    """
    now = context.now()
    if now.hour < _NIGHT_BEGINS:
        return None
    day = now.date()
    if not await context.database.write(suggestions.take_night, _NIGHT, day, now=now, until=now + _LEASE):
        return None
    try:
        made = await generate(Evaluator.of(context), Order(), background=True)
    except Exception:
        _log.exception("suggestions_failed")
        raise
    await context.database.write(suggestions.end_night, _NIGHT, day)
    _log.info(
        "suggestions_generated",
        created=len(made.created),
        refreshed=made.refreshed,
        held_back=made.held_back,
        left_out=[f"{name}: {why}" for name, why in made.left_out],
    )
    return made


async def _suggested(
    evaluator: Evaluator, version: DefinitionVersion, order: Order, now: datetime, *, background: bool
) -> tuple[list[WorkflowSuggestion], set[str]]:
    """Return what the past of a process suggests and nobody was told yet, and pending suggestions with new evidence.

    The ids of the latter come second.
    """
    since = now - timedelta(days=order.days)
    history = await read_history(evaluator.database, version.name, since=since, now=now)
    if not len(history.tasks):
        return [], set()
    findings = await evaluator.pool.run(
        mine, version.blueprint, history, order.min_occurrences, seconds=_MINING_SECONDS, background=background
    )
    found: list[WorkflowSuggestion] = []
    pending: set[str] = set()
    for finding in findings[:MOST_FINDINGS]:
        about = subject_id((finding.kind, *finding.subject))
        before = await evaluator.database.read(suggestions.latest, version.name, about)
        row = _row(version, finding, about, now)
        if before is not None and before.status == "pending":
            if _same_evidence(before, row):
                continue
            row.id = before.id
            pending.add(row.id)
        elif before is not None and not _comes_back(before, version, finding):
            continue
        evaluated = await evaluator.evaluate(
            version.blueprint, row.patch, by="", viewer=None, limit=COMPARED, background=background
        )
        row.blueprint, row.findings, row.backtest = evaluated.blueprint, evaluated.findings, evaluated.backtest
        row.words = words_of(finding.title, finding.description, evaluated)
        found.append(row)
    return found, pending


def _comes_back(before: WorkflowSuggestion, version: DefinitionVersion, finding: Finding) -> bool:
    """Whether something is suggested again that was reviewed."""
    waits = before.status == "accepted" and before.version == version.version  # for its draft to be published
    return not waits and has_grown(before, finding)


def _versions(connection: Connection, template: str | None) -> list[DefinitionVersion]:
    names = [template] if template is not None else sorted(definitions.published_names(connection))
    return [suggestions.current(connection, name) for name in names]


def _row(version: DefinitionVersion, finding: Finding, about: str, now: datetime) -> WorkflowSuggestion:
    return WorkflowSuggestion(
        id=uuid.uuid4().hex,
        template=version.name,
        version=version.version,
        suggestion_type=finding.kind,
        source="rule",
        subject=[finding.kind, *finding.subject],
        subject_id=about,
        title=str(finding.title),
        description=str(finding.description),
        patch=json_value([dict(operation) for operation in finding.patch]),
        blueprint={},
        confidence=finding.confidence,
        supporting_data=json_value(dict(finding.evidence)),
        findings=[],
        created_at=now,
        updated_at=now,
    )


def _same_evidence(before: WorkflowSuggestion, row: WorkflowSuggestion) -> bool:
    return all(getattr(before, name) == getattr(row, name) for name in ("version", "patch", "supporting_data"))


def _evidence(row: WorkflowSuggestion) -> dict[str, Any]:
    """Return what newer evidence changes in a pending suggestion."""
    names = (
        "version", "title", "description", "words", "patch", "blueprint", "confidence", "score", "supporting_data",
        "findings", "backtest", "stored_format", "updated_at",
    )  # fmt: skip
    return {name: getattr(row, name) for name in names}
