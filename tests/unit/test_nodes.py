"""Nodes that do not ask people: decision tables, forms that set variables, and waits."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

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


# Sub-processes
