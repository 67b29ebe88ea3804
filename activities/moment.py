"""A mark in time: what comes after a local activity has the same time in every replay."""

from __future__ import annotations

from temporalio import activity


@activity.defn(name="moment")
async def moment() -> None:
    """Do nothing: the marker that it leaves in history is what it is for."""
