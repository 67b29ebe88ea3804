"""`placet import-log`: import the event log of another system, or look at what it holds."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from cli.database import migrated_database
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import errors_as_messages, out, print_json
from insight.event_logs import importing
from insight.event_logs.column_map import read_map
from placet.audit.admin_acts import OPERATOR
from placet.errors import InputInvalid
from service.administration.acts import write_with_act
from service.event_logs.jobs import HELD, completed, store_parts
from service.event_logs.stored import LONGEST_NAME, act_of, row_of
from storage.queries import event_logs
from storage.tables.event_logs import EventLog
from worker.settings import Settings

_BY = "command line"
_PIECE = 1_048_576  # bytes


def import_log_command(
    file: Annotated[Path, typer.Argument(help="A log, as XES or CSV, plain or packed by gzip.", dir_okay=False)],
    columns: Annotated[
        str | None,
        typer.Option(
            "--map",
            help='Which columns mean what, as JSON: {"case": …, "activity": …, "timestamp": …, "timestamp_format": …, '
            '"person": …, "lifecycle": …, "attributes": […]}. By default as a preview proposes.',
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the log is called; by default as its file.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show what the file holds, and store nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Import the event log of another system, from which a blueprint can be suggested."""
    with errors_as_messages():
        if not file.is_file():
            raise InputInvalid(f"{file} cannot be read: there is no such file.")
        mapped = None if columns is None else read_map(columns)
        if preview:
            _show(importing.preview(str(file), mapped), as_json=as_json)
            return
        row = run(import_file(settings_with(), file, name or file.name, mapped))
    if as_json:
        print_json({"id": row.id, "name": row.name, "status": row.status, **_counts(row), "warnings": row.warnings})
        return
    out.print(
        f"{row.name}: {row.cases:,} cases, {row.events:,} events, {row.activities} activities, {row.people} people. "
        f"Its id is {row.id}.",
        markup=False,
        soft_wrap=True,
    )
    for stage in row.stages or ():
        waits = stage["wait_hours"]
        machine = "; a machine decides" if stage["machine"] else ""
        out.print(
            f"  {stage['stage']}: {stage['decisions']:,} decisions, {stage['approval_rate']:.1%} approved (at least "
            f"{stage['approval_rate_low']:.1%}), waits of {waits['p50']:.1f} / {waits['p90']:.1f} / {waits['p99']:.1f} "
            f"hours (p50, p90, p99){machine}",
            markup=False,
            soft_wrap=True,
        )
    for warning in row.warnings:
        out.print(f"  {warning}", markup=False, soft_wrap=True)


async def import_file(settings: Settings, file: Path, name: str, mapped: object | None) -> EventLog:
    """Read a log and store it with its cases; raises InputInvalid, and nothing is stored then."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise InputInvalid.at("/name", f"write a name of 1 to {LONGEST_NAME} characters")
    used = importing.first_fault(str(file), mapped)
    size, sha256 = _measured(file)
    user = os.environ.get("USER", "")
    with TemporaryDirectory(prefix="placet-event-log-") as folder:
        parts = Path(folder) / "parts"
        assembled = importing.assemble(str(file), used, str(parts))
        async with migrated_database(require_installation(settings)) as database:
            now = database.now()
            row = row_of(
                log_id=uuid.uuid4().hex,
                name=name.strip(),
                file_name=file.name,
                size=size,
                sha256=sha256,
                mapped=used,
                by=f"{_BY} ({user})" if user else _BY,
                at=now,
            )
            log_id, act = row.id, act_of("event_log_imported", row)
            row.held_until = now + HELD  # where the command is killed, the log has failed after that
            await write_with_act(database, OPERATOR, now, act, event_logs.store, row)
            await store_parts(database, log_id, parts)
            await database.write(event_logs.finish, log_id, {**completed(assembled), "finished_at": database.now()})
            return await database.read(event_logs.get, log_id)


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    out.print(f"{told['format'].upper()}, {told['events']:,} events read{'' if told['whole'] else ' of more'}.")
    for column in told["columns"]:
        examples = ", ".join(column["examples"])
        out.print(f"  {column['name']}: {column['filled']:,} values, such as {examples}"[:200], markup=False)
    out.print(f"Map: --map '{json.dumps(told['map'] or told['proposed_map'])}'", markup=False, soft_wrap=True)
    for one in told["activity_kinds"]:
        stage = f" of {one['stage']}" if one["stage"] else ""
        out.print(f"  {one['activity']} ({one['count']:,}): {one['kind']}{stage}", markup=False, soft_wrap=True)
    for case in told["first_cases"]:
        out.print(f"{case['case']}:", markup=False)
        for event in case["events"]:
            out.print(f"  {event['at']}  {event['activity']}  {event['person'] or ''}", markup=False, soft_wrap=True)


def _counts(row: EventLog) -> dict[str, Any]:
    fields = ("cases", "events", "people", "activities", "map", "stages")
    return {field: getattr(row, field) for field in fields}


def _measured(file: Path) -> tuple[int, str]:
    """Return the size of a file and its SHA-256."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()
