"""Departures: people who have left, or whose absences have changed, until their open tasks have been reassigned.

A departure is stored in the transaction of the change, so that none is lost.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, bindparam, delete, false, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel, col

from storage.queries.requests.visibility import Visibility, queues_of, waiting_for
from storage.tables.approvals import ApprovalTask, StoredPerson
from storage.tables.columns import Moment

FIRST_AGAIN = timedelta(seconds=5)
LAST_AGAIN = timedelta(hours=1)
# For whoever informs the requests. A process that ends meanwhile, or cannot reach the engine, is followed by the next.
LEASE = timedelta(seconds=10)
# A request that read the directory just before somebody left may still open a task for them.
SETTLED = timedelta(minutes=1)


class Departure(SQLModel, table=True):
    """A person who left at `left_at`. Their requests are informed at `look_at`, and again until no task waits for them.

    For a person who is still active, `left_at` is when their absences changed. Then the requests in which a substitute
    has a task for them are informed.
    """

    __tablename__ = "departure"

    person: str = Field(primary_key=True)
    left_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    look_at: datetime = Field(sa_column=Column(Moment, nullable=False))


_HELD = select(col(StoredPerson.roles), col(StoredPerson.groups), col(StoredPerson.active)).where(
    col(StoredPerson.id) == bindparam("person")
)


def note(connection: Connection, person: str, now: datetime) -> None:
    """Store that a person has left, or that their absences have changed."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = {"left_at": now, "look_at": now}
    noted = make(Departure).values(person=person, **fresh)
    connection.execute(noted.on_conflict_do_update(index_elements=["person"], set_=fresh))


def due(connection: Connection, now: datetime) -> list[str]:
    """List the people whose departure is due for processing."""
    query = select(col(Departure.person)).where(col(Departure.look_at) <= now).order_by(col(Departure.look_at))
    return list(connection.scalars(query))


def take(connection: Connection, person: str, now: datetime) -> list[str] | None:
    """Lease a person's departure and return the requests to inform, or None where another process has it.

    Without `postpone` or `settle`, it is due again at the end of the lease.
    """
    mine = col(Departure.person) == person, col(Departure.look_at) <= now
    left_at = connection.scalar(select(col(Departure.left_at)).where(*mine))
    if left_at is None:
        return None
    if not connection.execute(update(Departure).where(*mine).values(look_at=now + LEASE)).rowcount:
        return None
    held = connection.execute(_HELD, {"person": person}).one_or_none()
    as_substitute = col(ApprovalTask.assigned_via) == f"substitution:{person}"
    if held is not None and held.active:
        rule = as_substitute if now - left_at < SETTLED else false()  # a substitute who rightly has the task keeps it
    else:
        queues = () if held is None else queues_of(held.roles, held.groups)
        rule = or_(waiting_for(Visibility(person=person, queues=queues)), as_substitute)
    waiting = select(col(ApprovalTask.request_id)).where(col(ApprovalTask.status) == "open", rule)
    return sorted(set(connection.scalars(waiting)))


def postpone(connection: Connection, person: str, now: datetime) -> None:
    """Have a departure that was taken at `now` looked at again later each time, since a request may never answer.

    One that was noted anew meanwhile stays due.
    """
    mine = col(Departure.person) == person, col(Departure.look_at) == now + LEASE
    left_at = connection.scalar(select(col(Departure.left_at)).where(*mine))
    if left_at is not None:
        again = min(max(now - left_at, FIRST_AGAIN), LAST_AGAIN)
        connection.execute(update(Departure).where(*mine).values(look_at=now + again))


def settle(connection: Connection, person: str, now: datetime) -> None:
    """Delete a departure without open tasks, once no request can still regard the person as active."""
    connection.execute(
        delete(Departure).where(col(Departure.person) == person, col(Departure.left_at) <= now - SETTLED)
    )


def forget(connection: Connection, person: str) -> None:
    """Delete the departure of a person who is active again."""
    connection.execute(delete(Departure).where(col(Departure.person) == person))
