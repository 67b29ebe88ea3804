"""One core, two drivers: any process under any script has the same timeline in virtual time and on the real engine."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from placet.definition.model import parse_definition
from placet.directory import Directory
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from simulation.modes.rehearse import RehearsalEngine, rehearse
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from tests.engine import SharedEngine
from tests.unit.core import ACTIONS
from tests.unit.test_machine_properties import CHILD, EVERYBODY, blueprints, drawings, organisations
from worker.connect import connect

# Moments that never coincide with a deadline or a reminder, which lie on half hours: at the same instant an engine may
# take either first.
HOURS = st.sampled_from([0.13, 0.71, 1.37, 3.83, 7.29, 25.61, 49.17])
NODES = {
    "action_run",
    "action_failed",
    "action_ignored",
    "waited",
    "event_received",
    "joined",
    "branch_ended",
    "child_ended",
}
STAGES = st.sampled_from([None, "Stage 1", "Stage 2", "Stage 3"])


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Any]:
    """Draw one line of a script."""
    do = draw(
        st.sampled_from(
            [
                *["decide"] * 6,
                *["undo"] * 2,
                "wait",
                "comment",
                "withdraw",
                "cancel",
                "reassign",
                "delegate",
                "extend",
                "add_approver",
                "ask",
                "answer_question",
                "remind",
                "resubmit",
                "answer",
                "fail",
                "happen",
            ]
        )
    )
    line: dict[str, Any] = {"do": do}
    if do in {"decide", "undo", "wait", "reassign", "delegate", "add_approver", "ask"}:
        line["on"] = draw(STAGES)
    if do in {"answer", "fail", "happen"}:
        line["on"] = "go" if do == "happen" else "look"
        line["output"] = draw(st.sampled_from([None, {"amount": 7}, {"amount": "much"}])) if do != "fail" else None
        line["after_hours"] = draw(HOURS)
        return {k: v for k, v in line.items() if v is not None}
    if do in {"comment", "extend", "cancel"} or draw(st.booleans()):
        line["by"] = draw(st.sampled_from(EVERYBODY))
    if do == "decide":
        line["decision"] = draw(st.sampled_from(["approve", "approve", "reject", "request_changes", "abstain"]))
        line["form"] = draw(st.sampled_from([None, {"ok": True}]))
    if do in {"reassign", "delegate", "add_approver"}:
        line["to"] = draw(st.sampled_from(EVERYBODY))
    if do == "extend":
        line["hours"] = draw(HOURS)
    if do in {"comment", "add_approver", "ask", "answer_question"}:
        line["comment"] = "a word"
    if do == "resubmit":  # what is approved changes, and is asked for again
        line |= {"input": draw(st.sampled_from([None, {"amount": "1"}, {"amount": "9000"}])), "after_hours": 0.37}
        return {k: v for k, v in line.items() if v is not None and k != "by"}
    line[draw(st.sampled_from(["at_hours", "after_hours"]))] = draw(HOURS)
    return {k: v for k, v in line.items() if v is not None}


def usable_lines(script: list[dict[str, Any]], raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Keep the lines whose stage the process has; the others would be refused."""
    nodes = raw.get("graph_spec", {}).get("nodes", ())
    there = {step["stage_name"] for step in raw["process_steps"]}
    there |= {name for node in nodes for name in (node.get("action"), node.get("event")) if name}
    return [line for line in script if line.get("on") is None or line["on"] in there]


def apart(value: Any, number: Iterator[int], name: str = "") -> Any:
    """Move all hours of a blueprint apart, in their order.

    What is due at the same time in theory has another order where a breach was noticed some milliseconds
    late, because escalation counts from there and reminders from the opening.
    """
    if isinstance(value, dict):
        return {key: apart(inner, number, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [apart(inner, number, name) for inner in value]
    if name == "undo_seconds":
        return value + next(number) * 7.3
    if (name.endswith("_hours") or name == "hours") and value:
        return value + next(number) * 0.0137
    return value


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """Give an event loop for the whole module: Hypothesis calls tests that are not coroutines."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def stage(loop: asyncio.Runner, engine: SharedEngine) -> RehearsalEngine:
    """Give the namespace for rehearsals, with a client that lives in that loop."""
    return RehearsalEngine(client=loop.run(connect(engine.settings, namespace=engine.settings.rehearsal_namespace)))


@settings(
    max_examples=60,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink what takes an engine takes too long
)
@given(
    raw=st.one_of(blueprints(), drawings(), drawings()),
    org=organisations(),
    amount=st.sampled_from(["1", "9000"]),
    script=st.lists(lines(), max_size=5),
)
def test_both_drivers_give_the_same_timeline(
    loop: asyncio.Runner,
    stage: RehearsalEngine,
    raw: dict[str, Any],
    org: Directory,
    amount: str,
    script: list[dict[str, Any]],
) -> None:
    now = datetime.now(UTC)
    child = compile_plan(parse_definition(CHILD), start=now)
    scenario = Scenario(
        blueprint=apart(raw, count(1)),
        actions=ACTIONS,
        children={"Child": Child(template_id="child", plan=child)},
        people=org,
        requester="rita",
        start=now,
        given={"amount": amount, "note": "a note"},
        script=parse_script(usable_lines(script, raw)),
        decide_after=timedelta(hours=2, minutes=37),
        horizon=timedelta(days=9),
        most_entries=150,
        request_id=f"same-{uuid.uuid4().hex[:12]}",
    )
    found = loop.run(rehearse(stage, scenario))
    assert not found.validation_errors
    event(f"ends {found.end} {found.outcome} {found.stopped}")
    for refusal in found.refused:
        event(f"refused: {refusal['what']}")
    for kind in NODES & {step.kind for step in found.execution_path}:
        event(f"nodes: {kind}")
    for part in found.extra["sub_processes"]:
        event(f"sub-process ends {part['end']}")
    assert "fell_back_to" not in found.extra
    assert found.extra["differences"] == []
