"""The files of requests that are not sent in yet: kept by the form that they were chosen in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import Conflict, Refused
from placet.sentences import sentence
from storage.database import of_rows
from storage.queries.requests.attachments import attachments_of
from storage.tables.approvals import ApprovalRequest
from storage.tables.request_drafts import DraftFile

BATCH = 100  # rows of one transaction
MOST_OF_A_PERSON = 100
"""Files that somebody may have in all of their forms together."""


class Unsent(NamedTuple):
    """A form with files that was not sent in: by its key, with how many files and since when."""

    form_key: str
    files: int
    since: datetime


@of_rows
def add(session: Session, row: DraftFile, most: int) -> DraftFile:
    """Keep a file of a form; the same file under the same name again is the one that is there.

    Raises Conflict where the request was sent in meanwhile, and Refused beyond `most` files of the form, or beyond
    those that a person may have.
    """
    connection = session.connection()
    if _sent(connection, row.request_id):
        raise Conflict("The request was sent in meanwhile. Open it, and attach the file there.")
    there = of_form(connection, row.person, row.request_id)
    same = next((one for one in there if (one.name, one.sha256) == (row.name, row.sha256)), None)
    if same is not None:
        return same
    if len(there) >= most:
        raise Refused(sentence("A request of this process may have {most} files.", most=most))
    theirs = select(func.count()).where(col(DraftFile.person) == row.person, ~col(DraftFile.dropped))
    if connection.execute(theirs).scalar_one() >= MOST_OF_A_PERSON:
        raise Refused(
            sentence(
                "You have {most_of_a_person} files in forms that were not sent in; remove some of them first.",
                most_of_a_person=MOST_OF_A_PERSON,
            )
        )
    session.add(row)
    return row


@of_rows
def of_form(session: Session, person: str, request_id: str) -> Sequence[DraftFile]:
    """Return the files of a form, in the order in which they were chosen."""
    query = (
        select(DraftFile)
        .where(col(DraftFile.request_id) == request_id, col(DraftFile.person) == person, ~col(DraftFile.dropped))
        .order_by(col(DraftFile.uploaded_at), col(DraftFile.id))
    )
    return session.scalars(query).all()


def touch(connection: Connection, ids: Collection[str], now: datetime) -> int:
    """Count the time of files anew, since they are about to be sent in; return how many there are."""
    query = update(DraftFile).where(col(DraftFile.id).in_(ids), ~col(DraftFile.dropped)).values(touched_at=now)
    return connection.execute(query).rowcount


def drop(connection: Connection, person: str, request_id: str, now: datetime, *, only: str | None = None) -> int:
    """Take a file out of a form, or all of them; return how many there were."""
    query = update(DraftFile).where(
        col(DraftFile.request_id) == request_id, col(DraftFile.person) == person, ~col(DraftFile.dropped)
    )
    if only is not None:
        query = query.where(col(DraftFile.id) == only)
    return connection.execute(query.values(dropped=True, touched_at=now)).rowcount


def unsent(connection: Connection, person: str, template: str) -> Unsent | None:
    """Return the form of a process with files that somebody used last and has not sent in."""
    last = func.max(col(DraftFile.touched_at))
    query = (
        select(col(DraftFile.form_key), func.count(), last)
        .where(
            col(DraftFile.person) == person,
            col(DraftFile.template) == template,
            ~col(DraftFile.dropped),
            col(DraftFile.request_id).not_in(select(col(ApprovalRequest.id))),
        )
        .group_by(col(DraftFile.form_key))
        .order_by(last.desc())
        .limit(1)
    )
    found = connection.execute(query).first()
    return None if found is None else Unsent(form_key=found[0], files=found[1], since=found[2])


def drop_old(connection: Connection, before: datetime, now: datetime) -> int:
    """Drop one batch of files that nobody has used since a moment; return how many."""
    old = select(col(DraftFile.id)).where(~col(DraftFile.dropped), col(DraftFile.touched_at) < before).limit(BATCH)
    ids = connection.scalars(old).all()
    if ids:
        query = update(DraftFile).where(col(DraftFile.id).in_(ids), col(DraftFile.touched_at) < before)
        connection.execute(query.values(dropped=True, touched_at=now))
    return len(ids)


@of_rows
def dropped(session: Session, before: datetime) -> Sequence[DraftFile]:
    """Return one batch of files that were dropped before a moment."""
    query = select(DraftFile).where(col(DraftFile.dropped), col(DraftFile.touched_at) < before).limit(BATCH)
    return session.scalars(query).all()


def needed(connection: Connection, row: DraftFile) -> bool:
    """Say whether the file in the store is that of another row as well, or is on record."""
    same = select(col(DraftFile.id)).where(
        col(DraftFile.request_id) == row.request_id, col(DraftFile.sha256) == row.sha256, ~col(DraftFile.dropped)
    )
    if connection.execute(same.limit(1)).first() is not None:
        return True
    return any(one.sha256 == row.sha256 for one in attachments_of(connection, row.request_id))


def forget(connection: Connection, ids: Collection[str]) -> None:
    """Delete rows, since their files are on record, or deleted."""
    connection.execute(delete(DraftFile).where(col(DraftFile.id).in_(ids)))


def _sent(connection: Connection, request_id: str) -> bool:
    query = select(col(ApprovalRequest.id)).where(col(ApprovalRequest.id) == request_id)
    return connection.execute(query).first() is not None
