"""The OpenAPI document for tests. Making it takes seconds of processor time, so one process makes it once."""

from __future__ import annotations

from functools import cache
from typing import Any

from api.app import describe


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document, which nobody changes."""
    return describe()
