"""Two versions of the workers side by side: an upgrade under load fails no call, and requests move to the new one."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from engine_host.versions import ROOT
from service.engine import deployments
from tests.approvals import EXPENSE
from tests.processes import STAFF, Parts, Process, installation
from tests.waiting import PATIENCE, poll
from worker.connect import EngineSettings, connect

OLD, NEW = "0.1.0", "0.2.0"
CALLERS = 2
PAUSE = 0.3  # seconds between two requests of one caller: the load is there all the time, and leaves room for starts

# The new version asks the engine for one thing more before a request ends, behind a patch as a release would have it.
_CLOSE = '        """Send the result to the parent, and wait for handlers and calls."""\n'
_ONE_MORE = '        if workflow.patched("one-more"):\n            await moment()\n'

REPLAY = """
import asyncio, sys
from temporalio.worker import Replayer
from worker.connect import EngineSettings, connect
from worker.converter import DATA_CONVERTER
from workflows.registration import WORKFLOWS, workflow_runner
async def main():
    client = await connect(EngineSettings(address=sys.argv[1]))
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=workflow_runner(), data_converter=DATA_CONVERTER)
    failed = 0
    for ident in sys.argv[2:]:
        history = await client.get_workflow_handle(ident).fetch_history()
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if result.replay_failure is not None:
            failed += 1
            print(ident, result.replay_failure, file=sys.stderr)
    print(failed)
asyncio.run(main())
"""


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with installation(tmp_path / "home") as there:
        yield Parts(there)


def changed(folder: Path, addition: str) -> str:
    """Copy the workflows with a change at a request's end, and return what to put before the path of modules."""
    shutil.copytree(ROOT / "workflows", folder / "workflows")
    module = folder / "workflows" / "approval.py"
    before = module.read_text()
    assert before.count(_CLOSE) == 1
    module.write_text(before.replace(_CLOSE, _CLOSE + addition))
    return str(folder)


def worker(parts: Parts, build: str, *options: str | Path, **env: str) -> Process:
    """Start a worker for approvals and actions with a version."""
    there = parts.there | {"PLACET_DEPLOYMENT": "placet", "PLACET_BUILD_ID": build} | env
    return parts.place.spawn("worker", "--only", "approvals,actions", *options, **there)


def ready(parts: Parts, build: str, file: Path) -> Process:
    """Start a worker as an orchestrator does, which makes its version current, and wait until it is ready."""
    process = worker(parts, build, "--make-current", "--ready-file", file)
    poll(lambda: file.exists() or not process.running, what="a worker that is ready")
    assert process.running, process.log.read_text()
    return process


async def reached(parts: Parts) -> Client:
    """Return a client of the engine."""
    return await connect(EngineSettings(address=parts.there["TEMPORAL_ADDRESS"]))


def ramp(parts: Parts, build: str, percent: float) -> None:
    """Give a version a share of the requests, once its workers poll."""

    async def work() -> None:
        await deployments.ramp(await reached(parts), "placet", build, percent, wait=PATIENCE)

    asyncio.run(work())


def versions_of(parts: Parts, requests: list[str]) -> dict[str, str]:
    """Return the build that each request ran on last; empty where that had no version."""

    async def build(handle: WorkflowHandle[Any, Any]) -> str:
        info = (await handle.describe()).raw_description.workflow_execution_info
        return info.versioning_info.deployment_version.build_id

    async def look() -> dict[str, str]:
        client = await reached(parts)
        return {each: await build(client.get_workflow_handle(each)) for each in requests}

    return asyncio.run(look())


def replays(parts: Parts, requests: list[str], path: str) -> int:
    """Replay requests on the code that `path` leads to, and return how many do not."""
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, parts.there["TEMPORAL_ADDRESS"], *requests],
        env=parts.place.env | {"PYTHONPATH": path},
        cwd=parts.place.home,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


class Load:
    """People who ask and decide one request after the other, and ask for one that stays open."""

    def __init__(self, parts: Parts) -> None:
        self.answers: Counter[int] = Counter()
        self.ended: list[str] = []
        self.open: list[dict[str, Any]] = []
        self._ann, self._bob = parts.caller("ann"), parts.caller("bob")
        self._stop = threading.Event()

    def ask(self, amount: int) -> dict[str, Any]:
        """Ask for an approval; whatever the answer's status, it is counted."""
        got = self._ann.send("POST", "requests/", {"template": EXPENSE["name"], "input": {"amount": amount}})
        self.answers[got.status_code] += 1
        return dict(got.json())

    def decide(self, request: dict[str, Any]) -> None:
        """Approve a request."""
        got = self._bob.send("POST", f"tasks/{request['tasks'][0]['id']}/decide/", {"decision": "approve"})
        self.answers[got.status_code] += 1
        self.ended.append(request["id"])

    def run(self, number: int) -> None:
        """Go on until told to stop."""
        self.open.append(self.ask(number))
        while not self._stop.wait(PAUSE):
            self.decide(self.ask(number))

    def wait_for_more(self, ended: int = 2) -> None:
        """Wait until some more requests have ended."""
        aim = len(self.ended) + ended
        poll(lambda: len(self.ended) >= aim, what="more requests")

    def stop(self) -> None:
        """Tell everybody to stop."""
        self._stop.set()


def test_an_upgrade_under_load_fails_no_call_and_old_requests_end_on_the_new_version(
    parts: Parts, tmp_path: Path
) -> None:
    place = parts.place
    parts.publish(EXPENSE)
    load = Load(parts)
    early = load.ask(1)  # before there are versions
    old = ready(parts, OLD, tmp_path / "old")
    assert f"placet.{OLD} is current now" in old.log.read_text()
    assert parts.worker.stop() == 0
    patched = changed(tmp_path / "patched", _ONE_MORE)
    with ThreadPoolExecutor(CALLERS) as threads:
        running = [threads.submit(load.run, number) for number in range(CALLERS)]
        try:
            load.wait_for_more()
            new = worker(parts, NEW, PYTHONPATH=patched)
            ramp(parts, NEW, 50)
            load.wait_for_more(4)
            shown = place.run("deployments", "current", NEW, "--deployment", "placet", **parts.there)
            load.wait_for_more()
            assert old.stop() == 0
            assert not (tmp_path / "old").exists()
            again = ready(parts, OLD, tmp_path / "again")  # as an orchestrator starts a pod of it once more
            load.wait_for_more()
        finally:
            load.stop()
        for each in running:
            each.result(PATIENCE)
    before = list(load.ended)
    for request in [early, *load.open]:
        load.decide(request)

    assert set(load.answers) == {200, 201}, load.answers
    began_early = [early["id"], *(request["id"] for request in load.open)]
    ended = versions_of(parts, load.ended)
    assert {ended[each] for each in began_early} == {NEW}
    assert {ended[each] for each in before} == {OLD, NEW}
    approved = place.rows("SELECT count(*) FROM approval_request WHERE outcome = 'approved'")[0][0]
    assert approved == len(set(load.ended)) == len(load.ended)
    place.run("verify", *began_early, **parts.there)
    assert new.running
    assert "is current now" not in again.log.read_text()
    lines = {line.split()[0]: line.split()[1] for line in shown.splitlines()[1:]}
    assert lines[NEW] == "current"
    assert lines[OLD] in {"draining", "drained"}

    one_of_each = [next(each for each in before if ended[each] == build) for build in (OLD, NEW)]
    assert replays(parts, [*one_of_each, *began_early], patched) == 0
    unpatched = changed(tmp_path / "unpatched", _ONE_MORE.replace('workflow.patched("one-more")', "True"))
    assert replays(parts, one_of_each[:1], unpatched) == 1  # so the two versions differ, and the patch is needed


@pytest.mark.parametrize("command", ["worker", "api"])
def test_an_older_release_refuses_to_start_on_a_newer_database_and_says_why(tmp_path: Path, command: str) -> None:
    with installation(tmp_path / "home") as place:
        place.load(STAFF)
        with closing(sqlite3.connect(place.home / "placet.db")) as newer, newer:
            newer.execute("UPDATE alembic_version SET version_num = '9001'")
        process = place.spawn(command)
        assert process.wait() == 2
        said = " ".join(process.log.read_text().split())
        assert "has the schema 9001" in said
        assert "restore the back-up that was made before the upgrade" in said
        assert "Traceback" not in said
