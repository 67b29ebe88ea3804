"""The rules of retention, what was deleted when, and whose content could not be erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.tables.retention import KeptContent, RetentionRule, RetentionRun


@of_rows
def put(session: Session, row: RetentionRule) -> RetentionRule | None:
    """Store a rule, new or changed, and return the one that was there before."""
    before = session.get(RetentionRule, row.id, with_for_update=True)
    if before is None:
        session.add(row)
        return None
    was = RetentionRule(**before.model_dump())
    before.content_days, before.set_by, before.set_at = row.content_days, row.set_by, row.set_at
    return was


@of_rows
def remove(session: Session, rule_id: str) -> RetentionRule:
    """Remove a rule and return it as it was; raises NotFound."""
    row = session.get(RetentionRule, rule_id)
    if row is None:
        raise NotFound(sentence("There is no rule of retention {rule_id!r}", rule_id=rule_id))
    session.delete(row)
    return row


@of_rows
def page(session: Session, *, limit: int, cursor: str | None = None) -> cursors.Page[RetentionRule]:
    """List the rules by the names of their processes; raises InputInvalid for an invalid cursor."""
    query = select(RetentionRule).order_by(col(RetentionRule.template)).limit(limit + 1)
    if cursor is not None:
        (after,) = cursors.read_names(cursor, 1)
        query = query.where(col(RetentionRule.template) > after)
    return cursors.page(session.scalars(query).all(), limit, lambda row: (row.template,))


def days_by_process(connection: Connection) -> Mapping[str, int | None]:
    """Return the days of each process that has a rule; None: for good."""
    rows = connection.execute(select(col(RetentionRule.template), col(RetentionRule.content_days)))
    return {row.template: row.content_days for row in rows}


@of_rows
def runs(session: Session) -> Mapping[str, RetentionRun]:
    """Return what was last deleted, by its kind."""
    return {row.kind: row for row in session.scalars(select(RetentionRun))}


def note_run(connection: Connection, kind: str, rows: int, now: datetime) -> None:
    """Note how many rows of a kind a run has deleted."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = make(RetentionRun).values(kind=kind, ran_at=now, rows=rows, total=rows)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["kind"], set_={"ran_at": now, "rows": rows, "total": col(RetentionRun.total) + rows}
        )
    )


@of_rows
def kept(session: Session, *, most: int) -> tuple[int, Sequence[KeptContent]]:
    """Return how many requests' content could not be erased, and the latest of them."""
    number = session.execute(select(func.count()).select_from(KeptContent)).scalar_one()
    return number, session.scalars(select(KeptContent).order_by(col(KeptContent.tried_at).desc()).limit(most)).all()
