"""Nodes that do not ask people: tables, forks and joins, waits, actions and sub-processes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from placet.audit.reasons import why_of
from placet.engine.events import ActionDone, Actor, Resubmit, Withdraw
from placet.engine.flow import MOST_VISITS
from placet.errors import BlueprintInvalid, InputInvalid, NotPermitted, Refused
from placet.proofs import check
from tests.unit.core import HOUR, START, Case, blueprint, case, graph, office, plan_of

AMOUNT = {"name": "amount", "type": "decimal"}
ANN, BEN = {"approvers": ["user:ann"]}, {"approvers": ["user:ben"]}


def problems(raw: dict[str, Any], children: Any = None) -> dict[str, str]:
    with pytest.raises(BlueprintInvalid) as refused:
        plan_of(raw, children)
    return {p.pointer: p.message for p in refused.value.problems}


def table(**fields: Any) -> dict[str, Any]:
    full = {"inputs": ["amount"], "rules": [{"when": ["> 100"], "to": "rejected"}], "default": "approved", **fields}
    nodes = {"d": {"type": "decision", "table": full}}
    return blueprint(variables=[AMOUNT], graph_spec=graph("start -> d", nodes=nodes))


def rule(*when: Any, to: str) -> dict[str, Any]:
    return {"when": list(when), "to": to}


# Decision tables


@pytest.mark.parametrize(
    ("rules", "policy", "amount", "outcome"),
    [
        ([rule("> 100", to="rejected")], "first", "101", "rejected"),
        ([rule("> 100", to="rejected")], "first", "100", "approved"),  # the default
        ([rule("100", to="rejected")], "first", "100.00", "rejected"),  # a plain value has to be equal
        ([rule("in [1, 2]", to="rejected")], "first", "2", "rejected"),
        ([rule(["> 1", "< 3"], to="rejected")], "first", "2", "rejected"),  # every test of a list
        ([rule(["> 1", "< 3"], to="rejected")], "first", "3", "approved"),
        ([rule(None, to="rejected")], "first", "7", "rejected"),  # anything
        ([rule("> 1", to="approved"), rule("> 2", to="rejected")], "first", "3", "approved"),
        ([rule("> 1", to="approved"), rule("> 2", to="rejected")], "unique", "2", "approved"),
        ([rule("> 1", to="approved"), rule("> 2", to="rejected")], "unique", "3", None),
        ([rule("> 1", to="rejected"), rule("> 2", to="rejected")], "unique", "3", None),
        ([rule("> 1", to="rejected"), rule("> 2", to="rejected")], "any", "3", "rejected"),
        ([rule("> 1", to="approved"), rule("> 2", to="rejected")], "any", "3", None),
    ],
)
def test_a_table_leads_where_its_rules_and_hit_policy_say(
    rules: list[Any], policy: str, amount: str, outcome: str | None
) -> None:
    raw = table(rules=rules, hit_policy=policy)
    request = Case(plan=plan_of(raw), org=office(), input={"amount": amount})
    assert request.state.outcome == outcome
    assert request.state.status == ("completed" if outcome else "failed")


def test_a_table_without_a_default_fails_the_request_where_no_rule_fits() -> None:
    raw = table(default=None)
    request = Case(plan=plan_of(raw), org=office(), input={"amount": "1"})
    assert request.state.status == "failed"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"inputs": ["amout"]}, "/inputs/0"),
        ({"rules": [rule("> true", to="approved")]}, "/rules/0/when/0"),
        ({"rules": [rule(["> 1", "> 1) || (true"], to="approved")]}, "/rules/0/when/0"),  # closes no bracket of ours
        ({"rules": [rule(">", to="approved")]}, "/rules/0/when/0"),
        ({"rules": [rule("1", to="nowhere")]}, "/rules/0/to"),
        ({"default": "nowhere"}, "/default"),
    ],
)
def test_a_fault_in_a_table_is_named_at_its_place(fields: dict[str, Any], pointer: str) -> None:
    assert list(problems(table(**fields))) == [f"/graph_spec/nodes/3/table{pointer}"]


def test_edges_of_a_table_decision_and_rows_of_another_length_are_refused() -> None:
    raw = table()
    raw["graph_spec"]["edges"].append({"from": "d", "to": "approved", "default": True})
    assert list(problems(raw)) == ["/graph_spec/edges/1"]
    assert list(problems(table(rules=[rule("1", "2", to="approved")]))) == ["/graph_spec/nodes/3/table"]


# Approvals that set variables


def filled_in(step: dict[str, Any] | None = None, **node: Any) -> dict[str, Any]:
    """Return a process in which ann and ben say a risk, and a high one leads to the cfo."""
    form = {"type": "object", "properties": {"risk": {"type": "integer"}}, "required": ["risk"]}
    nodes: dict[str, dict[str, Any]] = {
        "a": {"step": "Stage 1", "output": {"risk": "risk"}, **node},
        "d": {"type": "decision"},
        "last": {"step": "Stage 2"},
    }
    spec = graph("start -> a", "a -> d", "last -> approved", nodes=nodes)
    spec["edges"] += [
        {"from": "d", "to": "last", "condition": "risk >= 7"},
        {"from": "d", "to": "approved", "default": True},
    ]
    asked = {"approvers": ["user:ann", "user:ben"], "quorum": "all", "form": form, **(step or {})}
    variables = [{"name": "risk", "type": "integer", "minimum": 0}]
    return blueprint(asked, {"approvers": ["role:cfo"]}, graph_spec=spec, variables=variables)


def test_what_an_approver_fills_in_sets_variables_that_later_decisions_read() -> None:
    request = Case(plan=plan_of(filled_in()), org=office(), twice=True)
    request.decide("ann", form={"risk": 2})
    assert request.state.input == {}
    request.decide("ben", form={"risk": 8})  # whoever settles the stage has the last word
    assert (request.state.input, request.asked) == ({"risk": 8}, ["cfo"])
    (settled,) = request.of_kind("stage_settled")
    assert (settled.detail["before"], settled.detail["after"]) == ({"risk": None}, {"risk": 8})


def test_a_form_whose_value_does_not_fit_the_variable_is_refused_and_nothing_has_happened() -> None:
    request = Case(plan=plan_of(filled_in({"quorum": "any"})), org=office(), twice=True)
    with pytest.raises(InputInvalid) as refused:
        request.decide("ann", form={"risk": -1})
    assert [p.pointer for p in refused.value.problems] == ["/form/risk"]
    assert request.asked == ["ann", "ben"]


def test_variables_of_a_form_are_proven_to_be_set_only_where_it_must_be_filled_in() -> None:
    def codes(**changes: Any) -> set[str]:
        found = check(filled_in(changes.pop("step", None), **changes)).findings
        return {f.code for f in found} & {"unset_variable", "types", "dangling_id", "unused_variable"}

    assert codes() == set()
    optional = {"type": "object", "properties": {"risk": {"type": "integer"}}}
    assert codes(step={"form": optional}) == {"unset_variable"}
    assert codes(step={"sla_hours": 8, "final": "approve"}) == {"unset_variable"}
    wrong = {"type": "object", "properties": {"risk": {"type": "string"}}, "required": ["risk"]}
    assert codes(step={"form": wrong}) == {"types"}
    assert list(problems(filled_in(step={"form": None}))) == ["/graph_spec/nodes/3/output"]
    assert list(problems(filled_in(output={"danger": "risk"}))) == ["/graph_spec/nodes/3/output/danger"]


# Forks and joins


def forked(need: Any = "all", *more: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a process in which ann, ben and cid decide at the same time, and then the cfo."""
    steps = [{"approvers": [f"user:{p}"], "sla_hours": 8} for p in ("ann", "ben", "cid")]
    nodes: dict[str, dict[str, Any]] = {
        "f": {"type": "fork"},
        "j": {"type": "join", "need": need},
        **{name: {"step": f"Stage {n}"} for n, name in enumerate(("a", "b", "c"), 1)},
        "last": {"step": "Stage 4"},
    }
    drawn = ["start -> f", *(f"f -> {n}" for n in "abc"), *(f"{n} -> j on approved" for n in "abc")]
    spec = graph(*drawn, "j -> last", "last -> approved", nodes=nodes)
    return blueprint(*steps, {"approvers": ["role:cfo"]}, *more, graph_spec=spec, **fields)


def fork_case(need: Any = "all", **fields: Any) -> Case:
    return Case(plan=plan_of(forked(need, **fields)), org=office(), twice=True)


STAGE = {"on_change": "stage"}  # a change leaves the approvals of other branches as they are


def test_a_fork_asks_in_all_its_branches_at_once_and_a_join_of_all_waits_for_each() -> None:
    request = fork_case()
    assert request.asked == ["ann", "ben", "cid"]
    assert request.kinds()[:2] == ["started", "forked"]
    request.decide("cid")
    request.decide("ann")
    assert request.asked == ["ben"]
    request.decide("ben")
    assert request.asked == ["cfo"]
    assert request.of_kind("joined")[0].detail == {"node": "j", "arrived": ["c", "a", "b"], "of": 3}
    request.decide("cfo")
    assert request.state.outcome == "approved"


@pytest.mark.parametrize(("need", "after"), [("any", 1), ({"at_least": 2}, 2), ("all", 3)])
def test_a_join_goes_on_once_enough_have_arrived_and_ends_the_other_branches(need: Any, after: int) -> None:
    request = fork_case(need)
    people = ["ben", "ann", "cid"]
    for person in people[:after]:
        assert "cfo" not in request.asked
        request.decide(person)
    assert request.asked == ["cfo"]
    rest = people[after:]
    assert [t.assignee for t in request.state.tasks if t.status == "superseded"] == sorted(rest)
    assert request.told("superseded") == sorted(rest)
    assert len(request.of_kind("branch_ended")) == len(rest)
    for person in rest:
        with pytest.raises(Refused, match="gone on without its branch"):
            request.decide(person, task=next(t.id for t in request.state.tasks if t.assignee == person))


def test_a_join_of_every_branch_lets_one_branch_end_without_ending_the_request() -> None:
    raw = forked("every")
    raw["graph_spec"]["edges"] = [e for e in raw["graph_spec"]["edges"] if e["from"] != "a"]
    raw["graph_spec"]["edges"].append({"from": "a", "to": "approved", "on": "approved"})
    request = Case(plan=plan_of(raw), org=office(), twice=True)
    request.decide("ben")
    request.decide("cid")  # both of the branches that lead to the join have arrived; the third ends the request
    assert request.asked == ["ann"]
    request.decide("ann")
    assert (request.state.outcome, request.of_kind("joined")) == ("approved", [])
    request = fork_case("every")
    for person in ("ann", "ben", "cid"):
        request.decide(person)
    assert request.asked == ["cfo"]


def test_a_terminator_in_a_branch_ends_the_whole_request() -> None:
    request = fork_case()
    request.decide("ann", "reject")  # no edge leaves on rejected
    assert (request.state.status, request.state.outcome) == ("completed", "rejected")
    assert [t.status for t in request.state.tasks] == ["decided", "cancelled", "cancelled"]


def test_each_branch_climbs_its_own_ladder() -> None:
    request = fork_case()
    request.decide("ben")
    request.hours(8)
    assert [e.task_id for e in request.of_kind("sla_breached")] == ["r.1", "r.3"]


def test_a_branch_that_is_returned_stops_its_own_clock_only_and_comes_back_as_the_next_round() -> None:
    request = fork_case(settings=STAGE)
    request.decide("ann", "request_changes")
    assert request.asked == ["ben", "cid"]
    request.hours(8)
    assert [e.task_id for e in request.of_kind("sla_breached")] == ["r.2", "r.3"]
    request.do(Resubmit(by=Actor(person="rita")))
    assert request.asked == ["ben", "cid", "ann"]
    assert [t.round for t in request.state.open_tasks] == [1, 1, 2]


def test_what_is_returned_in_a_branch_that_is_no_longer_needed_needs_no_answer() -> None:
    request = fork_case("any", settings=STAGE)
    request.decide("ann", "request_changes")
    request.decide("ben")
    assert request.asked == ["cfo"]
    with pytest.raises(Refused, match="nothing to resubmit"):
        request.do(Resubmit(by=Actor(person="rita")))


def test_forks_nest_and_a_join_reached_at_once_ends_branches_that_have_not_begun() -> None:
    nodes = {
        "f": {"type": "fork"},
        "g": {"type": "fork"},
        "jf": {"type": "join", "need": "all"},
        "jg": {"type": "join", "need": "any"},
        "a": {"step": "Stage 1"},
        "b": {"step": "Stage 2"},
    }
    spec = graph(
        "start -> f",
        "f -> g",
        "f -> a",
        "g -> jg",
        "g -> b",
        "b -> jg",
        "jg -> jf",
        "a -> jf",
        "jf -> approved",
        nodes=nodes,
    )
    request = Case(plan=plan_of(blueprint(ANN, BEN, graph_spec=spec)), org=office(), twice=True)
    assert request.asked == ["ann"]  # ben's branch was over before it began
    request.decide("ann")
    assert request.state.outcome == "approved"


def test_a_process_can_come_back_to_a_fork() -> None:
    nodes = {
        "f": {"type": "fork"},
        "j": {"type": "join"},
        "a": {"step": "Stage 1"},
        "b": {"step": "Stage 2"},
        "c": {"step": "Stage 3"},
    }
    drawn = ("start -> f", "f -> a", "f -> b", "a -> j", "b -> j", "j -> c", "c -> approved", "c -> f on rejected")
    spec = graph(*drawn, nodes=nodes)
    request = Case(plan=plan_of(blueprint(ANN, BEN, {"approvers": ["cfo"]}, graph_spec=spec)), org=office(), twice=True)
    for vote in ("reject", "approve"):
        request.decide("ann")
        request.decide("ben")
        request.decide("cfo", vote)
    assert request.state.outcome == "approved"
    assert len(request.of_kind("joined")) == 2


@pytest.mark.parametrize(
    ("edges", "need", "pointer", "words"),
    [
        # a join that no fork leads to
        (["start -> j", "j -> a", "a -> approved"], "all", 4, "no branch of a fork"),
        # two branches meet in an approval
        (["start -> f", "f -> a", "f -> b", "b -> a", "a -> approved"], "all", 5, "two branches"),
        # a way out of a branch that does not lead through the join
        (
            ["start -> a", "a -> f", "f -> b", "f -> j", "b -> a on rejected", "b -> j", "j -> approved"],
            "all",
            5,
            "inside and outside",
        ),
        # more branches than there are
        (["start -> f", "f -> a", "f -> b", "a -> j", "b -> j", "j -> approved"], {"at_least": 3}, 4, "only 2 lead"),
        # two joins for one fork
        (
            ["start -> f", "f -> a", "f -> b", "a -> j", "b -> k", "j -> approved", "k -> approved"],
            "all",
            7,
            "meet in 'j'",
        ),
    ],
)
def test_branches_that_do_not_come_together_are_refused(edges: list[str], need: Any, pointer: int, words: str) -> None:
    nodes = {
        "f": {"type": "fork"},
        "j": {"type": "join", "need": need},
        "a": {"step": "Stage 1"},
        "b": {"step": "Stage 2"},
        "k": {"type": "join"},
    }
    found = problems(blueprint(ANN, BEN, graph_spec=graph(*edges, nodes=nodes)))
    assert words in found[f"/graph_spec/nodes/{pointer}"]


# Waits


def waiting(node: dict[str, Any], *more: str, **fields: Any) -> Case:
    nodes = {"w": {"type": "wait", **node}}
    spec = graph("start -> w", *(more or ("w -> approved",)), nodes=nodes)
    given = fields.pop("input", {})
    return Case(plan=plan_of(blueprint(graph_spec=spec, **fields)), org=office(), input=given, twice=True)


def test_a_wait_for_hours_goes_on_when_they_have_passed() -> None:
    request = waiting({"hours": 2})
    request.until(START + 2 * HOUR - timedelta(microseconds=1))
    assert request.state.status == "pending"
    request.until(START + 2 * HOUR)
    assert request.state.outcome == "approved"
    assert request.kinds() == ["started", "waiting", "waited", "completed"]


def test_hours_of_a_wait_are_working_hours() -> None:
    hours = {d: ["09:00-17:00"] for d in ("mon", "tue", "wed", "thu", "fri")}
    request = waiting({"hours": 10}, settings={"calendar": {"hours": hours}})
    request.until(START + 25 * HOUR)
    assert request.state.status == "pending"
    request.until(START + 26 * HOUR)
    assert request.state.outcome == "approved"


@pytest.mark.parametrize(
    ("kind", "value", "ends"),
    [
        ("datetime", "2026-03-02T11:30:00Z", START + 2.5 * HOUR),
        ("date", "2026-03-04", datetime(2026, 3, 3, 23, tzinfo=UTC)),  # midnight in Berlin
        ("date", "2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),  # in summer
        ("date", "2026-03-02", START),  # has passed: goes on at once
    ],
)
def test_a_wait_until_a_date_or_moment_goes_on_then(kind: str, value: str, ends: datetime) -> None:
    fields: Any = {
        "variables": [{"name": "at", "type": kind}],
        "settings": {"timezone": "Europe/Berlin"},
        "input": {"at": value},
    }
    request = waiting({"until": "at"}, **fields)
    request.until(ends - timedelta(seconds=1))
    assert (request.state.status == "pending") == (ends > START)
    request.until(ends)
    assert request.state.outcome == "approved"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Santiago", "Asia/Beirut", "Pacific/Apia"])
def test_a_day_begins_when_the_clocks_of_its_zone_first_show_it(zone: str) -> None:
    """In Santiago and Beirut daylight saving begins at midnight, which no clock then shows."""
    from placet.expressions.moments import midnight
    from placet.plan.calendar_compiler import zone_offsets

    offsets = zone_offsets(zone, START)
    for day in range(366):
        on = date(2026, 1, 2) + timedelta(days=day)
        found = midnight(on, offsets)
        assert found.astimezone(ZoneInfo(zone)).date() == on
        assert (found - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date() < on


def test_a_wait_without_its_date_fails_the_request() -> None:
    request = waiting({"until": "at"}, variables=[{"name": "at", "type": "date"}])
    assert request.state.status == "failed"


EVENT = {"event": "signed", "timeout_hours": 48, "output": {"amount": "/facts/0/sum"}}


def test_an_event_ends_the_wait_for_it_and_sets_variables() -> None:
    request = waiting(EVENT, "w -> approved on event", "w -> rejected on timeout", variables=[AMOUNT])
    with pytest.raises(Refused, match="waited for: signed"):
        request.happens("sealed")
    with pytest.raises(NotPermitted):
        request.happens("signed", by="rita")
    with pytest.raises(InputInvalid) as wrong:
        request.happens("signed", {"facts": [{"sum": "many"}]})
    assert [p.pointer for p in wrong.value.problems] == ["/payload/amount"]
    request.happens("signed", {"facts": [{"sum": 12.5}]})
    assert (request.state.outcome, request.state.input) == ("approved", {"amount": "12.5"})
    assert request.of_kind("event_received")[0].detail["after"] == {"amount": "12.5"}


@pytest.mark.parametrize(
    ("more", "outcome"), [(("w -> approved on event", "w -> rejected on timeout"), "rejected"), ((), "expired")]
)
def test_an_event_that_does_not_come_times_out(more: tuple[str, ...], outcome: str) -> None:
    request = waiting(EVENT, *more, variables=[AMOUNT])
    request.hours(48)
    assert request.state.outcome == outcome


def test_one_event_ends_the_waits_of_several_branches_but_not_of_a_branch_that_it_ended() -> None:
    nodes = {
        "f": {"type": "fork"},
        "a": {"type": "wait", "event": "go"},
        "b": {"type": "wait", "event": "go"},
        "j": {"type": "join", "need": "any"},
        "s": {"step": "Stage 1"},
    }
    spec = graph("start -> f", "f -> a", "f -> b", "a -> j", "b -> j", "j -> s", "s -> approved", nodes=nodes)
    request = case(ANN, graph_spec=spec, twice=True)
    request.happens("go")
    assert request.asked == ["ann"]
    assert len(request.of_kind("waited")) == 1
    with pytest.raises(Refused, match="nothing"):
        request.happens("go")


@pytest.mark.parametrize(
    "node",
    [{}, {"hours": 1, "event": "x"}, {"hours": 1, "timeout_hours": 2}, {"until": "at", "output": {"at": "at"}}],
)
def test_a_wait_is_for_exactly_one_thing(node: dict[str, Any]) -> None:
    with pytest.raises(BlueprintInvalid):
        waiting(node)


# Actions


def acting(node: dict[str, Any], *more: str, **fields: Any) -> Case:
    nodes = {"act": {"type": "action", "action": "look", **node}}
    spec = graph("start -> act", *(more or ("act -> approved",)), nodes=nodes)
    given = fields.pop("input", {"amount": "10"})
    variables = [AMOUNT, {"name": "score", "type": "integer", "maximum": 9}, {"name": "day", "type": "date"}]
    raw = blueprint(graph_spec=spec, variables=variables, **fields)
    return Case(plan=plan_of(raw), org=office(), input=given, twice=True)


def test_an_action_is_called_with_what_its_input_computes() -> None:
    node = {
        "input": {
            "double": {"expr": "amount * 2"},
            "fixed": 7,
            "absent": {"expr": "score"},
            "deep": {"list": [{"expr": "amount"}, "amount"], "when": {"expr": 'date("2026-01-31")'}},
        }
    }
    request = acting(node)
    [call] = request.steps[-1].actions
    assert call.input == {"double": "20", "fixed": 7, "deep": {"list": ["10", "amount"], "when": "2026-01-31"}}
    assert (call.key, call.action) == ("r:act:1", "look")


def test_what_an_action_returns_sets_variables_with_before_and_after_on_record() -> None:
    request = acting({"output": {"score": "risk", "amount": "/price/net"}})
    request.done("act", {"risk": 3, "price": {"net": 99.5}})
    assert request.state.input == {"amount": "99.5", "score": 3}
    assert request.of_kind("action_run")[0].detail["before"] == {"score": None, "amount": "10"}
    assert request.of_kind("action_run")[0].detail["after"] == {"score": 3, "amount": "99.5"}
    assert request.state.outcome == "approved"


@pytest.mark.parametrize(
    ("output", "error"), [({"risk": 10}, None), ({"risk": "high"}, None), ({}, "the server is away")]
)
def test_an_action_that_fails_or_returns_what_does_not_fit_takes_its_failed_way(
    output: dict[str, Any], error: str | None
) -> None:
    request = acting({"output": {"score": "risk"}}, "act -> approved on done", "act -> rejected on failed")
    request.done("act", output, error=error)
    assert request.state.outcome == "rejected"
    assert "score" not in request.state.input
    assert request.of_kind("action_failed")


def test_a_failure_without_a_way_fails_the_request() -> None:
    request = acting({})
    request.done("act", error="the server is away")
    assert request.state.status == "failed"
    assert "the server is away" in why_of(request.of_kind("failed")[0].detail)


def test_an_input_that_cannot_be_computed_fails_the_action_before_it_runs() -> None:
    node = {"input": {"x": {"expr": "amount / 0.0"}}}
    request = acting(node, "act -> approved", "act -> rejected on failed")
    assert request.state.outcome == "rejected"
    assert not any(step.actions for step in request.steps)


def test_a_result_that_comes_twice_counts_once() -> None:
    nodes = {"act": {"type": "action", "action": "look"}, "a": {"step": "Stage 1"}}
    request = case(ANN, graph_spec=graph("start -> act", "act -> a", "a -> approved", nodes=nodes))
    [call] = request.state.actions
    event = ActionDone(node="act", visit=1, key=call.key, ok=True)
    assert request.do(event)
    assert request.do(event) == []


def test_the_result_of_an_action_whose_branch_has_ended_is_on_record_and_changes_nothing() -> None:
    nodes = {
        "f": {"type": "fork"},
        "act": {"type": "action", "action": "pay"},
        "a": {"step": "Stage 1"},
        "j": {"type": "join", "need": "any"},
        "b": {"step": "Stage 2"},
    }
    spec = graph("start -> f", "f -> act", "f -> a", "act -> j", "a -> j", "j -> b", "b -> approved", nodes=nodes)
    request = case(ANN, BEN, graph_spec=spec, twice=True)
    [call] = request.state.actions
    request.decide("ann")
    assert [e.detail["node"] for e in request.of_kind("branch_ended")] == ["act"]
    entries = request.do(ActionDone(node="act", visit=call.visit, key=call.key, ok=True))
    assert [e.kind for e in entries] == ["action_ignored"]
    assert request.asked == ["ben"]


def test_after_the_end_the_result_of_an_action_changes_nothing() -> None:
    request = acting({})
    [call] = request.state.actions
    request.do(Withdraw(by=Actor(person="rita")))
    assert request.of_kind("branch_ended")
    assert request.do(ActionDone(node="act", visit=1, key=call.key, ok=True)) == []


def test_people_whom_an_action_names_are_looked_up_when_they_are_needed() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "act": {"type": "action", "action": "look", "output": {"boss": "who"}},
        "a": {"step": "Stage 1"},
    }
    spec = graph("start -> act", "act -> a", "a -> approved", nodes=nodes)
    request = case({"approvers": ["input:boss"]}, variables=[{"name": "boss", "type": "string"}], graph_spec=spec)
    request.done("act", {"who": "user:cid"})
    assert request.asked == ["cid"]
    assert request.state.directory_given == {"boss": "user:cid"}


def test_a_resubmission_does_not_undo_what_the_process_has_set() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "act": {"type": "action", "action": "look", "output": {"score": "risk"}},
        "a": {"step": "Stage 1"},
    }
    spec = graph("start -> act", "act -> a", "a -> approved", nodes=nodes)
    request = case(
        ANN, graph_spec=spec, variables=[AMOUNT, {"name": "score", "type": "integer"}], input={"amount": "1"}
    )
    request.done("act", {"risk": 3})
    request.decide("ann", "request_changes")
    with pytest.raises(InputInvalid) as refused:
        request.do(Resubmit(by=Actor(person="rita"), input={"amount": "2", "score": 0}))
    assert [p.pointer for p in refused.value.problems] == ["/input/score"]
    request.do(Resubmit(by=Actor(person="rita"), input={"amount": "2", "score": 3}))
    assert request.state.input == {"amount": "2", "score": 3}
    request.decide("ann", "request_changes")
    request.do(Resubmit(by=Actor(person="rita"), input={"amount": "4"}))
    assert request.state.input == {"amount": "4", "score": 3}


def test_a_loop_of_actions_ends_after_a_thousand_visits() -> None:
    request = acting({}, "act -> act on failed", "act -> approved")
    request.twice = False
    for _ in range(MOST_VISITS):
        assert request.state.status == "pending"
        request.done("act", error="again")
    assert request.state.status == "failed"


@pytest.mark.parametrize(
    ("node", "pointer"),
    [
        ({"action": "lok"}, "/action"),
        ({"input": {"x": {"expr": "amout"}}}, "/input/x/expr"),
        ({"input": {"x": [{"y": {"expr": "1 +"}}]}}, "/input/x/0/y/expr"),
        ({"output": {"scor": "risk"}}, "/output/scor"),
    ],
)
def test_a_fault_in_an_action_is_named_at_its_place(node: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        acting(node)
    assert [p.pointer for p in refused.value.problems] == [f"/graph_spec/nodes/3{pointer}"]


# Sub-processes

CHILD = blueprint(ANN, variables=[{"name": "sum", "type": "decimal", "required": True}])


def parent(*more: str, node: dict[str, Any] | None = None, amount: str | None = "5") -> Case:
    full = {
        "type": "subprocess",
        "template": "Child",
        "input": {"sum": {"expr": "amount"}},
        "output": {"amount": "sum"},
    }
    spec = graph("start -> sub", *(more or ("sub -> approved",)), nodes={"sub": {**full, **(node or {})}})
    raw = blueprint(graph_spec=spec, variables=[AMOUNT])
    return Case(
        plan=plan_of(raw, {"Child": CHILD}), org=office(), input={"amount": amount} if amount else {}, twice=True
    )


def test_a_sub_process_is_started_as_a_request_of_its_own_and_its_variables_come_back() -> None:
    request = parent()
    [call] = request.steps[-1].children
    assert (call.request_id, call.child, call.input) == ("r~1", "Child", {"sum": "5"})
    assert request.plan.children["Child"].plan.name == "Test"
    request.ended("sub", "approved", {"sum": "6"})
    assert (request.state.outcome, request.state.input) == ("approved", {"amount": "6"})
    assert request.steps[-1].ended_children == ()


@pytest.mark.parametrize(
    ("outcome", "more", "status", "ends"),
    [
        ("rejected", ("sub -> approved", "sub -> rejected on rejected"), "completed", "rejected"),
        ("on_hold", ("sub -> approved", "sub -> rejected on on_hold"), "completed", "rejected"),
        ("on_hold", (), "completed", "on_hold"),  # no edge: the request ends with it
        ("failed", ("sub -> approved", "sub -> rejected on failed"), "completed", "rejected"),
        ("failed", (), "failed", None),
        ("cancelled", (), "failed", None),
        ("withdrawn", (), "failed", None),
    ],
)
def test_the_outcome_of_a_sub_process_decides_the_way_on(
    outcome: str, more: tuple[str, ...], status: str, ends: str | None
) -> None:
    request = parent(*more)
    request.ended("sub", outcome, {"sum": "5"})
    assert (request.state.status, request.state.outcome) == (status, ends)


def test_a_sub_process_whose_input_does_not_fit_fails_before_it_begins() -> None:
    request = parent(amount=None)
    assert request.state.status == "failed"
    assert not any(step.children for step in request.steps)


def test_withdrawing_a_request_ends_its_sub_processes() -> None:
    request = parent()
    request.do(Withdraw(by=Actor(person="rita")))
    assert request.steps[-1].ended_children == ("r~1",)


@pytest.mark.parametrize(
    ("node", "pointer"),
    [
        ({"template": "Nobody"}, "/template"),
        ({"version": "9.9.9"}, "/template"),
        ({"input": {"summ": 1}}, "/input/summ"),
        ({"output": {"amount": "summ"}}, "/output/amount"),
    ],
)
def test_a_fault_in_a_sub_process_is_named_at_its_place(node: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        parent(node=node)
    assert [p.pointer for p in refused.value.problems] == [f"/graph_spec/nodes/3{pointer}"]


def test_beside_a_join_of_every_branch_one_of_any_ends_all_of_them() -> None:
    raw = forked("every")
    nodes = raw["graph_spec"]["nodes"]
    edges = [e for e in raw["graph_spec"]["edges"] if e["from"] != "a"]
    raw["graph_spec"] = {
        "nodes": [*nodes, {"id": "stop", "type": "join", "need": "any"}],
        "edges": [*edges, {"from": "a", "to": "stop", "on": "approved"}, {"from": "stop", "to": "last"}],
    }
    request = Case(plan=plan_of(raw), org=office(), twice=True)
    request.decide("ben")
    request.decide("ann")
    assert request.asked == ["cfo"]
    assert request.state.joins == ()
    raw["graph_spec"]["nodes"][-1]["need"] = "all"
    assert "the other needs any" in str(problems(raw))
