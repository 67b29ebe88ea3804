"""The list of canaries, newest first, and what a new one can be begun with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from service.canaries import reading
from service.principal import Principal
from storage.queries import canaries
from web.canaries.wording import STATUSES, percent
from web.languages import Wording
from web.paging import PAGE, address_of

MOST_CHOICES = 200
"""Versions that the form offers, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRow:
    """One canary in a list."""

    id: str
    process: str
    version: str
    baseline: str
    word: str
    tone: str
    share: str
    requests: str
    began_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryList:
    """One page of canaries; `choices` are the versions that a canary can be begun with, each with its id."""

    rows: tuple[CanaryRow, ...]
    next_address: str | None
    choices: tuple[tuple[str, str], ...]


def read_list(connection: Connection, principal: Principal, given: Mapping[str, str], wording: Wording) -> CanaryList:
    """Read a page of the list; raises InputInvalid for a cursor of another list."""
    cursor = given.get("cursor") or None
    page = reading.list_(connection, principal, limit=PAGE, cursor=cursor, equal={})
    rows = []
    for found in page.items:
        row = found.row
        word, tone = STATUSES.get(row.status, (row.status, "open"))
        rows.append(
            CanaryRow(
                id=row.id,
                process=row.template,
                version=row.version,
                baseline=row.baseline,
                word=wording.say(word),
                tone=tone,
                share=percent(row.share, wording),
                requests=wording.number(found.counts["new"]),
                began_at=row.began_at,
            )
        )
    designs = bool(principal.access & {"designer", "admin"})
    choices = canaries.candidates(connection, limit=MOST_CHOICES) if designs else ()
    return CanaryList(
        rows=tuple(rows),
        next_address=address_of("/canaries", cursor=page.next_cursor) if page.next_cursor else None,
        choices=tuple((one.id, f"{one.name} {one.version}") for one in choices),
    )
