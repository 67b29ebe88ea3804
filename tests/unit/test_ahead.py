"""What may still come of a request: what the explored branches say, no run through the core contradicts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from placet.definition.model import parse_definition
from placet.directory import Directory
from placet.engine import machine
from placet.engine.events import Actor, Claim, Decide, Happened, Reassign
from placet.engine.state import Task
from placet.plan.compiler import compile_plan
from simulation.modes.ahead import MANY, MOST_STEPS, RETURNED, Ahead, ahead_of
from simulation.modes.consequences import SLOW, Bound, Unavailable
from simulation.scenario.live_position import AtNode, InBranches, position_of
from simulation.scenario.live_values import LiveValues
from simulation.scenario.routes import RouteSearch, conditions_of
from simulation.scenario.witnesses import WitnessSearch
from tests import gallery
from tests.unit.core import REFUSALS, START, Case, blueprint, graph, office, plan_of
from tests.unit.test_machine_properties import CHILD, blueprints, drawings, organisations
from tests.unit.test_revisions_properties import ROOT, formless
from web.graph.process_graph import ProcessGraph, graph_of
from web.graph.progress import progress_of

MANAGER = {"stage_name": "Manager", "approvers": ["user:mo"]}
CFO = {"stage_name": "CFO", "approvers": ["role:cfo"]}


def room(**less: Any) -> Bound:
    return Bound(**{"work": MOST_STEPS, **less})


def ahead(case: Case) -> Ahead:
    found = ahead_of(case.plan, case.state, room())
    assert isinstance(found, Ahead), found
    return found


def expense(amount: str) -> Case:
    return Case(plan=plan_of(gallery.raw("expense")), org=gallery.people(), requester="rita", input={"amount": amount})


def test_what_the_amount_rules_out_is_in_no_branch() -> None:
    small, large = ahead(expense("100")), ahead(expense("9000"))
    assert (small.branches, dict(small.passing)) == (2, {"large": 1, "yes": 1, "no": 1})
    assert (large.branches, dict(large.passing)) == (3, {"large": 2, "cfo": 2, "yes": 1, "no": 2})


def test_what_was_passed_comes_no_more() -> None:
    case = expense("9000")
    case.decide("max")
    found = ahead(case)
    assert (found.branches, dict(found.passing), found.whole) == (2, {"yes": 1, "no": 1}, True)


def branching(need: Any) -> Case:
    raw = blueprint(
        MANAGER,
        CFO,
        {"stage_name": "Head", "approvers": ["user:dh"]},
        {"stage_name": "Last", "approvers": ["user:ceo"]},
        graph_spec=graph(
            "start -> both",
            "both -> manager",
            "both -> cfo",
            "both -> head",
            *(
                f"{one} -> meet on {result}"
                for one in ("manager", "cfo", "head")
                for result in ("approved", "rejected")
            ),
            "meet -> last",
            "last -> approved on approved",
            "last -> rejected on rejected",
            nodes={
                "both": {"type": "fork"},
                "manager": {"step": "Manager"},
                "cfo": {"step": "CFO"},
                "head": {"step": "Head"},
                "meet": {"type": "join", "need": need},
                "last": {"step": "Last"},
            },
        ),
    )
    return Case(plan=plan_of(raw), org=office())


def test_a_request_in_several_branches_goes_on_in_those_that_have_not_arrived() -> None:
    case = branching("all")
    # Each of the three, and the last, is approved or rejected.
    assert ahead(case).branches == 16
    case.decide("mo")
    assert position_of(case.plan, case.state) == InBranches(
        fork="both",
        going=((1, AtNode(node="cfo")), (2, AtNode(node="head"))),
        arrived=(("meet", (0,)),),
    )
    found = ahead(case)
    assert (found.branches, found.passing["meet"], found.passing["last"], found.passing["approved"]) == (8, 8, 8, 4)
    assert "cfo" not in found.passing, "it is going on, and comes no second time"


def test_of_branches_that_are_not_all_waited_for_any_may_arrive_first() -> None:
    case = branching({"at_least": 2})
    case.decide("mo")
    found = ahead(case)
    assert (found.branches, found.passing["last"]) == (8, 8), "either of the two others arrives, with either result"


def test_a_value_that_is_set_before_a_condition_is_not_known_there() -> None:
    form = {"type": "object", "properties": {"limit": {"type": "number"}}, "required": ["limit"]}
    raw = blueprint(
        MANAGER | {"form": form},
        CFO,
        variables=[{"name": "limit", "type": "decimal"}],
        graph_spec=graph(
            "start -> manager",
            "manager -> large on approved",
            "manager -> rejected on rejected",
            "cfo -> large on approved",
            "cfo -> rejected on rejected",
            nodes={
                "manager": {"step": "Manager", "output": {"limit": "limit"}},
                "cfo": {"step": "CFO"},
                "large": {"type": "decision"},
            },
        ),
    )
    raw["graph_spec"]["edges"] += [
        {"from": "large", "to": "cfo", "condition": "limit > 5.0"},
        {"from": "large", "to": "approved", "default": True},
    ]
    case = Case(plan=plan_of(raw), org=office(), input={"limit": "1"})
    assert ahead(case).passing["cfo"] > 0, "the form may set another limit"
    case.decide("mo", form={"limit": 3})
    assert case.state.status == "completed"
    case = Case(plan=plan_of(raw), org=office(), input={"limit": "1"})
    case.decide("mo", form={"limit": 7})
    found = ahead(case)
    assert "approved" not in found.passing, "the limit stays, so that the way never ends but by a rejection"
    assert not found.whole


def test_a_returned_request_may_be_led_anywhere() -> None:
    case = expense("100")
    case.decide("max", "request_changes", comment="why?")
    assert ahead_of(case.plan, case.state, room()) == Unavailable(reason=RETURNED)


def test_what_takes_too_long_is_told_and_not_shown_in_part() -> None:
    case = expense("9000")
    assert ahead_of(case.plan, case.state, room(work=2)) == Unavailable(reason=SLOW)
    assert ahead_of(case.plan, case.state, room(in_time=lambda: False)) == Unavailable(reason=SLOW)


def test_more_ways_than_are_followed_are_told() -> None:
    stages = [{"stage_name": f"S{n}", "approvers": ["user:mo"]} for n in range(12)]
    ways = [f"s{n} -> s{n + 1} on {result}" for n in range(11) for result in ("approved", "rejected")]
    raw = blueprint(
        *stages,
        graph_spec=graph(
            "start -> s0",
            *ways,
            "s11 -> approved on approved",
            "s11 -> rejected on rejected",
            nodes={f"s{n}": {"step": f"S{n}"} for n in range(12)},
        ),
    )
    case = Case(plan=plan_of(raw), org=office())
    assert ahead_of(case.plan, case.state, room()) == Unavailable(reason=MANY)


@pytest.mark.parametrize(("name", "content"), [(name, content) for name, content, _, _ in gallery.STORIES])
def test_from_the_beginning_it_is_what_explore_searches(name: str, content: dict[str, Any]) -> None:
    """Of the routes that explore follows from the start, those are counted that the request's own input takes."""
    case = begun(name, content)
    if case.state.status != "pending" or case.plan.set_outside:
        return
    witnesses = WitnessSearch(case.plan, conditions_of(case.plan), given=case.state.input)
    routes = RouteSearch(plan=case.plan, witnesses=witnesses).routes()
    taken = [route for route in routes if route.witness_from == "given"]
    passed = set(passed_by(read(gallery.raw(name)), case))
    passing = Counter(node for route in taken for node in set(route.nodes) if node in case.plan.nodes)
    now = ahead(case)
    assert now.branches == len(taken)
    assert {node: times for node, times in now.passing.items() if node not in passed} == {
        node: times for node, times in passing.items() if node not in passed
    }


def begun(name: str, content: dict[str, Any]) -> Case:
    children = gallery.children(START)
    plan = compile_plan(parse_definition(gallery.raw(name)), start=START, actions=gallery.ACTIONS, children=children)
    return Case(plan=plan, org=gallery.people(), requester="rita", input=content)


def read(raw: dict[str, Any]) -> ProcessGraph:
    return graph_of(parse_definition(raw), str, str)


def passed_by(drawn: ProcessGraph, case: Case) -> Counter[str]:
    """Return how often a request has entered each node."""
    return Counter({name: visit.times for name, visit in progress_of(drawn, case.entries).visits.items()})


def ended(case: Case) -> bool:
    """Return whether a request came to an end of its process."""
    return case.state.status == "completed"


class Finisher:
    """Whoever has something to do in a request does it, one way or another, without changing the request."""

    def __init__(self, case: Case, data: st.DataObject) -> None:
        self.case = case
        self.draw = data.draw

    def step(self) -> bool:
        """Do the next thing; whether there was one."""
        state, chance = self.case.state, self.draw(st.integers(1, 100))
        amount = {"amount": self.draw(st.sampled_from(["7", "6000"]))}
        fails = self.draw(st.integers(1, 4)) == 1
        if state.actions and chance <= 60:
            self.case.done(state.actions[0].node, amount, error="no" if fails else None)
        elif state.children and chance <= 60:
            outcome = "rejected" if fails else "approved"
            self.case.ended(state.children[0].node, outcome, {"sum": "7"})
        elif any(wait.event for wait in state.waits) and chance <= 30:
            self.case.do(Happened(by=ROOT, name="go", payload=amount))
        elif state.open_tasks and chance <= 95:
            self.decide(self.draw(st.sampled_from(state.open_tasks)))
        elif (due := machine.next_due(self.case.plan, state)) is not None:
            self.case.until(due)
        else:
            return False
        return True

    def decide(self, task: Task) -> None:
        person = self.draw(st.sampled_from(task.people or ("ceo",)))
        if task.assignee is None and person in task.candidates:
            self.case.do(Claim(by=Actor(person=person), task_id=task.id))
        elif not task.people:
            self.case.do(Reassign(by=ROOT, task_id=task.id, to="ceo"))
        else:
            decision: Any = self.draw(st.sampled_from(["approve", "approve", "approve", "reject"]))
            self.case.do(
                Decide(by=Actor(person=person), task_id=task.id, decision=decision, comment="so", form={"ok": True})
            )

    def go_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.case.state.status != "pending":
                break
            try:
                if not self.step():
                    break
            except REFUSALS:
                continue


@settings(max_examples=300)
@given(
    data=st.data(),
    raw=st.one_of(blueprints(), drawings()),
    org=st.one_of(st.just(office()), organisations()),
    amount=st.sampled_from(["1", "500", "9000"]),
    before=st.integers(0, 12),
)
def test_no_run_through_the_core_comes_where_no_branch_does_nor_misses_what_every_branch_passes(
    data: st.DataObject, raw: dict[str, Any], org: Directory, amount: str, before: int
) -> None:
    raw = formless(raw)
    case = Case(plan=plan_of(raw, {"Child": CHILD}), org=org, input={"amount": amount})
    finisher = Finisher(case, data)
    finisher.go_on(before)
    if case.state.status != "pending":
        return
    found = ahead_of(case.plan, case.state, room())
    if isinstance(found, Unavailable):
        event(f"unavailable: {found.reason}")
        return
    drawn = read(raw)
    passed = passed_by(drawn, case)
    finisher.go_on(80)
    come = set(passed_by(drawn, case) - passed)
    event(f"ends {case.state.status}, all was followed: {found.whole}")
    if found.whole:
        assert come <= set(found.passing), "nothing comes that no branch passes"
    at_an_end = any(case.plan.nodes[name].outcome for name in come)
    if found.whole and ended(case) and at_an_end:
        always = {name for name, times in found.passing.items() if times == found.branches}
        assert always <= come, "what every branch passes comes"


def routes_of(search: RouteSearch, passed: set[str]) -> Counter[tuple[str, ...]]:
    """Return the routes without what had been passed before."""
    return Counter(tuple(name for name in route.nodes if name not in passed) for route in search.routes())


@settings(max_examples=150)
@given(
    raw=st.one_of(blueprints(), drawings()),
    amount=st.sampled_from(["1", "500", "9000"]),
)
def test_a_search_from_where_a_request_has_just_begun_is_one_from_the_start(raw: dict[str, Any], amount: str) -> None:
    case = Case(plan=plan_of(formless(raw), {"Child": CHILD}), org=office(), input={"amount": amount})
    if case.state.status != "pending":
        return
    begin = position_of(case.plan, case.state)
    live = RouteSearch(plan=case.plan, witnesses=LiveValues(plan=case.plan, state=case.state), begin=begin, most=300)
    start = RouteSearch(plan=case.plan, witnesses=LiveValues(plan=case.plan, state=case.state), most=300)
    passed = set(passed_by(read(raw), case))
    ours, theirs = routes_of(live, passed), routes_of(start, passed)
    # A loop back to what was passed has one visit less behind it where the search begins later.
    if not live.cut_loops and not start.cut_loops and live.stopped_at is None and start.stopped_at is None:
        assert ours == theirs
