"""Explore: every feasible route with a witness, the given request step by step, and what is said of what was cut."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from placet.definition.action_spec import ActionSpec
from placet.definition.model import parse_definition
from placet.directory import Directory
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from simulation.modes.explore import explore
from simulation.report.result import SimulationResult
from simulation.scenario.prepared_scenario import MOST_CHILDREN
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from tests.past_waits import waits
from tests.unit.core import START, blueprint, office
from tests.unit.core import graph as connected

EXPENSE = json.loads((Path(__file__).parents[2] / "blueprints" / "expense.json").read_text())
HOUR_MS = 3_600_000


def ask(raw: Any, **more: Any) -> Scenario:
    """Ask about a process, as rita of the tests' office."""
    return Scenario(**{"blueprint": raw, "people": office(), "requester": "rita", "start": START, **more})


def routes(simulation: SimulationResult) -> dict[tuple[str, ...], str | None]:
    """Return each branch's route and outcome."""
    return {b.route: b.outcome for b in simulation.branch_explorations}


def decision(*ways: tuple[str | None, str], variables: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a process of one decision; each way is a condition (None: the default) and the outcome it ends with."""
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "trigger"}, {"id": "which", "type": "decision"}]
    nodes += [{"id": f"end{n}", "type": "terminator", "outcome": o} for n, (_, o) in enumerate(ways)]
    edges: list[dict[str, Any]] = [{"from": "start", "to": "which"}]
    edges += [
        {"from": "which", "to": f"end{n}", **({"condition": c} if c else {"default": True})}
        for n, (c, _) in enumerate(ways)
    ]
    return {**blueprint(variables=variables), "graph_spec": {"nodes": nodes, "edges": edges}}


def test_every_feasible_route_and_outcome_is_one_branch() -> None:
    found = explore(ask(EXPENSE, given={"amount": "100", "department": "it"}))
    assert routes(found) == {
        ("start", "manager", "large", "cfo", "yes"): "approved",
        ("start", "manager", "large", "cfo", "no"): "rejected",
        ("start", "manager", "large", "yes"): "approved",
        ("start", "manager", "no"): "rejected",
    }


def test_a_branch_carries_its_condition_a_witness_its_chain_and_its_time() -> None:
    found = explore(ask(EXPENSE, given={"amount": "100", "department": "it"}))
    large = next(b for b in found.branch_explorations if b.route[-2:] == ("cfo", "yes"))
    assert large.path_condition == "(amount > 5000)"
    assert float(large.witness["amount"]) > 5000
    assert large.witness["department"] == "it", "what does not matter stays as it was given"
    assert [(link.assignee, link.decision) for link in large.approval_chain] == [
        ("user:mo", "approve"),
        ("user:cfo", "approve"),
    ]
    assert large.predicted_duration_ms == (12 + 24) * HOUR_MS


def test_the_given_request_is_shown_step_by_step() -> None:
    found = explore(ask(EXPENSE, given={"amount": "100", "department": "it"}))
    assert [(s.after_ms, s.kind) for s in found.execution_path] == [
        (0, "started"),
        (0, "task_opened"),
        (8 * HOUR_MS, "reminded"),
        (12 * HOUR_MS, "decided"),
        (12 * HOUR_MS, "stage_settled"),
        (12 * HOUR_MS, "routed"),
        (12 * HOUR_MS, "completed"),
    ]
    assert (found.outcome, found.predicted_duration_ms) == ("approved", 12 * HOUR_MS)
    assert found.validation_errors == ()
    assert json.loads(json.dumps(found.described()))["approval_chain"][0]["assignee"] == "user:mo"


def test_a_route_that_no_input_takes_is_no_branch() -> None:
    raw = decision(("n > 5", "big"), ("n <= 5", "small"), (None, "never"), variables=[{"name": "n", "type": "integer"}])
    assert sorted(routes(explore(ask(raw))).values(), key=str) == ["big", "small"]


def test_a_witness_that_no_edge_value_gives_comes_from_the_solver() -> None:
    variables = [{"name": n, "type": "integer"} for n in ("a", "b")]
    found = explore(ask(decision(("a * 3 == b + 1000 && a > 400", "odd"), (None, "even"), variables=variables)))
    odd = next(b for b in found.branch_explorations if b.outcome == "odd")
    assert odd.witness_from == "solver"
    assert odd.witness["a"] * 3 == odd.witness["b"] + 1000


def test_a_stage_that_may_expire_has_a_branch_for_it() -> None:
    found = explore(ask(blueprint({"sla_hours": 4, "final": "expire"})))
    assert sorted(b.outcome or "" for b in found.branch_explorations) == ["approved", "expired", "rejected"]


def test_an_outcome_that_an_earlier_approval_rules_out_is_no_branch() -> None:
    raw = blueprint({}, {}, settings={"separation_of_duties": {"repeat": "carry"}})
    found = explore(ask(raw))
    assert sorted(b.outcome or "" for b in found.branch_explorations) == ["approved", "rejected"]
    assert any("cannot occur" in w for w in found.warnings)


def test_a_cut_loop_is_a_warning() -> None:
    raw = blueprint({})
    raw["graph_spec"] = {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "again", "type": "approval", "step": "Stage 1"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
        ],
        "edges": [
            {"from": "start", "to": "again"},
            {"from": "again", "to": "yes", "on": "approved"},
            {"from": "again", "to": "again", "on": "rejected"},
        ],
    }
    found = explore(ask(raw))
    assert [len(b.outcomes) for b in found.branch_explorations] == [1, 2]
    assert any("back to again" in w for w in found.warnings)


def test_branches_beyond_the_limit_are_cut_with_a_warning() -> None:
    found = explore(ask(blueprint({}, {}, {}, {}), most_branches=3))
    assert len(found.branch_explorations) == 3
    assert any("only the first 3 branches" in w for w in found.warnings)


def test_silence_escalates_and_a_request_that_nobody_decides_is_a_warning() -> None:
    script = parse_script([{"on": "Manager Approval", "do": "wait"}])
    found = explore(ask(EXPENSE, given={"amount": "1", "department": "it"}, script=script, horizon=timedelta(days=30)))
    kinds = [s.kind for s in found.execution_path]
    assert kinds.count("escalated") == 2, "department head, then their manager"
    assert found.outcome is None
    assert any("still open" in w for w in found.warnings)


def test_changes_are_requested_once_and_the_requester_resubmits() -> None:
    script = parse_script([{"decision": "request_changes", "comment": "more"}])
    found = explore(ask(blueprint({"sla_hours": 24}), script=script))
    kinds = [s.kind for s in found.execution_path]
    assert (kinds.count("changes_requested"), kinds.count("resubmitted")) == (1, 1)
    assert [link.round for link in found.approval_chain] == [1, 2]


def test_history_gives_a_distribution() -> None:
    hours = [n * 3600.0 for n in range(1, 21)]
    found = explore(ask(blueprint({"sla_hours": 48}), past=waits({"Stage 1": hours})))
    predicted = found.predicted_duration
    assert predicted is not None
    assert predicted.source == "history"
    assert predicted.p50_ms is not None
    assert predicted.p90_ms is not None
    assert 7 * HOUR_MS < predicted.p50_ms < 14 * HOUR_MS < predicted.p90_ms <= 20 * HOUR_MS


def test_a_broken_blueprint_is_answered_with_validation_errors() -> None:
    found = explore(ask({"name": "x", "version": "one", "process_steps": [{"stage_name": "A", "approvers": []}]}))
    assert found.failed
    assert {"/process_steps/0/approvers"} <= {e["pointer"] for e in found.validation_errors}


def test_a_wrong_input_is_answered_with_validation_errors() -> None:
    found = explore(ask(EXPENSE, given={"amount": "-1", "department": "law"}))
    assert {e["pointer"] for e in found.validation_errors} == {"/input/amount", "/input/department"}


def test_an_input_without_what_its_route_needs_is_answered_with_validation_errors() -> None:
    note = {"name": "note", "type": "string", "required": False}
    raw = decision(('note == "x"', "approved"), (None, "rejected"), variables=[note])
    found = explore(ask(raw, given={}))
    assert found.failed
    assert [e["pointer"] for e in found.validation_errors] == ["/input/note"]
    assert explore(ask(raw, given={"note": "x"})).outcome == "approved"


def test_without_people_a_sample_organisation_is_used() -> None:
    found = explore(ask(EXPENSE, people=Directory(), given={"amount": "9000", "department": "it"}))
    assert found.outcome == "approved"
    assert any("sample organisation" in w for w in found.warnings)


def test_a_form_is_filled_in_where_the_stage_asks_for_one() -> None:
    form = {"type": "object", "required": ["code"], "properties": {"code": {"type": "string", "minLength": 8}}}
    assert explore(ask(blueprint({"form": form, "comment_required": ["approve"]}))).outcome == "approved"


def test_a_queue_is_claimed_before_it_is_decided() -> None:
    found = explore(ask(blueprint({"approvers": ["group:finance"], "claim": True})))
    kinds = [s.kind for s in found.execution_path]
    assert kinds.index("claimed") < kinds.index("decided")
    assert found.outcome == "approved"


def test_the_same_scenario_has_the_same_result() -> None:
    one, other = (explore(ask(EXPENSE, given={"amount": "1", "department": "it"})).described() for _ in range(2))
    for told in (one, other):
        del told["statistics"]
    assert one == other


def graph(nodes: list[dict[str, Any]], edges: list[tuple[str, str, str | None]], *steps: dict[str, Any]) -> Any:
    """Return a process of these nodes and edges (from, to, on)."""
    ends = [{"id": o, "type": "terminator", "outcome": o} for o in ("approved", "rejected")]
    stages = [{"id": f"s{n}", "type": "approval", "step": f"Stage {n}"} for n, _ in enumerate(steps, 1)]
    told = [{"from": a, "to": b, **({"on": on} if on else {})} for a, b, on in edges]
    every = [{"id": "start", "type": "trigger"}, *stages, *nodes, *ends]
    return {**blueprint(*steps), "graph_spec": {"nodes": every, "edges": told}}


def test_the_branches_of_a_fork_run_side_by_side_and_every_outcome_of_both_is_explored() -> None:
    raw = graph(
        [{"id": "split", "type": "fork"}, {"id": "meet", "type": "join"}],
        [
            ("start", "split", None),
            ("split", "s1", None),
            ("split", "s2", None),
            ("s1", "meet", "approved"),
            ("s1", "rejected", "rejected"),
            ("s2", "meet", "approved"),
            ("s2", "rejected", "rejected"),
            ("meet", "approved", None),
        ],
        {"sla_hours": 10},
        {"approvers": ["role:cfo"], "sla_hours": 20},
    )
    found = explore(ask(raw))
    assert (found.outcome, found.predicted_duration_ms) == ("approved", 10 * HOUR_MS)
    ended = [(tuple(o["result"] for o in b.outcomes), b.outcome) for b in found.branch_explorations]
    assert (("approved", "approved"), "approved") in ended
    assert {outcome for _, outcome in ended} == {"approved", "rejected"}
    assert len(ended) == 3


def drawn(*edges: str, steps: int, **joins: Any) -> dict[str, Any]:
    """Return a process of edges like `f -> s1`: s1, s2… approve, f and g fork, w2 waits 2 hours, `joins` need."""
    names = {part.split(" on ")[0] for edge in edges for part in edge.split(" -> ")}
    nodes: dict[str, Any] = {f"s{n}": {"step": f"Stage {n}"} for n in range(1, steps + 1)}
    nodes |= {name: {"type": "fork"} for name in names & {"f", "g"}}
    nodes |= {name: {"type": "join", "need": need} for name, need in joins.items()}
    nodes |= {name: {"type": "wait", "hours": int(name[1:])} for name in names if name.startswith("w")}
    people = ["user:mo", "user:cfo", "user:ceo", "user:dh", "user:ann"]
    stages = [{"approvers": [people[n]], "sla_hours": 10 + n} for n in range(steps)]
    return blueprint(*stages, graph_spec=connected(*edges, nodes=nodes))


def results(simulation: SimulationResult) -> list[tuple[str, str | None]]:
    """Return how the stages of each branch came out, as 1a (Stage 1 approved) or 2r, and its outcome."""
    return sorted(
        (" ".join(sorted(o["stage"][-1] + o["result"][0] for o in b.outcomes)), b.outcome)
        for b in simulation.branch_explorations
    )


REJECT = ("s1 -> rejected on rejected", "s2 -> rejected on rejected")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        # what follows an inner join is followed before the outer one
        (
            drawn(
                "start -> f", "f -> g", "f -> s3", "g -> s1", "g -> s2", "s1 -> i on approved", "s2 -> i on approved",
                "i -> s4", "s4 -> j on approved", "s3 -> j on approved", "j -> approved",
                steps=4, i="all", j="all",
            ),
            {
                ("1a 2a 3a 4a", "approved"), ("1r", "rejected"), ("1a 2r", "rejected"), ("1a 2a 3a 4r", "rejected"),
                ("1a 2a 3r 4a", "rejected"),
            },
        ),
        # the first of two: either, and what its rejection leads to
        (
            drawn("start -> f", "f -> s1", "f -> s2", "s1 -> j on approved", "s2 -> j on approved", "j -> s3",
                  "s3 -> approved on approved", *REJECT, steps=3, j="any"),
            {
                ("1a 3a", "approved"), ("1a 3r", "rejected"), ("1r", "rejected"), ("2a 3a", "approved"),
                ("2a 3r", "rejected"), ("2r", "rejected"),
            },
        ),
        # two of three: each pair
        (
            drawn("start -> f", *(f"f -> s{n}" for n in (1, 2, 3)), *(f"s{n} -> j on approved" for n in (1, 2, 3)),
                  *(f"s{n} -> j on rejected" for n in (1, 2, 3)), "j -> approved", steps=3, j={"at_least": 2}),
            {
                (f"{a}{x} {b}{y}", "approved")
                for a, b in ((1, 2), (1, 3), (2, 3)) for x in "ar" for y in "ar"
            },
        ),
        # a decision that is usually too slow comes in time where people hurry
        (
            drawn("start -> f", "f -> s1", "f -> w2", "s1 -> j on approved", "w2 -> j", "j -> approved",
                  "s1 -> rejected on rejected", steps=1, j="any"),
            {("1a", "approved"), ("1r", "rejected"), ("", "approved")},
        ),
        # a branch that leads to no join is a way out of its own
        (
            drawn("start -> f", "f -> s1", "f -> s2", "f -> w3", "s1 -> j on approved", "s2 -> j on approved",
                  "w3 -> rejected", "j -> approved", steps=2, j="all"),
            {("1a 2a", "approved"), ("1r", "rejected"), ("1a 2r", "rejected"), ("", "rejected")},
        ),
    ],
    ids=["inner", "any", "two of three", "hurry", "way out"],
)  # fmt: skip
def test_every_route_through_a_join_is_explored_once(
    raw: dict[str, Any], expected: set[tuple[str, str | None]]
) -> None:
    found = explore(ask(raw))
    assert results(found) == sorted(expected)
    assert not [w for w in found.warnings if "cannot" in w]


def test_a_branch_that_occurs_only_with_quick_decisions_is_marked_as_hurried() -> None:
    raw = drawn("start -> f", "f -> s1", "f -> w2", "s1 -> j on approved", "w2 -> j", "j -> approved", steps=1, j="any")
    branches = {b.outcomes[0]["result"] if b.outcomes else "waited": b for b in explore(ask(raw)).branch_explorations}
    assert {name: b.hurried for name, b in branches.items()} == {"approved": True, "rejected": True, "waited": False}
    assert branches["approved"].predicted_duration_ms == 60_000


def test_a_branch_that_nobody_can_be_slower_than_is_always_first() -> None:
    raw = drawn("start -> f", "f -> s1", "f -> j", "s1 -> j on approved", "j -> approved", steps=1, j="any")
    found = explore(ask(raw))
    assert [b.outcome for b in found.branch_explorations if not b.outcomes] == ["approved"]
    assert any("cannot occur" in w for w in found.warnings)


def test_an_action_is_not_run_and_its_failure_is_a_branch_of_its_own() -> None:
    spec = ActionSpec(name="pay", executor="http", is_idempotent=True, latency_class="slow", cost="2.50")
    raw = graph(
        [{"id": "pay", "type": "action", "action": "pay", "input": {}}],
        [
            ("start", "s1", None),
            ("s1", "pay", "approved"),
            ("s1", "rejected", "rejected"),
            ("pay", "approved", "done"),
            ("pay", "rejected", "failed"),
        ],
        {"sla_hours": 2},
    )
    found = explore(ask(raw, actions={"pay": spec}))
    assert (found.outcome, found.predicted_duration_ms) == ("approved", HOUR_MS + 60_000)
    assert found.withheld["action pay"] == 1
    assert found.cost is not None
    assert found.cost.actions == Decimal("2.50")
    assert {b.route[-2:]: b.outcome for b in found.branch_explorations} == {
        ("pay", "approved"): "approved",
        ("pay", "rejected"): "rejected",
        ("s1", "rejected"): "rejected",
    }


def test_a_wait_for_an_event_has_a_branch_for_its_timeout() -> None:
    raw = graph(
        [{"id": "goods", "type": "wait", "event": "goods_received", "timeout_hours": 8}],
        [("start", "goods", None), ("goods", "approved", "event"), ("goods", "rejected", "timeout")],
        {},
    )
    raw["graph_spec"]["nodes"] = [n for n in raw["graph_spec"]["nodes"] if n["id"] != "s1"]
    found = explore(ask(raw))
    assert (found.outcome, found.predicted_duration_ms) == ("approved", 4 * HOUR_MS)
    times = {b.outcome: b.predicted_duration_ms for b in found.branch_explorations}
    assert times == {"approved": 4 * HOUR_MS, "rejected": 8 * HOUR_MS}


@pytest.mark.parametrize(
    "raw",
    [
        blueprint({"reminders": {"every_hours": 1e-9}}),
        blueprint({"sla_hours": 1e-9, "re_escalate_after_hours": 1e-9, "escalation_to": "department_head"}),
        blueprint(*[{"approvers": ["group:finance"], "quorum": "all"}] * 60),
        decision(*[(f"n % {k} == 0 && n > {k}", f"o{k}") for k in range(2, 60)], (None, "none"),
                 variables=[{"name": "n", "type": "integer", "required": True}]),
        blueprint({"form": {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}, "required": ["a"]}}),
    ],
    ids=["reminders", "escalations", "stages", "decisions", "reference"],
)  # fmt: skip
def test_a_hostile_blueprint_is_answered_within_bounds(raw: dict[str, Any]) -> None:
    begun = time.process_time()
    found = explore(ask(raw, seconds=1.0, most_entries=2000, script=parse_script([{"do": "wait"}])))
    assert time.process_time() - begun < 15
    assert len(found.execution_path) < 15_000
    assert found.warnings or found.validation_errors or found.branch_explorations


def test_sub_processes_that_multiply_are_stopped_with_a_warning() -> None:
    leaf = blueprint(graph_spec=connected("start -> approved", nodes={}))
    raw, children = leaf, {}
    for _ in range(4):  # sixty of sixty of sixty of sixty
        plan = compile_plan(parse_definition(raw), start=START, children=children)
        children = {"T": Child(template_id="t", plan=plan)}
        nodes = {f"s{n}": {"type": "subprocess", "template": "T"} for n in range(60)}
        ids = ["start", *nodes, "approved"]
        edges = [f"{a} -> {b}" for a, b in pairwise(ids)]
        raw = blueprint(graph_spec=connected(*edges, nodes=nodes))
    found = explore(ask(raw, children=children))
    assert (found.stopped, found.outcome) == ("unknown", None)
    assert f"more than {MOST_CHILDREN:,} sub-processes" in found.warnings[0]


def test_routes_that_depend_on_the_time_are_explored_for_the_given_time_and_the_others_are_a_warning() -> None:
    day = {"name": "day", "type": "date", "required": True}
    raw = decision(("today() > day", "late"), ("hour(now()) >= 12", "afternoon"), (None, "morning"), variables=[day])
    found = explore(ask(raw, given={"day": "2030-01-01"}))
    assert found.outcome == "morning"
    assert any("starts_at" in w for w in found.warnings)
    later = explore(ask(raw, given={"day": "2030-01-01"}, start=START + timedelta(hours=4)))
    assert later.outcome == "afternoon"
    late = explore(ask(raw, given={"day": "2026-01-01"}))
    assert (late.outcome, {b.outcome for b in late.branch_explorations}) == ("late", {"late"})


def test_facts_about_the_requester_decide_in_a_simulation_as_in_a_request() -> None:
    raw = decision(
        ("requester.managers >= 3 && amount > 5", "far"),
        (None, "near"),
        variables=[{"name": "amount", "type": "integer"}],
    )
    assert {b.outcome for b in explore(ask(raw)).branch_explorations} == {"far", "near"}
    assert {b.outcome for b in explore(ask(raw, requester="dh")).branch_explorations} == {"near"}
