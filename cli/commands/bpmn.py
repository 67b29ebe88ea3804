"""`placet import-bpmn` and `placet import-dmn`: convert a file to a blueprint; list what does not map."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.terminal.options import Json
from cli.terminal.output import err, errors_as_messages, print_json
from placet.definition.bpmn import Imported, import_bpmn, import_dmn
from placet.errors import InputInvalid


def read(file: Path, *, dmn: Sequence[Path] = (), name: str | None = None, version: str = "1.0.0") -> Imported:
    """Convert a BPMN file without the catalog of an installation. Raises InputInvalid and BlueprintInvalid."""
    return import_bpmn(_content(file), dmn=[_content(one) for one in dmn], name=name, version=version)


def read_dmn(file: Path, *, decision: str | None = None, name: str | None = None, version: str = "1.0.0") -> Imported:
    """Convert a decision of a DMN file. Raises InputInvalid and BlueprintInvalid."""
    return import_dmn(_content(file), decision=decision, name=name, version=version)


def tell(imported: Imported) -> None:
    """Print the elements that did not map on standard error; standard output holds the blueprint alone."""
    for left in imported.left:
        if left.kind == "mapped":
            continue
        colour = "red" if left.kind == "lost" else "yellow"
        what = escape(f"{left.element} {left.name or left.id}".rstrip())
        err.print(f"[{colour}]{left.kind}[/{colour}] {what}: {escape(left.says)}", soft_wrap=True)


def described(imported: Imported) -> dict[str, Any]:
    """Return the blueprint and the elements as JSON values."""
    return {
        "blueprint": imported.blueprint,
        "left": [asdict(left) | {"message": left.says} for left in imported.left],
    }


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputInvalid(f"{file} cannot be read: {error.strerror}") from error


def import_bpmn_command(
    file: Annotated[Path, typer.Argument(help="A BPMN 2.0 file.")],
    dmn: Annotated[
        list[Path] | None, typer.Option(help="A DMN file that a business rule task of the BPMN file refers to.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The name of the process; by default the one in the file.")] = None,
    version: Annotated[str, typer.Option(help="The blueprint's version.")] = "1.0.0",
    as_json: Json = False,
) -> None:
    """Convert a BPMN file to a blueprint and print it. Elements that do not map are listed on standard error."""
    with errors_as_messages():
        imported = read(file, dmn=dmn or (), name=name, version=version)
    _print(imported, as_json=as_json)


def import_dmn_command(
    file: Annotated[Path, typer.Argument(help="A DMN file.")],
    decision: Annotated[
        str | None, typer.Option(help="The decision's id or name; needed if the file has several.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The name of the process; by default the name of the decision.")
    ] = None,
    version: Annotated[str, typer.Option(help="The blueprint's version.")] = "1.0.0",
    as_json: Json = False,
) -> None:
    """Convert a DMN decision to a blueprint and print it. Elements that do not map are listed on standard error."""
    with errors_as_messages():
        imported = read_dmn(file, decision=decision, name=name, version=version)
    _print(imported, as_json=as_json)


def _print(imported: Imported, *, as_json: bool) -> None:
    if as_json:
        print_json(described(imported))
        return
    sys.stdout.write(json.dumps(imported.blueprint, indent=2, ensure_ascii=False) + "\n")
    tell(imported)
