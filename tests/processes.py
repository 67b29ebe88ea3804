"""Placet as its users run it: real processes in a folder of their own, which tests may kill at any moment."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import create_engine, text

from cli.commands.people import load
from cli.commands.tokens import issue
from storage.database import driver_url
from tests.approvals import EXPENSE, PEOPLE
from tests.waiting import PATIENCE, poll
from worker.settings import Settings

BIN = Path(sys.executable).parent / "placet"
STAFF = tuple({"name": row["id"].title(), "email": f"{row['id']}@example.com"} | row for row in PEOPLE)
_PATIENCE = 2 * PATIENCE  # a start takes a while where all processors are busy
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel end this process when the test run is killed, so that nothing is left behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One process group; what it writes goes to a log, which a failure shows."""

    def __init__(self, program: Sequence[str | Path], *, env: dict[str, str], log: Path) -> None:
        self.log = log
        self._err = log.open("ab")
        self._popen = subprocess.Popen(
            [str(part) for part in program],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._err,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - one system call, from the main thread
        )
        self.pid = self._popen.pid

    def line(self, seconds: float = _PATIENCE) -> str:
        """Return the next line of standard output; AssertionError with the log where none comes in time."""
        got: list[bytes] = []
        assert self._popen.stdout is not None
        reader = threading.Thread(target=lambda: got.append(self._popen.stdout.readline()), daemon=True)  # type: ignore[union-attr]
        reader.start()
        reader.join(seconds)
        assert any(got), f"the process said nothing within {seconds:.0f} s:\n{self.log.read_text()[-4000:]}"
        return got[0].decode()

    def kill(self) -> None:
        """End the process and its group at once, as a crash would."""
        if self._popen.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """Ask the process to end, and return its exit code."""
        self._popen.terminate()
        return self.wait()

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end, and return the exit code."""
        code = self._popen.wait(seconds)
        if self._popen.stdout is not None:
            self._popen.stdout.close()
        self._err.close()
        return code

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None


@dataclass
class Installation:
    """A folder with everything of one Placet, and the processes that were started on it."""

    home: Path
    extra: dict[str, str] = field(default_factory=dict)
    started: list[Process] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """The environment of its processes: this one's, without what would lead them elsewhere."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PLACET_", "TEMPORAL_"))}
        kept = {k: v for k, v in os.environ.items() if k == "PLACET_CACHE"}
        return clean | kept | {"PLACET_HOME": str(self.home)} | self.extra

    def spawn(self, *arguments: str | Path, program: Sequence[str | Path] = (BIN,), **env: str) -> Process:
        """Start `placet ARGUMENTS…` (or another program) in the background."""
        self.home.mkdir(parents=True, exist_ok=True)
        name = str(arguments[0]) if arguments else Path(program[-1]).stem
        log = self.home / f"test-{len(self.started)}-{name}.log"
        process = Process([*program, *arguments], env=self.env | env, log=log)
        self.started.append(process)
        return process

    def run(self, *arguments: str | Path, expect: int = 0, **env: str) -> str:
        """Run `placet ARGUMENTS…` to its end, and return what it printed."""
        done = subprocess.run(
            [str(BIN), *map(str, arguments)],
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        assert done.returncode == expect, f"placet {arguments} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self) -> tuple[Process, dict[str, Any]]:
        """Start everything, and return it with where it is."""
        process = self.spawn("up", "--port", "0", "--json")
        return process, json.loads(process.line())

    def load(self, people: Sequence[dict[str, Any]]) -> dict[str, str]:
        """Load people, and return a token for each."""
        self.home.mkdir(parents=True, exist_ok=True)
        file = self.home / "people.json"
        file.write_text(json.dumps(list(people)))
        settings = self._settings

        async def work() -> dict[str, str]:
            await load(settings, file)
            return {p["id"]: await issue(settings, p["id"], None) for p in people}

        # As `placet people load` and `placet token` do it, without a process for each.
        return asyncio.run(work())

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Read rows of the database beside everyone who works on it; `:name` in the query is `values["name"]`."""
        engine = create_engine(driver_url(self._settings.database).set(drivername=self._driver))
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(query), values))
        finally:
            engine.dispose()

    @property
    def _settings(self) -> Settings:
        return Settings(home=self.home, database_url=self.extra.get("PLACET_DATABASE_URL"))

    @property
    def _driver(self) -> str:
        return "postgresql+psycopg" if "PLACET_DATABASE_URL" in self.extra else "sqlite"


@contextmanager
def installation(home: Path, **env: str) -> Iterator[Installation]:
    """Give an installation whose processes are all ended afterwards."""
    there = Installation(home=home, extra=env)
    try:
        yield there
    finally:
        for process in there.started:
            if process.running:
                process.kill()


def descendants(pid: int) -> set[int]:
    """Return the processes that a process has started, and what these have started."""
    found: set[int] = set()
    with suppress(FileNotFoundError, ProcessLookupError):  # what has ended meanwhile has none
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found |= {int(child)} | descendants(int(child))
    return found


def known(send: Callable[[str], httpx.Response], key: str | None = None) -> httpx.Response:
    """Send a call under a key, its own or a new one, until its outcome is known: 503 says to repeat it."""
    key = key or uuid.uuid4().hex

    def answer() -> httpx.Response | None:
        got = send(key)
        return None if got.status_code == httpx.codes.SERVICE_UNAVAILABLE else got

    answered = poll(answer, what="another answer than 503")
    assert answered is not None
    return answered


class Caller:
    """Call the API as one person, with a connection of its own for each call."""

    def __init__(self, api: str, token: str) -> None:
        self._base = f"{api}/api/v1/workflow/"
        self._token = token

    def __call__(self, method: str, path: str, body: Any = None, *, expect: int = 200, key: str | None = None) -> Any:
        """Call until the outcome is known, and return the JSON of the answer; AssertionError for another status."""
        answer = known(lambda key: self.send(method, path, body, key=key), key)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        """Call once, and return the answer, whatever its status."""
        headers = {"Authorization": f"Bearer {self._token}"} | ({"Idempotency-Key": key} if key else {})
        return httpx.request(method, self._base + path, json=body, headers=headers, timeout=PATIENCE, trust_env=False)


class Parts:
    """Engine, worker, notifier and API as processes of their own, so that each can be killed alone."""

    def __init__(self, place: Installation) -> None:
        self.place = place
        self.tokens = place.load(STAFF)
        self.engine = self._start_engine()
        self.restart_worker()
        self.restart_notifier()
        self.api_url = ""
        self.api = self._start_api("0")

    def _start_engine(self) -> Process:
        process = self.place.spawn("engine")
        self.there = {"TEMPORAL_ADDRESS": json.loads(process.line())["temporal"]}
        return process

    def _start_api(self, port: str) -> Process:
        process = self.place.spawn("api", "--port", port, "--json", **self.there)
        self.api_url = json.loads(process.line())["api"]
        return process

    def restart_engine(self) -> None:
        """Start the engine again, where it was."""
        before = self.there
        self.engine = self._start_engine()
        assert self.there == before, "the engine comes back where it was"

    def restart_worker(self) -> None:
        """Start a worker."""
        self.worker = self.place.spawn("worker", "--only", "approvals,actions", **self.there)
        self.usual = self.worker

    def restart_notifier(self) -> None:
        """Start a process that sends notifications."""
        self.notifier = self.place.spawn("worker", "--only", "notifications", **self.there)

    def crashing_worker(self, *, on: str, victim: int | None = None) -> None:
        """Run a worker that kills itself (or `victim`) right after it has stored the first entry of the kind `on`."""
        self.worker = self.place.spawn(
            program=[sys.executable, "-m", "tests.crashing_worker"],
            CRASH_ON_KIND=on,
            CRASH_VICTIM=str(victim or 0),
            **self.there,
        )

    def restart_api(self) -> None:
        """Start the API again, where it was."""
        self.api = self._start_api(self.api_url.rsplit(":", 1)[1])

    def mend(self) -> None:
        """Start again what a test has killed, and the usual worker in place of a special one."""
        if not self.engine.running:
            self.restart_engine()
        if self.worker is not self.usual:
            self.worker.kill()
        if not self.worker.running:
            self.restart_worker()
        if not self.notifier.running:
            self.restart_notifier()
        if not self.api.running:
            self.restart_api()

    def caller(self, person: str) -> Caller:
        """Return how to call as a person."""
        return Caller(self.api_url, self.tokens[person])

    def publish(self, blueprint: dict[str, Any]) -> None:
        """Draft and publish a blueprint."""
        olivia = self.caller("olivia")
        template = olivia("POST", "process-templates/", blueprint, expect=201)
        olivia("POST", f"process-templates/{template['id']}/publish/")

    def ask(self, template: str = EXPENSE["name"]) -> dict[str, Any]:
        """Start a request."""
        body = {"template": template, "input": {"amount": 10}}
        return dict(self.caller("ann")("POST", "requests/", body, expect=201))

    def timeline(self, request_id: str) -> list[dict[str, Any]]:
        """Read all that happened to a request."""
        return list(self.caller("olivia")("GET", f"requests/{request_id}/timeline/?limit=500")["items"])

    def verified(self, request_id: str) -> dict[str, Any]:
        """Verify a request against the engine."""
        answer = dict(self.caller("olivia")("GET", f"requests/{request_id}/audit/verify/"))
        assert answer["ok"], answer
        assert answer["engine_head"] == answer["head"]
        return answer
