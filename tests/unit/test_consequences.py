"""What is said of a decision is what happens when it is taken."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from activities.actions.builtin import BUILT_IN
from placet.audit.chain import Entry
from placet.definition.model import parse_definition
from placet.directory import Directory
from placet.engine.events import Actor, Decide, Resubmit
from placet.engine.state import Task
from placet.plan.compiler import compile_plan
from simulation.modes.consequences import (
    ANSWER,
    DECISIONS,
    FORM,
    MOST_WORK,
    PROCESS,
    SLOW,
    Bound,
    Consequence,
    Unavailable,
    consequences,
)
from simulation.scenario.samples import sample_decision
from tests.bench.consequences import BOARD, MANAGER, in_a_row, stories
from tests.gallery import ACTIONS, STORIES, children, people, raw, tell
from tests.unit.core import REFUSALS, START, Case, blueprint, graph, office, plan_of, spec
from tests.unit.test_machine_properties import CHILD, blueprints, drawings, organisations
from tests.unit.test_revisions_properties import Player


def foreseen(case: Case, person: str, task_id: str, **more: Any) -> dict[Any, Consequence | Unavailable]:
    decision = Decide(by=Actor(person=person), task_id=task_id, decision="approve")
    usual: dict[str, float] = more.pop("usual", {})
    return consequences(
        case.plan,
        case.state,
        decision,
        now=case.now,
        directory=case.org,
        usual=usual,
        bound=more.pop("bound", Bound()),
    )


def asked(entries: list[Entry]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in entries:
        if one.kind == "task_opened" and one.stage is not None:
            people = [one.detail["assignee"]] if one.detail.get("assignee") else one.detail.get("candidates", [])
            found.setdefault(one.stage, set()).update(people)
    return found


def test_an_approval_leads_to_the_next_stage_and_a_rejection_to_the_end() -> None:
    case = Case(plan=plan_of(blueprint(MANAGER, BOARD)), org=office())
    task = case.state.open_tasks[0]
    found = foreseen(case, task.people[0], task.id)
    approve, reject, changes = (found[one] for one in ("approve", "reject", "request_changes"))
    assert isinstance(approve, Consequence)
    assert isinstance(reject, Consequence)
    assert isinstance(changes, Consequence)
    assert approve.settles
    assert [(one.stage, one.people) for one in approve.next] == [("Board", ("user:cfo",))]
    assert approve.outcome is None
    assert approve.forecast_end == case.now + timedelta(hours=10), "half of the board's target"
    assert (reject.settles, reject.next, reject.outcome, reject.forecast_end) == (True, (), "rejected", case.now)
    assert (changes.settles, changes.next, changes.outcome, changes.forecast_end) == (False, (), None, None)


def test_the_forecast_follows_what_is_usual_in_the_stages() -> None:
    case = Case(plan=plan_of(blueprint(MANAGER, BOARD)), org=office())
    task = case.state.open_tasks[0]
    approve = foreseen(case, task.people[0], task.id, usual={"Board": 3 * 3600.0})["approve"]
    assert isinstance(approve, Consequence)
    assert approve.forecast_end == case.now + timedelta(hours=3)


def test_a_decision_that_can_be_undone_leads_to_what_it_does_once_it_stands() -> None:
    case = Case(plan=plan_of(blueprint(MANAGER | {"undo_seconds": 30}, BOARD)), org=office())
    task = case.state.open_tasks[0]
    found = foreseen(case, task.people[0], task.id)
    assert isinstance(approve := found["approve"], Consequence)
    assert isinstance(reject := found["reject"], Consequence)
    assert (approve.settles, [one.stage for one in approve.next]) == (True, ["Board"])
    assert (reject.outcome, reject.forecast_end) == ("rejected", case.now + timedelta(seconds=30))


def test_one_vote_of_several_settles_nothing() -> None:
    stage = {"stage_name": "All", "approvers": ["user:ann", "user:ben"], "quorum": "all"}
    case = Case(plan=plan_of(blueprint(stage)), org=office())
    task = next(t for t in case.state.open_tasks if t.assignee == "ann")
    found = foreseen(case, "ann", task.id)["approve"]
    assert isinstance(found, Consequence)
    assert (found.settles, found.next, found.outcome) == (False, (), None)


def test_an_abstention_ends_what_nobody_else_can_approve_and_otherwise_leaves_the_stage_open() -> None:
    for approvers, settles, outcome in ((["user:ann"], True, "rejected"), (["user:ann", "user:ben"], False, None)):
        stage = {"stage_name": "All", "approvers": approvers, "quorum": "any"}
        case = Case(plan=plan_of(blueprint(stage)), org=office())
        task = next(t for t in case.state.open_tasks if t.assignee == "ann")
        found = foreseen(case, "ann", task.id)["abstain"]
        assert isinstance(found, Consequence)
        assert (found.settles, found.outcome) == (settles, outcome)


@pytest.mark.parametrize("rounds", [1, 2])
def test_in_the_last_round_only_a_request_for_changes_is_unavailable_and_says_why(rounds: int) -> None:
    case = Case(plan=plan_of(blueprint(MANAGER, settings={"max_rounds": rounds})), org=office())
    if rounds == 2:
        case.decide(case.state.open_tasks[0].people[0], "request_changes", task=case.state.open_tasks[0].id)
        case.do(Resubmit(by=Actor(person="rita")))
    task = case.state.open_tasks[0]
    found = foreseen(case, task.people[0], task.id)
    changes = found.pop("request_changes")
    assert isinstance(changes, Unavailable)
    assert ("no request for changes" if rounds == 1 else "has had 2 rounds") in changes.reason
    assert all(isinstance(one, Consequence) for one in found.values())


def test_where_the_form_decides_what_follows_nothing_is_made_up() -> None:
    form = {"type": "object", "properties": {"limit": {"type": "number"}}, "required": ["limit"]}
    raw = blueprint(
        MANAGER | {"form": form},
        variables=[{"name": "limit", "type": "decimal"}],
        graph_spec=graph(
            "start -> manager",
            "manager -> approved on approved",
            "manager -> rejected on rejected",
            nodes={"manager": {"step": "Manager", "output": {"limit": "limit"}}},
        ),
    )
    case = Case(plan=plan_of(raw), org=office())
    task = case.state.open_tasks[0]
    found = foreseen(case, task.people[0], task.id)
    assert found["approve"] == Unavailable(reason=FORM)
    assert isinstance(found["reject"], Consequence)


NODES: dict[str, dict[str, Any]] = {
    "ask": {"step": "Manager"},
    "price": {"type": "action", "action": "look", "input": {}, "output": {"total": "total"}},
    "double": {
        "type": "action",
        "action": "set_variables",
        "input": {"twice": {"expr": "total * 2.0"}},
        "output": {"twice": "twice"},
    },
    "again": {
        "type": "action",
        "action": "set_variables",
        "input": {"total": {"expr": "amount"}},
        "output": {"total": "total"},
    },
    "book": {"type": "action", "action": "pay", "input": {"sum": {"expr": "total"}}},
    "which": {"type": "decision"},
    "board": {"step": "Board"},
}


@pytest.mark.parametrize(
    ("between", "condition", "amount", "known"),
    [
        ([], "total > 100", "10", False),
        (["book"], "total > 100", "10", False),
        (["double"], "twice > 100", "10", False),  # computed of what is assumed
        ([], "amount > 5", "10", True),
        (["book"], "amount > 5", "10", True),  # a call is made alike, whatever it is given
        (["double"], "amount > 5", "10", True),
        ([], "total > 100", "900", True),  # a condition before has held
        (["again"], "total > 100", "10", True),  # it has been set to what is known
    ],
)
def test_what_rests_on_an_assumed_answer_is_unavailable_only_where_that_was_read(
    between: list[str], condition: str, amount: str, known: bool
) -> None:
    way = ["price", *between, "which"]
    drawn = graph(
        "start -> ask",
        "ask -> price on approved",
        "ask -> rejected on rejected",
        *(f"{one} -> {other}" for one, other in pairwise(way)),
        "board -> approved on approved",
        "board -> rejected on rejected",
        nodes={name: node for name, node in NODES.items() if name in {"ask", "board", *way}},
    )
    drawn["edges"] += [
        {"from": "which", "to": "board", "condition": "amount > 500"},
        {"from": "which", "to": "board", "condition": condition},
        {"from": "which", "to": "approved", "default": True},
    ]
    variables = [{"name": name, "type": "decimal"} for name in ("amount", "total", "twice")]
    variables[0]["required"] = True
    raw = blueprint(MANAGER, BOARD, variables=variables, graph_spec=drawn)
    actions = {one.name: one for one in (*BUILT_IN, spec("look"), spec("pay"))}
    case = Case(plan=plan_of(raw, actions=actions), org=office(), input={"amount": amount})
    task = case.state.open_tasks[0]
    found = foreseen(case, task.people[0], task.id)
    if known:
        assert isinstance(found["approve"], Consequence)
        assert found["approve"].assumed == ("price",)
    else:
        assert found["approve"] == Unavailable(reason=ANSWER)
    assert isinstance(found["reject"], Consequence)


def test_that_no_rule_fits_an_assumed_answer_is_not_said_to_fail_the_request() -> None:
    table = {"inputs": ["total"], "rules": [{"when": ["> 100"], "to": "approved"}], "default": None}
    drawn = graph(
        "start -> ask",
        "ask -> price on approved",
        "ask -> rejected on rejected",
        "price -> which",
        nodes={name: NODES[name] for name in ("ask", "price")} | {"which": {"type": "decision", "table": table}},
    )
    raw = blueprint(MANAGER, variables=[{"name": "total", "type": "decimal"}], graph_spec=drawn)
    case = Case(plan=plan_of(raw), org=office())
    task = case.state.open_tasks[0]
    assert foreseen(case, task.people[0], task.id)["approve"] == Unavailable(reason=ANSWER)


def test_a_form_that_no_sample_fits_leaves_the_other_decisions_as_they_are() -> None:
    form = {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[0-9]{7}$"}}, "required": ["code"]}
    for output in ({"code": "code"}, {}):
        raw = blueprint(
            MANAGER | {"form": form},
            variables=[{"name": "code", "type": "string"}],
            graph_spec=graph(
                "start -> manager",
                "manager -> approved on approved",
                "manager -> rejected on rejected",
                nodes={"manager": {"step": "Manager", "output": output}},
            ),
        )
        case = Case(plan=plan_of(raw), org=office())
        task = case.state.open_tasks[0]
        found = foreseen(case, task.people[0], task.id)
        assert found["approve"] == Unavailable(reason=FORM)
        assert isinstance(found["reject"], Consequence)
        assert isinstance(found["request_changes"], Consequence)


def test_each_action_of_a_row_is_worked_out_once() -> None:
    spent = []
    for actions in (4, 8, 16):
        case = in_a_row(actions)
        task = case.state.open_tasks[0]
        bound = Bound()
        found = foreseen(case, task.people[0], task.id, bound=bound)["approve"]
        assert isinstance(found, Consequence)
        assert [one.stage for one in found.next] == ["Board"]
        assert [one.action for one in found.side_effects] == ["book"]
        spent.append(MOST_WORK - bound.work)
    assert spent[2] - spent[1] == 2 * (spent[1] - spent[0]), "as much for each action more"


def test_what_takes_too_much_work_is_absent_with_its_reason() -> None:
    case = in_a_row(16)
    task = case.state.open_tasks[0]
    found = foreseen(case, task.people[0], task.id, bound=Bound(work=20))
    assert set(found.values()) == {Unavailable(reason=SLOW)}


def test_every_task_of_the_gallery_stays_far_below_the_bound() -> None:
    found = stories(times=1)
    assert len(found) > 15
    spent = {asked: work for asked, (_, work, _) in found.items()}
    assert {asked: work for asked, work in spent.items() if work > MOST_WORK / 10} == {}


def test_without_time_there_is_a_reason_and_no_guess() -> None:
    case = Case(plan=plan_of(blueprint(MANAGER, BOARD)), org=office())
    task = case.state.open_tasks[0]
    assert set(foreseen(case, task.people[0], task.id, bound=Bound(in_time=lambda: False)).values()) == {
        Unavailable(reason=SLOW)
    }


@pytest.mark.parametrize("undo", [{}, {"undo_seconds": 30}])
def test_a_decision_beside_a_process_that_runs_settles_or_nothing_is_said_of_it(undo: dict[str, Any]) -> None:
    drawn = graph(
        *("start -> both", "both -> first", "both -> child", "first -> together on approved"),
        *("first -> rejected on rejected", "child -> together on approved", "child -> rejected on rejected"),
        "together -> approved",
        nodes={
            "both": {"type": "fork"},
            "first": {"step": "Stage 1"},
            "child": {"type": "subprocess", "template": "Child", "input": {"sum": {"expr": "amount"}}},
            "together": {"type": "join"},
        },
    )
    variables = [{"name": "amount", "type": "decimal", "required": True}]
    process = blueprint(undo, variables=variables, graph_spec=drawn)
    case = Case(plan=plan_of(process, {"Child": CHILD}), org=office(), input={"amount": "7"})
    task = case.state.open_tasks[0]
    found = foreseen(case, task.people[0], task.id)
    if undo:  # the process may end before the decision stands
        assert found["approve"] == found["reject"] == Unavailable(reason=PROCESS)
        return
    assert isinstance(found["approve"], Consequence)
    assert isinstance(found["reject"], Consequence)
    assert found["approve"].settles
    assert (found["reject"].settles, found["reject"].outcome) == (True, "rejected")


@settings(max_examples=80)
@given(
    data=st.data(),
    raw=st.one_of(blueprints(), drawings()),
    org=st.one_of(st.just(office()), organisations()),
    amount=st.sampled_from(["1", "500", "9000"]),
    steps=st.integers(0, 6),
)
def test_what_is_foreseen_is_what_happens(
    data: st.DataObject, raw: dict[str, Any], org: Directory, amount: str, steps: int
) -> None:
    case = Case(plan=plan_of(raw, {"Child": CHILD}), org=org, input={"amount": amount})
    player = Player(case, data.draw, [])
    for _ in range(steps):
        try:
            if case.state.status != "pending" or not player.step():
                break
        except REFUSALS:
            continue
    before = case.state
    held = [task for task in before.open_tasks if task.people]
    assume(held)
    task = data.draw(st.sampled_from(held))
    person = task.people[0]
    decision = data.draw(st.sampled_from(DECISIONS))
    try:
        foretold = foreseen(case, person, task.id)[decision]
    except REFUSALS:
        assume(False)
    assume(isinstance(foretold, Consequence))
    assert isinstance(foretold, Consequence)
    assert case.state == before, "looking ahead changes nothing"
    happens_as(foretold, case, person, task, decision)
    event(f"{decision}: {'ends' if case.state.status != 'pending' else 'goes on'}")


def happens_as(foretold: Consequence, case: Case, person: str, task: Task, decision: str) -> None:
    """Decide, and see that what follows at once is what was foretold."""
    stage = case.plan.nodes[task.node].asked
    comment = "so" if stage is not None and decision in stage.comment_required else None
    form = sample_decision(case.plan.nodes[task.node]) if decision == "approve" else None
    entries = case.decide(person, decision, task=task.id, comment=comment, form=form)
    decided = case.state.task(task.id)
    if decided is not None and decided.undo_until is not None:
        entries += case.until(decided.undo_until)
    assert foretold.settles == any(e.kind == "stage_settled" and e.stage == task.stage for e in entries)
    if case.state.status != "pending":
        assert foretold.outcome == (case.state.outcome or case.state.status)
        assert foretold.next == ()
        return
    told = {one.stage: set(one.people) for one in foretold.next}
    at_once = asked(entries)
    assert all(people <= told.get(name, set()) for name, people in at_once.items()) or foretold.outcome is not None
    if not case.state.actions and not case.state.waits and not case.state.children:
        assert foretold.outcome is None
        assert told == at_once


@pytest.mark.parametrize(("name", "given", "story", "outcome"), STORIES)
def test_every_decision_of_the_gallery_leads_where_it_was_said_to(
    name: str, given: dict[str, Any], story: list[tuple[Any, ...]], outcome: str
) -> None:
    plan = compile_plan(parse_definition(raw(name)), start=START, actions=ACTIONS, children=children(START))

    def until(line: int) -> Case:
        case = Case(plan=plan, org=people(), input=given)
        for told in story[:line]:
            tell(case, told)
        return case

    for line, (person, what, *_) in enumerate(story):
        if what not in DECISIONS:
            continue
        for decision in DECISIONS:
            case = until(line)
            task = next(task for task in case.state.open_tasks if person in task.people)
            foretold = foreseen(case, person, task.id)[decision]
            if isinstance(foretold, Unavailable):
                assert foretold.reason in {FORM, PROCESS}, (name, task.stage, decision)
                continue
            happens_as(foretold, case, person, task, decision)
    assert until(len(story)).state.outcome == outcome
