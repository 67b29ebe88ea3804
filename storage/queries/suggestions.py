"""Stored suggestions: of what, from whom, and what was decided about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any, cast

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, defer
from sqlmodel import col

from placet.errors import Conflict, InputInvalid, NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.queries.definitions import definitions
from storage.queries.definitions.definitions import VersionHeader
from storage.recording import metrics
from storage.tables.approvals import DefinitionVersion
from storage.tables.suggestions import NightlyRun, WorkflowSuggestion

_NEAR = 0.5  # the similarity from which a name is offered instead of an unknown one


def insert(connection: Connection, row: WorkflowSuggestion) -> bool:
    """Store a suggestion and count it; False where it is there, or another one about its subject is pending."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = make(WorkflowSuggestion).values(row.model_dump()).on_conflict_do_nothing()
    if connection.execute(new.returning(col(WorkflowSuggestion.id))).first() is None:
        return False
    metrics.count(
        connection,
        metrics.increment("workflow_suggestion_total", row.source)
        + metrics.observation("workflow_suggestion_confidence", row.confidence),
    )
    return True


@of_rows
def get(session: Session, suggestion_id: str) -> WorkflowSuggestion:
    """Return one suggestion; raises NotFound."""
    found = session.get(WorkflowSuggestion, suggestion_id)
    if found is None:
        raise NotFound(sentence("There is no suggestion {suggestion_id!r}.", suggestion_id=suggestion_id))
    return found


def there(connection: Connection, suggestion_id: str) -> bool:
    """Say whether a suggestion is stored."""
    query = select(col(WorkflowSuggestion.id)).where(col(WorkflowSuggestion.id) == suggestion_id)
    return connection.execute(query).first() is not None


@of_rows
def page(
    session: Session,
    *,
    limit: int,
    cursor: str | None = None,
    equal: Mapping[str, str | None] | None = None,
) -> cursors.Page[WorkflowSuggestion]:
    """List suggestions, newest first, `limit` at a time; without their blueprints, which may not be read.

    `equal` says what columns have to be, by their names; None lets a column be anything.
    """
    at, ident = col(WorkflowSuggestion.created_at), col(WorkflowSuggestion.id)
    query = select(WorkflowSuggestion).options(defer(cast(Any, WorkflowSuggestion.blueprint), raiseload=True))
    for name, value in (equal or {}).items():
        if value is not None:
            query = query.where(col(getattr(WorkflowSuggestion, name)) == value)
    if cursor is not None:
        query = query.where(cursors.after(at, ident, cursor))
    rows = session.scalars(query.order_by(at.desc(), ident.desc()).limit(limit + 1)).all()
    return cursors.page(rows, limit, lambda row: (row.created_at, row.id))


@of_rows
def latest(session: Session, template: str, subject_id: str) -> WorkflowSuggestion | None:
    """Return the newest suggestion about a subject; None where there was none."""
    query = (
        select(WorkflowSuggestion)
        .where(col(WorkflowSuggestion.template) == template, col(WorkflowSuggestion.subject_id) == subject_id)
        .order_by(col(WorkflowSuggestion.created_at).desc(), col(WorkflowSuggestion.id).desc())
        .limit(1)
    )
    return session.scalars(query).first()


def refresh(connection: Connection, suggestion_id: str, values: Mapping[str, Any]) -> None:
    """Write newer evidence into a suggestion; one that was reviewed meanwhile stays as it was."""
    connection.execute(
        update(WorkflowSuggestion)
        .where(col(WorkflowSuggestion.id) == suggestion_id, col(WorkflowSuggestion.status) == "pending")
        .values(dict(values))
    )


@of_rows
def review(
    session: Session,
    suggestion_id: str,
    *,
    status: str,
    notes: str | None,
    by: str,
    now: datetime,
    draft_id: str | None = None,
) -> WorkflowSuggestion:
    """Accept or reject a suggestion; raises NotFound, and Conflict where it was reviewed before."""
    row = session.get(WorkflowSuggestion, suggestion_id, with_for_update=True)
    if row is None:
        raise NotFound(sentence("There is no suggestion {suggestion_id!r}.", suggestion_id=suggestion_id))
    require_pending(row)
    row.status, row.review_notes, row.reviewed_by, row.reviewed_at = status, notes, by, now
    row.draft_id = draft_id
    return row


def require_pending(row: WorkflowSuggestion) -> None:
    """Raise Conflict where a suggestion was reviewed."""
    if row.status != "pending":
        raise Conflict(
            sentence(
                "This suggestion was {status} by user:{by} already; what was decided stands.",
                status=row.status,
                by=row.reviewed_by,
            )
        )


@of_rows
def reviewed(session: Session, *, limit: int) -> list[WorkflowSuggestion]:
    """Return the latest suggestions out of the past that were accepted or rejected, without their blueprints."""
    when = col(WorkflowSuggestion.reviewed_at)
    query = (
        select(WorkflowSuggestion)
        .options(defer(cast(Any, WorkflowSuggestion.blueprint), raiseload=True))
        .where(
            when.is_not(None),
            col(WorkflowSuggestion.source).in_(("rule", "model")),
        )
        .order_by(when.desc(), col(WorkflowSuggestion.id).desc())
        .limit(limit)
    )
    return list(session.scalars(query))


def processes(connection: Connection) -> list[str]:
    """Return the names of the processes that something was suggested for, in order.

    Each name is found by its index from the one before, so that it costs what there are processes, not suggestions.
    """
    template = col(WorkflowSuggestion.template)
    names = select(func.min(template).label("name")).cte("names", recursive=True)
    following = select(func.min(template)).where(template > names.c.name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.name.is_not(None)))
    return sorted(connection.scalars(select(names.c.name).where(names.c.name.is_not(None))), key=str.casefold)


def pending_count(connection: Connection, template: str) -> int:
    """Count the suggestions for a process that nobody has decided about."""
    query = select(func.count()).where(
        col(WorkflowSuggestion.template) == template, col(WorkflowSuggestion.status) == "pending"
    )
    return connection.execute(query).scalar_one()


def drafts_of(connection: Connection, rows: Sequence[WorkflowSuggestion]) -> dict[str, VersionHeader]:
    """Return the versions that accepting these suggestions made, by their ids."""
    ids = [row.draft_id for row in rows if row.draft_id is not None]
    columns = (
        col(DefinitionVersion.id),
        col(DefinitionVersion.name),
        col(DefinitionVersion.version),
        col(DefinitionVersion.status),
        col(DefinitionVersion.digest),
    )
    query = select(*columns).where(col(DefinitionVersion.id).in_(ids))
    return {row.id: VersionHeader(*row) for row in connection.execute(query)} if ids else {}


def type_of_draft(connection: Connection, version_id: str) -> str | None:
    """Return the type of the suggestion that a version was made of, or None."""
    query = select(col(WorkflowSuggestion.suggestion_type)).where(col(WorkflowSuggestion.draft_id) == version_id)
    return connection.scalars(query).first()


def current(connection: Connection, template: str) -> DefinitionVersion:
    """Return the newest published version of the process that `/template` of a body names.

    Raises InputInvalid at that place, with the nearest name there is.
    """
    try:
        return definitions.find(connection, template)
    except NotFound as error:
        near = get_close_matches(template, sorted(definitions.published_names(connection)), 1, _NEAR)
        message = (
            sentence(
                "There is no published process template {name!r}; did you mean {near!r}?", name=template, near=near[0]
            )
            if near
            else sentence("{message}; publish it, or name another", message=error.message)
        )
        raise InputInvalid.at("/template", message) from error


def versions_of(connection: Connection, template: str) -> frozenset[str]:
    """Return the numbers of all versions of a process, drafts included."""
    query = select(col(DefinitionVersion.version)).where(col(DefinitionVersion.name) == template)
    return frozenset(connection.scalars(query))


def take_night(connection: Connection, name: str, day: date, *, now: datetime, until: datetime) -> bool:
    """Say whether something is still to be done on this day; whoever asks first is told so, and does it.

    Nobody else is told so `until` a moment: by then it is done (`end_night`), or who took it has died.
    """
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = make(NightlyRun).values(name=name, ran_on="", lease_until=until)
    lease = col(NightlyRun.lease_until)
    taken = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"lease_until": until},
        where=(col(NightlyRun.ran_on) < day.isoformat()) & (lease.is_(None) | (lease <= now)),
    )
    return connection.execute(taken.returning(col(NightlyRun.name))).first() is not None


def end_night(connection: Connection, name: str, day: date) -> None:
    """Note that something was done on this day."""
    connection.execute(
        update(NightlyRun).where(col(NightlyRun.name) == name).values(ran_on=day.isoformat(), lease_until=None)
    )
