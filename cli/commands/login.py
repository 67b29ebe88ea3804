"""`placet login`: a one-time address for a browser."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from activities.notifications.settings import load as load_notices
from cli.database import migrated_database
from cli.installation import require_installation, running_instance
from cli.terminal.event_loop import run
from cli.terminal.options import settings_with
from placet.errors import InputInvalid
from service.identity.login import issue_code
from storage.queries.people.people import get
from worker.settings import Settings


async def address(settings: Settings, person: str) -> str:
    """Make a one-time address for an active person; raises NotFound and InputInvalid."""
    person_id = person.removeprefix("user:")
    async with migrated_database(require_installation(settings)) as database:
        if not (await database.read(get, person_id)).active:
            raise InputInvalid(f"{person_id!r} has left, and cannot log in. An admin can make them active again.")
        code = await issue_code(database, person_id, database.now())
    return f"{_base(settings)}/login/{code}"


def _base(settings: Settings) -> str:
    """Return where people reach Placet: the running `placet up`, else PLACET_PUBLIC_URL, else where the API listens."""
    public = load_notices().public_url
    where = running_instance(settings)
    return str((where and where["api"]) or public or f"http://{settings.host}:{settings.port}").rstrip("/")


def login_command(person: Annotated[str, typer.Argument(help="The person's id.")]) -> None:
    """Print a one-time address that logs a person in with a browser.

    The address works once, for five minutes.
    """
    sys.stdout.write(run(address(settings_with(), person)) + "\n")
