"""Processes go by the database's clock, whatever their machines say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage import clock
from storage.database import Database
from tests.clocks import AHEAD, Ahead

CLOSE = timedelta(minutes=5)  # a busy machine may take a while between two lines


@pytest.mark.parametrize("way", ["read", "write"])
async def test_the_time_is_the_databases_once_it_has_answered(
    database: Database, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(clock, "datetime", Ahead)
    other = Database(database.url.render_as_string(hide_password=False))
    try:
        assert abs(other.now() - datetime.now(UTC) - AHEAD) < CLOSE  # nobody has asked yet
        await (other.read if way == "read" else other.write)(lambda _: None)
        apart = other.now() - datetime.now(UTC)
    finally:
        await other.close()
    assert abs(apart - (AHEAD if other.dialect == "sqlite" else timedelta())) < CLOSE
