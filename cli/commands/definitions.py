"""`placet check`: prove that blueprints are sound, or show their faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.installation import has_database
from cli.terminal.options import Json, settings_with
from cli.terminal.output import EXIT_FAILED, EXIT_USAGE, errors_as_messages, out, print_json, progress
from placet.errors import InputInvalid
from placet.json_text import read_json, with_floats
from placet.proofs import check as check_blueprint
from worker.settings import Settings

UNUSABLE = "unusable_file"
"""The code of the finding about a file that is not JSON."""


def check(settings: Settings, files: list[Path]) -> list[dict[str, Any]]:
    """Check each file against the people, actions and processes of this installation, if there is one.

    A file that is not JSON has one finding with the code `unusable_file`.
    """
    contents = [_content(file) for file in files]
    readable = [content for content in contents if not isinstance(content, InputInvalid)]
    if has_database(settings):
        from cli.database import check_contexts_for  # imported here: the database libraries are slow to load

        progress(f"checked against the people, actions and processes of {settings.home}")
        known = check_contexts_for(settings, readable)
        reports = [
            check_blueprint(raw, directory=those.directory, actions=those.actions, children=those.children)
            for raw, those in zip(readable, known, strict=True)
        ]
    else:
        reports = [check_blueprint(raw) for raw in readable]
    told = iter(reports)
    return [
        {"file": str(file), **(_unusable(content) if isinstance(content, InputInvalid) else next(told).described())}
        for file, content in zip(files, contents, strict=True)
    ]


def _content(file: Path) -> Any:
    try:
        return with_floats(read(file))
    except InputInvalid as error:
        return error


def _unusable(error: InputInvalid) -> dict[str, Any]:
    finding = {"code": UNUSABLE, "severity": "error", "pointer": "", "message": error.message, "witness": None}
    return {"ok": False, "findings": [finding]}


def unusable(results: list[dict[str, Any]]) -> bool:
    """Whether a file could not be read."""
    return any(finding["code"] == UNUSABLE for result in results for finding in result["findings"])


def read(file: Path) -> Any:
    """Read a JSON file as the API reads a body: fractions are Decimal. InputInvalid names the file and the place."""
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


def check_command(
    files: Annotated[list[Path], typer.Argument(help="Blueprints as JSON files.")], as_json: Json = False
) -> None:
    """Prove that blueprints are sound, or show their faults. The exit code is 1 if there is an error.

    The check uses the people, actions and processes of this installation, if there is one. The exit code is 2 if a file
    cannot be read; the other files are checked all the same.
    """
    settings = settings_with()
    with errors_as_messages():
        results = check(settings, files)
    if as_json:
        print_json({"ok": all(r["ok"] for r in results), "files": results})
    else:
        show(results)
    if unusable(results):
        raise typer.Exit(EXIT_USAGE)
    if not all(r["ok"] for r in results):
        raise typer.Exit(EXIT_FAILED)
