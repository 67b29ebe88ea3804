"""Computed variables: after `set_variables` the check knows what a variable is, not only what it may be declared as."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.actions.builtin import BUILT_IN
from placet.definition.variables import Variable, normalise_input, scope_of, values_of
from placet.errors import EvaluationFailed, InputInvalid
from placet.expressions import compile_expression, evaluate
from placet.expressions.templates import as_json
from placet.proofs import Report, check
from placet.proofs.solver.prover import result
from tests.unit.core import blueprint, graph

CATALOG = {action.name: action for action in BUILT_IN}
ABOUT = {"dead_branch", "gap", "overlap", "evaluation_fails", "not_proven"}


def sets(**values: Any) -> dict[str, Any]:
    given = {name: {"expr": value} if isinstance(value, str) else value for name, value in values.items()}
    return {"type": "action", "action": "set_variables", "input": given, "output": {name: name for name in values}}


def deciding(variables: list[dict[str, Any]], computed: dict[str, Any], *conditions: str | None) -> dict[str, Any]:
    """Return a process that sets variables and then decides; None is the default."""
    ends = tuple(f"e{n}" for n, _ in enumerate(conditions))
    drawn = graph("start -> s", "s -> d", nodes={"s": sets(**computed), "d": {"type": "decision"}}, ends=ends)
    drawn["edges"] += [
        {"from": "d", "to": end, **({"default": True} if text is None else {"condition": text})}
        for end, text in zip(ends, conditions, strict=True)
    ]
    return {**blueprint(variables=variables, graph_spec=drawn), "process_steps": []}


def about(report: Report) -> list[tuple[str, str]]:
    return [(finding.code, finding.pointer) for finding in report.findings if finding.code in ABOUT]


AMOUNT = {"name": "amount", "type": "decimal", "required": True, "minimum": 0}
QUANTITY = {"name": "quantity", "type": "decimal", "required": True, "minimum": 1, "maximum": 10}
PRICE = {"name": "price", "type": "decimal", "required": True, "minimum": 0, "maximum": 100}
TOTAL = {"name": "total", "type": "decimal"}
X = {"name": "x", "type": "integer", "required": True, "minimum": 0, "maximum": 9}
T = {"name": "t", "type": "integer", "minimum": -100, "maximum": 100}
S = {"name": "s", "type": "string"}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (deciding([AMOUNT, TOTAL], {"total": "amount * 2.0"}, "total >= 0 && total <= 100", "total > 100"), []),
        (deciding([X], {"x": 7}, "x == 7"), []),
        (deciding([X, T], {"t": "x + 1"}, "10 / t >= 2", "10 / t < 2"), []),
        (deciding([X, S], {"s": "x > 3 ? 'high' : 'low'"}, 's == "high"', 's == "low"'), []),
        (deciding([X, S], {"s": "string(x)"}, "size(s) == 1"), []),
        (
            deciding([QUANTITY, PRICE, TOTAL], {"total": "quantity * price"}, "total <= 5000", None),
            [("dead_branch", "/graph_spec/edges/3")],
        ),
        (
            deciding([X, T], {"t": "x * 2"}, "t <= 18", "t > 18"),
            [("dead_branch", "/graph_spec/edges/3/condition")],
        ),
        (
            deciding([X, T], {"t": "x * 2"}, "t == x * 2", "t != x * 2"),
            [("dead_branch", "/graph_spec/edges/3/condition")],
        ),
    ],
)
def test_what_is_computed_is_no_arbitrary_value(raw: dict[str, Any], told: list[tuple[str, str]]) -> None:
    assert about(check(raw, actions=CATALOG)) == told


def test_a_finding_after_a_computed_variable_has_the_opening_that_comes_to_it() -> None:
    raw = deciding([X, T], {"t": "x * 3"}, "t < 20", "t > 22")
    (found,) = [finding for finding in check(raw, actions=CATALOG).findings if finding.code in ABOUT]
    assert (found.code, found.severity) == ("gap", "error")
    assert found.witness == {"x": 7, "t": 21}
    assert (found.opening or found.witness)["x"] == 7


def test_a_variable_that_is_computed_from_itself_is_told_from_what_it_was() -> None:
    raw = deciding([X], {"x": "x > 4 ? 9 - x : x"}, "x < 5")
    assert about(check(raw, actions=CATALOG)) == []


def test_what_two_branches_set_at_the_same_time_is_no_error_that_nothing_shows() -> None:
    nodes = {
        "f": {"type": "fork"},
        "a": sets(x=7),
        "b": sets(x=3),
        "j": {"type": "join", "need": "all"},
        "d": {"type": "decision"},
    }
    drawn = graph("start -> f", "f -> a", "f -> b", "a -> j", "b -> j", "j -> d", nodes=nodes, ends=("y", "n"))
    drawn["edges"] += [
        {"from": "d", "to": "y", "condition": "x == 7"},
        {"from": "d", "to": "n", "condition": "x == 3"},
    ]
    report = check({**blueprint(variables=[X], graph_spec=drawn), "process_steps": []}, actions=CATALOG)
    assert report.ok
    assert {code for code, _ in about(report)} <= {"not_proven"}


VARIABLES: list[dict[str, Any]] = [
    {"name": "q", "type": "integer", "required": True, "minimum": 0, "maximum": 3},
    {"name": "t", "type": "integer", "minimum": -3, "maximum": 12, "default": 1},
    {"name": "u", "type": "integer", "minimum": -3, "maximum": 12},
]
DECLARED = [Variable.model_validate(variable) for variable in VARIABLES]
SCOPE = scope_of(DECLARED)
COMPUTED = ["q + 1", "q * 2", "t + 1", "q > 2 ? 5 : t", "q - t", "u", "7", "t * t", "u == null ? 0 : u - 1", "10 / q"]
CONDITIONS = [
    "t > 3",
    "t <= 3",
    "q > 2",
    "q <= 2",
    "t == q * 2",
    "t != q * 2",
    "u == null",
    "u != null && u > 3",
    "t < 0",
]
EXPRESSIONS = {text: compile_expression(text, SCOPE) for text in (*COMPUTED, *CONDITIONS)}
Block = tuple[Any, ...]
ASSIGNMENTS = st.dictionaries(st.sampled_from(["t", "u"]), st.sampled_from(COMPUTED), min_size=1)
BLOCKS = st.one_of(
    st.tuples(st.just("set"), ASSIGNMENTS),
    st.tuples(st.just("choice"), st.sampled_from(CONDITIONS), ASSIGNMENTS | st.none()),
    st.tuples(st.just("fork"), ASSIGNMENTS | st.none(), ASSIGNMENTS),
)


def drawn_from(blocks: list[Block], conditions: list[str], default: bool) -> dict[str, Any]:
    nodes: dict[str, dict[str, Any]] = {"d": {"type": "decision"}}
    edges: list[dict[str, Any]] = []
    last = ["start"]

    def lead(target: str, sources: list[str], **more: Any) -> None:
        edges.extend({"from": source, "to": target, **more} for source in sources)

    for n, (kind, *what) in enumerate(blocks):
        if kind == "set":
            nodes[f"s{n}"] = sets(**what[0])
            lead(f"s{n}", last)
            last = [f"s{n}"]
        elif kind == "choice":
            nodes |= {f"c{n}": {"type": "decision"}, f"y{n}": sets(**(what[1] or {})), f"n{n}": sets()}
            lead(f"c{n}", last)
            edges.append({"from": f"c{n}", "to": f"y{n}", "condition": what[0]})
            edges.append({"from": f"c{n}", "to": f"n{n}", "default": True})
            last = [f"y{n}", f"n{n}"]
        else:
            nodes |= {f"f{n}": {"type": "fork"}, f"j{n}": {"type": "join", "need": "all"}}
            nodes |= {f"a{n}": sets(**(what[0] or {})), f"b{n}": sets(**what[1])}
            lead(f"f{n}", last)
            edges += [{"from": f"f{n}", "to": f"{one}{n}"} for one in "ab"]
            edges += [{"from": f"{one}{n}", "to": f"j{n}"} for one in "ab"]
            last = [f"j{n}"]
    lead("d", last)
    ends = tuple(f"e{n}" for n in range(len(conditions) + default))
    edges += [{"from": "d", "to": f"e{n}", "condition": text} for n, text in enumerate(conditions)]
    if default:
        edges.append({"from": "d", "to": ends[-1], "default": True})
    drawn = graph(nodes=nodes, ends=ends)
    drawn["edges"] = edges
    return {**blueprint(variables=VARIABLES, graph_spec=drawn), "process_steps": []}


def computed(state: dict[str, Any], assignments: dict[str, str] | None) -> list[dict[str, Any]]:
    """Return the variables once they are set; none where that fails."""
    values = values_of(DECLARED, state)
    found: dict[str, Any] = {}
    for name, text in (assignments or {}).items():
        if text == "u" and values["u"] is None:
            found[name] = None
            continue
        try:
            found[name] = as_json(evaluate(EXPRESSIONS[text], values))
        except EvaluationFailed:  # the request fails
            return []
    try:
        return [normalise_input(DECLARED, {**state, **found})]
    except InputInvalid:
        return []


def arriving(blocks: list[Block], state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the variables with which a request may come to the last decision."""
    states = [state]
    for kind, *what in blocks:
        if kind == "set":
            states = [after for one in states for after in computed(one, what[0])]
        elif kind == "choice":
            condition = EXPRESSIONS[what[0]]
            asked = [(one, result(condition, values_of(DECLARED, one))) for one in states]
            states = [
                after
                for one, holds in asked
                if holds is not None
                for after in computed(one, what[1] if holds else None)
            ]
        else:
            states = list(_together(states, what[0], what[1]))
    return states


def _together(
    states: list[dict[str, Any]], one: dict[str, str] | None, other: dict[str, str]
) -> Iterator[dict[str, Any]]:
    for state in states:
        for first, second in ((one, other), (other, one)):
            for between in computed(state, first):
                yield from computed(between, second)
            # Both may be computed before either is done.
            for early in computed(state, first):
                for late in computed(state, second):
                    changed = {name: late.get(name) for name in (second or {})}
                    yield normalise_input(DECLARED, {**early, **changed})


OPENINGS = [
    {"q": q, "t": t, **({} if u is None else {"u": u})}
    for q in range(4)
    for t in range(-3, 13)
    for u in (None, *range(-3, 13))
]


@settings(max_examples=25, deadline=None)
@given(
    blocks=st.lists(BLOCKS, min_size=1, max_size=3),
    conditions=st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3, unique=True),
    default=st.booleans(),
)
def test_what_is_said_of_a_decision_is_what_every_input_shows(
    blocks: list[Block], conditions: list[str], default: bool
) -> None:
    raw = drawn_from(blocks, conditions, default)
    report = check(raw, actions=CATALOG)
    if "error" in {f.severity for f in report.findings if f.code not in {*ABOUT, "value_unfit"}}:
        return
    first = len(raw["graph_spec"]["edges"]) - len(conditions) - default
    here = next(f"/graph_spec/nodes/{n}" for n, node in enumerate(raw["graph_spec"]["nodes"]) if node["id"] == "d")
    places = [f"/graph_spec/edges/{first + n}/condition" for n in range(len(conditions))]
    compiled = [EXPRESSIONS[text] for text in conditions]
    taken: set[str] = set()
    for opening in OPENINGS:
        for state in arriving(blocks, opening):
            results = [result(one, values_of(DECLARED, state)) for one in compiled]
            number = next((n for n, holds in enumerate(results) if holds is not False), None)
            if number is None:
                taken.add("gap")
            elif results[number]:
                taken.add(places[number])
                taken |= {f"overlap {places[n]}" for n, holds in enumerate(results) if holds and n > number}
    told = {finding.pointer for finding in report.findings if finding.code == "dead_branch"}
    unproven = {finding.pointer for finding in report.findings if finding.code == "not_proven"}
    for place in places:
        if place in taken:
            assert place not in told, conditions
        elif place not in unproven and taken:
            assert place in told, conditions
    gap = [f for f in report.findings if f.code == "gap" and f.pointer == here]
    if "gap" in taken:
        assert default or gap or here in unproven, conditions
    for finding in report.findings:
        if finding.code in {"gap", "overlap"} and finding.pointer in {here, *places}:
            assert finding.witness is not None
            begun = finding.opening or finding.witness
            assert finding.witness in arriving(blocks, begun), (begun, finding)
            results = [result(one, values_of(DECLARED, finding.witness)) for one in compiled]
            assert results.count(True) > 1 if finding.code == "overlap" else results.count(False) == len(results)
    if report.certificate is not None and report.certificate.complete and taken:
        assert {place for place in places if place not in told} <= taken
