"""What a draft does when it is tried out: every way through it, or the course of one request in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from placet.definition.variables import Variable
from web.languages import Wording
from web.views import words
from web.views.values import Fact, facts_of

_MOST = 200  # ways, or steps of a course, that are shown


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way through a draft, with an input that takes it."""

    outcome: str
    condition: str
    route: str
    duration: str
    witness: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class CourseStep:
    """One step of a rehearsed request: how long after its start, and what happens."""

    after: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of it."""

    title: str
    summary: str
    warnings: tuple[str, ...]
    branches: tuple[Way, ...]
    lines: tuple[CourseStep, ...]


def trial_of(
    mode: str,
    result: Mapping[str, Any] | None,
    variables: Sequence[Variable],
    titles: Mapping[str, str],
    wording: Wording,
) -> Trial:
    """Return the result of a simulation as it is shown beside a draft; `titles` are those of the nodes."""
    say = wording.say
    title = say("Every way through the draft") if mode == "explore" else say("A rehearsal")
    if result is None:
        return Trial(
            title=title, summary=say("It is not done yet. Try again in a moment."), warnings=(), branches=(), lines=()
        )
    errors = [
        str(one.get("message", one)) if isinstance(one, Mapping) else str(one)
        for one in result.get("validation_errors") or ()
    ]
    ways = tuple(_way(one, variables, titles, wording) for one in (result.get("branch_explorations") or ())[:_MOST])
    steps = (
        ()
        if ways
        else tuple(
            CourseStep(after=_span(one.get("after_ms"), wording), text=str(one.get("what") or one.get("kind")))
            for one in (result.get("execution_path") or ())[:_MOST]
        )
    )
    if ways:
        summary = wording.say_number("{count} way leads to an end.", "{count} ways lead to an end.", len(ways)).format(
            count=len(ways)
        )
    else:
        outcome = result.get("outcome") or result.get("final_status") or ""
        summary = say("It ends: {outcome}").format(outcome=words.result(say, str(outcome)) if outcome else "…")
    return Trial(
        title=title,
        summary=errors[0] if errors and not steps else summary,
        warnings=(*errors[1:], *(str(one) for one in result.get("warnings") or ())),
        branches=ways,
        lines=steps,
    )


def _way(one: Mapping[str, Any], variables: Sequence[Variable], titles: Mapping[str, str], wording: Wording) -> Way:
    condition = str(one.get("path_condition") or "")
    outcome = one.get("outcome")
    lasts = one.get("predicted_duration_ms")
    return Way(
        outcome=words.result(wording.say, str(outcome)) if outcome else wording.say("It does not end"),
        condition="" if condition == "true" else condition,
        route=" → ".join(titles.get(str(name), str(name)) for name in one.get("route") or ()),
        duration="" if lasts is None else wording.say("Lasts about {time}").format(time=_span(lasts, wording)),
        witness=facts_of(variables, one.get("witness") or {}, wording),
    )


def _span(milliseconds: Any, wording: Wording) -> str:
    return wording.span(timedelta(milliseconds=milliseconds)) if isinstance(milliseconds, int | float) else ""
