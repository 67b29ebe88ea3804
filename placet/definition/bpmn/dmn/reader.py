"""Read DMN files (1.1 and newer): their decisions, with tables or expressions, and what each requires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn
from xml.etree.ElementTree import Element

from placet.definition.bpmn.file.reader import parse
from placet.definition.bpmn.file.words import slug
from placet.errors import BlueprintInvalid, Problem
from placet.sentences import sentence

_SPACE = re.compile(r"https?://www\.omg\.org/spec/DMN/[^}]*")
_POLICIES = {
    "U": "UNIQUE", "F": "FIRST", "A": "ANY", "P": "PRIORITY", "C": "COLLECT", "R": "RULE ORDER", "O": "OUTPUT ORDER",
}  # fmt: skip
_TYPES = {
    "string": "string", "boolean": "boolean", "number": "decimal", "integer": "integer", "long": "integer",
    "double": "decimal", "date": "date", "dateTime": "datetime", "date and time": "datetime", "int": "integer",
}  # fmt: skip
MOST_RULES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """An input (its expression) or an output (its name): with its type in the blueprint, if it says one."""

    id: str
    text: str
    type: str = ""
    values: str = ""  # unary tests that say what is allowed; of an output in the order of their priority
    otherwise: str = ""  # of an output: what it is where no rule fits


@dataclass(frozen=True, slots=True, kw_only=True)
class DmnRule:
    """One row: a unary test for each input, an expression for each output."""

    id: str
    tests: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DmnDecision:
    """One decision: `rules` of a table, or the `expression` that it is. `variable` is what others call its result."""

    id: str
    name: str
    variable: str
    type: str = ""
    requires: tuple[str, ...] = ()
    policy: str = "UNIQUE"
    aggregation: str = ""
    inputs: tuple[Column, ...] = ()
    outputs: tuple[Column, ...] = ()
    rules: tuple[DmnRule, ...] = ()
    expression: str | None = None


@dataclass(slots=True, kw_only=True)
class DmnDecisions:
    """The decisions of one file or several, by id, and the names in them that have spaces or signs."""

    decisions: dict[str, DmnDecision] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)  # of data that decisions require, by name
    roots: list[Element] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def find(self, wanted: str) -> DmnDecision | None:
        """Return the decision of an id or a name."""
        by_name = (one for one in self.decisions.values() if one.name == wanted)
        return self.decisions.get(wanted) or next(by_name, None)

    def spelled(self, text: str) -> str:
        """Return an expression in which names with spaces are one word each; texts in quotes stay as they are."""
        parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
        for name, plain in sorted(self.names.items(), key=lambda pair: -len(pair[0])):
            pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
            parts = [part if part[:1] == '"' else pattern.sub(plain, part) for part in parts]
        return "".join(parts)

    def ordered(self, decision: DmnDecision) -> list[DmnDecision]:
        """Return a decision after all that it requires; raises BlueprintInvalid for a circle."""
        found: list[DmnDecision] = []
        path: list[str] = []

        def add(one: DmnDecision) -> None:
            if one.id in path:
                refuse(one.name, "it requires itself, directly or through others")
            if one in found:
                return
            path.append(one.id)
            for required in one.requires:
                if required in self.decisions:
                    add(self.decisions[required])
            path.pop()
            found.append(one)

        add(decision)
        return found


def dmn_tag(element: Element) -> str:
    """Return an element's name without its namespace; "" for one that is not DMN's own."""
    space, _, name = str(element.tag).removeprefix("{").rpartition("}")
    return name if _SPACE.fullmatch(space) else ""


def read_dmn(*contents: bytes) -> DmnDecisions:
    """Return what DMN files hold; raises BlueprintInvalid for what is no DMN, or is too much."""
    found = DmnDecisions()
    for number, content in enumerate(contents):
        try:
            root = parse(content)
        except BlueprintInvalid as error:
            message = (
                sentence("DMN file {number}: {message}", number=number + 1, message=error.message)
                if len(contents) > 1
                else error.message
            )
            raise BlueprintInvalid(message, problems=(Problem(pointer="/dmn", message=message),)) from None
        if dmn_tag(root) != "definitions":
            refuse(None, "this is no DMN file: its root is not `definitions` of http(s)://www.omg.org/spec/DMN/…")
        found.roots.append(root)
        for element in root:
            if dmn_tag(element) == "inputData":
                _data(found, element)
            if dmn_tag(element) == "decision":
                decision = _decision(element)
                if decision.id in found.decisions:
                    refuse(
                        decision.name,
                        sentence(
                            "the id {decision_id!r} is used twice; give each decision its own", decision_id=decision.id
                        ),
                    )
                found.decisions[decision.id] = decision
    for decision in found.decisions.values():
        for name in (decision.variable, decision.name, *(column.text for column in decision.outputs)):
            if name and not re.fullmatch(r"[A-Za-z_]\w*", name):
                found.names[name] = slug(name, "value")
    return found


def refuse(name: str | None, why: str) -> NoReturn:
    """Raise BlueprintInvalid that names DMN, and the decision."""
    message = sentence("the DMN decision {name!r} cannot be taken over: {why}", name=name, why=why) if name else why
    raise BlueprintInvalid(message, problems=(Problem(pointer="/dmn", message=message),))


def _data(found: DmnDecisions, element: Element) -> None:
    name = element.get("name") or element.get("id") or ""
    for inner in element:
        if dmn_tag(inner) == "variable":
            name = inner.get("name") or name
            found.types[name] = _type(inner.get("typeRef"))
    if name and not re.fullmatch(r"[A-Za-z_]\w*", name):
        found.names[name] = slug(name, "value")


def _decision(element: Element) -> DmnDecision:
    ident = element.get("id") or element.get("name") or ""
    name = " ".join((element.get("name") or ident).split())[:200]
    variable = next((inner for inner in element if dmn_tag(inner) == "variable"), None)
    shown = (variable.get("name") if variable is not None else None) or name
    kind = _type(variable.get("typeRef") if variable is not None else None)
    requires = tuple(
        inner.get("href", "").rpartition("#")[2]
        for link in element
        if dmn_tag(link) == "informationRequirement"
        for inner in link
        if dmn_tag(inner) == "requiredDecision"
    )
    for inner in element:
        logic = dmn_tag(inner)
        if logic == "decisionTable":
            return _table(inner, DmnDecision(id=ident, name=name, variable=shown, type=kind, requires=requires))
        if logic == "literalExpression":
            text = next(_texts(inner), "")
            return DmnDecision(id=ident, name=name, variable=shown, type=kind, requires=requires, expression=text)
    return DmnDecision(id=ident, name=name, variable=shown, type=kind, requires=requires)


def _table(table: Element, decision: DmnDecision) -> DmnDecision:
    policy = (table.get("hitPolicy") or "UNIQUE").strip().upper()
    inputs = tuple(_input(one) for one in table if dmn_tag(one) == "input")
    outputs = tuple(_output(one, decision) for one in table if dmn_tag(one) == "output")
    rules = []
    for row in table:
        if dmn_tag(row) == "rule":
            tests = tuple(next(_texts(one), "") for one in row if dmn_tag(one) == "inputEntry")
            values = tuple(next(_texts(one), "") for one in row if dmn_tag(one) == "outputEntry")
            rules.append(DmnRule(id=row.get("id", ""), tests=tests, outputs=values))
    if len(rules) > MOST_RULES:
        refuse(
            decision.name,
            sentence("it has {count} rules, and {most_rules} can be imported", count=len(rules), most_rules=MOST_RULES),
        )
    if not outputs:
        refuse(decision.name, "its table has no output")
    for number, rule in enumerate(rules, 1):
        if len(rule.tests) != len(inputs) or len(rule.outputs) != len(outputs):
            refuse(decision.name, sentence("rule {number} has not one entry for each input and output", number=number))
    return DmnDecision(
        id=decision.id,
        name=decision.name,
        variable=decision.variable,
        type=decision.type,
        requires=decision.requires,
        policy=_POLICIES.get(policy, policy),
        aggregation=(table.get("aggregation") or "").strip().upper(),
        inputs=inputs,
        outputs=outputs,
        rules=tuple(rules),
    )


def _input(element: Element) -> Column:
    for inner in element:
        if dmn_tag(inner) == "inputExpression":
            text = next(_texts(inner), "") or element.get("label") or ""
            values = next((next(_texts(one), "") for one in element if dmn_tag(one) == "inputValues"), "")
            return Column(id=element.get("id", ""), text=text, type=_type(inner.get("typeRef")), values=values)
    return Column(id=element.get("id", ""), text=element.get("label") or element.get("name") or "")


def _output(element: Element, decision: DmnDecision) -> Column:
    name = element.get("name") or decision.variable
    values = next((next(_texts(one), "") for one in element if dmn_tag(one) == "outputValues"), "")
    otherwise = next((next(_texts(one), "") for one in element if dmn_tag(one) == "defaultOutputEntry"), "")
    kind = _type(element.get("typeRef")) or decision.type
    return Column(id=element.get("id", ""), text=name, type=kind, values=values, otherwise=otherwise)


def _texts(element: Element) -> Iterator[str]:
    for inner in element.iter():
        if dmn_tag(inner) == "text":
            yield " ".join((inner.text or "").split())[:4000]


def _type(reference: str | None) -> str:
    return _TYPES.get((reference or "").rpartition(":")[2], "")


def main_decision(rules: DmnDecisions, wanted: str | None) -> DmnDecision:
    """Return the decision that is meant: the named one, else the one that no other requires."""
    if wanted is not None:
        found = rules.find(wanted)
        if found is None:
            refuse(
                None,
                sentence(
                    "the DMN file has no decision {wanted!r}; there are: {named}",
                    wanted=wanted,
                    named=_named(list(rules.decisions.values())),
                ),
            )
        return found
    required = {one for decision in rules.decisions.values() for one in decision.requires}
    last = [decision for decision in rules.decisions.values() if decision.id not in required]
    if len(last) != 1:
        named = _named(last) or "none"
        refuse(
            None,
            sentence(
                'the DMN file has {count} decisions that stand alone ({named}); say which with "decision"',
                count=len(last),
                named=named,
            ),
        )
    return last[0]


def _named(decisions: Sequence[DmnDecision]) -> str:
    return ", ".join(repr(decision.name) for decision in decisions[:20])
