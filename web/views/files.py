"""Files of a request: how they are shown, and which of them are missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from placet.engine.content import Attachment
from service.attachments.types import INLINE
from storage.queries.requests.attachments import KIND, attachment_in
from storage.queries.requests.requests import TimelineRow
from web.languages import Wording
from web.views.people import Names

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """One file. `shown` is `image` or `document` where browsers show it, else empty: then it is a download."""

    attachment: Attachment
    size: str
    by: str
    address: str
    shown: str


def files_of(request_id: str, rows: Iterable[TimelineRow], names: Names, wording: Wording) -> tuple[FileLine, ...]:
    """Return the files in a timeline, oldest first."""
    found = []
    for row in rows:
        one = attachment_in(row.detail, row.actor, row.at) if row.kind == KIND else None
        if one is None:
            continue
        inline = one.media_type in INLINE
        found.append(
            FileLine(
                attachment=one,
                size=_size(one.size, wording),
                by=names(one.uploaded_by),
                address=f"/api/v1/workflow/requests/{request_id}/attachments/{one.n}/",
                shown=("image" if one.media_type.startswith("image/") else "document") if inline else "",
            )
        )
    return tuple(found)


def _size(size: int, wording: Wording) -> str:
    value, unit = float(size), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{wording.number(wording.as_decimal(round(value, 1 if unit else 0)) or 0)} {_UNITS[unit]}"
