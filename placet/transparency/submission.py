"""What is sent to a witness, and read from it (https://c2sp.org/tlog-witness, `add-checkpoint`)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from placet.transparency.tree import MOST_HASHES

SIZE_TYPE: Final = "text/x.tlog.size"
"""The media type of the answer 409, which says how many leaves the witness has seen."""
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,17})\n")


def submission(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """Return the body of a call: that the checkpoint in a note continues the tree of `old` leaves, and the proof."""
    if len(proof) > MOST_HASHES:
        raise ValueError(f"a proof has at most {MOST_HASHES} hashes")
    lines = [f"old {old}", *(b64encode(one).decode() for one in proof), "", note]
    return "\n".join(lines).encode()


def read_size(body: bytes) -> int:
    """Return the number of leaves in an answer 409; raises ValueError."""
    found = _SIZE.fullmatch(body)
    if found is None:
        raise ValueError("it is no number of leaves")
    return int(found[1])
