"""Verify the log from its rows: that it is one tree, what it signed, and that the chains still are what it holds.

Somebody may have edited any row. What the log says of itself proves nothing against whoever can write all of it, so it
is compared with what others have kept: a checkpoint, or a receipt with its inclusion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from typing import Final, TypedDict

from sqlalchemy import Connection, tuple_
from sqlmodel import SQLModel, col

from placet.transparency.checkpoints import Checkpoint, read_signed
from placet.transparency.leaves import ADMIN_ACTS, DELIVERIES, Leaf
from placet.transparency.notes import Note
from placet.transparency.tree import Node, fold, grown, perfect
from service.transparency.attested import CLOCK_JUMP, AttesterFound, verify_attested
from service.transparency.settings import AttesterSettings
from storage.queries import receipt_keys
from storage.queries import transparency_log as log
from storage.recording.verify import raw_rows
from storage.tables.admin_acts import AdminAct
from storage.tables.approvals import AuditEntry, AuditSuperseded, Delivery
from storage.tables.transparency_log import LogEntry

MOST_FAULTS: Final = 100
"""Faults that are listed; one rewritten row is often many."""
LATE: Final = timedelta(minutes=10)
"""After so long, what has been recorded should be in the log."""
_PAGE = 1_000  # leaves
_AT_ONCE = 500  # checkpoints, or requests
_NOBODY: Final = AttesterSettings()


class VerifiedLog(TypedDict):
    """What was found. `faults` say what does not hold; `warnings` what may have a good reason, and is to be looked at.

    `root` is in hex, of the tree of all leaves; None where it could not be computed.
    """

    ok: bool
    origin: str | None
    leaves: int
    checkpoints: int
    root: str | None
    attesters: list[AttesterFound]
    faults: list[str]
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What somebody has kept: a signed checkpoint, and from a receipt a leaf with its place. `name` is the file's."""

    name: str
    note: str | None = None
    leaf: Leaf | None = None
    index: int | None = None


@dataclass(frozen=True, order=True)
class _Claim:
    """The root of a tree of so many leaves, and who says so."""

    size: int
    root: bytes = field(compare=False)
    by: str = field(compare=False)


class _Found:
    def __init__(self) -> None:
        self.faults: list[str] = []
        self.more = 0

    def add(self, fault: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)
        else:
            self.more += 1

    def all(self) -> list[str]:
        return [*self.faults, *([f"… and {self.more} more."] if self.more else [])]


def verify_log(
    connection: Connection, now: datetime, kept: Sequence[Kept] = (), settings: AttesterSettings = _NOBODY
) -> VerifiedLog:
    """Verify all of the log, what others have signed of it by the settings, and what was kept against it."""
    found, warnings = _Found(), list[str]()
    keys = {key.id: key.key for key in receipt_keys.listed(connection)}
    last = log.last_checkpoint(connection)
    claims = sorted(_kept_claims(connection, kept, keys, last.origin if last else None, found))
    tree = _Tree(connection, found)
    tree.compare(merge(_own_claims(connection, keys, found, warnings), claims))
    attested = verify_attested(connection, settings)
    for fault in attested.faults:
        found.add(fault)
    warnings += attested.warnings
    unlogged = _unlogged(connection, now - LATE)
    if unlogged:
        warnings.append(
            f"{unlogged} heads of chains that were recorded more than {LATE.seconds // 60} minutes ago are not in the "
            "log: no worker adds to it, or chains were rewritten."
        )
    return VerifiedLog(
        ok=not found.faults,
        origin=last.origin if last else None,
        leaves=tree.size,
        checkpoints=last.number if last else 0,
        root=None if tree.broken else tree.root.hex(),
        attesters=list(attested.attesters.values()),
        faults=found.all(),
        warnings=warnings,
    )


class _Tree:
    """The tree, computed anew from the leaves, page by page; only the nodes at its edge are held."""

    def __init__(self, connection: Connection, found: _Found) -> None:
        self._connection = connection
        self._found = found
        self._nodes: dict[Node, bytes] = {}
        self.size = 0
        self.broken = False

    @property
    def root(self) -> bytes:
        """The root of what was read so far."""
        return self._root_at(self.size)

    def compare(self, claims: Iterable[_Claim]) -> None:
        """Read all leaves, and compare with what is claimed of each size; claims come by rising size."""
        waiting = iter(claims)
        claim = next(waiting, None)
        more = True
        while more:
            more = self._read_page()
            while claim is not None and claim.size <= self.size:
                if self._root_at(claim.size) != claim.root:
                    self._found.add(
                        f"{claim.by}: the first {claim.size} leaves are not those that it was signed over; the log was "
                        "rewritten."
                    )
                claim = next(waiting, None)
            self._nodes = {node: self._nodes[node] for node in perfect(0, self.size)}
        while claim is not None:
            if not self.broken:
                self._found.add(f"{claim.by} is over {claim.size} leaves, and the log has {self.size}.")
            claim = next(waiting, None)

    def _root_at(self, size: int) -> bytes:
        return fold([self._nodes[node] for node in perfect(0, size)])

    def _read_page(self) -> bool:
        """Read and check the next page of leaves; returns whether there may be more."""
        fields = ("leaf_index", "chain", "seq", "head")
        where = col(LogEntry.leaf_index) >= self.size
        rows = raw_rows(self._connection, LogEntry, fields, where, order="leaf_index", limit=_PAGE)
        leaves = []
        for place, row in enumerate(rows, self.size):
            try:
                leaves.append(_leaf_at(place, row))
            except ValueError as error:
                self._found.add(f"Leaf {place} cannot be read ({error}), and nothing behind it can be verified.")
                self.broken = True
                break
        fresh = grown(self.size, self._nodes, (leaf.hash for leaf in leaves))
        inner = {node: value for node, value in fresh.items() if node.level}
        stored = log.hashes(self._connection, inner)
        for node, value in inner.items():
            if stored.get(node) != value:
                self._found.add(f"The stored hash of {node} is not that of its leaves.")
        _compare_with_chains(self._connection, self.size, leaves, self._found)
        self._nodes |= fresh
        self.size += len(leaves)
        return len(rows) == _PAGE and not self.broken


def _leaf_at(place: int, row: dict[str, str | None]) -> Leaf:
    """Return the leaf of a row; raises ValueError for what cannot be read, and for the row of another place."""
    if row["leaf_index"] != str(place):
        raise ValueError("it is missing")
    return Leaf(chain=row["chain"] or "", seq=int(row["seq"] or ""), head=row["head"] or "")


def _compare_with_chains(connection: Connection, start: int, leaves: Sequence[Leaf], found: _Found) -> None:
    """Find leaves that are not in their chains any more."""
    requests = [leaf for leaf in leaves if leaf.chain != ADMIN_ACTS and not leaf.chain.endswith(DELIVERIES)]
    deliveries = [leaf for leaf in leaves if leaf.chain.endswith(DELIVERIES)]
    heads = {
        **_heads(connection, AuditEntry, [(leaf.chain, leaf.seq) for leaf in requests]),
        **{
            (request + DELIVERIES, seq): head
            for (request, seq), head in _heads(
                connection, Delivery, [(leaf.chain.removesuffix(DELIVERIES), leaf.seq) for leaf in deliveries]
            ).items()
        },
        **_acts(connection, [leaf.seq for leaf in leaves if leaf.chain == ADMIN_ACTS]),
    }
    wrong = [(n, leaf) for n, leaf in enumerate(leaves, start) if heads.get((leaf.chain, leaf.seq)) != leaf.head]
    replaced = _replaced(connection, [leaf for _, leaf in wrong])
    for index, leaf in wrong:
        what = f"Leaf {index}: entry {leaf.seq} of {leaf.chain}"
        if (leaf.chain, leaf.seq, leaf.head) in replaced:
            found.add(f"{what} was replaced after it had been logged, because the engine's history told it otherwise.")
        elif (leaf.chain, leaf.seq) in heads:
            found.add(f"{what} had the hash {leaf.head} when it was logged, and has another one now.")
        else:
            found.add(f"{what} was logged, and is gone.")


def _heads(
    connection: Connection, model: type[SQLModel], keys: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], str | None]:
    if not keys:
        return {}
    columns = model.__table__.columns  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
    where = tuple_(columns.request_id, columns.seq).in_(keys)
    rows = raw_rows(connection, model, ("request_id", "seq", "hash"), where, order="request_id")
    return {(row["request_id"] or "", int(row["seq"] or 0)): row["hash"] for row in rows}


def _acts(connection: Connection, seqs: Sequence[int]) -> dict[tuple[str, int], str | None]:
    rows = raw_rows(connection, AdminAct, ("seq", "hash"), col(AdminAct.seq).in_(seqs), order="seq") if seqs else []
    return {(ADMIN_ACTS, int(row["seq"] or 0)): row["hash"] for row in rows}


def _replaced(connection: Connection, leaves: Sequence[Leaf]) -> set[tuple[str, int, str]]:
    if not leaves:
        return set()
    where = tuple_(col(AuditSuperseded.request_id), col(AuditSuperseded.seq)).in_([(x.chain, x.seq) for x in leaves])
    rows = raw_rows(connection, AuditSuperseded, ("request_id", "seq", "hash"), where, order="id")
    return {(row["request_id"] or "", int(row["seq"] or 0), row["hash"] or "") for row in rows}


def _own_claims(connection: Connection, keys: dict[str, bytes], found: _Found, warnings: list[str]) -> Iterator[_Claim]:
    """Generate what the stored checkpoints say, after checking that they were signed and follow each other."""
    number, size, made_at = 0, 0, None
    while page := log.checkpoints(connection, after=number, limit=_AT_ONCE):
        for row in page:
            name = f"Checkpoint {row.number}"
            if row.number != number + 1:
                found.add(f"Checkpoint {number + 1} is gone.")
            number = row.number
            if made_at is not None and row.made_at < made_at - CLOCK_JUMP:
                warnings.append(f"{name} was made at {row.made_at}, after one of {made_at}: a clock jumped.")
            made_at = row.made_at
            try:
                signed = read_signed(row.note, keys[row.key_id])
            except KeyError:
                found.add(f"{name} is signed with the key {row.key_id}, which is not among those of this installation.")
                continue
            except ValueError as error:
                found.add(f"{name} cannot be used: {error}.")
                continue
            if (signed.origin, signed.size, signed.root.hex()) != (row.origin, row.tree_size, row.root):
                found.add(f"{name}: its row does not say what was signed.")
            if signed.size < size:
                found.add(f"{name} is over {signed.size} leaves, and one before it was over {size}.")
                continue
            size = signed.size
            yield _Claim(signed.size, signed.root, name)


def _kept_claims(
    connection: Connection, kept: Sequence[Kept], keys: dict[str, bytes], origin: str | None, found: _Found
) -> Iterator[_Claim]:
    for one in kept:
        if one.leaf is not None:
            _find_kept_leaf(connection, one, one.leaf, found)
        if one.note is None:
            continue
        try:
            signed = _signed_by_any(one.note, keys.values())
        except ValueError as error:
            found.add(f"{one.name} cannot be used: {error}.")
            continue
        if signed.origin != origin:
            found.add(f"{one.name} is of the log {signed.origin!r}, and this log is {origin!r}.")
        yield _Claim(signed.size, signed.root, one.name)


def _find_kept_leaf(connection: Connection, one: Kept, leaf: Leaf, found: _Found) -> None:
    """Compare a leaf that a receipt is about with the chain, and with its place in the log where it had one."""
    if _heads(connection, AuditEntry, [(leaf.chain, leaf.seq)]).get((leaf.chain, leaf.seq)) != leaf.head:
        found.add(f"{one.name}: entry {leaf.seq} of {leaf.chain} is not the one that the receipt is about.")
    if one.index is not None and log.known(connection, [leaf]).get(leaf) != one.index:
        found.add(f"{one.name}: leaf {one.index} of the log is not the one that the receipt is about.")


def _signed_by_any(note: str, keys: Iterable[bytes]) -> Checkpoint:
    """Return what a note says that is signed with one of these keys; raises ValueError."""
    Note.read(note)  # says what is wrong with it in itself
    for key in keys:
        try:
            return read_signed(note, key)
        except ValueError:
            continue
    raise ValueError("it is signed with none of this installation's keys")


def _unlogged(connection: Connection, until: datetime) -> int:
    count, after = 0, ""
    while True:
        leaves, after = log.missed(connection, after=after, until=until, most=_AT_ONCE)
        count += len(leaves)
        if not after:
            return count
