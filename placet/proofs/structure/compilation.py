"""Compilation: the faults that the compiler of plans finds, as findings with codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from placet.definition.action_spec import ActionSpec
from placet.definition.model import ProcessDefinition
from placet.definition.steps import Step
from placet.definition.variables import Variable
from placet.errors import BlueprintInvalid, ConditionInvalid, PlacetError, Problem
from placet.expressions.syntax import parse
from placet.json_pointer import value_at
from placet.nodes.decision_tables import operand
from placet.nodes.facts import NamedAction, NamedProcess
from placet.nodes.registry import type_of
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child, Plan
from placet.proofs.findings import Finding, error, warning
from placet.sentences import sentence

# Proofs do not depend on when a request begins; calendars are frozen for whole years, so any moment does.
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)

_CODES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^/graph_spec/edges/\d+/(from|to)$"), "dangling_id"),
    (re.compile(r"^/graph_spec/nodes/\d+/step$"), "dangling_id"),
    (re.compile(r"^/graph_spec/nodes/\d+/id$"), "duplicate_id"),
    (re.compile(r"^/graph_spec/nodes$"), "missing_trigger"),
    (re.compile(r"^/graph_spec/nodes/\d+$"), "branching"),
    (re.compile(r"^/graph_spec/nodes/\d+/action$"), "unknown_action"),
    (re.compile(r"^/graph_spec/nodes/\d+/template$"), "unknown_process"),
    (re.compile(r"^/graph_spec/nodes/\d+/(table/(rules/\d+/to|default)|output/.+|input/[^/]+|to/\d+)$"), "dangling_id"),
    (re.compile(r"^/graph_spec/nodes/\d+/input$"), "missing_input"),
    (re.compile(r"^/graph_spec/edges/\d+$"), "missing_condition"),
    (re.compile(r"^/graph_spec/edges/\d+/on$"), "wrong_edge"),
    (re.compile(r"^/settings/"), "calendar"),
    (re.compile(r"^/(owner|process_steps/\d+/(approvers|escalation|escalation_to)\b.*)$"), "dangling_id"),
)
_CONDITION = re.compile(
    r"^/process_steps/\d+/approvers/\d+/expr$|^/graph_spec/(edges/\d+/condition|nodes/\d+/(until|input/.+/expr|[a-z_]+/expr|table/inputs/\d+|table/rules/\d+/when/\d+))$"
)


def compiled(
    definition: ProcessDefinition,
    raw: object,
    actions: Mapping[str, ActionSpec] | None = None,
    children: Mapping[str, Child] | None = None,
) -> tuple[Plan | None, list[Finding]]:
    """Compile a blueprint; returns the plan (None where it is refused) and the findings.

    Where the known actions and processes are not given, those that are named are assumed to exist.
    """
    told: list[Finding] = []
    if actions is None:
        actions, missing = _assumed_actions(definition)
        told += missing
    if children is None:
        children, missing = _assumed_children(definition)
        told += missing
    try:
        return compile_plan(definition, start=SOME_DAY, actions=actions, children=children), told
    except BlueprintInvalid as refusal:
        problems = refusal.problems or (Problem(pointer="", message=refusal.message),)
        return None, [_classified(raw, problem) for problem in problems]
    except (PlacetError, ValueError, ArithmeticError, RecursionError) as fault:
        # What cannot be written as canonical JSON, such as a form with numbers that no JSON reader keeps.
        return None, [
            error("schema", "", sentence("the blueprint cannot be compiled: {fault}", fault=str(fault)[:300]))
        ]


def _assumed_actions(definition: ProcessDefinition) -> tuple[dict[str, ActionSpec], list[Finding]]:
    named: dict[str, ActionSpec] = {}
    told: list[Finding] = []
    for index, node in enumerate(definition.graph_spec.nodes if definition.graph_spec is not None else ()):
        called = type_of(node).named(node)
        if isinstance(called, NamedAction):
            name = called.name
            named[name] = ActionSpec(name=name, executor="unknown", is_idempotent=False, latency_class="very_slow")
            message = sentence(
                "no action catalog is loaded, so it is not known whether there is an action {name!r}", name=name
            )
            told.append(warning("action_unknown", f"/graph_spec/nodes/{index}/action", message))
    return named, told


def _assumed_children(definition: ProcessDefinition) -> tuple[dict[str, Child], list[Finding]]:
    variables: dict[str, dict[str, Variable]] = {}
    told: list[Finding] = []
    for index, node in enumerate(definition.graph_spec.nodes if definition.graph_spec is not None else ()):
        called = type_of(node).named(node)
        if isinstance(called, NamedProcess):
            names = [name for name in (*called.input, *called.output.values()) if re.fullmatch(r"[A-Za-z_]\w*", name)]
            known = variables.setdefault(called.reference, {})
            known |= {name: Variable(name=name, type="string") for name in names}
            message = sentence(
                "no processes are loaded, so it is not known whether there is one called {template!r}",
                template=called.template,
            )
            told.append(warning("process_unknown", f"/graph_spec/nodes/{index}/template", message))
    return {
        named: Child(template_id="unknown", plan=_stand_in(named, known)) for named, known in variables.items()
    }, told


def _stand_in(name: str, variables: Mapping[str, Variable]) -> Plan:
    step = Step(stage_name="unknown")
    inner = ProcessDefinition(name=name, version="0.0.0", variables=tuple(variables.values()), process_steps=(step,))
    return compile_plan(inner, start=SOME_DAY)


def _classified(raw: object, problem: Problem) -> Finding:
    code = next((code for pattern, code in _CODES if pattern.match(problem.pointer)), "schema")
    if code == "missing_condition" and _decides_by_table(raw, value_at(raw, problem.pointer)):
        code = "wrong_edge"
    if _CONDITION.match(problem.pointer):
        code = _condition_code(value_at(raw, problem.pointer), problem)
    return error(code, problem.pointer, problem.message)


def _condition_code(text: object, problem: Problem) -> str:
    if not problem.message.startswith("line "):
        return "wrong_edge"  # a sound condition, on an edge that carries none
    cell = "/when/" in problem.pointer
    try:
        for part in text if isinstance(text, list | tuple) else [text]:
            parse(operand(part) if cell else part) if isinstance(part, str) else parse("")
    except ConditionInvalid:
        return "syntax"
    return "types"


def _decides_by_table(raw: object, edge: object) -> bool:
    nodes = value_at(raw, "/graph_spec/nodes")
    source = edge.get("from") if isinstance(edge, dict) else None
    return any(isinstance(n, dict) and n.get("id") == source and n.get("table") is not None for n in nodes or ())
