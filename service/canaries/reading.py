"""Canaries as they are shown: to designers, auditors and admins, and of a process to its owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from placet.errors import NotFound
from placet.sentences import sentence
from service.principal import Principal
from storage.queries import canaries
from storage.queries.cursor import Page
from storage.tables.canaries import WorkflowCanary


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryFound:
    """A canary, and how many requests it has given each version: `new`, `old`, `sample`, and those `measured`."""

    row: WorkflowCanary
    counts: Counter[str]


def show(connection: Connection, principal: Principal, canary_id: str) -> CanaryFound:
    """Return a canary; raises NotFound where there is none that is theirs to see."""
    row = canaries.get(connection, canary_id)
    may_see(principal, row)
    return found(connection, row)


def list_(
    connection: Connection,
    principal: Principal | None,
    *,
    limit: int,
    cursor: str | None = None,
    equal: Mapping[str, str | None],
) -> Page[CanaryFound]:
    """List the canaries that somebody may see, newest first; `principal` None sees all.

    Raises InputInvalid for a cursor that is none.
    """
    owners = None if principal is None or principal.designs else principal.names
    page = canaries.page(connection, limit=limit, cursor=cursor, equal=equal, owners=owners)
    counts = canaries.counts(connection, [row.id for row in page.items])
    items = tuple(CanaryFound(row=row, counts=counts[row.id]) for row in page.items)
    return Page(items=items, next_cursor=page.next_cursor)


def found(connection: Connection, row: WorkflowCanary) -> CanaryFound:
    """Return a canary with its counts."""
    return CanaryFound(row=row, counts=canaries.counts(connection, [row.id])[row.id])


def may_see(principal: Principal, row: WorkflowCanary) -> None:
    """Raise NotFound for a canary that is not theirs to see."""
    if not principal.designs and not principal.owns(row.owner):
        raise NotFound(sentence("There is no canary {canary_id!r}.", canary_id=row.id))
