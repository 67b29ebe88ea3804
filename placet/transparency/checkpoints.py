"""Checkpoints (https://c2sp.org/tlog-checkpoint): how large a log is, and the root of its tree, as a signed note."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Self

from placet.transparency.notes import Note, VerifierKey, decoded
from placet.transparency.tree import HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log said: its `origin` is its name for good, `size` counts its leaves, `root` has 32 bytes."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the text of a note; raises ValueError. Lines beside the three are refused: no log of ours has any."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):
            raise ValueError("it is no checkpoint: one has three lines, the log's origin, its size and its root")
        root = decoded(lines[2])
        if len(root) != HASH_BYTES:
            raise ValueError(f"its root has {len(root)} bytes, and not {HASH_BYTES}")
        return cls(origin=lines[0], size=int(lines[1]), root=root)


def read_signed(raw: str, public: bytes) -> Checkpoint:
    """Return what a note says that a log has signed with this key; raises ValueError, which says what is wrong."""
    note = Note.read(raw)
    found = Checkpoint.read(note.text)
    if not VerifierKey(name=found.origin, public=public).signed(note.text, note.signatures):
        raise ValueError("it is not signed with the key of the log")
    return found
