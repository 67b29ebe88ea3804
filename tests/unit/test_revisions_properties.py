"""Any request that ends approved was approved, by a quorum of each stage on its last way, as what it is in the end.

`Case` asserts it after every step (tests.unit.invariants.approved_as_it_is); here requests are driven to their end on
ways on which approvals are given, changes asked for, and the content changed, again and again.
"""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from placet.directory import Directory
from placet.engine import machine
from placet.engine.events import Actor, Claim, Decide, Delegate, Happened, Reassign, Resubmit
from placet.engine.state import Task
from tests.unit.core import REFUSALS, Case, office, plan_of
from tests.unit.test_machine_properties import CHILD, EVERYBODY, blueprints, drawings, organisations

MOST_STEPS = 80
ROOT = Actor(person="adam", admin=True)
CONTENTS: list[dict[str, Any]] = [
    {},
    {"input": {"amount": "1"}},
    {"input": {"amount": "9000"}},
    {"input": {"amount": "9000", "note": "another"}},
    {"input": {"amount": "500", "note": "x"}},
    {"title": "Another"},
]


class Player:
    """Whoever has something to do in a request does it, mostly to its good."""

    def __init__(self, case: Case, draw: st.DrawFn, versions: list[Any]) -> None:
        self.case = case
        self.draw = draw
        self.versions = versions
        self.tasks = 0

    def chance(self, percent: int) -> bool:
        return self.draw(st.integers(1, 100)) <= percent

    def step(self) -> bool:
        """Do the next thing; whether there was one."""
        state = self.case.state
        if self.versions and self.chance(5):
            self.case.moves(self.versions.pop())
        elif state.returned_at is not None or any(run.returned_at for run in state.stages):
            self.case.do(Resubmit(by=Actor(person="rita"), **self.draw(st.sampled_from(CONTENTS))))
        elif state.actions and self.chance(70):
            self.case.done(state.actions[0].node, {"amount": self.draw(st.sampled_from(["7", "6000"]))})
        elif state.children and self.chance(70):
            self.case.ended(state.children[0].node, "approved", {"sum": "7"})
        elif state.open_tasks:
            self.decide(self.draw(st.sampled_from(state.open_tasks)))
        elif any(wait.event for wait in state.waits):
            self.case.do(Happened(by=ROOT, name="go", payload={"amount": "7"}))
        elif (due := machine.next_due(self.case.plan, state)) is not None:
            self.case.until(due)
        else:
            return False
        return True

    def decide(self, task: Task) -> None:
        person = self.draw(st.sampled_from(task.people or ("ceo",)))
        other = self.draw(st.sampled_from(EVERYBODY))
        if task.assignee is None and person in task.candidates:
            self.case.do(Claim(by=Actor(person=person), task_id=task.id))
        elif not task.people or self.chance(5):
            self.case.do(Reassign(by=ROOT, task_id=task.id, to=other))
        elif self.chance(5):
            self.case.do(Delegate(by=Actor(person=person), task_id=task.id, to=other, keep=self.chance(50)))
        else:
            decision: Any = "request_changes" if self.chance(25) else "abstain" if self.chance(10) else "approve"
            by = Actor(person=person)
            form = {"ok": True} if decision != "abstain" else None
            self.case.do(Decide(by=by, task_id=task.id, decision=decision, comment="so", form=form))


def play(case: Case, draw: st.DrawFn, versions: list[Any]) -> None:
    """Drive a request to its end, or as far as it goes."""
    player = Player(case, draw, versions)
    for _ in range(MOST_STEPS):
        if case.state.status != "pending":
            break
        try:
            if not player.step():
                break
        except REFUSALS:
            continue
    late = min(case.state.material, 3)
    event(f"ends {case.state.outcome}, the content of revision {late} counts")


def formless(raw: dict[str, Any], **rules: Any) -> dict[str, Any]:
    """Return the process with stages that always ask for a form, so that each decision may carry one."""
    form = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    steps = [{**step, "form": form} for step in raw["process_steps"]]
    return {**raw, "process_steps": steps, "settings": {**raw["settings"], "max_rounds": 6, **rules}}


@settings(max_examples=200)
@given(
    data=st.data(),
    raw=st.one_of(blueprints(), drawings()),
    org=st.one_of(st.just(office()), organisations()),
    amount=st.sampled_from(["1", "500", "9000"]),
    moves=st.booleans(),
)
def test_what_ends_approved_was_approved_as_it_is(
    data: st.DataObject, raw: dict[str, Any], org: Directory, amount: str, moves: bool
) -> None:
    rule = {"on_change": "restart"}
    plan = plan_of(formless(raw, **rule), {"Child": CHILD})
    versions = [plan_of({**formless(raw, **rule), "version": "2.0.0"}, {"Child": CHILD})] if moves else []
    case = Case(plan=plan, org=org, input={"amount": amount}, twice=True)
    play(case, data.draw, versions)
