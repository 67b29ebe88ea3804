"""Event logs as pages show them: lines of the list, one log, what a preview finds, and a suggested process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.numbers import format_decimal, format_percent
from markupsafe import Markup
from sqlalchemy import Connection

from insight.event_logs.importing import seen_of
from insight.event_logs.labels import labels_of
from placet.proofs.findings import Finding
from placet.sentences import read_sentence
from storage.tables.event_logs import EventLog
from web.editor.findings import FindingLine, line_of
from web.editor.sketch import sketch_of
from web.event_logs.chart import Bar, bars_of
from web.event_logs.wording import ACTIVITIES, DEVIATIONS, MEANINGS, ROLES, STATUSES
from web.graph.drawing import draw
from web.languages import Wording
from web.simulations.figures import hours_of
from web.suggestions.wording import TYPES
from web.views.people import Names, names_of

_MOST_ACTIVITIES = 200
_COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """The decisions of a stage; `low` is the lower end of the 95 % interval of its share of approvals."""

    name: str
    decisions: int
    approved: str
    low: str
    returned: int
    half: str
    nine: str
    machine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityLine:
    """An activity, what it is taken for, and the stage that it belongs to."""

    name: str
    count: int
    kind: str
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogLine:
    """A log as the list and its page show it; counts are None until it is read."""

    id: str
    name: str
    status: str
    word: str
    tone: str
    file_name: str
    size: str
    cases: int | None
    events: int | None
    people: int | None
    activities: int | None
    began: datetime | None
    ended: datetime | None
    by: str
    created_at: datetime
    error: str | None
    warnings: tuple[str, ...]
    mapped: tuple[tuple[str, str], ...]
    stages: tuple[StageLine, ...]
    seen: tuple[ActivityLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewView:
    """The beginning of a file, read by a map; counts are None without one."""

    format: str
    whole: bool
    cases: int | None
    events: int
    people: int | None
    activities: int | None
    warnings: tuple[str, ...]
    first_cases: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]  # case: moment, activity, person
    kinds: tuple[ActivityLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviationLine:
    """How many later cases first differ in one way."""

    name: str
    meaning: str
    count: int
    share: str
    stages: str
    examples: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """What decides whether a stage is asked, and which share of later rounds that predicts."""

    stage: str
    condition: str | None
    variable: str | None
    asked: str
    predicts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MinedLine:
    """A change of the suggested process that the log bears out."""

    type: str
    title: str
    description: str
    confidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedProcess:
    """A process that is suggested from a log, and how well it fits later cases."""

    blueprint: str  # as JSON
    process: str
    drawing: Markup
    made_from: int
    cases: int
    reproduced: int
    reproduced_share: str
    by_rule: int
    by_rule_share: str
    chart: Markup
    deviations: tuple[DeviationLine, ...]
    findings: tuple[FindingLine, ...]
    errors: int
    stages: tuple[StageLine, ...]
    rules: tuple[RuleLine, ...]
    mined: tuple[MinedLine, ...]


def lines_of(connection: Connection, rows: Sequence[EventLog], wording: Wording) -> tuple[EventLogLine, ...]:
    """Return logs as they are shown."""
    named = names_of(connection, [row.created_by for row in rows])
    return tuple(_line(row, named, wording) for row in rows)


def preview_of(told: Mapping[str, Any], wording: Wording) -> PreviewView:
    """Return what a preview tells, as it is shown."""
    say = wording.say
    return PreviewView(
        format=str(told["format"]).upper(),
        whole=bool(told["whole"]),
        cases=told["cases"],
        events=int(told["events"]),
        people=told["people"],
        activities=told["activities"],
        warnings=tuple(told["warnings"]),
        first_cases=tuple(
            (str(case["case"]), tuple((one["at"], one["activity"], one["person"] or "") for one in case["events"]))
            for case in told["first_cases"]
        ),
        kinds=tuple(
            ActivityLine(
                name=str(one["activity"]),
                count=int(one["count"]),
                kind=say(ACTIVITIES.get(one["kind"], one["kind"])),
                stage=str(one["stage"]),
            )
            for one in told["activity_kinds"][:_MOST_ACTIVITIES]
        ),
    )


def suggested_of(connection: Connection, found: Mapping[str, Any], wording: Wording) -> SuggestedProcess:
    """Return a suggested process as it is shown."""
    say, fit, blueprint = wording.say, found["fit"], found["blueprint"]
    cases, reproduced, by_rule = int(fit["cases"]), int(fit["reproduced"]), int(fit["reproduced_by_rule"])
    deviations = tuple(
        DeviationLine(
            name=say(DEVIATIONS.get(one["kind"], one["kind"])),
            meaning=say(MEANINGS.get(one["kind"], one["means"])),
            count=int(one["count"]),
            share=_share(int(one["count"]), cases, wording),
            stages=", ".join(f"{name} ({wording.number(count)})" for name, count in one["stages"].items()),
            examples=", ".join(one["examples"]),
        )
        for one in fit["deviations"]
    )
    bars = [
        Bar(label=say("As the rules predict"), count=by_rule, kind="rule"),
        Bar(label=say("Allowed, by a choice that nothing explains"), count=reproduced - by_rule, kind="allowed"),
        *(Bar(label=one.name, count=one.count, kind="deviation") for one in deviations),
    ]
    findings = [
        Finding(**{name: one.get(name) for name in ("code", "severity", "pointer", "message", "witness")})
        for one in found["findings"]
    ]
    graph = sketch_of(blueprint, say, names_of(connection, []))
    drawing = draw(graph, None, name=say("The process {name}").format(name=blueprint["name"]))
    chart = bars_of(bars, cases, wording, name=say("How later cases fit the suggested process"))
    return SuggestedProcess(
        blueprint=json.dumps(blueprint, ensure_ascii=False),
        process=str(blueprint["name"]),
        drawing=Markup(drawing.svg),  # noqa: S704 - web.graph.drawing escapes every text
        made_from=int(found["made_from_cases"]),
        cases=cases,
        reproduced=reproduced,
        reproduced_share=_share(reproduced, cases, wording),
        by_rule=by_rule,
        by_rule_share=_share(by_rule, cases, wording),
        chart=Markup(chart),  # noqa: S704 - web.event_logs.chart escapes every text
        deviations=deviations,
        findings=tuple(line_of(blueprint, one, "", wording) for one in findings),
        errors=sum(one.severity == "error" for one in findings),
        stages=_stages(found["stages"], wording),
        rules=tuple(
            RuleLine(
                stage=str(one["stage"]),
                condition=one["condition"],
                variable=one["variable"],
                asked=say("{count} of {of}").format(
                    count=wording.number(int(one["asked"])), of=wording.number(int(one["of"]))
                ),
                predicts=_percent(float(one["predicts_later"]), wording),
            )
            for one in found["rules"]
        ),
        mined=tuple(
            MinedLine(
                type=say(TYPES.get(one["suggestion_type"], one["suggestion_type"])),
                title=wording.tell(one["title"]),
                description=wording.tell(one["description"]),
                confidence=_percent(float(one["confidence"]), wording),
            )
            for one in found["suggestions"]
        ),
    )


def _line(row: EventLog, named: Names, wording: Wording) -> EventLogLine:
    say, words = wording.say, row.words or {}
    word, tone = STATUSES[row.status]
    labels = labels_of(seen_of(row.seen or {}))
    seen = [
        ActivityLine(
            name=activity,
            count=int(counts[0]),
            kind=say(ACTIVITIES[labels[activity].kind]),
            stage=labels[activity].stage,
        )
        for activity, counts in (row.seen or {}).items()
    ]
    mapped = [
        (say(ROLES[role]), ", ".join(value) if isinstance(value, list) else str(value))
        for role in ROLES
        if (value := row.map.get(role))
    ]
    return EventLogLine(
        id=row.id,
        name=row.name,
        status=row.status,
        word=say(word),
        tone=tone,
        file_name=row.file_name,
        size=size_of(row.size, wording),
        cases=row.cases,
        events=row.events,
        people=row.people,
        activities=row.activities,
        began=row.began,
        ended=row.ended,
        by=say("the command line") if row.created_by.startswith(_COMMAND_LINE) else named(row.created_by),
        created_at=row.created_at,
        error=None if row.error is None else read_sentence(words.get(row.error), row.error),
        warnings=tuple(read_sentence(words.get(text), text) for text in row.warnings),
        mapped=tuple(mapped),
        stages=_stages(row.stages or (), wording),
        seen=tuple(sorted(seen, key=lambda one: -one.count)[:_MOST_ACTIVITIES]),
    )


def size_of(size: int, wording: Wording) -> str:
    """Write how large a file is."""
    if size < 1_000_000:
        return f"{wording.number(max(1, round(size / 1000)))} kB"
    return f"{format_decimal(size / 1e6, format='#,##0.#', locale=wording.locale)} MB"


def _stages(given: Sequence[Mapping[str, Any]], wording: Wording) -> tuple[StageLine, ...]:
    return tuple(
        StageLine(
            name=str(one["stage"]),
            decisions=int(one["decisions"]),
            approved=_percent(float(one["approval_rate"]), wording),
            low=_percent(float(one["approval_rate_low"]), wording),
            returned=int(one["returned"]),
            half=hours_of(one["wait_hours"].get("p50"), wording),
            nine=hours_of(one["wait_hours"].get("p90"), wording),
            machine=bool(one["machine"]),
        )
        for one in given
    )


def _share(count: int, of: int, wording: Wording) -> str:
    return _percent(count / of, wording) if of else "–"  # noqa: RUF001 - the dash of an empty value, as on other pages


def _percent(share: float, wording: Wording) -> str:
    return str(format_percent(share, format="#,##0.0 %", locale=wording.locale))
