"""Saved views: the views of the inbox that the reader has named, as links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from storage.queries.people.saved_views import ViewRow
from web.views.inbox import InboxFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewLink:
    """A saved view; `standard` is the one that the inbox opens with, `current` the one that is shown."""

    id: str
    name: str
    address: str
    standard: bool
    current: bool


def filter_of(query: str) -> InboxFilter:
    """Return what a query of the inbox's address chooses; what cannot be chosen is as usual."""
    return replace(InboxFilter.of(dict(parse_qsl(query))), cursor=None)


def links_of(views: Sequence[ViewRow], chosen: InboxFilter | None) -> tuple[ViewLink, ...]:
    """Return the links to saved views; `chosen` is what the page shows."""
    shown = None if chosen is None else chosen.address()
    addresses = [filter_of(view.query).address() for view in views]
    return tuple(
        ViewLink(id=view.id, name=view.name, address=address, standard=view.standard, current=address == shown)
        for view, address in zip(views, addresses, strict=True)
    )


def standard_of(views: Sequence[ViewRow]) -> InboxFilter | None:
    """Return what the inbox opens with, where the reader has chosen a view for it."""
    return next((filter_of(view.query) for view in views if view.standard), None)
