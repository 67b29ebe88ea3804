"""The pages of operations: how each part is and what to do, and messages that failed, sent again once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select, update

from storage.database import Database
from storage.queries.notifications import backlog
from storage.tables.notifications import NotificationMessage, WebhookEndpoint
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.pages import browser_of, send

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MESSAGES = NotificationMessage.__table__  # type: ignore[attr-defined]  # SQLModel adds it with table=True

ENDPOINTS = WebhookEndpoint.__table__  # type: ignore[attr-defined]  # as above


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        yield desk


def put(connection: Connection, count: int, status: str = "failed") -> None:
    """Store messages to Bob, of which each two ended at the same time."""
    for number in range(count):
        row = {
            "key": f"{status}{number:03}",
            "channel": "mail",
            "request_id": "r1",
            "seq": number,
            "hash": "",
            "event": "task_opened",
            "person": "bob",
            "digest": False,
            "status": status,
            "attempts": 3,
            "in_doubt": False,
            "created_at": NOW,
            "next_attempt_at": NOW,
            "finished_at": NOW + timedelta(seconds=number // 2) if status == "failed" else None,
            "last_error": "<b>mailbox full</b>",
        }
        connection.execute(MESSAGES.insert().values(row))


def states(connection: Connection) -> list[str]:
    return list(connection.scalars(select(MESSAGES.c.status).order_by(MESSAGES.c.key)))


async def test_the_page_says_what_is_down_what_waits_and_what_to_do(desk: ApiDesk, database: Database) -> None:
    await database.write(put, 2, "pending")
    page = (await (await browser_of(desk, "adam")).get("/operations")).text
    assert page.count("Down") == 2  # engine and worker
    assert page.count("Runs") == 1
    assert "check TEMPORAL_ADDRESS" in page
    assert "placet worker" in page
    assert "2 messages wait" in page
    assert "Check that a worker for notifications is running" in page
    assert "could not be delivered" not in page


@pytest.mark.parametrize("path", ["/operations", "/operations/deliveries"])
@pytest.mark.parametrize("person", ["bob", "audrey", "desi"])
async def test_they_are_for_admins_alone(desk: ApiDesk, path: str, person: str) -> None:
    browser = await browser_of(desk, person)
    assert (await browser.get(path)).status_code == 403
    assert 'href="/operations"' not in (await browser.get("/me")).text


async def test_a_failed_message_is_sent_again_once_however_often_the_form_comes(
    desk: ApiDesk, database: Database
) -> None:
    await database.write(put, 1)
    browser = await browser_of(desk, "adam")
    assert "could not be delivered" in (await browser.get("/operations")).text
    page = (await browser.get("/operations/deliveries")).text
    assert "Bob" in page
    assert "&lt;b&gt;mailbox full" in page
    first = await send(browser, "/operations/deliveries", notice="failed000")
    assert first.headers["location"] == "/operations/deliveries?done=resend"
    assert await database.read(states) == ["pending"]
    await database.write(lambda connection: connection.execute(update(MESSAGES).values(status="sent")).rowcount)
    again = await send(browser, "/operations/deliveries", notice="failed000")
    assert again.headers["location"] == "/operations/deliveries?done=resend_none"
    assert await database.read(states) == ["sent"]
    assert "No message has failed" in (await browser.get("/operations/deliveries")).text


async def test_a_message_to_a_webhook_is_called_by_what_the_webhook_is_called(
    desk: ApiDesk, database: Database
) -> None:
    def store(connection: Connection) -> None:
        put(connection, 1)
        connection.execute(update(MESSAGES).values(channel="webhook:w1", person=None))
        endpoint = {"id": "w1", "url": "https://8.8.8.8/hook", "description": "The archive", "secret_ref": "derived:1"}
        more = {"events": [], "active": True, "seen_at": NOW, "created_by": "adam", "created_at": NOW}
        connection.execute(ENDPOINTS.insert().values(endpoint | more))

    await database.write(store)
    assert "The archive" in (await (await browser_of(desk, "adam")).get("/operations/deliveries")).text


async def test_a_notice_that_there_is_not_is_said_on_a_page(desk: ApiDesk) -> None:
    answer = await send(await browser_of(desk, "adam"), "/operations/deliveries", notice="none")
    assert answer.status_code == 404
    assert "<h1>" in answer.text


async def test_failures_are_read_in_bounded_pages_that_miss_and_repeat_none(database: Database) -> None:
    await database.write(put, 11)
    found: list[str] = []
    cursor = None
    while True:
        page = await database.read(lambda connection, at=cursor: backlog.failures(connection, limit=3, cursor=at))
        assert len(page.items) <= 3
        found += [row.key for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == [f"failed{number:03}" for number in reversed(range(11))]
