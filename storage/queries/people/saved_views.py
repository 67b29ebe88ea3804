"""Saved views: the views of the inbox that a person has named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update
from sqlmodel import col

from placet.errors import InputInvalid, NotFound
from placet.sentences import sentence
from storage.prepared import Prepared
from storage.tables.approvals import StoredPerson
from storage.tables.reading import SavedView

MOST = 20
"""How many views a person may have."""
LONGEST_NAME = 60
"""Characters of a name."""
LONGEST_QUERY = 2000
"""Characters of what a view shows."""
_OF_PERSON = Prepared(
    select(col(SavedView.id), col(SavedView.name), col(SavedView.query), col(SavedView.standard))
    .where(col(SavedView.person) == bindparam("person"))
    .order_by(col(SavedView.created_at), col(SavedView.id))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRow:
    """One saved view; `query` is that of the inbox's address."""

    id: str
    name: str
    query: str
    standard: bool


def of_person(connection: Connection, person: str) -> tuple[ViewRow, ...]:
    """Return the views of a person, in the order in which they were saved."""
    return tuple(
        ViewRow(id=row.id, name=row.name, query=row.query, standard=row.standard)
        for row in _OF_PERSON.rows(connection, person=person)
    )


def save(connection: Connection, person: str, name: str, query: str, now: datetime) -> str:
    """Save a view under a name and return its id; one of that name shows this from now on.

    Raises InputInvalid for a name that is empty or too long, and where the person has as many views as they may.
    """
    _lock(connection, person)
    name = _named(name)
    if len(query) > LONGEST_QUERY:
        raise InputInvalid.at(
            "/query",
            sentence(
                "the view is longer than {longest_query} characters; search for less", longest_query=LONGEST_QUERY
            ),
        )
    views = of_person(connection, person)
    same = next((view for view in views if view.name == name), None)
    if same is not None:
        connection.execute(update(SavedView).where(col(SavedView.id) == same.id).values(query=query))
        return same.id
    if len(views) >= MOST:
        raise InputInvalid.at(
            "/name", sentence("you have {most} saved views, which is the most; delete one first", most=MOST)
        )
    row = SavedView(id=uuid4().hex, person=person, name=name, query=query, standard=False, created_at=now)
    connection.execute(insert(SavedView).values(**row.model_dump()))
    return row.id


def rename(connection: Connection, person: str, view_id: str, name: str) -> None:
    """Name a view anew; raises NotFound, and InputInvalid for a name that cannot be, or that another view has."""
    _lock(connection, person)
    name = _named(name)
    if any(view.name == name and view.id != view_id for view in of_person(connection, person)):
        raise InputInvalid.at(
            "/name", sentence("another of your views is called {name!r}; choose another name", name=name)
        )
    _require(connection.execute(update(SavedView).where(*_mine(person, view_id)).values(name=name)).rowcount)


def make_standard(connection: Connection, person: str, view_id: str | None) -> None:
    """Make a view the one that the inbox opens with; None: the inbox as it is without views. Raises NotFound."""
    _lock(connection, person)
    connection.execute(update(SavedView).where(col(SavedView.person) == person).values(standard=False))
    if view_id is not None:
        _require(connection.execute(update(SavedView).where(*_mine(person, view_id)).values(standard=True)).rowcount)


def remove(connection: Connection, person: str, view_id: str) -> None:
    """Delete a view; raises NotFound."""
    _require(connection.execute(delete(SavedView).where(*_mine(person, view_id))).rowcount)


def _mine(person: str, view_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(SavedView.person) == person, col(SavedView.id) == view_id


def _lock(connection: Connection, person: str) -> None:
    """Let the changes of one person's views take turns, so that their number and names hold."""
    connection.execute(select(col(StoredPerson.id)).where(col(StoredPerson.id) == person).with_for_update())


def _named(name: str) -> str:
    name = " ".join(name.split())
    if not name or not name.isprintable():
        raise InputInvalid.at("/name", "give the view a name")
    if len(name) > LONGEST_NAME:
        raise InputInvalid.at(
            "/name",
            sentence(
                "the name is longer than {longest_name} characters; choose a shorter one", longest_name=LONGEST_NAME
            ),
        )
    return name


def _require(changed: int) -> None:
    if not changed:
        raise NotFound("You have no such saved view.")
