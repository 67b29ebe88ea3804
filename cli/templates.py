"""`placet check`: blueprints proven sound, or what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.markup import escape

from api.body import read_json, with_floats
from cli.output import out
from placet.check import check as check_blueprint
from placet.errors import InputInvalid


def check(files: list[Path]) -> list[dict[str, Any]]:
    """Check each file; raises InputInvalid for one that cannot be read as JSON."""
    return [{"file": str(file), **check_blueprint(with_floats(read(file))).described()} for file in files]


def read(file: Path) -> Any:
    """Read a JSON file as a body is read, with fractions as Decimal; InputInvalid names the file and the place."""
    try:
        return read_json(file.read_bytes())
    except OSError as error:
        raise InputInvalid(f"{file} cannot be read: {error.strerror}") from error
    except InputInvalid as error:
        raise InputInvalid(f"{file} cannot be used: {error.message}", problems=error.problems) from error


def show(results: list[dict[str, Any]]) -> None:
    """Print the findings of each file."""
    for result in results:
        mark = "[green]sound[/green]" if result["ok"] else "[red]not sound[/red]"
        out.print(f"{escape(result['file'])}: {mark}")
        for finding in result["findings"]:
            colour = "red" if finding["severity"] == "error" else "yellow"
            title = f"{finding['severity']} {finding['code']}"
            out.print(f"  [{colour}]{title}[/{colour}] {escape(finding['pointer'])}", soft_wrap=True)
            out.print(f"    {finding['message']}", markup=False, soft_wrap=True)
            if finding["witness"] is not None:
                witness = json.dumps(finding["witness"], ensure_ascii=False)
                out.print(f"    shown by {witness}", markup=False, soft_wrap=True)
