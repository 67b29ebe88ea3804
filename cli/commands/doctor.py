"""`placet doctor`: check an installation, and say how to repair what is missing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import typer
from rich.markup import escape

from cli import bootstrap
from cli.database import migrated_database
from cli.installation import process_exists, require_installation, running_instance
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import EXIT_FAILED, out, print_json
from engine_host.locate import locate
from engine_host.namespaces import missing_attributes
from placet.errors import PlacetError, Unavailable
from service.administration.health import workers
from service.context import utc_now
from service.erasure.erasing import missing
from service.erasure.ledger import read_ledger
from storage.retention import erasures
from worker.settings import Settings

_OLDEST = (3, 11)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check: its name, whether it passed, and what was found."""

    name: str
    ok: bool
    found: str


async def examine(settings: Settings) -> list[Check]:
    """Run all checks. A component that is missing is a failed check and raises nothing."""
    looks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("python", _python),
        ("data folder", lambda: _home(settings)),
        ("database", lambda: _database(settings)),
        ("engine program", _engine_program),
        ("engine", lambda: _engine(settings)),
        ("worker", lambda: _worker(settings)),
        ("processes", lambda: _processes(settings)),
        ("erasures", lambda: _erasures(settings)),
    ]
    return [await _look(name, look) for name, look in looks]


async def _look(name: str, look: Callable[[], Awaitable[str]]) -> Check:
    try:
        return Check(name=name, ok=True, found=await look())
    except PlacetError as error:
        return Check(name=name, ok=False, found=error.message)
    except OSError as error:
        return Check(name=name, ok=False, found=f"{error.filename}: {error.strerror}")


async def _python() -> str:
    version = sys.version.split()[0]
    if sys.version_info < _OLDEST:
        raise Unavailable(f"Python {version} is too old; install 3.11 or newer.")
    return version


async def _home(settings: Settings) -> str:
    home = settings.home
    if not home.exists():
        raise Unavailable(f"{home} does not exist yet. `placet up` creates it; set PLACET_HOME to use another folder.")
    if not os.access(home, os.W_OK):
        raise Unavailable(f"{home} is not writable. Set PLACET_HOME to a folder that you can write to.")
    return str(home)


async def _database(settings: Settings) -> str:
    async with migrated_database(require_installation(settings)) as database:
        await database.check()
        return database.url.render_as_string(hide_password=True)


async def _engine_program() -> str:
    return str(await asyncio.to_thread(locate))


async def _engine(settings: Settings) -> str:
    there = bootstrap.engine_settings(settings)
    client = await bootstrap.connect_client(there)
    missing = await missing_attributes(client, there.namespace)
    if missing:
        raise Unavailable(f"{there.address} lacks the search attributes {', '.join(missing)}; run `placet prepare`.")
    keys = there.payload_keys
    payloads = "readable" if keys is None else f"encrypted by the key {keys.writes.id}"
    return f"{there.address}, namespace {there.namespace}, payloads {payloads}"


async def _worker(settings: Settings) -> str:
    client = await bootstrap.connect_client(bootstrap.engine_settings(settings))
    async with migrated_database(require_installation(settings)) as database:
        found = await workers(database, client, settings.task_queue, utc_now())
    if not found:
        raise Unavailable(
            f"No worker polls the task queue {settings.task_queue!r}; run `placet worker` or `placet up`."
        )
    return f"task queue {settings.task_queue!r}: {', '.join(sorted(found))}"


async def _processes(settings: Settings) -> str:
    where = running_instance(settings)
    if where is None or not process_exists(where["pid"]):
        return f"`placet up` does not run on {settings.home}"
    pids = {name: process["pid"] for name, process in where["processes"].items()}
    if ended := sorted(name for name, pid in pids.items() if not process_exists(pid)):
        raise Unavailable(f"{', '.join(ended)} ended and is started again by `placet up`, whose log says why.")
    return ", ".join(f"{name} {pid}" for name, pid in {"supervisor": where["pid"], **pids}.items())


async def _erasures(settings: Settings) -> str:
    async with migrated_database(require_installation(settings)) as database:
        unknown = await missing(database, read_ledger(settings.home))
        waiting = await database.read(erasures.incomplete)
    if unknown:
        raise Unavailable(
            f"This database still has people who were erased: {', '.join(one.person for one in unknown)}. It was "
            "restored from an older backup; a worker erases them again when it starts."
        )
    return f"some of it waits: {', '.join(waiting)}" if waiting else "none waits"


def show(checks: list[Check]) -> None:
    """Print one line for each check."""
    for check in checks:
        mark = "[green]ok[/green]    " if check.ok else "[red]FAILED[/red]"
        out.print(f"  {mark}  {check.name:15} {escape(check.found)}", soft_wrap=True)


def doctor_command(as_json: Json = False) -> None:
    """Check this installation: database, engine, worker and processes. The exit code is 1 if a check fails."""
    checks = run(examine(settings_with()))
    well = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": well, "checks": {c.name: {"ok": c.ok, "found": c.found} for c in checks}})
    else:
        show(checks)
    if not well:
        raise typer.Exit(EXIT_FAILED)
