"""A request at all of its bounds at once stays small enough for the engine, and what it forgets is in the store."""

from __future__ import annotations

from typing import Any

import pytest

from placet.directory import Directory, Person
from placet.engine import machine
from placet.engine.events import Actor, Decide, Event, Opening, Resubmit, SignalRefused
from placet.engine.flow import MOST_VISITS
from placet.engine.run import MOST_TASKS
from placet.engine.state import Decision, State, Transition
from placet.errors import AlreadyDecided, UnknownTask
from tests.unit.core import START, STATES, blueprint, case, graph, office, plan_of

PAYLOAD = 2 * 1024 * 1024  # bytes that the engine carries at once
SEATS, ROUNDS = 200, 50


class Large:
    """A request of very many people, driven without the doubts of `Case`."""

    def __init__(self, raw: dict[str, Any], org: Directory, **given: Any) -> None:
        self.plan = plan_of(raw)
        self.org = org
        opening = Opening(
            request_id="r",
            requester="rita",
            title="Large",
            input=given,
            directory=org,
            directory_at=START,
            secret="s",
            titled=True,
        )
        self.state = machine.opening_state(self.plan, opening, START)
        self.longest = 0
        self.take(machine.begin(self.plan, opening, self.state, START))

    def do(self, event: Event) -> None:
        self.take(machine.apply(self.plan, self.state, event, START))

    def take(self, step: Transition) -> None:
        assert not step.needs_directory
        self.state = step.state
        self.longest = max(self.longest, len(self.state.tasks))


def everybody() -> Directory:
    people = {f"p{n:03}": Person(id=f"p{n:03}", groups=("all",)) for n in range(SEATS)}
    return Directory(people={"rita": Person(id="rita"), **people})


def test_fifty_rounds_of_two_hundred_seats_fit_into_what_the_engine_carries() -> None:
    stage = {"approvers": ["group:all"], "quorum": "all", "separation_of_duties": {"repeat": "forbid"}}
    raw = blueprint(stage, variables=[{"name": "note", "type": "string"}], settings={"max_rounds": ROUNDS})
    request = Large(raw, everybody(), note="n")
    for number in range(1, ROUNDS):
        first, *_ = request.state.open_tasks
        request.do(Decide(by=Actor(person="p000"), task_id=first.id, decision="request_changes", comment="more " * 400))
        request.do(Resubmit(by=Actor(person="rita"), input={"note": f"round {number} " + "x" * 1000}))
    for task in request.state.open_tasks:
        request.do(Decide(by=Actor(person=task.assignee or ""), task_id=task.id, decision="approve", comment="y" * 900))
    assert request.state.outcome == "approved"
    assert request.state.opened == SEATS * ROUNDS
    assert request.longest <= MOST_TASKS + 2 * SEATS
    assert len(STATES.dump_json(request.state, by_alias=True)) < PAYLOAD


def test_what_is_no_longer_kept_is_settled_and_not_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("placet.engine.run.MOST_TASKS", 20)
    request = Large(blueprint({"approvers": ["group:all"], "quorum": "all"}, settings={"max_rounds": 50}), everybody())
    request.do(Decide(by=Actor(person="p000"), task_id="r.1", decision="request_changes"))
    request.do(Resubmit(by=Actor(person="rita")))
    request.do(Decide(by=Actor(person="p001"), task_id=request.state.open_tasks[1].id, decision="approve"))
    assert request.state.task("r.1") is None
    with pytest.raises(AlreadyDecided):
        request.do(Decide(by=Actor(person="p000"), task_id="r.1", decision="approve"))
    for unknown in ("r.0", "r.401", "r.01", "s.1", "r.x", "r."):
        with pytest.raises(UnknownTask):
            request.do(Decide(by=Actor(person="p000"), task_id=unknown, decision="approve"))


@pytest.mark.parametrize(("repeat", "asked"), [("forbid", ["p001"]), ("carry", [])])
def test_votes_of_tasks_that_are_no_longer_kept_count(
    monkeypatch: pytest.MonkeyPatch, repeat: str, asked: list[str]
) -> None:
    monkeypatch.setattr("placet.engine.run.MOST_TASKS", 1)
    steps: list[dict[str, Any]] = [
        {"approvers": ["user:p000"]},
        {"approvers": ["user:p002"]},
        {"approvers": ["user:p000"], "separation_of_duties": {"repeat": repeat}, "escalation_to": "user:p001"},
    ]
    request = Large(blueprint(*steps), everybody())
    request.do(Decide(by=Actor(person="p000"), task_id="r.1", decision="approve"))
    request.do(Decide(by=Actor(person="p002"), task_id="r.2", decision="approve"))
    assert request.state.task("r.1") is None
    assert [task.assignee for task in request.state.open_tasks] == asked
    assert (request.state.outcome == "approved") is (repeat == "carry")


def test_a_hundred_refused_signals_are_on_record_and_the_others_change_nothing() -> None:
    request = case({})
    for _ in range(300):
        request.do(SignalRefused(reason="no"))
    assert len(request.of_kind("signal_refused")) == 100


def test_an_approval_to_which_a_loop_leads_back_has_a_bound_of_visits() -> None:
    raw = blueprint(
        {"approvers": ["user:mo"]},
        graph_spec=graph(
            "start -> a", "a -> approved on approved", "a -> a on rejected", nodes={"a": {"step": "Stage 1"}}
        ),
    )
    request = Large(raw, office())
    for number in range(1, MOST_VISITS + 1):
        assert request.state.status == "pending"
        request.do(Decide(by=Actor(person="mo"), task_id=f"r.{number}", decision="reject"))
    assert request.state.status == "failed"
    assert len(STATES.dump_json(request.state, by_alias=True)) < PAYLOAD


def test_the_state_of_a_request_of_an_older_version_counts_its_tasks_by_those_it_holds() -> None:
    request = case({"quorum": "all", "approvers": ["user:mo", "user:dh"]})
    raw = STATES.dump_python(request.state, mode="json", by_alias=True)
    for name in ("opened", "votes", "signals_refused", "asked", "stored_format"):
        del raw[name]
    old: State = STATES.validate_python(raw)
    decision = Decide(by=Actor(person="mo"), task_id="r.1", decision="request_changes")
    state = machine.apply(request.plan, old, decision, START).state
    state = machine.apply(request.plan, state, Resubmit(by=Actor(person="rita")), START).state
    assert [task.id for task in state.tasks] == ["r.1", "r.2", "r.3", "r.4"]


@pytest.mark.parametrize("kept", [MOST_TASKS, 0])  # by the tasks, and by what is left of them
@pytest.mark.parametrize(
    ("repeat", "asked"),
    [
        ("carry", "ann"),  # she has abstained since she approved: asked again, and not taken to approve
        ("forbid", "olivia"),  # the approval of before bars her, whatever she did since
    ],
)
def test_an_abstention_after_an_approval_is_remembered_alike_when_its_task_is_no_longer_kept(
    monkeypatch: pytest.MonkeyPatch, kept: int, repeat: str, asked: str
) -> None:
    monkeypatch.setattr("placet.engine.run.MOST_TASKS", kept)
    last = {"approvers": ["user:ann"], "separation_of_duties": {"repeat": repeat}}
    stages = [{"approvers": ["user:ann"]}, {"approvers": ["user:ann", "user:ben"]}, {"approvers": ["user:mo"]}, last]
    request = Large(blueprint(*stages), office())
    votes: list[tuple[str, Decision]] = [("ann", "approve"), ("ann", "abstain"), ("ben", "approve"), ("mo", "approve")]
    for person, vote in votes:
        task = next(t for t in request.state.open_tasks if t.assignee == person)
        request.do(Decide(by=Actor(person=person), task_id=task.id, decision=vote))
    assert [t.assignee for t in request.state.open_tasks] == [asked]
    assert bool(request.state.votes) == (kept == 0)
