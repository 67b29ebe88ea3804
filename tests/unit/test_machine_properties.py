"""Any process under any script of events: the state stays valid, the chain verifies, and the same gives the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from placet.directory import Directory, Person
from placet.engine import machine
from placet.engine.events import (
    ActionDone,
    Actor,
    AddApprover,
    AnswerQuestion,
    AskQuestion,
    ChildEnded,
    Claim,
    Comment,
    Decide,
    Delegate,
    Extend,
    Happened,
    Reassign,
    Release,
    Remind,
    Resubmit,
    SignalRefused,
    Undo,
    Withdraw,
)
from placet.nodes.registry import NODE_TYPES
from tests.unit.core import REFUSALS, Case, away, blueprint, office, plan_of

EVERYBODY = ["rita", "mo", "dh", "ceo", "cfo", "olivia", "ann", "ben", "cid"]
NAMES = [
    "manager_of(requester)",
    "manager_of(manager_of(requester))",
    "role:cfo",
    "department_head",
    "group:finance",
    "requester",
    "owner",
    "user:nobody",
    *(f"user:{p}" for p in EVERYBODY),
]
HOURS = st.sampled_from([0.5, 1, 2, 8, 24, 40])

approvers = st.lists(
    st.one_of(
        st.sampled_from(NAMES),
        st.builds(lambda who, weight: {"who": who, "weight": weight}, st.sampled_from(NAMES), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=4,
)
quorums = st.one_of(
    st.sampled_from(["any", "all"]),
    st.integers(1, 4).map(lambda n: {"at_least": n}),
    st.sampled_from([1, 33.4, 50, 66, 100]).map(lambda p: {"percent": p}),
    st.integers(1, 5).map(lambda w: {"weight": w}),
)
levels = st.lists(
    st.fixed_dictionaries(
        {
            "after_hours": st.sampled_from([0, 1, 3, 10]),
            "to": st.sampled_from([*NAMES, "assignee", "manager_of(assignee)"]),
            "action": st.sampled_from(["reassign", "add", "notify"]),
        }
    ),
    min_size=1,
    max_size=3,
).map(lambda ls: sorted(ls, key=lambda level: float(str(level["after_hours"]))))
escalations = st.one_of(
    st.just({}),
    st.builds(lambda to: {"escalation_to": to}, st.sampled_from(NAMES)),
    st.builds(lambda chain: {"escalation": chain}, levels),
)
reminders = st.one_of(
    st.just({}),
    st.builds(
        lambda every, before: {"reminders": {**({"every_hours": every} if every else {}), "before_hours": before}},
        st.one_of(st.none(), HOURS),
        st.lists(HOURS, max_size=2),
    ),
)

# What a change of the request does to approvals; three times of four they are void.
changing = st.one_of(
    st.just({"on_change": "stage"}),
    st.just({}),
    st.just({"immaterial": ["note"]}),
    st.just({"on_change": "restart", "immaterial": ["note"]}),
)


@st.composite
def steps(draw: st.DrawFn) -> dict[str, Any]:
    """Draw one approval stage."""
    step: dict[str, Any] = {
        "approvers": draw(approvers),
        "quorum": draw(quorums),
        "rejection": draw(st.sampled_from(["any", "unreachable"])),
        "order": draw(st.sampled_from(["parallel", "sequential"])),
        "claim": draw(st.sampled_from([False, False, True])),
        "assign": draw(st.sampled_from(["each", "each", "least_loaded"])),
        "final": draw(st.sampled_from(["wait", "approve", "reject", "expire"])),
        "re_escalate_after_hours": draw(HOURS),
        **draw(escalations),
        **draw(reminders),
    }
    if draw(st.integers(0, 4)):
        step["sla_hours"] = draw(HOURS)
    if draw(st.booleans()):
        step["separation_of_duties"] = {"repeat": draw(st.sampled_from(["carry", "forbid"]))}
    if not draw(st.integers(0, 4)):
        step["form"] = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}
    if not draw(st.integers(0, 2)):
        step["undo_seconds"] = draw(st.sampled_from([30, 3600, 80_000]))
    return step


@st.composite
def blueprints(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a process: a straight chain, or a graph with a decision, a way back and a way for what has expired."""
    stages = draw(st.lists(steps(), min_size=1, max_size=3))
    more: dict[str, Any] = {
        "variables": [{"name": "amount", "type": "decimal"}, {"name": "note", "type": "string"}],
        "settings": {
            "jitter_seconds": draw(st.sampled_from([0, 0, 600])),
            "max_rounds": draw(st.integers(1, 3)),
            **draw(changing),
        },
        "owner": draw(st.sampled_from(["user:olivia", "user:rita", "role:cfo", "user:nobody", None])),
    }
    if draw(st.booleans()):
        names = [f"s{n}" for n, _ in enumerate(stages)]
        back = draw(st.sampled_from([*names, "no"]))
        expired = draw(st.sampled_from([*names, "no", None]))
        nodes = [
            {"id": "start", "type": "trigger"},
            {"id": "large", "type": "decision"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
            *({"id": name, "type": "approval", "step": f"Stage {n}"} for n, name in enumerate(names, 1)),
        ]
        edges = [
            {"from": "start", "to": "large"},
            {
                "from": "large",
                "to": names[0],
                "condition": draw(st.sampled_from(["amount > 5000", "amount / 0.0 > 1.0"])),
            },
            {"from": "large", "to": draw(st.sampled_from([names[-1], "yes"])), "default": True},
        ]
        for name, following in zip(names, [*names[1:], "yes"], strict=True):
            edges += [{"from": name, "to": following, "on": "approved"}, {"from": name, "to": back, "on": "rejected"}]
            edges += [{"from": name, "to": expired, "on": "expired"}] if expired else []
        more["graph_spec"] = {"nodes": nodes, "edges": edges}
    return blueprint(*stages, **more)


PLACES = ["approval", "approval", "wait", "event", "action", "subprocess", "table", "fork", "notify"]
CHILD = blueprint({"approvers": ["role:cfo"]}, variables=[{"name": "sum", "type": "decimal", "required": True}])


class Drawing:
    """A process that is being drawn: pieces one after the other, and in the branches of forks."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.stages: list[dict[str, Any]] = []
        self.nodes: list[dict[str, Any]] = [
            {"id": "start", "type": "trigger"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ]
        self.edges: list[dict[str, Any]] = []

    def chain(self, source: str, on: str | None, target: str, depth: int, length: int) -> None:
        """Draw some nodes between two others."""
        for _ in range(length):
            source, on = self.piece(self.draw(st.sampled_from(PLACES)), source, on, depth)
        self.edge(source, target, on)

    def edge(self, source: str, target: str, on: str | None = None) -> None:
        self.edges.append({"from": source, "to": target, **({"on": on} if on else {})})

    def node(self, kind: str, **fields: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append({"id": name, "type": kind, **fields})
        return name

    def piece(self, kind: str, source: str, on: str | None, depth: int) -> tuple[str, str | None]:
        """Draw one node, or a fork with its branches and join; returns from where, and on what, it goes on."""
        if kind == "fork" and depth < 2:
            fork, join = self.node("fork"), self.node("join", need=self.draw(st.sampled_from(["all", "any"])))
            self.edge(source, fork, on)
            for _ in range(self.draw(st.integers(2, 3))):
                self.chain(fork, None, join, depth + 1, self.draw(st.integers(0, 2)))
            return join, None
        if kind == "notify":
            names = self.draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2))
            message: Any = self.draw(st.sampled_from(["Seen.", {"expr": "string(amount / 2)"}, {"expr": "note"}]))
            told = self.node("notify", to=names, message=message)
            self.edge(source, told, on)
            return told, None
        if kind in {"approval", "fork"}:
            self.stages.append(self.draw(steps()))
            name, edge = self.node("approval", step=f"Stage {len(self.stages)}"), "approved"
        elif kind == "wait":
            fields: Any = self.draw(st.sampled_from([{"hours": 5}, {"hours": 40}, {"until": "day"}]))
            name, edge = self.node("wait", **fields), "elapsed"
        elif kind == "event":
            more: Any = self.draw(st.sampled_from([{}, {"timeout_hours": 9}, {"output": {"amount": "amount"}}]))
            name, edge = self.node("wait", event="go", **more), "event"
        elif kind == "action":
            given: dict[str, Any] = {"expr": self.draw(st.sampled_from(["amount", "amount / 0.0", "amount * 2"]))}
            name, edge = self.node("action", action="look", input={"x": given}, output={"amount": "amount"}), "done"
        elif kind == "subprocess":
            given = {"sum": {"expr": "amount"}}
            name, edge = self.node("subprocess", template="Child", input=given, output={"amount": "sum"}), "approved"
        else:
            policy = self.draw(st.sampled_from(["first", "unique", "any"]))
            following = self.node("wait", hours=1)
            rules = [{"when": ["> 100"], "to": following}, {"when": ["> 1000"], "to": "no"}]
            name = self.node(
                "decision", table={"hit_policy": policy, "inputs": ["amount"], "rules": rules, "default": following}
            )
            self.edge(source, name, on)
            return following, "elapsed"
        self.edge(source, name, on)
        if edge in {"done", "event"} and self.draw(st.booleans()):
            self.edge(name, "no", {"done": "failed", "event": "timeout"}[edge])
        return name, edge


@st.composite
def drawings(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a process of any kinds of nodes, with forks inside forks."""
    drawing = Drawing(draw)
    drawing.chain("start", None, "yes", 0, draw(st.integers(1, 4)))
    return blueprint(
        *drawing.stages,
        variables=[
            {"name": "amount", "type": "decimal"},
            {"name": "note", "type": "string"},
            {"name": "day", "type": "date", "default": "2026-03-05"},
        ],
        settings={
            "jitter_seconds": draw(st.sampled_from([0, 600])),
            "timezone": "Europe/Berlin",
            "max_rounds": 4,
            **draw(changing),
        },
        graph_spec={"nodes": drawing.nodes, "edges": drawing.edges},
    )


@settings(max_examples=1)
@given(data=st.data())
def test_the_processes_that_are_drawn_have_nodes_of_every_type(data: st.DataObject) -> None:
    drawing = Drawing(data.draw)
    for kind in PLACES:
        drawing.piece(kind, "start", None, 0)
    assert {node["type"] for node in drawing.nodes} == NODE_TYPES.keys()


@st.composite
def organisations(draw: st.DrawFn) -> Directory:
    """Draw the office with some people away, some gone, and some managers changed (also into a loop)."""
    org = office()
    changed: dict[str, Person | None] = {}
    for name in draw(st.lists(st.sampled_from(EVERYBODY), max_size=4, unique=True)):
        person = org.people[name]
        how = draw(st.integers(0, 3))
        if how == 0:
            changed[name] = None
        elif how == 1:
            changed[name] = Person(id=name, manager=person.manager, roles=person.roles, active=False)
        elif how == 2:
            changed[name] = away(person, substitute=draw(st.sampled_from([None, *EVERYBODY])))
        else:
            changed[name] = Person(id=name, manager=draw(st.sampled_from(EVERYBODY)), groups=person.groups)
    return office(**changed)


KINDS = [
    *["decide"] * 8,
    *["due"] * 4,
    *["jump"] * 2,
    *["resubmit"] * 2,
    *["claim"] * 2,
    "reassign",
    "delegate",
    *["add"] * 2,
    "keep",
    "release",
    "comment",
    *["ask"] * 2,
    "answer",
    "remind",
    "extend",
    *["undo"] * 2,
    "withdraw",
    "cancel",
    "organisation",
    *["edit"] * 2,
    "signal",
]
NUMBER = st.integers(0, 11)
ACTIONS = st.tuples(st.sampled_from(KINDS), NUMBER, NUMBER, NUMBER)  # what, who, which, how
# Where more than people are waited for.
MORE_ACTIONS = st.tuples(st.sampled_from([*KINDS, *["arrive"] * 8, *["happen"] * 3]), NUMBER, NUMBER, NUMBER)


def perform(case: Case, action: str, who: int, which: int, how: int, orgs: list[Directory]) -> None:
    """Do one thing; most of the time by somebody who may."""
    tasks = case.state.open_tasks or list(case.state.tasks)
    task = tasks[which % len(tasks)] if tasks else None
    able = list(task.people) if task else []
    person = able[who % len(able)] if able and who < 9 else EVERYBODY[who % len(EVERYBODY)]
    by = Actor(person=person, admin=how == 0)
    to = EVERYBODY[how % len(EVERYBODY)]
    task_id = task.id if task else "none"
    key = f"{action}-{how}" if who == 3 else None
    match action:
        case "due":
            case.until(machine.next_due(case.plan, case.state) or case.now)
        case "jump":
            case.jump(case.now + timedelta(hours=[0, 1, 7, 30, 200, 5000][how % 6]))
        case "organisation":
            case.reads(orgs[how % len(orgs)])
        case "edit":  # which nobody tells the request
            case.org = orgs[how % len(orgs)]
        case "decide":
            decision: Any = ["approve", "approve", "approve", "reject", "request_changes", "abstain"][how % 6]
            form = {"ok": True} if how % 4 and decision != "abstain" else None
            seen = [None, case.state.revision, case.state.revision, case.state.revision - 1 or None][which % 4]
            chosen = Decide(by=by, task_id=task_id, decision=decision, comment="so", form=form, revision=seen, key=key)
            case.do(replace(chosen, stands_in=who % 2 > 0))
        case "undo":
            undoable = [t for t in case.state.tasks if t.provisional]
            if undoable and who < 9:
                one = undoable[which % len(undoable)]
                by, task_id = Actor(person=one.decided_by or ""), one.id
            case.do(Undo(by=by, task_id=task_id, key=key))
        case "resubmit":
            amount = {"amount": ["1", "9000", "many"][how % 3]}
            given_input = [None, amount, {**amount, "note": "another"}, {"amount": case.input["amount"], "note": "x"}]
            title = "Another" if how == 11 else None
            case.do(Resubmit(by=Actor(person="rita"), input=given_input[which % 4], title=title, key=key))
        case "claim":
            case.do(Claim(by=by, task_id=task_id, key=key))
        case "release":
            case.do(Release(by=by, task_id=task_id, key=key))
        case "reassign":
            case.do(Reassign(by=Actor(person=person, admin=True), task_id=task_id, to=to, key=key))
        case "delegate" | "keep":
            case.do(Delegate(by=by, task_id=task_id, to=to, keep=action == "keep", key=key))
        case "add":
            case.do(AddApprover(by=by, task_id=task_id, to=to, reason="Please look." if how % 7 else " ", key=key))
        case "comment":
            case.do(Comment(by=by, text=f"a word, @{to}" if how % 4 else " ", mentions=(to, "mo"), key=key))
        case "ask":
            about = task_id if how % 3 else None
            case.do(AskQuestion(by=by, text="which?" if how % 4 else " ", task_id=about, key=key))
        case "answer":
            requester = Actor(person="rita" if how % 4 else person)
            case.do(AnswerQuestion(by=requester, n=which % (len(case.state.questions) + 1), text="that", key=key))
        case "remind":
            case.do(Remind(by=Actor(person="rita" if how % 4 else person), key=key))
        case "extend":
            chosen = task_id if how % 2 else None
            case.do(Extend(by=Actor(person="x", admin=True), task_id=chosen, seconds=(how - 1) * 3600.0, key=key))
        case "withdraw":
            case.do(Withdraw(by=Actor(person="rita"), key=key))
        case "cancel":
            case.do(Withdraw(by=by, how="cancelled", key=key))
        case "arrive":
            arrive(case, which, how)
        case "happen":
            case.do(Happened(by=Actor(person="x", admin=how > 1), name="go", payload={"amount": how * 200}, key=key))
        case "signal":
            case.do(SignalRefused(claimed={"task_id": task_id, "odd": how}, reason="no"))


def arrive(case: Case, which: int, how: int) -> None:
    """Let something that was run come to its end: in order, badly, late, or twice."""
    calls = [a for step in case.steps for a in step.actions]
    children = [c for step in case.steps for c in step.children]
    if calls and (which % 2 or not children):
        call = calls[which % len(calls)] if how % 3 == 0 else calls[-1]
        output = {"amount": ["1", 5000, "many", None][how % 4]}
        case.do(ActionDone(node=call.node, visit=call.visit, key=call.key, ok=how % 5 != 0, output=output, error="no"))
    elif children:
        child = children[which % len(children)] if how % 3 == 0 else children[-1]
        outcome = ["approved", "approved", "rejected", "failed", "cancelled"][how % 5]
        case.do(ChildEnded(node=child.node, visit=child.visit, outcome=outcome, output={"sum": "7"}))


@settings(max_examples=100)
@given(
    raw=drawings(),
    orgs=st.lists(organisations(), min_size=1, max_size=2),
    amount=st.sampled_from(["1", "500", "9000"]),
    script=st.lists(MORE_ACTIONS, min_size=6, max_size=20),
)
def test_any_script_leaves_a_valid_state_in_a_process_of_any_nodes(
    raw: dict[str, Any], orgs: list[Directory], amount: str, script: list[tuple[str, int, int, int]]
) -> None:
    case = Case(plan=plan_of(raw, {"Child": CHILD}), org=orgs[0], input={"amount": amount}, twice=True)
    for action in script:
        try:
            perform(case, *action, orgs)
            event(f"done: {action[0]}")
        except REFUSALS as refusal:
            event(f"refused: {action[0]}, {type(refusal).__name__}")
    event(f"ends {case.state.status} {case.state.outcome}, {min(case.state.material, 3)}")


@settings(max_examples=150)
@given(
    raw=blueprints(),
    orgs=st.lists(organisations(), min_size=1, max_size=2),
    amount=st.sampled_from(["1", "9000"]),
    script=st.lists(ACTIONS, min_size=6, max_size=16),
)
def test_any_script_of_events_leaves_a_valid_state(
    raw: dict[str, Any], orgs: list[Directory], amount: str, script: list[tuple[str, int, int, int]]
) -> None:
    case = Case(plan=plan_of(raw), org=orgs[0], input={"amount": amount}, twice=True)
    for action in script:
        try:
            perform(case, *action, orgs)
            event(f"done: {action[0]}")
        except REFUSALS as refusal:
            event(f"refused: {action[0]}, {type(refusal).__name__}")
    event(f"ends {case.state.status} {case.state.outcome}, {min(case.state.material, 3)}")


@settings(max_examples=60)
@given(raw=blueprints(), org=organisations(), amount=st.sampled_from(["1", "9000"]))
def test_time_alone_never_breaks_a_request_and_every_chain_of_escalation_ends(
    raw: dict[str, Any], org: Directory, amount: str
) -> None:
    case = Case(plan=plan_of(raw), org=org, input={"amount": amount})
    for _ in range(40):
        due = machine.next_due(case.plan, case.state)
        if due is None:
            break
        case.until(due)
    for task in case.state.open_tasks:
        assert task.level <= len(case.plan.nodes[task.node].stage.levels) + len(EVERYBODY)  # type: ignore[union-attr]


@pytest.mark.parametrize("minutes", [0, 1, 59, 600])
def test_what_was_missed_while_nothing_ran_is_caught_up_in_the_order_it_was_due(minutes: int) -> None:
    case = Case(plan=plan_of(blueprint({"sla_hours": 4, "escalation_to": "department_head"})), org=office())
    entries = case.jump(case.now + timedelta(hours=4, minutes=minutes))
    assert [e.kind for e in entries] == ["sla_warning", "sla_breached", "escalated"]
