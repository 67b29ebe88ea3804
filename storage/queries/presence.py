"""The presence of workers: each updates its row every few seconds, by the database's clock.

The engine lists a poller for minutes after the worker was killed, so its answer alone is not enough.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Float, cast, delete, extract, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel, col

FORGOTTEN_SECONDS = 86_400.0


class WorkerPresence(SQLModel, table=True):
    """A running worker process, by its identity at the engine."""

    __tablename__ = "worker_presence"

    identity: str = Field(primary_key=True)
    task_queue: str
    seen_at: float = Field(sa_type=Float)  # seconds since 1970, as the database counts them


def note(connection: Connection, identity: str, task_queue: str) -> None:
    """Update the row of a running worker, and delete rows that are older than a day."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = {"task_queue": task_queue, "seen_at": _now(connection)}
    noted = make(WorkerPresence).values(identity=identity, **fresh)
    connection.execute(noted.on_conflict_do_update(index_elements=["identity"], set_=fresh))
    old = col(WorkerPresence.seen_at) < _now(connection) - FORGOTTEN_SECONDS
    connection.execute(delete(WorkerPresence).where(old))


def remove(connection: Connection, identity: str) -> None:
    """Delete the row of a worker that has ended."""
    connection.execute(delete(WorkerPresence).where(col(WorkerPresence.identity) == identity))


def seen(connection: Connection, task_queue: str, *, within: float) -> set[str]:
    """Return the identities of the workers of a task queue that updated their row in the last `within` seconds."""
    query = select(col(WorkerPresence.identity)).where(
        col(WorkerPresence.task_queue) == task_queue, col(WorkerPresence.seen_at) > _now(connection) - within
    )
    return set(connection.scalars(query))


def running(connection: Connection, *, within: float) -> int:
    """Count the workers of all task queues that updated their row in the last `within` seconds."""
    query = select(func.count()).where(col(WorkerPresence.seen_at) > _now(connection) - within)
    return int(connection.execute(query).scalar_one())


def _now(connection: Connection) -> ColumnElement[float]:
    if connection.dialect.name == "postgresql":
        return cast(extract("epoch", func.now()), Float)
    return (func.julianday("now") - 2_440_587.5) * 86_400.0  # the julian day of 1970
