"""Keyset pages: an opaque cursor that says where the next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from placet.errors import InputInvalid, Problem


def write_cursor(position: Sequence[Any]) -> str:
    """Return the cursor that stands for a position: JSON values of the last row's sort columns."""
    return base64.urlsafe_b64encode(json.dumps(list(position), separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, *, length: int) -> list[Any] | None:
    """Return the position of a cursor with that many values, or None without one; raises InputInvalid."""
    if not cursor:
        return None
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        position = None
    if not isinstance(position, list) or len(position) != length or not all(isinstance(p, str | int) for p in position):
        message = "this is no cursor of this list; take `next_cursor` of the page before, or leave it out"
        raise InputInvalid(f"cursor: {message}.", problems=(Problem(pointer="/cursor", message=message),))
    return position
