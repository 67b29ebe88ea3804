"""Kill -9 while an action is claimed: exactly one claim stands, and whoever made it gets its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.approvals import EXPENSE
from tests.processes import Installation, Parts, installation
from tests.waiting import PATIENCE

CLAIMS = 12
REPEAT = {429, 503}  # more wait than are let in, and the outcome is unknown


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "home") as there:
        yield there


def approved(parts: Parts, action: dict[str, Any]) -> dict[str, Any]:
    body = {"template": EXPENSE["name"], "input": {"amount": 10}, "action": action}
    request = dict(parts.caller("ann")("POST", "requests/", body, expect=201))
    done = parts.caller("bob")("POST", f"tasks/{request['tasks'][0]['id']}/decide/", {"decision": "approve"})
    assert done["claim"]["status"] == "open"
    return request


def test_worker_killed_while_a_claim_is_recorded_leaves_one_winner_with_its_answer(place: Installation) -> None:
    """The claim's record is committed, the worker dies before the engine knows; others claim meanwhile."""
    parts = Parts(place)
    parts.publish(EXPENSE)
    expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    action = {"type": "payment", "target": "acct-1", "parameters": {"amount": 82000}, "expires_at": expires_at}
    request = approved(parts, action)
    parts.worker.kill()
    parts.crashing_worker(on="claimed")
    path = f"requests/{request['id']}/claim/"

    def claim(key: str) -> tuple[str, int, dict[str, Any]]:
        answer = parts.caller("ann").send("POST", path, {"action": action}, key=key)
        return key, answer.status_code, answer.json()

    with ThreadPoolExecutor(CLAIMS) as threads:
        first = [threads.submit(claim, f"k{number}") for number in range(CLAIMS)]
        parts.worker.wait()
        parts.restart_worker()
        answers = [one.result(4 * PATIENCE) for one in first]
    again = [claim(key) if status in REPEAT else (key, status, body) for key, status, body in answers]
    counted = Counter(status for _, status, _ in again)
    assert counted == {200: 1, 409: CLAIMS - 1}, counted
    assert {body["reason"] for _, status, body in again if status == 409} == {"already_claimed"}
    (winner,) = [(key, body) for key, status, body in again if status == 200]
    assert claim(winner[0])[1:] == (200, winner[1]), "the same key gets the same answer"
    assert [item["kind"] for item in parts.timeline(request["id"])].count("claimed") == 1
    parts.verified(request["id"])
