"""Record the histories of this version: `python -m tests.histories [NAME…]`; what is there is left as it is."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from sqlalchemy import select
from sqlmodel import col

from cli.commands.histories import write
from storage.database import Database
from storage.migrate import migrate
from storage.tables.approvals import AuditEntry
from tests.approvals import desk, store_people
from tests.engine import shared_engine
from tests.histories import FOLDER, VERSION, chain_of, line_of
from tests.histories.channels import HISTORIES, turns
from tests.histories.scenarios import SCENARIOS
from tests.stored import reading
from worker.connect import connect


async def record(names: list[str], folder: Path, home: Path) -> None:
    """Run the scenarios of these names on a real engine, and write what it holds of each."""
    with shared_engine(home / "engine") as engine:
        client = await connect(engine.settings)
        url = f"sqlite:///{home / 'placet.db'}"
        await migrate(url)
        database = Database(url)
        await store_people(database)
        async with desk(client, database) as office:
            for name in names:
                handle = await SCENARIOS[name](office)
                await handle.result()
                file = folder / f"{name}.json"
                events = write(await handle.fetch_history(), file)
                chain_of(file).write_text(await _chain(database, handle.id))
                sys.stdout.write(f"{name}: {events} events\n")
        await database.close()
        file = HISTORIES / VERSION / "turns.json"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            events = write(await (await turns(client)).fetch_history(), file)
            sys.stdout.write(f"turns: {events} events\n")


async def _chain(database: Database, request_id: str) -> str:
    query = select(AuditEntry).where(col(AuditEntry.request_id) == request_id).order_by(col(AuditEntry.seq))
    with reading(database) as session:
        return "".join(f"{line_of(entry)}\n" for entry in session.scalars(query))


def main() -> None:
    """Record what has not been recorded for this version."""
    folder = FOLDER / VERSION
    names = sys.argv[1:] or [name for name in SCENARIOS if not (folder / f"{name}.json").exists()]
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(record(names, folder, Path(home)))


if __name__ == "__main__":
    main()
