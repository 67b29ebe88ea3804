"""`placet people`: the organisation's people, from a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from api.schemas.people import PersonBody
from cli import assembly
from placet.errors import InputInvalid, Problem
from storage import people
from worker.settings import Settings

_PEOPLE = TypeAdapter(list[PersonBody])


async def load(settings: Settings, file: Path, *, complete: bool = False) -> tuple[int, list[str]]:
    """Store every person of a JSON list, new or in place of the one with that id; all of them or none.

    With `complete`, whoever is not in the list has left. Returns how many were stored, and who has left so.
    Raises InputInvalid that names each place that is wrong.
    """
    found = _read(file)
    now = datetime.now(UTC)
    listed = {person.id for person in found}
    async with assembly.open_database(settings) as database, database.begin() as session:
        for person in found:
            await people.put(session, person.row(person.id, now), keep_preferences=person.preferences is None)
        gone = [p for p in await people.all_active(session) if p.id not in listed] if complete else []
        for row in gone:
            await people.leave(session, row, now)
    return len(found), [row.id for row in gone]


def _read(file: Path) -> list[PersonBody]:
    try:
        return _PEOPLE.validate_python(json.loads(file.read_text()))
    except (ValidationError, ValueError) as error:
        raise _explained(file, error) from error


def _explained(file: Path, error: ValueError) -> InputInvalid:
    if not isinstance(error, ValidationError):
        return InputInvalid(f"{file} is not JSON: {error}")
    problems = tuple(
        Problem(pointer="".join(f"/{part}" for part in e["loc"]), message=e["msg"].removeprefix("Value error, "))
        for e in error.errors(include_url=False, include_context=False)
    )
    return InputInvalid(f"{file} is not a list of people; nobody was loaded.", problems=problems)
