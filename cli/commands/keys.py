"""`placet keys`: the keys that sign receipts and evidence packs, and those that encrypt payloads in the engine."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.database import migrated_database
from cli.installation import require_installation
from cli.terminal.event_loop import run
from cli.terminal.options import Json, settings_with
from cli.terminal.output import errors_as_messages, out, print_json
from service.receipts import rotate, signing_key
from storage.queries import receipt_keys
from storage.queries.receipt_keys import PublicKey
from worker.key_ring import add_key
from worker.settings import Settings

keys_app = typer.Typer(no_args_is_help=True, help="List and rotate the keys that sign receipts and encrypt payloads.")


@keys_app.callback()
def _keys() -> None:
    """List and rotate the keys that sign receipts and encrypt payloads."""


@keys_app.command("list")
def list_command(as_json: Json = False) -> None:
    """List the public keys that were ever used, oldest first, and say which one signs now."""
    now, found = run(_listed(settings_with()))
    if as_json:
        print_json(
            [
                {
                    "key_id": key.id,
                    "public_key": b64encode(key.key).decode(),
                    "since": key.since.isoformat(),
                    "signs": key.id == now,
                }
                for key in found
            ]
        )
        return
    for key in found:
        signs = "  signs now" if key.id == now else ""
        out.print(f"{key.id}  since {key.since:%Y-%m-%d %H:%M} UTC{signs}", soft_wrap=True, markup=False)


@keys_app.command("rotate")
def rotate_command(as_json: Json = False) -> None:
    """Sign with a new key from now on. Old receipts keep theirs, and the old public keys stay listed."""
    key = run(_rotated(settings_with()))
    if as_json:
        print_json({"key_id": key.id, "public_key": b64encode(key.key).decode(), "since": key.since.isoformat()})
    else:
        out.print(f"From now on {key.id} signs. Tell it to those who verify receipts.", soft_wrap=True, markup=False)


@keys_app.command("payloads")
def payloads_command(
    file: Annotated[Path, typer.Argument(help="The file that PLACET_PAYLOAD_KEYS_FILE names; made if missing.")],
    as_json: Json = False,
) -> None:
    """Make a key that encrypts payloads in the engine from the next start on. The file's other keys go on to read."""
    with errors_as_messages():
        key = add_key(file, datetime.now(UTC))
    if as_json:
        print_json({"key_id": key.id, "file": str(file)})
        return
    out.print(
        f"{key.id} is the first key of {file}. Bring the file to every process of the installation, then start them "
        "again; until then they write with the key before. Keep a copy: what is encrypted cannot be read without it.",
        soft_wrap=True,
        markup=False,
    )


async def _listed(settings: Settings) -> tuple[str, list[PublicKey]]:
    async with migrated_database(require_installation(settings)) as database:
        key = await signing_key(database, settings.secret(), database.now())
        return key.id, await database.read(receipt_keys.listed)


async def _rotated(settings: Settings) -> PublicKey:
    async with migrated_database(require_installation(settings)) as database:
        return await rotate(database, settings.secret(), database.now())
