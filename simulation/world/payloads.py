"""Payloads: the inputs and outputs of actions that break their schemas, reported as validation errors.

The core and the recorders of a rehearsal find the breaches (`simulation.world.answers`). This module gives each its
place in the blueprint, and an input that leads to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from placet.audit.chain import Entry
from placet.definition.action_spec import ActionCall
from placet.definition.model import ProcessDefinition
from placet.errors import Problem
from placet.expressions.templates import expression_of
from placet.json_pointer import parts_of, pointer_to
from placet.nodes.registry import type_of
from placet.sentences import sentence
from simulation.world.world import SimulatedRun

MOST_ERRORS = 100  # of one simulation


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCall:
    """A simulated action call, and where its payloads break its schemas (`simulation.world.answers.Answers.breaches`).

    `within` is the sub-process node of the blueprint inside which it ran; None where the blueprint itself runs it.
    """

    node: str
    action: str
    breaches: tuple[Problem, ...]
    within: str | None = None


def checked_calls(simulated: SimulatedRun, within: str | None = None) -> Iterator[CheckedCall]:
    """Generate the action calls of a simulated request and its sub-processes whose payloads break their schemas."""
    entries = simulated.trace.entries
    for entry in entries:
        if entry.kind != "action_started":
            continue
        detail = entry.detail
        call = ActionCall(
            key="", node=detail["node"], visit=detail["visit"], action=detail["action"], input=detail["input"]
        )
        if breaches := simulated.answers.breaches(call):
            yield CheckedCall(node=call.node, action=call.action, breaches=breaches, within=within)
    for request_id, inner in simulated.inner.items():
        yield from checked_calls(inner, within or node_of(entries, request_id))


def node_of(entries: Iterable[Entry], request_id: str) -> str | None:
    """Return the node of a request that starts a sub-process, directly or inside another sub-process."""
    for entry in entries:
        if entry.kind == "child_started" and f"{request_id}~".startswith(f"{entry.detail['request']}~"):
            return str(entry.detail["node"])
    return None


def input_errors(
    definition: ProcessDefinition,
    called: Iterable[CheckedCall],
    witness: Mapping[str, Any],
    known: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, Any], ...]:
    """Return the errors of action inputs on a branch as `payload_errors` does, without places that are `known` already.

    Outputs are left out: on a branch they are sample values, because the script applies to the given request alone.
    """
    known_pointers = {error["pointer"] for error in known}
    given = (
        replace(call, breaches=tuple(b for b in call.breaches if b.pointer.startswith("/input"))) for call in called
    )
    return tuple(
        error for error in payload_errors(definition, given, witness) if error["pointer"] not in known_pointers
    )


def payload_errors(
    definition: ProcessDefinition, called: Iterable[CheckedCall], witness: Mapping[str, Any]
) -> tuple[dict[str, Any], ...]:
    """Return the breaches as validation errors, each once.

    `pointer` is a place in the blueprint or in the given script; `witness` is the input that leads there. A sample
    output that does not fit is a warning instead (`payload_warnings`).
    """
    numbers = _numbers(definition)
    errors: dict[tuple[str, str], dict[str, Any]] = {}
    for call, breach in _each(called, sampled=False):
        pointer, message = _place(definition, numbers, call, breach.pointer), _sentence(call, breach)
        code = "action_input" if breach.pointer.startswith("/input") else "action_output"
        error = {"code": code, "pointer": pointer, "message": message, "witness": dict(witness)}
        if len(errors) < MOST_ERRORS:
            errors[pointer, message] = error
    return tuple(errors.values())


def payload_warnings(definition: ProcessDefinition, called: Iterable[CheckedCall]) -> tuple[str, ...]:
    """Return a warning for each action for which no sample output fits the schema, with its place in the blueprint."""
    numbers = _numbers(definition)
    known_pointers = (
        f"{_place(definition, numbers, call, breach.pointer)}: {_sentence(call, breach)}"
        for call, breach in _each(called)
    )
    return tuple(dict.fromkeys(known_pointers))[:MOST_ERRORS]


def _each(called: Iterable[CheckedCall], *, sampled: bool = True) -> Iterator[tuple[CheckedCall, Problem]]:
    return ((call, b) for call in called for b in call.breaches if b.pointer.startswith("/output") == sampled)


def _numbers(definition: ProcessDefinition) -> dict[str, int]:
    """Return the index of each node in the blueprint."""
    return {} if definition.graph_spec is None else {node.id: n for n, node in enumerate(definition.graph_spec.nodes)}


def _place(definition: ProcessDefinition, numbers: Mapping[str, int], call: CheckedCall, pointer: str) -> str:
    """Return the most specific JSON Pointer into the blueprint or the script for a breach."""
    if pointer.startswith("/script/"):
        return pointer
    number = numbers[call.within or call.node]
    here = f"/graph_spec/nodes/{number}"
    node = definition.graph_spec.nodes[number] if definition.graph_spec is not None else None
    given = type_of(node).named(node) if node is not None else None
    if call.within is not None or given is None or not pointer.startswith("/input") or not given.input:
        return here
    value: Any = given.input
    place = f"{here}/input"
    for name in parts_of(pointer)[1:]:
        if expression_of(value) is not None:
            break
        if isinstance(value, list | tuple):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            break
        place = pointer_to(place, name)
    return place if expression_of(value) is None else f"{place}/expr"


def _sentence(call: CheckedCall, breach: Problem) -> str:
    where = sentence("in the sub-process, at its node {node!r}, ", node=call.node) if call.within is not None else ""
    if breach.pointer.startswith("/input"):
        remedy = sentence("the action would refuse it; pass a value that its input_schema accepts")
        return sentence(
            "{where}action {action!r} is given {pointer}: {message}; {remedy}",
            where=where,
            action=call.action,
            pointer=breach.pointer,
            message=breach.message,
            remedy=remedy,
        )
    if breach.pointer.startswith("/script"):
        return sentence(
            "{message}; action {action!r} may not return it; give an output that its output_schema accepts",
            message=breach.message,
            action=call.action,
        )
    return sentence(
        "{where}no sample output fits the output_schema of action {action!r}: {pointer}: {message}; "
        'give the schema "examples", or set the output by a line of the script with "do": "answer"',
        where=where,
        action=call.action,
        pointer=breach.pointer,
        message=breach.message,
    )
