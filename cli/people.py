"""`placet people`: the organisation's people, from a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from api.schemas.people import PersonBody, wanted
from cli import assembly
from placet.errors import InputInvalid, Problem
from storage import people, people_loading
from storage.people_loading import Loaded
from worker.settings import Settings

_PEOPLE = TypeAdapter(list[PersonBody])


async def load(settings: Settings, file: Path, *, complete: bool = False) -> Loaded:
    """Store every person of a JSON list, new or in place of the one with that id, in batches; none where one is wrong.

    With `complete`, whoever is not in the list has left. What is stored like this already is not written, so a load
    that was interrupted is repeated. Raises InputInvalid that names each place that is wrong.
    """
    now = datetime.now(UTC)
    listed = _read(file)
    async with assembly.open_database(settings) as database:
        found = wanted(listed, await database.read(_elsewhere, listed), now)
        return await people_loading.load(database, found, now, complete=complete)


def _elsewhere(connection: Connection, found: list[PersonBody]) -> dict[str, bool]:
    """Tell of everybody whom the file names and does not list whether they are active."""
    return people.activity(connection, {name for person in found for name in person.named} - {p.id for p in found})


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
