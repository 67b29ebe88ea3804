"""People who have left, or are away at other times, until their open tasks have followed.

It is noted with the change itself, so that none is lost.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, bindparam, delete, false, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel, col

from storage.queries.requests.visibility import Visibility, queues_of, waiting_for
from storage.tables.approvals import ApprovalTask, Moment, Person

FIRST_AGAIN = timedelta(seconds=5)
LAST_AGAIN = timedelta(hours=1)
# A task may still be opened for somebody by a request that read the directory just before they left.
SETTLED = timedelta(minutes=1)


class Departure(SQLModel, table=True):
    """Somebody who has left at `left_at`; their requests are told at `look_at`, and again until nothing waits for them.

    Of somebody who is still there, it is when they changed their absences, and the requests in which a substitute has a
    task for them are told.
    """

    __tablename__ = "departure"

    person: str = Field(primary_key=True)
    left_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    look_at: datetime = Field(sa_column=Column(Moment, nullable=False))


_HELD = select(col(Person.roles), col(Person.groups), col(Person.active)).where(col(Person.id) == bindparam("person"))


def note(connection: Connection, person: str, now: datetime) -> None:
    """Note that somebody has left, or is away at other times."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = {"left_at": now, "look_at": now}
    noted = make(Departure).values(person=person, **fresh)
    connection.execute(noted.on_conflict_do_update(index_elements=["person"], set_=fresh))


def due(connection: Connection, now: datetime) -> list[str]:
    """List who has left and has to be looked after now."""
    query = select(col(Departure.person)).where(col(Departure.look_at) <= now).order_by(col(Departure.look_at))
    return list(connection.scalars(query))


def take(connection: Connection, person: str, now: datetime) -> list[str] | None:
    """Take somebody's departure in hand, and return the requests to tell, or None where somebody else has it.

    Nobody else gets it before its next look. The looks become ever rarer, for a request may be beyond telling.
    """
    mine = col(Departure.person) == person, col(Departure.look_at) <= now
    left_at = connection.scalar(select(col(Departure.left_at)).where(*mine))
    if left_at is None:
        return None
    again = min(max(now - left_at, FIRST_AGAIN), LAST_AGAIN)
    if not connection.execute(update(Departure).where(*mine).values(look_at=now + again)).rowcount:
        return None
    held = connection.execute(_HELD, {"person": person}).one_or_none()
    as_substitute = col(ApprovalTask.assigned_via) == f"substitution:{person}"
    if held is not None and held.active:
        rule = as_substitute if now - left_at < SETTLED else false()  # a substitute may have it by right, and keeps it
    else:
        queues = () if held is None else queues_of(held.roles, held.groups)
        rule = or_(waiting_for(Visibility(person=person, queues=queues)), as_substitute)
    waiting = select(col(ApprovalTask.request_id)).where(col(ApprovalTask.status) == "open", rule)
    return sorted(set(connection.scalars(waiting)))


def settle(connection: Connection, person: str, now: datetime) -> None:
    """Forget a departure for which there was nobody to tell, once no request can hold the person as still there."""
    connection.execute(
        delete(Departure).where(col(Departure.person) == person, col(Departure.left_at) <= now - SETTLED)
    )


def forget(connection: Connection, person: str) -> None:
    """Forget the departure of somebody who is back."""
    connection.execute(delete(Departure).where(col(Departure.person) == person))
