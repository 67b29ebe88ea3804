"""Placet's processes on a cluster of the engine, work for them, and what each part spends on it."""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from activities.notifications.channels.mailbox import Mailbox
from tests.approvals import EXPENSE
from tests.bench import processor_time
from tests.cluster import SERVICES, Cluster, cluster, is_whole
from tests.postgresql import Server
from tests.processes import STAFF, Caller, Installation, Process, installation
from tests.waiting import PATIENCE, poll, until
from worker.connect import EngineSettings, connect

APIS, WORKERS = 2, 4
IN_FLIGHT = 16
ENGINE_SQL, PLACET_SQL, OTHER_SQL = "PostgreSQL, engine", "PostgreSQL, Placet", "PostgreSQL, other"


def part_of(service: str) -> str:
    """Name the part that a service of the engine is: it has a `worker` of its own."""
    return "system worker" if service == "worker" else service


PARTS = (
    *("api", "worker", "notifier"),
    *(part_of(service) for service in SERVICES),
    *(ENGINE_SQL, PLACET_SQL, OTHER_SQL),
)
LOOKED_AT = 60  # requests whose histories are read
VERIFIED = 10
_REPEATS = 100  # of a call that was answered with 503
_SEEN_EVERY = 30.0  # seconds


@dataclass(kw_only=True)
class Step:
    """What a number of requests took; times in seconds, processor time by part."""

    what: str  # `approvals` from start to decision, or `starts` of requests that then wait
    ended: int  # requests that had ended before
    pending: int  # requests that waited before
    seconds: float = 0.0
    start: list[float] = field(default_factory=list)  # how long callers waited
    decide: list[float] = field(default_factory=list)
    used: Mapping[str, float] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def number(self) -> int:
        """How many requests."""
        return len(self.requests)

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.number / self.seconds

    def milliseconds(self, part: str) -> float:
        """Return the processor time of a part for one of them."""
        return self.used[part] / self.number * 1000

    def latency(self, calls: Sequence[float]) -> str:
        """Return p50 and p99 in milliseconds, or nothing where there were no such calls."""
        if len(calls) < 2:
            return ""
        cuts = statistics.quantiles(calls, n=100, method="inclusive")
        return f"{cuts[49] * 1000:.0f} / {cuts[98] * 1000:.0f}"


class Placet:
    """Placet's processes, each at one of the engine's frontends in turn."""

    def __init__(self, place: Installation, there: Cluster) -> None:
        self.tokens = place.load(STAFF)
        self.engine = [{"TEMPORAL_ADDRESS": address} for address in there.frontends]

        def frontend(number: int) -> dict[str, str]:
            return self.engine[number % len(self.engine)]

        self.workers = [
            place.spawn("worker", "--only", "approvals,actions", **frontend(number)) for number in range(WORKERS)
        ]
        self.notifier = place.spawn("worker", "--only", "notifications", **frontend(0))
        self.apis = [place.spawn("api", "--port", "0", "--json", **frontend(number)) for number in range(APIS)]
        self.urls = [json.loads(api.line())["api"] for api in self.apis]
        self.processes: list[Process] = [*self.workers, self.notifier, *self.apis]

    def caller(self, person: str, number: int) -> Caller:
        """Return how to call one of the API processes as a person."""
        return Caller(self.urls[number % len(self.urls)], self.tokens[person])


class OnCluster:
    """An installation whose engine is a cluster, with one process published."""

    def __init__(self, place: Installation, there: Cluster, postgresql: Server, engine: str, store: str) -> None:
        self.place, self.there = place, there
        self._engine_database = engine
        self._postgresql = postgresql
        self._databases = {engine: ENGINE_SQL, f"{engine}_visibility": ENGINE_SQL, store: PLACET_SQL}
        self._backends: dict[int, tuple[str, float]] = {}  # also those that have ended
        self._numbers = iter(range(10**9))
        self.ended = self.pending = 0
        self.placet = Placet(place, there)
        poll(lambda: all(_ready(url) for url in self.placet.urls), what="API processes that are ready")
        olivia = self.placet.caller("olivia", 0)
        template = olivia("POST", "process-templates/", EXPENSE, expect=201)
        olivia("POST", f"process-templates/{template['id']}/publish/")

    # Work

    async def approve(self, number: int) -> Step:
        """Carry out so many approvals, each asked for at one API process and decided at the other."""
        return await self._step("approvals", number)

    async def start(self, number: int) -> Step:
        """Start so many requests, which then wait with their reminders."""
        return await self._step("starts", number)

    async def _step(self, what: str, number: int) -> Step:
        step = Step(what=what, ended=self.ended, pending=self.pending)
        left = iter(range(number))
        limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
        before, began = self._used(), time.perf_counter()
        watching = asyncio.create_task(self._watch())
        async with httpx.AsyncClient(timeout=PATIENCE, limits=limits, trust_env=False) as http:

            async def lane() -> None:
                for _ in left:
                    await self._one(http, step, decides=what == "approvals")

            await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))
        step.seconds = time.perf_counter() - began
        await until(self._at_rest, what="an outbox with nothing to be sent")  # which is work for these requests as well
        watching.cancel()
        step.used = processor_time.difference(self._used(), before)
        if what == "approvals":
            self.ended += number
        else:
            self.pending += number
        return step

    async def _one(self, http: httpx.AsyncClient, step: Step, *, decides: bool) -> None:
        number = next(self._numbers)
        body = {"template": EXPENSE["name"], "input": {"amount": number + 1}}
        request = await self._call(http, "ann", number, "requests/", body, expect=201, times=step.start)
        step.requests.append(request["id"])
        if decides:
            path = f"tasks/{request['tasks'][0]['id']}/decide/"
            await self._call(http, "bob", number + 1, path, {"decision": "approve"}, expect=200, times=step.decide)

    async def _call(
        self,
        http: httpx.AsyncClient,
        person: str,
        number: int,
        path: str,
        body: dict[str, Any],
        *,
        expect: int,
        times: list[float],
    ) -> Any:
        """Call until the outcome is known: after 503 the same key asks again, when the answer says."""
        url = f"{self.placet.urls[number % APIS]}/api/v1/workflow/{path}"
        headers = {"Authorization": f"Bearer {self.placet.tokens[person]}", "Idempotency-Key": uuid.uuid4().hex}
        began = time.perf_counter()
        for _ in range(_REPEATS):
            answer = await http.post(url, json=body, headers=headers)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        times.append(time.perf_counter() - began)
        assert answer.status_code == expect, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def _at_rest(self) -> bool:
        waiting = "SELECT (SELECT count(*) FROM outbox WHERE status IN ('held', 'ready')) + (SELECT count(*) FROM {})"
        left = waiting.format("notification_message WHERE status = 'pending' OR lease IS NOT NULL")
        return not (await asyncio.to_thread(self.place.rows, left))[0][0]

    async def _watch(self) -> None:
        """See what PostgreSQL's processes have used before they end: connections are renewed after an hour."""
        while True:
            await asyncio.sleep(_SEEN_EVERY)
            self._used()

    # What it takes

    def _used(self) -> dict[str, float]:
        """Return the seconds of processor time until now, by part."""
        used = dict.fromkeys(PARTS, 0.0)
        for part, processes in self._roots().items():
            used[part] = processor_time.of_trees(processes).total()
        whole = 0.0
        for pid, seen in processor_time.below([self._postgresql.pid]).items():
            whole += seen.seconds
            if (database := self._database_of(pid)) is not None:
                self._backends[pid] = (database, seen.seconds)
        for database, seconds in self._backends.values():
            used[database] += seconds
        # What has ended counts for the server's first process too, so the rest is what no database accounts for.
        used[OTHER_SQL] = whole - sum(seconds for _, seconds in self._backends.values())
        return used

    def memory(self) -> Counter[str]:
        """Return the resident bytes of all processes but PostgreSQL's, which share most of theirs, by part."""
        return Counter({part: processor_time.memory(pids).total() for part, pids in self._roots().items()})

    def stored(self) -> dict[str, int]:
        """Return the bytes of the databases on disk, by part."""
        sizes: Counter[str] = Counter()
        with psycopg.connect(self._postgresql.url("postgres")) as connection:
            for name, part in self._databases.items():
                row = connection.execute("SELECT pg_database_size(%s)", [name]).fetchone()
                assert row is not None
                sizes[part] += row[0]
        return sizes

    def _roots(self) -> dict[str, list[int]]:
        roots = {
            "api": [process.pid for process in self.placet.apis],
            "worker": [process.pid for process in self.placet.workers],
            "notifier": [self.placet.notifier.pid],
        }
        for name, process in self.there.processes.items():
            service = name.rpartition("-")[0]
            roots.setdefault(part_of(service), []).append(process.pid)
        return roots

    def _database_of(self, pid: int) -> str | None:
        """Return the part that a process of PostgreSQL works for, by its title: `postgres: USER DATABASE …`."""
        try:
            title = Path(f"/proc/{pid}/cmdline").read_text().split()
        except OSError:
            return None
        return next((part for name, part in self._databases.items() if name in title[1:4]), None)

    # What is left of it

    def check(self, steps: Sequence[Step]) -> None:
        """Check that all approvals have ended once each, that the others wait, and that every process took part."""
        approved = [ident for step in steps if step.what == "approvals" for ident in step.requests]
        waiting = [ident for step in steps if step.what == "starts" for ident in step.requests]
        assert len({*approved, *waiting}) == self.ended + self.pending
        told = self.place.rows("SELECT status, outcome, count(*) FROM approval_request GROUP BY status, outcome")
        expected = {("completed", "approved", self.ended), ("pending", None, self.pending)}
        assert {tuple(row) for row in told} == {row for row in expected if row[2]}
        decided = "SELECT count(*), count(DISTINCT request_id) FROM approval_task WHERE decided_by = 'bob'"
        assert tuple(self.place.rows(decided)[0]) == (self.ended, self.ended)
        mails = self.place.rows("SELECT status, count(*) FROM notification_message GROUP BY status")
        assert "sent" in {status for status, _ in mails} <= {"sent", "dropped"}, mails
        took_part = asyncio.run(self._histories(approved, waiting))
        assert {worker.pid for worker in self.placet.workers} == took_part
        assert is_whole(self._postgresql.url(self._engine_database))
        verified = [*_spread(approved, VERIFIED), *_spread(waiting, VERIFIED)]
        self.place.run("verify", *verified, TEMPORAL_ADDRESS=self.there.frontends[1])
        assert all(process.running for process in self.placet.processes)
        assert all(process.code() is None for process in self.there.processes.values()), self.there.said()

    async def _histories(self, approved: list[str], waiting: list[str]) -> set[int]:
        """Return the process ids of the workers that carried tasks out; AssertionError where a timer is missing."""
        client = await connect(EngineSettings(address=self.there.frontends[1]))
        running = "WorkflowType = 'ApprovalWorkflow' AND ExecutionStatus = 'Running'"

        async def counted() -> bool:  # the engine's index is behind its histories
            return (await client.count_workflows(running)).count == self.pending

        await until(counted, what=f"{self.pending} running workflows in the engine's index")
        workers: set[int] = set()
        for ident in _spread(approved, LOOKED_AT):
            events = await _events(client, ident)
            workers |= _workers(events)
            assert events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
        for ident in _spread(waiting, LOOKED_AT):
            events = await _events(client, ident)
            workers |= _workers(events)
            assert _armed(events), f"{ident} waits without a timer"
        return workers


@contextmanager
def on_cluster(folder: Path, postgresql: Server) -> Iterator[OnCluster]:
    """Run Placet on a cluster, with databases of its own."""
    engine, store = (f"{name}_{uuid.uuid4().hex[:8]}" for name in ("engine", "placet"))
    postgresql.run(f"CREATE DATABASE {store}")
    try:
        with (
            _mail_server() as port,
            cluster(folder / "engine", postgresql.url(engine)) as there,
            installation(
                folder / "home",
                PLACET_DATABASE_URL=postgresql.url(store),
                PLACET_SMTP_HOST="127.0.0.1",
                PLACET_SMTP_PORT=str(port),
                PLACET_SMTP_TLS="none",
            ) as place,
        ):
            yield OnCluster(place, there, postgresql, engine, store)
    finally:
        for name in (engine, f"{engine}_visibility", store):
            postgresql.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def _mail_server() -> Iterator[int]:
    """Run a mail server on a thread, and give its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    box = Mailbox()
    try:
        asyncio.run_coroutine_threadsafe(box.start(), loop).result(PATIENCE)
        yield box.port
    finally:
        asyncio.run_coroutine_threadsafe(box.stop(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def table(steps: Sequence[Step]) -> str:
    """Return the steps as a table in Markdown."""
    lines = [
        "| what | ended before | pending before | a second | start p50 / p99 ms | decide p50 / p99 ms | "
        + " | ".join(PARTS)
        + " | all |",
        "|---|---:|---:|---:|---:|---:|" + "---:|" * (len(PARTS) + 1),
    ]
    for step in steps:
        parts = [step.milliseconds(part) for part in PARTS]
        lines.append(
            f"| {step.number:,} {step.what} | {step.ended:,} | {step.pending:,} | {step.rate:.1f} "
            f"| {step.latency(step.start)} | {step.latency(step.decide)} | "
            + " | ".join(f"{part:.1f}" for part in (*parts, sum(parts)))
            + " |"
        )
    return "\n".join(lines)


def _ready(url: str) -> bool:
    """Tell whether an API process finds engine, database and workers."""
    return httpx.get(f"{url}/api/v1/health/ready", timeout=PATIENCE, trust_env=False).is_success


def _spread(requests: list[str], number: int) -> list[str]:
    """Return at most so many of them, from the first to the last."""
    return requests[:: max(1, len(requests) // number)][:number]


async def _events(client: Client, ident: str) -> list[HistoryEvent]:
    return list((await client.get_workflow_handle(ident).fetch_history()).events)


def _workers(events: list[HistoryEvent]) -> set[int]:
    """Return the process ids of those that completed workflow tasks, by their identities `PID@HOST`."""
    return {
        int(event.workflow_task_completed_event_attributes.identity.partition("@")[0])
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    }


def _armed(events: list[HistoryEvent]) -> bool:
    """Tell whether a timer has been started that has neither fired nor been cancelled."""
    started = {event.event_id for event in events if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED}
    started -= {event.timer_fired_event_attributes.started_event_id for event in events}
    started -= {event.timer_canceled_event_attributes.started_event_id for event in events}
    return bool(started)
