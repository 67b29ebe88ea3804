"""Stored simulations, and the past requests that they read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, func, not_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, defer
from sqlmodel import col

from placet.errors import Conflict, NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.queries.requests.visibility import visible
from storage.recording import metrics
from storage.tables.approvals import ApprovalRequest, StoredPerson
from storage.tables.simulations import WorkflowSimulation, WorkflowSimulationRow

_TIMED = 5  # simulations from which is told how long another one takes


def insert(connection: Connection, row: WorkflowSimulation) -> bool:
    """Store a simulation, unless it is there already: then it stays as it is, and False is returned."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = make(WorkflowSimulation).values(row.model_dump()).on_conflict_do_nothing()
    return connection.execute(new.returning(col(WorkflowSimulation.id))).first() is not None


def there(connection: Connection, simulation_id: str) -> bool:
    """Say whether a simulation is stored."""
    found = select(col(WorkflowSimulation.id)).where(col(WorkflowSimulation.id) == simulation_id)
    return connection.execute(found).first() is not None


@of_rows
def get(session: Session, simulation_id: str, *, viewer: str | None = None) -> WorkflowSimulation:
    """Return one simulation; raises NotFound, also where `viewer` (None: sees all) may not see it."""
    found = session.get(WorkflowSimulation, simulation_id)
    if found is None or (viewer is not None and found.created_by != viewer):
        raise NotFound(
            sentence("There is no simulation {simulation_id!r}, or it is not yours to see", simulation_id=simulation_id)
        )
    return found


@of_rows
def page(
    session: Session,
    *,
    limit: int,
    cursor: str | None = None,
    viewer: str | None = None,
    mode: str | None = None,
    status: str | None = None,
    with_results: bool = True,
) -> cursors.Page[WorkflowSimulation]:
    """List simulations, newest first, `limit` at a time; `viewer` None sees all.

    Results can be large; without them `result` may not be read.
    """
    query = select(WorkflowSimulation)
    if not with_results:
        query = query.options(defer(cast(Any, WorkflowSimulation.result), raiseload=True))
    if cursor is not None:
        at, last = cursors.read_moment(cursor)
        created, ident = col(WorkflowSimulation.created_at), col(WorkflowSimulation.id)
        query = query.where((created < at) | ((created == at) & (ident < last)))
    for column, value in (
        (WorkflowSimulation.created_by, viewer),
        (WorkflowSimulation.mode, mode),
        (WorkflowSimulation.status, status),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    query = query.order_by(col(WorkflowSimulation.created_at).desc(), col(WorkflowSimulation.id).desc())
    rows = session.scalars(query.limit(limit + 1)).all()
    return cursors.page(rows, limit, lambda row: (row.created_at, row.id))


class PricesOf(NamedTuple):
    """The prices that a simulation was ordered with, as JSON values."""

    simulation_id: str
    created_by: str
    created_at: datetime
    prices: Any


def prices_of(connection: Connection, template: str, *, viewer: str | None, limit: int) -> list[PricesOf]:
    """Return the prices of the newest completed simulations of a process that had any; `viewer` None sees all.

    `limit` simulations are looked at.
    """
    row = WorkflowSimulation
    query = select(col(row.id), col(row.created_by), col(row.created_at), col(row.question)).where(
        col(row.template) == template, col(row.status) == "completed"
    )
    if viewer is not None:
        query = query.where(col(row.created_by) == viewer)
    query = query.order_by(col(row.created_at).desc(), col(row.id).desc()).limit(limit)
    return [
        PricesOf(one.id, one.created_by, one.created_at, one.question["prices"])
        for one in connection.execute(query)
        if one.question.get("prices")
    ]


def finish(
    connection: Connection,
    simulation_id: str,
    *,
    status: str,
    now: datetime,
    result: dict[str, Any] | None = None,
    error: str | None = None,
) -> bool:
    """End a running simulation and count it; without a `result` it keeps what it has. False where it has ended."""
    values: dict[str, Any] = {"status": status, "finished_at": now, "error": error}
    changed = connection.execute(
        update(WorkflowSimulation)
        .where(col(WorkflowSimulation.id) == simulation_id, col(WorkflowSimulation.status) == "running")
        .values(values if result is None else {**values, "result": result})
    )
    if not changed.rowcount:
        return False
    metrics.count(connection, metrics.increment("workflow_simulation_total", status))
    return True


def cancel(connection: Connection, simulation_id: str, now: datetime) -> WorkflowSimulation:
    """Cancel a running simulation; raises NotFound, and Conflict where it has ended."""
    if not finish(connection, simulation_id, status="cancelled", now=now, error="cancelled"):
        found = get(connection, simulation_id)
        raise Conflict(sentence("The simulation has ended already: {status}", status=found.status))
    return get(connection, simulation_id)


def hold(connection: Connection, ids: Sequence[str], *, until: datetime) -> None:
    """Extend the lease of the process that runs these simulations."""
    connection.execute(
        update(WorkflowSimulation).where(col(WorkflowSimulation.id).in_(ids)).values(followed_until=until)
    )


def abandoned(connection: Connection, now: datetime) -> Sequence[str]:
    """Return the ids of running simulations whose process has ended; shadows are taken over instead."""
    held_until = col(WorkflowSimulation.followed_until)
    query = select(col(WorkflowSimulation.id)).where(
        col(WorkflowSimulation.status) == "running",
        col(WorkflowSimulation.mode) != "shadow",
        held_until.is_(None) | (held_until < now),
    )
    return connection.scalars(query).all()


def close(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """End simulations whose process has ended."""
    for one in ids:
        finish(
            connection,
            one,
            status="failed",
            now=now,
            error="the process that ran the simulation has ended; start it again",
        )


def somebody(connection: Connection) -> str | None:
    """Return the id of some person with a manager, as the requester of simulated requests."""
    query = (
        select(col(StoredPerson.id))
        .where(col(StoredPerson.active), col(StoredPerson.manager).is_not(None))
        .order_by(col(StoredPerson.id))
    )
    return connection.scalars(query.limit(1)).first()


@of_rows
def requests_of(
    session: Session,
    template: str,
    *,
    viewer: str | None,
    limit: int,
    running: bool = False,
    only: Sequence[str] = (),
) -> tuple[Sequence[ApprovalRequest], int]:
    """Return the latest requests of a process that have ended, or that still run, newest first; `only` these ids.

    Only those that `viewer` may see (None: all), and beside them the number of the others.
    """
    status = col(ApprovalRequest.status)
    asked: list[ColumnElement[bool]] = [
        col(ApprovalRequest.template) == template,
        status == "pending" if running else status != "pending",
        col(ApprovalRequest.erased_at).is_(None),
    ]
    if only:
        asked.append(col(ApprovalRequest.id).in_(only))
    newest = (col(ApprovalRequest.started_at).desc(), col(ApprovalRequest.id).desc())
    query = select(ApprovalRequest).where(*asked, *seen_by(viewer)).order_by(*newest).limit(limit)
    found = session.scalars(query).all()
    if viewer is None or not only:
        return found, hidden(session.connection(), *asked, viewer=viewer)
    # Of those that are named, the ones that are not there count too: nobody learns which of them exist.
    seen = select(func.count()).select_from(ApprovalRequest).where(*asked, *seen_by(viewer))
    return found, len(set(only)) - session.execute(seen).scalar_one()


def hidden(connection: Connection, *asked: ColumnElement[bool], viewer: str | None) -> int:
    """Count the requests that `viewer` may not see."""
    if viewer is None:
        return 0
    query = select(func.count()).select_from(ApprovalRequest).where(*asked, not_(visible(viewer)))
    return connection.execute(query).scalar_one()


def seen_by(viewer: str | None) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which somebody sees a request; None sees all."""
    return () if viewer is None else (visible(viewer),)


def titles(connection: Connection, ids: Sequence[str], *, viewer: str | None) -> dict[str, str]:
    """Return the titles of these requests by id; those that `viewer` (None: sees all) may not see are left out."""
    query = select(col(ApprovalRequest.id), col(ApprovalRequest.title)).where(
        col(ApprovalRequest.id).in_(ids), *seen_by(viewer)
    )
    return {row[0]: row[1] for row in connection.execute(query).all()}


def recent(connection: Connection, template: str, *, viewer: str | None, limit: int) -> list[tuple[str, str, str]]:
    """Return id, title and status of the latest requests of a process that `viewer` (None: sees all) may see."""
    query = (
        select(col(ApprovalRequest.id), col(ApprovalRequest.title), col(ApprovalRequest.status))
        .where(col(ApprovalRequest.template) == template, col(ApprovalRequest.erased_at).is_(None), *seen_by(viewer))
        .order_by(col(ApprovalRequest.started_at).desc(), col(ApprovalRequest.id).desc())
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(query).all()]


def count_requests(connection: Connection, template: str, *, viewer: str | None, running: bool = False) -> int:
    """Count the requests of a process that have ended, or that run, and that `viewer` (None: sees all) may see."""
    status = col(ApprovalRequest.status)
    query = (
        select(func.count())
        .select_from(ApprovalRequest)
        .where(
            col(ApprovalRequest.template) == template,
            status == "pending" if running else status != "pending",
            col(ApprovalRequest.erased_at).is_(None),
            *seen_by(viewer),
        )
    )
    return connection.execute(query).scalar_one()


def took(connection: Connection, template: str, mode: str) -> list[tuple[float, int]]:
    """Return the seconds of the latest simulations of a process in a mode, each with the number of its rows."""
    made = col(WorkflowSimulation.created_at)
    rows = (
        select(func.count())
        .select_from(WorkflowSimulationRow)
        .where(col(WorkflowSimulationRow.simulation_id) == col(WorkflowSimulation.id))
        .scalar_subquery()
    )
    query = (
        select(made, col(WorkflowSimulation.finished_at), rows)
        .where(
            col(WorkflowSimulation.template) == template,
            col(WorkflowSimulation.mode) == mode,
            col(WorkflowSimulation.status) == "completed",
        )
        .order_by(made.desc(), col(WorkflowSimulation.id).desc())
        .limit(_TIMED)
    )
    found = connection.execute(query).all()
    return [((ended - begun).total_seconds(), count) for begun, ended, count in found if ended is not None]
