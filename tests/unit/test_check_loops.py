"""Loops: one that counts its rounds up to a bound is accepted, and every other is an error."""

from __future__ import annotations

from typing import Any

import pytest

from activities.actions.builtin import BUILT_IN
from placet.engine.flow import MOST_VISITS
from placet.proofs import Report, check
from placet.proofs.structure.graph import MOST_ROUNDS
from tests.unit.core import Case, blueprint, graph, office, plan_of

CATALOG = {action.name: action for action in BUILT_IN}
TRIES = {"name": "tries", "type": "integer", "default": 0, "minimum": 0, "maximum": 10}


def counting(
    formula: str = "tries + 1",
    condition: str = "tries < 3",
    *,
    begins: Any = None,
    edges: tuple[str, ...] = (),
    nodes: dict[str, Any] | None = None,
    variable: dict[str, Any] = TRIES,
    **more: Any,
) -> dict[str, Any]:
    """Return a process whose manager is asked again until they approve, as often as the condition lets them be."""

    def setting(value: Any) -> dict[str, Any]:
        return {"type": "action", "action": "set_variables", "input": {"n": value}, "output": {"tries": "n"}}

    known: dict[str, dict[str, Any]] = {
        "ask": {"step": "Stage 1"},
        "again": {"type": "decision"},
        "count": setting({"expr": formula}),
        **({"begin": setting(begins)} if begins is not None else {}),
        **(nodes or {}),
    }
    first = ("start -> begin", "begin -> ask") if begins is not None else ("start -> ask",)
    drawn = graph(*first, "ask -> approved", "ask -> again on rejected", "count -> ask", *edges, nodes=known)
    drawn["edges"] += [
        {"from": "again", "to": "count", "condition": condition},
        {"from": "again", "to": "rejected", "default": True},
    ]
    return blueprint({"sla_hours": 4, "final": "reject"}, variables=[variable], graph_spec=drawn, **more)


def loops(raw: dict[str, Any]) -> tuple[list[str], Report]:
    report = check(raw, actions=CATALOG)
    return [finding.pointer for finding in report.findings if finding.code == "unbounded_loop"], report


BARE = {"name": "tries", "type": "integer", "default": 0}
BOUNDED = {
    "up to a bound": counting(),
    "including the bound": counting(condition="tries <= 3"),
    "two at a time": counting("2 + tries", "tries < 9"),
    "down to a bound": counting("tries - 1", "tries > 0"),
    "from where it is set": counting(begins=1, variable=BARE),
    "with more asked": counting(condition="tries < 3 && size('ab') == 2"),
    "turned round": counting(condition="!(tries >= 3)"),
}


@pytest.mark.parametrize("raw", BOUNDED.values(), ids=BOUNDED.keys())
def test_a_loop_that_counts_to_a_bound_is_accepted(raw: dict[str, Any]) -> None:
    found, report = loops(raw)
    assert found == []
    assert report.ok, report.findings
    assert {f.code for f in report.findings} <= {"people_unknown", "unused_variable"}


def test_it_goes_round_as_often_as_was_proven() -> None:
    case = Case(plan_of(counting(), actions=CATALOG), office())
    asked = 0
    while case.state.status == "pending":
        asked += 1
        case.decide("mo", "reject")
        if case.state.status == "pending":
            case.done("count", {"n": asked})
    assert (asked, case.state.outcome) == (4, "rejected")


def test_its_rounds_count_in_the_worst_case() -> None:
    _, report = loops(counting())
    assert report.certificate is not None
    once = check(counting(condition="tries < 1"), actions=CATALOG).certificate
    assert once is not None
    hours = [float(c.totals["worst_case_working_hours"]) for c in (once, report.certificate)]
    assert hours[0] < hours[1]


HOLD = {"hold": {"type": "wait", "hours": 1}}
UNBOUNDED = {
    "no bound": counting(condition="tries >= 0"),
    "counts the other way": counting("tries - 1"),
    "does not count": counting("tries + 0"),
    "begins nowhere": counting(variable=BARE),
    "set in the loop": counting(
        edges=("ask -> back on expired", "back -> ask"),
        nodes={
            "back": {"type": "action", "action": "set_variables", "input": {"n": 0}, "output": {"tries": "n"}},
        },
    ),
    "a failure goes round uncounted": counting(edges=("count -> ask on failed",)),
    "another way round does not count": counting(edges=("ask -> hold on expired", "hold -> ask"), nodes=HOLD),
    "far beyond what a request may do": counting(condition="tries < 5000", variable={**TRIES, "maximum": 9999}),
}


@pytest.mark.parametrize("raw", UNBOUNDED.values(), ids=UNBOUNDED.keys())
def test_any_other_loop_has_no_bound(raw: dict[str, Any]) -> None:
    found, report = loops(raw)
    assert len(found) == 1
    assert not report.ok


def circling(condition: str, *, first: str = "count") -> dict[str, Any]:
    """Return a process that counts, and asks nobody; `first` is the node that the loop begins with."""
    count = {"type": "action", "action": "set_variables", "input": {"n": {"expr": "n + 1"}}, "output": {"n": "n"}}
    drawn = graph(f"start -> {first}", "count -> again", nodes={"count": count, "again": {"type": "decision"}})
    drawn["edges"] += [
        {"from": "again", "to": "count", "condition": condition},
        {"from": "again", "to": "approved", "default": True},
    ]
    drawn["nodes"] = [node for node in drawn["nodes"] if node["id"] != "rejected"]
    variable = {"name": "n", "type": "integer", "default": 0, "minimum": 0}
    return blueprint(variables=[variable], graph_spec=drawn)


@pytest.mark.parametrize("first", ["count", "again"])
def test_a_loop_may_take_as_many_rounds_as_a_request_can(first: str) -> None:
    assert MOST_ROUNDS == MOST_VISITS
    assert loops(circling(f"n < {MOST_ROUNDS}", first=first))[0] == []
    case = Case(plan_of(circling("n < 4", first=first), actions=CATALOG), office())
    rounds = 0
    while case.state.status == "pending":
        rounds += 1
        case.done("count", {"n": rounds})
    assert (rounds, case.state.outcome) == (4, "approved"), "as many as the number at which it is left"


@pytest.mark.parametrize(
    ("raw", "rounds"),
    [
        (circling("n <= 1000"), "1,001"),
        (circling("n < 5000", first="again"), "5,000"),
        # The manager is asked before the first round is counted.
        (counting(condition="tries < 1000", variable={**TRIES, "maximum": 9_999}), "1,001"),
    ],
)
def test_a_loop_with_too_many_rounds_is_not_said_to_have_no_bound(raw: dict[str, Any], rounds: str) -> None:
    said = [f.message for f in loops(raw)[1].findings if f.code == "unbounded_loop"]
    assert len(said) == 1
    assert f"may take {rounds} rounds, and at most 1,000 are allowed" in said[0]
