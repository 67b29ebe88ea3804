"""What the children of `placet up` do: host the engine, serve the API, work on approvals and actions, notify."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from activities.notifications.channels.mailbox import Mailbox
from activities.notifications.settings import NotifySettings
from activities.notifications.settings import load as load_notices
from cli import bootstrap, http_server, installation, workers
from cli.pages.mailbox import mailroom
from cli.pages.web_ui import web_ui
from cli.supervisor.child import Report, Role
from cli.terminal.event_loop import keep_start_up_out_of_collections
from cli.terminal.output import progress
from cli.workers import Duty
from engine_host.config import Ports
from engine_host.serve import Engine, start_engine
from placet.errors import Conflict
from storage.announcements.listener import listening
from worker.connect import EngineSettings
from worker.settings import Settings
from worker.telemetry import SdkMetrics, metrics_runtime, tracer_provider

LOOPBACK = "127.0.0.1"
HOST = "host"
"""The child that has the engine, its Web UI and the mailbox."""
# Ends after all others, and starts before them.
_HOST, _NOTIFICATIONS, _WORKERS, _API = range(4)
# Notifications take what the other processes leave: what is due now comes before mails about what was (decision 22).
_BEHIND = 19


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the host of the engine tells the other children."""

    temporal: str
    namespace: str
    temporal_ui: str
    engine_pid: int | None
    ports: dict[str, int] | None
    """The ports of an embedded engine, which it keeps when it is started again."""
    smtp_port: int | None
    """The port of the local mailbox; None with a mail server."""
    mailbox: str | None

    @property
    def engine(self) -> EngineSettings:
        """How to reach the engine."""
        return replace(EngineSettings.read(), address=self.temporal, namespace=self.namespace)

    def notify(self, api: str) -> NotifySettings:
        """Return the settings of notifications, with the mailbox as the mail server if there is none.

        Its mails stay on this machine, so that their links may lead to `api`, the address here.
        """
        notify = load_notices()
        if self.smtp_port is None:
            return notify
        mailbox = {"smtp_host": LOOPBACK, "smtp_port": self.smtp_port, "smtp_tls": "none"}
        return notify.model_copy(update={**mailbox, "public_url": notify.public_url or api})


class Roles:
    """The roles of one installation. A child that is forked later is given what the engine's host has told."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        """`listener` is the API's socket, which all its processes share."""
        self.surroundings: Surroundings | None = None
        self._settings = settings
        self._listener = listener
        self._here = f"http://{LOOPBACK}:{listener.getsockname()[1]}"

    def host(self) -> Role:
        """Return the role of the engine's host."""
        return Role(name=HOST, work=self._host, tier=_HOST, grace=30)

    def others(self) -> list[Role]:
        """Return the roles of all others."""
        settings = self._settings
        return [
            *self._several("notifier", settings.notification_processes, _NOTIFICATIONS, {Duty.NOTIFICATIONS}),
            *self._several("worker", settings.worker_processes, _WORKERS, {Duty.APPROVALS, Duty.ACTIONS}),
            *self._several("api", settings.api_processes, _API, set()),
        ]

    def _several(self, name: str, number: int, tier: int, duties: set[Duty]) -> list[Role]:
        return [
            self._one(name if number == 1 else f"{name}-{index + 1}", index, tier, duties) for index in range(number)
        ]

    def _one(self, name: str, index: int, tier: int, duties: set[Duty]) -> Role:
        async def work(report: Report, stop: asyncio.Event) -> None:
            if duties:
                await self._work(duties, index, report, stop)
            else:
                await self._serve(index, report, stop)

        return Role(name=name, work=work, tier=tier, grace=40)

    async def _host(self, report: Report, stop: asyncio.Event) -> None:
        """Run engine, Web UI and mailbox, and bring the database to its schema meanwhile."""
        self._listener.close()  # this process's copy
        settings, before = self._settings, self.surroundings
        async with AsyncExitStack() as stack:
            migrating = asyncio.create_task(_migrate(settings))
            stack.callback(migrating.cancel)
            ports = Ports(**before.ports) if before is not None and before.ports is not None else None
            there, engine = await stack.enter_async_context(
                bootstrap.engine_for(settings, progress, ports=ports, api=self._here)
            )
            ui_url = bootstrap.temporal_ui_url(settings, there)
            if engine is not None:
                codec = bootstrap.codec_server(there, self._here)
                await stack.enter_async_context(_restart_engine_when_killed(engine, settings, codec))
                if engine.ui_url is not None:
                    pages = _listen_at_previous_port(settings, "temporal_ui", LOOPBACK)
                    shown = web_ui(engine.ui_url, (there.namespace, there.rehearsal_namespace))
                    await stack.enter_async_context(http_server.serve(shown, pages))
                    ui_url = f"http://{LOOPBACK}:{pages.getsockname()[1]}"
            mailbox = mailbox_url = None
            if load_notices().smtp_host is None:
                port = 0 if before is None or before.smtp_port is None else before.smtp_port
                mailbox = await stack.enter_async_context(Mailbox(port=port, folder=settings.home / "mailbox"))
                pages = _listen_at_previous_port(settings, "mailbox", settings.host)
                await stack.enter_async_context(http_server.serve(mailroom(mailbox), pages))
                mailbox_url = f"http://{settings.host}:{pages.getsockname()[1]}"
            await migrating
            surroundings = Surroundings(
                temporal=there.address,
                namespace=there.namespace,
                temporal_ui=ui_url,
                engine_pid=engine.pid if engine else None,
                ports=asdict(engine.ports) if engine else None,
                smtp_port=mailbox.port if mailbox else None,
                mailbox=mailbox_url,
            )
            report(asdict(surroundings))
            await stop.wait()

    async def _serve(self, index: int, report: Report, stop: asyncio.Event) -> None:
        """Serve the API on the shared socket."""
        settings, there = self._settings, self._there
        async with bootstrap.open_database(settings) as database, listening(database) as subscriptions:
            traces = tracer_provider("placet-api")
            runtime, sdk_metrics = metrics_runtime(SdkMetrics.API, settings.api_metrics, index=index)
            client = await bootstrap.connect_client(there.engine, traces=traces, runtime=runtime)
            app = http_server.build_api(
                database,
                client,
                settings,
                there.temporal_ui,
                traces,
                subscriptions=subscriptions,
                processes=self._processes,
            )
            async with http_server.serve(app, self._listener, app.state.shutdown.drain):
                keep_start_up_out_of_collections()
                report({"sdk_metrics": f"http://{sdk_metrics}/metrics"})
                await stop.wait()

    async def _work(self, duties: set[Duty], index: int, report: Report, stop: asyncio.Event) -> None:
        """Work on some duties."""
        self._listener.close()  # this process's copy
        settings, there = self._settings, self._there
        async with bootstrap.open_database(settings) as database:
            name, address = (
                (SdkMetrics.NOTIFICATIONS, settings.notification_metrics)
                if duties == {Duty.NOTIFICATIONS}
                else (SdkMetrics.WORKER, settings.worker_metrics)
            )
            runtime, sdk_metrics = metrics_runtime(name, address, index=index)
            traces = tracer_provider("placet-worker")
            client = await bootstrap.connect_client(there.engine, traces=traces, runtime=runtime)
            async with workers.worker_running(database, client, settings, there.notify(self._here), duties=duties):
                keep_start_up_out_of_collections()
                if duties == {Duty.NOTIFICATIONS}:
                    _stand_back()
                report({"sdk_metrics": f"http://{sdk_metrics}/metrics"})
                await stop.wait()

    def _processes(self) -> dict[str, int]:
        """Return the ids of the supervisor and its children as it has written them down."""
        where = installation.running_instance(self._settings)
        if where is None or where["pid"] != os.getppid():  # of an earlier start
            return {"supervisor": os.getppid()}
        return {"supervisor": where["pid"]} | {name: process["pid"] for name, process in where["processes"].items()}

    @property
    def _there(self) -> Surroundings:
        if self.surroundings is None:
            raise RuntimeError("the engine's host has not told where the engine is")
        return self.surroundings


def _stand_back() -> None:
    """Let the system prefer all other processes to this one.

    On Linux a priority is of a thread: those that run already would keep theirs, and new ones have that of their maker.
    """
    threads = Path("/proc/self/task")
    for thread in [int(one.name) for one in threads.iterdir()] if threads.is_dir() else [0]:
        with suppress(ProcessLookupError):  # it has ended
            os.setpriority(os.PRIO_PROCESS, thread, _BEHIND)


async def _migrate(settings: Settings) -> None:
    async with bootstrap.open_database(settings):
        pass


def _listen_at_previous_port(settings: Settings, what: str, host: str) -> socket.socket:
    """Listen at the port of the previous start, or at a free port if it is taken."""
    before = installation.running_instance(settings) or {}
    port = urlsplit(before.get(what) or "").port
    try:
        return http_server.listen(host, port or 0)
    except Conflict:
        return http_server.listen(host, 0)


@asynccontextmanager
async def _restart_engine_when_killed(engine: Engine, settings: Settings, codec: str | None) -> AsyncIterator[None]:
    """Restart the engine at its ports, with its codec server, if it is killed while the block runs."""
    again: list[Engine] = []

    async def watch() -> None:
        current = engine
        while True:
            code = await current.ended()
            progress(f"the Temporal server has stopped (exit code {code}); it is started again")
            await current.stop()
            current = await start_engine(
                settings.home / "engine",
                database=settings.engine_database,
                ui=True,
                ports=engine.ports,
                codec=codec,
            )
            again.append(current)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for each in again:
            await each.stop()


def described(settings: Settings, api: str, there: Surroundings, told: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what `placet up --json` prints, and what other commands read of a running instance."""
    processes = {name: {key: of[key] for key in ("pid", "sdk_metrics") if key in of} for name, of in told.items()}
    first_worker = next(of for name, of in processes.items() if name.startswith("worker"))
    return {
        "api": api,
        "docs": f"{api}/api/v1/docs",
        "inbox": f"{api}/",
        "metrics": f"{api}/api/v1/metrics/prometheus",
        "sdk_metrics": first_worker["sdk_metrics"],
        "mailbox": there.mailbox,
        "temporal_ui": there.temporal_ui,
        "temporal": there.temporal,
        "namespace": there.namespace,
        "home": str(settings.home),
        "pid": os.getpid(),
        "processes": processes,
    }
