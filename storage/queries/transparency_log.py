"""Read the transparency log: its leaves and nodes, its checkpoints, and which chains have moved since.

A chain that has moved gives its head, and besides the head that it had at each decision: receipts are about those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, SQLColumnExpression, exists, func, or_, select, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col

from placet.transparency.leaves import ADMIN_ACTS, DELIVERIES, Leaf
from placet.transparency.tree import Node, fold, perfect
from storage.tables.admin_acts import AdminAct
from storage.tables.approvals import ApprovalRequest, AuditEntry, Delivery
from storage.tables.transparency_log import LogCheckpoint, LogEntry, LogNode, LogProgress

# Transactions commit a little after the moment that their rows have, and the clocks of machines differ a little. What
# comes later than that is found by going through all requests, a page each time.
OVERLAP: Final = timedelta(minutes=2)
_DECIDES: Final = ("decided", "changes_requested")
_HASH_DIGITS: Final = 64
_AT_ONCE: Final = 500  # keys in one query


class Moved(NamedTuple):
    """The leaves that the log lacks, in the order to add them; all that was recorded before `until` is among them."""

    leaves: list[Leaf]
    until: datetime


def size(connection: Connection) -> int:
    """Return how many leaves the log has."""
    last = connection.execute(select(func.max(col(LogEntry.leaf_index)))).scalar()
    return 0 if last is None else int(last) + 1


def hashes(connection: Connection, nodes: Iterable[Node]) -> dict[Node, bytes]:
    """Return the hashes of those of these nodes that are stored; leaves are hashed from their rows."""
    wanted = set(nodes)
    found: dict[Node, bytes] = {}
    leaves = sorted(node.number for node in wanted if node.level == 0)
    for part in _parts(leaves):
        query = select(LogEntry).where(col(LogEntry.leaf_index).in_(part))
        for row in connection.execute(query).mappings():
            with suppress(ValueError):  # edited into nonsense, and so as good as missing
                found[Node(0, row["leaf_index"])] = Leaf(chain=row["chain"], seq=row["seq"], head=row["head"]).hash
    key = tuple_(col(LogNode.level), col(LogNode.node_index))
    for inner in _parts(sorted(node for node in wanted if node.level)):
        for level, index, digest in connection.execute(
            select(col(LogNode.level), col(LogNode.node_index), col(LogNode.hash)).where(key.in_(inner))
        ):
            found[Node(level, index)] = bytes.fromhex(digest)
    return found


def root(connection: Connection, leaves: int) -> bytes:
    """Return the root of the tree of the first so many leaves; raises KeyError where a node is missing."""
    nodes = perfect(0, leaves)
    found = hashes(connection, nodes)
    return fold([found[node] for node in nodes])


def known(connection: Connection, leaves: Sequence[Leaf]) -> dict[Leaf, int]:
    """Return the places of those of these leaves that are in the log."""
    found: dict[Leaf, int] = {}
    key = tuple_(col(LogEntry.chain), col(LogEntry.seq))
    for part in _parts(sorted({(leaf.chain, leaf.seq) for leaf in leaves})):
        for row in connection.execute(select(LogEntry).where(key.in_(part))).mappings():
            with suppress(ValueError):
                found[Leaf(chain=row["chain"], seq=row["seq"], head=row["head"])] = row["leaf_index"]
    return {leaf: found[leaf] for leaf in leaves if leaf in found}


def entries(connection: Connection, *, start: int, limit: int) -> list[LogEntry]:
    """Return so many leaves from a place on."""
    query = select(LogEntry).where(col(LogEntry.leaf_index) >= start).order_by(col(LogEntry.leaf_index)).limit(limit)
    return [LogEntry(**row) for row in connection.execute(query).mappings()]


def last_checkpoint(connection: Connection) -> LogCheckpoint | None:
    """Return the newest checkpoint; None where there is none yet."""
    return _checkpoint(connection, select(LogCheckpoint).order_by(col(LogCheckpoint.number).desc()).limit(1))


def checkpoint_over(connection: Connection, index: int) -> LogCheckpoint | None:
    """Return the newest checkpoint over a leaf; None where none is over it."""
    over = select(LogCheckpoint).where(col(LogCheckpoint.tree_size) > index)
    return _checkpoint(connection, over.order_by(col(LogCheckpoint.number).desc()).limit(1))


def size_at(connection: Connection, number: int) -> int:
    """Return how many leaves the checkpoint with a number is over; 0 where there is none with it."""
    query = select(col(LogCheckpoint.tree_size)).where(col(LogCheckpoint.number) == number)
    return connection.execute(query).scalar() or 0


def checkpoints(connection: Connection, *, after: int, limit: int) -> list[LogCheckpoint]:
    """Return so many checkpoints after the one of a number, oldest first."""
    query = select(LogCheckpoint).where(col(LogCheckpoint.number) > after).order_by(col(LogCheckpoint.number))
    return [LogCheckpoint(**row) for row in connection.execute(query.limit(limit)).mappings()]


def progress(connection: Connection) -> LogProgress | None:
    """Return how far the log has come; None where it has not begun."""
    row = connection.execute(select(LogProgress)).mappings().first()
    return None if row is None else LogProgress(**row)


def behind(connection: Connection, now: datetime) -> timedelta:
    """Return how long ago the log was complete and under a checkpoint; nothing where it has not begun."""
    found = progress(connection)
    return timedelta() if found is None else max(timedelta(), now - found.complete_until)


def moved(connection: Connection, *, since: datetime | None, until: datetime, most: int) -> Moved:
    """Return what was recorded from one moment to another and is not in the log, at most so much of each kind."""
    rows: list[tuple[datetime, Leaf]] = []
    complete = until
    for source in (_of_requests, _of_deliveries):
        query, at = source(until)
        if since is not None:
            query = query.where(at >= since)
        got = connection.execute(query.where(at <= until).order_by(at).limit(most)).all()
        rows += _leaves(got)
        if len(got) == most:
            complete = min(complete, got[-1].at)
    rows.sort(key=lambda row: (row[0], row[1].chain, row[1].seq))
    return Moved([leaf for _, leaf in rows] + _acts(connection), complete)


def missed(connection: Connection, *, after: str, until: datetime, most: int) -> tuple[list[Leaf], str]:
    """Return what is not in the log of the next so many requests after one, whenever it was recorded; and the last id.

    The id is empty behind the last request.
    """
    page = select(col(ApprovalRequest.id)).where(col(ApprovalRequest.id) > after).order_by(col(ApprovalRequest.id))
    ids = connection.scalars(page.limit(most)).all()
    rows: list[tuple[datetime, Leaf]] = []
    for model, source in ((AuditEntry, _of_requests), (Delivery, _of_deliveries)):
        query, at = source(until)
        for part in _parts(ids):
            rows += _leaves(connection.execute(query.where(at <= until, col(model.request_id).in_(part))).all())
    rows.sort(key=lambda row: (row[0], row[1].chain, row[1].seq))
    return [leaf for _, leaf in rows], ids[-1] if len(ids) == most else ""


def _of_requests(until: datetime) -> tuple[Select[Any], SQLColumnExpression[datetime]]:
    later = aliased(AuditEntry)
    head = ~exists().where(
        col(later.request_id) == col(AuditEntry.request_id),
        col(later.seq) > col(AuditEntry.seq),
        col(later.recorded_at) <= until,
    )
    query = _not_logged(AuditEntry, col(AuditEntry.request_id), col(AuditEntry.recorded_at))
    return query.where(or_(col(AuditEntry.kind).in_(_DECIDES), head)), col(AuditEntry.recorded_at)


def _of_deliveries(until: datetime) -> tuple[Select[Any], SQLColumnExpression[datetime]]:
    later = aliased(Delivery)
    head = ~exists().where(
        col(later.request_id) == col(Delivery.request_id),
        col(later.seq) > col(Delivery.seq),
        col(later.at) <= until,
    )
    query = _not_logged(Delivery, col(Delivery.request_id) + DELIVERIES, col(Delivery.at))
    return query.where(head), col(Delivery.at)


def _not_logged(
    model: type[SQLModel], chain: SQLColumnExpression[str], at: SQLColumnExpression[datetime]
) -> Select[Any]:
    columns = model.__table__.columns  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
    logged = exists().where(
        col(LogEntry.chain) == chain, col(LogEntry.seq) == columns.seq, col(LogEntry.head) == columns.hash
    )
    # What was edited into nonsense never becomes a leaf, and must not be in the way of what can.
    fits = func.length(columns.hash) == _HASH_DIGITS
    return select(chain.label("chain"), columns.seq, columns.hash, at.label("at")).where(~logged, fits)


def _leaves(rows: Iterable[Any]) -> list[tuple[datetime, Leaf]]:
    found = []
    for row in rows:
        try:
            found.append((row.at, Leaf(chain=row.chain, seq=row.seq, head=row.hash)))
        except ValueError:
            continue  # edited into nonsense, which verifying the chain finds
    return found


def _acts(connection: Connection) -> list[Leaf]:
    last = select(col(AdminAct.seq), col(AdminAct.hash)).order_by(col(AdminAct.seq).desc()).limit(1)
    row = connection.execute(last).first()
    if row is None:
        return []
    try:
        leaf = Leaf(chain=ADMIN_ACTS, seq=row.seq, head=row.hash)
    except ValueError:
        return []  # edited into nonsense, as above
    return [] if known(connection, [leaf]) else [leaf]


def _checkpoint(connection: Connection, query: Select[Any]) -> LogCheckpoint | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else LogCheckpoint(**row)


def _parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
