"""Timelines of simulated requests: their steps as sentences, alone and beside those of another timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from simulation.report.comparison import TOLERANCE
from storage.queries.requests.timelines import TimelineRow
from web.languages import Wording
from web.simulations.wording import DETAILS, span
from web.views.people import names_of
from web.views.requests.timeline import lines_of, people_in
from web.views.versions import Version

_NO_VERSION = Version(id="", definition=None, amount=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: how long after the start, and what happens, in words."""

    after: str
    sentence: str
    said: str | None
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedStep:
    """One step of two timelines; `word` says how both differ, and is empty where they are the same."""

    one: Step | None
    other: Step | None
    word: str

    @property
    def same(self) -> bool:
        """Whether both sides are the same."""
        return not self.word


def steps_of(connection: Connection, path: Sequence[Mapping[str, Any]], wording: Wording) -> tuple[Step, ...]:
    """Return the steps of an execution path, as the result of a simulation has it."""
    return _steps(connection, [(step, int(step["after_ms"])) for step in path], wording)


def compared_steps(
    connection: Connection,
    rows: Sequence[Mapping[str, Any]],
    wording: Wording,
    *,
    one: str,
    other: str,
) -> tuple[ComparedStep, ...]:
    """Return two timelines that were aligned (simulation.report.comparison); `one` and `other` name them."""
    given = [side for row in rows for side in (row["one"], row["other"]) if side is not None]
    steps = iter(_steps(connection, [(side, int(side["after_ms"])) for side in given], wording))
    found = []
    for row in rows:
        left = next(steps) if row["one"] is not None else None
        right = next(steps) if row["other"] is not None else None
        found.append(ComparedStep(one=left, other=right, word=_word(row, left, right, wording, (one, other))))
    return tuple(found)


def _word(
    row: Mapping[str, Any], left: Step | None, right: Step | None, wording: Wording, names: tuple[str, str]
) -> str:
    say = wording.say
    if row["same"]:
        return ""
    if left is None or right is None:
        return say("only in: {side}").format(side=names[0] if right is None else names[1])
    differs = row.get("differs") or ()  # results from before it was told have none
    later = int(row["other"]["after_ms"]) - int(row["one"]["after_ms"])
    if left.after != right.after and (not differs or abs(later) >= TOLERANCE // timedelta(milliseconds=1)):
        text = say("{span} later") if later > 0 else say("{span} earlier")
        return text.format(span=span(round(abs(later), -3), wording))
    if left.sentence != right.sentence:
        return say("happens differently")
    found = [say(DETAILS[name]) for name in differs if name in DETAILS]
    if not found:
        return say("other details")
    return say("other details: {names}").format(names=", ".join(dict.fromkeys(found)))


def _steps(
    connection: Connection, given: Sequence[tuple[Mapping[str, Any], int]], wording: Wording
) -> tuple[Step, ...]:
    start = wording.now
    rows = [_entry(number, step, start + timedelta(milliseconds=after)) for number, (step, after) in enumerate(given)]
    lines = lines_of(rows, _NO_VERSION, names_of(connection, people_in(rows)), wording)
    return tuple(
        Step(after=span(after, wording), sentence=line.sentence, said=line.said, tone=line.tone)
        for line, (_, after) in zip(lines, given, strict=True)
    )


def _entry(number: int, step: Mapping[str, Any], at: datetime) -> TimelineRow:
    return TimelineRow(
        seq=number,
        at=at,
        kind=str(step["kind"]),
        actor=str(step["actor"]),
        stage=step["stage"],
        task_id=step.get("task_id"),
        detail=dict(step["detail"]),
        hash="",
    )
