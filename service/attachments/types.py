"""The type of a file, by its content: what a name or a browser says of it is not believed."""

from __future__ import annotations

import mimetypes

import puremagic

from placet.errors import TypeNotAllowed
from placet.sentences import sentence

INLINE = frozenset({"application/pdf", "image/png", "image/jpeg", "image/gif", "image/webp"})
"""Types that browsers show without running anything."""
HEAD = 64 * 1024
"""Bytes from the beginning of a file that its type is found by."""
_UNKNOWN = "application/octet-stream"
_ZIPPED = "application/zip"
_TEXTS = {"text/csv", "text/markdown", "text/plain"}
# Names of one type: those of documents that are archives inside.
_ARCHIVES = ("application/vnd.", "application/zip", "application/epub+zip")


def media_type_of(name: str, declared: str | None, head: bytes) -> str:
    """Return the media type of a file by its first bytes; raises TypeNotAllowed where it pretends to be another.

    `declared` is what the sender says. Only types that would be shown inline can be pretended: all others are handed
    out as downloads.
    """
    found = _by_content(name, head)
    for said in (_by_name(name), (declared or "").partition(";")[0].strip().lower() or None):
        if said in INLINE and found != said:
            raise TypeNotAllowed(
                sentence(
                    "{name!r} says that it is {said}, and its content is {found}. Send the file under its own type.",
                    name=name,
                    said=said,
                    found=found,
                )
            )
    return found


def require_allowed(media_type: str, allowed: tuple[str, ...]) -> None:
    """Raise TypeNotAllowed unless a process takes files of this type; an empty list takes all."""
    group = media_type.partition("/")[0]
    if allowed and media_type not in allowed and f"{group}/*" not in allowed:
        raise TypeNotAllowed(
            sentence(
                "Files of type {media_type} are not taken here; send one of: {allowed}.",
                media_type=media_type,
                allowed=", ".join(allowed),
            )
        )


def _by_content(name: str, head: bytes) -> str:
    named = _by_name(name)
    if head.startswith(b"PK\x03\x04"):
        return named if named is not None and named.startswith(_ARCHIVES) else _ZIPPED
    try:
        found = puremagic.from_string(head, mime=True).lower()
    except (puremagic.PureError, ValueError):
        found = ""
    if found and found not in _TEXTS:
        return found
    if _is_text(head):
        return named if named in _TEXTS else "text/plain"
    return found or _UNKNOWN


def _by_name(name: str) -> str | None:
    return mimetypes.guess_type(name, strict=False)[0]


def _is_text(head: bytes) -> bool:
    if not head or b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character that was cut off
    return True
