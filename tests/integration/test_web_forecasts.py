"""Forecasts in lists: a line for each open request that its reader may see, kept for a minute, bounded in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from insight.forecast.forecaster import Finish, Forecast, HeldOut
from placet.errors import Unavailable
from service.context import Context
from service.principal import Principal
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.integration.recordings import Story, write
from tests.pages import browser_of
from tests.stored import writing
from web.views.requests import forecasts

LINES = "/live/forecasts"
AT = datetime(2026, 3, 4, 9, tzinfo=UTC)
FOUND = Forecast(
    finish=Finish(expected=AT, low=AT - timedelta(hours=20), high=AT + timedelta(days=5), coverage=0.8),
    task_id="r1.1",
    deadline=AT,
    miss_probability=0.214,
    draws=100,
    cases=640,
    held_out=HeldOut(cases=122, coverage=0.811, deadlines=118, brier=0.094),
)


class Asked:
    """What stands in for the forecasts of the core: what each request gets, and how often it was asked for."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.ids: list[str] = []

    async def __call__(self, context: Context, principal: Principal, request_id: str) -> Any:
        """Return the answer for a request, or raise it."""
        self.ids.append(request_id)
        answer = self.answers.get(request_id, FOUND)
        if isinstance(answer, Exception):
            raise answer
        if answer == "never":
            await asyncio.Event().wait()
        return answer


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        name = await opened.publish()
        known = (await opened.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
        of = {"requester": "ann", "template_id": next(one["id"] for one in known if one["name"] == name)}
        with writing(database) as session:
            for name in ("r1", "r2", "r3"):
                write(session, Story(request_id=name).open("bob").recording(**of), AT)
            ended = Story(request_id="r4").open("bob")
            write(session, ended.recording(**of), AT)
            write(session, ended.decide().recording(**of), AT)
        yield opened


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked()
    monkeypatch.setattr(forecasts, "forecast_of", made)
    return made


async def lines(desk: ApiDesk, *ids: str, person: str = "ann", **headers: str) -> dict[str, str]:
    query = "&".join(f"request={one}" for one in ids)
    answer = await (await browser_of(desk, person)).get(f"{LINES}?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["lines"])


async def test_each_open_request_has_its_chance_and_its_range_in_one_line(desk: ApiDesk, asked: Asked) -> None:
    asked.answers["r2"] = "too_few"
    found = await lines(desk, "r1", "r2", "r4", "none")
    assert found == {
        "r1": "finished about 4 Mar, 09:00 (80 % from 3 Mar, 13:00 to 9 Mar, 09:00); 21 % to miss its deadline",
        "r2": "too few past requests for a forecast",
    }
    german = await lines(desk, "r1", "r2", **{"Accept-Language": "de"})
    assert german["r2"] == "zu wenige frühere Anträge für eine Prognose"
    assert german["r1"].startswith("fertig etwa 4. März, 09:00 (80 % von")


async def test_nobody_learns_of_requests_that_are_not_theirs_to_see(desk: ApiDesk, asked: Asked) -> None:
    assert await lines(desk, "r1", "r2", person="rex") == {}
    assert asked.ids == []


async def test_a_forecast_is_kept_for_a_minute_for_whoever_may_see_it(desk: ApiDesk, asked: Asked) -> None:
    assert set(await lines(desk, "r1", "r2")) == set(await lines(desk, "r1", "r2", person="bob")) == {"r1", "r2"}
    assert asked.ids == ["r1", "r2"]


async def test_what_takes_too_long_is_left_out_and_the_rest_is_told(
    desk: ApiDesk, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecasts, "_PATIENCE", 0.2)
    asked.answers["r2"] = "never"
    assert set(await lines(desk, "r1", "r2", "r3")) == {"r1"}


async def test_where_the_engine_is_away_the_others_are_not_asked_for(desk: ApiDesk, asked: Asked) -> None:
    asked.answers["r1"] = Unavailable("The engine does not answer.")
    assert await lines(desk, "r1", "r2", "r3") == {}
    assert asked.ids == ["r1"]


async def test_lists_carry_a_link_for_each_open_request_and_work_no_forecast_out_themselves(
    desk: ApiDesk, asked: Asked
) -> None:
    mine = (await (await browser_of(desk, "ann")).get("/requests")).text
    assert mine.count("data-forecast=") == 3
    assert 'href="/requests/r4/forecast"' not in mine
    inbox = (await (await browser_of(desk, "bob")).get("/")).text
    assert inbox.count("data-forecast=") == 3
    assert asked.ids == []
