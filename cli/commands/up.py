"""`placet up`: engine, API and worker in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import typer

from activities.notifications.channels.mailbox import Mailbox
from activities.notifications.settings import load as load_notices
from cli import bootstrap, http_server, installation
from cli.pages.mailbox import mailroom
from cli.pages.web_ui import web_ui
from cli.terminal.event_loop import run, until_told_to_stop, watch_for_stop
from cli.terminal.options import Json, settings_with
from cli.terminal.output import out, print_json, progress
from engine_host.serve import Engine, start_engine
from placet.errors import Conflict, Unavailable
from storage.announcements.listener import listening
from storage.database import Database
from worker.settings import Settings
from worker.telemetry import metrics_runtime, tracer_provider

_LOOPBACK = "127.0.0.1"
TITLES = {
    "api": "API",
    "docs": "API docs",
    "inbox": "inbox (JSON)",
    "metrics": "metrics",
    "sdk_metrics": "SDK metrics",
    "mailbox": "mailbox",
    "temporal_ui": "Temporal Web UI",
    "temporal": "Temporal server",
    "home": "data",
}


@dataclass(frozen=True, kw_only=True)
class RunningInstance:
    """The addresses of a `placet up` that is ready."""

    api: str
    temporal_ui: str
    temporal: str
    namespace: str
    sdk_metrics: str
    mailbox: Mailbox | None
    mailbox_url: str | None
    database: Database
    settings: Settings

    def as_json(self) -> dict[str, Any]:
        """Return what `placet up --json` prints."""
        return {
            "api": self.api,
            "docs": f"{self.api}/api/v1/docs",
            "inbox": f"{self.api}/api/v1/workflow/tasks/?assignee=me&status=open",
            "metrics": f"{self.api}/api/v1/metrics/prometheus",
            "sdk_metrics": self.sdk_metrics,
            "mailbox": self.mailbox_url,
            "temporal_ui": self.temporal_ui,
            "temporal": self.temporal,
            "namespace": self.namespace,
            "home": str(self.settings.home),
            "pid": os.getpid(),
        }


@asynccontextmanager
async def start_everything(settings: Settings, progress: Any) -> AsyncIterator[RunningInstance]:
    """Run engine, worker, dispatcher and API while the block runs. The block is entered when all are ready.

    If no mail server is set, mails go to a local mailbox, which is served as web pages.
    """
    installation.prepare_home(settings)
    await _require_no_other_instance(settings)
    listener = http_server.listen(settings.host, settings.port)
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        database = await stack.enter_async_context(bootstrap.open_database(settings))
        there, engine = await stack.enter_async_context(bootstrap.engine_for(settings, progress))
        if engine is not None:  # before the components that need it, so that it stops after them
            await stack.enter_async_context(_restart_engine_when_killed(engine, settings, progress))
        traces = tracer_provider("placet")
        runtime, sdk_metrics = metrics_runtime(settings.worker_metrics)
        client = await bootstrap.connect_client(there, traces=traces, runtime=runtime)
        ui_url = bootstrap.temporal_ui_url(settings, there)
        if engine is not None and engine.ui_url is not None:
            pages = _listen_at_previous_port(settings, "temporal_ui", _LOOPBACK)
            shown = web_ui(engine.ui_url, (there.namespace, there.rehearsal_namespace))
            await stack.enter_async_context(http_server.serve(shown, pages))
            ui_url = f"http://{_LOOPBACK}:{pages.getsockname()[1]}"
        api_url = f"http://{settings.host}:{listener.getsockname()[1]}"
        notify = load_notices()
        mailbox, mailbox_url = None, None
        if notify.smtp_host is None:
            mailbox = await stack.enter_async_context(Mailbox(folder=settings.home / "mailbox"))
            pages = _listen_at_previous_port(settings, "mailbox", settings.host)
            await stack.enter_async_context(http_server.serve(mailroom(mailbox), pages))
            mailbox_url = f"http://{settings.host}:{pages.getsockname()[1]}"
            own = {"smtp_host": mailbox.host, "smtp_port": mailbox.port, "smtp_tls": "none"}
            notify = notify.model_copy(update=own)
        subscriptions = await stack.enter_async_context(listening(database))
        await stack.enter_async_context(bootstrap.worker_running(database, client, settings, notify))
        app = http_server.build_api(database, client, settings, ui_url, traces, subscriptions=subscriptions)
        await stack.enter_async_context(http_server.serve(app, listener, app.state.shutdown.drain))
        running = RunningInstance(
            api=api_url,
            temporal_ui=ui_url,
            temporal=there.address,
            namespace=there.namespace,
            mailbox=mailbox,
            mailbox_url=mailbox_url,
            sdk_metrics=f"http://{sdk_metrics}/metrics",
            database=database,
            settings=settings,
        )
        await _until_ready(api_url)
        installation.write_running_instance(settings, running.as_json())
        yield running


def _listen_at_previous_port(settings: Settings, what: str, host: str) -> socket.socket:
    """Listen at the port of the previous start, or at a free port if it is taken."""
    before = installation.running_instance(settings) or {}
    port = urlsplit(before.get(what) or "").port
    try:
        return http_server.listen(host, port or 0)
    except Conflict:
        return http_server.listen(host, 0)


async def _require_no_other_instance(settings: Settings) -> None:
    """Raise Conflict with its addresses if another `placet up` runs on this folder."""
    where = installation.running_instance(settings)
    if where is None:
        return
    try:
        async with httpx.AsyncClient(base_url=where["api"], trust_env=False, timeout=2) as http:
            answer = await http.get("/api/v1/health/live")
    except httpx.HTTPError:
        return  # that process has ended and left its file behind
    if answer.status_code == httpx.codes.OK and _process_exists(where["pid"]):
        raise Conflict(
            f"Placet runs on {settings.home} already: API {where['api']}, Temporal Web UI {where['temporal_ui']}, "
            f"process {where['pid']}. Stop that process first, or set PLACET_HOME to another folder."
        )


def _process_exists(pid: int) -> bool:
    """Whether this process exists. Another installation may use its address by now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@asynccontextmanager
async def _restart_engine_when_killed(engine: Engine, settings: Settings, progress: Any) -> AsyncIterator[None]:
    """Restart the engine at its ports if it is killed while the block runs."""
    again: list[Engine] = []

    async def watch() -> None:
        current = engine
        while True:
            code = await current.ended()
            progress(f"the Temporal server has stopped (exit code {code}); it is started again")
            await current.stop()
            current = await start_engine(
                settings.home / "engine", database=settings.engine_database, ui=True, ports=engine.ports
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


async def _until_ready(api_url: str) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + bootstrap.STARTUP_SECONDS
    problem: Any = None
    async with httpx.AsyncClient(base_url=api_url, trust_env=False) as http:
        while loop.time() < end:
            try:
                answer = await http.get("/api/v1/health/ready")
                if answer.status_code == httpx.codes.OK:
                    return
                problem = answer.json()
            except httpx.TransportError as error:
                problem = error
            await asyncio.sleep(0.1)
    raise Unavailable(f"Placet was not ready within {bootstrap.STARTUP_SECONDS:.0f} seconds: {problem}")


def up_command(
    port: Annotated[int | None, typer.Option(help="The port that the API listens on; 0 for a free port.")] = None,
    host: Annotated[str | None, typer.Option(help="The address that the API listens on.")] = None,
    as_json: Json = False,
) -> None:
    """Start engine, API and worker in one process, and print their addresses when all are ready."""
    settings = settings_with(port=port, host=host)

    async def work() -> None:
        async with start_everything(settings, progress) as running:
            stop, where = watch_for_stop(), running.as_json()
            if as_json:
                print_json(where)
            else:
                out.print("[bold green]Placet is ready.[/bold green]")
                for name, title in TITLES.items():
                    if where[name] is not None:
                        out.print(f"  {title:16} {where[name]}", soft_wrap=True)
            await until_told_to_stop(stop)
            progress("stopping")

    run(work())
