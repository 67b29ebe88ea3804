"""Look at the engine: whether it answers and knows our search attributes, its task queues, certificates and keys."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client

from activities import action_runner
from cli import bootstrap
from cli.checkup.check import Bad, Finding, Unseen
from engine_host.namespaces import missing_attributes
from service.administration.certificates import SOON, certificates_of
from service.administration.health import workers
from service.context import utc_now
from service.engine import client as engine
from service.engine.task_queues import ACTIVITIES, WORKFLOWS, PolledQueue, described
from storage.database import Database
from worker import notifications
from worker.certificate_files import certificate_files
from worker.connect import EngineSettings
from worker.settings import Settings

MOST_BACKLOG = 1000
"""How many tasks may wait in a queue."""
OLDEST_BACKLOG = timedelta(minutes=1)
"""How long the oldest of them may wait. Deadlines are late by as much."""
CLOCK_SECONDS = 5.0
"""By how much the engine's clock may be ahead of this machine's."""


class Engine:
    """The engine as the checks see it; each check says what is in the way where nothing answers."""

    def __init__(self, settings: Settings, database: Database | None) -> None:
        self._settings = settings
        self._database = database
        self._client: Client | None = None
        self._queues: list[PolledQueue] = []

    async def answers(self) -> Finding:
        """Whether the engine answers, and how payloads are stored in it."""
        there = bootstrap.engine_settings(self._settings)
        client = await bootstrap.connect_client(there)
        await engine.reach(client)
        self._client = client
        keys = there.payload_keys
        payloads = "readable" if keys is None else f"encrypted by the key {keys.writes.id}"
        return f"{there.address}, namespace {there.namespace}, payloads {payloads}"

    async def search_attributes(self) -> Finding:
        """Whether both namespaces have the search attributes that Placet writes."""
        client = self._connected()
        for namespace in (client.namespace, bootstrap.engine_settings(self._settings).rehearsal_namespace):
            if missing := await missing_attributes(client, namespace):
                return Bad(found=f"the namespace {namespace} lacks {', '.join(missing)}")
        return "all are registered"

    async def worker(self) -> Finding:
        """Whether a worker carries out approvals, by its own word and by the engine's."""
        client, queue = self._connected(), self._settings.task_queue
        if self._database is None:
            return Unseen(why="the database does not tell which workers there are")
        found = await workers(self._database, client, queue, self._database.now())
        return (
            f"task queue {queue!r}: {', '.join(sorted(found))}"
            if found
            else Bad(found=f"no running worker polls the task queue {queue!r}")
        )

    async def pollers(self) -> Finding:
        """Whether each task queue has a worker."""
        self._queues = await self._described()
        unpolled = [f"{queue.name} ({queue.kind} tasks)" for queue in self._queues if not queue.polled]
        if unpolled:
            return Bad(found=f"no worker asks for the tasks of {', '.join(unpolled)}")
        return ", ".join(dict.fromkeys(queue.name for queue in self._queues))

    async def backlog(self) -> Finding:
        """Whether the tasks of each queue are taken."""
        queues = self._queues or await self._described()
        said = ", ".join(
            f"{queue.name} about {queue.backlog} {queue.kind} tasks, the oldest for {queue.age.total_seconds():.0f} s"
            for queue in queues
            if queue.backlog
        )
        late = any(queue.backlog and (queue.backlog > MOST_BACKLOG or queue.age > OLDEST_BACKLOG) for queue in queues)
        return Bad(found=said) if late else said or "no task waits"

    async def clock(self) -> Finding:
        """Whether the engine's clock agrees: it writes down when a worker asked last, which is never later than now."""
        queues, now = self._queues or await self._described(), utc_now()
        last = max((queue.last_poll for queue in queues if queue.last_poll is not None), default=None)
        if last is None:
            return Unseen(why="the engine tells its time only while a worker asks it for tasks")
        ago = (now - last).total_seconds()
        if ago < -CLOCK_SECONDS:
            return Bad(found=f"the engine is at least {-ago:.1f} s ahead of this machine")
        if ago > engine.LONG_POLL.total_seconds() and await self._somebody_works():
            return Bad(found=f"workers run, and by the engine's clock the last one asked {ago:.0f} s ago: it is behind")
        return f"by the engine's clock a worker asked for tasks {max(ago, 0):.1f} s ago"

    async def _somebody_works(self) -> bool:
        return isinstance(await self.worker(), str)

    async def _described(self) -> list[PolledQueue]:
        client, queue = self._connected(), self._settings.task_queue
        now = utc_now() if self._database is None else self._database.now()
        notices = f"{queue}{notifications.QUEUE_SUFFIX}"
        asked = (
            (queue, WORKFLOWS),
            (queue, ACTIVITIES),
            (f"{queue}{action_runner.QUEUE_SUFFIX}", ACTIVITIES),
            (notices, WORKFLOWS),
            (notices, ACTIVITIES),
        )
        return [await described(client, name, kind, now) for name, kind in asked]

    def _connected(self) -> Client:
        if self._client is None:
            raise RuntimeError("the engine has to answer before it is asked")
        return self._client


async def certificates(settings: Settings) -> Finding:
    """Whether the certificates that this installation needs are valid, for some time to come."""
    found = certificates_of(certificate_files(settings, EngineSettings.read()))
    if not found:
        return Unseen(why="no certificates are set")
    now = utc_now()
    said = ", ".join(f"{each.use} until {each.ends:%Y-%m-%d}" for each in found)
    return Bad(found=said) if any(each.ends - now < SOON for each in found) else said


async def payload_keys() -> Finding:
    """Whether the keys of payloads can be read."""
    keys = EngineSettings.read().payload_keys
    return Unseen(why="PLACET_PAYLOAD_KEYS_FILE is not set") if keys is None else f"{keys.writes.id} writes"
