"""Nodes that a rehearsal does not run: actions, events and sub-processes take their time and answer as simulated."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from placet.audit.reasons import why_of
from placet.definition.model import parse_definition
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from simulation.modes.rehearse import RehearsalEngine, rehearse
from simulation.report.result import SimulationResult
from simulation.run.bounds import MOST_ROUNDS
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from tests.engine import SharedEngine
from tests.replays import replayer
from tests.unit.core import blueprint, graph, office, spec

HOUR_MS = 3_600_000
ANN = {"approvers": ["user:ann"]}
AMOUNT = [{"name": "amount", "type": "decimal"}]
SCHEMA = {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}
ACTIONS = {
    "bill": spec("bill", latency_class="very_slow", is_idempotent=False, side_effects=("charges a card",)),
    "strict": spec("strict", input_schema=SCHEMA),
    "gives": spec("gives", output_schema=SCHEMA),
}
INNER = blueprint({"approvers": ["role:cfo"], "sla_hours": 4}, variables=[{"name": "sum", "type": "decimal"}])
SUB = {"type": "subprocess", "template": "Inner", "input": {"sum": {"expr": "amount"}}, "output": {"amount": "sum"}}


@pytest.fixture
def stage(client: Client, engine: SharedEngine) -> RehearsalEngine:
    """Give the namespace for rehearsals on the shared engine."""
    return RehearsalEngine.beside(client, engine.settings.rehearsal_namespace, "http://ui.example")


async def rehearsed(
    stage: RehearsalEngine, raw: dict[str, Any], *script: dict[str, Any], **more: Any
) -> SimulationResult:
    """Rehearse a process whose sub-process is INNER, and require that it agrees with the core."""
    now = datetime.now(UTC)
    inner = Child(template_id="inner", plan=compile_plan(parse_definition(INNER), start=now))
    known = {"actions": ACTIONS, "children": {"Inner": inner}, "given": {"amount": "5"}, "people": office()}
    scenario = Scenario(
        blueprint=raw,
        requester="rita",
        start=now,
        script=parse_script(list(script)),
        request_id=f"rehearsal-{uuid.uuid4().hex[:12]}",
        **{**known, **more},
    )
    found = await rehearse(stage, scenario)
    assert found.extra["differences"] == []
    return found


def moments(simulation: SimulationResult, *kinds: str) -> list[tuple[str, int]]:
    """Return when these kinds of things happened, in whole minutes."""
    return [(s.kind, round(s.after_ms / 60_000)) for s in simulation.execution_path if s.kind in kinds]


def acting(name: str, **node: Any) -> dict[str, Any]:
    full = {"type": "action", "action": name, **node}
    edges = ("start -> act", "act -> approved", "act -> rejected on failed")
    return blueprint(variables=AMOUNT, graph_spec=graph(*edges, nodes={"act": full}))


async def test_an_action_that_may_run_only_once_takes_its_time_and_its_history_replays(stage: RehearsalEngine) -> None:
    found = await rehearsed(stage, acting("bill"))
    assert moments(found, "action_started", "action_run") == [("action_started", 0), ("action_run", 30)]
    [withheld] = found.extra["actions"]
    assert (withheld["node"], withheld["side_effects"], withheld["error"]) == ("act", ["charges a card"], None)
    history = await stage.client.get_workflow_handle(found.extra["workflow_id"]).fetch_history()
    await replayer(stage.client.data_converter).replay_workflow(history)


async def test_an_input_that_breaks_its_schema_fails_at_once_as_it_would(stage: RehearsalEngine) -> None:
    found = await rehearsed(stage, acting("strict", input={"n": {"expr": "amount"}}))
    assert found.outcome == "approved", "a decimal is text"
    found = await rehearsed(stage, acting("strict", input={"n": 7}))
    assert found.outcome == "rejected"
    failed = next(s for s in found.execution_path if s.kind == "action_failed")
    assert "/input/n" in why_of(failed.detail)
    [error] = found.validation_errors
    assert (error["code"], error["pointer"]) == ("action_input", "/graph_spec/nodes/3/input/n")
    assert (found.failed, found.extra["actions"][0]["breaches"][0]["pointer"]) == (False, "/input/n")


async def test_outputs_of_scripts_are_validated_in_sub_processes_too(stage: RehearsalEngine) -> None:
    now = datetime.now(UTC)
    line = {"on": "gives", "do": "answer", "output": {"n": 7}}
    found = await rehearsed(stage, acting("gives"), line)
    assert found.outcome == "rejected"
    assert [(e["code"], e["pointer"]) for e in found.validation_errors] == [("action_output", "/script/0/output/n")]

    plan = compile_plan(parse_definition(acting("strict", input={"n": 7})), start=now, actions=ACTIONS)
    inner = {"Inner": Child(template_id="inner", plan=plan)}
    sub = {"type": "subprocess", "template": "Inner"}
    outer = blueprint(variables=AMOUNT, graph_spec=graph("start -> sub", "sub -> approved", nodes={"sub": sub}))
    found = await rehearsed(stage, outer, children=inner)
    assert [(e["code"], e["pointer"]) for e in found.validation_errors] == [("action_input", "/graph_spec/nodes/3")]


async def test_an_endless_loop_is_rehearsed_for_some_rounds_with_a_warning(stage: RehearsalEngine) -> None:
    nodes = {"w": {"type": "wait", "hours": 24}, "d": {"type": "decision"}}
    drawn = graph("start -> w", "w -> d", nodes=nodes)
    drawn["edges"] += [
        {"from": "d", "to": "approved", "condition": "amount > 100.0"},
        {"from": "d", "to": "w", "default": True},
    ]
    found = await rehearsed(stage, blueprint(variables=AMOUNT, graph_spec=drawn))
    assert (found.end, found.stopped, found.outcome) == ("pending", "loop", None)
    visits = [s for s in found.execution_path if s.kind == "waiting"]
    assert MOST_ROUNDS < len(visits) < MOST_ROUNDS * 2
    assert any("has an endless loop" in w for w in found.warnings)
    assert any("still open after 366 days" in w for w in found.warnings)


async def test_a_script_sets_the_results_of_actions_and_events(stage: RehearsalEngine) -> None:
    line = {"on": "bill", "do": "fail", "after_hours": 2, "comment": "the bank is closed"}
    found = await rehearsed(stage, acting("bill"), line)
    assert moments(found, "action_failed") == [("action_failed", 120)]
    assert (found.outcome, found.extra["actions"][0]["error"]) == ("rejected", "the bank is closed")

    node = {"type": "wait", "event": "signed", "timeout_hours": 8, "output": {"amount": "sum"}}
    edges = ("start -> w", "w -> approved on event", "w -> rejected on timeout")
    raw = blueprint(variables=AMOUNT, graph_spec=graph(*edges, nodes={"w": node}))
    found = await rehearsed(stage, raw, {"on": "signed", "do": "happen", "at_hours": 3, "output": {"sum": 12.5}})
    assert moments(found, "event_received") == [("event_received", 180)]
    assert found.execution_path[-2].kind == "waited"
    found = await rehearsed(stage, raw, {"on": "w", "do": "wait"})
    assert (found.outcome, moments(found, "waited")) == ("rejected", [("waited", 480)])


async def test_reminders_go_on_while_an_action_and_a_sub_process_run(stage: RehearsalEngine) -> None:
    nodes = {"f": {"type": "fork"}, "a": {"step": "Stage 1"}, "act": {"type": "action", "action": "bill"}, "sub": SUB}
    branches = [f"f -> {n}" for n in ("a", "act", "sub")] + [f"{n} -> j" for n in ("a", "act", "sub")]
    drawn = graph("start -> f", *branches, "j -> approved", nodes=nodes | {"j": {"type": "join"}})
    raw = blueprint(ANN | {"reminders": {"every_hours": 0.2}}, variables=AMOUNT, graph_spec=drawn)
    found = await rehearsed(stage, raw, {"on": "Stage 1", "decision": "approve", "at_hours": 3.1})
    times = dict(moments(found, "action_run", "child_ended", "decided"))
    assert times == {"action_run": 30, "child_ended": 120, "decided": 186}
    assert moments(found, "reminded")[:3] == [("reminded", 12), ("reminded", 24), ("reminded", 36)]
    [inner] = found.extra["sub_processes"]
    assert (inner["outcome"], inner["duration_ms"] // 60_000) == ("approved", 120)
    assert inner["approval_chain"][0]["assignee"] == "user:cfo"
    assert inner["links"]["temporal_ui"].endswith(f"/workflows/{inner['request_id']}")


async def test_no_timer_is_skipped_once_a_sub_process_has_ended(stage: RehearsalEngine) -> None:
    nodes = {"sub": SUB, "w": {"type": "wait", "hours": 1}, "v": {"type": "wait", "hours": 2}, "a": {"step": "Stage 1"}}
    drawn = graph("start -> sub", "sub -> w", "w -> v", "v -> a", "a -> approved", nodes=nodes)
    raw = blueprint(ANN | {"reminders": {"every_hours": 3}}, variables=AMOUNT, graph_spec=drawn)
    found = await rehearsed(stage, raw, {"on": "Stage 1", "decision": "approve", "at_hours": 9})
    assert moments(found, "child_ended", "waited", "reminded", "decided") == [
        ("child_ended", 120), ("waited", 180), ("waited", 300), ("reminded", 480), ("decided", 540)]  # fmt: skip
    # What is tried again and again while time is skipped would have the engine pass over a timer that is due.
    history = await stage.client.get_workflow_handle(found.extra["workflow_id"]).fetch_history()
    happened = [EventType.Name(event.event_type) for event in history.events]
    assert happened.count("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED") == happened.count("EVENT_TYPE_ACTIVITY_TASK_COMPLETED")


async def test_a_sub_process_is_cancelled_at_its_parents_moment(stage: RehearsalEngine) -> None:
    raw = blueprint(variables=AMOUNT, graph_spec=graph("start -> sub", "sub -> approved", nodes={"sub": SUB}))
    found = await rehearsed(stage, raw, {"do": "withdraw", "at_hours": 1})
    assert found.outcome == "withdrawn"
    [inner] = found.extra["sub_processes"]
    assert (inner["end"], inner["outcome"]) == ("cancelled", "cancelled")
    assert round(inner["duration_ms"] / 60_000) == 60


async def test_what_answers_after_its_branch_has_ended_is_ignored(stage: RehearsalEngine) -> None:
    nodes = {
        "f": {"type": "fork"},
        "w": {"type": "wait", "hours": 0.25},
        "act": {"type": "action", "action": "bill"},
        "j": {"type": "join", "need": "any"},
        "a": {"step": "Stage 1"},
    }
    drawn = graph("start -> f", "f -> w", "f -> act", "w -> j", "act -> j", "j -> a", "a -> approved", nodes=nodes)
    found = await rehearsed(stage, blueprint(ANN, variables=AMOUNT, graph_spec=drawn), decide_after=timedelta(hours=2))
    assert moments(found, "joined", "action_ignored", "completed") == [
        ("joined", 15), ("action_ignored", 30), ("completed", 135)]  # fmt: skip


async def test_sub_processes_in_sub_processes_are_rehearsed_too(stage: RehearsalEngine) -> None:
    now = datetime.now(UTC)
    outer = blueprint(variables=AMOUNT, graph_spec=graph("start -> sub", "sub -> approved", nodes={"sub": SUB}))
    inner = {"Inner": Child(template_id="inner", plan=compile_plan(parse_definition(INNER), start=now))}
    middle = compile_plan(parse_definition(outer), start=now, children=inner)
    raw = {**outer, "name": "Outermost"}
    nodes = {"sub": {**SUB, "template": "Middle", "input": {"amount": {"expr": "amount"}}, "output": {}}}
    raw["graph_spec"] = graph("start -> sub", "sub -> approved", nodes=nodes)
    found = await rehearsed(stage, raw, children={"Middle": Child(template_id="middle", plan=middle)})
    root = found.extra["workflow_id"]
    assert [part["request_id"] for part in found.extra["sub_processes"]] == [f"{root}~1", f"{root}~1~1"]
    assert found.outcome == "approved"
    assert round((found.predicted_duration_ms or 0) / HOUR_MS, 1) == 2.0


def computing(action: str) -> dict[str, Any]:
    """Return a process that computes a total by an action, and decides by it."""
    node = {"type": "action", "action": action, "input": {"total": {"expr": "a * 2.0"}}, "output": {"total": "total"}}
    drawn = graph("start -> s", "s -> d", nodes={"s": node, "d": {"type": "decision"}})
    drawn["edges"] += [
        {"from": "d", "to": "approved", "condition": "total > 100"},
        {"from": "d", "to": "rejected", "default": True},
    ]
    variables = [{"name": "a", "type": "decimal", "required": True}, {"name": "total", "type": "decimal"}]
    return {**blueprint(variables=variables, graph_spec=drawn), "process_steps": []}


async def test_a_pure_action_is_computed_by_the_workers_executor(stage: RehearsalEngine) -> None:
    catalog = {"double": spec("double", executor="set_variables")}
    found = await rehearsed(stage, computing("double"), given={"a": "60"}, actions=catalog)
    assert (found.outcome, found.extra["agrees_with_explore"]) == ("approved", True)
    assert not [warning for warning in found.warnings if "assumed" in warning]
    assert found.extra["actions"][0]["output"] == {"total": "120"}


async def test_agreement_on_assumed_values_is_no_agreement(stage: RehearsalEngine) -> None:
    found = await rehearsed(stage, computing("look"), given={"a": "60"}, actions={"look": spec("look")})
    assert found.extra["agrees_with_explore"] is None
    assert found.extra["differences"] == []
    assert any("assumed" in warning and "'s'" in warning for warning in found.warnings)
    script = {"do": "answer", "on": "s", "output": {"total": "120"}}
    found = await rehearsed(stage, computing("look"), script, given={"a": "60"}, actions={"look": spec("look")})
    assert (found.outcome, found.extra["agrees_with_explore"]) == ("approved", True)


async def test_people_who_are_told_are_told_at_once_and_nobody_is_waited_for(stage: RehearsalEngine) -> None:
    nodes = {
        "a": {"step": "Stage 1"},
        "tell": {"type": "notify", "to": ["group:finance"], "message": {"expr": '"For " + string(amount)'}},
    }
    edges = ("start -> a", "a -> tell on approved", "a -> rejected on rejected", "tell -> approved")
    found = await rehearsed(stage, blueprint(ANN, variables=AMOUNT, graph_spec=graph(*edges, nodes=nodes)))
    [told] = [s for s in found.execution_path if s.kind == "informed"]
    assert told.detail["to"] == ["user:ann", "user:ben", "user:cid"]
    assert told.after_ms == max(s.after_ms for s in found.execution_path)
