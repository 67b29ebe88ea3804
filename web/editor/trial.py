"""What a draft does when it is tried out: every way through it, or the course of one request in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from placet.definition.variables import Variable
from simulation.report.result import told_sentence
from web.languages import Wording
from web.simulations.timelines import Step
from web.views import words
from web.views.values import Fact, facts_of

MOST_SHOWN = 200  # ways, or steps of a course, that are shown


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way through a draft, with an input that takes it."""

    outcome: str
    condition: str
    route: str
    duration: str
    witness: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of it."""

    title: str
    summary: str
    warnings: tuple[str, ...]
    branches: tuple[Way, ...]
    lines: tuple[Step, ...]


def trial_of(
    mode: str,
    result: Mapping[str, Any] | None,
    variables: Sequence[Variable],
    titles: Mapping[str, str],
    wording: Wording,
    *,
    steps: Sequence[Step] = (),
) -> Trial:
    """Return the result of a simulation as it is shown beside a draft; `titles` are those of the nodes.

    `steps` are those of its course, which are shown where it has no branches.
    """
    say = wording.say
    title = say("Every way through the draft") if mode == "explore" else say("A rehearsal")
    if result is None:
        return Trial(
            title=title, summary=say("It is not done yet. Try again in a moment."), warnings=(), branches=(), lines=()
        )
    errors = [
        wording.tell(told_sentence(result, one["message"] if isinstance(one, Mapping) else str(one)))
        for one in result.get("validation_errors") or ()
    ]
    warnings = [wording.tell(told_sentence(result, one)) for one in result.get("warnings") or ()]
    ways = tuple(
        _way(one, variables, titles, wording) for one in (result.get("branch_explorations") or ())[:MOST_SHOWN]
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
        summary=errors[0] if errors and (ways or not steps) else summary,
        warnings=(*errors[1:], *warnings),
        branches=ways,
        lines=() if ways else tuple(steps),
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
