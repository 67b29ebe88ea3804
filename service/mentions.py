"""Mentions: who of the people whom a text names is told, and who is not because they may not see the request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from placet.engine.events import AnswerQuestion, AskQuestion, Comment
from placet.engine.mentions import mentioned_in
from placet.errors import NotFound
from service.principal import Principal
from service.visibility import see_request, viewer_by_id, visibility_of
from storage.queries.people import people, searches
from storage.queries.requests import requests

Why = Literal["unknown", "unseen"]
MENTIONING = (Comment, AskQuestion, AnswerQuestion)
"""The events whose text may mention people."""
SHORTEST: Final = 2
"""Letters after which people are proposed: with fewer, a few words would show the whole directory."""
MOST_PROPOSED: Final = 8
_LONGEST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Somebody whom a text may mention; who does not see the request is not told."""

    id: str
    name: str
    sees: bool


def told(connection: Connection, request_id: str, text: str, now: datetime) -> tuple[str, ...]:
    """Return whom a text mentions who may see the request."""
    named = mentioned_in(text)
    missed = untold(connection, request_id, named, now)
    return tuple(person for person in named if person not in missed)


def untold(connection: Connection, request_id: str, named: Iterable[str], now: datetime) -> dict[str, Why]:
    """Return who of these is not told, and why: nobody has this id, or they may not see the request."""
    found: dict[str, Why] = {}
    named = list(named)
    there = people.activity(connection, named) if named else {}
    for person in named:
        if not there.get(person):
            found[person] = "unknown"
        elif not _sees(connection, request_id, person, now):
            found[person] = "unseen"
    return found


def proposed(
    connection: Connection, principal: Principal, request_id: str, text: str, now: datetime, *, everybody: bool
) -> list[Proposal]:
    """Return people whose id or name begins with a text, those who may see the request first.

    `everybody` says whether the caller may list people: others are proposed who have a part in the request, whom they
    see there anyway. Raises NotFound where the caller may see no such request.
    """
    see_request(connection, principal, request_id, now)
    text = text.strip()[:_LONGEST]
    if len(text) < SHORTEST:
        return []
    found = searches.search(connection, text, request_id, most=MOST_PROPOSED, everybody=everybody)
    told = [
        Proposal(id=one.id, name=one.name, sees=one.near or _sees(connection, request_id, one.id, now))
        for one in found
        if one.id != principal.person and mentioned_in(f"@{one.id}") == [one.id]
    ]
    return sorted(told, key=lambda one: not one.sees)


def _sees(connection: Connection, request_id: str, person: str, now: datetime) -> bool:
    viewer = None if viewer_by_id(connection, person) is None else visibility_of(connection, person, now)
    try:
        requests.read(connection, request_id, viewer)
    except NotFound:
        return False
    return True
