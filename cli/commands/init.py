"""`placet init`: make a folder in which a company keeps and tests its blueprints."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cli.new_folder.files import Example, files_of
from cli.terminal.output import errors_as_messages, out
from placet.errors import InputInvalid


def make_folder(folder: Path, files: dict[str, str]) -> None:
    """Write files into a folder, which is made if it is not there. Raises InputInvalid where one is there already.

    Nothing is overwritten, and nothing is left behind where a file cannot be written.
    """
    there = [name for name in files if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        listed = ", ".join(there)
        raise InputInvalid(
            f"Nothing was written: {folder} has these files already: {listed}. Name another folder, or move them away."
        )
    written: list[Path] = []
    try:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("x", encoding="utf-8") as file:
                written.append(folder / name)
                file.write(text)
    except OSError as error:
        for file_written in written:
            file_written.unlink(missing_ok=True)
        raise InputInvalid(f"{error.filename or folder} cannot be written: {error.strerror}") from error


def init_command(
    folder: Annotated[Path, typer.Argument(help="The folder to make, or one that is empty or has none of the files.")],
    example: Annotated[Example, typer.Option(help="The process with which the folder begins.")] = Example.EXPENSE,
) -> None:
    """Make a folder for blueprints of your own, with people, tests and a workflow for CI.

    Files that are there already are never overwritten.
    """
    with errors_as_messages():
        files = files_of(example)
        make_folder(folder, files)
    for name in files:
        out.print(f"wrote {folder / name}", markup=False, soft_wrap=True)
    out.print(f"\nNext, in {shlex.quote(str(folder))}:", markup=False, soft_wrap=True)
    for command in ("placet check blueprints/*.json", "placet test --require-coverage", "placet up --port 8420"):
        out.print(f"  {command}", markup=False)
