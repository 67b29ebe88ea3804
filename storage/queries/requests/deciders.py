"""Who may decide a task as far as the directory says: asked when a decision comes that no call of the API carries.

The API asks the same of whoever calls (api.access, service.commands). Whether the task is theirs, the core says.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, select
from sqlmodel import col

from storage.queries.requests.requests import owner_of
from storage.tables.approvals import Person

_APPROVE = frozenset({"approver", "admin"})
_CHANGE = _APPROVE | {"requester", "designer"}  # whoever only audits changes nothing

_DECIDER = col(Person.active), col(Person.access), col(Person.roles), col(Person.groups)


def barred(connection: Connection, person: str, task_id: str) -> Literal["token_left", "token_without_access"] | None:
    """Return the code of why a person may decide nothing, or not this task; None where they may."""
    row = connection.execute(select(*_DECIDER).where(col(Person.id) == person)).one_or_none()
    if row is None or not row.active:
        return "token_left"
    access = frozenset(row.access)
    if access & _APPROVE:
        return None
    names = {person, f"user:{person}", *row.roles}
    names |= {f"role:{role}" for role in row.roles} | {f"group:{group}" for group in row.groups}
    return None if access & _CHANGE and owner_of(connection, task_id) in names else "token_without_access"
