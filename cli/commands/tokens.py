"""`placet token` and `placet tokens`: API tokens."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.database import migrated_database
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import out, print_json
from placet.errors import InputInvalid
from service.identity.api_tokens import make_for, revoke_any
from service.principal import SCOPES
from storage.queries.identity import tokens
from worker.settings import Settings

_SHOWN = {"person", "name", "scopes", "created_at", "expires_at", "last_used_at"}
tokens_app = typer.Typer(no_args_is_help=True, help="List and revoke API tokens.")


async def issue(
    settings: Settings,
    person: str,
    ttl: timedelta | None = None,
    *,
    expires: datetime | None = None,
    name: str | None = None,
    scopes: Sequence[str] | None = None,
) -> str:
    """Create a token for a person and return its text; `expires` takes the place of `ttl`."""
    async with migrated_database(require_installation(settings)) as database:
        now = database.now()
        if expires is not None:
            ttl = expires.replace(tzinfo=expires.tzinfo or UTC) - now
            if ttl <= timedelta():
                raise InputInvalid(f"--expires {expires.isoformat()} is over already; give a later moment.")
        return await make_for(database, person.removeprefix("user:"), ttl=ttl, now=now, name=name, scopes=scopes)


def token_command(
    person: Annotated[str, typer.Argument(help="The person's id.")],
    days: Annotated[
        int | None,
        typer.Option(help="The number of days until the token expires; without it, the token does not expire.", min=1),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(help="The moment at which the token expires, in UTC, in place of --days."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help=f"What the token is limited to; may be given several times: {', '.join(SCOPES)}."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the token is for; lists show it.")] = None,
) -> None:
    """Create an API token for a person and print it."""
    unknown = sorted(set(scope or ()) - set(SCOPES))
    if unknown:
        raise typer.BadParameter(f"There is no scope {unknown[0]!r}; there are: {', '.join(SCOPES)}.")
    if days is not None and expires is not None:
        raise typer.BadParameter("--days and --expires say the same; give one of them.")
    ttl = None if days is None else timedelta(days=days)
    token = run(issue(settings_with(), person, ttl, expires=expires, name=name, scopes=scope or None))
    sys.stdout.write(f"{token}\n")


@tokens_app.callback()
def _tokens() -> None:
    """List and revoke API tokens."""


@tokens_app.command("list")
def list_command(
    person: Annotated[str | None, typer.Argument(help="Whose tokens; without it, everybody's.")] = None,
    as_json: Json = False,
) -> None:
    """List API tokens that are not revoked, with when each was last used."""
    rows = run(_listed(settings_with(), person and person.removeprefix("user:")))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        limits = ", ".join(row["scopes"]) if row["scopes"] else "everything"
        used, ends = row["last_used_at"] or "never", row["expires_at"] or "never"
        label = f" ({row['name']})" if row["name"] else ""
        out.print(
            f"{row['id']}  {row['person']}{label}: may {limits}; last used {used}; expires {ends}",
            soft_wrap=True,
            markup=False,
        )


@tokens_app.command("revoke")
def revoke_command(
    token_id: Annotated[str, typer.Argument(help="The token's id, as `placet tokens list` shows it.")],
) -> None:
    """Revoke an API token, and end the browser sessions that began with it."""
    run(_revoke(settings_with(), token_id))
    out.print(f"revoked {token_id}", markup=False)


async def _listed(settings: Settings, person: str | None) -> list[dict[str, Any]]:
    async with migrated_database(require_installation(settings)) as database:
        rows = await database.read(tokens.listed, person)
    return [
        {
            "id": tokens.id_of(row.digest),
            **row.model_dump(
                mode="json", include={"person", "name", "scopes", "created_at", "expires_at", "last_used_at"}
            ),
        }
        for row in rows
    ]


async def _revoke(settings: Settings, token_id: str) -> None:
    async with migrated_database(require_installation(settings)) as database:
        await revoke_any(database, token_id, database.now())
