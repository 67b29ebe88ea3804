"""What somebody is told, how and when, chosen on their own page: the preferences that the API has."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.web_desk import Browser, browser_of

MINE = "/workflow/people/me/preferences/"
CHOSEN: dict[str, Any] = {
    "channels": ["mail", "slack"],
    "address_slack": "U0123",
    "quiet_from": "20:00",
    "quiet_until": "07:30",
    "quiet_days": ["sat", "sun"],
    "digest": "09:00, 15:00",
    "urgent": "sla_breached",
    "muted": "commented",
}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


def section(page: str) -> str:
    return unescape(page.partition('id="notices"')[2].partition("</section>")[0])


def entered(page: str) -> dict[str, list[str]]:
    """Return what the form shows as entered and ticked, by field."""
    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", section(page)):
        name, value = (re.search(f'{what}="([^"]*)"', tag) for what in ("name", "value"))
        if name and value and (" checked" in tag or "checkbox" not in tag) and name[1] != "csrf_token" and value[1]:
            found.setdefault(name[1], []).append(value[1])
    return found


async def send(browser: Browser, **form: Any) -> Any:
    return await browser.http.post("/me/notices", data={**form, "csrf_token": browser.csrf_token})


async def test_what_mails_call_ones_preferences_leads_to_them_on_ones_own_page(desk: ApiDesk) -> None:
    async with browser_of(desk, "bob") as bob:
        answer = await bob.http.get("/preferences")
        assert (answer.status_code, answer.headers["location"]) == (303, "/me#notices")
        shown = entered((await bob.get("/me")).text)
        assert shown == {"channels": ["mail"], "urgent": ["escalated_to", "sla_breached"]}


async def test_what_is_chosen_on_the_page_is_what_the_api_has_and_leaves_the_rest(desk: ApiDesk) -> None:
    body = {"timezone": "Europe/Berlin", "language": "en"}
    assert (await desk.call("PUT", MINE, as_="bob", body=body)).status_code == 200
    async with browser_of(desk, "bob") as bob:
        assert (await send(bob, **CHOSEN)).status_code == 303
        stored = (await desk.get(MINE, as_="bob")).json()
        assert stored == body | {
            "channels": ["mail", "slack"],
            "addresses": {"slack": "U0123"},
            "quiet_hours": {"from": "20:00:00", "until": "07:30:00", "days": ["sat", "sun"]},
            "digest": {"at": ["09:00:00", "15:00:00"]},
            "urgent": ["sla_breached"],
            "muted": ["commented"],
        }
        page = (await bob.get("/me")).text
        assert entered(page) == {name: one if isinstance(one, list) else [one] for name, one in CHOSEN.items()}
        assert "Europe/Berlin" in section(page)
        assert (await bob.post("/me/reading", {"language": "de", "timezone": "Europe/Berlin"})).status_code == 303
        assert (await desk.get(MINE, as_="bob")).json() == stored | {"language": "de"}
        assert (await send(bob, channels="mail", quiet_days="sun")).status_code == 303
        quiet = (await desk.get(MINE, as_="bob")).json()["quiet_hours"]
        assert quiet == {"from": "00:00:00", "until": "00:00:00", "days": ["sun"]}
        assert (await send(bob, channels="mail")).status_code == 303
        assert (await desk.get(MINE, as_="bob")).json()["quiet_hours"] is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"digest": "nine"}, "digest"),
        ({"quiet_until": ""}, "quiet_until"),
        ({"quiet_from": "25:00"}, "quiet_from"),
        ({"muted": "weather"}, "muted"),
        ({"channels": "pigeon"}, "channels"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_what_was_entered_stays(
    desk: ApiDesk, wrong: dict[str, str], field: str
) -> None:
    async with browser_of(desk, "bob") as bob:
        before = (await desk.get(MINE, as_="bob")).json()
        answer = await send(bob, **(CHOSEN | wrong))
        assert answer.status_code == 422, answer.text
        assert f'id="f-{field}-error"' in answer.text
        assert f'href="#f-{field}"' in answer.text
        assert entered(answer.text)["address_slack"] == ["U0123"]
        assert (await desk.get(MINE, as_="bob")).json() == before
