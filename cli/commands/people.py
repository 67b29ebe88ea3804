"""`placet people`: load the organisation's people from a file, export everything about one, and erase one."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from cli.database import migrated_database
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.files import new_file
from cli.terminal.options import Json, settings_with
from cli.terminal.output import errors_as_messages, out, print_json
from placet.audit.admin_acts import OPERATOR
from placet.errors import InputInvalid, Problem
from service.administration.people import load_people
from service.administration.person_document import PersonDocument
from service.administration.person_export import Exported, export_person
from service.attachments.store import FileStore
from storage.queries.people.people_loading import LoadResult
from worker.settings import Settings

people_app = typer.Typer(no_args_is_help=True, help="Manage the people of the organisation.")
_PEOPLE = TypeAdapter(list[PersonDocument])


async def load(settings: Settings, file: Path, *, complete: bool = False, without_admin: bool = False) -> LoadResult:
    """Store the people of a JSON list in batches: add new people, replace existing ones. One error stops all.

    With `complete`, people who are not in the list become inactive. Unchanged people are not written, so an interrupted
    load can be repeated. Raises InputInvalid with the place of each error, and LastAdmin where nobody would be an admin
    any more, unless `without_admin`.
    """
    listed = _read(file)
    async with migrated_database(settings) as database:
        return await load_people(database, listed, database.now(), complete=complete, without_admin=without_admin)


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
    return InputInvalid(f"{file} is not a JSON list of people; nobody was loaded.", problems=problems)


@people_app.callback()
def _people() -> None:
    """Manage the people of the organisation."""


@people_app.command("load")
def load_command(
    file: Annotated[Path, typer.Argument(help="A JSON list of people.", exists=True, dir_okay=False)],
    complete: Annotated[
        bool, typer.Option("--complete", help="The file lists everybody: people who are not in it become inactive.")
    ] = False,
    without_admin: Annotated[
        bool, typer.Option("--without-admin", help="Load the file also where nobody is an admin afterwards.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Load people from a JSON file: add new ones, replace known ones, and reassign the tasks of people who left.

    People are stored in batches, and only if they changed, so an interrupted load can be repeated.
    """
    loaded = run(load(settings_with(), file, complete=complete, without_admin=without_admin))
    if as_json:
        left = list(loaded.left)
        print_json({"loaded": loaded.given, "changed": loaded.changed, "left": left, "admins": loaded.admins})
    else:
        left_too = f"; these have left: {', '.join(loaded.left)}" if loaded.left else ""
        out.print(f"loaded {loaded.given} people, {loaded.changed} of them new or changed{left_too}")
        if not loaded.admins:
            out.print("Nobody is an admin, so nobody can administer this installation. Load somebody with that access.")


@people_app.command("export")
def export_command(
    person: Annotated[str, typer.Argument(help="The id of the person.")],
    to: Annotated[Path, typer.Option("--out", help="The file to write, which must not be there yet.", dir_okay=False)],
    without_files: Annotated[bool, typer.Option("--without-files", help="Leave attached files out.")] = False,
    as_json: Json = False,
) -> None:
    """Write everything that is stored about a person to one archive. That it was taken stays on record."""
    made = run(_exported(settings_with(), person, to, with_files=not without_files))
    if as_json:
        print_json({"file": str(to), **asdict(made)})
        return
    rows = sum(made.rows.values())
    missing = f"; {made.missing} files are missing in the store" if made.missing else ""
    out.print(
        f"{to} has {rows:,} rows of {len(made.rows)} tables and {made.files} files{missing}",
        soft_wrap=True,
        markup=False,
    )


@people_app.command("erase")
def erase_command(
    person: Annotated[str, typer.Argument(help="The id of the person.")],
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="The id once more; without it, the command asks for it.")
    ] = None,
    id_stays: Annotated[
        bool, typer.Option("--id-stays", help="Erase also somebody whose id is a mail address, which stays.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Erase a person for good: all but the id, by which audit chains say who did what and when.

    The same command again goes on with what waits. With a running engine it also deletes the engine's histories.
    """
    from cli.commands.erasing import erase, said_of  # with the engine's client, which the other commands do not load

    with errors_as_messages():
        typed = confirm if confirm is not None else _typed_again(person)
    state = run(erase(settings_with(), person, typed, id_stays=id_stays))
    if as_json:
        waiting = [asdict(one) for one in state.waiting]
        print_json({**asdict(state), "waiting": waiting})
        return
    out.print(said_of(state), soft_wrap=True, markup=False)


def _typed_again(person: str) -> str:
    if not sys.stdin.isatty():
        raise InputInvalid(f"Nobody can be asked here; add --confirm {person} to erase this person for good.")
    return str(typer.prompt(f"This cannot be undone. Type the id {person} to erase this person"))


async def _exported(settings: Settings, person: str, to: Path, *, with_files: bool) -> Exported:
    async with migrated_database(require_installation(settings)) as database:
        store = FileStore(settings.attachments)
        with new_file(to) as file:
            return await export_person(
                database, store, person, file, by=OPERATOR, now=database.now(), with_files=with_files
            )
