"""Drive the core in the tests as a real driver does: answer `needs_directory`, keep the chain, and doubt everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from placet.audit.chain import Entry
from placet.definition.action_spec import ActionSpec
from placet.definition.model import parse_definition
from placet.directory import Absence, Directory, Person
from placet.engine import machine
from placet.engine.bound_action import BoundAction
from placet.engine.events import (
    ActionDone,
    Actor,
    ChildEnded,
    Decide,
    DirectoryRead,
    Event,
    Happened,
    Migrate,
    Opening,
    OpeningFile,
)
from placet.engine.state import Notification, State, Task, Transition
from placet.errors import InputInvalid, Refused
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child, Plan
from tests.unit import invariants

START = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)

PLANS = TypeAdapter(Plan)
STATES = TypeAdapter(State)
STEPS = TypeAdapter(Transition)


def people(*persons: Person) -> Directory:
    """Return a directory of these people."""
    return Directory(people={p.id: p for p in persons})


def away(
    person: Person, *, substitute: str | None = None, until: datetime = datetime(2100, 1, 1, tzinfo=UTC)
) -> Person:
    """Return the person, away from before the tests begin."""
    absence = Absence(start=START - 24 * HOUR, until=until, substitute=substitute)
    return Person(id=person.id, manager=person.manager, roles=person.roles, groups=person.groups, away=(absence,))


def office(**changed: Person | None) -> Directory:
    """Return the tests' organisation, with people changed, added, or (None) taken out.

    rita asks; mo is her manager, dh the department head above, ceo at the top; olivia owns the process; cfo is the CFO;
    ann, ben and cid are in the group `finance`.
    """
    persons: dict[str, Person | None] = {
        "rita": Person(id="rita", manager="mo"),
        "mo": Person(id="mo", manager="dh"),
        "dh": Person(id="dh", manager="ceo", roles=("department_head",)),
        "ceo": Person(id="ceo"),
        "cfo": Person(id="cfo", manager="ceo", roles=("cfo",)),
        "olivia": Person(id="olivia", manager="ceo"),
        "ann": Person(id="ann", manager="cfo", groups=("finance",), load=3),
        "ben": Person(id="ben", manager="cfo", groups=("finance",), load=1),
        "cid": Person(id="cid", manager="cfo", groups=("finance",), load=2),
        **changed,
    }
    return people(*(p for p in persons.values() if p is not None))


def blueprint(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the JSON of a blueprint of these steps, owned by olivia unless told otherwise."""
    named = [{"stage_name": f"Stage {n}", **step} for n, step in enumerate(steps, 1)]
    return {"name": "Test", "version": "1.0.0", "owner": "user:olivia", "process_steps": named, **more}


def spec(name: str, **more: Any) -> ActionSpec:
    """Return a catalog entry."""
    fields: dict[str, Any] = {"executor": "http", "is_idempotent": True, "latency_class": "fast", **more}
    return ActionSpec(name=name, **fields)


ACTIONS = {name: spec(name) for name in ("look", "pay")}


def plan_of(
    raw: dict[str, Any],
    children: dict[str, dict[str, Any]] | None = None,
    actions: Mapping[str, ActionSpec] = ACTIONS,
) -> Plan:
    """Compile a blueprint's JSON; `look` and `pay` are actions, `children` other blueprints by reference."""
    compiled = {name: Child(template_id=name, plan=plan_of(child)) for name, child in (children or {}).items()}
    return compile_plan(parse_definition(raw), start=START, actions=actions, children=compiled)


def graph(*edges: str, nodes: dict[str, dict[str, Any]], ends: tuple[str, ...] = ("approved", "rejected")) -> Any:
    """Return a graph_spec from edges like `a -> b on done`; `start` and the ends are nodes of themselves.

    `nodes` are the others by id; an approval needs only its `step`.
    """
    listed = [{"id": "start", "type": "trigger"}, *({"id": e, "type": "terminator", "outcome": e} for e in ends)]
    listed += [{"id": name, **({"type": "approval"} if "step" in node else {}), **node} for name, node in nodes.items()]
    drawn = []
    for text in edges:
        ends_of, _, on = text.partition(" on ")
        source, _, target = ends_of.partition(" -> ")
        drawn.append({"from": source, "to": target} | ({"on": on} if on else {}))
    return {"nodes": listed, "edges": drawn}


@dataclass
class Case:
    """One request under test: every step is checked against the invariants, and `twice` from its JSON as well."""

    plan: Plan
    org: Directory
    requester: str = "rita"
    input: dict[str, Any] = field(default_factory=dict)
    title: str = "A request"
    request_id: str = "r"
    secret: str = "secret"
    files: tuple[OpeningFile, ...] = ()
    action: BoundAction | None = None
    twice: bool = False  # work everything out again from the JSON round trip, and compare the bytes

    def __post_init__(self) -> None:
        self.now = START
        self.entries: list[Entry] = []
        self.notifications: list[Notification] = []
        self.steps: list[Transition] = []
        self.added: dict[str, bool] = {}  # tasks of added approvers, by whether their seat is beyond the stage's own
        self.rules: set[str | None] = set()  # what a change does to approvals, by each plan that it has followed
        opening = Opening(
            request_id=self.request_id,
            requester=self.requester,
            title=self.title,
            input=self.input,
            directory=self.org,
            directory_at=self.now,
            secret=self.secret,
            titled=True,
            files=self.files,
            action=self.action,
        )
        self.state = machine.opening_state(self.plan, opening, self.now)
        self._step(lambda plan, state: machine.begin(plan, opening, state, self.now))

    def do(self, event: Event) -> list[Entry]:
        """Apply an event now, and return the entries it led to; raises what the core refuses it with."""
        same: Event = _travelled(event) if self.twice else event
        assert same == event
        return self._step(lambda plan, state: machine.apply(plan, state, same, self.now))

    def decide(self, by: str, decision: Any = "approve", *, task: str | None = None, **more: Any) -> list[Entry]:
        """Decide a task: the one named, else the first open task that the person may act on."""
        chosen = task or next((t.id for t in self.state.open_tasks if by in t.people), "none")
        return self.do(Decide(by=Actor(person=by), task_id=chosen, decision=decision, **more))

    def done(self, node: str, output: dict[str, Any] | None = None, *, error: str | None = None) -> list[Entry]:
        """Let the action that runs at a node come to its end."""
        call = next(c for c in self.state.actions if c.node == node)
        event = ActionDone(
            node=node, visit=call.visit, key=call.key, ok=error is None, output=output or {}, error=error
        )
        return self.do(event)

    def ended(self, node: str, outcome: str, output: dict[str, Any] | None = None) -> list[Entry]:
        """Let the sub-process that runs at a node end."""
        call = next(c for c in self.state.children if c.node == node)
        return self.do(ChildEnded(node=node, visit=call.visit, outcome=outcome, output=output or {}))

    def happens(self, name: str, payload: dict[str, Any] | None = None, *, by: str = "olivia") -> list[Entry]:
        """Let something happen outside."""
        return self.do(Happened(by=Actor(person=by), name=name, payload=payload or {}))

    def until(self, moment: datetime) -> list[Entry]:
        """Let time pass as a driver does: stop at each due moment on the way."""
        entries: list[Entry] = []
        while (due := machine.next_due(self.plan, self.state)) is not None and due <= moment:
            self.now = max(self.now, due)
            entries += self._due()
        self.now = max(self.now, moment)
        return entries

    def jump(self, moment: datetime) -> list[Entry]:
        """Let time pass while nothing runs, and then carry out at once what was missed."""
        self.now = max(self.now, moment)
        return self._due()

    def hours(self, hours: float) -> list[Entry]:
        """Let so many hours pass since the start of the test."""
        return self.until(START + timedelta(hours=hours))

    def moves(self, plan: Plan, *, by: str = "adam", **more: Any) -> list[Entry]:
        """Move the request to another version."""
        actor = Actor(person=by, admin=more.pop("admin", True))
        return self.do(Migrate(by=actor, plan=plan, template_id=f"template-{plan.version}", **more))

    def reads(self, org: Directory) -> list[Entry]:
        """Let the organisation change, and the request read it."""
        self.org = org
        return self.do(DirectoryRead(directory=org, at=self.now))

    def kinds(self) -> list[str]:
        """List what happened so far."""
        return [e.kind for e in self.entries]

    def of_kind(self, kind: str) -> list[Entry]:
        """List the entries of one kind."""
        return [e for e in self.entries if e.kind == kind]

    def told(self, event: str) -> list[str]:
        """List who was told of an event, in order."""
        return [n.to for n in self.notifications if n.event == event]

    @property
    def task(self) -> Task:
        """Return the newest task."""
        return self.state.tasks[-1]

    @property
    def asked(self) -> list[str | None]:
        """List the assignees of the open tasks."""
        return [t.assignee for t in self.state.open_tasks]

    def _due(self) -> list[Entry]:
        entries = self._step(lambda plan, state: machine.due(plan, state, self.now))
        due = machine.next_due(self.plan, self.state)
        assert due is None or due > self.now, "what was due has been done"
        return entries

    def _step(self, work: Callable[[Plan, State], Transition]) -> list[Entry]:
        before = self.state
        fixed = not before.runs
        step = self._worked(work)
        taken: list[Entry] = []
        if step.needs_directory:
            read = DirectoryRead(directory=self.org, at=self.now, given=step.given)
            taken += self._take(self._worked(lambda plan, state: machine.apply(plan, state, read, self.now)))
            step = self._worked(work)
            assert not step.needs_directory, "the directory was just read"
        taken += self._take(step)
        if fixed:
            assert self.state == before, "nothing changes after the end"
        return taken

    def _worked(self, work: Callable[[Plan, State], Transition]) -> Transition:
        state = self.state
        frozen = STATES.dump_json(state, by_alias=True)
        again: Transition | None = None
        try:
            step = work(self.plan, state)
        finally:
            assert STATES.dump_json(state, by_alias=True) == frozen, "a state is a value: no event changes it"
        if self.twice:
            assert STATES.validate_json(frozen) == state
            again = work(PLANS.validate_json(PLANS.dump_json(self.plan, by_alias=True)), STATES.validate_json(frozen))
            assert again == step
            assert STEPS.dump_json(again, by_alias=True) == STEPS.dump_json(step, by_alias=True)
        return step

    def _take(self, step: Transition) -> list[Entry]:
        invariants.step_holds(self.state, step)
        self.plan = step.plan or self.plan
        self.state = step.state
        self.entries += step.entries
        self.notifications += step.notifications
        self.steps.append(step)
        invariants.hold(self.plan, self.state, self.entries, self.now)
        self.added |= invariants.added_tasks(self.state)
        self.rules.add(self.plan.on_change)
        if self.rules == {"restart"}:
            invariants.approved_as_it_is(self.plan, self.state, self.entries, self.added)
        return list(step.entries)


def case(*steps: dict[str, Any], org: Directory | None = None, **more: Any) -> Case:
    """Begin a request of the tests' organisation; `more` are fields of Case, or of the blueprint."""
    children = more.pop("children", None)
    ours = {
        k: more.pop(k)
        for k in ("requester", "input", "title", "request_id", "secret", "twice", "files", "action")
        if k in more
    }
    return Case(plan=plan_of(blueprint(*steps, **more), children), org=org or office(), **ours)


def _travelled(event: Event) -> Any:
    kind: Any = type(event)
    adapter = _adapter(kind)
    return adapter.validate_json(adapter.dump_json(event, by_alias=True))


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return how an event travels: as the one type that its update names."""
    return TypeAdapter(kind)


REFUSALS = (Refused, InputInvalid)
