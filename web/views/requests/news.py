"""News: what has happened to a request since the reader last looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from storage.queries.requests.reading_marks import Mark, looked
from storage.queries.requests.requests import TimelineRow
from web.languages import Wording
from web.views.requests.timeline import Line, changes_since
from web.views.values import ChangedFact
from web.views.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What is new since the reader's last look, which began at `since`; nothing is, where they look for the first time.

    `mark` is how far they have read now, where that has to be stored.
    """

    since: datetime | None
    changes: tuple[ChangedFact, ...]
    lines: tuple[Line, ...]
    mark: Mark | None


def news_of(  # noqa: PLR0917
    rows: Sequence[TimelineRow],
    lines: Sequence[Line],
    revision: int,
    mark: Mark | None,
    person: str,
    version: Version,
    wording: Wording,
) -> tuple[News, tuple[Line, ...]]:
    """Return the news of a request, and its lines with what is new marked. What the reader did is no news to them."""
    last = max((row.seq for row in rows if not row.delivery), default=0)
    now = looked(mark, seq=last, revision=revision, now=wording.now)
    fresh = {
        number
        for number, row in enumerate(rows, 1)
        if mark is not None and not row.delivery and row.seq > now.before_seq and row.actor != f"user:{person}"
    }
    marked = tuple(replace(line, new=line.number in fresh) for line in lines)
    news = News(
        since=None if mark is None else now.before_at,
        changes=changes_since(rows, now.before_revision, version, wording) if now.before_revision < revision else (),
        lines=tuple(line for line in marked if line.new and not line.secondary),
        mark=None if now == mark else now,
    )
    return news, marked
