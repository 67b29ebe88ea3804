"""`placet people`: the organisation's people, from a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from cli.database import migrated_database
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import out, print_json
from placet.errors import InputInvalid, Problem
from service.administration.people import load_people
from service.administration.person_document import PersonDocument
from storage.queries.people.people_loading import LoadResult
from worker.settings import Settings

people_app = typer.Typer(no_args_is_help=True, help="Who is in the organisation.")
_PEOPLE = TypeAdapter(list[PersonDocument])


async def load(settings: Settings, file: Path, *, complete: bool = False) -> LoadResult:
    """Store every person of a JSON list, new or in place of the one with that id, in batches; none where one is wrong.

    With `complete`, whoever is not in the list has left. What is stored like this already is not written, so a load
    that was interrupted is repeated. Raises InputInvalid that names each place that is wrong.
    """
    listed = _read(file)
    async with migrated_database(settings) as database:
        return await load_people(database, listed, datetime.now(UTC), complete=complete)


def _read(file: Path) -> list[PersonDocument]:
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


@people_app.callback()
def _people() -> None:
    """Who is in the organisation."""


@people_app.command("load")
def load_command(
    file: Annotated[Path, typer.Argument(help="A JSON list of people.", exists=True, dir_okay=False)],
    complete: Annotated[bool, typer.Option("--complete", help="Whoever is not in the file has left.")] = False,
    as_json: Json = False,
) -> None:
    """Load people from a JSON file: new ones are added, known ones are replaced, and tasks of leavers move on.

    They are stored in batches, and only where they changed; a load that was interrupted is repeated.
    """
    loaded = run(load(settings_with(), file, complete=complete))
    if as_json:
        print_json({"loaded": loaded.given, "changed": loaded.changed, "left": list(loaded.left)})
    else:
        left = f"; these have left: {', '.join(loaded.left)}" if loaded.left else ""
        out.print(f"loaded {loaded.given} people, {loaded.changed} of them new or changed{left}")
