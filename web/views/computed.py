"""Values that nodes of a process set: which of them were set so far, by the entries of a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from storage.queries.requests.timelines import TimelineRow

Values = Mapping[str, Any]


def writings(rows: Iterable[TimelineRow]) -> Iterator[tuple[TimelineRow, Values, Values]]:
    """Yield the entries that tell of variables which a node has set, with their values before and after."""
    for row in rows:
        if row.delivery:
            continue
        before, after = row.detail.get("before"), row.detail.get("after")
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield row, before, after


def set_so_far(rows: Iterable[TimelineRow]) -> frozenset[str]:
    """Return the variables that a node has set."""
    return frozenset(name for _, _, after in writings(rows) for name in after)
