"""The question of a simulation: a process, a request for it, and the people and habits to assume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from placet.definition.model import ProcessDefinition, parse_definition
from placet.directory import Directory, Person
from placet.engine.evaluation_context import requester_facts
from placet.engine.input import accept_input
from placet.engine.state import ChildCall
from placet.errors import BlueprintInvalid, InputInvalid, Problem
from placet.expressions.context import NOW, REQUESTER, ZONE
from placet.nodes.registry import type_at
from placet.plan.actions import ActionSpec
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child, Plan
from simulation.report.costs import Prices, cost_of, with_catalog
from simulation.report.prediction import LEAST_HISTORY, declared, drawn, quantile, sampled
from simulation.report.result import Cost, Prediction, Simulation, problem_json
from simulation.run.driver import HORIZON, MOST_ENTRIES, Course, Players, Read, drive, opening_for, reader
from simulation.scenario.approver_model import Draws, Sample
from simulation.scenario.samples import sample_input
from simulation.scenario.script import OUTSIDE, RULE, Cast, Habits, Line
from simulation.world.answers import Answers, answers
from simulation.world.world import Cancelled, Foreseen, World

# Sub-processes of one request, those inside others too: each may run as many again, and theirs as many as that.
MOST_CHILDREN = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A blueprint that was read, and its plan: what everything on the way of a simulation works with."""

    blueprint: ProcessDefinition
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is to be simulated. Nothing in it is looked up: who asks has read the people and the history before.

    `history` are past response times by stage name, in seconds. `given` None stands for an input that is made up.
    """

    blueprint: object  # JSON values
    compiled: Compiled | None = None  # the same, read and compiled; None where that is still to be done
    people: Directory
    requester: str
    start: datetime
    given: Mapping[str, Any] | None = None
    script: Sequence[Line] = ()
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    decide_after: timedelta | None = None
    sample: Sample | None = None  # approvers whose decisions and times are drawn
    horizon: timedelta = HORIZON
    most_entries: int = MOST_ENTRIES
    most_branches: int = 200
    seconds: float = 10.0  # of our time; what is not explored by then is cut, and said to be
    prices: Prices = field(default_factory=Prices)
    request_id: str = "simulation"
    title: str = "Simulation"
    actions: Mapping[str, ActionSpec] = field(default_factory=dict)  # the catalog, by name
    children: Mapping[str, Child] = field(default_factory=dict)  # processes for sub-process nodes, by reference


class PreparedScenario:
    """A question whose blueprint and input were found sound; raises BlueprintInvalid or InputInvalid."""

    def __init__(self, question: Scenario) -> None:
        compiled = compiled_of(question)
        self.question = question if question.compiled is compiled else replace(question, compiled=compiled)
        self.blueprint: ProcessDefinition = compiled.blueprint
        self.plan: Plan = compiled.plan
        self.warnings: list[str] = []
        self._children = 0  # sub-processes of the run that goes on
        self.people = question.people if question.people.people else self._stand_ins()
        raw = question.given
        if raw is None:
            raw = sample_input(self.plan.variables, self.persons)
            if raw:
                shown = ", ".join(f"{name} = {raw[name]!r}"[:200] for name in sorted(raw))
                self.warnings.append(
                    f'no input was given; this one was made up: {shown}; give "input" to say otherwise'
                )
        self.given: dict[str, Any] = accept_input(self.plan, raw)
        self._check_script()
        if self.people.get(question.requester) is None:
            self.warnings.append(f"the requester user:{question.requester} is not in the directory")

    def _check_script(self) -> None:
        """Raise InputInvalid where the script speaks of what there is not: it would go unheard."""
        problems: list[Problem] = []
        for number, line in enumerate(self.question.script):
            names = spoken_of(self.plan, line.do)
            if line.on is not None and line.on not in {*names, *names.values()}:
                message = _not_there(line.on, _NOUNS.get(line.do, "stage"), names)
                problems.append(Problem(pointer=f"/script/{number}/on", message=message))
        if problems:
            raise InputInvalid("The script speaks of what this process does not have.", problems=tuple(problems))

    @cached_property
    def persons(self) -> dict[str, str]:
        """Somebody for each variable that names an approver: a person other than the requester."""
        somebody = next((i for i in sorted(self.people.people) if i != self.question.requester), None)
        roots = (name.root for name in self.plan.names)
        return {root.name: somebody for root in roots if root.given and somebody is not None}

    @cached_property
    def world(self) -> dict[str, object]:
        """What expressions read besides variables, as the request begins."""
        facts = requester_facts(self.people, self.question.requester)
        return {NOW: self.question.start, ZONE: self.plan.offsets, REQUESTER: facts}

    @cached_property
    def read(self) -> Read:
        """What the directory answers."""
        return reader(self.plan, self.people)

    def run(
        self,
        players: Any = None,
        *,
        given: Mapping[str, Any] | None = None,
        habits: Habits | None = None,
        most_entries: int | None = None,
        answered: Answers | None = None,
    ) -> Course:
        """Drive one request through the core: with these players, or the script's cast and these habits."""
        foreseen = self.foresee(players, given=given, habits=habits, most_entries=most_entries, answered=answered)
        return foreseen.course

    def foresee(
        self,
        players: Any = None,
        *,
        given: Mapping[str, Any] | None = None,
        habits: Habits | None = None,
        most_entries: int | None = None,
        answered: Answers | None = None,
    ) -> Foreseen:
        """Drive one request as `run` does; returns its course with those of its sub-processes.

        `answered` is what actions and waits are answered with, where that is neither the script's nor the players' own.
        """
        question = self.question
        self._children = 0
        opening = opening_for(
            self.plan,
            self.people,
            requester=question.requester,
            given=self.given if given is None else given,
            start=question.start,
            request_id=question.request_id,
            title=question.title,
            read=self.read,
        )
        lines = tuple(question.script) if players is None else ()
        if players is None:
            players = Cast(plan=self.plan, lines=lines, habits=habits or self.habits())
        world = World(
            plan=self.plan,
            people=players,
            run_child=lambda call, began, end: self._run_child(self.plan, call, began, end),
            answers=answered
            or answers(
                self.plan,
                lines,
                getattr(players, "results", ()),
                getattr(players, "held", frozenset()),
                getattr(players, "supposed", None),
            ),
        )
        course = drive(
            self.plan,
            opening,
            world if self.has_errands else players,
            read=self.read,
            horizon=question.horizon,
            most_entries=most_entries or question.most_entries,
        )
        if lines and isinstance(players, Cast):
            self.warnings += [said for said in players.unheard() if said not in self.warnings]
        return world.foreseen(course)

    def cost(self, course: Course) -> Cost:
        """Return what a course costs: actions at the price that was given, else at the catalog's."""
        return cost_of(course, self.prices)

    @cached_property
    def prices(self) -> Prices:
        """What things cost in this question."""
        return with_catalog(self.question.prices, self.plan.actions)

    @cached_property
    def has_errands(self) -> bool:
        """Whether the process waits for anything else than people."""
        return any(type_at(node).waits_outside for node in self.plan.nodes.values())

    def _run_child(self, parent: Plan, call: ChildCall, began: datetime, cancelled: datetime | None) -> Foreseen | None:
        """Drive a sub-process from the moment at which it begins; cancelled at the other one, if it is.

        None where there have been too many in this run.
        """
        self._children += 1
        if self._children > MOST_CHILDREN:
            told = f"more than {MOST_CHILDREN:,} sub-processes, those inside others too; it was stopped there"
            self.warnings += [told] if told not in self.warnings else []
            return None
        question = self.question
        plan = parent.children[call.child].plan
        read = reader(plan, self.people)
        opening = opening_for(
            plan,
            self.people,
            requester=question.requester,
            given=call.input,
            start=began,
            request_id=call.request_id,
            title=call.title,
            read=read,
            parent=call.request_id.rpartition("~")[0],
        )
        people: Players = Cast(plan=plan, habits=self._habits_inside(call))
        if cancelled is not None:
            people = Cancelled(people=people, at=cancelled)
        world = World(
            plan=plan,
            people=people,
            run_child=lambda inner, at, end: self._run_child(plan, inner, at, end),
            answers=answers(plan),
        )
        horizon = max(question.horizon - (began - question.start), timedelta(0))
        course = drive(plan, opening, world, read=read, horizon=horizon, most_entries=question.most_entries)
        return world.foreseen(course)

    def habits(self) -> Habits:
        """Return how people behave in a single run: as sampled, or as long as is declared, or the median of history."""
        question = self.question
        if question.sample is not None:
            return self._sampled(question.sample)
        if question.decide_after is not None:
            return Habits(after=question.decide_after)
        middles = {stage: quantile(sorted(past), 0.5) for stage, past in self.known.items()}
        return Habits(delay=lambda stage, _: _seconds(middles.get(stage.name))) if middles else Habits()

    def _sampled(self, sample: Sample) -> Habits:
        return Habits(after=self.question.decide_after, draws=Draws(sample=sample, known=self.known))

    def _habits_inside(self, call: ChildCall) -> Habits:
        question = self.question
        if question.sample is None:
            return Habits(after=question.decide_after)
        # By its place in the process and not by its id, which is another in each simulation.
        place = f"{call.node}~{call.visit}"
        return Habits(after=question.decide_after, draws=Draws(sample=question.sample, place=place))

    @cached_property
    def known(self) -> dict[str, Sequence[float]]:
        """The stages of this process for which there is history enough."""
        names = {stage.name for stage in self.plan.stages}
        return {n: past for n, past in self.question.history.items() if n in names and len(past) >= LEAST_HISTORY}

    def predict(self, single: Course) -> Prediction:
        """Return how long this request takes; `single` is its one run by `habits`."""
        question = self.question
        if question.script:
            return declared(single, f"as the script says; where it says nothing, {RULE}")
        if question.sample is not None:
            return sampled(
                lambda habits: self.run(habits=habits),
                question.sample,
                self._sampled,
                seconds=question.seconds / 4,
            )
        if question.decide_after is not None:
            return declared(single, f"every decision takes {question.decide_after.total_seconds() / 3600:g} hours")
        if not self.known:
            return declared(single, RULE)
        return drawn(lambda habits: self.run(habits=habits), self.known, seconds=question.seconds / 4)

    def _stand_ins(self) -> Directory:
        """Make up a small organisation in which everybody whom the process names exists."""
        requester = self.question.requester
        people = {
            requester: Person(id=requester, manager="manager"),
            "manager": Person(id="manager", manager="director"),
            "director": Person(id="director"),
        }
        for name in self.plan.names:
            root = name.root
            if root.kind == "user":
                people.setdefault(root.name, Person(id=root.name, manager="director"))
            elif root.kind == "role":
                people[f"the.{root.name}"] = Person(id=f"the.{root.name}", manager="director", roles=(root.name,))
            elif root.kind == "group":
                for n in (1, 2, 3):
                    person = f"{root.name}.{n}"
                    people[person] = Person(id=person, manager="director", groups=(root.name,))
        self.warnings.append("nobody whom this process names is in the directory; a made-up organisation stands in")
        return Directory(people=people)


def compiled_of(question: Scenario, definition: ProcessDefinition | None = None) -> Compiled:
    """Return a question's blueprint with its plan, made unless it has them; raises BlueprintInvalid.

    `blueprint` is the question's own, where somebody has read it already.
    """
    if question.compiled is not None:
        return question.compiled
    definition = parse_definition(question.blueprint) if definition is None else definition
    plan = compile_plan(definition, start=question.start, actions=question.actions, children=question.children)
    return Compiled(blueprint=definition, plan=plan)


def prepare(question: Scenario) -> tuple[PreparedScenario | None, tuple[dict[str, Any], ...]]:
    """Return the prepared question, or None and what is wrong with it."""
    try:
        return PreparedScenario(question), ()
    except BlueprintInvalid as error:
        return None, tuple(problem_json(p) for p in error.problems) or (_whole(error.message, "blueprint"),)
    except InputInvalid as error:
        told = tuple(problem_json(p, code="input") for p in error.problems)
        return None, told or (_whole(error.message, "input"),)


def unsound(mode: str, question: Scenario, errors: tuple[dict[str, Any], ...]) -> Simulation:
    """Return the answer to a question that cannot be simulated."""
    raw = question.blueprint if isinstance(question.blueprint, Mapping) else {}
    return Simulation(
        mode=mode,
        template=str(raw.get("name", ""))[:200],
        version=str(raw.get("version", ""))[:100],
        digest=None,
        requester=question.requester,
        input=dict(question.given or {}),
        validation_errors=errors,
    )


_NOUNS = {"answer": "action", "fail": "action", "happen": "awaited event", "wait": "stage or awaited event"}


def spoken_of(plan: Plan, do: str) -> dict[str, str]:
    """Return what a line of a script may name that does this: names, each with its node."""
    names: dict[str, str] = {}
    for node in plan.nodes.values():
        if node.stage is not None and do not in OUTSIDE:
            names[node.stage.name] = node.id
        elif type_at(node).runs_action and node.call_spec is not None and do in {"answer", "fail"}:
            names[node.call_spec.name] = node.id
            names[node.id] = node.id
        elif node.wait_spec is not None and node.wait_spec.event is not None and do in {"happen", "wait"}:
            names[node.wait_spec.event] = node.id
            names[node.id] = node.id
    return names


def _not_there(name: str, noun: str, names: Mapping[str, str]) -> str:
    near = get_close_matches(name, [*names, *names.values()], n=1)
    meant = f"{near[0]!r} may be meant" if near else f"there are {', '.join(map(repr, list(names)[:20])) or 'none'}"
    return f"this process has no {noun} {name!r}; {meant}"


def _seconds(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _whole(message: str, code: str) -> dict[str, Any]:
    return {"code": code, "pointer": "", "message": message}
