"""A request is verified while it goes on: its rows are there a moment before history holds them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.verification import verify
from storage.database import Database
from tests.api_desk import no_engine
from tests.integration.recordings import Story, write
from tests.stored import writing


@pytest.mark.parametrize(("late", "holds"), [(0, True), (4, True), (99, False)])
async def test_history_may_hold_rows_a_little_later_and_has_to_in_the_end(
    database: Database, monkeypatch: pytest.MonkeyPatch, late: int, holds: bool
) -> None:
    opened = Story(request_id="r1").open("bob")
    decided = opened.decide()
    for story in (opened, decided):
        with writing(database) as session:
            write(session, story.recording(), datetime.now(UTC))
    looks: list[str] = []

    async def history(_client: object, _request_id: str) -> str:
        looks.append(opened.head if len(looks) < late else decided.head)
        return looks[-1]

    monkeypatch.setattr("service.verification.head_of", history)
    monkeypatch.setattr("service.verification._PAUSE", 0.001)
    found = await verify(database, await no_engine(), "r1")
    assert (found["ok"], found["engine_head"]) == (holds, decided.head if holds else opened.head)
    assert len(looks) == min(late, 4) + 1
