"""What the log proves: where a leaf is, that one tree begins with another, and the inclusion of a receipt."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from placet.errors import Conflict, InputInvalid, NotFound
from placet.sentences import sentence
from placet.transparency.checkpoints import read_signed
from placet.transparency.cosignatures import with_cosignatures
from placet.transparency.inclusion import Inclusion
from placet.transparency.leaves import Leaf
from placet.transparency.tree import Plan, consistency_plan, inclusion_plan, proof_of
from service.context import Context
from storage.queries import log_attestations, receipt_keys
from storage.queries import transparency_log as log
from storage.tables.transparency_log import LogCheckpoint, LogEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """The place of a leaf, its hash, and its audit path in the tree of so many leaves."""

    leaf: Leaf
    index: int
    tree_size: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """That the tree of `first` leaves is the beginning of the one of `second`, with the roots of both."""

    first: int
    second: int
    first_root: bytes
    second_root: bytes
    hashes: tuple[bytes, ...]


async def newest_checkpoint(context: Context) -> str:
    """Return the newest checkpoint as a signed note, with the lines of witnesses; raises NotFound before the first."""

    def read(connection: Connection) -> str | None:
        found = log.last_checkpoint(connection)
        return None if found is None else cosigned_note(connection, found)

    note = await context.database.read(read)
    if note is None:
        raise NotFound("The log has no checkpoint yet; the first one is made a minute after something was recorded.")
    return note


async def timestamp(context: Context, tree_size: int | None) -> bytes:
    """Return the timestamp (RFC 3161) of the checkpoint over so many leaves, or the newest one; raises NotFound."""
    found = await context.database.read(log_attestations.timestamp_at, tree_size)
    if found is None:
        raise NotFound(
            "No timestamp of this checkpoint is here: an authority dates the newest checkpoint every "
            "PLACET_LOG_TIMESTAMP_SECONDS, where one is set up."
        )
    return b64decode(found.proof)


def cosigned_note(connection: Connection, checkpoint: LogCheckpoint) -> str:
    """Return a checkpoint with the lines of the witnesses that have cosigned it."""
    try:
        return with_cosignatures(checkpoint.note, log_attestations.lines_of(connection, checkpoint.number))
    except ValueError:
        return checkpoint.note  # somebody has edited the lines, which `placet verify --log` says


async def entries(context: Context, start: int, limit: int) -> tuple[list[LogEntry], int]:
    """Return so many leaves from a place on, and how many there are under the newest checkpoint."""

    def read(connection: Connection) -> tuple[list[LogEntry], int]:
        size = _signed_size(connection)
        return log.entries(connection, start=start, limit=max(0, min(limit, size - start))), size

    return await context.database.read(read)


async def inclusion_proof(context: Context, index: int, tree_size: int | None) -> InclusionProof:
    """Prove where a leaf is, in the tree of the newest checkpoint or a smaller one; raises NotFound, InputInvalid."""

    def read(connection: Connection) -> InclusionProof:
        size = _size(connection, tree_size)
        if not 0 <= index < size:
            raise NotFound(sentence("The tree of {size} leaves has no leaf {index}.", size=size, index=index))
        (row,) = log.entries(connection, start=index, limit=1)
        leaf = Leaf(chain=row.chain, seq=row.seq, head=row.head)
        hashes = hashes_of(connection, inclusion_plan(index, size))
        return InclusionProof(leaf=leaf, index=index, tree_size=size, hashes=hashes)

    return await context.database.read(read)


async def consistency_proof(context: Context, first: int, second: int | None) -> ConsistencyProof:
    """Prove that one tree begins with another; raises InputInvalid for sizes that no checkpoint has reached."""

    def read(connection: Connection) -> ConsistencyProof:
        size = _size(connection, second)
        if not 0 <= first <= size:
            raise InputInvalid(sentence("{first} leaves are not the beginning of {second}.", first=first, second=size))
        return ConsistencyProof(
            first=first,
            second=size,
            first_root=log.root(connection, first),
            second_root=log.root(connection, size),
            hashes=hashes_of(connection, consistency_plan(first, size)),
        )

    return await context.database.read(read)


def inclusion_of(connection: Connection, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the inclusion of the receipt with this body; None until a checkpoint is over its entry.

    None too where the tables of the log contradict its checkpoint: a receipt proves what it can, and `placet verify`
    says what is wrong.
    """
    try:
        leaf = Leaf(chain=body["request_id"], seq=body["seq"], head=body["entry_hash"])
    except ValueError:
        return None
    index = log.known(connection, [leaf]).get(leaf)
    over = None if index is None else _checkpoint_over(connection, index)
    if index is None or over is None:
        return None
    return _inclusion(connection, leaf, index, over)


def _checkpoint_over(connection: Connection, index: int) -> LogCheckpoint | None:
    """Return the newest checkpoint over a leaf that was dated, else cosigned, else the newest; None where none is."""
    for kind in (log_attestations.TIMESTAMP, log_attestations.COSIGNATURE):
        found = log_attestations.newest(connection, kind)
        if found is not None and found.tree_size > index:
            return found
    return log.checkpoint_over(connection, index)


def _inclusion(connection: Connection, leaf: Leaf, index: int, over: LogCheckpoint) -> dict[str, Any] | None:
    public = next((key.key for key in receipt_keys.listed(connection) if key.id == over.key_id), None)
    if public is None:
        return None
    try:
        checkpoint = read_signed(over.note, public)
        hashes = hashes_of(connection, inclusion_plan(index, checkpoint.size))
    except (ValueError, Conflict):
        return None
    note = cosigned_note(connection, over)
    found = Inclusion(leaf=leaf, index=index, hashes=hashes, checkpoint=checkpoint, note=note, public_key=public)
    return found.document


def _size(connection: Connection, given: int | None) -> int:
    """Return the size of the tree that is asked about; raises InputInvalid for one that was never signed over."""
    signed = _signed_size(connection)
    if given is not None and not 0 <= given <= signed:
        raise InputInvalid(
            sentence(
                "The newest checkpoint is over {signed} leaves, so there is no tree of {given}.",
                signed=signed,
                given=given,
            )
        )
    return signed if given is None else given


def _signed_size(connection: Connection) -> int:
    last = log.last_checkpoint(connection)
    return 0 if last is None else last.tree_size


def hashes_of(connection: Connection, plan: Plan) -> tuple[bytes, ...]:
    """Return the hashes of a proof; raises Conflict where the tables lack one."""
    try:
        return tuple(proof_of(plan, log.hashes(connection, {node for nodes in plan for node in nodes})))
    except KeyError:
        raise Conflict("The log's tables lack a hash of this proof: they were changed. Run placet verify.") from None
