"""Outcomes of a task: which edges follow an approval, and which a rejection.

A gateway is a verdict only where it asks about an approval and nothing else: by what its question and its answers say,
or by conditions on one variable that the task itself fills in. Conditions on anything else stay, on the route that the
verdict leads to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from placet.definition.bpmn.file.parser import read_term
from placet.definition.bpmn.file.reader import Flow, Part
from placet.definition.bpmn.file.terms import Term, Unclear, negated
from placet.definition.bpmn.file.words import Stance, answer, asks, asks_for_decision, says, says_rework

Choice = tuple[Flow, Term | None]  # a flow, and the condition that is left of it; None: none is
_COMPARED = {"eq", "ne"}


@dataclass(slots=True, kw_only=True)
class TaskOutcomes:
    """Where an approval and a rejection lead: the first route whose condition holds; an empty list: nowhere.

    `changes` are routes back, which a request for changes takes. `variable` is what the conditions read in the file,
    and `values` what an approver may say in it besides approving: each has its own route.
    """

    approved: list[Choice] = field(default_factory=list)
    rejected: list[Choice] = field(default_factory=list)
    changes: list[Flow] = field(default_factory=list)
    variable: str | None = None
    values: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)  # by flow: what an approver chooses, where nothing is named


def verdict_of(
    gate: Part, outs: Sequence[Flow], *, data: frozenset[str], returns: Mapping[str, bool]
) -> TaskOutcomes | None:
    """Return the verdict that a gateway takes, None where it asks for something else.

    `data` are the variables that somebody else fills in, `returns` says of each flow whether it leads back to the task.
    """
    if any(flow.condition for flow in outs):
        return _by_conditions(gate, outs, data, returns)
    return _by_labels(gate, outs, returns)


def paths(term: Term) -> Iterator[Term]:
    """Generate the variables that an expression reads, each with its members: `order.total` is one."""
    inner = term
    while inner.op == "field":
        inner = inner.args[0]
    if inner.op == "name":
        yield term
        return
    for arg in term.args:
        yield from paths(arg)


def root_of(path: Term) -> str:
    """Return the variable that a path begins with."""
    return next(iter(path.names()), "")


# By what is written at the gateway and its flows


def _by_labels(gate: Part, outs: Sequence[Flow], returns: Mapping[str, bool]) -> TaskOutcomes | None:
    stances: dict[str, Stance | Literal["changes"] | None] = {}
    for flow in outs:
        stances[flow.id] = _stance(gate.name, flow.name)
        if stances[flow.id] is None and says_rework(flow.name) and returns[flow.id]:
            stances[flow.id] = "changes"
    plain = [flow for flow in outs if flow.id == gate.default and not flow.name]
    said = set(stances.values())
    if len(plain) == 1 and len(outs) == 2 and ({"approved"} <= said or {"rejected"} <= said):
        stances[plain[0].id] = "rejected" if "approved" in said else "approved"
    by: dict[str | None, list[Flow]] = {}
    for flow in outs:
        by.setdefault(stances[flow.id], []).append(flow)
    if len(by.get("approved", [])) != 1 or len(by.get("rejected", [])) > 1:
        return None
    if not by.get("rejected") and not by.get("changes"):
        return None
    found = TaskOutcomes(changes=by.get("changes", []), rejected=[(flow, None) for flow in by.get("rejected", [])])
    onward = [*by["approved"], *by.get(None, [])]
    found.approved = [(flow, None) for flow in onward]
    if len(onward) > 1:
        found.labels = {flow.id: flow.name or flow.id for flow in onward}
    return found


def _stance(question: str, label: str) -> Stance | None:
    asked = asks(question)
    if asked is not None:
        yes = answer(label)
        if yes is not None:
            return asked if yes else "rejected" if asked == "approved" else "approved"
        return says(label)
    return asks(label) if asks_for_decision(question) and answer(label) is None else None


# By conditions


def _by_conditions(
    gate: Part, outs: Sequence[Flow], data: frozenset[str], returns: Mapping[str, bool]
) -> TaskOutcomes | None:
    terms: dict[str, Term | None] = {}
    try:
        for flow in outs:
            terms[flow.id] = read_term(flow.condition) if flow.condition and flow.id != gate.default else None
    except Unclear:
        return None
    given = [term for term in terms.values() if term is not None]
    for path in dict.fromkeys(path for term in given for path in paths(term)):
        if root_of(path) in data:
            continue
        try:
            found = _boolean(gate, outs, terms, path) or _textual(gate, outs, terms, path, returns)
        except Unclear:
            continue
        if found is not None and (found.approved or found.rejected):
            found.variable = root_of(path) if path.op == "name" else None
            return found
    return None


def _boolean(gate: Part, outs: Sequence[Flow], terms: Mapping[str, Term | None], path: Term) -> TaskOutcomes | None:
    stance = asks(str(path.value))
    if stance is None or _texts(path, terms):
        return None
    routes = {value: _routes(gate, outs, terms, path, Term("bool", value=value)) for value in (True, False)}
    yes = stance == "approved"
    return TaskOutcomes(approved=routes[yes], rejected=routes[not yes])


def _textual(
    gate: Part, outs: Sequence[Flow], terms: Mapping[str, Term | None], path: Term, returns: Mapping[str, bool]
) -> TaskOutcomes | None:
    name = str(path.value)
    values = list(dict.fromkeys(_texts(path, terms)))
    if not values or not asks_for_decision(name):
        return None
    meant: dict[str, str] = {}
    for value in values:
        yes, asked = answer(value), asks(name)
        if yes is not None and asked is not None:
            meant[value] = asked if yes else "rejected" if asked == "approved" else "approved"
        else:
            meant[value] = says(value) or ("changes" if says_rework(value) else "other")
    routes = {value: _routes(gate, outs, terms, path, Term("text", value=value)) for value in values}
    rest = _routes(gate, outs, terms, path, Term("text", value="\0"))  # whatever else might be said
    found = TaskOutcomes()
    for value in values:
        if meant[value] == "changes" and routes[value] and all(returns[flow.id] for flow, _ in routes[value]):
            found.changes += [flow for flow, _ in routes[value]]
        elif meant[value] == "changes":
            meant[value] = "other"
    rejecting = [value for value in values if meant[value] == "rejected"]
    approving = [value for value in values if meant[value] == "approved"]
    others = [value for value in values if meant[value] == "other"]
    if not rejecting and not approving:
        return None
    found.rejected = routes[rejecting[0]] if rejecting else rest
    if not others and len(approving) <= 1:
        found.approved = routes[approving[0]] if approving else rest
        return found
    if path.op != "name":
        return None
    found.values = [*approving, *others]
    taken = {flow.id for value in found.values for flow, _ in routes[value]}
    found.approved = [(flow, terms[flow.id]) for flow in outs if flow.id in taken]
    return found


def _texts(path: Term, terms: Mapping[str, Term | None]) -> list[str]:
    found: list[str] = []

    def look(term: Term) -> None:
        if term.op in {*_COMPARED, "in"} and path in term.args:
            for arg in term.args:
                found.extend(str(one.value) for one in (arg, *arg.args) if one.op == "text")
        for arg in term.args:
            look(arg)

    for term in terms.values():
        if term is not None:
            look(term)
    return found


def _routes(
    gate: Part, outs: Sequence[Flow], terms: Mapping[str, Term | None], path: Term, value: Term
) -> list[Choice]:
    """Return the routes that are left where a variable has a value, in order, up to one that is taken in any case."""
    found: list[Choice] = []
    for flow in outs:
        term = terms[flow.id]
        if flow.id == gate.default or term is None:
            continue
        left = known(term, path, value)
        if left == Term("bool", value=True):
            return [*found, (flow, None)]
        if left != Term("bool", value=False):
            found.append((flow, left))
    found += [(flow, None) for flow in outs if flow.id == gate.default or terms[flow.id] is None][:1]
    return found


def known(term: Term, path: Term, value: Term) -> Term:
    """Return what is left of a condition where a variable has a value; raises Unclear where it is used otherwise."""
    if term == path:
        if value.op != "bool":
            raise Unclear("a text is no condition")
        return value
    args = tuple(known(arg, path, value) if not _compares(term, path) else arg for arg in term.args)
    if _compares(term, path):
        return _decided(term, path, value)
    if term.op == "not":
        return negated(args[0]) if args[0].op == "bool" else Term("not", args)
    if term.op in {"and", "or"}:
        stop = term.op == "or"
        if any(arg == Term("bool", value=stop) for arg in args):
            return Term("bool", value=stop)
        left = [arg for arg in args if arg != Term("bool", value=not stop)]
        return Term("bool", value=not stop) if not left else left[0] if len(left) == 1 else Term(term.op, tuple(left))
    if term.op in {*_COMPARED, "lt", "le", "gt", "ge"} or args == term.args:
        return Term(term.op, args, term.value)
    raise Unclear("it is used otherwise too")


def _compares(term: Term, path: Term) -> bool:
    return term.op in {*_COMPARED, "in"} and path in term.args


def _decided(term: Term, path: Term, value: Term) -> Term:
    other = next((arg for arg in term.args if arg != path), path)
    if other.op == "null":
        return Term("bool", value=term.op == "ne")
    if term.op == "in":
        if other.op != "list" or any(item.op != "text" for item in other.args):
            raise Unclear("it is looked for in a list")
        return Term("bool", value=value in other.args)
    if other.op == "text" and value.op == "bool" and str(other.value).lower() in {"true", "false"}:
        other = Term("bool", value=str(other.value).lower() == "true")
    if other.op != value.op:
        raise Unclear("it is compared with something else")
    same = other.value == value.value
    return Term("bool", value=same if term.op == "eq" else not same)
