"""Notify: people are told, nobody is asked, and the request goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from placet.audit.reasons import why_of
from placet.definition.diff import classify
from placet.definition.model import parse_definition
from placet.directory import Person
from placet.engine.events import Actor, Resubmit
from placet.nodes.notify import MOST_TOLD
from placet.proofs import check
from simulation.modes.explore import explore
from simulation.run.driver import directory_reader, drive, opening_for
from simulation.scenario.scenario import Scenario
from simulation.world.recorded_decisions import recorded_decisions_of
from simulation.world.recorded_people import RecordedPeople
from tests.unit.core import HOUR, START, STEPS, Case, blueprint, graph, office, plan_of
from tests.unit.test_nodes import problems

AMOUNT = {"name": "amount", "type": "decimal", "required": True}
NOTE = {"name": "note", "type": "string"}
BOSS = {"name": "boss", "type": "string"}


def telling(*to: str, message: Any = "It is approved.", **more: Any) -> dict[str, Any]:
    """Return a process in which mo approves, and then these people are told."""
    nodes = {"a": {"step": "Stage 1"}, "tell": {"type": "notify", "to": list(to), "message": message}}
    edges = ("start -> a", "a -> tell on approved", "a -> rejected on rejected", "tell -> approved")
    drawn = graph(*edges, nodes=nodes)
    return blueprint({"approvers": ["user:mo"]}, variables=[AMOUNT, NOTE, BOSS], graph_spec=drawn, **more)


def begun(raw: dict[str, Any], **given: Any) -> Case:
    return Case(plan=plan_of(raw), org=office(), input={"amount": "5", **given}, twice=True)


def test_everybody_is_told_once_and_the_request_goes_on() -> None:
    request = begun(telling("group:finance", "user:ann", "requester", "manager_of(requester)", "input:boss"), boss="dh")
    assert request.told("informed") == []
    request.decide("mo")
    assert (request.state.status, request.state.outcome) == ("completed", "approved")
    assert request.told("informed") == ["ann", "ben", "cid", "rita", "mo", "dh"]
    (entry,) = request.of_kind("informed")
    assert entry.detail == {
        "node": "tell",
        "to": ["user:ann", "user:ben", "user:cid", "user:rita", "user:mo", "user:dh"],
        "why": "It is approved.",
    }
    assert "/why" in entry.salts  # what is written is content, who is told is not
    assert {n.seq for n in request.notifications if n.event == "informed"} == {entry.seq}
    assert request.state.visits == {}


def test_a_message_is_computed_when_it_is_sent() -> None:
    request = begun(telling("user:ann", message={"expr": '"For " + string(amount * 2) + " euros"'}))
    request.decide("mo")
    assert request.of_kind("informed")[0].detail["why"] == "For 10 euros"


def test_a_name_that_stands_for_nobody_stops_nothing_and_is_on_record() -> None:
    request = begun(telling("role:pilot", "user:gone", "input:boss", "user:ann"))
    request.decide("mo")
    assert request.state.outcome == "approved"
    assert request.of_kind("informed")[0].detail["missing"] == ["role:pilot", "user:gone", "input:boss"]
    assert request.told("informed") == ["ann"]


def test_at_most_a_thousand_people_are_told_and_how_many_more_there_were_is_on_record() -> None:
    crowd = {f"p{n:04}": Person(id=f"p{n:04}", groups=("all",)) for n in range(MOST_TOLD + 7)}
    request = Case(plan=plan_of(telling("group:all")), org=office(**crowd), input={"amount": "5"})
    request.decide("mo")
    (entry,) = request.of_kind("informed")
    assert (len(request.told("informed")), entry.detail["left_out"]) == (MOST_TOLD, 7)
    assert len(STEPS.dump_json(request.steps[-1])) < 1_000_000


def test_a_message_that_cannot_be_computed_fails_the_request() -> None:
    request = begun(telling("user:ann", message={"expr": "string(amount / (amount - amount))"}))
    request.decide("mo")
    assert request.state.status == "failed"
    assert "the message of node tell could not be computed" in (why_of(request.entries[-1].detail) or "")


def test_people_are_told_again_where_the_request_goes_again_from_its_first_node() -> None:
    nodes = {"tell": {"type": "notify", "to": ["user:ann"], "message": "Asked."}, "a": {"step": "Stage 1"}}
    edges = ("start -> tell", "tell -> a", "a -> approved on approved", "a -> rejected on rejected")
    request = begun(blueprint({"approvers": ["user:mo"]}, variables=[AMOUNT], graph_spec=graph(*edges, nodes=nodes)))
    request.decide("mo", "request_changes", comment="more")
    request.do(Resubmit(by=Actor(person="rita"), input={"amount": "6"}))
    assert request.told("informed") == ["ann", "ann"]


@pytest.mark.parametrize(
    ("to", "message", "pointer", "said"),
    [
        (["input:chef"], "x", "/graph_spec/nodes/4/to/0", "there is no variable 'chef'"),
        (["manager_of(assignee)"], "x", "/graph_spec/nodes/4/to/0", "nobody has it"),
        (["user:ann"], {"expr": "amout"}, "/graph_spec/nodes/4/message/expr", "amout"),
        (["user:ann"], {"expr": "amount"}, "/graph_spec/nodes/4/message/expr", "string"),
        ([], "x", "/graph_spec/nodes/4/to", "at least"),
        (["nobody at all"], "x", "/graph_spec/nodes/4/to/0", "names nobody"),
        (["user:ann"], "", "/graph_spec/nodes/4/message", "at least"),
        (["user:ann"], {"text": "x"}, "/graph_spec/nodes/4/message/text", "field"),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(to: list[str], message: Any, pointer: str, said: str) -> None:
    found = problems(telling(*to, message=message))
    assert said in found[pointer], found


def test_its_edge_carries_neither_a_result_nor_a_condition() -> None:
    raw = telling("user:ann")
    raw["graph_spec"]["edges"][3] |= {"on": "done", "condition": "amount > 1"}
    found = problems(raw)
    assert "a notify node has no results" in found["/graph_spec/edges/3/on"]
    assert "only the edges of a decision" in found["/graph_spec/edges/3/condition"]


@pytest.mark.parametrize(
    ("to", "message", "code"),
    [
        ("input:chef", "x", "dangling_id"),
        ("user:ann", {"expr": "amount +"}, "syntax"),
        ("user:ann", {"expr": "amount"}, "types"),
        ("user:ann", {"expr": "string(amount / (amount - amount))"}, "evaluation_fails"),
        ("user:ann", {"expr": "note"}, "unset_variable"),
        ("role:pilot", "x", "unknown_role"),
        ("user:gone", "x", "unknown_person"),
    ],
)
def test_the_proofs_find_what_is_wrong(to: str, message: Any, code: str) -> None:
    report = check(telling(to, message=message), directory=office())
    assert code in {f.code for f in report.findings if f.pointer.startswith("/graph_spec/nodes/4/")}, report.findings


def test_a_node_that_tells_takes_no_time_and_pauses_nothing() -> None:
    report = check(telling("user:ann"), directory=office(), actions={}, children={})
    assert report.ok
    nodes = {"f": {"type": "fork"}, "j": {"type": "join", "need": "any"}, "a": {"step": "Stage 1"}}
    nodes["tell"] = {"type": "notify", "to": ["user:ann"], "message": "Now."}
    edges = ("start -> f", "f -> a", "f -> tell", "a -> j on approved", "a -> rejected on rejected", "tell -> j")
    raw = blueprint({"approvers": ["user:mo"]}, graph_spec=graph(*edges, "j -> approved", nodes=nodes))
    assert "pointless_branch" in {f.code for f in check(raw).findings}
    assert begun(raw | {"variables": [AMOUNT]}).state.outcome == "approved"


def test_round_and_round_without_a_pause_is_found_and_fails() -> None:
    nodes = {"tell": {"type": "notify", "to": ["user:ann"], "message": "Again."}}
    raw = blueprint({"approvers": ["user:mo"]}, graph_spec=graph("start -> tell", "tell -> tell", nodes=nodes))
    assert not check(raw).ok
    assert begun(raw | {"variables": [AMOUNT]}).state.status == "failed"


def test_an_input_that_leaves_out_what_the_message_needs_is_refused_at_once() -> None:
    nodes = {"tell": {"type": "notify", "to": ["user:ann"], "message": {"expr": "note"}}}
    drawn = graph("start -> tell", "tell -> approved", nodes=nodes)
    found = explore(
        Scenario(
            blueprint=blueprint({"approvers": ["user:mo"]}, variables=[NOTE], graph_spec=drawn),
            people=office(),
            requester="rita",
            start=START,
            given={},
        )
    )
    assert "/note" in str(found.validation_errors)


def test_simulations_follow_it() -> None:
    found = explore(
        Scenario(blueprint=telling("user:ann"), people=office(), requester="rita", start=START, given={"amount": "5"})
    )
    assert {(b.route, b.outcome) for b in found.branch_explorations} == {
        (("start", "a", "tell", "approved"), "approved"),
        (("start", "a", "rejected"), "rejected"),
    }
    assert [s.what for s in found.execution_path if s.kind == "informed"] == ["informed: ann"]


def test_a_past_request_in_its_own_blueprint_tells_the_same_people() -> None:
    first = begun(telling("user:ann"))
    first.now += HOUR
    first.decide("mo")
    read = directory_reader(first.plan, office())
    opening = opening_for(
        first.plan, office(), requester="rita", given=first.input, start=START, request_id="r", read_directory=read
    )
    people = RecordedPeople(plan=first.plan, recorded_decisions=recorded_decisions_of(first.entries))
    again = drive(first.plan, opening, people, read_directory=read, horizon=timedelta(days=2))
    assert [e.kind for e in again.entries] == first.kinds()
    assert again.entries[-2].detail["to"] == first.of_kind("informed")[0].detail["to"]


def test_a_running_request_moves_to_a_version_that_tells_somebody() -> None:
    request = begun(telling("user:ann"))
    request.moves(plan_of(telling("user:ben", version="2.0.0")))
    request.decide("mo")
    assert request.told("informed") == ["ben"]


def test_a_version_that_tells_others_is_a_minor_change() -> None:
    old, new = (parse_definition(telling(to)) for to in ("user:ann", "user:ben"))
    change = classify(old, new)
    assert (change.level, [r.pointer for r in change.reasons]) == ("minor", ["/graph_spec/nodes/4/to"])
