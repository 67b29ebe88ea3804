"""The Merkle tree of RFC 6962, section 2.1: its hashes, its proofs, and how it grows.

Nothing here stores anything. A tree is known by the hashes of its perfect subtrees (`Node`), which never change as it
grows. A plan names the nodes that a root or a proof is made of, `SHA-256` hashes of 32 bytes stand for them, and
`fold` makes one hash of them. A proof takes O(log n) nodes; checking one takes nothing but the proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

HASH_BYTES: Final = 32
MOST_HASHES: Final = 63
"""Of one proof; so many are enough for a tree of 2^63 leaves."""
EMPTY: Final = hashlib.sha256().digest()
"""The root of a tree without leaves."""


class Node(NamedTuple):
    """A perfect subtree: the leaves from `number * 2**level` to before `(number + 1) * 2**level`. Level 0 is a leaf."""

    level: int
    number: int


Plan = tuple[tuple[Node, ...], ...]
"""A proof before its hashes are read: for each hash the nodes, left to right, that it is folded from."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf with these bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the subtree over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect(start: int, end: int) -> tuple[Node, ...]:
    """Return the perfect subtrees, left to right, that cover the leaves from `start` to before `end`.

    `start` is 0, or where a subtree of at least `end - start` leaves begins; all subtrees in RFC 6962 begin so.
    """
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return tuple(nodes)


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over perfect subtrees that stand side by side, given left to right, the largest first."""
    if not hashes:
        return EMPTY
    *others, folded = hashes
    for left in reversed(others):
        folded = node_hash(left, folded)
    return folded


def inclusion_plan(index: int, size: int) -> Plan:
    """Plan the audit path of a leaf (RFC 6962, 2.1.1), its sibling first; `0 <= index < size`."""
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return tuple(perfect(*one) for one in reversed(ranges))


def consistency_plan(first: int, second: int) -> Plan:
    """Plan the proof that a tree of `first` leaves is the beginning of one of `second` (RFC 6962, 2.1.2).

    `0 <= first <= second`; where `first` is 0 or `second`, there is nothing to prove, and the plan is empty.
    """
    if first in {0, second}:
        return ()
    ranges = []
    start, end = 0, second
    while end != first:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # otherwise this is the tree of `first` leaves itself, whose root the reader has
        ranges.append((start, end))
    return tuple(perfect(*one) for one in reversed(ranges))


def proof_of(plan: Plan, hashes: Mapping[Node, bytes]) -> list[bytes]:
    """Make the proof that was planned, given the hashes of all nodes in the plan."""
    return [fold([hashes[node] for node in nodes]) for nodes in plan]


def grown(size: int, hashes: Mapping[Node, bytes], leaves: Iterable[bytes]) -> dict[Node, bytes]:
    """Return every node, leaves included, that a tree of `size` leaves gets with these leaf hashes.

    `hashes` has those of `perfect(0, size)`.
    """
    fresh: dict[Node, bytes] = {}
    for place, leaf in enumerate(leaves, size):
        node, value = Node(0, place), leaf
        fresh[node] = value
        while node.number & 1:
            left = Node(node.level, node.number - 1)
            value = node_hash(fresh[left] if left in fresh else hashes[left], value)
            node = Node(node.level + 1, node.number >> 1)
            fresh[node] = value
    return fresh


def includes(root: bytes, size: int, leaf: bytes, index: int, path: Sequence[bytes]) -> bool:
    """Tell whether a leaf hash is at this place of the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(root, leaf, *path):
        return False
    place, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def continues(first_root: bytes, first: int, second_root: bytes, second: int, path: Sequence[bytes]) -> bool:
    """Tell whether the tree with the second root begins with the one with the first root (RFC 9162, 2.1.4.2)."""
    if not 0 <= first <= second or not _are_hashes(first_root, second_root, *path):
        return False
    if first == second:
        return not path and first_root == second_root
    if first == 0:
        return not path and first_root == EMPTY
    hashes = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if not hashes:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and (old, new) == (first_root, second_root)


def _split(leaves: int) -> int:
    """Return the largest power of two below a number of leaves: so many stand on the left."""
    return 1 << ((leaves - 1).bit_length() - 1)


def _are_hashes(*values: bytes) -> bool:
    return len(values) <= MOST_HASHES + 2 and all(len(value) == HASH_BYTES for value in values)
