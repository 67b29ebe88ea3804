"""`placet import-bpmn`: a blueprint from a BPMN 2.0 file, and what of the file is not in it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from cli.output import err
from placet.bpmn import Imported, import_bpmn
from placet.errors import InputInvalid


def read(file: Path, *, name: str | None = None, version: str = "1.0.0") -> Imported:
    """Map a file without any installation, and so without its catalog; raises InputInvalid and BlueprintInvalid."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputInvalid(f"{file} cannot be read: {error.strerror}") from error
    return import_bpmn(content, name=name, version=version)


def tell(imported: Imported) -> None:
    """Print on standard error what did not map, so that standard output holds the blueprint alone."""
    for left in imported.left:
        colour = "red" if left.kind == "lost" else "yellow"
        what = escape(f"{left.element} {left.name or left.id}".rstrip())
        err.print(f"[{colour}]{left.kind}[/{colour}] {what}: {escape(left.message)}", soft_wrap=True)


def described(imported: Imported) -> dict[str, Any]:
    """Return all of it as JSON values."""
    return {"blueprint": imported.blueprint, "left": [asdict(left) for left in imported.left]}
