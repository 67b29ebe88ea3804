"""Prepared scenarios: validated, compiled, and ready to be simulated in the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from placet.definition.model import ProcessDefinition
from placet.directory import Directory, Person
from placet.engine.bound_action import BoundAction, exact_numbers
from placet.engine.evaluation_context import requester_facts
from placet.engine.input import accept_input
from placet.engine.state import ChildCall
from placet.errors import BlueprintInvalid, InputInvalid, Problem
from placet.expressions.types import NOW, REQUESTER, ZONE
from placet.nodes.registry import type_at
from placet.plan.plan import Plan
from placet.sentences import sentence
from simulation.report.costs import Prices, cost_of, with_catalog
from simulation.report.prediction import predicted_from_history, predicted_from_rule, predicted_from_samples
from simulation.report.result import ExecutionCost, Prediction, SimulationResult, problem_json
from simulation.run.driver import (
    EventSource,
    ReadDirectory,
    Trace,
    directory_reader,
    drive,
    opening_for,
)
from simulation.scenario.approver_model import RULE, ApproverModel, Sample, SampledApprovers
from simulation.scenario.asked_action import AskedAction
from simulation.scenario.fields import variables_from_outside
from simulation.scenario.past import ResponseTime
from simulation.scenario.samples import sample_input
from simulation.scenario.scenario import Scenario, compiled_of
from simulation.scenario.script import OUTSIDE
from simulation.world.answers import Answers, answers_for
from simulation.world.route_people import RoutePeople
from simulation.world.scripted_people import ScriptedPeople
from simulation.world.world import PeopleUntilCancelled, RunChild, SimulatedRun, World

# Sub-processes of one request, nested ones included.
MOST_CHILDREN = 1_000


class PreparedScenario:
    """A scenario with a valid blueprint and input; raises BlueprintInvalid or InputInvalid."""

    def __init__(self, scenario: Scenario) -> None:
        compiled = compiled_of(scenario)
        self.scenario = scenario if scenario.compiled is compiled else replace(scenario, compiled=compiled)
        self.blueprint: ProcessDefinition = compiled.blueprint
        self.plan: Plan = compiled.plan
        self.warnings: list[str] = []
        self._children = 0  # sub-processes of the current run
        self.people = scenario.people if scenario.people.people else self._sample_organisation()
        raw = scenario.given
        # As they are declared, and narrowed by the forms and results that alone set them.
        self.variables = variables_from_outside(self.plan, raw or {})
        if raw is None:
            raw = sample_input(self.variables, self.persons, scenario.start)
            if raw:
                shown = ", ".join(f"{name} = {raw[name]!r}"[:200] for name in sorted(raw))
                self.warnings.append(
                    sentence(
                        'no input was given; this sample was assumed: {shown}; set "input" to use another', shown=shown
                    )
                )
        self.given: dict[str, Any] = accept_input(self.plan, raw)
        self.action_from(scenario.start)
        self._check_script()
        if self.people.get(scenario.requester) is None:
            self.warnings.append(
                sentence("the requester user:{requester} is not in the directory", requester=scenario.requester)
            )

    def action_from(self, start: datetime) -> BoundAction | None:
        """Return the action of a request that starts then, if it asks for one; raises InputInvalid."""
        action = self.scenario.action
        return action.bound(start) if isinstance(action, AskedAction) else action

    def _check_script(self) -> None:
        """Raise InputInvalid where a script line names a stage, action or event that the process does not have."""
        problems: list[Problem] = []
        for number, line in enumerate(self.scenario.script):
            names = script_names(self.plan, line.do)
            if line.on is not None and line.on not in {*names, *names.values()}:
                message = _unknown_name(line.on, _NOUNS.get(line.do, "stage"), names)
                problems.append(Problem(pointer=f"/script/{number}/on", message=message))
        if problems:
            raise InputInvalid(
                "The script names stages, actions or events that this process does not have.", problems=tuple(problems)
            )
        for number, line in enumerate(self.scenario.script):
            if line.do == "claim_action" and self.scenario.action is None:
                raise InputInvalid.at(
                    f"/script/{number}/do", 'the simulated request asks for no action to claim; give it an "action"'
                )
            exact_numbers(line.parameters, f"/script/{number}/parameters")

    @cached_property
    def persons(self) -> dict[str, str]:
        """A person other than the requester for each variable that names an approver."""
        person = next((i for i in sorted(self.people.people) if i != self.scenario.requester), None)
        roots = (name.root for name in self.plan.names)
        return {root.name: person for root in roots if root.given and person is not None}

    @cached_property
    def expression_context(self) -> dict[str, object]:
        """What expressions read besides variables at the start of the request."""
        facts = requester_facts(self.people, self.scenario.requester)
        return {NOW: self.scenario.start, ZONE: self.plan.offsets, REQUESTER: facts}

    @cached_property
    def read_directory(self) -> ReadDirectory:
        """The function that answers what the directory holds."""
        return directory_reader(self.plan, self.people)

    def run(
        self,
        event_source: Any = None,
        *,
        given: Mapping[str, Any] | None = None,
        approver_model: ApproverModel | None = None,
        most_entries: int | None = None,
        answered: Answers | None = None,
    ) -> Trace:
        """Simulate one request with an event source (by default, scripted people); return its trace."""
        simulated = self.simulate(
            event_source, given=given, approver_model=approver_model, most_entries=most_entries, answered=answered
        )
        return simulated.trace

    def simulate(
        self,
        event_source: Any = None,
        *,
        given: Mapping[str, Any] | None = None,
        approver_model: ApproverModel | None = None,
        most_entries: int | None = None,
        answered: Answers | None = None,
    ) -> SimulatedRun:
        """Simulate one request as `run` does; returns its run with those of its sub-processes.

        `answered` are the answers of actions and waits, in place of those of the script or the event source.
        """
        scenario = self.scenario
        self._children = 0
        opening = opening_for(
            self.plan,
            self.people,
            requester=scenario.requester,
            given=self.given if given is None else given,
            start=scenario.start,
            request_id=scenario.request_id,
            title=scenario.title,
            read_directory=self.read_directory,
            action=self.action_from(scenario.start),
        )
        lines = tuple(scenario.script) if event_source is None else ()
        if event_source is None:
            event_source = self.scripted_people(approver_model)
        on_route = isinstance(event_source, RoutePeople)
        answers = answered or answers_for(
            self.plan,
            lines,
            getattr(event_source, "results", ()),
            getattr(event_source, "blocked", frozenset()),
            getattr(event_source, "required_values", None),
        )
        world = World(
            plan=self.plan,
            people=event_source,
            run_child=self._children_of(answers, on_route=on_route),
            answers=answers,
        )
        trace = drive(
            self.plan,
            opening,
            world if self.waits_for_systems else event_source,
            read_directory=self.read_directory,
            horizon=scenario.horizon,
            most_entries=most_entries or scenario.most_entries,
            until_claimed=True,
        )
        if lines and isinstance(event_source, ScriptedPeople):
            self.warnings += [said for said in event_source.unused_lines() if said not in self.warnings]
        return world.simulated(trace)

    def scripted_people(self, approver_model: ApproverModel | None = None) -> ScriptedPeople:
        """Return the people who act as the script says, and as the approver model does where it says nothing."""
        scenario = self.scenario
        return ScriptedPeople(
            plan=self.plan,
            lines=tuple(scenario.script),
            approver_model=approver_model or self.approver_model(),
            in_order=scenario.in_order,
        )

    def cost(self, trace: Trace) -> ExecutionCost:
        """Return the cost of a trace: actions at the given price, or else at that of the catalog."""
        return cost_of(trace, self.prices)

    @cached_property
    def prices(self) -> Prices:
        """The prices of the scenario, with those of the catalog."""
        return with_catalog(self.scenario.prices, self.plan.actions)

    @cached_property
    def waits_for_systems(self) -> bool:
        """Whether the process waits for actions, sub-processes, events or times, and not for people alone."""
        return any(type_at(node).waits_outside for node in self.plan.nodes.values())

    def _children_of(self, parent: Answers, *, on_route: bool) -> RunChild:
        """Return the function that simulates the sub-processes of a request, which has these answers."""
        return lambda call, began, cancelled: self._run_child(parent, call, began, cancelled, on_route=on_route)

    def _run_child(
        self, parent: Answers, call: ChildCall, began: datetime, cancelled: datetime | None, *, on_route: bool
    ) -> SimulatedRun | None:
        """Simulate a sub-process from its start, until it is cancelled if `cancelled` is given.

        On a route it sets what the route needs of it, where it can. Returns None where there are too many sub-processes
        in this run.
        """
        self._children += 1
        if self._children > MOST_CHILDREN:
            told = sentence(
                "more than {most_children:,} sub-processes, nested ones included; the simulation stopped there",
                most_children=MOST_CHILDREN,
            )
            self.warnings += [told] if told not in self.warnings else []
            return None
        scenario = self.scenario
        plan = parent.plan.children[call.child].plan
        read_directory = directory_reader(plan, self.people)
        opening = opening_for(
            plan,
            self.people,
            requester=scenario.requester,
            given=call.input,
            start=began,
            request_id=call.request_id,
            title=call.title,
            read_directory=read_directory,
            parent=call.request_id.rpartition("~")[0],
        )
        approver_model, required = self._child_approver_model(call), parent.required_of_child(call)
        people: EventSource = ScriptedPeople(plan=plan, approver_model=approver_model)
        if on_route:
            people = RoutePeople(plan=plan, results=(), approver_model=approver_model, required_values=required)
        if cancelled is not None:
            people = PeopleUntilCancelled(people=people, at=cancelled)
        answers = answers_for(plan, required_values=required)
        world = World(
            plan=plan, people=people, run_child=self._children_of(answers, on_route=on_route), answers=answers
        )
        horizon = max(scenario.horizon - (began - scenario.start), timedelta(0))
        trace = drive(
            plan, opening, world, read_directory=read_directory, horizon=horizon, most_entries=scenario.most_entries
        )
        return world.simulated(trace)

    def approver_model(self) -> ApproverModel:
        """Return the approver model of a single run: sampled, with the given time, or with median past times."""
        scenario = self.scenario
        if scenario.others == "wait":
            return ApproverModel(decision=None)
        if scenario.sample is not None:
            return self._sampling_model(scenario.sample)
        if scenario.decide_after is not None:
            return ApproverModel(after=scenario.decide_after)
        middles = {stage: past.quantile(0.5) for stage, past in self.known.items()}
        return ApproverModel(delay=lambda stage, _: middles.get(stage.name)) if middles else ApproverModel()

    def _sampling_model(self, sample: Sample) -> ApproverModel:
        return ApproverModel(
            after=self.scenario.decide_after, sampled_approvers=SampledApprovers(sample=sample, known=self.known)
        )

    def _child_approver_model(self, call: ChildCall) -> ApproverModel:
        scenario = self.scenario
        if scenario.sample is None:
            return ApproverModel(after=scenario.decide_after)
        # By its place in the process and not by its id, which differs between simulations.
        place = f"{call.node}~{call.visit}"
        return ApproverModel(
            after=scenario.decide_after, sampled_approvers=SampledApprovers(sample=scenario.sample, place=place)
        )

    @cached_property
    def known(self) -> dict[str, ResponseTime]:
        """The past response times of the stages that have enough of them."""
        names = {stage.name for stage in self.plan.stages}
        found = self.scenario.past.response_times(self.plan.calendar)
        return {name: past for name, past in found.items() if name in names}

    def predict(self, single: Trace) -> Prediction:
        """Predict how long this request takes; `single` is its run with `approver_model()`."""
        scenario = self.scenario
        if scenario.script:
            return predicted_from_rule(single, f"times as the script gives them; elsewhere {RULE}")
        if scenario.sample is not None:
            return predicted_from_samples(
                lambda approver_model: self.run(approver_model=approver_model),
                scenario.sample,
                self._sampling_model,
                seconds=scenario.seconds / 4,
            )
        if scenario.decide_after is not None:
            return predicted_from_rule(
                single, f"every decision takes {scenario.decide_after.total_seconds() / 3600:g} hours"
            )
        if not self.known:
            return predicted_from_rule(single, RULE)
        return predicted_from_history(
            lambda approver_model: self.run(approver_model=approver_model), self.known, seconds=scenario.seconds / 4
        )

    def _sample_organisation(self) -> Directory:
        """Return a small sample organisation that has every person, role and group that the process names."""
        requester = self.scenario.requester
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
        self.warnings.append(
            "the directory has none of the people whom this process names; a sample organisation is used instead"
        )
        return Directory(people=people)


def prepare(scenario: Scenario) -> tuple[PreparedScenario | None, tuple[dict[str, Any], ...]]:
    """Return the prepared scenario, or None and its validation errors."""
    try:
        return PreparedScenario(scenario), ()
    except BlueprintInvalid as error:
        return None, tuple(problem_json(p) for p in error.problems) or (_whole_problem(error.message, "blueprint"),)
    except InputInvalid as error:
        told = tuple(problem_json(p, code="input") for p in error.problems)
        return None, told or (_whole_problem(error.message, "input"),)


def invalid_result(mode: str, scenario: Scenario, errors: tuple[dict[str, Any], ...]) -> SimulationResult:
    """Return the result for a scenario that cannot be simulated."""
    raw = scenario.blueprint if isinstance(scenario.blueprint, Mapping) else {}
    return SimulationResult(
        mode=mode,
        template=str(raw.get("name", ""))[:200],
        version=str(raw.get("version", ""))[:100],
        digest=None,
        requester=scenario.requester,
        input=dict(scenario.given or {}),
        validation_errors=errors,
    )


_NOUNS = {"answer": "action", "fail": "action", "happen": "awaited event", "wait": "stage or awaited event"}


def script_names(plan: Plan, do: str) -> dict[str, str]:
    """Return the names that a script line with this `do` may use, each with its node."""
    names: dict[str, str] = {}
    for node in plan.nodes.values():
        if do not in OUTSIDE and (stage := plan.stages_by_node.get(node.id)) is not None:
            names[stage.name] = node.id
        if do in {"answer", "fail"} and node.calls is not None and type_at(node).runs_action:
            names |= {node.calls: node.id, node.id: node.id}
        if do in {"happen", "wait"} and node.event is not None:
            names |= {node.event: node.id, node.id: node.id}
    return names


def _unknown_name(name: str, noun: str, names: Mapping[str, str]) -> str:
    near = get_close_matches(name, [*names, *names.values()], n=1)
    listed = ", ".join(map(repr, list(names)[:20])) or sentence("none")
    meant = sentence("did you mean {near!r}?", near=near[0]) if near else sentence("it has {listed}", listed=listed)
    return sentence("this process has no {noun} {name!r}; {meant}", noun=noun, name=name, meant=meant)


def _whole_problem(message: str, code: str) -> dict[str, Any]:
    return {"code": code, "pointer": "", "message": message}
