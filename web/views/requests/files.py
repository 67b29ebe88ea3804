"""Files of a request: how they are shown, and which of them are missing."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass

from placet.engine.content import Attachment
from service.attachments.types import INLINE
from storage.queries.requests.attachments import KIND, attachment_in
from storage.queries.requests.timelines import TimelineRow
from storage.tables.request_drafts import DraftFile
from web.languages import Wording
from web.views import words
from web.views.people import Names
from web.views.versions import Version

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """What a form that takes a file says of it before it is sent; `types` is empty where all are taken."""

    left: int  # how many more files the request may have
    most_bytes: int
    most: str
    types: str
    accept: str


def limits_of(version: Version, most_bytes: int, there: int, wording: Wording) -> FileLimits:
    """Return the limits of a request that has `there` files, where the installation takes files of `most_bytes`."""
    settings = version.attachments
    most = min(settings.max_bytes or most_bytes, most_bytes)
    return FileLimits(
        left=max(0, settings.max_files - there),
        most_bytes=most,
        most=_size(most, wording),
        types=", ".join(dict.fromkeys(_type_name(one, wording) for one in settings.types)),
        accept=",".join(settings.types),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenFile:
    """A file of a form that is not sent in yet."""

    id: str
    name: str
    size: str
    media_type: str


def chosen_files(rows: Iterable[DraftFile], wording: Wording) -> tuple[ChosenFile, ...]:
    """Return the files of a form as it lists them."""
    return tuple(
        ChosenFile(id=one.id, name=one.name, size=_size(one.size, wording), media_type=one.media_type) for one in rows
    )


def _type_name(media_type: str, wording: Wording) -> str:
    """Return what people call a type: `PDF`, `images`."""
    if media_type.endswith("/*"):
        group = media_type.partition("/")[0]
        return wording.say(words.FILE_GROUPS[group]) if group in words.FILE_GROUPS else media_type
    extension = mimetypes.guess_extension(media_type)
    return extension[1:].upper() if extension else media_type


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
