"""The rows of backtests and shadows, one for each request: written as they are found, read in pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, case, delete, func, insert, select
from sqlalchemy.orm import Session
from sqlmodel import col

from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.tables.simulations import WorkflowSimulationRow

_AT_ONCE = 500  # rows of one statement
_WIDTH = 12  # digits of a place in a cursor
_LAST = 2**31 - 1  # as large a number as the column holds
_ROW = col(WorkflowSimulationRow.row)


def _differs_in(aspect: str) -> ColumnElement[bool]:
    """Say that a row names an aspect among its changes, which are a list of names."""
    found: ColumnElement[bool] = _ROW["changed"].as_string().contains(f'"{aspect}"')
    return found


def _lasts(side: str) -> ColumnElement[int]:
    found: ColumnElement[int] = _ROW[(side, "duration_ms")].as_integer()
    return found


SHOWN: Final[Mapping[str, ColumnElement[bool]]] = {
    "changed": col(WorkflowSimulationRow.changed).is_(True),
    "outcome": _differs_in("outcome"),
    "later": _differs_in("duration") & (_lasts("after") > _lasts("before")),
    "earlier": _differs_in("duration") & (_lasts("after") < _lasts("before")),
    "approvers": _differs_in("approvers"),
    "route": _differs_in("route"),
    "sla_state": _differs_in("sla_state"),
    "cost": _differs_in("cost"),
    "unknown": _ROW["unknown"].as_string().is_not(None),
    "same": col(WorkflowSimulationRow.changed).is_(False) & _ROW["unknown"].as_string().is_(None),
}
"""The rows that changed in one way, those of which something is unknown, and those that stayed the same, by name."""


def put(
    connection: Connection, simulation_id: str, rows: Iterable[tuple[int, Mapping[str, Any]]], *, revision: int
) -> int:
    """Write rows by their position, in place of what stood there; returns the revision of the last one."""
    written: list[dict[str, Any]] = []
    for position, row in rows:
        revision += 1
        written.append(
            {
                "simulation_id": simulation_id,
                "position": position,
                "revision": revision,
                "request_id": row["request_id"],
                "changed": bool(row["changed"]),
                "row": dict(row),
            }
        )
    for first in range(0, len(written), _AT_ONCE):
        part = written[first : first + _AT_ONCE]
        connection.execute(
            delete(WorkflowSimulationRow).where(
                col(WorkflowSimulationRow.simulation_id) == simulation_id,
                col(WorkflowSimulationRow.position).in_([one["position"] for one in part]),
            )
        )
        connection.execute(insert(WorkflowSimulationRow), part)
    return revision


@of_rows
def page(
    session: Session,
    simulation_id: str,
    *,
    limit: int,
    cursor: str | None = None,
    changed: bool | None = None,
    shown: str | None = None,
) -> cursors.Page[WorkflowSimulationRow]:
    """List a simulation's rows by their position, `limit` at a time; `changed` keeps those that are, or are not.

    `shown` is one of SHOWN: rows that changed in one way.
    """
    query = select(WorkflowSimulationRow).where(col(WorkflowSimulationRow.simulation_id) == simulation_id)
    if changed is not None:
        query = query.where(col(WorkflowSimulationRow.changed) == changed)
    if shown is not None:
        query = query.where(SHOWN[shown])
    if cursor is not None:
        query = query.where(col(WorkflowSimulationRow.position) > _position(cursor))
    query = query.order_by(col(WorkflowSimulationRow.position)).limit(limit + 1)
    return cursors.page(session.scalars(query).all(), limit, lambda row: (str(row.position).zfill(_WIDTH),))


@of_rows
def since(session: Session, simulation_id: str, revision: int, *, limit: int) -> Sequence[WorkflowSimulationRow]:
    """Return the rows that were written after a revision, in the order in which they were."""
    query = (
        select(WorkflowSimulationRow)
        .where(
            col(WorkflowSimulationRow.simulation_id) == simulation_id, col(WorkflowSimulationRow.revision) > revision
        )
        .order_by(col(WorkflowSimulationRow.revision))
        .limit(limit)
    )
    return session.scalars(query).all()


def count(connection: Connection, simulation_id: str) -> int:
    """Count a simulation's rows."""
    query = select(func.count()).where(col(WorkflowSimulationRow.simulation_id) == simulation_id)
    return connection.execute(query).scalar_one()


def counts(connection: Connection, simulation_id: str) -> dict[str, int]:
    """Count the rows of each of SHOWN, and as `all` the rows together."""
    sums = [func.coalesce(func.sum(case((which, 1), else_=0)), 0).label(name) for name, which in SHOWN.items()]
    query = select(func.count().label("all"), *sums).where(col(WorkflowSimulationRow.simulation_id) == simulation_id)
    return {name: int(number) for name, number in connection.execute(query).one()._mapping.items()}


def revision(connection: Connection, simulation_id: str) -> int:
    """Return the revision of the row that was written last; 0 without rows."""
    query = select(func.max(col(WorkflowSimulationRow.revision))).where(
        col(WorkflowSimulationRow.simulation_id) == simulation_id
    )
    return connection.execute(query).scalar_one() or 0


def there(connection: Connection, simulation_id: str, request_id: str) -> bool:
    """Say whether a simulation has a row of a request."""
    query = select(col(WorkflowSimulationRow.position)).where(
        col(WorkflowSimulationRow.simulation_id) == simulation_id, col(WorkflowSimulationRow.request_id) == request_id
    )
    return connection.execute(query.limit(1)).first() is not None


def known(connection: Connection, simulation_id: str) -> dict[str, tuple[int, int]]:
    """Return which requests a simulation has rows of: by id, their position and revision."""
    query = select(
        col(WorkflowSimulationRow.request_id), col(WorkflowSimulationRow.position), col(WorkflowSimulationRow.revision)
    ).where(col(WorkflowSimulationRow.simulation_id) == simulation_id)
    return {row[0]: (row[1], row[2]) for row in connection.execute(query).all()}


def _position(cursor: str) -> int:
    (place,) = cursors.read_names(cursor, 1)
    if not place.isdecimal() or len(place) > _WIDTH or int(place) > _LAST:
        cursors.refuse()
    return int(place)
