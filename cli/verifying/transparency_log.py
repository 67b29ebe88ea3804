"""Verify the transparency log from its rows, and against what somebody has kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from cli import bootstrap
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import settings_with
from cli.terminal.output import EXIT_FAILED, errors_as_messages, out, print_json
from cli.verifying.kept import read_note
from cli.verifying.receipt import read_receipt
from placet.errors import InputInvalid
from placet.transparency.leaves import Leaf
from service.transparency.attested import AttesterFound
from service.transparency.settings import AttesterSettings
from service.transparency.verifying import Kept, VerifiedLog, verify_log
from storage.queries.log_attestations import COSIGNATURE
from worker.settings import Settings


def show_log(found: VerifiedLog) -> None:
    """Print what there is to say of the transparency log."""
    if found["ok"]:
        holds = f"{found['leaves']} leaves under {found['checkpoints']} checkpoints hold"
        lines = [f"{holds}, with the root {found['root']}" if found["checkpoints"] else "there is no checkpoint yet"]
    else:
        lines = found["faults"]
    lines = [*lines, *map(_line_of, found["attesters"])]
    for line in [*lines, *(f"look at this: {warning}" for warning in found["warnings"])]:
        out.print(f"Log: {line}", markup=False, soft_wrap=True)


def _line_of(found: AttesterFound) -> str:
    """Say what a witness or an authority has signed."""
    what = "cosigned" if found["kind"] == COSIGNATURE else "dated"
    count = "1 checkpoint" if found["signed"] == 1 else f"{found['signed']} checkpoints"
    return f"{found['name']} has {what} {count}, the last one over {found['tree_size']} leaves at {found['at']}"


def verify_the_log(checkpoint: Path | None, receipt: Path | None, keys: Sequence[str], *, as_json: bool) -> None:
    """Verify the log against its rows and what somebody has kept; the exit code is 1 where it does not hold."""
    kept: list[Kept] = []
    with errors_as_messages():
        if checkpoint is not None:
            kept.append(Kept(name=checkpoint.name, note=read_note(checkpoint)))
        if receipt is not None:
            kept.append(_kept_receipt(receipt, keys))
    settings = settings_with()
    with errors_as_messages():
        attesters = settings.attesters
    found = run(_verified_log(settings, kept, attesters))
    if as_json:
        print_json(dict(found))
    else:
        show_log(found)
    if not found["ok"]:
        raise typer.Exit(EXIT_FAILED)


async def _verified_log(settings: Settings, kept: Sequence[Kept], attesters: AttesterSettings) -> VerifiedLog:
    async with bootstrap.open_database(require_installation(settings)) as database:
        return await database.read(verify_log, database.now(), kept, attesters)


def _kept_receipt(file: Path, keys: Sequence[str]) -> Kept:
    """Return what a receipt holds against the log; raises InputInvalid for one that does not hold in itself."""
    read, fault = read_receipt(file, keys)
    if fault is not None:
        raise InputInvalid(f"The receipt {file} does not hold: {fault}")
    body, inclusion = read["body"], read["inclusion"] or {}
    try:
        leaf = Leaf(chain=body["request_id"], seq=body["seq"], head=body["entry_hash"])
    except (KeyError, ValueError) as error:
        raise InputInvalid(f"The receipt {file} names no entry: {error}") from None
    return Kept(name=file.name, note=inclusion.get("checkpoint"), leaf=leaf, index=inclusion.get("index"))
