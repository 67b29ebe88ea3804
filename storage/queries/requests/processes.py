"""Tasks and requests of one process, in lists of much else."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, String, and_, bindparam, func, select
from sqlmodel import col

from storage.prepared import Prepared
from storage.queries.ordering import hidden
from storage.tables.approvals import ApprovalRequest

_FEW: Final = 2_000  # requests whose tasks are looked up one by one for a list


def in_process(connection: Connection, template: str, *, pending: bool, rare: bool) -> tuple[ColumnElement[bool], bool]:
    """Build the rule for tasks of requests of a process; returns also whether they are few.

    `pending` is for requests alone that have not ended, `rare` says that something else finds few.
    """
    if not rare and are_few(connection, template, pending=pending):
        return of_process(template, pending=pending), True
    return hidden(col(ApprovalRequest.template)) == template, rare


def of_process(template: ColumnElement[str] | str, *, pending: bool) -> ColumnElement[bool]:
    """Build the rule for requests of a process that an index finds; `pending` for those alone that have not ended."""
    rule = col(ApprovalRequest.template) == template
    return and_(rule, col(ApprovalRequest.ended_at).is_(None)) if pending else rule


def are_few(connection: Connection, template: str, *, pending: bool) -> bool:
    """Tell whether these are so few that a list begins with them; else it is read in its order until a page is full."""
    return int(_COUNTED[pending].scalar(connection, template=template, most=_FEW + 1) or 0) <= _FEW


def _counted(pending: bool) -> Prepared:
    rule = of_process(bindparam("template", type_=String()), pending=pending)
    some = select(col(ApprovalRequest.id)).where(rule).limit(bindparam("most")).subquery()
    return Prepared(select(func.count().label("found")).select_from(some))


_COUNTED: Final = {pending: _counted(pending) for pending in (False, True)}
