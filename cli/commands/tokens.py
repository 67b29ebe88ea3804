"""`placet token`: API tokens."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.database import migrated_database
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import settings_with
from storage.queries.identity import tokens
from worker.settings import Settings


async def issue(settings: Settings, person: str, days: int | None) -> str:
    """Create a token for a person and return its text."""
    async with migrated_database(require_installation(settings)) as database:
        ttl = timedelta(days=days) if days is not None else None
        return await database.write(tokens.issue, person.removeprefix("user:"), ttl=ttl, now=datetime.now(UTC))


def token_command(
    person: Annotated[str, typer.Argument(help="The person's id.")],
    days: Annotated[
        int | None,
        typer.Option(help="The number of days until the token expires; without it, the token does not expire.", min=1),
    ] = None,
) -> None:
    """Create an API token for a person and print it."""
    sys.stdout.write(run(issue(settings_with(), person, days)) + "\n")
