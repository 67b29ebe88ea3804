"""Mentions: who of the people whom a text names is told, and who is not because they may not see the request."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from placet.engine.events import AnswerQuestion, AskQuestion, Comment
from placet.engine.mentions import mentioned_in
from placet.errors import NotFound
from service.visibility import viewer_by_id, visibility_of
from storage.queries.people import people
from storage.queries.requests import requests

Why = Literal["unknown", "unseen"]
MENTIONING = (Comment, AskQuestion, AnswerQuestion)
"""The events whose text may mention people."""


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


def _sees(connection: Connection, request_id: str, person: str, now: datetime) -> bool:
    viewer = None if viewer_by_id(connection, person) is None else visibility_of(connection, person, now)
    try:
        requests.read(connection, request_id, viewer)
    except NotFound:
        return False
    return True
