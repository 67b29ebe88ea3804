"""`placet check`: blueprints proven sound, or what is wrong with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape

from api.body import read_json, with_floats
from cli import assembly
from cli.output import out, progress
from placet.check import check as check_blueprint
from placet.errors import InputInvalid
from simulation import work
from storage import people
from storage.database import Database
from storage.surroundings import surroundings
from worker.settings import Settings

UNUSABLE = "unusable_file"
"""Code of the one finding about a file that cannot be read as JSON."""


async def check(settings: Settings, files: list[Path]) -> list[dict[str, Any]]:
    """Check each file among the people, actions and processes of this installation, if there is one.

    A file that cannot be read as JSON has one finding, of the code `unusable_file`.
    """
    async with assembly.existing_database(settings) as database:
        if database is not None:
            progress(f"checked among the people, actions and processes of {settings.home}")
        return [await _one(database, file) for file in files]


async def _one(database: Database | None, file: Path) -> dict[str, Any]:
    try:
        raw = with_floats(read(file))
    except InputInvalid as error:
        finding = {"code": UNUSABLE, "severity": "error", "pointer": "", "message": error.message, "witness": None}
        return {"file": str(file), "ok": False, "findings": [finding]}
    if database is None:
        return {"file": str(file), **check_blueprint(raw).described()}
    blueprint = work.read(raw)
    async with database.session() as session:
        everyone = await people.everyone(session)
        # What cannot be read refers to nothing; why it cannot is the check's to say.
        around = await surroundings(session, blueprint, datetime.now(UTC)) if blueprint is not None else ({}, {})
    report = check_blueprint(raw, directory=everyone, actions=around[0], children=around[1])
    return {"file": str(file), **report.described()}


def unusable(results: list[dict[str, Any]]) -> bool:
    """Whether there was a file that could not be read."""
    return any(finding["code"] == UNUSABLE for result in results for finding in result["findings"])


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
