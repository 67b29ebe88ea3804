"""Write the transparency log: leaves with the nodes that they complete, and checkpoints. Each is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, text
from sqlalchemy.dialects import postgresql, sqlite

from placet.audit.receipts import ReceiptKey
from placet.errors import Conflict
from placet.transparency.checkpoints import Checkpoint
from placet.transparency.leaves import Leaf
from placet.transparency.tree import consistency_plan, continues, grown, perfect, proof_of
from storage.queries import transparency_log as log
from storage.tables.transparency_log import LogCheckpoint, LogEntry, LogNode, LogProgress

# Any number, as long as all who write to the log take the same lock.
_LOCK = 0x746C6F67


def append(connection: Connection, leaves: Sequence[Leaf], now: datetime) -> int:
    """Add those of these leaves that the log lacks, in their order, with what they complete; return how many.

    Raises Conflict where somebody has removed what they would be added to.
    """
    _lock(connection)
    there = log.known(connection, leaves)
    fresh = [leaf for leaf in dict.fromkeys(leaves) if leaf not in there]
    if not fresh:
        return 0
    size = log.size(connection)
    try:
        nodes = grown(size, log.hashes(connection, perfect(0, size)), (leaf.hash for leaf in fresh))
    except KeyError as error:
        raise _lacks(error) from None
    connection.execute(
        insert(LogEntry),
        [
            {"leaf_index": index, "chain": leaf.chain, "seq": leaf.seq, "head": leaf.head, "logged_at": now}
            for index, leaf in enumerate(fresh, size)
        ],
    )
    if inner := [
        {"level": node.level, "node_index": node.number, "hash": value.hex()}
        for node, value in nodes.items()
        if node.level
    ]:
        connection.execute(insert(LogNode), inner)
    return len(fresh)


def put_progress(connection: Connection, complete_until: datetime, swept: str) -> None:
    """Store how far the log has come."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"complete_until": complete_until, "swept": swept}
    statement = make(LogProgress).values(id=1, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def add_checkpoint(connection: Connection, key: ReceiptKey, origin: str, now: datetime) -> LogCheckpoint | None:
    """Sign a checkpoint where the log has grown since the last one, or another key signs; None where neither is so.

    Raises Conflict, and signs nothing, where the log does not continue its last checkpoint: no log ever signs two
    checkpoints that contradict each other.
    """
    _lock(connection)
    last, size = log.last_checkpoint(connection), log.size(connection)
    if last is not None and (last.tree_size, last.key_id) == (size, key.id):
        return None
    if last is None and not size:
        return None
    try:
        root = log.root(connection, size)
        if last is not None and not _continues(connection, last, root, size):
            raise Conflict(
                f"The log of {size} leaves does not begin with the {last.tree_size} leaves of its last checkpoint, "
                "so no checkpoint is signed. Its tables were changed; run `placet verify --log`."
            )
    except KeyError as error:
        raise _lacks(error) from None
    number = 1 if last is None else last.number + 1
    made = Checkpoint(origin=origin, size=size, root=root)
    row = LogCheckpoint(
        number=number,
        origin=origin,
        tree_size=size,
        root=root.hex(),
        key_id=key.id,
        note=key.sign_checkpoint(made),
        made_at=now,
    )
    connection.execute(insert(LogCheckpoint).values(**row.model_dump()))
    return row


def _continues(connection: Connection, last: LogCheckpoint, root: bytes, size: int) -> bool:
    if last.tree_size > size:
        return False
    plan = consistency_plan(last.tree_size, size)
    proof = proof_of(plan, log.hashes(connection, {node for nodes in plan for node in nodes}))
    return continues(bytes.fromhex(last.root), last.tree_size, root, size, proof)


def _lacks(error: KeyError) -> Conflict:
    return Conflict(f"The log lacks the hash of {error.args[0]}: its tables were changed. Run `placet verify --log`.")


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite has one writer
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
