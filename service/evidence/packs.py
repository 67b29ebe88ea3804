"""Order packs, list them, and hand them out: for auditors and admins, who see every request anyway."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from placet.audit.admin_acts import Act
from placet.audit.chain import moment
from placet.errors import Busy, Conflict, InputInvalid
from placet.sentences import sentence
from service.context import Context
from service.downloads import Download, in_file_name
from service.evidence.building import Order
from service.evidence.jobs import FOLDER, HELD, EvidenceJobs
from service.principal import SEE_ALL, Principal
from storage.queries.definitions import definitions
from storage.queries.evidence import packs
from storage.recording import admin_acts
from storage.tables.evidence import EvidencePack

NAMESPACE: Final = UUID("6f0d6f3c-6a54-4b0e-9d5a-7a3c2d8e51b4")
"""Of the ids that forms give their packs, so that a form that is sent twice orders one."""
MOST_RUNNING: Final = 8  # packs of an installation that are made or wait for it
_RETRY_AFTER = 30  # seconds


async def order_pack(
    context: Context, jobs: EvidenceJobs, principal: Principal, order: Order, *, pack_id: str
) -> EvidencePack:
    """Store an order and begin to make the pack; the same id again is the same order.

    Raises InputInvalid, also where there is no such process, and Busy.
    """
    principal.need(SEE_ALL)
    order.check()
    now = context.now()

    def store(connection: Connection) -> tuple[EvidencePack, bool]:
        if not definitions.released(connection, order.process):
            raise InputInvalid.at(
                "/process", sentence("There is no published process {process!r}.", process=order.process)
            )
        if packs.known(connection, pack_id):
            return packs.get(connection, pack_id), False
        if packs.running(connection) >= MOST_RUNNING:
            raise Busy(
                sentence("{most_running} packs are being made; nothing has happened.", most_running=MOST_RUNNING),
                retry_after=_RETRY_AFTER,
            )
        row = packs.insert(connection, row_of(order, pack_id=pack_id, status="running", by=principal.person, at=now))
        packs.hold(connection, [pack_id], until=now + HELD)
        admin_acts.record(connection, principal.acted_by, act_of(row), now)
        return row, True

    row, fresh = await context.database.write(store)
    if fresh:
        jobs.start(row.id, order, by=f"user:{principal.person}")
    return row


def act_of(row: EvidencePack) -> Act:
    """Return the act of ordering a pack."""
    detail = {
        "process": row.process,
        "from": moment(row.since),
        "until": moment(row.until),
        "sample": row.sample,
        "files": row.with_files,
    }
    return Act(kind="evidence_ordered", target=f"evidence:{row.id}", detail=detail)


def row_of(order: Order, *, pack_id: str, status: str, by: str, at: datetime) -> EvidencePack:
    """Return the row of an order."""
    return EvidencePack(
        id=pack_id,
        process=order.process,
        since=order.since,
        until=order.until,
        sample=order.sample,
        seed=order.seed,
        with_files=order.files,
        status=status,
        ordered_by=by,
        ordered_at=at,
    )


async def download(context: Context, principal: Principal, pack_id: str) -> Download:
    """Return the file of a pack; raises NotFound, and Conflict where it is not ready, or not any more."""
    principal.need(SEE_ALL)
    row = await context.database.read(packs.get, pack_id)
    if row.status != "ready" or row.size is None:
        why = {"running": "is being made; try again", "expired": "has expired; order it again with the same seed"}
        raise Conflict(sentence("The pack {status}.", status=why.get(row.status, "has no file here")))
    return Download(name=file_name(row), size=row.size, pieces=await context.files.get(FOLDER, pack_id))


def file_name(row: EvidencePack) -> str:
    """Return what the file of a pack is called."""
    name = in_file_name(row.process, most=60).strip("-")
    return f"evidence-{name}-{row.since:%Y%m%d}-{row.until:%Y%m%d}.zip"
