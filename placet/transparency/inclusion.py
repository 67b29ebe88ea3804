"""Inclusion: the part of a receipt that says where in the log its entry is, and proves it.

It is made when the receipt is read, and signed by the log's checkpoint rather than by the receipt: the members are the
`leaf` with its `index`, the `tree_size`, the `hashes` of the audit path in hex, the `checkpoint` as a signed note, and
the log's `public_key` in base64.
"""

from __future__ import annotations

from base64 import b64encode
from binascii import Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from placet.transparency import tree
from placet.transparency.checkpoints import Checkpoint, read_signed
from placet.transparency.leaves import Leaf
from placet.transparency.notes import decoded

MEMBERS: Final = frozenset({"leaf", "index", "tree_size", "hashes", "checkpoint", "public_key"})
_LEAF = frozenset({"chain", "seq", "head"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """A leaf at a place of the tree that a checkpoint is about, its audit path, and the key that signed it."""

    leaf: Leaf
    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Checkpoint
    note: str
    public_key: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The inclusion as a receipt has it."""
        return {
            "leaf": {"chain": self.leaf.chain, "seq": self.leaf.seq, "head": self.leaf.head},
            "index": self.index,
            "tree_size": self.checkpoint.size,
            "hashes": [one.hex() for one in self.hashes],
            "checkpoint": self.note,
            "public_key": b64encode(self.public_key).decode(),
        }


def read_inclusion(document: object, body: Mapping[str, Any]) -> Inclusion:
    """Read and verify the inclusion of a receipt with this body.

    Raises ValueError, which says what is wrong. Whether its key is that of the installation, the reader has to know.
    """
    if not isinstance(document, dict) or document.keys() != MEMBERS:
        raise ValueError(f"it has exactly the members {', '.join(sorted(MEMBERS))}")
    leaf = _leaf(document["leaf"])
    if (leaf.chain, leaf.seq, leaf.head) != (body.get("request_id"), body.get("seq"), body.get("entry_hash")):
        raise ValueError("its leaf is of another entry than the receipt")
    public, hashes = _key(document["public_key"]), _hashes(document["hashes"])
    try:
        checkpoint = read_signed(str(document["checkpoint"]), public)
    except ValueError as error:
        raise ValueError(f"its checkpoint cannot be used: {error}") from error
    size, index = document["tree_size"], document["index"]
    if type(size) is not int or type(index) is not int or size != checkpoint.size:
        raise ValueError("its tree size is not that of its checkpoint")
    if not tree.includes(checkpoint.root, size, leaf.hash, index, hashes):
        raise ValueError("its proof does not lead from its leaf to the root of its checkpoint")
    return Inclusion(
        leaf=leaf,
        index=index,
        hashes=hashes,
        checkpoint=checkpoint,
        note=str(document["checkpoint"]),
        public_key=public,
    )


def _leaf(document: object) -> Leaf:
    if not isinstance(document, dict) or document.keys() != _LEAF:
        raise ValueError("its leaf has exactly the members chain, head and seq")
    return Leaf(**document)


def _key(encoded: object) -> bytes:
    try:
        public = decoded(encoded) if isinstance(encoded, str) else b""
    except (Error, ValueError) as error:
        raise ValueError("its public key cannot be read") from error
    if len(public) != 32:
        raise ValueError("its public key cannot be read")
    return public


def _hashes(written: object) -> tuple[bytes, ...]:
    if not isinstance(written, Sequence) or isinstance(written, str) or len(written) > tree.MOST_HASHES:
        raise ValueError(f"its hashes are no list of at most {tree.MOST_HASHES}")
    found = []
    for one in written:
        raw = bytes.fromhex(one) if isinstance(one, str) else b""
        if len(raw) != tree.HASH_BYTES or raw.hex() != one:
            raise ValueError("one of its hashes is not written as 64 hex digits")
        found.append(raw)
    return tuple(found)
