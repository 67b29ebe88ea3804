"""Pages of a request with an action: whoever decides sees every parameter as it is, and what became of the claim."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from placet.engine.bound_action import BoundAction
from placet.engine.state import ActionClaim
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.integration.recordings import Story, write
from tests.pages import browser_of, send
from tests.stored import writing
from tests.unit.core import blueprint

PROCESS = blueprint({"stage_name": "Manager Approval", "approvers": ["user:bob"]})
BULK = "/tasks/decide"
HOSTILE: dict[str, Any] = {
    "amount": 82000,
    "rate": 0.25,
    "as text": "82000",
    "flag": True,
    "nothing": None,
    "empty": [],
    "blank": "",
    "to": {"name": "Nordwind", "accounts": [{"iban": "DE02"}, {"iban": "DE03"}]},
    "<script>alert(1)</script>": "<img src=x onerror=alert(1)>",
    "turned": "a\u202eb\u200b",
    "long": "x" * 3000,
    "lines": "one\ntwo",
}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


async def keep(desk: ApiDesk, *, parameters: dict[str, Any], hours: float = 24, **more: Any) -> None:
    """Record a request of ann's with an action, whose task bob has; no engine knows of it."""
    name = await desk.publish(PROCESS, owner="user:desi")
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    template = next(one["id"] for one in listed if one["name"] == name)
    expires_at = datetime.now(UTC) + timedelta(hours=hours)
    action = BoundAction(type="payment", target="acct-1", parameters=parameters, expires_at=expires_at)
    story = Story(request_id="r1").open("bob")
    about: dict[str, Any] = {"title": "Pay", "requester": "ann", "template": name, "template_id": template}
    with writing(desk.database) as session:
        recording = replace(story, first=1).recording(input={}, action=action, **about, **more)
        write(session, recording, datetime.now(UTC))


async def shown(desk: ApiDesk, path: str, *, person: str = "bob") -> str:
    browser = await browser_of(desk, person)
    if path == BULK:
        answer = await send(browser, path, task="r1.1:1", back="/")
        section = answer.text.partition('<ul class="results">')[2].partition("</ul>")[0]
    else:
        answer = await browser.get(path)
        (section,) = re.findall(r'<section class="card bound".*?</section>', answer.text, re.DOTALL)
    assert answer.status_code == 200, answer.text
    return section


async def test_an_action_is_not_approved_from_the_list_in_which_nobody_reads_its_values(desk: ApiDesk) -> None:
    await keep(desk, parameters={"amount": 1})
    inbox = (await (await browser_of(desk, "bob")).get("/")).text
    row = inbox.partition('data-row-id="r1.1"')[2].partition("</li>")[0]
    assert "Pay" in row
    assert 'data-quick="approve"' not in row
    assert "open it to read every value" in row


@pytest.mark.parametrize("path", ["/tasks/r1.1", "/requests/r1", BULK])
async def test_every_parameter_is_shown_escaped_and_told_apart(desk: ApiDesk, path: str) -> None:
    await keep(desk, parameters=HOSTILE)
    section = await shown(desk, path)
    assert "<script" not in section
    assert "<img" not in section
    facts = {
        unescape(name): unescape(value)
        for name, value in re.findall(
            r"<div><dt>([^<]*)</dt><dd><span[^>]*>([^<]*)</span></dd></div>", section, re.DOTALL
        )
    }
    assert facts == {
        "amount": "82000",
        "rate": "0.25",
        "as text": '"82000"',
        "flag": "true",
        "nothing": "null",
        "empty": "[]",
        "blank": '""',
        "to → name": "Nordwind",
        "to → accounts → #1 → iban": "DE02",
        "to → accounts → #2 → iban": "DE03",
        "<script>alert(1)</script>": "<img src=x onerror=alert(1)>",
        "turned": "a\\u{202e}b\\u{200b}",
        "long": "x" * 3000,
        "lines": "one\ntwo",
    }
    for said in ("payment", "acct-1", *(() if path == BULK else ("exactly this, and counts once",))):
        assert said in section


async def test_a_request_without_an_action_has_no_such_part_and_one_without_parameters_says_so(desk: ApiDesk) -> None:
    await keep(desk, parameters={})
    assert "There are none." in await shown(desk, "/tasks/r1.1")


@pytest.mark.parametrize(
    ("claim", "hours", "said"),
    [
        (None, 24, None),
        (None, -1, "this is over, so an approval has no effect"),
        (ActionClaim(), 24, "can be claimed"),
        (ActionClaim(), -1, "approval expired"),  # the engine is about to note it
        (ActionClaim(status="expired"), -1, "approval expired"),
        (ActionClaim(status="claimed", by="ann", at=datetime(2026, 3, 2, tzinfo=UTC), key="k"), -1, "Claimed by Ann"),
    ],
)
async def test_the_page_of_a_request_says_what_became_of_its_claim(
    desk: ApiDesk, claim: ActionClaim | None, hours: float, said: str | None
) -> None:
    await keep(desk, parameters={"amount": 1}, hours=hours, claim=claim)
    section = await shown(desk, "/requests/r1", person="ann")
    for one in ("can be claimed", "approval expired", "Claimed by Ann", "this is over, so an approval has no effect"):
        assert (one in section) == (one == said or (said == "approval expired" and one.startswith("this is over"))), one
