"""Verify a receipt, offline."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from cli.terminal.output import EXIT_FAILED, errors_as_messages, out, print_json
from cli.verifying.checkpoint import show_signers
from cli.verifying.kept import Told
from placet.audit.receipts import fault_of, key_id
from service.transparency.attested import CheckpointFound, verify_checkpoint

_LONGEST_RECEIPT = 1_000_000  # bytes; a comment is the longest part of one


def read_receipt(file: Path, keys: Sequence[str]) -> tuple[Any, str | None]:
    """Return a receipt, and what is wrong with it; None where nothing is."""
    if file.stat().st_size > _LONGEST_RECEIPT:
        return None, f"The file is longer than {_LONGEST_RECEIPT:,} bytes, so it is no receipt."
    try:
        read = json.loads(file.read_bytes(), object_pairs_hook=_once)
        fault = fault_of(read)
    except (ValueError, RecursionError) as error:
        return None, f"It is no JSON: {error}"
    if fault is not None or not keys:
        return read, fault
    used = {read["key_id"]: "It"}
    if read["inclusion"] is not None:
        used.setdefault(key_id(b64decode(read["inclusion"]["public_key"])), "Its checkpoint")
    wrong = next((f"{what} is signed with the key {one}" for one, what in used.items() if one not in keys), None)
    return read, wrong and f"{wrong}, and not with {' or '.join(keys)}."


def verify_receipt(file: Path, keys: Sequence[str], told: Told, *, as_json: bool) -> None:
    """Say whether a receipt holds, and who else has signed its checkpoint; the exit code is 1 where it does not."""
    with errors_as_messages():
        expected = told.read()
    read, fault = read_receipt(file, keys)
    inclusion = read["inclusion"] if fault is None else None
    signers: CheckpointFound | None = None
    if fault is None and told:
        signers = verify_checkpoint(inclusion["checkpoint"], expected) if inclusion is not None else None
        if inclusion is None:
            fault = "It does not say where in the log its entry is, so nobody else has signed anything of it."
        elif signers is not None and signers["why"] is not None:
            fault = f"Its checkpoint is not as you were told: {signers['why']}."
    if as_json:
        found = {"ok": fault is None, "key_id": read["key_id"] if fault is None else None, "why": fault}
        print_json({**found, "inclusion": inclusion if fault is None else None, "checkpoint": signers})
    elif fault is None:
        _show(read, keys, signers)
    else:
        out.print(f"The receipt does not hold: {fault}", markup=False, soft_wrap=True)
    if fault is not None:
        raise typer.Exit(EXIT_FAILED)


def _show(read: dict[str, Any], keys: Sequence[str], signers: CheckpointFound | None) -> None:
    inclusion = read["inclusion"]
    out.print(f"The receipt holds. It is signed with the key {read['key_id']}.", soft_wrap=True)
    if inclusion is None:
        out.print("It does not say where in the log its entry is; read it again a minute later.", soft_wrap=True)
    else:
        where = f"leaf {inclusion['index']} of {inclusion['tree_size']}"
        out.print(
            f"Its entry is {where} of the log {inclusion['checkpoint'].splitlines()[0]}. Keep the receipt: with "
            "`placet verify --log --receipt FILE` it finds out whoever rewrites that.",
            markup=False,
            soft_wrap=True,
        )
    if signers is not None:
        show_signers(signers)
    if not keys:
        out.print("Compare that with what `GET /api/v1/workflow/receipt-keys/` lists, or give --key.", soft_wrap=True)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
