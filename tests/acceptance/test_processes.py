"""`placet up` as processes of their own: killing any one of them loses nothing, and it is started again."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.approvals import EXPENSE
from tests.processes import STAFF, Caller, Installation, Process, installation
from tests.waiting import PATIENCE, poll

REQUESTS = 8


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "home") as there:
        yield there


@dataclass(frozen=True)
class Up:
    """A running `placet up`."""

    place: Installation
    process: Process
    api: str
    tokens: dict[str, str]

    def caller(self, person: str) -> Persistent:
        """Return how to call as a person."""
        return Persistent(self.api, self.tokens[person])

    @property
    def processes(self) -> dict[str, dict[str, Any]]:
        """What `placet up` tells of its processes now."""
        found: dict[str, dict[str, Any]] = json.loads((self.place.home / "up.json").read_text())["processes"]
        return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Run one installation with a published process, of which each test may kill a process."""
    # What a killed process had taken is free again soon.
    soon = {"PLACET_SMTP_TIMEOUT": "2", "PLACET_NOTIFY_LEASE": "5", "PLACET_NOTIFY_RETRY_FIRST": "0.5"}
    with installation(tmp_path_factory.mktemp("up") / "home", **soon) as place:
        tokens = place.load(STAFF)
        process, where = place.up()
        running = Up(place, process, where["api"], tokens)
        _publish(running.caller("olivia"))
        yield running
        assert process.stop() == 0


def _publish(olivia: Caller) -> None:
    template = olivia("POST", "process-templates/", EXPENSE, expect=201)
    olivia("POST", f"process-templates/{template['id']}/publish/")


class Persistent(Caller):
    """Calls again where nobody answers, as clients do while a process is away."""

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        """Call until there is an answer."""

        def answer() -> httpx.Response | None:
            try:
                return super(Persistent, self).send(method, path, body, key=key)
            except httpx.TransportError:
                return None

        answered = poll(answer, what="an answer")
        assert answered is not None
        return answered


@pytest.mark.parametrize("name", ["api", "worker", "notifier", "host"])
def test_killing_one_process_while_calls_run_loses_nothing(up: Up, name: str) -> None:
    place, before = up.place, up.processes
    caller = {person: up.caller(person) for person in ("ann", "bob")}
    first = threading.Event()

    def start_and_decide(number: int) -> str:
        body = {"template": EXPENSE["name"], "input": {"amount": number}}
        request = caller["ann"]("POST", "requests/", body, expect=201, key=f"{name} start {number}")
        first.set()
        task = request["tasks"][0]["id"]
        caller["bob"]("POST", f"tasks/{task}/decide/", {"decision": "approve"}, key=f"{name} decide {number}")
        return str(request["id"])

    with ThreadPoolExecutor(4) as threads:
        begun = [threads.submit(start_and_decide, number) for number in range(REQUESTS)]
        assert first.wait(PATIENCE)
        os.kill(before[name]["pid"], signal.SIGKILL)
        requests = [each.result(2 * PATIENCE) for each in begun]

    assert len(set(requests)) == REQUESTS
    approved = "SELECT id FROM approval_request WHERE outcome = 'approved'"
    assert {row[0] for row in place.rows(approved)} >= set(requests)
    # The mail about the outcome is always needed; one that asks for a decision may have come too late.
    sent = "SELECT DISTINCT request_id FROM notification_message WHERE status = 'sent' AND event = 'completed'"
    poll(lambda: {row[0] for row in place.rows(sent)} >= set(requests), what="all mails")
    left = "SELECT count(*) FROM notification_message WHERE status NOT IN ('sent', 'dropped')"
    poll(lambda: place.rows(left)[0][0] == 0, what="the end of all messages")
    poll(lambda: up.processes[name]["pid"] != before[name]["pid"], what="the new process")
    others = {other: told for other, told in up.processes.items() if other != name}
    assert others == {other: told for other, told in before.items() if other != name}
    place.run("verify", *requests)
    assert f"{name} | has ended (killed by SIGKILL)" in up.process.log.read_text()


def test_several_processes_of_each_kind_share_the_work_and_one_address(place: Installation) -> None:
    place.extra |= {f"PLACET_{kind}_PROCESSES": "2" for kind in ("API", "WORKER", "NOTIFICATION")}
    log = place.home / "logs" / "placet.log"
    place.extra["PLACET_LOG_FILE"] = str(log)
    tokens = place.load(STAFF)
    process, where = place.up()
    names = {f"{name}-{number}" for name in ("api", "worker", "notifier") for number in (1, 2)}
    assert set(where["processes"]) == names | {"host"}
    assert len({where["processes"][name]["sdk_metrics"] for name in names}) == len(names)
    for name in names:
        text = httpx.get(where["processes"][name]["sdk_metrics"], trust_env=False, timeout=PATIENCE).text
        assert "temporal_" in text
    exposed = httpx.get(where["metrics"], trust_env=False, timeout=PATIENCE).text
    for name in names | {"host", "supervisor"}:
        assert f'process_resident_memory_bytes{{process="{name}"}}' in exposed
        assert f'process_cpu_seconds_total{{process="{name}"}}' in exposed
    olivia, ann = Persistent(where["api"], tokens["olivia"]), Persistent(where["api"], tokens["ann"])
    _publish(olivia)
    os.kill(where["processes"]["api-1"]["pid"], signal.SIGSTOP)  # it takes connections and answers none
    os.kill(where["processes"]["worker-2"]["pid"], signal.SIGKILL)
    request = ann("POST", "requests/", {"template": EXPENSE["name"], "input": {"amount": 1}}, expect=201)
    os.kill(where["processes"]["api-1"]["pid"], signal.SIGCONT)
    assert ann("GET", f"requests/{request['id']}/")["status"] == "pending"
    assert process.stop() == 0
    told, shown = log.read_text(), process.log.read_text()
    assert "worker-2 | has ended (killed by SIGKILL)" in told, "all processes write to one file"
    assert "worker-2 | has ended" not in shown, "and no longer to standard error, once all are ready"
    assert {line.partition(" | ")[0].strip() for line in told.splitlines()} <= names | {"host", "supervisor", "placet"}


def test_every_thread_of_the_notifier_leaves_precedence_to_the_other_processes(up: Up) -> None:
    def priorities(name: str) -> set[int]:
        threads = Path(f"/proc/{up.processes[name]['pid']}/task").iterdir()
        return {os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in threads}

    lowest = priorities("notifier")
    assert len(lowest) == 1
    assert min(lowest) > max(priorities("worker") | priorities("api") | priorities("host"))


def test_a_setting_that_a_child_refuses_is_told_as_by_one_process(place: Installation) -> None:
    place.extra |= {"PLACET_SMTP_USERNAME": "placet"}
    process = place.spawn("up", "--port", "0", "--json")
    assert process.wait() == 2
    assert "PLACET_SMTP_PASSWORD" in process.log.read_text()
