"""Cosignatures of witnesses (https://c2sp.org/tlog-cosignature, the Ed25519 kind: cosignature/v1).

A witness is somebody else's server. Its cosignature of a checkpoint says: at this moment, this was the largest tree
that I had seen of this log, and it continues all that I had seen before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from placet.transparency.notes import Note, NoteKey, Signature, read_signatures

COSIGNATURE_V1: Final = 0x04
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
_LATEST = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A line of a witness that was verified, and the moment that the witness has signed with it, to the second."""

    signature: Signature
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessKey(NoteKey):
    """The key of a witness, which signs a checkpoint with the moment."""

    kind = COSIGNATURE_V1

    def cosigned(self, text: str, signatures: Sequence[Signature]) -> Cosignature | None:
        """Return the newest cosignature by this key of a checkpoint with this text; None where there is none.

        Raises ValueError where one does not fit.
        """
        return max((self._verified(text, one) for one in self.own(signatures)), key=lambda one: one.at, default=None)

    def _verified(self, text: str, signature: Signature) -> Cosignature:
        value = signature.value
        seconds = int.from_bytes(value[:_TIME_BYTES])
        if len(value) != _TIME_BYTES + _SIGNATURE_BYTES or not 0 < seconds <= _LATEST:
            raise ValueError(f"the cosignature of {self.name} is none of version 1, or has no moment")
        try:
            key = Ed25519PublicKey.from_public_bytes(self.public)
            key.verify(value[_TIME_BYTES:], cosigned_bytes(text, seconds))
        except (InvalidSignature, ValueError) as error:
            raise ValueError(f"the cosignature of {self.name} does not fit") from error
        return Cosignature(signature=signature, at=datetime.fromtimestamp(seconds, UTC))


def cosigned_bytes(text: str, seconds: int) -> bytes:
    """Return what a witness signs at a moment, in seconds since 1970, for a checkpoint with this text."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def with_cosignatures(note: str, lines: Sequence[str]) -> str:
    """Return a checkpoint with the lines of witnesses after its own; raises ValueError for what cannot be read."""
    read = Note.read(note)
    more = read_signatures("".join(lines)) if lines else ()
    return str(Note(text=read.text, signatures=(*read.signatures, *more)))
