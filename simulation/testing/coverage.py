"""Coverage: which results of a blueprint's nodes, and which of its ends, no scenario has reached.

What there is to reach is what an exploration reaches over all feasible branches, each of which has an input that takes
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from simulation.modes.explore import traces_of_branches
from simulation.run.driver import Trace
from simulation.scenario.scenario import Scenario
from simulation.testing.scenario_run import ScenarioRun, Subject
from simulation.testing.suite import Suite

Kind = Literal["stage", "route", "node", "outcome"]


@dataclass(frozen=True, slots=True, order=True)
class Reached:
    """Something that a request reaches: the result of a stage or another node, the route on from a decision, an end."""

    kind: Kind
    name: str
    result: str = ""

    def __str__(self) -> str:
        if self.kind == "outcome":
            return f"outcome {self.name}"
        return f"{self.kind} {self.name}: {self.result}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What no scenario reached, with an input that leads there."""

    reached: Reached
    witness: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of a blueprint scenarios reach: how many of `total` things, and what they missed."""

    total: int
    missed: tuple[Missed, ...]
    warnings: tuple[str, ...] = ()  # what the exploration left out

    @property
    def complete(self) -> bool:
        """Whether nothing was missed."""
        return not self.missed


def explored_process(suite: Suite, subject: Subject, runs: Iterable[ScenarioRun]) -> Scenario:
    """Return what is explored for the coverage of a suite: its process, with the first request that began."""
    began = next((run for run in runs if run.prepared is not None), None)
    first = suite.scenarios[0] if began is None else began.test
    return Scenario(
        blueprint=subject.blueprint,
        people=subject.people,
        requester=first.person,
        given=None if began is None or began.prepared is None else began.prepared.given,
        start=suite.starts_at,
        action=first.action,
        actions=subject.actions,
        children=subject.children,
    )


def coverage_of(scenario: Scenario, traces: Iterable[Trace]) -> Coverage:
    """Explore a process, and compare what it can reach with what these requests reached.

    `scenario` says which process, with whose people; its input and script do not matter.
    """
    branches, warnings = traces_of_branches(scenario)
    there: dict[Reached, dict[str, Any]] = {}
    for branch, trace in branches:
        for one in reached_by(trace):
            there.setdefault(one, branch.witness)
    done = {one for trace in traces for one in reached_by(trace)}
    missed = tuple(Missed(reached=one, witness=there[one]) for one in sorted(there.keys() - done))
    return Coverage(total=len(there), missed=missed, warnings=warnings)


def reached_by(trace: Trace) -> Iterator[Reached]:
    """Yield what a request reached."""
    for entry in trace.entries:
        detail = entry.detail
        if entry.kind == "stage_settled":
            yield Reached("stage", entry.stage or "", str(detail.get("result")))
        elif entry.kind == "routed":
            yield Reached("route", detail["node"], detail["to"])
        elif entry.kind in {"waited", "child_ended", "action_run", "action_failed"}:
            result = detail.get("result") or detail.get("outcome") or ("failed" if "failed" in entry.kind else "done")
            yield Reached("node", detail["node"], str(result))
    if trace.state.status == "completed" and trace.state.outcome is not None:
        yield Reached("outcome", trace.state.outcome)
