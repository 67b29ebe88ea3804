"""The box that has a draft written from words, where a language model is set up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Connection

from placet.errors import (
    Busy,
    DraftingFailed,
    InputInvalid,
    ModelUnavailable,
    NotConfigured,
    NotFound,
    PlacetError,
    TooMuchWork,
)
from service.drafting.instructions import RULES
from service.drafting.settings import LONGEST_WORDS, DraftingSettings
from storage.queries.definitions import definitions

REFUSALS: Final = (Busy, DraftingFailed, InputInvalid, ModelUnavailable, NotConfigured, NotFound, TooMuchWork)
"""Why no draft was written, as the box says it."""
_MOST_LISTED: Final = 200
_STATUSES: Final = {Busy: 429, ModelUnavailable: 503, NotConfigured: 501, NotFound: 404}


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsBox:
    """The box: which model it asks (None: none is set up), what was entered, and why nothing came of it."""

    model: str | None
    where: str
    processes: tuple[str, ...]
    words: str = ""
    template: str = ""
    reason: str = ""
    faults: tuple[str, ...] = ()
    longest: int = LONGEST_WORDS
    rules: str = RULES

    def refused(self, words: str, template: str, error: PlacetError) -> WordsBox:
        """Return the box with what was entered, and why nothing was written."""
        faults = tuple(one.message for one in error.problems) if isinstance(error, DraftingFailed) else ()
        return replace(self, words=words, template=template, reason=error.message, faults=faults)


def words_box(connection: Connection, drafting: DraftingSettings | None) -> WordsBox:
    """Read the box."""
    if drafting is None:
        return WordsBox(model=None, where="", processes=())
    where = "" if drafting.url is None else urlsplit(drafting.url).hostname or ""
    names = definitions.released_names(connection, most=_MOST_LISTED)
    return WordsBox(model=drafting.model, where=where, processes=tuple(names))


def status_of(error: PlacetError) -> int:
    """Return the status of a page that says so."""
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 422)
