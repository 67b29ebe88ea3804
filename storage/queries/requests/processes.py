"""Tasks and requests of one process, in lists of much else."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ARRAY, ColumnElement, Connection, String, and_, any_, bindparam, func, select
from sqlmodel import col

from storage.prepared import Prepared
from storage.queries.ordering import hidden
from storage.queries.requests.visibility import counting
from storage.tables.approvals import ApprovalRequest, ApprovalTask

_FEW: Final = 2_000  # requests whose tasks are looked up one by one for a list
OWN: Final = 500  # tasks of one person that are all read for a list


def in_process(
    connection: Connection, template: str, *, pending: bool, rare: bool, decided_by: str | None
) -> tuple[ColumnElement[bool], bool]:
    """Build the rule for tasks of requests of a process; returns also whether they are few.

    `pending` is for requests alone that have not ended, `rare` says that something else finds few. `decided_by` is who
    has decided all that are asked for: where these are few, they are read themselves.
    """
    own = decided_by is not None and not rare and _decided_few(connection, decided_by)
    if rare or own or not are_few(connection, template, pending=pending):
        return hidden(col(ApprovalRequest.template)) == template, rare
    return of_few(template, pending=pending, dialect=connection.dialect.name), True


def _decided_few(connection: Connection, person: str) -> bool:
    return int(_DECIDED.scalar(connection, person=person, most=OWN + 1) or 0) <= OWN


def of_few(template: ColumnElement[str] | str, *, pending: bool, dialect: str) -> ColumnElement[bool]:
    """Build the rule for tasks of a process that has few requests; `pending` for those alone that have not ended."""
    rule = _of_process(template, pending=pending)
    if dialect != "postgresql":
        return rule
    # As one value: where somebody has many tasks, it reads all of them for a join, and looks for these by their index.
    ids = select(col(ApprovalRequest.id)).where(rule).correlate(None).scalar_subquery()
    return col(ApprovalTask.request_id) == any_(func.array(ids, type_=ARRAY(String())))


def _of_process(template: ColumnElement[str] | str, *, pending: bool) -> ColumnElement[bool]:
    rule = col(ApprovalRequest.template) == template
    return and_(rule, col(ApprovalRequest.ended_at).is_(None)) if pending else rule


def are_few(connection: Connection, template: str, *, pending: bool) -> bool:
    """Tell whether these are so few that a list begins with them; else it is read in its order until a page is full."""
    return int(_COUNTED[pending].scalar(connection, template=template, most=_FEW + 1) or 0) <= _FEW


def _counted(pending: bool) -> Prepared:
    rule = _of_process(bindparam("template", type_=String()), pending=pending)
    # In the order of its index: else PostgreSQL reads all requests where it thinks that many match.
    return counting(select(col(ApprovalRequest.id)).where(rule).order_by(col(ApprovalRequest.ended_at)))


_DECIDED: Final = counting(
    select(col(ApprovalTask.id))
    .where(col(ApprovalTask.decided_by) == bindparam("person", type_=String()))
    .order_by(col(ApprovalTask.decided_at))
)
_COUNTED: Final = {pending: _counted(pending) for pending in (False, True)}
