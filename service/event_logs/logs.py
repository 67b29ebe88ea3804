"""Preview event logs, import them, and suggest blueprints out of them: for designers and admins."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import Connection

from insight.event_logs import importing
from placet.definition.model import parse_definition
from placet.directory import Directory
from placet.errors import Busy, Conflict, InputInvalid
from placet.sentences import sentence
from service.attachments.attachments import Upload
from service.context import Context
from service.event_logs import trials
from service.event_logs.content import LogContent, content_of
from service.event_logs.jobs import HELD, EventLogJobs
from service.event_logs.stored import LONGEST_NAME, act_of, row_of
from service.principal import Principal
from storage.queries import event_logs
from storage.queries.people import people
from storage.recording import admin_acts
from storage.tables.event_logs import EventLog

MOST_RUNNING: Final = 4  # logs of an installation that are being read
PATIENCE: Final = 2.0  # seconds: a small log is whole when the call is answered
SUGGEST_SECONDS: Final = 300  # of processor time
TRIAL_SECONDS: Final = 600  # of processor time
_RETRY_AFTER = 30  # seconds


async def preview(context: Context, principal: Principal, upload: Upload, mapped: object | None) -> dict[str, Any]:
    """Return what a log holds, read by a map or by the one that is proposed; nothing is stored. Raises InputInvalid."""
    folder = TemporaryDirectory(prefix="placet-event-log-")
    try:
        file = await asyncio.to_thread(_kept, upload, folder.name)
        return await context.pool.run(importing.preview, str(file), mapped, by=principal.person)
    finally:
        await asyncio.to_thread(folder.cleanup)


async def import_log(
    context: Context,
    jobs: EventLogJobs,
    principal: Principal,
    upload: Upload,
    *,
    log_id: str,
    name: str,
    mapped: object | None,
) -> EventLog:
    """Store a log and begin to read it; the same id again is the same log.

    Raises InputInvalid for what is wrong at the beginning of the file, and Busy. What is wrong further inside fails the
    log, whose `error` says where.
    """
    if not name.strip() or len(name) > LONGEST_NAME:
        raise InputInvalid.at("/name", sentence("write a name of 1 to {longest} characters", longest=LONGEST_NAME))
    folder = TemporaryDirectory(prefix="placet-event-log-")
    begun = False
    try:
        file = await asyncio.to_thread(_kept, upload, folder.name)
        used = await context.pool.run(importing.first_fault, str(file), mapped, by=principal.person)
        now = context.now()

        def store(connection: Connection) -> bool:
            if event_logs.find(connection, log_id) is not None:
                return False
            if event_logs.running(connection) >= MOST_RUNNING:
                raise Busy(
                    sentence("{most} event logs are being read; nothing has happened.", most=MOST_RUNNING),
                    retry_after=_RETRY_AFTER,
                )
            row = row_of(
                log_id=log_id,
                name=name.strip(),
                file_name=upload.name,
                size=upload.size,
                sha256=upload.sha256,
                mapped=used,
                by=principal.person,
                at=now,
            )
            act = act_of("event_log_imported", row)
            event_logs.store(connection, row)
            event_logs.hold(connection, [log_id], until=now + HELD)
            admin_acts.record(connection, principal.acted_by, act, now)
            return True

        begun = await context.database.write(store)
        if begun:
            jobs.start(log_id, folder, file, used)
    finally:
        if not begun:
            await asyncio.to_thread(folder.cleanup)
    await jobs.ended(log_id, patience=PATIENCE)
    return await context.database.read(event_logs.get, log_id)


async def delete_log(context: Context, principal: Principal, log_id: str) -> EventLog:
    """Delete a log with its cases, and return it as it was; raises NotFound, and Conflict while it is being read."""
    now = context.now()

    def work(connection: Connection) -> EventLog:
        row = event_logs.get(connection, log_id)
        if row.status == "running":
            raise Conflict("The event log is being read; delete it when that has ended.")
        act = act_of("event_log_deleted", row)
        event_logs.remove(connection, log_id)
        admin_acts.record(connection, principal.acted_by, act, now)
        return row

    return await context.database.write(work)


async def suggest(context: Context, principal: Principal, log_id: str, *, min_occurrences: int) -> dict[str, Any]:
    """Suggest a blueprint out of a log, measured on later cases than it was made from.

    Raises NotFound, Conflict where the log was not read, and InputInvalid where it shows no process.
    """

    def read(connection: Connection) -> tuple[LogContent, Directory]:
        return content_of(connection, log_id, f"user:{principal.person}"), people.everyone(connection)

    content, directory = await context.database.read(read)
    return await context.pool.run(
        content.suggested, min_occurrences, directory, by=principal.person, seconds=SUGGEST_SECONDS
    )


async def evaluate_forecasts(
    context: Context, principal: Principal, log_id: str, *, min_occurrences: int
) -> dict[str, Any]:
    """Return how right forecasts are about the latest cases of a log, beside naive ones.

    Raises NotFound, Conflict where the log was not read, InputInvalid where it shows no process, Busy and TooMuchWork.
    """
    content = await context.database.read(content_of, log_id, None)
    return await context.pool.run(
        trials.forecasts_on, content, min_occurrences, by=principal.person, seconds=TRIAL_SECONDS
    )


async def backtest_log(
    context: Context,
    principal: Principal,
    log_id: str,
    *,
    blueprint: object | None,
    patch: object | None,
    min_occurrences: int,
) -> dict[str, Any]:
    """Return what a blueprint would have changed in the later cases of a log; without one, a patch of the log's own.

    Raises NotFound, Conflict where the log was not read, InputInvalid, BlueprintInvalid, Busy and TooMuchWork.
    """
    if blueprint is None and patch is None:
        raise InputInvalid.at("/patch", "send a patch of the blueprint that the log shows, or a blueprint")
    definition = None if blueprint is None else await context.pool.run(parse_definition, blueprint, by=principal.person)

    def read(connection: Connection) -> tuple[LogContent, trials.CandidateOfLog]:
        return content_of(connection, log_id, None), trials.candidate_of(
            connection, definition, blueprint, patch, context.now()
        )

    content, tried = await context.database.read(read)
    return await context.pool.run(
        trials.backtest_on, content, tried, min_occurrences, by=principal.person, seconds=TRIAL_SECONDS
    )


def _kept(upload: Upload, folder: str) -> Path:
    """Write an upload to a file that another process can read. Blocks."""
    file = Path(folder) / "log"
    upload.file.seek(0)
    with file.open("wb") as out:
        shutil.copyfileobj(upload.file, out)
    return file
