"""Write small BPMN and DMN files, import them, and play requests of what they became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

from activities.actions.builtin import BUILT_IN
from placet.definition.action_spec import ActionSpec
from placet.definition.bpmn import Imported, import_bpmn
from placet.definition.model import parse_definition
from placet.directory import Directory, Person
from placet.engine.events import Actor, Happened
from placet.plan.compiler import compile_plan
from placet.proofs import check
from tests.unit.core import START, Case, people

PAY = ActionSpec(name="pay_invoice", executor="http", is_idempotent=True, latency_class="fast")
ACTIONS = {spec.name: spec for spec in (*BUILT_IN, PAY)}
NOW = datetime(2026, 1, 5, tzinfo=UTC)
HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn"'
    ' xmlns:flowable="http://flowable.org/bpmn" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0">'
)
START_EVENT = '<startEvent id="s"/>'


def flows(*drawn: str) -> str:
    """Return sequence flows from lines like `a -> b : name ? condition`; the id is `a-b`."""
    found = []
    for line in drawn:
        path, _, condition = line.partition(" ? ")
        path, _, name = path.partition(" : ")
        source, _, target = (part.strip() for part in path.partition("->"))
        inner = f"<conditionExpression>{escape(condition)}</conditionExpression>" if condition else ""
        found.append(
            f'<sequenceFlow id="{source}-{target}" name="{escape(name.strip())}" sourceRef="{source}" '
            f'targetRef="{target}">{inner}</sequenceFlow>'
        )
    return "".join(found)


def task(ident: str, name: str = "", inner: str = "", **attributes: str) -> str:
    """Return a user task that the group of its own id does, unless attributes say otherwise."""
    given = {key: value for key, value in (attributes or {"camunda:candidateGroups": ident}).items() if key != "id_"}
    written = " ".join(f'{key.replace("__", ":")}="{escape(value)}"' for key, value in given.items())
    return f'<userTask id="{ident}" name="{escape(name or ident)}" {written}>{inner}</userTask>'


def gateway(ident: str, name: str = "", kind: str = "exclusive", **attributes: str) -> str:
    written = " ".join(f'{key}="{escape(value)}"' for key, value in attributes.items())
    return f'<{kind}Gateway id="{ident}" name="{escape(name)}" {written}/>'


def end(ident: str, name: str = "", event: str = "") -> str:
    return f'<endEvent id="{ident}" name="{escape(name)}">{event and f"<{event}EventDefinition/>"}</endEvent>'


def form(*fields: str, vendor: str = "camunda") -> str:
    """Return form fields like `name:type`; with `!` they are required."""
    given = []
    for one in fields:
        name, _, kind = one.rstrip("!").partition(":")
        rule = '<camunda:validation><camunda:constraint name="required"/></camunda:validation>' if "!" in one else ""
        given.append(f'<camunda:formField id="{name}" type="{kind}">{rule}</camunda:formField>')
    if vendor == "camunda":
        return f"<extensionElements><camunda:formData>{''.join(given)}</camunda:formData></extensionElements>"
    listed = "".join(
        f'<flowable:formProperty id="{one.rstrip("!").partition(":")[0]}" type="{one.rstrip("!").partition(":")[2]}"/>'
        for one in fields
    )
    return f"<extensionElements>{listed}</extensionElements>"


def bpmn(inside: str) -> bytes:
    """Return a file of one process with these elements."""
    return f'{HEAD}<process id="p" name="P" isExecutable="true">{inside}</process></definitions>'.encode()


def imported(inside: str, **given: Any) -> Imported:
    """Import one process, and see that it compiles and that the check finds no error in it."""
    found = import_bpmn(bpmn(inside), actions=ACTIONS, **given)
    sound(found)
    return found


def sound(found: Imported) -> None:
    compile_plan(parse_definition(found.blueprint), start=NOW, actions=ACTIONS)
    errors = [finding for finding in check(found.blueprint, actions=ACTIONS).findings if finding.severity == "error"]
    assert not errors, errors


def told(found: Imported) -> dict[str, str]:
    """Return what became of each element that is not in the blueprint as it is."""
    return {left.id: left.kind for left in found.left if left.kind != "mapped"}


def said_of(found: Imported, ident: str) -> str:
    """Return what is said of an element, after what became of it."""
    return next(f"{left.kind}: {left.says}" for left in found.left if left.id == ident)


def edges(found: Imported) -> set[tuple[Any, ...]]:
    """Return the edges: from, to, and when."""
    return {
        (e["from"], e["to"], e.get("on") or e.get("condition") or ("default" if e.get("default") else ""))
        for e in found.blueprint["graph_spec"]["edges"]
    }


def step(found: Imported, name: str) -> dict[str, Any]:
    return next(one for one in found.blueprint["process_steps"] if one["stage_name"] == name)


@dataclass
class Play:
    """One request of an imported process: who is asked are the stages' names."""

    found: Imported
    input: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plan = compile_plan(parse_definition(self.found.blueprint), start=START, actions=ACTIONS)
        self.case = Case(plan=plan, org=self._org(), input=dict(self.input))
        self._act()

    @property
    def asked(self) -> list[str]:
        """List the stages that wait for somebody, in order."""
        return sorted({task.stage for task in self.case.state.open_tasks})

    @property
    def outcome(self) -> str | None:
        state = self.case.state
        return state.outcome or (state.status if state.status != "pending" else None)

    def decide(self, stage: str, decision: str = "approve", **more: Any) -> Play:
        """Let whoever has a task of a stage decide it."""
        task = next(task for task in self.case.state.open_tasks if task.stage == stage)
        self.case.decide(task.people[0], decision, task=task.id, **more)
        self._act()
        return self

    def hours(self, hours: float) -> Play:
        self.case.hours(hours)
        self._act()
        return self

    def happens(self, event: str) -> Play:
        self.case.do(Happened(by=Actor(person="adam", admin=True), name=event, payload={}))
        self._act()
        return self

    def _act(self) -> None:
        """Carry out the actions that set variables, as the worker does."""
        while self.case.state.actions:
            call = self.case.state.actions[0]
            self.case.done(call.node, dict(call.input))

    def _org(self) -> Directory:
        """Return rita, her manager mo, and two people for each group, role and person that the blueprint names."""
        names = [str(who) for one in self.found.blueprint["process_steps"] for who in one.get("approvers", ())]
        found = {"rita": Person(id="rita", manager="mo"), "mo": Person(id="mo", manager="olivia")}
        found["olivia"] = Person(id="olivia")
        for given in ("ann", "ben", "cid"):
            found[given] = Person(id=given)
        for name in names:
            kind, _, who = name.partition(":")
            if kind == "user":
                found[who] = Person(id=who)
            for number in (1, 2, 3) if kind in {"group", "role"} else ():
                member = f"{who}{number}"
                held = found.get(member, Person(id=member))
                groups = (*held.groups, who) if kind == "group" else held.groups
                roles = (*held.roles, who) if kind == "role" else held.roles
                found[member] = Person(id=member, groups=groups, roles=roles)
        return people(*found.values())
