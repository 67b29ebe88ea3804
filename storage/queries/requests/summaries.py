"""Summaries: the variables that a process wants shown wherever its requests are listed, with their values."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select
from sqlmodel import col

from storage.queries.definitions.published import PublishedFact
from storage.tables.approvals import ApprovalRequest

_VARIABLES: PublishedFact[tuple[str, ...]] = PublishedFact(
    lambda blueprint: tuple((blueprint.get("settings") or {}).get("summary") or ())
)


def summaries(connection: Connection, request_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the summary of each request whose process has one: the values by variable, in the declared order."""
    place = select(col(ApprovalRequest.id), col(ApprovalRequest.template_id))
    rows = connection.execute(place.where(col(ApprovalRequest.id).in_(set(request_ids)))).all()
    named = _VARIABLES.of(connection, {row.template_id for row in rows})
    wanted = {row.id: named[row.template_id] for row in rows if named.get(row.template_id)}
    if not wanted:
        return {}
    given = select(col(ApprovalRequest.id), col(ApprovalRequest.input)).where(col(ApprovalRequest.id).in_(wanted))
    return {
        row.id: {name: row.input[name] for name in wanted[row.id] if name in row.input}
        for row in connection.execute(given)
    }
