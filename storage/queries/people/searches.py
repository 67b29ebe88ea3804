"""People by the beginning of their id or of a part of their name, for forms that complete what is typed."""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select, union
from sqlmodel import col

from storage.tables.approvals import ApprovalRequest, Participant, StoredPerson

_BETWEEN = re.compile(r"[ -]")  # parts of a name
_ESCAPE = "\\"


class Match(NamedTuple):
    """A person who was found; `near` where they have a part in the request."""

    id: str
    name: str
    near: bool


def search(connection: Connection, text: str, request_id: str, *, most: int, everybody: bool) -> list[Match]:
    """Return active people whose id, or a part of whose name, begins with a text: those of a request first, by name.

    Those of a request are who asked for it, who owns it, and who has or had a task in it; `everybody` says whether
    others are wanted as well.
    """
    ids, name = col(StoredPerson.id), col(StoredPerson.name)
    part = union(
        select(col(Participant.person)).where(col(Participant.request_id) == request_id),
        select(col(ApprovalRequest.requester)).where(col(ApprovalRequest.id) == request_id),
        select(col(ApprovalRequest.owner)).where(col(ApprovalRequest.id) == request_id),
    ).subquery()
    near = ids.in_(select(part))
    query = select(ids, name).where(col(StoredPerson.active), _begins(text)).order_by(name, ids).limit(most)
    found = [Match(row.id, row.name, near=True) for row in connection.execute(query.where(near))]
    if everybody and len(found) < most:
        there = [one.id for one in found]
        others = connection.execute(query.where(ids.not_in(there)).limit(most - len(found)))
        found += [Match(row.id, row.name, near=False) for row in others]
    return [one for one in found if _fits(text, one)]


def _begins(text: str) -> ColumnElement[bool]:
    """Build a rule that holds at least for all whom `_fits` takes; SQLite folds the case of plain letters only."""
    plain = {re.sub(r"([\\%_])", r"\\\1", one) for one in (text.lower(), text.upper(), text.capitalize())}
    rules: list[ColumnElement[bool]] = []
    for column, starts in ((col(StoredPerson.id), ("",)), (col(StoredPerson.name), ("", "% ", "%-"))):
        for value in (column, func.lower(column)):
            rules += [value.like(f"{start}{one}%", escape=_ESCAPE) for one in plain for start in starts]
    return or_(*rules)


def _fits(text: str, match: Match) -> bool:
    sought = text.casefold()
    names = (match.id, match.name, *_BETWEEN.split(match.name))
    return any(one.casefold().startswith(sought) for one in names)
