"""Counters of rate limits, which all processes share."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from storage.tables.identity import RateCount


def add(connection: Connection, key: str, amount: int, window: timedelta, now: datetime) -> int:
    """Count something, in a new window if the last one has ended; return the count of the window."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = make(RateCount).values(key=key, count=amount, expires_at=now + window)
    over = col(RateCount.expires_at) <= now
    counted = fresh.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((over, amount), else_=col(RateCount.count) + amount),
            "expires_at": case((over, fresh.excluded.expires_at), else_=col(RateCount.expires_at)),
        },
    )
    return int(connection.execute(counted.returning(col(RateCount.count))).scalar_one())


def find(connection: Connection, key: str, now: datetime) -> tuple[int, datetime] | None:
    """Return the count of a window that has not ended, and its end."""
    query = select(RateCount).where(col(RateCount.key) == key, col(RateCount.expires_at) > now)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else (row["count"], row["expires_at"])


def clear(connection: Connection, key: str | None = None) -> int:
    """Delete one counter, or all of them; return how many."""
    counters = delete(RateCount)
    return connection.execute(counters if key is None else counters.where(col(RateCount.key) == key)).rowcount
