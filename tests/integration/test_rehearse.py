"""Rehearsals on the real engine: the production workflow in virtual time, with the same result as in the core."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from placet.directory import Absence, Directory, Person
from simulation.modes.explore import explore
from simulation.modes.rehearse import RehearsalEngine, rehearse
from simulation.scenario.approver_model import Sample
from simulation.scenario.asked_action import AskedAction
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from tests.engine import SharedEngine
from tests.gallery import ACTIONS, FILES, children, raw
from tests.unit.core import blueprint, office, people
from tests.waiting import PATIENCE

EXPENSE = json.loads((Path(__file__).parents[2] / "blueprints" / "expense.json").read_text())


@pytest.fixture
def stage(client: Client, engine: SharedEngine) -> RehearsalEngine:
    """Give the namespace for rehearsals on the shared engine."""
    return RehearsalEngine.beside(client, engine.settings.rehearsal_namespace, "http://ui.example")


def ask(raw: Any, **more: Any) -> Scenario:
    """Ask about a process, now."""
    known = {"blueprint": raw, "people": office(), "requester": "rita", "start": datetime.now(UTC)}
    return Scenario(**{**known, "request_id": f"rehearsal-{uuid.uuid4().hex[:12]}", **more})


async def test_a_rehearsal_equals_the_simulated_run_and_leaves_a_history(stage: RehearsalEngine) -> None:
    scenario = ask(EXPENSE, given={"amount": "9000", "department": "it"})
    found = await rehearse(stage, scenario)
    assert found.extra["differences"] == []
    assert [link.assignee for link in found.approval_chain] == ["user:mo", "user:cfo"]
    assert found.outcome == "approved"
    assert found.extra["links"]["temporal_ui"].endswith(f"/namespaces/placet-rehearsal/workflows/{scenario.request_id}")
    described = await stage.client.get_workflow_handle(scenario.request_id).describe()
    assert described.status is not None
    assert described.status.name == "COMPLETED"


async def test_silence_is_rehearsed_through_every_escalation(stage: RehearsalEngine) -> None:
    script = parse_script([{"on": "Manager Approval", "by": "dh", "decision": "reject", "comment": "no"}])
    found = await rehearse(stage, ask(EXPENSE, given={"amount": "1", "department": "it"}, script=script))
    kinds = [s.kind for s in found.execution_path]
    assert found.extra["differences"] == []
    assert [k for k in ("reminded", "sla_warning", "sla_breached", "escalated", "decided") if k in kinds] == [
        "reminded", "sla_warning", "sla_breached", "escalated", "decided"]  # fmt: skip
    assert found.outcome == "rejected"


async def test_decisions_that_have_to_name_the_revision_are_rehearsed(stage: RehearsalEngine) -> None:
    changed = [
        {"on": "Stage 1", "decision": "request_changes", "after_hours": 1},
        {"do": "resubmit", "title": "Another", "after_hours": 1},
        {"on": "Stage 1", "decision": "approve", "after_hours": 1},
    ]
    raw = blueprint({"stage_name": "Stage 1"}, settings={"require_revision": True})
    found = await rehearse(stage, ask(raw, given={}, script=parse_script(changed)))
    assert (found.extra["differences"], found.outcome, found.refused) == ([], "approved", ())


@pytest.mark.parametrize("seed", range(4))
async def test_sampled_approvers_do_the_same_in_a_rehearsal(stage: RehearsalEngine, seed: int) -> None:
    # Slow ones too, so that tasks escalate, and some that reject.
    scenario = ask(EXPENSE, given={"amount": "9000", "department": "it"}, sample=Sample(seed=seed, approve=0.6))
    found = await rehearse(stage, scenario)
    assert found.extra["differences"] == []
    simulated = explore(scenario)
    assert found.outcome == simulated.outcome
    assert [s.kind for s in found.execution_path] == [s.kind for s in simulated.execution_path]


@pytest.mark.parametrize(("hours", "by"), [(1, "dh"), (5, "mo")])
async def test_an_absence_that_ends_is_rehearsed_as_the_core_foresees(
    stage: RehearsalEngine, hours: int, by: str
) -> None:
    now = datetime.now(UTC)
    away = Absence(start=now - timedelta(days=1), until=now + timedelta(hours=3), substitute="dh")
    org = office(mo=Person(id="mo", manager="dh", away=(away,)))
    script = parse_script([{"on": "Stage 1", "by": by, "decision": "approve", "at_hours": hours}])
    found = await rehearse(stage, ask(blueprint({}), people=org, script=script, start=now))
    assert found.extra["differences"] == []
    assert found.outcome == "approved"
    assert ("reassigned" in [s.kind for s in found.execution_path]) is (by == "mo")


@pytest.mark.parametrize(("hours", "refused"), [(2, []), (5, ["user:dh"])])
async def test_who_stands_in_for_somebody_that_was_added_is_rehearsed_as_the_core_foresees(
    stage: RehearsalEngine, hours: int, refused: list[str]
) -> None:
    now = datetime.now(UTC)
    away = Absence(start=now - timedelta(days=1), until=now + timedelta(hours=3), substitute="dh")
    org = office(ben=Person(id="ben", manager="cfo", away=(away,)))
    step = {"sla_hours": 1, "escalation": [{"to": "user:ben", "action": "add"}]}
    decides = {"on": "Stage 1", "decision": "approve"}
    script = parse_script([{**decides, "by": "dh", "at_hours": hours}, {**decides, "by": "ben", "at_hours": 6}])
    found = await rehearse(stage, ask(blueprint(step), people=org, script=script, start=now))
    assert found.extra["differences"] == []
    assert (found.outcome, [r["by"] for r in found.refused]) == ("approved", refused)


async def test_a_year_of_daily_reminders_is_rehearsed_in_virtual_time(stage: RehearsalEngine) -> None:
    script = parse_script([{"on": "Stage 1", "decision": "approve", "at_hours": 365 * 24 + 1}])
    asked = ask(blueprint({"reminders": {"every_hours": 24}}), script=script)
    found = await rehearse(stage, asked, patience=timedelta(seconds=PATIENCE * 2))  # it takes ten on a quiet machine
    assert found.extra["differences"] == []
    assert [s.kind for s in found.execution_path].count("reminded") == 365


async def test_what_the_core_refuses_the_workflow_refuses(stage: RehearsalEngine) -> None:
    script = parse_script([{"do": "withdraw", "by": "ann", "at_hours": 1}, {"do": "withdraw", "at_hours": 2}])
    found = await rehearse(stage, ask(blueprint({"sla_hours": 24}), script=script))
    assert found.extra["differences"] == []
    assert [r["by"] for r in found.refused] == ["user:ann"]
    assert found.outcome == "withdrawn"


@pytest.mark.parametrize(
    ("lines", "kinds", "refused"),
    [
        (
            [{"at_hours": 1}, {"after_hours": 1, "parameters": {"amount": 820000}}, {"after_hours": 2}],
            ["completed", "claim_refused", "claimed"],
            ["user:rita"],  # before the approval
        ),
        ([], ["completed", "claim_expired"], []),
    ],
)
async def test_claims_of_an_action_are_rehearsed_as_the_core_foresees(
    stage: RehearsalEngine, lines: list[dict[str, Any]], kinds: list[str], refused: list[str]
) -> None:
    action = AskedAction(type="payment", target="DE02", parameters={"amount": 82000}, expires_after_hours=30)
    claims = [{"do": "claim_action", **line} for line in lines]
    script = parse_script([*claims, {"on": "Stage 1", "decision": "approve", "after_hours": 10}])
    scenario = ask(blueprint({}), script=script, action=action)
    found = await rehearse(stage, scenario)
    assert found.extra["differences"] == []
    assert [step.kind for step in found.execution_path][-len(kinds) :] == kinds
    assert [one["by"] for one in found.refused] == refused
    described = await stage.client.get_workflow_handle(scenario.request_id).describe()
    assert described.status is not None
    assert described.status.name == "COMPLETED"


async def test_a_request_that_stays_open_is_ended_with_the_rehearsal(stage: RehearsalEngine) -> None:
    scenario = ask(blueprint({"sla_hours": 4}), script=parse_script([{"do": "wait"}]), horizon=timedelta(days=3))
    found = await rehearse(stage, scenario)
    assert (found.outcome, found.stopped) == (None, "horizon")
    described = await stage.client.get_workflow_handle(scenario.request_id).describe()
    assert described.status is not None
    assert described.status.name == "TERMINATED"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_the_gallery_rehearses_as_it_explores_for_every_witness(stage: RehearsalEngine, file: Path) -> None:
    now = datetime.now(UTC)
    organisation = gallery_people()
    requester = next(p.id for p in organisation.people.values() if p.manager)
    known = {"people": organisation, "requester": requester, "actions": ACTIONS, "children": children(now)}
    found = explore(ask(raw(file.stem), **known))
    assert found.branch_explorations, found.validation_errors
    witnesses = {json.dumps(b.witness, sort_keys=True): b.witness for b in found.branch_explorations}
    for witness in witnesses.values():
        rehearsed = await rehearse(stage, ask(raw(file.stem), given=witness, **known))
        assert rehearsed.extra["differences"] == []
        assert rehearsed.extra["agrees_with_explore"]
        assert "fell_back_to" not in rehearsed.extra


def gallery_people() -> Directory:
    """Return the people that come with the gallery."""
    rows = json.loads((Path(__file__).parents[2] / "blueprints" / "people.json").read_text())
    return people(
        *(
            Person(
                id=row["id"], manager=row.get("manager"), roles=tuple(row["roles"]), groups=tuple(row.get("groups", ()))
            )
            for row in rows
        )
    )


async def test_approver_is_added_and_the_requester_asked_in_a_rehearsal(stage: RehearsalEngine) -> None:
    script = parse_script(
        [
            {"do": "add_approver", "on": "Stage 1", "to": "ann", "after_hours": 1, "comment": "she knows"},
            {"do": "ask", "by": "mo", "after_hours": 2, "comment": "Which client?"},
            {"do": "answer_question", "after_hours": 1, "comment": "Acme."},
            {"do": "remind", "at_hours": 4},
        ]
    )
    found = await rehearse(stage, ask(blueprint({"approvers": ["user:mo"], "sla_hours": 20}), script=script))
    assert found.extra["agrees_with_explore"] is True, found.extra["differences"]
    kinds = [step.kind for step in found.execution_path]
    assert kinds.index("approver_added") < kinds.index("question_asked") < kinds.index("question_answered")
    assert found.outcome == "approved"
    assert not found.refused
