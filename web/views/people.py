"""Names of people: every page shows people by name, and by id where there is none."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from placet.engine.mentions import with_names
from storage.queries.people import people


class Names:
    """The names of people by id; an id with `user:` in front is the same person."""

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known

    def __call__(self, person: str | None) -> str:
        """Return what a person is called; the id where no name is known, and nothing for nobody."""
        if person is None:
            return ""
        ident = person.removeprefix("user:")
        return self._known.get(ident) or ident

    def in_text(self, text: str) -> str:
        """Return a text that people wrote, with those whom it mentions by name."""
        return with_names(text, self._known) if "@" in text else text


def names_of(connection: Connection, ids: Iterable[str | None]) -> Names:
    """Read the names of these people in one query."""
    wanted = {one.removeprefix("user:") for one in ids if one}
    return Names(people.names(connection, wanted))
