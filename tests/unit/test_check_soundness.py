"""What the check passes never gets stuck in the core, and what it finds, the core shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from placet.audit.reasons import why_of
from placet.definition.model import parse_definition
from placet.definition.variables import Variable, normalise_input, scope_of, values_of
from placet.directory import Directory, Person
from placet.engine import machine
from placet.engine.events import Actor, Claim, Decide, DirectoryRead, Event, Opening, Resubmit
from placet.engine.state import State, Transition
from placet.expressions import compile_condition
from placet.plan.compiler import compile_plan
from placet.plan.plan import Plan
from placet.proofs import Finding, check
from placet.proofs.solver.prover import result

BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)
PEOPLE = Directory(
    people={
        p.id: p
        for p in (
            Person(id="boss", roles=("head",)),
            Person(id="mia", manager="boss"),
            Person(id="rob", manager="mia"),
            Person(id="ann", manager="boss", roles=("cfo",)),
            Person(id="bea", manager="boss", roles=("cfo",)),
        )
    }
)
VARIABLES: list[dict[str, Any]] = [
    {"name": "amount", "type": "decimal", "required": True, "minimum": 0, "maximum": 100, "scale": 1},
    {"name": "place", "type": "string", "required": True, "enum": ["here", "there"]},
    {"name": "rush", "type": "boolean", "required": False},
]
DECLARED = [Variable.model_validate(v) for v in VARIABLES]
CONDITIONS = [
    *("amount > 50", "amount <= 50", "amount < 50", "amount >= 80", "amount > 30 && amount <= 50", "amount > 100"),
    *('place == "here"', 'place == "there"', 'place == "here" || amount > 70', 'place == "there" && amount <= 70'),
    *("rush", "rush == null", "rush != null && rush", "rush != null && !rush", "10 / amount > 1"),
]
INPUTS = st.fixed_dictionaries(
    {"amount": st.sampled_from(["0", "0.1", "30", "30.1", "50", "50.1", "70", "79.9", "80", "100"])}
    | {"place": st.sampled_from(["here", "there"])},
    optional={"rush": st.booleans()},
)
STEPS: list[dict[str, Any]] = [
    {"stage_name": "Manager"},
    {"stage_name": "Both", "approvers": ["role:cfo"], "quorum": "all", "sla_hours": 8, "final": "expire"},
    {"stage_name": "Timed", "approvers": ["user:ann"], "sla_hours": 4, "escalation_to": "head", "final": "reject"},
    {"stage_name": "Queue", "approvers": ["role:cfo"], "claim": True, "sla_hours": 4, "final": "approve"},
]


@st.composite
def blueprints(draw: st.DrawFn, *, exact: bool = False) -> dict[str, Any]:
    """Draw a small graph whose edges mostly lead onwards; `exact`: decisions have a condition and a default."""
    count = draw(st.integers(1, 5))
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "trigger"}]
    for index in range(count):
        if draw(st.booleans()):
            nodes.append({"id": f"d{index}", "type": "decision"})
        else:
            step = draw(st.sampled_from(STEPS))["stage_name"]
            nodes.append({"id": f"a{index}", "type": "approval", "step": step})
    ends = [
        {"id": "yes", "type": "terminator", "outcome": "approved"},
        {"id": "no", "type": "terminator", "outcome": "no"},
    ]
    names = [n["id"] for n in [*nodes, *ends]]

    def onwards(index: int, *, straight: bool = False) -> str:
        if exact and straight:
            return names[index + 1]  # so that every node is reachable
        lowest = index + 1 if exact or draw(st.integers(0, 9)) else 1
        return str(draw(st.sampled_from(names[lowest:])))

    edges: list[dict[str, Any]] = []
    for index, node in enumerate(nodes):
        here = {"from": node["id"]}
        if node["type"] == "trigger":
            edges.append(here | {"to": names[1]})
        elif node["type"] == "approval":
            edges.append(here | {"to": onwards(index, straight=True), "on": "approved"})
            if index == count or draw(st.booleans()):
                edges.append(here | {"to": "no", "on": "rejected"})
        else:
            known = CONDITIONS[:5] + CONDITIONS[6:10] + CONDITIONS[11:14] if exact else CONDITIONS
            texts = draw(st.lists(st.sampled_from(known), min_size=1, max_size=1 if exact else 3))
            edges += [here | {"to": "no" if exact else onwards(index), "condition": text} for text in texts]
            if exact or draw(st.booleans()):
                edges.append(here | {"to": onwards(index, straight=True), "default": True})
    rounds = draw(st.sampled_from([1, 3]))
    return {
        "name": "Random",
        "version": "1.0.0",
        "owner": "user:boss",
        "variables": VARIABLES,
        "settings": {"max_rounds": rounds},
        "process_steps": STEPS,
        "graph_spec": {"nodes": [*nodes, *ends], "edges": edges},
    }


class Driver:
    """Drive one request in the core; people are looked up anew whenever the core asks."""

    def __init__(self, raw: dict[str, Any], given: dict[str, Any]) -> None:
        self.plan: Plan = compile_plan(parse_definition(raw), start=BEGIN)
        self.now = BEGIN
        opening = Opening(
            request_id="r1",
            requester="rob",
            title="Random",
            input=normalise_input(self.plan.variables, given),
            directory=PEOPLE,
            directory_at=BEGIN,
            secret="",
            titled=True,
        )
        self.state: State = machine.opening_state(self.plan, opening, BEGIN)
        self.entries: list[Any] = []
        self.take(machine.begin(self.plan, opening, self.state, self.now))

    def take(self, step: Transition) -> None:
        assert not step.needs_directory
        self.state = step.state
        self.entries += step.entries

    def apply(self, event: Event) -> None:
        self.now += timedelta(minutes=1)
        self.take(machine.apply(self.plan, self.state, DirectoryRead(directory=PEOPLE, at=self.now), self.now))
        self.take(machine.apply(self.plan, self.state, event, self.now))

    def decide(self, decision: Any) -> None:
        """Let whoever may decide the first open task."""
        task = self.state.open_tasks[0]
        person = task.assignee or (task.candidates[0] if task.candidates else None)
        assert person is not None, "every seat is filled: there is an owner"
        if task.assignee is None:
            self.apply(Claim(by=Actor(person=person), task_id=task.id))
        self.apply(Decide(by=Actor(person=person), task_id=task.id, decision=decision))

    def resubmit(self, given: dict[str, Any]) -> None:
        self.apply(Resubmit(by=Actor(person="rob"), input=normalise_input(self.plan.variables, given)))

    def wait(self) -> None:
        """Go to the next moment at which something is due."""
        due = machine.next_due(self.plan, self.state)
        assert due is not None
        self.now = max(due, self.now)
        self.take(machine.apply(self.plan, self.state, DirectoryRead(directory=PEOPLE, at=self.now), self.now))
        self.take(machine.due(self.plan, self.state, self.now))

    @property
    def returned(self) -> bool:
        return any(s.returned_at for s in self.state.stages)


@given(raw=blueprints(exact=True), data=st.data())
@settings(max_examples=60)
def test_what_passes_never_gets_stuck(raw: dict[str, Any], data: st.DataObject) -> None:
    assume(check(raw).ok)
    for given_input in data.draw(st.lists(INPUTS, min_size=1, max_size=3)):
        driver = Driver(raw, given_input)
        for _ in range(80):
            if driver.state.status != "pending":
                break
            if driver.returned:
                driver.resubmit(data.draw(INPUTS))
                continue
            assert driver.state.open_tasks, "a pending request waits for somebody"
            moves = ["approve", "approve", "reject"]
            moves += ["wait"] if machine.next_due(driver.plan, driver.state) else []
            moves += ["request_changes"] if driver.state.round < driver.plan.max_rounds else []
            move = data.draw(st.sampled_from(moves))
            if move == "wait":
                driver.wait()
            else:
                driver.decide(move)
        assert driver.state.status == "completed", [(e.kind, e.detail) for e in driver.entries][-3:]


def outcomes(raw: dict[str, Any], finding: Finding) -> Iterator[Driver]:
    """Generate how requests of a finding's witness go, whatever people decide."""
    assert finding.witness is not None
    pending: list[tuple[str, ...]] = [()]
    while pending:
        script = pending.pop()
        driver = Driver(raw, finding.opening or finding.witness)
        for move in script:
            if move == "change":
                driver.decide("request_changes")
                driver.resubmit(finding.witness)
            else:
                driver.decide(move)
        yield driver
        if driver.state.status == "pending" and len(script) < 12:
            may_change = finding.opening is not None and "change" not in script
            pending += [(*script, move) for move in (["change"] if may_change else []) + ["reject", "approve"]]


def edge_of(raw: dict[str, Any], pointer: str) -> dict[str, Any]:
    found: dict[str, Any] = raw["graph_spec"]["edges"][int(pointer.split("/")[3])]
    return found


def shows(raw: dict[str, Any], finding: Finding) -> bool:
    """Say whether the core does with the witness what the finding says."""
    assert finding.witness is not None
    if finding.code == "gap":
        node = raw["graph_spec"]["nodes"][int(finding.pointer.split("/")[3])]["id"]
        why = f"no condition of decision {node} holds"
        return any(why in str(why_of(d.entries[-1].detail)) for d in outcomes(raw, finding))
    edge = edge_of(raw, finding.pointer)
    if finding.code in {"evaluation_fails", "unset_variable"}:
        why = f"decision {edge['from']} could not be made"
        return any(why in str(why_of(d.entries[-1].detail)) for d in outcomes(raw, finding))
    values = values_of(DECLARED, finding.witness)
    edges = [e["condition"] for e in raw["graph_spec"]["edges"] if e["from"] == edge["from"] and "condition" in e]
    holding = [result(compile_condition(t, scope_of(DECLARED)), values) for t in edges]
    comes = any(
        e.kind == "routed" and e.detail["node"] == edge["from"] for d in outcomes(raw, finding) for e in d.entries
    )
    return comes and holding.count(True) > 1


@given(raw=blueprints())
@settings(max_examples=50)
def test_every_witness_of_a_decision_reproduces(raw: dict[str, Any]) -> None:
    report = check(raw)
    # Loops are refused before anything runs, and would make the scripts endless.
    assume(not any(f.code == "unbounded_loop" for f in report.findings))
    for finding in report.findings:
        if finding.witness is None:
            continue
        assert normalise_input(DECLARED, finding.witness) == finding.witness
        if (
            finding.code in {"gap", "overlap", "evaluation_fails", "unset_variable"}
            and "/graph_spec/nodes/" not in finding.pointer
        ):
            assert shows(raw, finding), finding
        if finding.code == "gap" and "no condition of" in finding.message:
            assert shows(raw, finding), finding


@given(raw=blueprints(), sent=INPUTS)
@settings(max_examples=50)
def test_no_input_fails_at_a_decision_that_passes(raw: dict[str, Any], sent: dict[str, Any]) -> None:
    """The other direction, request by request: where the core fails, the check has said so."""
    report = check(raw)
    assume(not any(f.code in {"unbounded_loop", "schema", "version"} for f in report.findings))
    finding = Finding(code="", severity="error", pointer="", message="", witness=normalise_input(DECLARED, sent))
    for driver in outcomes(raw, finding):
        if driver.state.status == "failed":
            why = str(why_of(driver.entries[-1].detail))
            codes = {f.code for f in report.findings}
            assert codes & (
                {"evaluation_fails", "unset_variable"} if "could not be made" in why else {"gap", "endless_path"}
            ), why
