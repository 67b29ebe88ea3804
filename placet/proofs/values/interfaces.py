"""Interfaces: whether the values that a node passes to an action or sub-process fit, and whether the output fits
variables.

What stands in the blueprint is held to the schema as it is; of what is computed only its type is known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from placet.definition.action_spec import ActionSpec
from placet.definition.json_schema.validation import schema_problems, value_problems
from placet.definition.model import ProcessDefinition
from placet.definition.variables import Variable, scope_of
from placet.definition.variables.shapes import read
from placet.errors import Problem
from placet.expressions import Expression, Scope
from placet.expressions.templates import compile_template, computed_in, expression_of
from placet.expressions.types import type_from
from placet.json_pointer import parts_of, pointer_to
from placet.nodes.facts import NamedAction, NamedProcess
from placet.nodes.registry import type_of
from placet.plan.plan import Child
from placet.proofs.findings import Finding, error
from placet.sentences import either, sentence

# What the value of an expression is as JSON: decimals, dates and moments are written as text.
_WRITTEN = {
    "string": "string",
    "int": "integer",
    "decimal": "string",
    "bool": "boolean",
    "date": "string",
    "timestamp": "string",
    "list": "array",
    "object": "object",
}
# What kinds of expressions a variable of a sub-process can be given, and which JSON a variable takes from an output.
GIVEN = {
    "string": {"string", "decimal", "date", "timestamp"},
    "integer": {"int"},
    "decimal": {"decimal", "int", "string"},
    "boolean": {"bool"},
    "date": {"date", "string"},
    "datetime": {"timestamp", "string"},
    "list": {"list"},
    "object": {"object"},
}
_TAKEN = {
    "string": {"string"},
    "integer": {"integer", "number"},
    "decimal": {"string", "integer", "number"},
    "boolean": {"boolean"},
    "date": {"string"},
    "datetime": {"string"},
    "list": {"array"},
    "object": {"object"},
}
# What one variable takes from another: their values are JSON in between.
_PASSED = {"string": "string", "integer": "int", "decimal": "decimal", "boolean": "bool", "date": "date"} | {
    "datetime": "timestamp",
    "list": "list",
    "object": "object",
}


def interface_findings(
    definition: ProcessDefinition, actions: Mapping[str, ActionSpec] | None, children: Mapping[str, Child] | None
) -> Iterator[Finding]:
    """Generate the mismatches, for the actions and processes that are known."""
    scope = scope_of(definition.variables)
    variables = {variable.name: variable for variable in definition.variables}
    forms = {step.stage_name: step.form for step in definition.process_steps}
    for index, node in enumerate(definition.graph_spec.nodes if definition.graph_spec is not None else ()):
        here = f"/graph_spec/nodes/{index}"
        node_type = type_of(node)
        named, stage = node_type.named(node), node_type.step_name(node)
        if stage is not None and (form := forms.get(stage)) is not None:
            for variable, source in node_type.output(node).items():
                if variable in variables:
                    place = pointer_to(f"{here}/output", variable)
                    yield from _output(
                        sentence("the form of {stage}", stage=stage), form, variables[variable], source, place
                    )
        elif isinstance(named, NamedAction) and (spec := (actions or {}).get(named.name)) is not None:
            yield from _action(named, spec, here, scope, variables)
        elif isinstance(named, NamedProcess) and (child := (children or {}).get(named.reference)) is not None:
            yield from _subprocess(named, child, here, scope, variables)


def _action(
    called: NamedAction, spec: ActionSpec, here: str, scope: Scope, variables: Mapping[str, Variable]
) -> Iterator[Finding]:
    # A schema that cannot be used is the catalog's fault, which refuses to take one.
    if not schema_problems(spec.input_schema, ""):
        expressions = _compiled(called.input, scope)
        for name, value in called.input.items():
            members = spec.input_schema.get("properties")
            member = members.get(name) if isinstance(members, dict) else None
            if isinstance(member, dict):
                place = pointer_to(f"{here}/input", name)
                yield from _value(spec, value, member, expressions, place)
    for variable, source in called.output.items():
        if variable in variables:
            place = pointer_to(f"{here}/output", variable)
            yield from _output(repr(spec.name), spec.output_schema, variables[variable], source, place)


def _value(
    spec: ActionSpec, value: Any, schema: dict[str, Any], expressions: Mapping[str, Expression], place: str
) -> Iterator[Finding]:
    text = expression_of(value)
    if text is not None:
        kind = _kind(expressions.get(text))
        allowed = _json_types(schema)
        if kind is not None and allowed is not None and not _overlap({_WRITTEN[kind]}, allowed):
            told = sentence("this is {article}, passed on as {written}", article=_article(kind), written=_WRITTEN[kind])
            message = sentence(
                "{told}, and {name!r} takes {names} here; compute one",
                told=told,
                name=spec.name,
                names=either(sorted(allowed)),
            )
            yield error("types", f"{place}/expr", message)
    elif next(computed_in(value, place), None) is None:
        # A part of a schema may refer to the whole, by which alone it can be read.
        whole = {key: inner for key, inner in spec.input_schema.items() if key in {"$defs", "definitions"}} | schema
        if not schema_problems(whole, ""):
            for problem in value_problems(whole, value, place):
                yield error(
                    "types",
                    problem.pointer,
                    sentence("{message}; {name!r} takes nothing else here", message=problem.message, name=spec.name),
                )
    elif isinstance(value, dict) and isinstance(schema.get("properties"), dict):
        for name, inner in value.items():
            if isinstance(member := schema["properties"].get(name), dict):
                yield from _value(spec, inner, member, expressions, pointer_to(place, name))
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, inner in enumerate(value):
            yield from _value(spec, inner, schema["items"], expressions, pointer_to(place, index))


def _output(giver: str, schema: Any, variable: Variable, source: str, place: str) -> Iterator[Finding]:
    for part in parts_of(source) if source[:1] == "/" else [source]:
        members = schema.get("properties") if isinstance(schema, dict) else None
        if not isinstance(members, dict):
            return
        if part not in members:
            if schema.get("additionalProperties") is False:
                known = ", ".join(members) or "nothing"
                message = sentence(
                    "{giver} returns no {part!r}; it returns: {known}", giver=giver, part=part, known=known
                )
                yield error("dangling_id", place, message)
            return
        schema = members[part]
    returned = _json_types(schema) if isinstance(schema, dict) else None
    if returned is not None and not _overlap(_TAKEN[variable.type], returned - {"null"}):
        message = sentence(
            "{giver} returns {names} here, and {name!r} is declared as {type}; take another field, "
            "or declare another type",
            giver=giver,
            names=either(sorted(returned)),
            name=variable.name,
            type=variable.type,
        )
        yield error("types", place, message)


def _subprocess(
    called: NamedProcess, child: Child, here: str, scope: Scope, variables: Mapping[str, Variable]
) -> Iterator[Finding]:
    taken = {variable.name: variable for variable in child.plan.variables}
    expressions = _compiled(called.input, scope)
    for name, value in called.input.items():
        if name not in taken:
            continue  # the compiler names it
        place = pointer_to(f"{here}/input", name)
        text = expression_of(value)
        kind = _kind(expressions.get(text)) if text is not None else None
        if kind is not None and kind not in GIVEN[taken[name].type]:
            message = sentence(
                "this is {kind}, and {name!r} of {name_2!r} is declared as {type}",
                kind=_article(kind),
                name=name,
                name_2=child.plan.name,
                type=taken[name].type,
            )
            yield error("types", f"{place}/expr", sentence("{message}; compute one", message=message))
        elif text is None and next(computed_in(value, place), None) is None:
            problems: list[Problem] = []
            read(taken[name], value, place, problems)
            for problem in problems:
                yield error(
                    "types",
                    problem.pointer,
                    sentence("{message}, so that {name!r} can take it", message=problem.message, name=child.plan.name),
                )
    missing = [v.name for v in taken.values() if v.required and v.default is None and v.name not in called.input]
    if missing:
        message = sentence(
            "{name!r} cannot begin without {names}; give a value for each",
            name=child.plan.name,
            names=", ".join(map(repr, missing)),
        )
        yield error("missing_input", f"{here}/input" if called.input else here, message)
    for name, source in called.output.items():
        if name in variables and source in taken:
            kind = _PASSED[taken[source].type]
            if kind not in GIVEN[variables[name].type]:
                message = sentence(
                    "{source_text!r} of {name!r} is declared as {type}, and {name_2!r} as {type_2}; take "
                    "another variable, or declare another type",
                    source_text=source,
                    name=child.plan.name,
                    type=taken[source].type,
                    name_2=name,
                    type_2=variables[name].type,
                )
                yield error("types", pointer_to(f"{here}/output", name), message)


def _compiled(template: dict[str, Any], scope: Scope) -> Mapping[str, Expression]:
    faults: list[Problem] = []  # the compiler names them
    return compile_template(template, scope, "", faults).expressions


def _kind(expression: Expression | None) -> str | None:
    if expression is None:
        return None
    kind = type_from(expression.ast["type"]).kind
    return kind if kind in _WRITTEN else None


def _article(kind: str) -> str:
    return sentence("an {type}", type=kind) if kind[0] in "aeiou" else sentence("a {type}", type=kind)


def _json_types(schema: Mapping[str, Any]) -> set[str] | None:
    """Return the JSON types that a schema names, None where it leaves them open."""
    named = schema.get("type")
    if isinstance(named, str):
        return {named}
    return {str(one) for one in named} if isinstance(named, list) else None


def _overlap(one: set[str], other: set[str]) -> bool:
    whole = {"integer", "number"}
    return bool(one & other) or (bool(one & whole) and bool(other & whole))
