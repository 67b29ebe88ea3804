"""The transparency log, as the API shows it. Hashes are in hex."""

from __future__ import annotations

from api.schemas.common import Shown, View
from placet.transparency.leaves import Leaf
from service.transparency.proofs import ConsistencyProof, InclusionProof
from storage.tables.transparency_log import LogEntry


class LeafView(View):
    """What a leaf commits to: an entry of a chain, by its number and hash."""

    chain: str
    seq: int
    head: str

    @classmethod
    def of(cls, leaf: Leaf) -> LeafView:
        """Show a leaf."""
        return cls(chain=leaf.chain, seq=leaf.seq, head=leaf.head)


class LogEntryView(View):
    """A leaf at its place, which counts from 0; `hash` is that of the leaf in the tree."""

    index: int
    leaf: LeafView
    hash: str
    logged_at: Shown

    @classmethod
    def of(cls, row: LogEntry) -> LogEntryView:
        """Show a row."""
        leaf = Leaf(chain=row.chain, seq=row.seq, head=row.head)
        return cls(index=row.leaf_index, leaf=LeafView.of(leaf), hash=leaf.hash.hex(), logged_at=row.logged_at)


class InclusionProofView(View):
    """The audit path of a leaf (RFC 6962, 2.1.1), its sibling first."""

    leaf: LeafView
    index: int
    tree_size: int
    leaf_hash: str
    hashes: list[str]

    @classmethod
    def of(cls, proof: InclusionProof) -> InclusionProofView:
        """Show a proof."""
        return cls(
            leaf=LeafView.of(proof.leaf),
            index=proof.index,
            tree_size=proof.tree_size,
            leaf_hash=proof.leaf.hash.hex(),
            hashes=[one.hex() for one in proof.hashes],
        )


class ConsistencyProofView(View):
    """That the tree of `first` leaves is the beginning of the one of `second` (RFC 6962, 2.1.2), with both roots."""

    first: int
    second: int
    first_root: str
    second_root: str
    hashes: list[str]

    @classmethod
    def of(cls, proof: ConsistencyProof) -> ConsistencyProofView:
        """Show a proof."""
        return cls(
            first=proof.first,
            second=proof.second,
            first_root=proof.first_root.hex(),
            second_root=proof.second_root.hex(),
            hashes=[one.hex() for one in proof.hashes],
        )
