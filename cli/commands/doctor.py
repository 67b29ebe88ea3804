"""`placet doctor`: check an installation, and say how to repair what is missing."""

from __future__ import annotations

from functools import partial

import typer
from rich.markup import escape

from cli.checkup import engine, machine, stored
from cli.checkup.check import Check, Look, checked
from cli.checkup.mail import mail
from cli.checkup.scanner import scanner
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import EXIT_FAILED, out, print_json
from worker.settings import Settings

FORMAT = 2
"""Of the JSON document. It changes only where a field means something else or is gone."""
_PAGE = "docs/operations.md"
_MARKS = {"ok": "[green]ok[/green]     ", "failed": "[red]FAILED[/red] ", "skipped": "[dim]skipped[/dim]"}


async def examine(settings: Settings) -> list[Check]:
    """Make all checks. What is missing is a failed check, and what cannot be told from here is skipped."""
    database = stored.Stored(settings)
    try:
        here = [await look.check() for look in machine_looks(settings)]
        kept = await checked(stored_looks(database))
        there = await checked(engine_looks(engine.Engine(settings, database.current)))
        return [*here, *kept, *there, *[await look.check() for look in other_looks(settings)]]
    finally:
        await database.close()


def machine_looks(settings: Settings) -> list[Look]:
    """Return the checks of this machine."""
    return [
        Look(name="python", docs="README.md", remedy="Install Python 3.11 or newer.", see=machine.python),
        Look(
            name="data folder",
            docs=f"{_PAGE}#settings",
            remedy="Set PLACET_HOME to a folder that you can write to.",
            see=partial(machine.home, settings),
        ),
        Look(
            name="disk",
            docs=f"{_PAGE}#free-disk",
            remedy="Make room, or move the folder: databases stop writing on a full disk.",
            see=partial(machine.disk, settings),
        ),
        Look(
            name="permissions",
            docs="docs/security.md#files-of-an-installation",
            remedy="Let only their owner use these files.",
            see=partial(machine.permissions, settings),
        ),
        Look(
            name="log file",
            docs=f"{_PAGE}#logs",
            remedy="Set PLACET_LOG_FILE to a file in a folder that you can write to.",
            see=partial(machine.log, settings),
        ),
    ]


def stored_looks(database: stored.Stored) -> list[Look]:
    """Return the checks of the database; the others need what the first one looks at."""
    return [
        Look(
            name="database",
            docs=f"{_PAGE}#settings",
            remedy="Start the database, or set PLACET_DATABASE_URL to where it is.",
            see=database.answers,
        ),
        Look(
            name="schema",
            docs=f"{_PAGE}#processes",
            remedy="Run `placet migrate`.",
            see=database.schema,
        ),
        Look(
            name="database clock",
            docs=f"{_PAGE}#clocks",
            remedy="Let both machines follow the same time servers (NTP).",
            see=database.clock,
        ),
        Look(
            name="outbox",
            docs="docs/runbook.md#placetnotificationswaiting",
            remedy="Repair the channel that waits; without any, run `placet worker --only notifications`.",
            see=database.outbox,
        ),
        Look(
            name="transparency log",
            docs="docs/runbook.md#placetcheckpointsstopped",
            remedy="Run a worker for approvals; where one runs, its log says why nothing is added.",
            see=database.log,
        ),
        Look(
            name="erasures",
            docs="docs/data-protection.md#erasing-a-person",
            remedy="Start a worker: it erases them again.",
            see=database.erasures,
        ),
    ]


def engine_looks(there: engine.Engine) -> list[Look]:
    """Return the checks of the engine; the others need what the first one looks at."""
    no_worker = "Run `placet worker` or `placet up`."
    return [
        Look(
            name="engine",
            docs="docs/existing-cluster.md",
            remedy="Start the server and set TEMPORAL_ADDRESS to it, or run `placet up`.",
            see=there.answers,
        ),
        Look(
            name="search attributes",
            docs="docs/existing-cluster.md",
            remedy="Run `placet prepare`; on Temporal Cloud, create them in its console.",
            see=there.search_attributes,
        ),
        Look(name="worker", docs=f"{_PAGE}#processes", remedy=no_worker, see=there.worker),
        Look(name="pollers", docs="docs/runbook.md#placetnopollers", remedy=no_worker, see=there.pollers),
        Look(
            name="backlog",
            docs="docs/runbook.md#placetslotsexhausted",
            remedy="Start more workers, or look at what keeps them: a slow database, or a slow action.",
            see=there.backlog,
        ),
        Look(
            name="engine clock",
            docs=f"{_PAGE}#clocks",
            remedy="Let both machines follow the same time servers (NTP).",
            see=there.clock,
        ),
    ]


def other_looks(settings: Settings) -> list[Look]:
    """Return the checks of what is beside database and engine."""
    return [
        Look(
            name="engine program",
            docs=f"{_PAGE}#settings",
            remedy="Set TEMPORAL_ADDRESS to a running server, or let `placet engine --find` fetch one.",
            see=machine.engine_program,
        ),
        Look(
            name="processes",
            docs=f"{_PAGE}#processes",
            remedy="The log of `placet up` says why it ended.",
            see=partial(machine.processes, settings),
        ),
        Look(
            name="mail",
            docs="docs/notifications.md",
            remedy="Set PLACET_SMTP_HOST and the settings beside it to a server that takes mails from here.",
            see=mail,
        ),
        Look(
            name="malware scanner",
            docs=f"{_PAGE}#malware",
            remedy="Start clamd, or set PLACET_CLAMD_URL to where it listens.",
            see=partial(scanner, settings),
        ),
        Look(
            name="certificates",
            docs="docs/runbook.md#placetcertificateexpires",
            remedy="Renew what ends first, put its file in place, and start the processes again.",
            see=partial(engine.certificates, settings),
        ),
        Look(
            name="payload keys",
            docs="docs/data-protection.md#payloads-in-the-engine",
            remedy="Restore the file of keys: without it, payloads that it encrypted cannot be read.",
            see=engine.payload_keys,
        ),
    ]


def show(checks: list[Check]) -> None:
    """Print one line for each check, and what to do below those that failed."""
    for check in checks:
        out.print(f"  {_MARKS[check.status]}  {check.name:17} {escape(check.found)}", soft_wrap=True)
        if check.remedy is not None:
            out.print(f"           {'':17} {escape(check.remedy)} ({check.docs})", soft_wrap=True)


def document(checks: list[Check]) -> dict[str, object]:
    """Return what `--json` prints."""
    return {
        "format": FORMAT,
        "ok": all(check.ok for check in checks),
        "checks": {
            check.name: {
                "ok": check.ok,
                "status": check.status,
                "found": check.found,
                "remedy": check.remedy,
                "docs": check.docs,
            }
            for check in checks
        },
    }


def doctor_command(as_json: Json = False) -> None:
    """Check this installation, and say what to do about each fault. The exit code is 1 if a check fails."""
    checks = run(examine(settings_with()))
    if as_json:
        print_json(document(checks))
    else:
        show(checks)
    if not all(check.ok for check in checks):
        raise typer.Exit(EXIT_FAILED)
