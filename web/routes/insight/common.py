"""What pages of SLAs and breaches show around themselves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from web.slas.breaches import own_waiting
from web.views.inbox import read_inbox_count
from web.visitor import Visitor


def frame(connection: Connection, visitor: Visitor, part: str) -> dict[str, Any]:
    """Return what every page of SLAs shows around itself; `part` is the tab that it belongs to."""
    return {
        "badge": read_inbox_count(connection, visitor.principal, visitor.wording),
        "section": "slas",
        "part": part,
        "own_breaches": own_waiting(connection, visitor.principal),
    }
