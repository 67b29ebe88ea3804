"""News: what has happened to a request since the reader last looked at it."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from storage.queries.requests.reading_marks import Mark, looked
from storage.queries.requests.timelines import TimelineRow
from web.languages import Wording
from web.views import words
from web.views.people import Names
from web.views.requests.timeline import Line, changes_since, lines_at
from web.views.values import ChangedFact
from web.views.versions import Version

MOST_LINES = 20
"""Entries that the news names; more of them are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is new since the reader's last look, which began at `since`; nothing is, where they look for the first time.

    `lines` are the latest of it, and `more` how many others there are. `mark` is how far they have read now, where that
    has to be stored.
    """

    since: datetime | None
    changes: tuple[ChangedFact, ...]
    lines: tuple[Line, ...]
    more: int
    mark: Mark | None


def news_of(  # noqa: PLR0917
    rows: Sequence[TimelineRow],
    revision: int,
    mark: Mark | None,
    person: str,
    version: Version,
    names: Names,
    wording: Wording,
) -> tuple[News, Set[int]]:
    """Return the news of a request, and the numbers of its new entries. What the reader did is no news to them."""
    last = max((row.seq for row in rows if not row.delivery), default=0)
    now = looked(mark, seq=last, revision=revision, now=wording.now)
    fresh = {
        number
        for number, row in enumerate(rows, 1)
        if mark is not None and not row.delivery and row.seq > now.before_seq and row.actor != f"user:{person}"
    }
    told = [number for number in sorted(fresh) if not words.is_secondary(rows[number - 1].kind)]
    news = News(
        since=None if mark is None else now.before_at,
        changes=changes_since(rows, now.before_revision, version, wording) if now.before_revision < revision else (),
        lines=lines_at(told[-MOST_LINES:], rows, version, names, wording),
        more=max(0, len(told) - MOST_LINES),
        mark=None if now == mark else now,
    )
    return news, fresh
