"""Kill -9 at any moment: nothing that was answered is lost, nothing is decided twice, and the chain verifies."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.approvals import EXPENSE, PEOPLE
from tests.processes import Caller, Installation, Process, installation
from tests.waiting import poll

TWO_STEPS = EXPENSE | {
    "process_steps": [*EXPENSE["process_steps"], {"stage_name": "CFO Approval", "approvers": ["role:cfo"]}]
}
_ROWS = tuple({"name": row["id"].title(), "email": f"{row['id']}@example.com"} | row for row in PEOPLE)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "home") as there:
        yield there


class Parts:
    """Engine, worker and API as processes of their own, on fixed addresses, so that each can be killed alone."""

    def __init__(self, place: Installation) -> None:
        self.place = place
        self.tokens = place.load(_ROWS)
        self.engine = self._start_engine()
        self.worker = place.spawn("worker", **self._there)
        self.api_url = ""
        self.api = self._start_api("0")

    def _start_engine(self) -> Process:
        process = self.place.spawn("engine")
        self._there = {"TEMPORAL_ADDRESS": json.loads(process.line())["temporal"]}
        return process

    def _start_api(self, port: str) -> Process:
        process = self.place.spawn("api", "--port", port, "--json", **self._there)
        self.api_url = json.loads(process.line())["api"]
        return process

    def restart_engine(self) -> None:
        before = self._there
        self.engine = self._start_engine()
        assert self._there == before, "the engine comes back where it was"

    def restart_worker(self) -> None:
        self.worker = self.place.spawn("worker", **self._there)

    def crashing_worker(self, *, on_record: int, victim: int | None = None) -> None:
        """Run a worker that kills itself (or `victim`) right after the commit of its n-th record."""
        self.worker = self.place.spawn(
            program=[sys.executable, "-m", "tests.crashing_worker"],
            CRASH_ON_RECORD=str(on_record),
            CRASH_VICTIM=str(victim or 0),
            **self._there,
        )

    def restart_api(self) -> None:
        self.api = self._start_api(self.api_url.rsplit(":", 1)[1])

    def caller(self, person: str) -> Caller:
        return Caller(self.api_url, self.tokens[person])

    def publish(self, blueprint: dict[str, Any]) -> None:
        olivia = self.caller("olivia")
        template = olivia("POST", "process-templates/", blueprint, expect=201)
        olivia("POST", f"process-templates/{template['id']}/publish/")

    def ask(self) -> dict[str, Any]:
        return dict(
            self.caller("ann")(
                "POST", "requests/", {"template": "Expense approval", "input": {"amount": 10}}, expect=201
            )
        )

    def timeline(self, request_id: str) -> list[dict[str, Any]]:
        return list(self.caller("olivia")("GET", f"requests/{request_id}/timeline/?limit=500")["items"])

    def verified(self, request_id: str) -> dict[str, Any]:
        answer = dict(self.caller("olivia")("GET", f"requests/{request_id}/audit/verify/"))
        assert answer["ok"], answer
        assert answer["engine_head"] == answer["head"]
        return answer


def test_after_kill_9_of_everything_a_request_is_pending_and_can_be_approved(place: Installation) -> None:
    tokens = place.load(_ROWS)
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
    children = _descendants(where["pid"])
    assert children
    process.kill()
    poll(lambda: not any(map(_alive, children)), seconds=20, what="the end of what it had started")


def test_worker_killed_between_commit_and_completion_loses_and_doubles_nothing(place: Installation) -> None:
    """The decision's record is committed, the worker dies before the engine knows: history wins."""
    parts = Parts(place)
    parts.publish(TWO_STEPS)
    request = parts.ask()
    parts.worker.kill()
    parts.crashing_worker(on_record=1)
    task = request["tasks"][0]["id"]
    answers = _in_background(lambda: _decide(parts.caller("bob"), task, expect=503))
    parts.worker.wait()
    answers.join(60)
    parts.restart_worker()
    decided = poll(lambda: _decided(parts, task), what="the repeated call")
    assert decided["tasks"][0]["decision"] == "approve"
    kinds = [item["kind"] for item in parts.timeline(request["id"])]
    assert kinds.count("decided") == 1
    parts.verified(request["id"])


def test_engine_killed_between_commit_and_completion_loses_and_doubles_nothing(place: Installation) -> None:
    parts = Parts(place)
    parts.publish(TWO_STEPS)
    request = parts.ask()
    parts.worker.kill()
    parts.crashing_worker(on_record=1, victim=parts.engine.pid)
    task = request["tasks"][0]["id"]
    _in_background(lambda: _decide(parts.caller("bob"), task, expect=503)).join(60)
    parts.engine.wait()
    parts.restart_engine()
    if not parts.worker.running:
        parts.restart_worker()
    decided = poll(lambda: _decided(parts, task), seconds=90, what="the repeated call")
    assert decided["tasks"][0]["decision"] == "approve"
    assert [item["kind"] for item in parts.timeline(request["id"])].count("decided") == 1
    parts.verified(request["id"])


def test_api_killed_during_a_decision_gives_the_one_answer_afterwards(place: Installation) -> None:
    parts = Parts(place)
    parts.publish(TWO_STEPS)
    request = parts.ask()
    task = request["tasks"][0]["id"]
    parts.worker.kill()  # so that the decision is still under way when the API dies
    waiting = _in_background(lambda: _ignore(lambda: _decide(parts.caller("bob"), task, expect=200)))
    parts.api.kill()
    waiting.join(60)
    parts.restart_api()
    parts.restart_worker()
    decided = poll(lambda: _decided(parts, task), what="the repeated call")
    assert decided["tasks"][0]["decision"] == "approve"
    assert [item["kind"] for item in parts.timeline(request["id"])].count("decided") == 1
    parts.verified(request["id"])


def test_decision_without_a_worker_gets_503_and_is_not_lost(place: Installation) -> None:
    parts = Parts(place)
    parts.publish(TWO_STEPS)
    request = parts.ask()
    parts.worker.kill()
    problem = _decide(parts.caller("bob"), request["tasks"][0]["id"], expect=503)
    assert problem["status"] == 503
    parts.restart_worker()
    decided = poll(lambda: _decided(parts, request["tasks"][0]["id"]), what="the repeated call")
    assert decided["tasks"][0]["decision"] == "approve"


def test_verify_fails_when_a_row_is_edited_by_hand(place: Installation) -> None:
    parts = Parts(place)
    parts.publish(TWO_STEPS)
    request = parts.ask()
    place.run("verify", request["id"])
    with sqlite3.connect(place.home / "placet.db") as rows:
        rows.execute("UPDATE audit_entry SET actor = 'user:mallory' WHERE request_id = ? AND seq = 1", (request["id"],))
    rows.close()
    report = json.loads(place.run("verify", request["id"], "--json", expect=1))
    assert report["requests"][0]["first_bad_seq"] == 1


def _decide(caller: Caller, task: str, *, expect: int = 200) -> dict[str, Any]:
    return dict(caller("POST", f"tasks/{task}/decide/", {"decision": "approve"}, key="k", expect=expect))


def _decided(parts: Parts, task: str) -> dict[str, Any] | None:
    try:
        return _decide(parts.caller("bob"), task)
    except AssertionError as error:
        if "503" in str(error):
            return None
        raise


def _in_background(work: Any) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _ignore(work: Any) -> None:
    try:
        work()
    except (httpx.TransportError, AssertionError):
        return


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found |= {int(child)} | _descendants(int(child))
    return found


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
