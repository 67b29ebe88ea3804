"""Moving a running request to another version: what maps, what is refused, and by which rules it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from placet.directory import NEVER
from placet.engine.events import Actor, Extend, Reassign, Resubmit, Withdraw
from placet.errors import DoesNotMap, Ended, NotPermitted, Overtaken, Refused
from placet.frozen import evolve
from placet.plan.plan import Plan
from tests.unit.core import HOUR, START, Case, blueprint, case, graph, plan_of

MO = {"approvers": ["user:mo"]}
CHILD = blueprint({"approvers": ["role:cfo"]}, variables=[{"name": "sum", "type": "decimal"}])


def version(*steps: dict[str, Any], number: str = "2.0.0", **more: Any) -> Plan:
    """Return another version of the tests' process."""
    children = {"Child": CHILD} if "subprocess" in str(more) else None
    return plan_of(blueprint(*steps, version=number, **more), children)


def refusal(running: Case, plan: Plan, **more: Any) -> dict[str, str]:
    """Return why a request does not map, by place; nothing has happened to it."""
    before = running.state
    with pytest.raises(DoesNotMap) as refused:
        running.moves(plan, **more)
    assert running.state == before
    assert running.plan.version == "1.0.0"
    return {problem.pointer: problem.message for problem in refused.value.problems}


def test_moved_request_goes_on_by_the_rules_of_the_other_version() -> None:
    running = case(MO)
    running.moves(version(MO, {"approvers": ["role:cfo"]}), reason="new policy")
    (entry,) = running.of_kind("migrated")
    assert (entry.actor, entry.detail["why"]) == ("user:adam", "new policy")
    assert [entry.detail[side]["version"] for side in ("before", "after")] == ["1.0.0", "2.0.0"]
    assert entry.detail["before"]["digest"] != entry.detail["after"]["digest"] == running.plan.digest
    assert running.steps[-1].template_id == "template-2.0.0"
    running.decide("mo")
    assert running.asked == ["cfo"]
    running.decide("cfo")
    assert running.state.outcome == "approved"


def test_moving_again_changes_nothing() -> None:
    running = case(MO)
    plan = version(MO)
    running.moves(plan)
    seq = running.state.seq
    assert running.moves(plan) == running.moves(plan, key="once", seq=1) == []
    assert running.state.seq == seq


@pytest.mark.parametrize(
    ("by", "admin", "error"),
    [("olivia", False, NotPermitted), ("mo", False, NotPermitted), ("rita", True, NotPermitted)],
    ids=["the process owner is no admin", "an approver", "an admin's own request"],
)
def test_only_another_admin_moves_a_request(by: str, admin: bool, error: type[Refused]) -> None:
    running = case(MO)
    with pytest.raises(error):
        running.moves(version(MO), by=by, admin=admin)


def test_request_that_has_ended_or_changed_or_is_of_another_process_is_not_moved() -> None:
    running = case(MO, MO)
    with pytest.raises(Refused, match="name a version of that process"):
        running.moves(version(MO, name="Other"))
    seen = running.state.seq
    running.decide("mo")
    with pytest.raises(Overtaken):
        running.moves(version(MO, MO), seq=seen)
    running.do(Withdraw(by=Actor(person="rita")))
    with pytest.raises(Ended):
        running.moves(version(MO, MO))


def test_stage_is_known_by_its_name_whatever_its_node_is_called() -> None:
    nodes = {"a": {"step": "Stage 1"}, "b": {"step": "Stage 2"}}
    edges = ("start -> a", "a -> b on approved", "a -> rejected on rejected", "b -> approved on approved")
    running = case(MO, {"approvers": ["user:mo", "cfo"], "quorum": "all"}, graph_spec=graph(*edges, nodes=nodes))
    running.decide("mo")
    running.decide("mo")
    swapped = {"a": nodes["b"], "b": nodes["a"]}
    back = ("start -> b", "b -> a on approved", "b -> rejected on rejected", "a -> approved on approved")
    steps = (MO, {"approvers": ["user:mo", "cfo"], "quorum": "all", "separation_of_duties": {"repeat": "forbid"}})
    running.moves(version(*steps, graph_spec=graph(*back, nodes=swapped)))
    assert [task.node for task in running.state.tasks] == ["b", "a", "a"]
    assert running.of_kind("migrated")[0].detail["nodes"] == {"b": "a"}
    running.decide("cfo")
    assert running.state.outcome == "approved"


def test_decision_in_a_stage_that_is_gone_still_counts_as_one_in_another() -> None:
    """Its node's id is now that of the open stage: who decided there has decided elsewhere."""
    running = case(MO, {"approvers": ["user:cfo"]})
    running.decide("mo")
    running.moves(version({"stage_name": "Stage 2", "separation_of_duties": {"repeat": "forbid"}}))
    assert [task.node for task in running.state.tasks] == ["step-1@1.0.0", "step-1"]
    with pytest.raises(NotPermitted):
        running.do(Reassign(by=Actor(person="x", admin=True), task_id="r.2", to="mo"))


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (({**MO, "stage_name": "Other"},), "does not exist; it is open at"),
        (({"approvers": ["user:mo", "cfo"], "quorum": "all", "order": "sequential"},), "asks its people sequential"),
        (({"approvers": ["group:finance"], "quorum": {"at_least": 3}},), "can never be met"),
        (({"approvers": ["user:mo", "cfo"], "quorum": "any"},), "approved there at once"),
    ],
    ids=["gone", "order", "quorum out of reach", "quorum met already"],
)
def test_open_stage_whose_seats_or_votes_do_not_fit_is_refused(steps: tuple[dict[str, Any], ...], why: str) -> None:
    running = case({"approvers": ["user:mo", "cfo"], "quorum": "all"})
    running.decide("mo")
    assert why in refusal(running, version(*steps))["/stages/Stage 1"]


def test_open_task_of_somebody_who_may_no_longer_decide_is_refused() -> None:
    running = case(MO, MO)
    running.decide("mo")
    forbids = version(MO, {**MO, "separation_of_duties": {"repeat": "forbid"}})
    assert "reassign r.2" in refusal(running, forbids)["/stages/Stage 2"]
    running.do(Reassign(by=Actor(person="x", admin=True), task_id="r.2", to="cfo"))
    running.moves(forbids)
    running.decide("cfo")
    assert running.state.outcome == "approved"


def test_input_takes_the_shape_that_the_other_version_declares() -> None:
    given = [{"name": "amount", "type": "decimal"}, {"name": "note", "type": "string"}]
    running = case(MO, variables=given, input={"amount": "500", "note": "x"})
    strict = [{"name": "amount", "type": "decimal", "maximum": 100}, {"name": "day", "type": "date", "required": True}]
    assert refusal(running, version(MO, variables=strict)).keys() == {"/input/amount", "/input/day"}
    fits = [
        {"name": "amount", "type": "decimal", "maximum": 900},
        {"name": "urgent", "type": "boolean", "default": True},
    ]
    running.moves(version(MO, variables=fits))
    assert running.state.input == {"amount": "500", "urgent": True}
    (entry,) = running.of_kind("migrated")
    assert (entry.detail["before"]["input"], entry.detail["after"]["input"]) == ({"note": "x"}, {"urgent": True})


def test_clocks_whose_rules_are_the_same_go_on() -> None:
    step = {**MO, "sla_hours": 24, "warn_before_hours": 2, "reminders": {"every_hours": 8}, "escalation_to": "ceo"}
    running = case(step)
    running.hours(7)
    before = running.state.open_tasks
    running.moves(version(step, MO, number="1.1.0"))
    digest = running.state.content_digest
    assert running.state.open_tasks == [evolve(task, content_digest=digest) for task in before]
    assert running.of_kind("extended") == []


def test_another_deadline_counts_from_when_the_task_opened() -> None:
    running = case({**MO, "sla_hours": 24, "warn_before_hours": 2})
    running.hours(23)
    assert running.task.sla_state == "warning"
    running.moves(version({**MO, "sla_hours": 48, "warn_before_hours": 4}))
    assert (running.task.due_at, running.task.warn_at) == (START + 48 * HOUR, START + 44 * HOUR)
    assert running.task.sla_state == "ok"
    (entry,) = running.of_kind("extended")
    assert entry.task_id == "r.1"
    assert running.told("extended") == ["mo"]
    running.hours(45)
    assert running.task.sla_state == "warning"
    running.hours(48)
    assert running.task.sla_state == "breached"


def test_deadline_that_has_passed_by_the_other_rule_is_breached_at_once() -> None:
    running = case({**MO, "sla_hours": 24})
    running.hours(10)
    running.moves(version({**MO, "sla_hours": 4, "escalation_to": "user:ceo"}))
    assert running.jump(running.now) != []
    assert (running.task.sla_state, running.task.assignee) == ("breached", "ceo")


@pytest.mark.parametrize("seconds", [3600.0, -3600.0], ids=["later", "earlier"])
def test_deadline_that_an_operator_moved_stays(seconds: float) -> None:
    running = case({**MO, "sla_hours": 24})
    running.do(Extend(by=Actor(person="olivia"), seconds=seconds))
    due = running.task.due_at
    running.moves(version({**MO, "sla_hours": 100}))
    assert running.task.due_at == due


def test_deadline_comes_to_be_and_ceases_to_be() -> None:
    running = case(MO)
    running.moves(version({**MO, "sla_hours": 5}, number="1.1.0"))
    assert running.task.due_at == START + 5 * HOUR
    running.hours(4)
    running.moves(version(MO, number="1.2.0"))
    assert (running.task.due_at, running.task.warn_at, running.task.sla_state) == (None, None, "ok")
    running.hours(1000)
    assert "sla_breached" not in running.kinds()


def test_deadline_follows_another_calendar() -> None:
    day = {weekday: ["09:00-17:00"] for weekday in ("mon", "tue", "wed", "thu", "fri")}
    running = case({**MO, "sla_hours": 16})
    running.moves(version({**MO, "sla_hours": 16}, settings={"calendar": {"hours": day}}))
    assert running.task.due_at == START + 32 * HOUR


def test_breach_stands_and_another_chain_leaves_time() -> None:
    step = {**MO, "sla_hours": 4, "re_escalate_after_hours": 6}
    running = case({**step, "final": "wait"})
    running.hours(5)
    assert running.task.escalation_ended
    running.moves(version({**step, "final": "reject"}))
    assert (running.task.sla_state, running.task.escalation_ended) == ("breached", False)
    assert running.jump(running.now) == []
    running.hours(10)
    assert running.state.status == "pending"
    running.hours(11)
    assert running.state.outcome == "rejected"


def test_reminders_take_the_new_rhythm() -> None:
    running = case({**MO, "reminders": {"every_hours": 8}})
    running.hours(7)
    running.moves(version({**MO, "reminders": {"every_hours": 2}}, number="1.1.0"))
    assert running.task.remind_at == START + 9 * HOUR
    running.moves(version(MO, number="1.2.0"))
    assert running.task.remind_at is None


def test_returned_request_opens_again_by_the_new_rules_in_its_round() -> None:
    running = case(MO)
    running.decide("mo", "request_changes")
    running.moves(version({"approvers": ["role:cfo"]}))
    running.do(Resubmit(by=Actor(person="rita")))
    assert (running.asked, running.state.round) == (["cfo"], 2)


def test_other_people_are_read_before_anybody_is_looked_up() -> None:
    running = case(MO)
    running.moves(version(MO, number="1.0.1"))
    assert running.state.directory_at == START
    running.moves(version(MO, {"approvers": ["role:cfo"]}))
    assert running.state.directory_at == NEVER


def _waiting(**pause: Any) -> dict[str, Any]:
    return graph(
        "start -> w",
        "w -> a",
        "a -> approved on approved",
        nodes={"w": {"type": "wait", **pause}, "a": {"step": "Stage 1"}},
    )


def test_wait_goes_on_and_is_counted_anew_where_its_rule_is_another() -> None:
    running = case(MO, graph_spec=_waiting(hours=10))
    running.hours(3)
    running.moves(version(MO, graph_spec=_waiting(hours=10), number="1.1.0"))
    assert running.state.waits[0].until == START + 10 * HOUR
    running.moves(version(MO, graph_spec=_waiting(hours=4), number="1.2.0"))
    assert running.state.waits[0].until == START + 4 * HOUR
    running.hours(4)
    assert running.asked == ["mo"]


def _call_spec(kind: str, output: dict[str, str], **names: str) -> dict[str, Any]:
    node = {"type": kind, "input": {"sum": "1"} if kind == "subprocess" else {}, "output": output, **names}
    return graph("start -> n", "n -> a", "a -> approved on approved", nodes={"n": node, "a": {"step": "Stage 1"}})


AMOUNT = [{"name": "amount", "type": "decimal"}]
PAY = _call_spec("action", {"amount": "paid"}, action="pay")
SUB = _call_spec("subprocess", {"amount": "sum"}, template="Child")


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (PAY, _call_spec("action", {"amount": "paid"}, action="look"), "runs another action in that version"),
        (PAY, _call_spec("action", {}, action="pay"), "takes other values from its action"),
        (PAY, _waiting(hours=1), "does not exist in that version, and its action is running"),
        (SUB, PAY, "does not exist in that version, and its sub-process is running"),
        (SUB, _call_spec("subprocess", {}, template="Child"), "takes other values from its sub-process"),
        (_waiting(event="go"), _waiting(event="come"), "waits for come in that version, not for go"),
        (_waiting(hours=1), _waiting(event="go"), "waits for go in that version, not for a time"),
        (_waiting(hours=1), PAY, "does not exist in that version, and the request waits at it"),
    ],
)
def test_node_at_which_something_is_under_way_has_to_be_there(before: Any, after: Any, why: str) -> None:
    running = case(MO, variables=AMOUNT, graph_spec=before, children={"Child": CHILD})
    ((pointer, message),) = refusal(running, version(MO, variables=AMOUNT, graph_spec=after)).items()
    assert pointer in {"/nodes/n", "/nodes/w"}
    assert why in message


@pytest.mark.parametrize(
    ("drawn", "finish"),
    [
        (PAY, lambda running: running.done("n", {"paid": "7"})),
        (SUB, lambda running: running.ended("n", "approved", {"sum": "7"})),
    ],
    ids=["action", "sub-process"],
)
def test_what_is_under_way_goes_on(drawn: dict[str, Any], finish: Callable[[Case], Any]) -> None:
    running = case(MO, variables=AMOUNT, graph_spec=drawn, children={"Child": CHILD})
    running.moves(version({"approvers": ["role:cfo"]}, variables=AMOUNT, graph_spec=drawn))
    finish(running)
    assert (running.state.input, running.asked) == ({"amount": "7"}, ["cfo"])


STEPS = ({**MO, "stage_name": "A"}, {**MO, "stage_name": "B"}, {**MO, "stage_name": "C"})
FORK: tuple[str, ...] = (
    *("start -> f", "f -> a", "f -> b", "f -> c"),
    *(f"{n} -> j on approved" for n in "abc"),
    "j -> approved",
)
NODES: dict[str, dict[str, Any]] = {
    "f": {"type": "fork"},
    "j": {"type": "join", "need": "all"},
    **{n: {"step": n.upper()} for n in "abc"},
}


def _forked() -> Case:
    running = case(*STEPS, graph_spec=graph(*FORK, nodes=NODES))
    running.decide("mo", task="r.2")  # B has arrived
    return running


def test_branches_are_known_by_where_they_lead() -> None:
    running = _forked()
    other = tuple(FORK[i] for i in (0, 2, 3, 1, 4, 5, 6, 7))  # b, c, a
    running.moves(version(*STEPS, graph_spec=graph(*other, nodes=NODES)))
    assert running.state.joins[0].arrived == (0,)
    running.decide("mo", task="r.1")
    assert running.state.status == "pending"
    running.decide("mo", task="r.3")
    assert running.of_kind("joined")[0].detail["arrived"] == ["b", "a", "c"]
    assert running.state.outcome == "approved"


def _without(*gone: str) -> tuple[str, ...]:
    return tuple(edge for edge in FORK if edge not in gone)


@pytest.mark.parametrize(
    ("edges", "nodes", "place", "why"),
    [
        (FORK, {"j": {"type": "join", "need": "any"}}, "/nodes/j", "enough branches have arrived"),
        (
            (*FORK, "f -> d", "d -> j on approved"),
            {"d": {"step": "D"}},
            "/nodes/a",
            "nothing is in the branch of d",
        ),
        (
            (*_without("f -> c", "a -> j on approved"), "a -> c on approved"),
            {},
            "/nodes/a",
            "follow each other",
        ),
        (
            ("start -> a", "a -> b on approved", "b -> c on approved", "c -> approved on approved"),
            {},
            "/nodes/j",
            "does not exist",
        ),
    ],
    ids=["join that has enough", "another branch", "no branch any more", "no fork any more"],
)
def test_branches_that_are_nowhere_or_twice_are_refused(
    edges: tuple[str, ...], nodes: dict[str, Any], place: str, why: str
) -> None:
    used = {name: node for name, node in (NODES | nodes).items() if any(name in edge.split() for edge in edges)}
    steps = (*STEPS, {**MO, "stage_name": "D"})
    assert why in refusal(_forked(), version(*steps, graph_spec=graph(*edges, nodes=used)))[place]


def test_deadlines_of_a_request_in_a_fork_are_moved_each() -> None:
    running = _forked()
    running.moves(version(*({**step, "sla_hours": 9} for step in STEPS), graph_spec=graph(*FORK, nodes=NODES)))
    assert [entry.task_id for entry in running.of_kind("extended")] == ["r.1", "r.3"]


def test_branches_that_lead_to_the_same_place_are_told_apart() -> None:
    """Two ways of a fork go straight to its join: both have arrived."""
    edges = ("start -> f", "f -> j", "f -> j", "f -> a", "a -> j on approved", "j -> approved")
    nodes = {"f": NODES["f"], "j": NODES["j"], "a": {"step": "A"}}
    running = case(STEPS[0], graph_spec=graph(*edges, nodes=nodes))
    running.moves(version(STEPS[0], graph_spec=graph(*edges, nodes=nodes)))
    assert running.state.joins[0].arrived == (0, 1)
    running.decide("mo")
    assert running.state.outcome == "approved"
