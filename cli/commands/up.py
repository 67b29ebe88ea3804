"""`placet up`: engine, API, worker and notifications as processes of their own, until it is told to stop."""

from __future__ import annotations

import gc
import http.client
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import FrameType
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from cli import bootstrap, http_server, installation
from cli.supervisor.child import end_with
from cli.supervisor.roles import HOST, Roles, Surroundings, described
from cli.supervisor.supervisor import Supervisor, ToldToStop
from cli.terminal.log_file import log_file
from cli.terminal.logs import PassedOn, require_format
from cli.terminal.options import Json, settings_with
from cli.terminal.output import errors_as_messages, out, print_json, progress
from placet.errors import Conflict, PlacetError, Unavailable
from worker.settings import Settings

TITLES = {
    "api": "API",
    "docs": "API docs",
    "inbox": "inbox",
    "metrics": "metrics",
    "mailbox": "mailbox",
    "temporal_ui": "Temporal Web UI",
    "temporal": "Temporal server",
    "home": "data",
}
_ASK_AGAIN = 0.05  # seconds


def run_everything(settings: Settings, ready: Callable[[dict[str, Any]], None]) -> None:
    """Run engine, API, worker and notifications until SIGINT or SIGTERM, and call `ready` once all are ready.

    If no mail server is set, mails go to a local mailbox, which is served as web pages. The log is on standard error,
    or, once all are ready, in the file of the settings.
    """
    require_format()
    installation.prepare_home(settings)
    _require_no_other_instance(settings)
    log = PassedOn(log_file(settings))
    listener = http_server.listen(settings.host, settings.port)
    roles = Roles(settings, listener)
    api = f"http://{settings.host}:{listener.getsockname()[1]}"
    where: dict[str, Any] = {}

    def write() -> None:
        if roles.surroundings is not None:
            roles.surroundings = Surroundings(**_without_pid(supervisor.told[HOST]))
            where.update(described(settings, api, roles.surroundings, supervisor.told))
            installation.write_running_instance(settings, where)

    supervisor = Supervisor(log, changed=write, look_after=log.keep_in_time)
    gc.collect()
    gc.freeze()  # so that a collection in a child does not write to the pages that all share
    with supervisor.watching_signals():
        try:
            supervisor.start([roles.host()])
            roles.surroundings = Surroundings(**_without_pid(supervisor.told[HOST]))
            supervisor.start(roles.others(), bootstrap.STARTUP_SECONDS)
            _until_ready(api, supervisor)
            write()
            ready(where)
            log.only_the_file()
            supervisor.run()
            progress("stopping")
        except ToldToStop:
            progress("stopping before all was ready")
        finally:
            listener.close()  # the API's processes have their own
            supervisor.stop()


@contextmanager
def everything_running(settings: Settings) -> Iterator[dict[str, Any]]:
    """Run everything beside this process while the block runs; yields the addresses.

    To be called before there are threads and event loops. Raises the error of what could not start.
    """
    context = get_context("fork")
    answers, answering = context.Pipe(duplex=False)
    process = context.Process(target=_run_beside, args=(settings, answering, os.getpid()))
    process.start()
    answering.close()
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        answer = answers.recv()
        if isinstance(answer, PlacetError):
            raise answer
        yield answer
    except EOFError:
        raise Unavailable("Placet ended before it was ready; the lines above say why.") from None
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        process.join()
        answers.close()
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _: FrameType | None) -> None:
    """End this process in order: whatever runs beside it is ended as well."""
    raise SystemExit(128 + number)


def _run_beside(settings: Settings, answering: Connection, beside: int) -> None:
    end_with(beside, signal.SIGTERM)
    try:
        run_everything(settings, answering.send)
    except PlacetError as error:
        answering.send(error)


def _without_pid(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != "pid"}


def _require_no_other_instance(settings: Settings) -> None:
    """Raise Conflict with its addresses if another `placet up` runs on this folder."""
    where = installation.running_instance(settings)
    if where is None or not installation.process_exists(where["pid"]):
        return
    if _status(where["api"], "/api/v1/health/live", seconds=2) == http.client.OK:
        raise Conflict(
            f"Placet runs on {settings.home} already: API {where['api']}, Temporal Web UI {where['temporal_ui']}, "
            f"process {where['pid']}. Stop that process first, or set PLACET_HOME to another folder."
        )


def _until_ready(api: str, supervisor: Supervisor) -> None:
    end = time.monotonic() + bootstrap.STARTUP_SECONDS
    while (status := _status(api, "/api/v1/health/ready", seconds=10)) != http.client.OK:
        if time.monotonic() > end:
            said = "did not answer" if status is None else f"answered {status}"
            raise Unavailable(f"Placet was not ready within {bootstrap.STARTUP_SECONDS:.0f} seconds: {api} {said}.")
        supervisor.look(_ASK_AGAIN)


def _status(api: str, path: str, *, seconds: float) -> int | None:
    """Return the status of an answer, or None without one."""
    there = urlsplit(api)
    connection = http.client.HTTPConnection(there.hostname or "", there.port, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def show(where: dict[str, Any]) -> None:
    """Print the addresses."""
    for name, title in TITLES.items():
        if where[name] is not None:
            out.print(f"  {title:16} {where[name]}", soft_wrap=True)
    for name, process in where["processes"].items():
        if "sdk_metrics" in process:
            out.print(f"  {'SDK metrics':16} {process['sdk_metrics']} ({name})", soft_wrap=True)


def up_command(
    port: Annotated[int | None, typer.Option(help="The port that the API listens on; 0 for a free port.")] = None,
    host: Annotated[str | None, typer.Option(help="The address that the API listens on.")] = None,
    as_json: Json = False,
) -> None:
    """Start engine, API, worker and notifications, and print their addresses when all are ready."""
    settings = settings_with(port=port, host=host)

    def ready(where: dict[str, Any]) -> None:
        if as_json:
            print_json(where)
            return
        out.print("[bold green]Placet is ready.[/bold green]")
        show(where)

    with errors_as_messages():
        run_everything(settings, ready)
