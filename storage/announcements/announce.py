"""Announce topics in a transaction: the processes that listen learn of them once it has committed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, String, bindparam, func, literal, select

from storage.prepared import Prepared

POSTGRESQL_CHANNEL = "placet"
_NOTIFY = Prepared(
    select(func.pg_notify(literal(POSTGRESQL_CHANNEL), bindparam("payload", type_=String())).label("nothing"))
)
# PostgreSQL takes payloads of less than 8,000 bytes, and up to 4,096 are written to a pipe in one piece.
_MOST_BYTES = 4000

HELD = "outbox:held"
"""Notifications were written, which wait for history to hold their cause."""
READY = "outbox:ready"
"""Notifications may be sent as soon as they are due."""

_PENDING = "placet announcements"  # of a connection to SQLite: the topics that its transaction announces


def request_topic(request_id: str) -> str:
    """Return the topic of a request that has begun, has ended or was returned: the entries that say so can be read."""
    return f"request:{request_id}"


def queue_topic(channel: str) -> str:
    """Return the topic of a channel's queue: messages were put into it."""
    return f"queue:{channel}"


def announce(connection: Connection, topics: Iterable[str]) -> None:
    """Announce topics if and when this transaction commits; nothing where there are none."""
    topics = list(topics)
    if not topics:
        return
    if connection.dialect.name == "postgresql":
        for payload in payloads(topics):
            _NOTIFY.rows(connection, payload=payload)
    else:
        connection.info.setdefault(_PENDING, []).extend(topics)


def take_pending(connection: Connection) -> list[str]:
    """Return what a transaction on SQLite announced, once; the caller sends it after the commit."""
    pending: list[str] = connection.info.pop(_PENDING, [])
    return pending


def payloads(topics: Iterable[str]) -> Iterator[str]:
    """Encode topics, each of them once, as payloads of bounded length."""
    together: list[str] = []
    length = 0
    for topic in dict.fromkeys(topics):
        size = len(json.dumps(topic)) + 2  # a comma and a space
        if together and length + size > _MOST_BYTES:
            yield json.dumps(together)
            together, length = [], 0
        together.append(topic)
        length += size
    if together:
        yield json.dumps(together)


def topics_of(payload: str | bytes) -> list[str]:
    """Decode a payload; what another program sent there means nothing."""
    try:
        topics = json.loads(payload)
    except ValueError:
        return []
    return [topic for topic in topics if isinstance(topic, str)] if isinstance(topics, list) else []
