"""Forks and joins: branches that run at the same time, come together, and end one another."""

from __future__ import annotations

from typing import Any

import pytest

from placet.engine.events import Actor, Resubmit
from placet.errors import Refused
from tests.unit.core import Case, blueprint, graph, office, plan_of
from tests.unit.test_nodes import ANN, BEN, problems


def forked(need: Any = "all", *more: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a process in which ann, ben and cid decide at the same time, and then the cfo."""
    steps = [{"approvers": [f"user:{p}"], "sla_hours": 8} for p in ("ann", "ben", "cid")]
    nodes: dict[str, dict[str, Any]] = {
        "f": {"type": "fork"},
        "j": {"type": "join", "need": need},
        **{name: {"step": f"Stage {n}"} for n, name in enumerate(("a", "b", "c"), 1)},
        "last": {"step": "Stage 4"},
    }
    drawn = ["start -> f", *(f"f -> {n}" for n in "abc"), *(f"{n} -> j on approved" for n in "abc")]
    spec = graph(*drawn, "j -> last", "last -> approved", nodes=nodes)
    return blueprint(*steps, {"approvers": ["role:cfo"]}, *more, graph_spec=spec, **fields)


def fork_case(need: Any = "all", **fields: Any) -> Case:
    return Case(plan=plan_of(forked(need, **fields)), org=office(), twice=True)


STAGE = {"on_change": "stage"}  # a change leaves the approvals of other branches as they are


def test_a_fork_asks_in_all_its_branches_at_once_and_a_join_of_all_waits_for_each() -> None:
    request = fork_case()
    assert request.asked == ["ann", "ben", "cid"]
    assert request.kinds()[:2] == ["started", "forked"]
    request.decide("cid")
    request.decide("ann")
    assert request.asked == ["ben"]
    request.decide("ben")
    assert request.asked == ["cfo"]
    assert request.of_kind("joined")[0].detail == {"node": "j", "arrived": ["c", "a", "b"], "of": 3}
    request.decide("cfo")
    assert request.state.outcome == "approved"


@pytest.mark.parametrize(("need", "after"), [("any", 1), ({"at_least": 2}, 2), ("all", 3)])
def test_a_join_goes_on_once_enough_have_arrived_and_ends_the_other_branches(need: Any, after: int) -> None:
    request = fork_case(need)
    people = ["ben", "ann", "cid"]
    for person in people[:after]:
        assert "cfo" not in request.asked
        request.decide(person)
    assert request.asked == ["cfo"]
    rest = people[after:]
    assert [t.assignee for t in request.state.tasks if t.status == "superseded"] == sorted(rest)
    assert request.told("superseded") == sorted(rest)
    assert len(request.of_kind("branch_ended")) == len(rest)
    for person in rest:
        with pytest.raises(Refused, match="gone on without its branch"):
            request.decide(person, task=next(t.id for t in request.state.tasks if t.assignee == person))


def test_a_join_of_every_branch_lets_one_branch_end_without_ending_the_request() -> None:
    raw = forked("every")
    raw["graph_spec"]["edges"] = [e for e in raw["graph_spec"]["edges"] if e["from"] != "a"]
    raw["graph_spec"]["edges"].append({"from": "a", "to": "approved", "on": "approved"})
    request = Case(plan=plan_of(raw), org=office(), twice=True)
    request.decide("ben")
    request.decide("cid")  # both of the branches that lead to the join have arrived; the third ends the request
    assert request.asked == ["ann"]
    request.decide("ann")
    assert (request.state.outcome, request.of_kind("joined")) == ("approved", [])
    request = fork_case("every")
    for person in ("ann", "ben", "cid"):
        request.decide(person)
    assert request.asked == ["cfo"]


def test_a_terminator_in_a_branch_ends_the_whole_request() -> None:
    request = fork_case()
    request.decide("ann", "reject")  # no edge leaves on rejected
    assert (request.state.status, request.state.outcome) == ("completed", "rejected")
    assert [t.status for t in request.state.tasks] == ["decided", "cancelled", "cancelled"]


def test_each_branch_climbs_its_own_ladder() -> None:
    request = fork_case()
    request.decide("ben")
    request.hours(8)
    assert [e.task_id for e in request.of_kind("sla_breached")] == ["r.1", "r.3"]


def test_a_branch_that_is_returned_stops_its_own_clock_only_and_comes_back_as_the_next_round() -> None:
    request = fork_case(settings=STAGE)
    request.decide("ann", "request_changes")
    assert request.asked == ["ben", "cid"]
    request.hours(8)
    assert [e.task_id for e in request.of_kind("sla_breached")] == ["r.2", "r.3"]
    request.do(Resubmit(by=Actor(person="rita")))
    assert request.asked == ["ben", "cid", "ann"]
    assert [t.round for t in request.state.open_tasks] == [1, 1, 2]


def test_what_is_returned_in_a_branch_that_is_no_longer_needed_needs_no_answer() -> None:
    request = fork_case("any", settings=STAGE)
    request.decide("ann", "request_changes")
    request.decide("ben")
    assert request.asked == ["cfo"]
    with pytest.raises(Refused, match="nothing to resubmit"):
        request.do(Resubmit(by=Actor(person="rita")))


def test_forks_nest_and_a_join_reached_at_once_ends_branches_that_have_not_begun() -> None:
    nodes = {
        "f": {"type": "fork"},
        "g": {"type": "fork"},
        "jf": {"type": "join", "need": "all"},
        "jg": {"type": "join", "need": "any"},
        "a": {"step": "Stage 1"},
        "b": {"step": "Stage 2"},
    }
    spec = graph(
        "start -> f",
        "f -> g",
        "f -> a",
        "g -> jg",
        "g -> b",
        "b -> jg",
        "jg -> jf",
        "a -> jf",
        "jf -> approved",
        nodes=nodes,
    )
    request = Case(plan=plan_of(blueprint(ANN, BEN, graph_spec=spec)), org=office(), twice=True)
    assert request.asked == ["ann"]  # ben's branch was over before it began
    request.decide("ann")
    assert request.state.outcome == "approved"


def test_a_process_can_come_back_to_a_fork() -> None:
    nodes = {
        "f": {"type": "fork"},
        "j": {"type": "join"},
        "a": {"step": "Stage 1"},
        "b": {"step": "Stage 2"},
        "c": {"step": "Stage 3"},
    }
    drawn = ("start -> f", "f -> a", "f -> b", "a -> j", "b -> j", "j -> c", "c -> approved", "c -> f on rejected")
    spec = graph(*drawn, nodes=nodes)
    request = Case(plan=plan_of(blueprint(ANN, BEN, {"approvers": ["cfo"]}, graph_spec=spec)), org=office(), twice=True)
    for vote in ("reject", "approve"):
        request.decide("ann")
        request.decide("ben")
        request.decide("cfo", vote)
    assert request.state.outcome == "approved"
    assert len(request.of_kind("joined")) == 2


@pytest.mark.parametrize(
    ("edges", "need", "pointer", "words"),
    [
        # a join that no fork leads to
        (["start -> j", "j -> a", "a -> approved"], "all", 4, "no branch of a fork"),
        # two branches meet in an approval
        (["start -> f", "f -> a", "f -> b", "b -> a", "a -> approved"], "all", 5, "two branches"),
        # a way out of a branch that does not lead through the join
        (
            ["start -> a", "a -> f", "f -> b", "f -> j", "b -> a on rejected", "b -> j", "j -> approved"],
            "all",
            5,
            "inside and outside",
        ),
        # more branches than there are
        (["start -> f", "f -> a", "f -> b", "a -> j", "b -> j", "j -> approved"], {"at_least": 3}, 4, "only 2 lead"),
        # two joins for one fork
        (
            ["start -> f", "f -> a", "f -> b", "a -> j", "b -> k", "j -> approved", "k -> approved"],
            "all",
            7,
            "meet in 'j'",
        ),
    ],
)
def test_branches_that_do_not_come_together_are_refused(edges: list[str], need: Any, pointer: int, words: str) -> None:
    nodes = {
        "f": {"type": "fork"},
        "j": {"type": "join", "need": need},
        "a": {"step": "Stage 1"},
        "b": {"step": "Stage 2"},
        "k": {"type": "join"},
    }
    found = problems(blueprint(ANN, BEN, graph_spec=graph(*edges, nodes=nodes)))
    assert words in found[f"/graph_spec/nodes/{pointer}"]


def test_beside_a_join_of_every_branch_one_of_any_ends_all_of_them() -> None:
    raw = forked("every")
    nodes = raw["graph_spec"]["nodes"]
    edges = [e for e in raw["graph_spec"]["edges"] if e["from"] != "a"]
    raw["graph_spec"] = {
        "nodes": [*nodes, {"id": "stop", "type": "join", "need": "any"}],
        "edges": [*edges, {"from": "a", "to": "stop", "on": "approved"}, {"from": "stop", "to": "last"}],
    }
    request = Case(plan=plan_of(raw), org=office(), twice=True)
    request.decide("ben")
    request.decide("ann")
    assert request.asked == ["cfo"]
    assert request.state.joins == ()
    raw["graph_spec"]["nodes"][-1]["need"] = "all"
    assert "the other needs any" in str(problems(raw))
