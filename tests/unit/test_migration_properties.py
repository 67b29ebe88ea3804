"""Any request moved to any other version: it is refused whole, or stays valid, keeps its people, and can still end."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from placet.directory import Directory
from placet.engine import machine
from placet.engine.events import Actor, Decide, Happened, Reassign, Resubmit, Withdraw
from placet.engine.state import Task
from placet.errors import DoesNotMap
from placet.frozen import evolve
from placet.plan.plan import Plan
from tests.unit.core import REFUSALS, Case, plan_of
from tests.unit.test_machine_properties import (
    CHILD,
    EVERYBODY,
    MORE_ACTIONS,
    blueprints,
    drawings,
    organisations,
    perform,
    steps,
)

FEW = st.integers(0, 5)
ROOT = Actor(person="adam", admin=True)


@st.composite
def successors(draw: st.DrawFn, raw: dict[str, Any]) -> dict[str, Any]:
    """Draw another version of a process: the same, the same with some of it changed, or another one altogether."""
    after = deepcopy(raw) | {"version": "2.0.0"}
    how = draw(st.integers(0, 9))
    if how == 0:
        return dict(draw(st.one_of(blueprints(), drawings()))) | {"name": raw["name"], "version": "2.0.0"}
    for step in after["process_steps"]:
        if draw(FEW) == 0:
            name = step["stage_name"]
            step.clear()
            step.update(draw(steps()), stage_name=name)
        for rule, choices in (
            ("sla_hours", [1, 3, 48]),
            ("final", ["wait", "approve", "reject", "expire"]),
            ("quorum", ["any", "all", {"at_least": 2}]),
            ("rejection", ["any", "unreachable"]),
        ):
            if draw(FEW) == 0:
                step[rule] = draw(st.sampled_from(choices))
    if draw(FEW) == 0:
        hours = {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
        after["settings"] = {**after.get("settings", {}), "calendar": {"hours": hours}}
    if draw(FEW) == 0:
        after["owner"] = draw(st.sampled_from(["user:ceo", "role:cfo"]))
    if draw(FEW) == 0:
        after["variables"][0]["maximum"] = 5000
    graph = after.get("graph_spec")
    if graph is not None and draw(FEW) == 0:  # the ids of nodes change places
        names = [node["id"] for node in graph["nodes"] if node["type"] == "approval"]
        to = dict(zip(names, draw(st.permutations(names)), strict=True))
        for place in (*graph["nodes"], *graph["edges"]):
            place.update({key: to[place[key]] for key in ("id", "from", "to") if place.get(key) in to})
    if graph is not None and draw(FEW) == 0:  # and so do ways, also those of forks
        graph["edges"] = draw(st.permutations(graph["edges"]))
    if graph is not None and draw(FEW) == 0:
        for node in graph["nodes"]:
            if node["type"] == "join":
                node["need"] = draw(st.sampled_from(["all", "any"]))
    return after


def unchanged(task: Task) -> tuple[Any, ...]:
    """Return what a move leaves as it is, of every task."""
    return (
        *(task.id, task.stage, task.round, task.seat, task.weight, task.assignee, task.via, task.opened_at),
        *(task.candidates, task.delegates, task.held_by, task.breached_at, task.next_level, task.level),
        *(task.status, task.decision, task.decided_by, task.decided_at, task.comment, task.form),
    )


def move(case: Case, after: Plan) -> bool:
    """Move a request; whether it went."""
    before, plan, refusal = case.state, case.plan, None
    try:
        entries = case.moves(after, seq=before.seq)
    except DoesNotMap as error:
        refusal, entries = error, []
    if refusal is not None:
        assert refusal.problems
        assert all(problem.pointer.startswith("/") and problem.message for problem in refusal.problems)
        assert (case.state, case.plan) == (before, plan), "nothing has happened"
        return False
    assert {e.kind for e in entries} <= {"migrated", "extended"}, "a move decides nothing"
    assert case.plan == after
    assert [unchanged(t) for t in case.state.tasks] == [unchanged(t) for t in before.tasks]
    assert (case.state.status, case.state.round, case.state.requester) == ("pending", before.round, before.requester)
    seq = case.state.seq
    case.moves(after)
    assert case.state.seq == seq, "moving it again changes nothing"
    return True


def end(case: Case) -> None:
    """Bring a request to its end: everyone approves, operators help, time passes, and everything goes well."""
    for _ in range(400):
        state = case.state
        if state.status != "pending":
            return
        if state.returned_at is not None:
            case.do(Resubmit(by=Actor(person=state.requester)))
        elif state.actions:
            case.done(state.actions[0].node, {"amount": "1"})
        elif state.children:
            case.ended(state.children[0].node, "approved", {"sum": "1"})
        elif state.open_tasks:
            _settle(case, state.open_tasks[0])
        elif any(run.returned_at for run in state.stages):
            case.do(Resubmit(by=Actor(person=state.requester)))
        elif any(wait.event for wait in state.waits):
            case.do(Happened(by=ROOT, name="go", payload={"amount": "1"}))
        else:
            case.until(machine.next_due(case.plan, state) or case.now + timedelta(hours=1))
    raise AssertionError(f"it comes to no end: {case.kinds()[-20:]}")


def _settle(case: Case, task: Task) -> None:
    stage = case.plan.nodes[task.node].asked
    form = {"ok": True} if stage is not None and stage.form else None
    for person in (*task.people, *EVERYBODY):
        try:
            if person not in task.people or (task.assignee is None and person in task.candidates):
                case.do(Reassign(by=ROOT, task_id=task.id, to=person))
            case.do(Decide(by=Actor(person=person), task_id=task.id, decision="approve", form=form))
        except REFUSALS:
            continue
        return
    event("nobody of the organisation may decide it")
    case.do(Withdraw(by=Actor(person=case.state.requester)))


@settings(max_examples=200)
@given(
    data=st.data(),
    raw=st.one_of(blueprints(), drawings()),
    org=organisations(),
    amount=st.sampled_from(["1", "500", "9000"]),
    first=st.lists(MORE_ACTIONS, min_size=1, max_size=10),
    then=st.lists(MORE_ACTIONS, max_size=6),
)
def test_moved_request_stays_valid_and_can_still_end(
    data: st.DataObject,
    raw: dict[str, Any],
    org: Directory,
    amount: str,
    first: list[tuple[str, int, int, int]],
    then: list[tuple[str, int, int, int]],
) -> None:
    case = Case(plan=plan_of(raw, {"Child": CHILD}), org=org, input={"amount": amount}, twice=True)
    _play(case, first, org)
    after = plan_of(data.draw(successors(raw)), {"Child": CHILD})
    if case.state.status != "pending":
        event("ended before the move")
        return
    event("moved" if move(case, after) else "refused")
    _play(case, then, org)
    end(case)


@settings(max_examples=60)
@given(
    raw=st.one_of(blueprints(), drawings()),
    org=organisations(),
    script=st.lists(MORE_ACTIONS, min_size=1, max_size=10),
)
def test_move_to_the_same_under_another_number_changes_nothing_else(
    raw: dict[str, Any], org: Directory, script: list[tuple[str, int, int, int]]
) -> None:
    case = Case(plan=plan_of(raw, {"Child": CHILD}), org=org, input={"amount": "500"})
    _play(case, script, org)
    if case.state.status != "pending":
        return
    before = case.state
    assert move(case, plan_of(raw | {"version": "1.0.1"}, {"Child": CHILD}))
    (entry,) = case.of_kind("migrated")
    assert {e.kind for e in case.entries[before.seq :]} == {"migrated"}
    assert entry.detail["before"].keys() == entry.detail["after"].keys() == {"version", "digest"}
    digest = case.state.content_digest  # it tells which version the content is for
    same = evolve(
        before,
        seq=case.state.seq,
        head=case.state.head,
        answered=case.state.answered,
        content_digest=digest,
        tasks=tuple(evolve(t, content_digest=digest) if t.status == "open" else t for t in before.tasks),
    )
    assert case.state == same


def _play(case: Case, script: list[tuple[str, int, int, int]], org: Directory) -> None:
    for action in script:
        try:
            perform(case, *action, [org])
        except REFUSALS:
            continue
