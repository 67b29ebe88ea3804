"""Retention as its page shows it: what is kept how long, what was last deleted, and the rules of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from placet.errors import InputInvalid
from service.retention.kinds import CONTENTS, KINDS, SLA_EXECUTIONS
from service.retention.periods import Periods
from service.retention.rules import MOST_DAYS
from storage.queries import retention
from storage.queries.definitions import definitions
from storage.retention.contents import count_due
from storage.tables.retention import KeptContent, RetentionRule
from web.forms.fields import Field
from web.forms.reading import Entries
from web.languages import Wording
from web.paging import PAGE
from web.views.words import marked

WORDS: Final = {
    CONTENTS: (marked("Contents of requests that have ended"), "PLACET_CONTENT_DAYS"),
    "messages": (marked("Messages that were sent or given up"), "PLACET_MESSAGES_DAYS"),
    "notifications": (marked("Notifications of requests that have ended"), "PLACET_MESSAGES_DAYS"),
    "answers": (marked("Answers to repeated calls"), "PLACET_ANSWERS_DAYS"),
    "refusals": (marked("Refused calls"), "PLACET_REFUSALS_DAYS"),
    "simulations": (marked("Simulations"), "PLACET_SIMULATIONS_DAYS"),
    "event_logs": (marked("Imported event logs"), "PLACET_EVENT_LOGS_DAYS"),
    "drafts": (marked("Abandoned drafts"), "PLACET_DRAFTS_DAYS"),
    "published_drafts": (marked("What published drafts held on their way"), "PLACET_DRAFTS_DAYS"),
    SLA_EXECUTIONS: (marked("What SLAs have judged"), "PLACET_SLA_EXECUTIONS_DAYS"),
    "marks": (marked("How far people have read"), "PLACET_MARKS_DAYS"),
    "sessions": (marked("Browser sessions"), ""),
    "login_codes": (marked("Addresses to log in"), ""),
    "step_ups": (marked("Decisions that wait to be signed"), ""),
    "challenges": (marked("Challenges of passkeys"), ""),
    "rate_counts": (marked("Counters of rate limits"), ""),
}
"""What each kind is called, and the setting that says how long it is kept, in the order in which the page has them."""
_MOST_NAMES = 200  # in a list to choose from; beyond it a name is typed
_MOST_KEPT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KindLine:
    """One kind: how long it is kept, in words, when it was last looked at, and how many rows were deleted;
    None where nobody has looked yet."""

    word: str
    setting: str
    kept: str
    ran_at: datetime | None
    rows: str | None
    total: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """The rule of one process, in words."""

    row: RetentionRule
    kept: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionView:
    """What the page shows; `unerased` are the latest of `unerased_count` requests whose content could not be erased."""

    kinds: tuple[KindLine, ...]
    rules: tuple[RuleLine, ...]
    next_cursor: str | None
    usual: str
    names: tuple[str, ...]
    unerased_count: int
    unerased: Sequence[KeptContent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of one process's retention that was sent; `rule` is to be removed, where it is there."""

    template: str
    days: int | None
    rule: str | None


def read_retention(connection: Connection, periods: Periods, wording: Wording, cursor: str | None) -> RetentionView:
    """Read what the page shows; raises InputInvalid for an invalid cursor."""
    page = retention.page(connection, limit=PAGE, cursor=cursor)
    runs = retention.runs(connection)
    days = {kind.name: None if kind.days is None else kind.kept(periods) for kind in KINDS}
    days |= {SLA_EXECUTIONS: periods.sla_executions}
    lines: list[KindLine] = []
    for name, (word, setting) in WORDS.items():
        run = runs.get(name)
        if name == CONTENTS:
            kept = kept_for(periods.contents, wording)
        elif (number := days[name]) is None:
            kept = wording.say("until they end")
        else:
            kept = kept_for(number, wording)
        lines.append(
            KindLine(
                word=wording.say(word),
                setting=setting,
                kept=kept,
                ran_at=None if run is None else run.ran_at,
                rows=None if run is None else wording.number(run.rows),
                total=None if run is None else wording.number(run.total),
            )
        )
    names = definitions.released_names(connection, most=_MOST_NAMES + 1)
    number, unerased = retention.kept(connection, most=_MOST_KEPT)
    return RetentionView(
        kinds=tuple(lines),
        rules=tuple(RuleLine(row=row, kept=kept_for(row.content_days, wording)) for row in page.items),
        next_cursor=page.next_cursor,
        usual=kept_for(periods.contents, wording),
        names=tuple(names) if len(names) <= _MOST_NAMES else (),
        unerased_count=number,
        unerased=unerased,
    )


def kept_for(days: int | None, wording: Wording) -> str:
    """Say for how long something is kept."""
    if days is None:
        return wording.say("for good")
    return wording.say_number("{count} day", "{count} days", days).format(count=wording.number(days))


def rule_fields(entries: Entries | None, names: Sequence[str], wording: Wording) -> tuple[Field, ...]:
    """Return the fields of a rule, with what was entered."""
    say = wording.say
    process = Field(
        name="process",
        pointer="/template",
        label=say("Process"),
        widget="choice" if names else "text",
        options=tuple((name, name) for name in names),
        value=entries.text("process") if entries is not None else "",
        required=True,
        longest=200,
    )
    days = Field(
        name="days",
        pointer="/content_days",
        label=say("Days after the end of a request"),
        widget="number",
        value=entries.text("days") if entries is not None else "",
        minimum="1",
        maximum=str(MOST_DAYS),
        step="1",
        help=say("Nothing entered keeps contents for good, whatever the installation does otherwise."),
    )
    return process, days


def read_change(entries: Entries, periods: Periods, wording: Wording) -> Change:
    """Read what was sent; raises InputInvalid with the place."""
    template = entries.text("process")[:200]
    if not template:
        raise InputInvalid.at("/template", wording.say("Choose a process."))
    if rule := entries.text("remove"):
        return Change(template=template, days=periods.contents, rule=rule[:100])
    text = entries.text("days")
    if not text:
        return Change(template=template, days=None, rule=None)
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 1 <= int(text) <= MOST_DAYS):
        said = wording.say("Enter whole days from 1 to {most}, or nothing to keep contents for good.")
        raise InputInvalid.at("/content_days", said.format(most=wording.number(MOST_DAYS)))
    return Change(template=template, days=int(text), rule=None)


def due_by(connection: Connection, change: Change, now: datetime) -> int:
    """Return how many requests' contents a change would have erased at once."""
    return 0 if change.days is None else count_due(connection, change.template, now - timedelta(days=change.days))
