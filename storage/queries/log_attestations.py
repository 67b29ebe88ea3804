"""Read what witnesses and timestamp authorities have signed of the log's checkpoints, and how they fare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, func, select
from sqlmodel import col

from storage.tables.transparency_log import LogAttestation, LogAttester, LogCheckpoint

COSIGNATURE: Final = "cosignature"
TIMESTAMP: Final = "timestamp"


def of_checkpoints(connection: Connection, numbers: Sequence[int]) -> list[LogAttestation]:
    """Return what was signed of the checkpoints with these numbers, by number, kind and name."""
    query = select(LogAttestation).where(col(LogAttestation.checkpoint).in_(numbers))
    order = (col(LogAttestation.checkpoint), col(LogAttestation.kind), col(LogAttestation.name))
    return [LogAttestation(**row) for row in connection.execute(query.order_by(*order)).mappings()]


def lines_of(connection: Connection, number: int) -> list[str]:
    """Return the lines of witnesses for a checkpoint, each with its line feed."""
    return [one.proof for one in of_checkpoints(connection, [number]) if one.kind == COSIGNATURE]


def newest(connection: Connection, kind: str) -> LogCheckpoint | None:
    """Return the newest checkpoint of which somebody has signed something of a kind; None where nobody has."""
    last = select(func.max(col(LogAttestation.checkpoint))).where(col(LogAttestation.kind) == kind).scalar_subquery()
    row = connection.execute(select(LogCheckpoint).where(col(LogCheckpoint.number) == last)).mappings().first()
    return None if row is None else LogCheckpoint(**row)


def timestamp_at(connection: Connection, tree_size: int | None) -> LogAttestation | None:
    """Return the newest timestamp of a checkpoint over exactly so many leaves, or of any; None where there is none."""
    query = select(LogAttestation).where(col(LogAttestation.kind) == TIMESTAMP)
    if tree_size is not None:
        over = select(col(LogCheckpoint.number)).where(col(LogCheckpoint.tree_size) == tree_size)
        query = query.where(col(LogAttestation.checkpoint).in_(over))
    row = connection.execute(query.order_by(col(LogAttestation.checkpoint).desc()).limit(1)).mappings().first()
    return None if row is None else LogAttestation(**row)


def attestations(
    connection: Connection, *, after: int, limit: int
) -> list[tuple[LogAttestation, LogCheckpoint | None]]:
    """Return what was signed of so many checkpoints after the one of a number, each with its checkpoint.

    None stands for a checkpoint that is not there.
    """
    numbers = select(col(LogAttestation.checkpoint)).where(col(LogAttestation.checkpoint) > after).distinct()
    page = connection.scalars(numbers.order_by(col(LogAttestation.checkpoint)).limit(limit)).all()
    rows = connection.execute(select(LogCheckpoint).where(col(LogCheckpoint.number).in_(page))).mappings()
    there = {row["number"]: LogCheckpoint(**row) for row in rows}
    return [(one, there.get(one.checkpoint)) for one in of_checkpoints(connection, page)]


def attesters(connection: Connection) -> list[LogAttester]:
    """Return the witnesses and authorities of the settings, by kind and name."""
    query = select(LogAttester).order_by(col(LogAttester.kind), col(LogAttester.name))
    return [LogAttester(**row) for row in connection.execute(query).mappings()]
