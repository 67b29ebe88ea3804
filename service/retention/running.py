"""One run of retention: delete what is older than it is kept, and erase contents that are due, batch by batch."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from placet.audit.admin_acts import SYSTEM, Act
from service.attachments.store import FileStore
from service.retention.kinds import CONTENTS, KINDS, SLA_EXECUTIONS
from service.retention.periods import Periods
from service.slas.forgetting import forget_executions
from storage.database import Database
from storage.queries import retention as stored
from storage.recording import admin_acts
from storage.retention import contents
from storage.retention.contents import ErasedContents


async def delete_old_rows(database: Database, periods: Periods, now: datetime) -> None:
    """Delete what is older than it is kept, each batch in a transaction of its own, and note how much that was."""
    for kind in KINDS:
        before = now - timedelta(days=kind.kept(periods))
        deleted = 0
        while batch := await database.write(kind.delete, before):
            deleted += batch
        await database.write(stored.note_run, kind.name, deleted, now)
    deleted = 0
    while batch := await database.write(forget_executions, now, timedelta(days=periods.sla_executions)):
        deleted += batch
    await database.write(stored.note_run, SLA_EXECUTIONS, deleted, now)


async def erase_old_contents(database: Database, files: FileStore, periods: Periods, now: datetime) -> None:
    """Erase the contents of requests that ended longer ago than their process keeps them, and delete their files.

    Each batch is one administrative act. A run that was interrupted, also between rows and files, is made up for by the
    next one.
    """
    rules = await database.read(stored.days_by_process)
    erased = 0
    if rules or periods.contents is not None:
        for template in await database.read(contents.processes):
            days = rules.get(template, periods.contents)
            if days is None:
                continue
            before = now - timedelta(days=days)
            while True:
                batch = await database.write(_erase_batch, template, before, now)
                erased += batch.erased
                if not (batch.erased or batch.kept):
                    break
    await _delete_files(database, files)
    await database.write(stored.note_run, CONTENTS, erased, now)


def _erase_batch(connection: Connection, template: str, before: datetime, now: datetime) -> ErasedContents:
    batch = contents.erase_due(connection, template, before, now)
    if batch.erased or batch.kept:
        act = Act(
            kind="contents_erased",
            target=f"process:{template}",
            detail={"erased": batch.erased, "kept": batch.kept, "before": before.isoformat()},
            outcome="done" if not batch.kept else "partly" if batch.erased else "nothing",
        )
        admin_acts.record(connection, SYSTEM, act, now)
    return batch


async def _delete_files(database: Database, files: FileStore) -> None:
    """Delete the files of erased requests; raises Unavailable where the store does not answer."""
    while found := await database.read(contents.files_to_delete):
        for request_id, sha256 in found:
            await files.delete(request_id, sha256)
            await database.write(contents.file_deleted, request_id, sha256)
