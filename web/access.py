"""Which access each page needs. Every page has a line here; docs/security.md describes the same rules.

Rules that need more than a person's access are in the core and in `service`, as for the routes of the API.
"""

from __future__ import annotations

from typing import Final

from api.access import EVERYBODY

PUBLIC: Final = frozenset({"public"})
"""Pages that need no session."""
LOGGED_IN: Final = frozenset({"logged in"})
"""Pages for whoever is logged in, whatever their access is."""

PAGES: Final[dict[str, frozenset[str]]] = {
    "GET /": EVERYBODY,
    "GET /login": PUBLIC,
    "POST /login": PUBLIC,
    "GET /login/{code}": PUBLIC,
    "POST /logout": LOGGED_IN,
    "POST /logout/everywhere": LOGGED_IN,
}


def rule_of(method: str, path: str) -> frozenset[str]:
    """Return who may open a page; raises LookupError for a page without a rule."""
    try:
        return PAGES[f"{method} {path}"]
    except KeyError:
        raise LookupError(f"say in web.access who may open {method} {path}") from None
