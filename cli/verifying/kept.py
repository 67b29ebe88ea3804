"""Read what somebody has kept, and what they were told by another way: keys, notes, timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from placet.errors import InputInvalid
from placet.transparency.cosignatures import WitnessKey
from placet.transparency.notes import LONGEST, VerifierKey
from service.transparency.attested import Expected
from service.transparency.settings import certificates_in

_LARGEST_TIMESTAMP = 100_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the options say that a checkpoint has to have; empty where none was given."""

    log_key: str | None = None
    witnesses: Sequence[str] = field(default_factory=tuple)
    timestamp: Path | None = None
    certificates: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.log_key or self.witnesses or self.timestamp)

    def read(self) -> Expected:
        """Read it; raises InputInvalid and typer.BadParameter with the option that is wrong."""
        if (self.timestamp is None) is not (self.certificates is None):
            raise typer.BadParameter(
                "--timestamp and --timestamp-certificates belong together: give both or none", param_hint="--timestamp"
            )
        return Expected(
            log_key=None if self.log_key is None else _key(VerifierKey, self.log_key, "--log-key"),
            witnesses=[_key(WitnessKey, one, "--witness") for one in self.witnesses],
            timestamp=None if self.timestamp is None else read_bytes(self.timestamp, _LARGEST_TIMESTAMP),
            certificates=None if self.certificates is None else certificates_in(self.certificates),
        )


def _key(kind: Any, written: str, option: str) -> Any:
    try:
        return kind.read(written)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def read_bytes(file: Path, most: int) -> bytes:
    """Return what is in a file; raises InputInvalid for one that is longer than it can be."""
    with file.open("rb") as opened:
        found = opened.read(most + 1)
    if len(found) > most:
        raise InputInvalid(f"{file} is longer than {most:,} bytes, so it is not what was asked for.")
    return found


def read_note(file: Path) -> str:
    """Return the text of a note; raises InputInvalid."""
    try:
        return read_bytes(file, LONGEST).decode()
    except UnicodeDecodeError:
        raise InputInvalid(f"{file} is no checkpoint: it is not UTF-8.") from None
