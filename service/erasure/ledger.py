"""The ledger of erasures: a file outside of the database, by which they are done again after a backup is restored.

A line is `{"person": ID, "erased_at": MOMENT}`: no more than audit chains say anyway.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from placet.audit.chain import moment
from placet.errors import InputInvalid
from placet.sentences import sentence

FILE: Final = "erasures.ndjson"
_LONGEST_LINE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One erasure: the id of the person, and when it was."""

    person: str
    erased_at: datetime


def read_ledger(home: Path) -> list[LedgerEntry]:
    """Return the entries of the ledger in a data folder, oldest first; none where there is no file.

    Raises InputInvalid that names the line that is wrong, but for a last line that a crash has cut off.
    """
    try:
        lines = (home / FILE).read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    found: dict[str, LedgerEntry] = {}
    *whole, _cut = lines
    for number, line in enumerate(whole, start=1):
        try:
            row = json.loads(line[:_LONGEST_LINE])
            entry = LedgerEntry(person=str(row["person"]), erased_at=datetime.fromisoformat(row["erased_at"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputInvalid(
                sentence("{file}: line {number} is no erasure; remove it", file=home / FILE, number=number)
            ) from error
        found.setdefault(entry.person, entry)
    return list(found.values())


def add_to_ledger(home: Path, entries: Sequence[LedgerEntry]) -> None:
    """Add erasures to the ledger, on disk when this returns."""
    if not entries:
        return
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = home / FILE
    text = "".join(json.dumps({"person": one.person, "erased_at": moment(one.erased_at)}) + "\n" for one in entries)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.ftruncate(descriptor, file.read_bytes().rfind(b"\n") + 1)  # what a crash has cut off
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
