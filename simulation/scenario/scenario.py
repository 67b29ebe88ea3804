"""Scenarios: what is simulated, that is a process, a request, its people, and the assumptions about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from placet.definition.action_spec import ActionSpec
from placet.definition.model import ProcessDefinition, parse_definition
from placet.directory import Directory
from placet.engine.bound_action import BoundAction
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child, Plan
from simulation.report.costs import Prices
from simulation.run.driver import (
    HORIZON,
    MOST_ENTRIES,
)
from simulation.scenario.approver_model import Sample
from simulation.scenario.asked_action import AskedAction
from simulation.scenario.past import NoPast, Past
from simulation.scenario.script import ScriptLine


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledDefinition:
    """A parsed blueprint and its plan."""

    blueprint: ProcessDefinition
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is simulated. The people and the past are in it: a simulation reads no store.

    With `given` None a sample input is used.
    """

    blueprint: object  # JSON values
    compiled: CompiledDefinition | None = None  # the same, compiled; None where it is not compiled yet
    people: Directory
    requester: str
    start: datetime
    given: Mapping[str, Any] | None = None
    # What a machine asks for, up to some time after the start or up to a moment; None where it is for no action.
    action: AskedAction | BoundAction | None = None
    script: Sequence[ScriptLine] = ()
    in_order: bool = False  # whether a line of the script waits for those before it
    others: Literal["approve", "wait"] = "approve"  # what people do about whom the script says nothing
    past: Past = field(default_factory=NoPast)  # from which response times are drawn
    decide_after: timedelta | None = None
    sample: Sample | None = None  # settings of sampled approvers
    horizon: timedelta = HORIZON
    most_entries: int = MOST_ENTRIES
    most_branches: int = 200
    seconds: float = 10.0  # of real time; what is not explored by then is left out, with a warning
    prices: Prices = field(default_factory=Prices)
    request_id: str = "simulation"
    title: str = "Simulation"
    actions: Mapping[str, ActionSpec] = field(default_factory=dict)  # the catalog, by name
    children: Mapping[str, Child] = field(default_factory=dict)  # processes for sub-process nodes, by reference


def compiled_of(scenario: Scenario, definition: ProcessDefinition | None = None) -> CompiledDefinition:
    """Return the compiled definition of a scenario, compiled now unless it has one; raises BlueprintInvalid.

    `definition` is the parsed blueprint of the scenario, if it is parsed already.
    """
    if scenario.compiled is not None:
        return scenario.compiled
    definition = parse_definition(scenario.blueprint) if definition is None else definition
    plan = compile_plan(definition, start=scenario.start, actions=scenario.actions, children=scenario.children)
    return CompiledDefinition(blueprint=definition, plan=plan)
