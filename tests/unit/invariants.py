"""What is true of every request at every moment, whatever has happened to it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import fields
from datetime import datetime

from placet.audit.chain import Entry, first_bad, genesis
from placet.audit.told import same, told_by
from placet.engine import machine
from placet.engine.state import Notification, State, Transition
from placet.frozen import evolve
from placet.plan.graph import Frame, QuorumRule
from placet.plan.plan import Plan

HANDS = {"reassigned", "delegated", "claimed", "released", "escalated", "approver_missing"}
DECISIONS = {"approve", "reject", "request_changes", "abstain"}


def hold(plan: Plan, state: State, entries: list[Entry], now: datetime) -> None:
    """Assert everything that must be true of a state, given the whole chain of its entries."""
    _chain(state, entries)
    _ending(plan, state)
    _stages(plan, state)
    _branches(plan, state)
    _tasks(plan, state, now)
    _hands(state, entries)
    _people(plan, state, max((e.at for e in entries if e.kind == "migrated"), default=None))
    _clocks(plan, state)
    if entries:
        _told(plan, state, entries)


def step_holds(before: State, step: Transition) -> None:
    """Assert what must be true of one step on its own: nothing is lost, and nobody is told twice."""
    after = step.state
    if step.needs_directory:
        assert after is before
        assert not step.entries
        assert not step.notifications
    assert after.seq == before.seq + len(step.entries), "every entry is counted, and only entries are"
    assert [t.id for t in after.tasks][: len(before.tasks)] == [t.id for t in before.tasks], "tasks only come to be"
    for old, new in zip(before.tasks, after.tasks, strict=False):
        if not old.unsettled:
            assert evolve(old, node=new.node) == new, "a settled task never changes"
            assert old == new or step.plan is not None, "only a move knows its node by another id"
    keys = Counter(n.key for n in step.notifications)
    assert all(times == 1 for times in keys.values()), f"a notice went out twice: {keys}"
    seqs = {e.seq for e in step.entries}
    assert all(n.seq in seqs for n in step.notifications), "a notice belongs to an entry of its step"
    _reminders(before, step.notifications)
    _effects(before, step)


def approved_as_it_is(plan: Plan, state: State, entries: list[Entry], added: dict[str, bool]) -> None:
    """Assert of a request that ended approved that a quorum of each stage on its last way approved what it is now.

    Decisions count that were made on the final revision, or on one that differs from it in immaterial variables only.
    What a final rule approved has no decision, and says so. For requests that were always under `"restart"`.
    """
    if state.outcome != "approved":
        return
    first, began = 1, 0
    for entry in entries:
        changes = entry.detail.get("changes") or () if entry.kind == "resubmitted" else ()
        if any(change["field"] not in plan.immaterial for change in changes):
            first, began = entry.detail["revision"], entry.seq
    edge = entries[began:]
    stages = {p.stage.name: p.stage for p in plan.nodes.values() if p.stage is not None}
    for settled in edge:
        if settled.kind != "stage_settled" or settled.detail["result"] != "approved":
            continue
        of_stage = [e for e in edge if e.stage == settled.stage and e.seq < settled.seq]
        if any(e.kind == "escalation_ended" and e.detail["final"] == "approve" for e in of_stage):
            continue
        this_round = settled.detail["round"]
        opened = [e.task_id for e in of_stage if e.kind == "task_opened" and e.detail["round"] == this_round]
        approved = {t.id for t in state.tasks if t.id in opened and t.decision == "approve"}
        assert approved >= {t for t in opened if t in added}, "everybody who was added has approved"
        opened = [t for t in opened if not added.get(t or "")]
        votes = [t for t in state.tasks if t.id in opened and t.decision == "approve"]
        assert votes, f"{settled.stage} was approved by nobody since the request is what it is"
        assert all(vote.revision >= first for vote in votes), "an approval counts for a revision that is void"
        stage = stages.get(settled.stage or "")
        by_other_rules = any(e.kind == "migrated" and e.seq > settled.seq for e in edge)
        if stage is not None and stage.order == "parallel" and not by_other_rules:
            counted = sum(vote.weight for vote in votes) if stage.need.kind == "weight" else len(votes)
            assert counted >= _needed(stage.need, len(opened)), f"{settled.stage} lacks its quorum"


def added_tasks(state: State) -> dict[str, bool]:
    """Return the tasks of seats that somebody added, each with whether the stage itself lacks that seat."""
    found: dict[str, bool] = {}
    for run in state.stages:
        tasks = {t.seat: t.id for t in state.tasks_of(run)}
        found |= {tasks[n]: seat.extra for n, seat in enumerate(run.seats) if seat.added_by and n in tasks}
    return found


def _needed(need: QuorumRule, seats: int) -> float:
    if need.kind == "percent":
        return math.ceil(round(need.value * seats / 100, 9))
    return {"any": 1, "all": seats}.get(need.kind, need.value)


def _effects(before: State, step: Transition) -> None:
    after = step.state
    keys = {call.key for call in (*before.actions, *before.strays)}
    assert {c.key for c in step.actions} == {c.key for c in after.actions} - keys, "what the state waits for is run"
    children = {call.request_id for call in before.children}
    assert {c.request_id for c in step.children} == {c.request_id for c in after.children} - children
    for name, count in before.visits.items():
        assert after.visits[name] >= count


def _reminders(before: State, notifications: tuple[Notification, ...]) -> None:
    places = {run.node: run for run in before.stages}
    for task in before.open_tasks:
        of_stage = [t for t in before.tasks[places[task.node].first :] if t.node == task.node]
        decided = {t.decided_by for t in of_stage if t.decided_by}
        reminded = {n.to for n in notifications if n.event == "reminded" and n.task_id == task.id}
        if set(task.people) - decided:  # else the owner is reminded, who may well have decided
            assert not reminded & decided, "a reminder never reaches someone who has decided"


def _chain(state: State, entries: list[Entry]) -> None:
    assert first_bad(genesis(state.request_id), entries) is None
    assert [e.seq for e in entries] == list(range(1, state.seq + 1))
    if entries:
        assert entries[-1].hash == state.head
    assert sorted(entries, key=lambda e: e.at) == entries, "time only goes on"


def _told(plan: Plan, state: State, entries: list[Entry]) -> None:
    """What the entries tell of the request and its tasks is what the state has, where they tell it."""
    told = told_by(entries)
    facts = {name: fact.value for name, fact in told.request.items()}
    by, questions = facts.pop("started_by"), facts.pop("questions")
    assert by == state.started_by or (by == state.requester and state.started_by is None)
    assert facts["input"] is not None
    assert same(state.input, facts.pop("input"))
    has = {name: getattr(state, name) for name in facts.keys() & {f.name for f in fields(State)}}
    has["definition"], has["template"], has["version"] = plan.digest, plan.name, plan.version
    has["action_digest"] = state.action.digest if state.action is not None else None
    if "claimed_at" in facts:
        has["claimed_at"] = state.claim.at if state.claim is not None else None
    if "stage" in facts:
        has["stage"] = state.stage
    assert facts == has
    for asked, question in zip(questions, state.questions, strict=True):
        assert question.stored | asked == question.stored
    assert told.tasks.keys() == {f"{state.request_id}.{n}" for n in range(1, state.opened + 1)}
    for task in state.tasks:
        of = {name: fact.value for name, fact in told.tasks[task.id].items()}
        assert same(task.form, of.pop("form"))
        signature = task.signature.stored if task.signature is not None else None
        assert of.pop("signature") == signature
        assert of == {name: getattr(task, name) for name in of}


def _ending(plan: Plan, state: State) -> None:
    over = state.status != "pending"
    assert over == (state.ended_at is not None)
    if over:
        assert not any(t.unsettled for t in state.tasks), "an ended request has no open task"
        assert not any((state.stages, state.waits, state.actions, state.children, state.joins))
        due = state.action.expires_at if state.claimable and state.action is not None else None
        assert machine.next_due(plan, state) == due
    else:
        assert state.outcome is None
        returned = any(s.returned_at for s in state.stages)
        asked = returned or any(t.unsettled for t in state.tasks) or state.waits or state.actions or state.children
        assert asked or not state.seq, "a pending request waits for somebody or something"
    if state.status == "completed":
        assert state.outcome is not None
    may_be_claimed = state.outcome == "approved" and state.action is not None
    assert (state.claim is not None) == may_be_claimed, "exactly an approved action is there to be claimed"
    if state.status == "cancelled":
        assert state.outcome in {"withdrawn", "cancelled"}


def _stages(plan: Plan, state: State) -> None:
    for run in state.stages:
        assert plan.nodes[run.node].asked is not None
        assert run.seats
        assert run.opened <= len(run.seats)
        tasks = [t for t in state.tasks[run.first :] if t.node == run.node]
        assert [t.seat for t in tasks] == list(range(run.opened)), "one task a seat, in order"
        if run.returned_at is not None:
            assert not [t for t in tasks if t.unsettled], "a returned stage waits for its requester only"
        elif plan.nodes[run.node].asked.order == "sequential":  # type: ignore[union-attr] # asserted above
            assert len([t for t in tasks if t.unsettled]) == 1, "a sequence asks one after the other"
        else:
            assert run.opened == len(run.seats)
            assert any(t.unsettled for t in tasks), "a stage that goes on waits for somebody"
        holders = [h for t in tasks if (h := t.decided_by or (t.assignee if t.status == "open" else None))]
        assert len(holders) == len(set(holders)), f"one person fills at most one seat: {holders}"


def _hands(state: State, entries: list[Entry]) -> None:
    """Changes of hands and undone decisions are counted, and each is on record: a token of before is void."""
    for task in state.tasks:
        told = [
            (e.detail.get("before"), e.detail.get("after")) for e in entries if e.task_id == task.id and e.kind in HANDS
        ]
        changes = sum((before or {}).get("assignee") != (after or {}).get("assignee") for before, after in told)
        undone = sum(e.task_id == task.id and e.kind == "decision_undone" for e in entries)
        assert task.hand_overs == changes + undone, f"{task.id} changed hands {changes} times; {undone} undone"


def _branches(plan: Plan, state: State) -> None:
    """Each branch of a fork is in one place at a time, or has arrived at its join."""
    active = [p.node for places in (state.stages, state.waits, state.actions, state.children) for p in places]
    assert len(set(active)) == len(active), "a request is at most once at a node"
    branches = [plan.nodes[name].frames for name in active]
    for join in state.joins:
        node = plan.nodes[join.node]
        assert node.join is not None
        assert 0 < len(join.arrived) < node.join.need, "a join that has what it needs goes on"
        branches += [(*node.frames, Frame(fork=node.join.fork, edge=edge)) for edge in join.arrived]
    for index, one in enumerate(branches):
        for other in branches[index + 1 :]:
            shorter, longer = sorted((one, other), key=len)
            assert longer[: len(shorter)] != shorter, "two places of one branch"
    if state.status == "pending" and state.seq:
        for place in branches:
            for depth, frame in enumerate(place):
                edges = {
                    other[depth].edge for other in branches if other[:depth] == place[:depth] and len(other) > depth
                }
                assert edges == set(range(len(plan.nodes[frame.fork].edges))), "every branch of a fork is somewhere"


def _tasks(plan: Plan, state: State, now: datetime) -> None:
    ids = [t.id for t in state.tasks]
    assert len(ids) == len(set(ids))
    places = {run.node: run for run in state.stages}
    for index, task in enumerate(state.tasks):
        assert (task.status == "decided") == (task.decision in DECISIONS) == (task.decided_by is not None)
        assert (task.decided_at is not None) == (task.status == "decided")
        assert (task.breached_at is not None) == (task.sla_state == "breached")
        assert task.opened_at <= now
        if task.assignee is not None:
            assert task.assignee in task.held_by
        assert task.status == "decided" or not task.provisional
        if task.unsettled:
            assert task.node in places, "an open task belongs to the stage that is going on"
            assert index >= places[task.node].first
            assert task.round == places[task.node].round <= state.round
            assert len(set(task.people)) == len(task.people)
        if task.due_at is None:
            assert task.sla_state == "ok"
        node = plan.nodes.get(task.node)
        assert node.asked is not None if node is not None else task.status != "open", "a stage may be gone by a move"


def _people(plan: Plan, state: State, moved_at: datetime | None) -> None:
    decided: dict[str, set[str]] = {}
    for task in state.tasks:
        assert task.decided_by != state.requester, "nobody decides their own request"
        assert state.requester not in task.people, "nobody is asked about their own request"
        node = plan.nodes.get(task.node)
        stage = node.stage if node is not None else None
        if task.decided_by and task.decided_at and task.decision in {"approve", "reject"}:
            # What was decided before a move was decided by the rules of then.
            if task.revision < state.material:
                continue  # it is void
            if stage is not None and stage.repeat == "forbid" and (moved_at is None or task.decided_at > moved_at):
                others = {p for p, people in decided.items() if p != task.node and task.decided_by in people}
                assert not others, "who decided another stage may not decide this one"
            decided.setdefault(task.node, set()).add(task.decided_by)


def _clocks(plan: Plan, state: State) -> None:
    due = machine.next_due(plan, state)
    undoable = [t for t in state.tasks if t.provisional]
    timed = bool(undoable) or any(
        m is not None
        for t in state.open_tasks
        for m in (
            t.escalate_at,
            t.remind_at,
            t.remind_before or None,
            t.due_at if t.breached_at is None else None,
            t.critical_at,
        )
    )
    timed = (timed or any(wait.until is not None for wait in state.waits)) and state.returned_at is None
    timed = timed or state.claimable
    stood_in = any(t.via.startswith("substitution:") for t in state.open_tasks) and state.returned_at is None
    assert timed <= (due is not None) <= (timed or stood_in), "the timer is armed exactly while something will fall due"
