"""Whatever is suggested for the processes of the gallery, their blueprints hold with it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from insight.mining.history import Case, History, Task
from insight.mining.mine import mine
from insight.mining.patches import applied
from placet.definition.model import parse_or_none
from placet.proofs import check

ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
GALLERY = {
    path.stem: raw
    for path in sorted((ROOT / "blueprints").glob("*.json"))
    if isinstance(raw := json.loads(path.read_text()), dict) and parse_or_none(raw) is not None
}


def busy(raw: dict[str, Any], seed: int) -> History:
    """Make a history in which much is remarkable: one slow person, returns for one field, escalations to one end."""
    rng, history = random.Random(seed), History()
    names = [variable["name"] for variable in raw.get("variables", ())]
    for number in range(500):
        began, case = START + timedelta(hours=number), f"r{number}"
        values = {name: rng.choice([10, 100, "a", True]) for name in names}
        ended = began + timedelta(days=9)
        history.add_case(
            Case(
                request_id=case,
                template=raw["name"],
                version=raw["version"],
                started_at=began,
                ended_at=ended,
                outcome="approved",
                values=values,
            )
        )
        for place, step in enumerate(raw["process_steps"]):
            rework = place == 0 and rng.random() < 0.3
            escalated = place % 2 == 1 and rng.random() < 0.4
            person = "ann" if rng.random() < 0.5 else rng.choice(["ben", "cleo", "dora", "eve"])
            wait = rng.expovariate(1 / 20) * (5 if person == "ann" else 1) * (20 if escalated else 1)
            names_of = step.get("approvers", ["manager_of(requester)"])
            via = names_of[-1] if isinstance(names_of[-1], str) else names_of[-1].get("who", "")
            opened = began + timedelta(hours=place)
            task = Task(
                request_id=case,
                stage=step["stage_name"],
                assignee="olga" if escalated else person,
                assigned_via=via,
                actor_type="person",
                opened_at=opened,
                decided_at=opened + timedelta(hours=wait),
                due_at=opened + timedelta(hours=10),
                decision="request_changes" if rework else "approve",
                waited_seconds=wait * 3600,
                escalations=2 * escalated,
                changed_fields=(names[0],) if rework and names else (),
            )
            history.add_task(task)
            if len(names_of) > 1:
                idle = Task(request_id=case, stage=task.stage, assigned_via=str(names_of[0]), opened_at=opened)
                history.add_task(idle)
    return history


@pytest.mark.parametrize("name", GALLERY)
def test_every_suggestion_for_the_gallery_leaves_a_sound_blueprint(name: str) -> None:
    raw = GALLERY[name]
    before = {one.code for one in check(raw).findings if one.severity == "error"}
    findings = mine(raw, busy(raw, 1), 10)
    assert findings
    assert len({(one.kind, one.subject) for one in findings}) == len(findings)
    for one in findings:
        changed = applied(raw, one.patch)
        assert changed != raw, one.subject
        errors = {found.code for found in check(changed).findings if found.severity == "error"}
        assert errors <= before, (one.kind, one.subject, one.patch)
        json.dumps([one.patch, one.evidence])
        assert 0 <= one.confidence <= 1
    json.dumps(raw)
