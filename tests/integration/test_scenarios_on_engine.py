"""Scenarios of blueprints on the real engine: the production workflow does what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client

from cli.testing.suite_files import SuiteFile, read_suite
from simulation.modes.rehearse import Rehearsal, RehearsalEngine
from simulation.testing import rehearsed
from simulation.testing.rehearsed import rehearse_scenario
from tests.engine import SharedEngine

GALLERY = Path(__file__).parents[2] / "blueprints" / "tests"


@pytest.fixture
def stage(client: Client, engine: SharedEngine) -> RehearsalEngine:
    """Give the namespace for rehearsals on the shared engine."""
    return RehearsalEngine.beside(client, engine.settings.rehearsal_namespace)


def suite(name: str) -> SuiteFile:
    return read_suite(GALLERY / f"{name}.test.yaml")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("expense", 4),  # reminders, an escalation, a refused decision
        ("expense", 6),  # returned, and sent again with changes
        ("purchase-order", 2),  # working hours, an action, a queue, two stages at the same time
    ],
)
async def test_the_workflow_does_what_a_scenario_says(stage: RehearsalEngine, name: str, number: int) -> None:
    one = suite(name)
    made = await rehearse_scenario(stage, one.suite, one.subject, number)
    assert made.run.differences == ()
    assert made.run.trace is not None
    assert made.run.trace.state.outcome == "approved"
    assert made.run.prepared is not None
    assert made.run.trace.state.request_id.startswith("rehearsal-")


async def test_a_workflow_that_differs_from_the_core_fails_the_scenario(
    stage: RehearsalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = rehearsed.run_on_engine

    async def differently(*given: object) -> Rehearsal:
        found = await run(*given)  # type: ignore[arg-type]  # passed on as they come
        return replace(found, rehearsed=replace(found.rehearsed, differences=({"what": "outcome"},)))

    monkeypatch.setattr(rehearsed, "run_on_engine", differently)
    one = suite("expense")
    made = await rehearse_scenario(stage, one.suite, one.subject, 0)
    assert [found.message for found in made.run.differences] == [
        "the workflow differs from the core: {'what': 'outcome'}"
    ]


async def test_a_scenario_that_fails_in_the_core_has_failed(stage: RehearsalEngine) -> None:
    one = suite("expense")
    first = one.suite.scenarios[0]
    wrong = one.suite.model_copy(update={"scenarios": (first.model_copy(update={"others": "approve", "steps": ()}),)})
    made = await rehearse_scenario(stage, wrong, one.subject, 0)
    assert [found.path for found in made.run.differences] == [
        ("scenarios", 0, "expect", "ended"),
        ("scenarios", 0, "expect", "reminded"),
    ]
