"""`placet people erase`: erase a person for good, and say what waits."""

from __future__ import annotations

from temporalio.client import Client

from cli import bootstrap
from cli.database import migrated_database
from cli.installation import require_installation
from cli.terminal.output import progress
from placet.audit.admin_acts import OPERATOR
from placet.errors import Unavailable
from service.attachments.store import FileStore
from service.erasure.erasing import Eraser, ErasureState
from worker.settings import Settings


async def erase(settings: Settings, person: str, typed: str, *, id_stays: bool) -> ErasureState:
    """Erase a person as far as it can be done now; without an engine, its histories wait for one."""
    async with migrated_database(require_installation(settings)) as database:
        there = bootstrap.engine_settings(settings)
        client: Client | None = None
        try:
            client = await bootstrap.connect_client(there)
        except Unavailable as error:
            progress(f"the engine's histories wait for a running engine: {error.message}")
        eraser = Eraser(
            database=database,
            files=FileStore(settings.attachments),
            client=client,
            rehearsals=there.rehearsal_namespace,
            home=settings.home,
            clock=database.now,
        )
        return await eraser.erase(person, OPERATOR, typed=typed, id_stays=id_stays)


def said_of(state: ErasureState) -> str:
    """Say how far an erasure has come."""
    if state.completed_at is not None:
        return f"{state.person} is erased; the id stays in audit chains."
    if not state.waiting_count:
        return f"{state.person} is erased. Freed pages are still to be written over; the workers try again every hour."
    lines = [f"{state.person} is erased, but for {state.waiting_count} requests that wait:"]
    for one in state.waiting:
        where = "" if one.in_database else " (the engine's history)"
        lines.append(f"  {one.name}{where}: {one.reason or 'its time has not come'}")
    lines.append("The workers look every hour, and this command goes on with it at once.")
    return "\n".join(lines)
