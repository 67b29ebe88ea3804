"""A mark in time: what history holds as a result has the same value in every replay."""

from __future__ import annotations

from datetime import datetime

from temporalio import activity


@activity.defn(name="moment")
async def moment(now: datetime) -> datetime:
    """Answer with the time that was given: the marker that it leaves in history is what it is for."""
    return now
