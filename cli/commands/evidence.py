"""`placet evidence`: an evidence pack, written to a file."""

from __future__ import annotations

import os
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.database import migrated_database
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.files import new_file
from cli.terminal.options import Json, settings_with
from cli.terminal.output import out, print_json
from placet.audit.admin_acts import OPERATOR
from service.administration.acts import write_with_act
from service.attachments.store import FileStore
from service.evidence.building import LONGEST_SEED, MOST_SAMPLED, Made, Order, build
from service.evidence.packs import act_of, row_of
from service.receipts import signing_key
from storage.queries.evidence import packs
from worker.settings import Settings

_BY = "command line"


def evidence_command(  # noqa: PLR0917 - typer passes them by name
    process: Annotated[str, typer.Argument(help="The name of the process.")],
    since: Annotated[datetime, typer.Option("--from", help="The beginning of the period, in UTC.")],
    until: Annotated[datetime, typer.Option(help="The end of the period, in UTC, which is no part of it.")],
    seed: Annotated[str, typer.Option(help=f"What draws the sample: 1 to {LONGEST_SEED} characters of your choice.")],
    to: Annotated[Path, typer.Option("--out", help="The file to write, which must not be there yet.", dir_okay=False)],
    sample: Annotated[int, typer.Option(help="How many requests to sample.", min=0, max=MOST_SAMPLED)] = 25,
    files: Annotated[bool, typer.Option("--files", help="Include the attached files of the sample.")] = False,
    as_json: Json = False,
) -> None:
    """Write an evidence pack of a process and a period for an auditor, as one signed archive."""
    order = Order(process=process, since=_utc(since), until=_utc(until), sample=sample, seed=seed, files=files)
    made = run(write_pack(settings_with(), order, to))
    if as_json:
        print_json(asdict(made))
        return
    out.print(
        f"{to}: {made.population} requests, {made.sampled} of them sampled, {made.exceptions} exceptions. "
        f"It is signed with the key {made.key_id}.",
        markup=False,
        soft_wrap=True,
    )


async def write_pack(settings: Settings, order: Order, to: Path) -> Made:
    """Write a pack to a file, and store that it was made; raises InputInvalid for a file that is there already."""
    order.check()
    by = os.environ.get("USER", "")
    signer = f"{_BY} ({by})" if by else _BY
    async with migrated_database(require_installation(settings)) as database:
        now = database.now()
        key = await signing_key(database, settings.secret(), now)
        with new_file(to) as file:
            made = await build(database, FileStore(settings.attachments), key, order, file, by=signer, now=now)
        row = row_of(order, pack_id=uuid.uuid4().hex, status="saved", by=signer, at=now)
        row.finished_at = finished = database.now()
        for name, value in asdict(made).items():
            setattr(row, name, value)
        await write_with_act(database, OPERATOR, finished, act_of(row), packs.insert, row)
    return made


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
