"""Summaries: the variables that a process wants shown wherever its requests are listed, with their values."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select
from sqlmodel import col

from storage.tables import ApprovalRequest, ProcessTemplate

_MOST = 1000  # templates whose variables are kept at hand
# What is published does not change, so its variables are looked up once.
_known: dict[tuple[str, str], tuple[str, ...]] = {}


def summaries(connection: Connection, request_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the summary of each request whose process has one: the values by variable, in the declared order."""
    place = select(col(ApprovalRequest.id), col(ApprovalRequest.template_id))
    rows = connection.execute(place.where(col(ApprovalRequest.id).in_(set(request_ids)))).all()
    named = _variables(connection, {row.template_id for row in rows})
    wanted = {row.id: named[row.template_id] for row in rows if named.get(row.template_id)}
    if not wanted:
        return {}
    given = select(col(ApprovalRequest.id), col(ApprovalRequest.input)).where(col(ApprovalRequest.id).in_(wanted))
    return {
        row.id: {name: row.input[name] for name in wanted[row.id] if name in row.input}
        for row in connection.execute(given)
    }


def _variables(connection: Connection, template_ids: set[str]) -> dict[str, tuple[str, ...]]:
    database = str(connection.engine.url)
    unknown = [one for one in template_ids if (database, one) not in _known]
    if unknown:
        while len(_known) > _MOST:
            del _known[next(iter(_known))]
        query = select(col(ProcessTemplate.id), col(ProcessTemplate.blueprint))
        for row in connection.execute(query.where(col(ProcessTemplate.id).in_(unknown))):
            _known[database, row.id] = tuple((row.blueprint.get("settings") or {}).get("summary") or ())
    return {one: _known.get((database, one), ()) for one in template_ids}
