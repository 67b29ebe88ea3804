"""`placet backup` and `placet restore`: copies of an installation, made while it runs, and put back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from cli.backup.manifest import PARTS, Part
from cli.backup.restoring import restore
from cli.backup.saving import save
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with, several
from cli.terminal.output import errors_as_messages, out, print_json


def backup_command(
    out_folder: Annotated[Path, typer.Option("--out", help="The folder to make; it must not hold anything.")],
    as_json: Json = False,
) -> None:
    """Copy the databases and files of this installation into a folder, also while it runs."""
    made = run(save(settings_with(), out_folder.absolute()))
    manifest = made.manifest
    total = sum(file.bytes for file in manifest.files)
    if as_json:
        print_json(
            {
                "folder": str(out_folder),
                "made_at": manifest.made_at,
                "schema": manifest.schema,
                "files": len(manifest.files),
                "bytes": total,
                "times": manifest.times,
                "left_out": made.left_out,
            }
        )
        return
    out.print(f"{out_folder}: {len(manifest.files)} files, {total:,} bytes", markup=False, soft_wrap=True)
    for part, why in made.left_out.items():
        out.print(f"not in it: {part} ({why})", markup=False, soft_wrap=True)
    out.print("Keep secret.key and the keys of payloads apart from it; it needs them.", markup=False, soft_wrap=True)


def restore_command(
    folder: Annotated[Path, typer.Argument(help="The folder that `placet backup` made.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Restore only placet, engine or files; several, or separated by commas.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also over an installation that holds something; that is moved aside.")
    ] = False,
    other_secret: Annotated[
        bool, typer.Option("--other-secret", help="Also where this installation has another secret.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Restore a back-up into an installation that does not run, and erase again whom its ledger of erasures names."""
    settings = settings_with()
    with errors_as_messages():
        parts = parts_of(only)
    done = run(restore(settings, folder.absolute(), only=parts, replace=replace, other_secret=other_secret))
    if as_json:
        print_json(
            {
                "made_at": done.manifest.made_at,
                "parts": list(done.parts),
                "erased_again": list(done.erased_again),
                "replaced": None if done.replaced is None else str(done.replaced),
            }
        )
        return
    out.print(f"restored {', '.join(done.parts)} as of {done.manifest.made_at}", markup=False, soft_wrap=True)
    if done.erased_again:
        out.print(f"erased again: {', '.join(done.erased_again)}", markup=False, soft_wrap=True)
    if done.replaced is not None:
        out.print(f"what was there before is in {done.replaced}", markup=False, soft_wrap=True)
    out.print("Start Placet, then run `placet verify`.", markup=False, soft_wrap=True)


def parts_of(only: list[str] | None) -> tuple[Part, ...]:
    """Return the parts that `--only` names, all without it; raises InputInvalid."""
    return tuple(cast("Part", name) for name in several(only, PARTS)) if only else PARTS
