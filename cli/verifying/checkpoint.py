"""Verify a checkpoint that somebody has kept, offline."""

from __future__ import annotations

from pathlib import Path

import typer

from cli.terminal.output import EXIT_FAILED, errors_as_messages, out, print_json
from cli.verifying.kept import Told, read_note
from service.transparency.attested import CheckpointFound, verify_checkpoint


def verify_kept_checkpoint(file: Path, told: Told, *, as_json: bool) -> None:
    """Say whether a checkpoint has what its reader was told; the exit code is 1 where it does not."""
    with errors_as_messages():
        found = verify_checkpoint(read_note(file), told.read())
    if as_json:
        print_json(dict(found))
    elif found["ok"]:
        signed = "It is signed with the key of the log." if told.log_key else "Give --log-key to verify who signed it."
        out.print(
            f"The checkpoint holds: {found['tree_size']} leaves of the log {found['origin']}, with the root "
            f"{found['root']}. {signed}",
            markup=False,
            soft_wrap=True,
        )
        show_signers(found)
    else:
        out.print(f"The checkpoint does not hold: {found['why']}.", markup=False, soft_wrap=True)
    if not found["ok"]:
        raise typer.Exit(EXIT_FAILED)


def show_signers(found: CheckpointFound) -> None:
    """Print who else has signed a checkpoint, and when by their clock."""
    for name, at in found["cosigned"].items():
        out.print(f"{name} has cosigned it at {at}.", markup=False, soft_wrap=True)
    if found["dated"] is not None:
        out.print(f"It was there at {found['dated']}: {found['authority']} has dated it.", markup=False, soft_wrap=True)
