"""One real Temporal server for a whole test run, shared by the processes of pytest-xdist.

A process of its own holds the server (`python -m tests.engine FOLDER`). Every process of the run holds a shared
lock on `FOLDER/users` as long as it lives; when the holder gets that lock alone, nobody is left, and it ends. The
kernel lets go of locks however a process ends, so a killed run leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker._workflow import _WorkflowWorker as WorkflowWorker

from engine_host.locate import Startable, locate_startable
from engine_host.namespaces import prepare
from engine_host.serve import start_engine
from engine_host.versions import ROOT
from tests.waiting import PATIENCE
from worker.connect import EngineSettings, connect

# A cold build of the engine takes up to seven minutes here; `make test` makes it before pytest starts.
HOLDER_SECONDS = 1800.0


@dataclass(frozen=True, kw_only=True)
class SharedEngine:
    """Tell where the server of this test run is."""

    address: str
    version: str

    @property
    def settings(self) -> EngineSettings:
        """The settings that reach it."""
        return EngineSettings(address=self.address)


@pytest.fixture(scope="session", autouse=True)
def _patient_with_workflows() -> Iterator[None]:
    """Let workflows take their time under the sandbox on a busy machine.

    The SDK interrupts a workflow task that does not yield within two seconds, wherever it is, be it in a collection of
    garbage; there is no setting for it.
    """
    make = WorkflowWorker.__init__

    def patient(self: Any, **settings: Any) -> None:
        make(self, **settings)
        assert self._deadlock_timeout_seconds in {2, None}  # None for a worker that is told not to look
        self._deadlock_timeout_seconds = PATIENCE

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkflowWorker, "__init__", patient)
        yield


@pytest.fixture(scope="session")
def startable() -> Startable:
    """Give the engine's programs, made when there are none yet."""
    return locate_startable(progress=_tell)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedEngine]:
    """Give the server of this test run, with its namespaces and search attributes registered."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with shared_engine(shared / "engine") as there:
        yield there


@pytest.fixture(scope="session")
async def client(engine: SharedEngine) -> Client:
    """Give a client of the server of this test run, in the namespace `default`."""
    return await connect(engine.settings)


@contextmanager
def shared_engine(folder: Path) -> Iterator[SharedEngine]:
    """Use the server that lives in `folder`, and start it if nobody did yet; the last user's end is its end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("a") as users, (folder / "starting").open("a") as starting:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits here while a holder that is on its way out has it alone
        fcntl.flock(starting, fcntl.LOCK_EX)
        try:
            there = _there(folder) or _start_holder(folder)
        finally:
            fcntl.flock(starting, fcntl.LOCK_UN)
        yield there


def _there(folder: Path) -> SharedEngine | None:
    try:
        state = json.loads((folder / "address.json").read_text())
    except FileNotFoundError:
        return None
    return SharedEngine(address=state["address"], version=state["version"])


def _start_holder(folder: Path) -> SharedEngine:
    with (folder / "holder.log").open("wb") as log:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.engine", str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    end = time.monotonic() + HOLDER_SECONDS
    while time.monotonic() < end and holder.poll() is None:
        if there := _there(folder):
            holder.returncode = 0  # it lives on without us: nothing here waits for it
            return there
        time.sleep(0.05)
    raise RuntimeError(f"the shared engine did not start:\n{(folder / 'holder.log').read_text()[-4000:]}")


async def _hold(folder: Path) -> None:
    async with await start_engine(folder / "home", database="memory", ui=False, progress=_tell) as there:
        await prepare(EngineSettings(address=there.address), embedded=True)
        fresh = folder / "address.json.new"
        fresh.write_text(json.dumps({"address": there.address, "version": there.version}))
        fresh.replace(folder / "address.json")
        with (folder / "users").open("a") as users:
            try:
                while there.exit_code() is None:
                    await asyncio.sleep(0.25)
                    try:
                        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        continue
                    return
            finally:
                (folder / "address.json").unlink()


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    asyncio.run(_hold(Path(sys.argv[1])))
