"""Webhooks, people, groups, absences and tokens in a real browser: by keyboard on a phone, wide, dark, and in German.

The pages are served by this process over ten thousand people, without an engine.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, expect
from sqlalchemy import Connection, insert

from service.identity.login import issue_code
from storage.database import Database
from storage.queries.identity import tokens
from storage.queries.notifications import webhooks
from storage.tables.approvals import StoredPerson
from storage.tables.notifications import NotificationMessage
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.approvals import person
from tests.browser import SCRIPT, Visitor
from tests.integration.recordings import Story, write
from tests.ports import free_port
from tests.stored import writing
from tests.waiting import until

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
LONG = "Wilhelmine-Friederike Freifrau von Hohenstaufen-Donaudampfschifffahrtsgesellschaft"
HOOK = "wh_erp"


def put_everything(connection: Connection) -> None:
    """Store many people, one with a long name who is away, an endpoint with deliveries, and tokens."""
    rows = [person(id=f"p{number:05}", name=f"Person {number:05}").model_dump() for number in range(10_000)]
    away = [{"from": (NOW - DAY).isoformat(), "until": (NOW + DAY).isoformat(), "substitute": None}]
    soon = [{"from": (NOW + DAY).isoformat(), "until": (NOW + 2 * DAY).isoformat(), "substitute": "ann"}]
    rows += [
        person(id="wil", name=LONG, manager="bob", groups=["finance"], roles=["cfo"], away=away).model_dump(),
        person(id="max", name=f"Max {SCRIPT}", away=soon, actor_type="agent").model_dump(),
    ]
    connection.execute(insert(StoredPerson), rows)
    webhooks.add(
        connection,
        url="https://hooks.example.com/" + "a-long-path/" * 9,
        events=["completed", "escalated", "sla_breached"],
        by="adam",
        now=NOW - DAY,
        description=f"The ERP {SCRIPT}",
        endpoint_id=HOOK,
    )
    for number in range(30):
        failed = number % 3 == 0
        at = NOW - number * timedelta(minutes=10)
        message = NotificationMessage(
            key=f"m{number:02}",
            channel=f"webhook:{HOOK}",
            request_id="req-1",
            seq=number,
            hash="h",
            event="completed",
            status="failed" if failed else "sent",
            attempts=9 if failed else 1,
            created_at=at,
            next_attempt_at=at,
            finished_at=at,
            last_error="the endpoint answered 503" if failed else None,
        )
        connection.execute(insert(NotificationMessage).values(**message.model_dump()))
    tokens.issue(connection, "wil", ttl=3 * DAY, now=NOW, name="Nightly export")
    tokens.issue(connection, "max", ttl=None, now=NOW, name=SCRIPT, scopes=["read"])


@dataclass
class Served:
    """The pages on a port of their own, without an engine; and a browser for their reader."""

    browser: Browser
    port: int = field(default_factory=free_port)
    desk: ApiDesk | None = None
    loop: Any = None
    every: list[Visitor] = field(default_factory=list)

    async def serve(self, url: str, ready: threading.Event, ended: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        database = Database(url)
        async with api_desk(database, await no_engine(), seconds=0.2) as desk:
            self.desk = desk
            await database.write(put_everything)
            with writing(database) as session:
                write(session, Story(request_id="req-1").open("wil", requester="ann").recording(), NOW)
            app: Any = desk.http._transport.app  # type: ignore[attr-defined]  # of httpx.ASGITransport
            server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="critical", lifespan="off"))
            task = asyncio.create_task(server.serve())

            async def started() -> bool:
                return server.started

            await until(started, what="the pages")
            ready.set()
            await asyncio.to_thread(ended.wait)
            server.should_exit = True
            await task
        await database.close()

    def visitor(self, who: str = "adam", *, width: int = 1400, scripts: bool = True, **more: Any) -> Visitor:
        """Give somebody a browser in which they are logged in."""
        assert self.desk is not None
        made = asyncio.run_coroutine_threadsafe(issue_code(self.desk.database, who, datetime.now(UTC)), self.loop)
        options = {"locale": "en-GB", "timezone_id": "Europe/Berlin", "reduced_motion": "reduce"} | more
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=scripts, **options
        )
        context.set_default_timeout(60_000)
        visitor = Visitor(page=context.new_page(), base=f"http://127.0.0.1:{self.port}")
        visitor.page.on("console", visitor.heard)
        visitor.page.on("dialog", visitor.asked)
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        visitor.go(f"/login/{made.result(60)}")
        self.every.append(visitor)
        return visitor


@pytest.fixture
def served(browser: Browser, sqlite_url: str) -> Iterator[Served]:
    it, ready, ended = Served(browser=browser), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(it.serve(sqlite_url, ready, ended)))
    thread.start()
    assert ready.wait(120)
    try:
        yield it
        assert [one for visitor in it.every for one in visitor.complaints] == []
    finally:
        for visitor in it.every:
            visitor.page.context.close()
        ended.set()
        thread.join(60)


PAGES = {
    "webhooks": "/operations/webhooks",
    "one webhook": f"/operations/webhooks/{HOOK}",
    "replay": f"/operations/webhooks/{HOOK}/replay?since=2020-01-01T00:00",
    "people": "/operations/people",
    "people, none found": "/operations/people?q=nobody-at-all",
    "person": "/operations/people/wil",
    "person who is an agent": "/operations/people/max",
    "logging somebody out": "/operations/people/wil/sessions",
    "groups": "/operations/groups",
    "absences": "/operations/absences",
    "tokens": "/operations/tokens",
    "tokens, none found": "/operations/tokens?state=expired",
    "acts": "/operations/acts",
    "one's own tokens": "/me",
}


@pytest.mark.parametrize(
    "how",
    [
        {"width": 360},
        {"color_scheme": "dark"},
        {"width": 360, "color_scheme": "dark", "locale": "de-DE"},
    ],
    ids=["phone", "dark", "German"],
)
def test_the_pages_read_well_on_a_phone_in_the_dark_and_in_german(served: Served, how: dict[str, Any]) -> None:
    visitor = served.visitor(**how)
    found = []
    for name, path in PAGES.items():
        answer = visitor.page.goto(visitor.base + path)
        assert answer is not None
        assert answer.status == 200, name
        expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
        found += visitor.findings(f"operations {name} {' '.join(map(str, how.values()))}")
    assert found == []


def test_without_scripts_and_by_keyboard_what_failed_is_sent_again_after_a_preview(served: Served) -> None:
    visitor = served.visitor(width=360, scripts=False)
    page = visitor.go("/operations")
    page.get_by_role("link", name="Webhooks").press("Enter")
    page.get_by_role("link", name="The ERP").press("Enter")
    page.get_by_role("link", name="Failed", exact=True).press("Enter")
    expect(page.locator("li.row")).to_have_count(10)
    page.get_by_role("button", name=re.compile("^Send again")).first.press("Enter")
    page.get_by_role("link", name="Waiting", exact=True).press("Enter")
    expect(page.locator("li.row")).to_have_count(1)
    page.get_by_label("What was given up since").fill("2020-01-01T00:00")
    page.get_by_role("button", name="Show how many").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("9 deliveries were given up")
    page.get_by_role("button", name="Send 9 again").press("Enter")
    expect(page.get_by_text("9 deliveries are being sent again.")).to_be_visible()


def test_among_ten_thousand_people_one_is_found_given_a_substitute_and_logged_out(served: Served) -> None:
    served.visitor("wil")
    visitor = served.visitor()
    page = visitor.go("/operations/absences")
    row = page.locator("li.row").filter(has_text="Nobody substitutes")
    expect(row).to_contain_text("one task is open")
    row.get_by_role("link").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(LONG)
    page.get_by_role("button", name=re.compile("^Remove")).press("Enter")
    page.get_by_label("First day").fill(NOW.date().isoformat())
    page.get_by_label("Last day").fill((NOW + DAY).date().isoformat())
    page.get_by_label("Substitute", exact=True).fill("Person 09999")
    page.get_by_role("button", name="Add").press("Enter")
    expect(page.get_by_text("substitute: Person 09999")).to_be_visible()
    assert visitor.findings("operations person with a substitute") == []
    page.get_by_role("link", name="Log them out everywhere").press("Enter")
    page.get_by_role("button", name="Log them out").press("Enter")
    expect(page.get_by_text("They are not logged in.")).to_be_visible()
    visitor.go("/operations/people")
    page.get_by_label("Name, id, mail or department").fill("hohenstaufen wil")
    page.keyboard.press("Enter")
    expect(page.locator("li.row")).to_have_count(1)


def test_a_token_that_expires_soon_is_found_and_revoked_after_asking(served: Served) -> None:
    visitor = served.visitor(width=360)
    page = visitor.go("/operations/tokens")
    page.get_by_role("link", name="Expire soon").press("Enter")
    expect(page.locator("li.row")).to_have_count(1)
    expect(page.locator("li.row")).to_contain_text("Expires soon")
    page.get_by_role("link", name=re.compile("^Revoke")).press("Enter")
    expect(page.get_by_text("This cannot be undone")).to_be_visible()
    assert visitor.findings("operations revoking a token") == []
    page.get_by_role("button", name="Revoke it").press("Enter")
    expect(page.get_by_text("The token is revoked.")).to_be_visible()
