"""What a draft does when it is tried out: every way through it, or the course of one request in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from placet.definition.variables import Variable
from placet.errors import InputInvalid, Problem
from simulation.report.result import told_sentence
from storage.tables.simulations import WorkflowSimulation
from web.languages import Wording
from web.simulations.script import rejected_on, script_of
from web.simulations.timelines import Step
from web.simulations.wording import ending, tone_of
from web.views import words
from web.views.values import Fact, facts_of

MOST_SHOWN = 200  # ways, or steps of a course, that are shown


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way through a draft, with an input that takes it; `nodes` are those that it passes."""

    id: str
    outcome: str
    tone: str
    condition: str
    route: str
    nodes: tuple[str, ...]
    duration: str
    witness: tuple[Fact, ...]
    address: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of it, or that it runs still; `id` is that of its simulation, and `revision` the draft's then.

    `again` is the address that shows it once it has ended.
    """

    id: str
    revision: int
    title: str
    summary: str
    running: bool
    again: str
    warnings: tuple[str, ...]
    branches: tuple[Way, ...]
    lines: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Along:
    """The way of an exploration that a rehearsal takes: `given` leads to it with the decisions that `script` says."""

    reference: str
    given: Mapping[str, Any]
    script: Sequence[Mapping[str, Any]]
    rejects: tuple[str, ...]


def trial_of(  # noqa: PLR0917 - what a trial is about
    row: WorkflowSimulation,
    revision: int,
    base: str,
    variables: Sequence[Variable],
    titles: Mapping[str, str],
    wording: Wording,
    *,
    steps: Sequence[Step] = (),
) -> Trial:
    """Return a simulation as it is shown beside the draft at the address `base`; `titles` are those of the nodes.

    `steps` are those of its course, which are shown where it has no branches.
    """
    say = wording.say
    result: Mapping[str, Any] = row.result or {}
    errors = [wording.tell(told_sentence(result, str(one["message"]))) for one in result.get("validation_errors") or ()]
    if row.error and not errors:
        errors = [wording.tell(row.error)]
    ways = tuple(
        _way(one, f"{base}/try?simulation={row.id}&branch={one['id']}", variables, titles, wording)
        for one in (result.get("branch_explorations") or ())[:MOST_SHOWN]
    )
    return Trial(
        id=row.id,
        revision=revision,
        title=say("Every way through the draft") if row.mode == "explore" else say("A rehearsal"),
        summary=errors[0] if errors and (ways or not steps) else _summary(row, result, len(ways), wording),
        running=row.status == "running",
        again=f"{base}/try?simulation={row.id}&revision={revision}",
        warnings=(*errors[1:], *(wording.tell(told_sentence(result, one)) for one in result.get("warnings") or ())),
        branches=ways,
        lines=() if ways else tuple(steps),
    )


def fault_of(row: WorkflowSimulation) -> InputInvalid | None:
    """Return what is wrong with the input that a simulation was given; None where nothing is."""
    result: Mapping[str, Any] = row.result or {}
    found = tuple(
        Problem(pointer=str(one["pointer"]), message=told_sentence(result, str(one["message"])))
        for one in result.get("validation_errors") or ()
        if str(one.get("pointer") or "").startswith("/input")
    )
    return InputInvalid(problems=found) if found else None


def along_of(row: WorkflowSimulation, branch_id: str) -> Along | None:
    """Return a way of an exploration by its id, as a rehearsal can take it."""
    branches = (row.result or {}).get("branch_explorations") or ()
    branch = next((one for one in branches if one["id"] == branch_id), None)
    if branch is None:
        return None
    return Along(
        reference=f"{row.id}:{branch_id}",
        given=branch["witness"],
        script=script_of(branch),
        rejects=rejected_on(branch),
    )


def _summary(row: WorkflowSimulation, result: Mapping[str, Any], ways: int, wording: Wording) -> str:
    say = wording.say
    if row.status == "running":
        return say("It runs.")
    if row.status == "cancelled":
        return say("It was cancelled before its end.")
    if ways:
        text = wording.say_number("{count} way leads to an end.", "{count} ways lead to an end.", ways)
        return text.format(count=wording.number(ways))
    outcome = result.get("outcome") or result.get("final_status") or ""
    return say("It ends: {outcome}").format(outcome=words.result(say, str(outcome)) if outcome else "…")


def _way(
    one: Mapping[str, Any], address: str, variables: Sequence[Variable], titles: Mapping[str, str], wording: Wording
) -> Way:
    condition = str(one.get("path_condition") or "")
    outcome, lasts = one.get("outcome"), one.get("predicted_duration_ms")
    nodes = tuple(str(name) for name in one.get("route") or ())
    return Way(
        id=str(one["id"]),
        outcome=ending(wording.say, outcome, one.get("stopped")),
        tone=tone_of(outcome),
        condition="" if condition == "true" else condition,
        route=" → ".join(titles.get(name, name) for name in nodes),
        nodes=nodes,
        duration="" if lasts is None else wording.say("Lasts about {time}").format(time=_span(lasts, wording)),
        witness=facts_of(variables, one.get("witness") or {}, wording),
        address=address,
    )


def _span(milliseconds: Any, wording: Wording) -> str:
    return wording.span(timedelta(milliseconds=milliseconds)) if isinstance(milliseconds, int | float) else ""
