"""Run a scenario of a suite in the core, and find where it differs from what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from placet.definition.action_spec import ActionSpec
from placet.directory import Directory
from placet.engine.events import ClaimAction
from placet.engine.state import State
from placet.errors import ClaimRefused, InputInvalid, Refused, code_of, codes_of, says
from placet.plan.plan import Child
from simulation.report.result import path_of
from simulation.run.driver import AppliedEvent, PlannedEvent, Trace
from simulation.scenario.prepared_scenario import PreparedScenario
from simulation.scenario.scenario import Scenario
from simulation.testing.expectations import TOLERANCE, Difference, Path, differences
from simulation.testing.spans import span_text
from simulation.testing.suite import STANDING, ScenarioTest, Step, Suite
from simulation.testing.view import View
from simulation.world.answers import answers_for
from simulation.world.scripted_people import ScriptedPeople

MOST_ENTRIES = 5_000  # of one scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a suite is about, as its files say: the blueprint as JSON values, its people, and what it refers to."""

    blueprint: object
    people: Directory
    actions: Mapping[str, ActionSpec] = field(default_factory=dict)
    children: Mapping[str, Child] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRun:
    """A scenario that was run: its differences, and its trace where the request was not refused."""

    test: ScenarioTest
    differences: tuple[Difference, ...]
    prepared: PreparedScenario | None = None
    trace: Trace | None = None

    @property
    def passed(self) -> bool:
        """Whether all came as expected."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """The state of a request at a time, when so many lines had been used."""

    at: datetime
    state: State
    used: frozenset[int]


@dataclass(kw_only=True)
class _WatchedPeople(ScriptedPeople):
    """People who act as a script says, and the states between their acts."""

    moments: list[_Moment] = field(default_factory=list)

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the next event, and keep the state."""
        used = frozenset(mark[0] for mark in self.done if isinstance(mark[0], int))
        self.moments.append(_Moment(at=now, state=state, used=used))
        return super().next(state, now)


def scenario_of(suite: Suite, subject: Subject, number: int, *, start: datetime | None = None) -> Scenario:
    """Return what is simulated for a scenario of a suite, by its index."""
    test = suite.scenarios[number]
    steps = [step.at for step in test.steps if step.at is not None]
    return Scenario(
        blueprint=subject.blueprint,
        people=subject.people,
        requester=test.person,
        start=start or test.starts_at or suite.starts_at,
        given=test.input or {},
        action=test.action,
        script=tuple(line for step in test.steps if (line := step.line()) is not None),
        in_order=True,
        others=test.others,
        horizon=max([test.until, *(at + TOLERANCE for at in steps)]),
        most_entries=MOST_ENTRIES,
        title=test.title or test.name,
        actions=subject.actions,
        children=subject.children,
    )


def run_scenario(suite: Suite, scenario: Scenario, number: int) -> ScenarioRun:
    """Run a scenario of a suite in the core. Raises BlueprintInvalid."""
    test, path = suite.scenarios[number], ("scenarios", number)
    try:
        prepared = PreparedScenario(scenario)
    except InputInvalid as error:
        return ScenarioRun(test=test, differences=tuple(_refused_start(test, error, path)))
    people = prepared.scripted_people()
    watched = _WatchedPeople(
        plan=people.plan, lines=people.lines, approver_model=people.approver_model, in_order=people.in_order
    )
    simulated = prepared.simulate(watched, answered=answers_for(prepared.plan, people.lines))
    trace = simulated.trace
    run = ScenarioRun(test=test, differences=(), prepared=prepared, trace=trace)
    if test.refused is not None:
        message = f"expected the request to be refused ({test.refused}), but it was accepted"
        return replace(run, differences=(Difference(path=(*path, "refused"), message=message),))
    found = [*_of_steps(prepared, watched, trace, test, path)]
    if test.expect is not None:
        found += differences(test.expect, _view(prepared, trace, trace.state), (*path, "expect"))
    if trace.stopped in {"entries", "unknown"}:
        why = trace.why or f"it has more than {MOST_ENTRIES:,} entries"
        found.append(Difference(path=path, message=f"the scenario could not be followed to its end: {why}"))
    return replace(run, differences=tuple(found))


def timeline_of(trace: Trace) -> list[str]:
    """Return a line for each entry of a request, and for each act that was refused, with its time after the start."""
    lines = [
        (step.after_ms, step.seq, f"{step.what} [{step.stage}]" if step.stage else step.what) for step in path_of(trace)
    ]
    lines += [
        (applied.after // timedelta(milliseconds=1), applied.seq, f"refused ({applied.codes[0]}): {applied.refused}")
        for applied in trace.applied_events
        if applied.refused is not None
    ]
    return [f"{span_text(timedelta(milliseconds=after)):>12}  {what}" for after, _, what in sorted(lines)]


def _refused_start(test: ScenarioTest, error: InputInvalid, path: Path) -> Iterator[Difference]:
    """Yield the differences of a request that cannot start."""
    steps = [number for number, step in enumerate(test.steps) if step.do is not None]
    script = [problem for problem in error.problems if problem.pointer.startswith("/script/")]
    if script:
        for problem in script:
            _, _, index, *rest = problem.pointer.split("/")
            yield Difference(path=(*path, "steps", steps[int(index)], *rest), message=problem.message)
    elif test.refused is None:
        inside = "action" if any(one.pointer.startswith("/action") for one in error.problems) else "input"
        told = "; ".join(f"{one.pointer}: {one.message}" for one in error.problems) or error.message
        yield Difference(path=(*path, inside), message=f"the request is refused ({codes_of(error)[0]}): {told}")
    elif test.refused not in codes_of(error):
        message = f"expected the refusal {test.refused}, but it is {codes_of(error)[0]}: {error.message}"
        yield Difference(path=(*path, "refused"), message=message)


def _of_steps(
    prepared: PreparedScenario, watched: _WatchedPeople, trace: Trace, test: ScenarioTest, path: Path
) -> Iterator[Difference]:
    """Yield the differences of the steps, in their order, up to the first step that never comes."""
    applied = {one.mark[0]: one for one in trace.applied_events if one.mark and isinstance(one.mark[0], int)}
    line = -1
    before: frozenset[int] = frozenset()
    earliest: timedelta | None = None  # before which no further step may come: an expectation at a time
    for number, step in enumerate(test.steps):
        at = (*path, "steps", number)
        line += step.do is not None
        if step.is_standing:
            continue
        if step.do is None:
            earliest = step.at
        elif (act := applied.get(line)) is None:
            yield Difference(path=at, message=_never(watched, trace, line))
            return
        else:
            before |= {line}
            yield from _act(step, _with_refused_claim(act, trace), at)
            if earliest is not None and act.after < earliest:
                message = (
                    f"this happens at {span_text(act.after)}, before what is expected at {span_text(earliest)} above; "
                    "steps stand in the order in which they happen"
                )
                yield Difference(path=at, message=message)
        if step.expect is not None:
            moment = trace.started_at + step.at if step.do is None and step.at is not None else None
            state = _state(watched, trace, before, moment)
            yield from differences(step.expect, _view(prepared, trace, state), (*at, "expect"))


def _with_refused_claim(act: AppliedEvent, trace: Trace) -> AppliedEvent:
    """Return an act as refused where it claimed another action: that is on record, and refused to whoever claims."""
    entry = next((one for one in trace.entries if one.seq == act.seq + 1), None)
    if not isinstance(act.event, ClaimAction) or entry is None or entry.kind != "claim_refused":
        return act
    return replace(act, refused=says(ClaimRefused), codes=(code_of(ClaimRefused), code_of(Refused)))


def _act(step: Step, act: AppliedEvent, at: Path) -> Iterator[Difference]:
    """Yield the differences of an act: its refusal, and its time."""
    if step.refused is None and act.refused is not None:
        yield Difference(path=at, message=f"this was refused ({act.codes[0]}): {act.refused}")
    elif step.refused is not None and act.refused is None:
        yield Difference(path=(*at, "refused"), message=f"expected the refusal {step.refused}, but it was accepted")
    elif step.refused is not None and step.refused not in act.codes:
        message = f"expected the refusal {step.refused}, but it is {act.codes[0]}: {act.refused}"
        yield Difference(path=(*at, "refused"), message=message)
    late = step.at is not None and (step.times or 1) == 1 and act.after - step.at >= TOLERANCE
    late = late or (step.after is not None and act.task_after is not None and act.task_after - step.after >= TOLERANCE)
    if late:
        message = f"this could happen only at {span_text(act.after)}; correct its time or its place"
        yield Difference(path=(*at, "at" if step.at is not None else "after"), message=message)


def _never(watched: _WatchedPeople, trace: Trace, line: int) -> str:
    """Say why a step never came."""
    said = next((told for told in watched.unused_lines() if told.startswith(f"line {line + 1} ")), "")
    why = said.partition(": ")[2] or "nothing that it applies to occurred"
    refused = next((one for one in trace.applied_events if one.refused and one.mark[:1] == ("claim",)), None)
    if refused is not None:
        why = f"the task could not be claimed ({refused.codes[0]}): {refused.refused}"
    end = trace.state.outcome or trace.state.status
    now = f"the request is {end} at {span_text(trace.duration)}"
    return f"this never happened, and nothing after it was tried: {why}; {now}"


def _state(watched: _WatchedPeople, trace: Trace, used: frozenset[int], moment: datetime | None) -> State:
    """Return the state once these lines were used and, if it is given, a moment has come."""
    acts = {index for index, line in enumerate(watched.lines) if line.do not in STANDING}
    fits = [
        one
        for one in watched.moments
        if (one.used & acts) <= used and (used <= one.used if moment is None else one.at <= moment)
    ]
    last = trace.entries[-1].at if trace.entries else trace.started_at
    marked = {one.mark[0] for one in trace.applied_events if one.mark and isinstance(one.mark[0], int)}
    if moment is None:
        return fits[0].state if fits else trace.state
    ended = last <= moment and (marked & acts) <= used
    return trace.state if ended or not fits else fits[-1].state


def _view(prepared: PreparedScenario, trace: Trace, state: State) -> View:
    return View(plan=prepared.plan, whole=trace, state=state)
