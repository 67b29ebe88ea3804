"""The tree of the log, beside RFC 6962 as it is written: naive, recursive, and of all leaves."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placet.transparency.tree import (
    EMPTY,
    MOST_HASHES,
    Node,
    consistency_plan,
    continues,
    fold,
    grown,
    includes,
    inclusion_plan,
    leaf_hash,
    perfect,
    proof_of,
)


def largest_power_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    """Return the Merkle Tree Hash of section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = largest_power_below(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """Return the Merkle Audit Path of section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = largest_power_below(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """Return the subproof of section 2.1.2; PROOF(m, D) is SUBPROOF(m, D, true)."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = largest_power_below(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def tree_of(leaves: list[bytes], *, parts: int = 1) -> dict[Node, bytes]:
    """Let a tree grow by so many leaves at a time, as the log does: from the nodes at its edge alone."""
    stored: dict[Node, bytes] = {}
    for start in range(0, len(leaves), parts):
        edge = {node: stored[node] for node in perfect(0, start)}
        stored |= grown(start, edge, map(leaf_hash, leaves[start : start + parts]))
    return stored


def root_of(stored: dict[Node, bytes], size: int) -> bytes:
    return fold([stored[node] for node in perfect(0, size)])


def flipped(value: bytes) -> list[bytes]:
    """Return the value with each of its bits changed, one at a time."""
    number, length = int.from_bytes(value), len(value)
    return [(number ^ (1 << bit)).to_bytes(length) for bit in range(length * 8)]


LEAVES = [f"leaf {n}".encode() for n in range(45)]
STORED = tree_of(LEAVES)


@given(leaves=st.lists(st.binary(max_size=40), max_size=70), parts=st.integers(1, 50))
def test_a_tree_that_grows_in_parts_has_the_root_of_the_standard_at_every_size(leaves: list[bytes], parts: int) -> None:
    stored = tree_of(leaves, parts=parts)
    assert [root_of(stored, size) for size in range(len(leaves) + 1)] == [
        mth(leaves[:size]) for size in range(len(leaves) + 1)
    ]


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_proofs_of_inclusion_are_those_of_the_standard_and_hold_for_no_other_place(size: int) -> None:
    root = mth(LEAVES[:size])
    for index in range(size):
        proof = proof_of(inclusion_plan(index, size), STORED)
        assert proof == path(index, LEAVES[:size])
        places = [
            place for place in range(-1, size + 2) if includes(root, size, leaf_hash(LEAVES[index]), place, proof)
        ]
        assert places == [index]


@pytest.mark.parametrize("second", range(1, len(LEAVES) + 1))
def test_proofs_of_consistency_are_those_of_the_standard_and_hold_for_no_other_beginning(second: int) -> None:
    new = mth(LEAVES[:second])
    for first in range(1, second + 1):
        old = mth(LEAVES[:first])
        proof = proof_of(consistency_plan(first, second), STORED)
        assert proof == subproof(first, LEAVES[:second], True)
        assert continues(old, first, new, second, proof)
        assert not any(continues(old, other, new, second, proof) for other in range(-1, second + 2) if other != first)


def test_every_bit_of_a_proof_of_inclusion_counts() -> None:
    for size, index in ((1, 0), (2, 1), (7, 6), (8, 0), (13, 11), (45, 44)):
        root, leaf, proof = mth(LEAVES[:size]), leaf_hash(LEAVES[index]), path(index, LEAVES[:size])
        assert includes(root, size, leaf, index, proof)
        assert not any(includes(other, size, leaf, index, proof) for other in flipped(root))
        assert not any(includes(root, size, other, index, proof) for other in flipped(leaf))
        for place, one in enumerate(proof):
            for other in flipped(one):
                assert not includes(root, size, leaf, index, [*proof[:place], other, *proof[place + 1 :]])


def test_every_bit_of_a_proof_of_consistency_counts() -> None:
    for first, second in ((1, 2), (3, 7), (4, 7), (6, 8), (8, 13), (44, 45)):
        old, new = mth(LEAVES[:first]), mth(LEAVES[:second])
        proof = subproof(first, LEAVES[:second], True)
        assert continues(old, first, new, second, proof)
        assert not any(continues(other, first, new, second, proof) for other in flipped(old))
        assert not any(continues(old, first, other, second, proof) for other in flipped(new))
        for place, one in enumerate(proof):
            for other in flipped(one):
                assert not continues(old, first, new, second, [*proof[:place], other, *proof[place + 1 :]])


def test_a_proof_that_is_longer_shorter_or_of_other_hashes_is_none() -> None:
    root, leaf, proof = mth(LEAVES[:13]), leaf_hash(LEAVES[5]), path(5, LEAVES[:13])
    chain = subproof(5, LEAVES[:13], True)
    for wrong in (proof[:-1], proof[1:], [*proof, root], [root, *proof], proof[::-1], [one[:-1] for one in proof], []):
        assert not includes(root, 13, leaf, 5, wrong)
    for wrong in (chain[:-1], chain[1:], [*chain, root], [root, *chain], chain[::-1], [one[:-1] for one in chain], []):
        assert not continues(mth(LEAVES[:5]), 5, root, 13, wrong)
    assert not includes(root, 2**70, leaf, 5, [leaf] * (MOST_HASHES + 5))
    assert not includes(leaf, 0, leaf, 0, [])


def test_the_empty_tree_is_the_beginning_of_every_tree() -> None:
    assert mth([]) == EMPTY
    assert continues(EMPTY, 0, mth(LEAVES), len(LEAVES), [])
    assert not continues(mth(LEAVES[:1]), 0, mth(LEAVES), len(LEAVES), [])
    assert consistency_plan(0, 9) == consistency_plan(9, 9) == ()


def test_the_vectors_of_certificate_transparency_hold() -> None:
    # The eight leaves and roots that implementations of RFC 6962 share.
    leaves = [bytes.fromhex(one) for one in ("", "00", "10", "2021", "3031", "40414243")]
    leaves += [bytes.fromhex("5051525354555657"), bytes.fromhex("606162636465666768696a6b6c6d6e6f")]
    stored = tree_of(leaves)
    assert root_of(stored, 1).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of(stored, 8).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert b64encode(EMPTY).decode() == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_a_proof_of_a_tree_of_a_million_leaves_reads_some_hundred_nodes() -> None:
    size = 1_000_003
    for index in (0, 77_777, size - 1):
        assert sum(map(len, inclusion_plan(index, size))) <= 60
        assert sum(map(len, consistency_plan(index + 1, size))) <= 60
