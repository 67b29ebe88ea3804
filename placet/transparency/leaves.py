"""The leaves of the log: a leaf commits to one hash of one audit chain, and to nothing else.

The bytes of a leaf are four lines, each with its line feed: `placet chain head 1`, the name of the chain, the number of
the entry, and the entry's hash in 64 hex digits. The name is what the hash before the first entry of the chain is made
of (placet.audit.chain.genesis): the id of a request, `ID:delivery` for what was sent about it, and `admin-acts`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from placet.transparency import tree

ADMIN_ACTS: Final = "admin-acts"
DELIVERIES: Final = ":delivery"
"""Ends the name of a chain of deliveries."""
_PREFIX = "placet chain head 1"
_CHAIN = re.compile(r"[!-~]{1,200}")
_HEAD = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """An entry of a chain, by its number from 1 and its hash: the chain's head when it was recorded.

    Raises ValueError for what no chain has, so that no two leaves have the same bytes.
    """

    chain: str
    seq: int
    head: str

    def __post_init__(self) -> None:
        # bool is an int, and True would be written as 1.
        if type(self.seq) is not int or self.seq < 1:
            raise ValueError(f"the number of an entry is {self.seq!r:.40}, and not 1 or more")
        if not isinstance(self.chain, str) or not _CHAIN.fullmatch(self.chain):
            raise ValueError(f"{self.chain!r:.80} is no name of a chain")
        if not isinstance(self.head, str) or not _HEAD.fullmatch(self.head):
            raise ValueError(f"{self.head!r:.80} is no hash of an entry")

    @property
    def data(self) -> bytes:
        """The bytes of the leaf."""
        return f"{_PREFIX}\n{self.chain}\n{self.seq}\n{self.head}\n".encode()

    @property
    def hash(self) -> bytes:
        """The hash of the leaf in the tree."""
        return tree.leaf_hash(self.data)
