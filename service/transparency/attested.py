"""Verify what witnesses and authorities have signed: from the rows, and of a checkpoint that somebody has kept.

The installation's own clock says when a checkpoint was made and a signature stored, and each signature says a moment of
its own. Where they do not fit together, a clock jumped, or somebody has written moments by hand.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypedDict

from sqlalchemy import Connection

from placet.transparency.checkpoints import Checkpoint
from placet.transparency.cosignatures import WitnessKey
from placet.transparency.notes import Note, VerifierKey, read_signatures
from service.transparency.settings import AttesterSettings
from storage.queries import log_attestations as stored
from storage.queries.log_attestations import COSIGNATURE
from storage.tables.transparency_log import LogAttestation, LogCheckpoint

CLOCK_JUMP: Final = timedelta(minutes=1)
"""Clocks that differ by more are said to."""
MOST_WARNINGS: Final = 20
_AT_ONCE = 500  # checkpoints


class AttesterFound(TypedDict):
    """What one witness or authority has signed: the last checkpoint, its number, and how many of them.

    `known`: its key or address is that of the settings, for all of them. Otherwise a witness's key was read from the
    row, and proves only that the row is whole, and a timestamp was not verified.
    """

    kind: str
    name: str
    known: bool
    signed: int
    checkpoint: int
    tree_size: int
    at: str


@dataclass
class Attested:
    """What was found of all that others have signed."""

    attesters: dict[tuple[str, str], AttesterFound] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    more: int = 0

    def warn(self, warning: str) -> None:
        """Add a warning; of many only the first are listed."""
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(warning)
        else:
            self.more += 1


def verify_attested(connection: Connection, settings: AttesterSettings) -> Attested:
    """Verify every stored cosignature and timestamp."""
    found, after = Attested(), 0
    keys = {one.key.name: one.key for one in settings.witnesses}
    while page := stored.attestations(connection, after=after, limit=_AT_ONCE):
        for row, checkpoint in page:
            after = row.checkpoint
            if checkpoint is None:
                found.faults.append(f"{row.name} has signed checkpoint {row.checkpoint}, which is gone.")
                continue
            try:
                at, known = _moment_of(row, checkpoint, keys, settings)
            except (ValueError, Error) as error:
                found.faults.append(f"What {row.name} has signed of checkpoint {row.checkpoint} is not so: {error}.")
                continue
            if at != row.at:
                found.faults.append(f"The row of what {row.name} has signed of checkpoint {row.checkpoint} was edited.")
            for warning in clock_warnings(row, checkpoint):
                found.warn(warning)
            before = found.attesters.get((row.kind, row.name))
            found.attesters[row.kind, row.name] = AttesterFound(
                kind=row.kind,
                name=row.name,
                known=known and (before is None or before["known"]),
                signed=1 if before is None else before["signed"] + 1,
                checkpoint=checkpoint.number,
                tree_size=checkpoint.tree_size,
                at=row.at.isoformat(),
            )
    for one in found.attesters.values():
        if not one["known"]:
            found.warn(
                f"{one['name']}, or a key that it had, is not in the settings, so nothing says whether all that it has "
                "signed is its own."
            )
    if found.more:
        found.warnings.append(f"… and {found.more} more about witnesses and timestamps.")
    return found


def _moment_of(
    row: LogAttestation, checkpoint: LogCheckpoint, keys: dict[str, WitnessKey], settings: AttesterSettings
) -> tuple[datetime, bool]:
    """Return the moment that a signature says, and whether it is by somebody of the settings; raises ValueError."""
    text = Note.read(checkpoint.note).text
    if row.kind == COSIGNATURE:
        key = WitnessKey.read(row.verifier)
        cosigned = key.cosigned(text, read_signatures(row.proof))
        if cosigned is None:
            raise ValueError("its line is of another key")
        return cosigned.at, key == keys.get(row.name)
    if settings.authority is None or settings.authority.url != row.name:
        return row.at, False
    # Only installations with an authority have what this needs loaded.
    from placet.transparency.timestamps import read_timestamp

    return read_timestamp(b64decode(row.proof, validate=True), text, settings.authority.certificates).at, True


def clock_warnings(row: LogAttestation, checkpoint: LogCheckpoint) -> Iterator[str]:
    """Say where the moment of a signature is before its checkpoint was made, or after it was stored."""
    what = "cosigned" if row.kind == COSIGNATURE else "dated"
    if row.at < checkpoint.made_at - CLOCK_JUMP:
        yield (
            f"{row.name} has {what} checkpoint {checkpoint.number} at {row.at}, and by the clock here it was made "
            f"later, at {checkpoint.made_at}: a clock jumped, here or there."
        )
    if row.at > row.stored_at + CLOCK_JUMP:
        yield (
            f"{row.name} has {what} checkpoint {checkpoint.number} at {row.at}, and by the clock here that was stored "
            f"before, at {row.stored_at}: a clock jumped, here or there, or the moments here were written afterwards."
        )


class CheckpointFound(TypedDict):
    """What was found of a checkpoint without a database: `why` says what does not hold, None where all does."""

    ok: bool
    origin: str | None
    tree_size: int | None
    root: str | None
    cosigned: dict[str, str]
    dated: str | None
    authority: str | None
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a checkpoint has to have, as its reader was told by another way.

    `witnesses` are the keys of those who must have cosigned it; `timestamp` is an authority's answer, and
    `certificates` (PEM) are what leads to that authority.
    """

    log_key: VerifierKey | None = None
    witnesses: Sequence[WitnessKey] = ()
    timestamp: bytes | None = None
    certificates: bytes | None = None


def verify_checkpoint(raw: str, expected: Expected) -> CheckpointFound:
    """Verify a checkpoint that somebody has kept, offline."""
    found = CheckpointFound(
        ok=False, origin=None, tree_size=None, root=None, cosigned={}, dated=None, authority=None, why=None
    )
    try:
        note = Note.read(raw)
        checkpoint = Checkpoint.read(note.text)
        found |= {"origin": checkpoint.origin, "tree_size": checkpoint.size, "root": checkpoint.root.hex()}
        _check_log_key(note, checkpoint, expected.log_key)
        for witness in expected.witnesses:
            found["cosigned"][witness.name] = _cosigned_at(note, witness).isoformat()
        if expected.timestamp is not None:
            from placet.transparency.timestamps import read_timestamp

            dated = read_timestamp(expected.timestamp, note.text, expected.certificates or b"")
            found |= {"dated": dated.at.isoformat(), "authority": dated.authority}
    except ValueError as error:
        found["why"] = str(error)
    found["ok"] = found["why"] is None
    return found


def _cosigned_at(note: Note, witness: WitnessKey) -> datetime:
    cosigned = witness.cosigned(note.text, note.signatures)
    if cosigned is None:
        raise ValueError(f"{witness.name} has not cosigned it")
    return cosigned.at


def _check_log_key(note: Note, checkpoint: Checkpoint, key: VerifierKey | None) -> None:
    if key is None:
        return
    if key.name != checkpoint.origin:
        raise ValueError(f"it is of the log {checkpoint.origin!r}, and the key is of {key.name!r}")
    if not key.signed(note.text, note.signatures):
        raise ValueError("it is not signed with the key of the log")
