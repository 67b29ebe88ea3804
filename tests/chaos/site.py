"""Where chaos takes place: every part of an installation as processes of its own, with a proxy between each pair."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from engine_host.config import Ports, free_ports
from tests.approvals import EXPENSE
from tests.chaos.disk import Disk
from tests.chaos.links import Links
from tests.chaos.plan import PLACET, WORKERS
from tests.chaos.post import Post
from tests.chaos.store import Store
from tests.postgresql import SUPERUSER
from tests.processes import BIN, STAFF, Installation, Process, descendants
from tests.waiting import PATIENCE, until

DISK_MEGABYTES = 6_000
MEMORY_MEGABYTES = 8_000  # of all processes together; more ends the run
_AGAIN = 1.0  # seconds after which a process that ended by itself is started again
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
_SETTINGS = {
    "PLACET_SECRET_KEY": "a secret for the tests alone",
    "PLACET_SMTP_HOST": "127.0.0.1",
    "PLACET_SMTP_TLS": "none",
    "PLACET_SMTP_TIMEOUT": "8",
    "PLACET_NOTIFY_RETRY_FIRST": "0.2",
    "PLACET_NOTIFY_RETRY_MOST": "2",
    "PLACET_NOTIFY_POLL": "0.5",
    "PLACET_NOTIFY_LEASE": "30",
    "PLACET_LOG_SECONDS": "5",
}
ESCALATING = "Chaos escalating"
ONE_STEP, TWO_STEPS = "Chaos one step", "Chaos two steps"
_STEP = {"stage_name": "Manager", "approvers": ["user:bob"]}
BLUEPRINTS: tuple[dict[str, Any], ...] = (
    EXPENSE | {"name": ONE_STEP, "process_steps": [_STEP]},
    EXPENSE
    | {
        "name": TWO_STEPS,
        "process_steps": [
            _STEP,
            {"stage_name": "Board", "approvers": ["user:dora", "user:carl"], "quorum": "all", "rejection": "any"},
        ],
    },
    EXPENSE
    | {
        "name": ESCALATING,
        "settings": {"warn_before_hours": 0, "re_escalate_after_hours": 4 / 3600},
        "process_steps": [
            _STEP
            | {"sla_hours": 4 / 3600, "escalation_enabled": True, "escalation_to": "department_head", "reminders": None}
        ],
    },
)


@dataclass(eq=False)
class Part:
    """One process of Placet's or the engine: how to start it, and whether it is to run."""

    name: str
    arguments: tuple[str | Path, ...]
    program: tuple[str | Path, ...]
    env: dict[str, str]
    process: Process | None = None
    wanted: bool = False
    ended: list[tuple[float, int]] = field(default_factory=list)  # by itself: when, and with which code

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.running

    def kill(self) -> None:
        """End it at once."""
        self.wanted = False
        if self.process is not None:
            self.process.kill()

    def signal(self, how: signal.Signals) -> None:
        """Send a signal to its whole group."""
        if self.process is not None and self.process.running:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)


class Site:
    """All processes and the links between them. `folder` keeps their logs."""

    def __init__(self, folder: Path, *, plant: str | None = None) -> None:
        self.folder = folder
        self.disk = Disk(megabytes=DISK_MEGABYTES)
        self.post = Post()
        self.links = Links()
        self.parts: dict[str, Part] = {}
        self.tokens: dict[str, str] = {}
        self.peak = 0  # megabytes of all processes together, at most
        self._plant = plant

    def prepare(self) -> None:
        """Start the store, and load people; before the event loop runs."""
        self.store = Store(self.folder, self.disk, self.folder / "store.log")
        self.store.server.run("CREATE DATABASE placet")
        direct = {"PLACET_DATABASE_URL": self.database} | _SETTINGS
        self.tokens = Installation(home=self.folder / "home", extra=direct).load(STAFF)

    @property
    def database(self) -> str:
        """The URL of Placet's database, without a proxy."""
        return self.store.server.url("placet")

    @property
    def api(self) -> str:
        """Where callers reach the API."""
        return f"http://127.0.0.1:{self.links['client>api'].port}"

    async def start(self) -> None:
        """Start everything, and publish the processes."""
        await self.post.start()
        ports = free_ports(Ports())
        targets = {"api": ports.ui, "engine": ports.frontend, "store": self.store.server.port, "mail": self.post.port}
        self.links.start()
        for name, link in self.links.items():
            link.to(targets[name.partition(">")[2]])
        store = f"postgresql://{SUPERUSER}@127.0.0.1:{self.links['engine>store'].port}/engine"
        self._add("engine", ("engine",), {"PLACET_ENGINE_DATABASE": store}, home="engine")
        self.start_part("engine")
        where = await self._line("engine")
        self.engine = str(where["temporal"])
        for link in self.links.values():
            if link.name.endswith(">engine"):
                link.to(int(self.engine.rpartition(":")[2]))
        self._add("api", ("api", "--port", str(ports.ui), "--json"), {})
        for name in WORKERS:
            self._add(name, ("worker", "--only", "approvals,actions"), self._clock(name), program=self._own)
        mail = {"PLACET_SMTP_PORT": str(self.links["notifier>mail"].port)}
        self._add("notifier", ("worker", "--only", "notifications"), mail, program=self._own)
        for name in PLACET:
            self.start_part(name)
        await self.ready()
        for blueprint in BLUEPRINTS:
            template = await self.call("olivia", "process-templates/", blueprint)
            await self.call("olivia", f"process-templates/{template['id']}/publish/", None)

    def start_part(self, name: str) -> None:
        """Start a process; it is kept running from now on."""
        part = self.parts[name]
        if not part.running:
            log = self.folder / f"{name}.log"
            part.process = Process([*part.program, *part.arguments], env=part.env, log=log)
        part.wanted = True

    async def ready(self) -> None:
        """Wait until the API says that everything is there."""

        async def healthy() -> bool:
            with suppress(httpx.HTTPError):
                async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
                    return (await client.get(f"{self.api}/api/v1/health/ready")).status_code == httpx.codes.OK
            return False

        await until(healthy, what="the health of all parts", seconds=2 * PATIENCE)

    async def call(self, person: str, path: str, body: Any) -> Any:
        """Call the API in calm times."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            headers = {"Authorization": f"Bearer {self.tokens[person]}"}
            answer = await client.post(f"{self.api}/api/v1/workflow/{path}", json=body, headers=headers)
            assert answer.is_success, answer.text
            return answer.json()

    def jump(self, worker: str, seconds: float) -> None:
        """Set a worker's clock off by so many seconds, while it runs."""
        fresh = self._clock_file(worker).with_suffix(".new")
        fresh.write_text(f"{seconds:+.0f}s\n")
        fresh.replace(self._clock_file(worker))

    async def close(self) -> None:
        """End everything that was started."""
        for part in self.parts.values():
            part.kill()
        self.links.close()
        await self.post.close()

    def clear(self) -> None:
        """End the store, and give its disk back."""
        if hasattr(self, "store"):
            self.store.stop(signal.SIGKILL)
        self.disk.close()

    @property
    def _own(self) -> tuple[str | Path, ...]:
        return (sys.executable, "-m", "tests.chaos.worker")

    def _add(
        self,
        name: str,
        arguments: tuple[str, ...],
        env: dict[str, str],
        *,
        program: tuple[str | Path, ...] = (BIN,),
        home: str = "home",
    ) -> None:
        if name != "engine":
            store, engine = self.links[f"{name}>store"], self.links[f"{name}>engine"]
            env = env | {
                "PLACET_DATABASE_URL": f"postgresql://{SUPERUSER}@127.0.0.1:{store.port}/placet",
                "TEMPORAL_ADDRESS": f"127.0.0.1:{engine.port}",
            }
            if self._plant is not None:
                env["CHAOS_PLANT"] = self._plant
        there = Installation(home=self.folder / home, extra=_SETTINGS | env)
        self.parts[name] = Part(name, arguments, program, there.env)

    def _clock(self, worker: str) -> dict[str, str]:
        if not _FAKETIME.exists():
            raise RuntimeError(f"{_FAKETIME} is missing: install faketime (`sh tests/machine.sh`)")
        self.jump(worker, 0)
        return {
            "LD_PRELOAD": str(_FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock_file(worker)),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def _clock_file(self, worker: str) -> Path:
        return self.folder / f"{worker}.clock"

    async def _line(self, name: str) -> dict[str, Any]:
        process = self.parts[name].process
        assert process is not None
        return dict(json.loads(await asyncio.to_thread(process.line)))

    async def watch(self) -> None:
        """Start again what ended by itself, as whatever supervises processes in production does.

        Raises MemoryError where all processes together take too much.
        """
        while True:
            await asyncio.sleep(0.25)
            now = time.monotonic()
            for part in self.parts.values():
                if part.wanted and not part.running:
                    assert part.process is not None
                    if not part.ended or part.ended[-1][0] < now - _AGAIN:
                        part.ended.append((now, part.process.wait()))
                        self.start_part(part.name)
            self.peak = max(self.peak, megabytes(os.getpid()))
            if self.peak > MEMORY_MEGABYTES:
                raise MemoryError(f"all processes together have {self.peak} MB")


def megabytes(pid: int) -> int:
    """Return the memory of a process and of all that it started, without what they share."""
    page, total = os.sysconf("SC_PAGE_SIZE"), 0
    for one in {pid} | descendants(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            size = Path(f"/proc/{one}/statm").read_text().split()
            total += (int(size[1]) - int(size[2])) * page
    return total // 1_000_000
