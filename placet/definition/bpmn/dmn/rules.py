"""Decision tables of DMN as those of a blueprint: what they come to is set as variables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from placet.definition.bpmn.build import Build, Context
from placet.definition.bpmn.dmn.reader import Column, DmnDecision, DmnDecisions, DmnRule, refuse
from placet.definition.bpmn.elements.people import task_inputs
from placet.definition.bpmn.file.parser import read_term, read_test
from placet.definition.bpmn.file.reader import Part, attribute, children, texts
from placet.definition.bpmn.file.scope import ValueKind
from placet.definition.bpmn.file.terms import Term, Unclear
from placet.sentences import sentence

if TYPE_CHECKING:
    from placet.definition.bpmn.walk import Walk

_CELLS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_PLAIN = {"UNIQUE": "unique", "FIRST": "first", "ANY": "any", "PRIORITY": "first"}
_MOST_INPUTS = 50
_MOST_TEXT = 3_900  # characters of an expression

Onward = Callable[[Mapping[str, Any]], str]  # where it goes on with these values of the outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class DmnTarget:
    """Where the results of a decision go: an output each into a variable, or as members of one."""

    whole: str | None = None  # the variable of which each output is a member

    def variable(self, build: Build, column: Column, rules: DmnDecisions) -> str:
        """Return the blueprint's variable of an output."""
        return build.scope.name_of(self.whole or rules.spelled(column.text))


def decide(walk: Walk, part: Part, context: Context) -> str | None:
    """Put a DMN decision in the place of a business rule task; None, and said, where its file is not at hand."""
    build = walk.build
    wanted = _reference(part)
    decision = build.rules.find(wanted) if wanted else None
    if decision is None:
        named = f" {wanted!r}" if wanted else ""
        build.account.lost(
            part.id, sentence("its rules{named} are in a DMN file of their own; send that along as dmn", named=named)
        )
        return None
    variable = attribute(part.element, "resultVariable") or next(
        (found for one in children(part.element, "calledDecision") if (found := one.get("resultVariable"))), None
    )
    mapped = attribute(part.element, "mapDecisionResult") or ""
    lone = len(decision.outputs) < 2 and (mapped not in {"singleResult", "resultList"})
    steps = build.rules.ordered(decision)

    def onward(_: Mapping[str, Any]) -> str:
        return walk.onward(part, context)

    entry = ""
    following: Onward = onward
    for step in reversed(steps):
        last = step is decision
        result = _renamed(step, variable) if last and variable and lone else step
        target = DmnTarget(whole=variable if last and not lone else None)
        entry = table_nodes(build, result, target, following, ident=part.id if step is steps[0] else step.id)
        following = _always(entry)
    build.made[part.id, context] = entry
    build.account.mapped(
        part.id, sentence("the DMN decision {decision_name!r} stands in its place", decision_name=decision.name)
    )
    return entry


def table_nodes(build: Build, decision: DmnDecision, target: DmnTarget, onward: Onward, *, ident: str) -> str:
    """Make the nodes of one decision, and return the first; raises BlueprintInvalid where it cannot be taken over."""
    try:
        return _nodes(build, decision, target, onward, ident)
    except Unclear as error:
        refuse(decision.name, error.why)


def _nodes(build: Build, decision: DmnDecision, target: DmnTarget, onward: Onward, ident: str) -> str:
    _declare(build, decision, target)
    if decision.expression is not None:
        return _expression(build, decision, target, onward, ident)
    if not decision.outputs:
        raise Unclear("only tables and expressions are taken over, no functions, contexts or lists of steps")
    policy = decision.policy
    if policy in _PLAIN or (policy == "COLLECT" and decision.aggregation in {"MIN", "MAX"}):
        return _table(build, _ranked(build.rules, decision), target, onward, ident)
    if policy in {"COLLECT", "RULE ORDER", "OUTPUT ORDER"}:
        return _collected(build, _ranked(build.rules, decision), target, onward, ident)
    raise Unclear(sentence("its hit policy {policy} is not known", policy=policy))


def _always(node: str) -> Onward:
    return lambda _: node


def _reference(part: Part) -> str | None:
    found = attribute(part.element, "decisionRef", "decisionTableReferenceKey")
    for inner in children(part.element, "calledDecision"):
        found = found or inner.get("decisionId")
    for inner in children(part.element, "field"):
        if inner.get("name") in {"decisionTableReferenceKey", "decisionReferenceKey"}:
            found = found or inner.get("stringValue") or next(texts(inner, "string"), None)
    inputs = task_inputs(part)
    return found or inputs.get("decision") or inputs.get("Decision") or inputs.get("model")


def _renamed(decision: DmnDecision, variable: str) -> DmnDecision:
    outputs = tuple(replace(one, text=variable) for one in decision.outputs)
    return replace(decision, variable=variable, outputs=outputs)


def _declare(build: Build, decision: DmnDecision, target: DmnTarget) -> None:
    """Say what the variables are: inputs by their types, outputs by theirs."""
    scope, rules = build.scope, build.rules
    for name, kind in rules.types.items():
        if kind:
            scope.declare(rules.spelled(name), kind)
    for column in decision.inputs:
        term = _read(rules, column.text)
        if term.op == "name" and column.type:
            scope.declare(str(term.value), column.type)
    many = decision.policy in {"COLLECT", "RULE ORDER", "OUTPUT ORDER"} and not decision.aggregation
    for column in decision.outputs:
        if target.whole is not None:
            held = scope.kinds.setdefault(scope.name_of(target.whole), ValueKind()).root()
            held.of = held.of or "object"
        elif column.type and not many:
            scope.declare(rules.spelled(column.text), column.type)


def _read(rules: DmnDecisions, text: str) -> Term:
    return read_term(rules.spelled(text))


def _expression(build: Build, decision: DmnDecision, target: DmnTarget, onward: Onward, ident: str) -> str:
    term = _read(build.rules, decision.expression or "")
    column = Column(id="", text=decision.variable, type=decision.type)
    _value_kind(build, target, column, term)
    values = {target.variable(build, column, build.rules): _written(build, term)}
    build.account.mapped(decision.id, "an action that sets what it comes to")
    build.told_offset(decision.id, decision.expression or "")
    return build.sets(ident, values, onward({}), name=decision.name)


# Tables


def _table(build: Build, decision: DmnDecision, target: DmnTarget, onward: Onward, ident: str) -> str:
    subjects = _subjects(build, decision)
    inputs = [build.scope.written(subject) for subject in subjects]
    tested = _tested(build, decision)
    cells: list[dict[int, Any]] = []
    for tests in tested:
        row: dict[int, Any] = {}
        for number, (subject, test) in enumerate(zip(subjects, tests, strict=True)):
            if test is None:
                continue
            guarded = _guarded(build, test, subject)
            found = _cells(build, guarded, subject)
            if found is None:
                inputs.append(build.scope.written(guarded))
                row[len(inputs) - 1] = "true"
            else:
                row[number] = found[0] if len(found) == 1 else found
        cells.append(row)
    if len(inputs) > _MOST_INPUTS:
        raise Unclear(sentence("it asks for more than {most_inputs} things", most_inputs=_MOST_INPUTS))
    node = build.node(ident, "decision", decision.name)
    ends: dict[str, str] = {}

    def leads(outputs: tuple[str, ...]) -> str:
        values = _outputs(build, decision, target, outputs)
        key = json.dumps(values, sort_keys=True)
        if key not in ends:
            shown = ", ".join(outputs)[:200]
            after = onward(dict(zip((column.text for column in decision.outputs), outputs, strict=True)))
            filled = {name: value for name, value in values.items() if value is not None}
            ends[key] = build.sets(f"{ident}.result", filled, after, name=shown) if filled else after
        return ends[key]

    rows: list[dict[str, Any]] = []
    for number, (rule, row) in enumerate(zip(decision.rules, cells, strict=True), 1):
        rows.append(
            {"when": [row.get(column) for column in range(len(inputs))], "to": leads(rule.outputs), "via": rule.id}
        )
        build.account.mapped(rule.id, sentence("rule {number} of the table", number=number))
        build.told_offset(rule.id, " ".join((*rule.tests, *rule.outputs)))
    otherwise = leads(tuple(column.otherwise for column in decision.outputs))
    if not rows or not inputs:
        build.edge(node, rows[0]["to"] if rows else otherwise, default=True)
    else:
        policy = _PLAIN.get(decision.policy, "first")
        build.nodes[node]["table"] = {"hit_policy": policy, "inputs": inputs, "rules": rows, "default": otherwise}
    build.account.mapped(decision.id, sentence("a decision table that takes {taking}", taking=_taking(decision)))
    return node


def _taking(decision: DmnDecision) -> str:
    told = {"UNIQUE": sentence("the one rule that fits"), "ANY": sentence("any rule that fits")}
    return told.get(decision.policy, sentence("the first that fits"))


def _subjects(build: Build, decision: DmnDecision) -> list[Term]:
    """Return what each column of a table is about, as the blueprint has it."""
    terms = [_read(build.rules, column.text) for column in decision.inputs]
    found = [build.scope.understood(term) for term in terms]
    _reads(build, terms)
    return found


def _tested(build: Build, decision: DmnDecision) -> list[list[Term | None]]:
    """Return what each rule asks of each column as the blueprint has it; None where anything goes."""
    return [
        [_test(build, column, text) for column, text in zip(decision.inputs, rule.tests, strict=True)]
        for rule in decision.rules
    ]


def _test(build: Build, column: Column, text: str) -> Term | None:
    tests = read_test(build.rules.spelled(text), _read(build.rules, column.text))
    if not tests:
        return None
    test = tests[0] if len(tests) == 1 else _either(tests)
    _reads(build, [test])
    return build.scope.understood(test, "bool")


def _guarded(build: Build, test: Term, subject: Term) -> Term:
    """Return a test of what may be absent so that it says what DMN does of that, instead of failing."""
    absent = Term("null")
    if not build.scope.may_be_absent(subject) or test.args[:2] == (subject, absent):
        return test
    if _holds_of_absent(test, subject):
        return Term("or", (Term("eq", (subject, absent)), test))
    return Term("and", (Term("ne", (subject, absent)), test))


def _holds_of_absent(test: Term, subject: Term) -> bool | None:
    """Say what DMN's logic of three values makes of a test where its subject is absent; None is its null."""
    if test.op in {"eq", "ne", "in"} and test.args[0] == subject:
        return (test.args[1].op == "null") is not (test.op == "ne")
    found = [_holds_of_absent(arg, subject) for arg in test.args] if test.op in {"and", "or", "not"} else [None]
    if test.op == "not":
        return None if found[0] is None else not found[0]
    decisive = test.op == "or"
    return decisive if decisive in found else None if None in found else not decisive


def _either(tests: tuple[Term, ...]) -> Term:
    values = [test.args[1] for test in tests if test.op == "eq"]
    if len(values) == len(tests) and all(value.op != "null" for value in values):
        return Term("in", (tests[0].args[0], Term("list", tuple(values))))
    found = tests[0]
    for test in tests[1:]:
        found = Term("or", (found, test))
    return found


def _cells(build: Build, test: Term, subject: Term) -> list[str] | None:
    if test.op == "and":
        parts = [_cells(build, arg, subject) for arg in test.args]
        return None if any(part is None for part in parts) else [cell for part in parts for cell in part or ()]
    if test.op not in {*_CELLS, "in"} or test.args[0] != subject or any(arg.op == "null" for arg in test.args):
        return None
    value = build.scope.written(test.args[1], 4)
    return [f"in {value}"] if test.op == "in" else [value if test.op == "eq" else f"{_CELLS[test.op]} {value}"]


def _outputs(build: Build, decision: DmnDecision, target: DmnTarget, given: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column, text in zip(decision.outputs, given, strict=True):
        term = _read(build.rules, text) if text not in {"", "-"} else None
        name = target.variable(build, column, build.rules)
        value = None
        if term is not None and term.op != "null":
            _value_kind(build, target, column, term)
            value = _written(build, term)
        if target.whole is None:
            values[name] = value
        else:
            values.setdefault(name, {})
            if value is not None:
                values[name][build.rules.spelled(column.text)] = value
    return values


def _value_kind(build: Build, target: DmnTarget, column: Column, term: Term) -> None:
    """Hold a variable to what is put into it."""
    name = Term("name", value=target.whole or build.rules.spelled(column.text))
    held = name if target.whole is None else Term("field", (name,), value=build.rules.spelled(column.text))
    build.scope.condition(Term("eq", (held, term)))


def _written(build: Build, term: Term) -> Any:
    """Return a value as JSON: itself, or what computes it."""
    if term.op in {"text", "bool", "date", "timestamp"}:
        return term.value
    if term.op == "number":
        number = Decimal(str(term.value))
        return int(number) if number == number.to_integral_value() and abs(number) < 2**53 else str(term.value)
    _reads(build, [term])
    return {"expr": build.scope.expression(term)}


def _reads(build: Build, terms: list[Term]) -> None:
    for term in terms:
        build.read.update((build.scope.name_of(name), None) for name in sorted(term.names()))


# Several rules at once


def _ranked(rules: DmnDecisions, decision: DmnDecision) -> DmnDecision:
    """Put the rules in the order in which the first that fits is the one that counts."""
    if decision.policy == "COLLECT" and decision.aggregation in {"MIN", "MAX"}:
        numbers = [_number(rules, rule) for rule in decision.rules]
        high = decision.aggregation == "MAX"
        order = sorted(range(len(numbers)), key=lambda n: -numbers[n] if high else numbers[n])
    elif decision.policy in {"PRIORITY", "OUTPUT ORDER"}:
        ranks = [_ranks(rules, column) for column in decision.outputs]
        if not any(ranks):
            raise Unclear("its outputs do not say in which order they count; list them as its output values")
        order = sorted(
            range(len(decision.rules)),
            key=lambda n: [
                rank.get(text, len(rank)) for rank, text in zip(ranks, decision.rules[n].outputs, strict=True) if rank
            ],
        )
    else:
        return decision
    ordered = tuple(decision.rules[number] for number in order)
    return replace(decision, rules=ordered)


def _number(rules: DmnDecisions, rule: DmnRule) -> Decimal:
    term = _read(rules, rule.outputs[0])
    if len(rule.outputs) != 1 or term.op != "number":
        raise Unclear("the smallest or largest is taken of numbers only, not of what is computed")
    return Decimal(str(term.value))


def _ranks(rules: DmnDecisions, column: Column) -> dict[str, int]:
    if not column.values:
        return {}
    operand = Term("name", value="output")
    tests = read_test(rules.spelled(column.values), operand)
    values = [test.args[1] for test in tests if test.op == "eq"]
    return {json.dumps(value.value) if value.op == "text" else str(value.value): n for n, value in enumerate(values)}


def _collected(build: Build, decision: DmnDecision, target: DmnTarget, onward: Onward, ident: str) -> str:
    """Aggregate the results of all matching rules: their sum, their count, or a list."""
    kind = decision.aggregation
    if kind not in {"", "SUM", "COUNT"} or len(decision.outputs) != 1 or target.whole is not None:
        raise Unclear("only one output can be collected: as a list, a sum, a count, the smallest or the largest")
    column = decision.outputs[0]
    name = target.variable(build, column, build.rules)
    parts = []
    subjects, tested = _subjects(build, decision), _tested(build, decision)
    for number, (rule, asked) in enumerate(zip(decision.rules, tested, strict=True), 1):
        condition = _condition(build, asked, subjects)
        term = _read(build.rules, rule.outputs[0])
        value = build.scope.expression(term, "number" if kind == "SUM" else None)
        _reads(build, [term])
        build.account.mapped(rule.id, sentence("part {number} of what is computed", number=number))
        build.told_offset(rule.id, " ".join((*rule.tests, *rule.outputs)))
        if kind:
            parts.append(f"({condition} ? {value if kind == 'SUM' else '1'} : 0)")
        else:
            parts.append(f"[{value}].filter(one, {condition})")
    text = " + ".join(parts) or "0"
    if len(text) > _MOST_TEXT or not parts:
        raise Unclear("it has no rules, or its rules are too long to be computed at once")
    if kind:
        build.scope.declare(str(name), "integer" if kind == "COUNT" else "decimal")
    else:
        held = build.scope.kinds.setdefault(name, ValueKind()).root()
        first = build.scope.understood(_read(build.rules, decision.rules[0].outputs[0]))
        held.of, held.item = "list", ValueKind(build.scope.kind_of(first))
    build.account.mapped(decision.id, "an action that aggregates the results of all matching rules")
    if kind == "SUM":
        build.account.assumed(decision.id, "where no rule matches it is 0, not null")
    return build.sets(ident, {name: {"expr": text}}, onward({}), name=decision.name)


def _condition(build: Build, asked: list[Term | None], subjects: list[Term]) -> str:
    tests = [_guarded(build, test, subject) for test, subject in zip(asked, subjects, strict=True) if test is not None]
    whole = tests[0] if tests else Term("bool", value=True)
    for test in tests[1:]:
        whole = Term("and", (whole, test))
    return build.scope.written(whole)
