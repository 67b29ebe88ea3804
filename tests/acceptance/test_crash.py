"""Kill -9 at any moment: nothing that was answered is lost, nothing is decided twice, and the chain verifies."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.approvals import EXPENSE
from tests.processes import STAFF, Caller, Installation, Parts, descendants, installation
from tests.waiting import PATIENCE, poll

TWO_STEPS = EXPENSE | {
    "process_steps": [*EXPENSE["process_steps"], {"stage_name": "CFO Approval", "approvers": ["role:cfo"]}]
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "home") as there:
        yield there


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Run one installation for all tests that kill a part of it, and need nothing else of it than a request."""
    with installation(tmp_path_factory.mktemp("parts") / "home") as there:
        parts = Parts(there)
        parts.publish(TWO_STEPS)
        yield parts


@pytest.fixture
def parts(shared: Parts) -> Parts:
    """Give that installation with every part running."""
    shared.mend()
    return shared


def test_after_kill_9_of_everything_a_request_is_pending_and_can_be_approved(place: Installation) -> None:
    tokens = place.load(STAFF)
    process, where = place.up()
    olivia, ann = Caller(where["api"], tokens["olivia"]), Caller(where["api"], tokens["ann"])
    template = olivia("POST", "process-templates/", TWO_STEPS, expect=201)
    olivia("POST", f"process-templates/{template['id']}/publish/")
    request = ann("POST", "requests/", {"template": "Expense approval", "input": {"amount": 10}}, expect=201)
    first = _decide(Caller(where["api"], tokens["bob"]), request["tasks"][0]["id"])
    assert first["stage"] == "CFO Approval"
    process.kill()
    process, where = place.up()
    again = Caller(where["api"], tokens["ann"])("GET", f"requests/{request['id']}/")
    assert (again["status"], again["tasks"][0]["decision"]) == ("pending", "approve")
    decided = _decide(Caller(where["api"], tokens["carl"]), again["tasks"][1]["id"])
    assert decided["outcome"] == "approved"
    place.run("verify", request["id"])
    assert process.stop() == 0


def test_killing_up_leaves_no_process_behind(place: Installation) -> None:
    process, where = place.up()
    children = descendants(where["pid"])
    assert children
    process.kill()
    poll(lambda: not any(map(_alive, children)), what="the end of what it had started")


def test_worker_killed_between_commit_and_completion_loses_and_doubles_nothing(parts: Parts) -> None:
    """The decision's record is committed, the worker dies before the engine knows: history wins."""
    request = parts.ask()
    parts.worker.kill()
    parts.crashing_worker(on="decided")
    task = request["tasks"][0]["id"]
    answer = _in_background(lambda: _try_to_decide(parts, task))
    parts.worker.wait()
    assert answer.result(PATIENCE) == 503
    parts.restart_worker()
    decided = _decide(parts.caller("bob"), task)
    assert decided["tasks"][0]["decision"] == "approve"
    kinds = [item["kind"] for item in parts.timeline(request["id"])]
    assert kinds.count("decided") == 1
    parts.verified(request["id"])


def test_engine_killed_between_commit_and_completion_loses_and_doubles_nothing(parts: Parts) -> None:
    request = parts.ask()
    parts.worker.kill()
    parts.crashing_worker(on="decided", victim=parts.engine.pid)
    task = request["tasks"][0]["id"]
    assert _try_to_decide(parts, task) == 503
    parts.engine.wait()
    parts.restart_engine()
    if not parts.worker.running:
        parts.restart_worker()
    decided = _decide(parts.caller("bob"), task)
    assert decided["tasks"][0]["decision"] == "approve"
    assert [item["kind"] for item in parts.timeline(request["id"])].count("decided") == 1
    parts.verified(request["id"])


def test_api_killed_during_a_decision_gives_the_one_answer_afterwards(parts: Parts) -> None:
    request = parts.ask()
    task = request["tasks"][0]["id"]
    parts.worker.kill()  # so that the decision is still under way when the API dies
    waiting = _in_background(lambda: _try_to_decide(parts, task))
    parts.api.kill()
    waiting.exception(PATIENCE)  # it hangs up, or the call came too late for it
    parts.restart_api()
    parts.restart_worker()
    decided = _decide(parts.caller("bob"), task)
    assert decided["tasks"][0]["decision"] == "approve"
    assert [item["kind"] for item in parts.timeline(request["id"])].count("decided") == 1
    parts.verified(request["id"])


def test_decision_without_a_worker_gets_503_and_is_not_lost(parts: Parts) -> None:
    request = parts.ask()
    parts.worker.kill()
    assert _try_to_decide(parts, request["tasks"][0]["id"]) == 503
    parts.restart_worker()
    decided = _decide(parts.caller("bob"), request["tasks"][0]["id"])
    assert decided["tasks"][0]["decision"] == "approve"


def test_health_tells_soon_that_the_worker_was_killed_and_that_another_is_there(parts: Parts) -> None:
    def worker() -> str:
        answer = httpx.get(f"{parts.api_url}/api/v1/health/ready", trust_env=False, timeout=PATIENCE)
        checks = answer.json()["checks"]
        assert answer.status_code == (200 if set(checks.values()) == {"ok"} else 503)
        return str(checks["worker"])

    poll(lambda: worker() == "ok", what="the worker")
    parts.worker.kill()
    poll(lambda: worker() == "down", what="health's word that the worker is gone")
    parts.restart_worker()
    poll(lambda: worker() == "ok", what="the other worker")
    assert parts.worker.stop() == 0
    poll(lambda: worker() == "down", what="health's word on a worker that has ended")


def test_the_tasks_of_those_who_leave_while_no_worker_runs_move_on_afterwards(place: Installation) -> None:
    parts = Parts(place)
    parts.publish(TWO_STEPS)
    request = parts.ask()
    assert request["tasks"][0]["assignee"] == "user:bob"
    parts.worker.kill()
    staying = place.home / "staying.json"
    staying.write_text(json.dumps([row for row in STAFF if row["id"] != "bob"]))
    report = json.loads(place.run("people", "load", staying, "--complete", "--json"))
    assert report == {"loaded": len(STAFF) - 1, "changed": 0, "left": ["bob"], "admins": 1}
    parts.restart_worker()
    poll(lambda: "reassigned" in [item["kind"] for item in parts.timeline(request["id"])], what="the succession")
    (task,) = parts.caller("ann")("GET", f"requests/{request['id']}/")["tasks"]
    assert (task["assignee"], task["assigned_via"]) == ("user:dora", "succession")
    parts.verified(request["id"])


def test_verify_fails_when_a_row_is_edited_by_hand(parts: Parts) -> None:
    request = parts.ask()
    parts.place.run("verify", request["id"])
    with sqlite3.connect(parts.place.home / "placet.db", timeout=PATIENCE) as rows:
        rows.execute("UPDATE audit_entry SET actor = 'user:mallory' WHERE request_id = ? AND seq = 1", (request["id"],))
    rows.close()
    report = json.loads(parts.place.run("verify", request["id"], "--json", expect=1))
    assert report["requests"][0]["first_bad_seq"] == 1


def _decide(caller: Caller, task: str) -> dict[str, Any]:
    return dict(caller("POST", f"tasks/{task}/decide/", {"decision": "approve"}, key=task))


def _try_to_decide(parts: Parts, task: str) -> int:
    """Make the same call as `_decide` does, once, and return the status of the answer."""
    return parts.caller("bob").send("POST", f"tasks/{task}/decide/", {"decision": "approve"}, key=task).status_code


def _in_background(work: Callable[[], int]) -> Future[int]:
    thread = ThreadPoolExecutor(1)
    future = thread.submit(work)
    thread.shutdown(wait=False)
    return future


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
