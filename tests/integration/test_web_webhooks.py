"""Webhooks on their pages and over HTTP: what was delivered, and what failed sent again under its old id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select

from activities.notifications.delivery.channel_delivery import message_id
from activities.notifications.settings import NotifySettings
from service.administration import webhooks as administration
from storage.database import Database
from storage.queries.notifications import webhook_deliveries, webhooks
from storage.queries.notifications.rows import MessageRow, columns
from storage.tables.notifications import NotificationMessage
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.pages import browser_of, send

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
MESSAGES = NotificationMessage.__table__  # type: ignore[attr-defined]  # SQLModel adds it with table=True
ERP, CRM = "wh_erp", "wh_crm"


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    notify = NotifySettings(webhook_allow_loopback=True)
    async with api_desk(database, await no_engine(), seconds=0.2, notify=notify) as opened:
        await database.write(put_endpoints)
        yield opened


def put_endpoints(connection: Connection) -> None:
    for ident, description in ((ERP, "The <b>ERP</b>"), (CRM, "")):
        webhooks.add(
            connection,
            url=f"https://hooks.example.com/{ident}",
            events=["completed"] if ident == ERP else [],
            by="adam",
            now=NOW - 9 * HOUR,
            description=description,
            endpoint_id=ident,
        )


def put(
    connection: Connection, key: str, status: str, *, to: str = ERP, ago: timedelta = HOUR, attempts: int = 3
) -> None:
    at = NOW - ago
    row: dict[str, Any] = {
        "key": key,
        "channel": f"webhook:{to}",
        "request_id": "r1",
        "seq": 1,
        "hash": f"hash-of-{key}",
        "event": "completed",
        "person": None,
        "digest": False,
        "status": status,
        "attempts": attempts,
        "in_doubt": False,
        "created_at": at - HOUR,
        "next_attempt_at": at,
        "finished_at": None if status == "pending" else at,
        "last_error": "the endpoint answered 503" if status == "failed" else None,
    }
    connection.execute(MESSAGES.insert().values(row))


async def states(database: Database) -> dict[tuple[str, str], str]:
    def read(connection: Connection) -> dict[tuple[str, str], str]:
        rows = connection.execute(select(MESSAGES.c.key, MESSAGES.c.channel, MESSAGES.c.status))
        return {(row.key, row.channel.removeprefix("webhook:")): row.status for row in rows}

    return await database.read(read)


async def id_sent(database: Database, key: str) -> str:
    """Return the `webhook-id` under which a message goes to the first endpoint."""

    def read(connection: Connection) -> MessageRow:
        query = select(*columns(NotificationMessage, MessageRow)).where(MESSAGES.c.key == key)
        return MessageRow(*connection.execute(query.where(MESSAGES.c.channel == f"webhook:{ERP}")).one())

    return message_id(await database.read(read))


async def test_the_pages_show_each_endpoint_and_what_was_delivered_to_it(desk: ApiDesk, database: Database) -> None:
    await database.write(put, "a", "failed")
    await database.write(put, "b", "sent", ago=2 * HOUR)
    await database.write(put, "c", "pending", ago=-HOUR)
    browser = await browser_of(desk, "adam")
    page = (await browser.get("/operations/webhooks")).text
    assert "The &lt;b&gt;ERP" in page
    assert "https://hooks.example.com/wh_crm" in page
    assert "one failed" in page
    assert "one waits" in page
    page = (await browser.get(f"/operations/webhooks/{ERP}")).text
    assert "the endpoint answered 503" in page
    assert page.index("Tried again") < page.index(">Failed</span>") < page.index(">Delivered</span>"), (
        "the latest first"
    )
    assert page.count('name="notice"') == 2, "what is under way cannot be sent again"
    failed = (await browser.get(f"/operations/webhooks/{ERP}?status=failed")).text
    assert (failed.count('class="row"'), page.count('class="row"')) == (1, 3)
    assert "Nothing was delivered yet" in (await browser.get(f"/operations/webhooks/{CRM}")).text
    assert (await browser.get("/operations/webhooks/wh_none")).status_code == 404


async def test_one_event_is_sent_again_to_one_endpoint_under_its_old_id(desk: ApiDesk, database: Database) -> None:
    await database.write(put, "a", "failed")
    await database.write(put, "a", "failed", to=CRM)
    before = await id_sent(database, "a")
    browser = await browser_of(desk, "adam")
    done = await send(browser, f"/operations/webhooks/{ERP}/deliveries", notice="a")
    assert done.headers["location"] == f"/operations/webhooks/{ERP}?done=resend"
    assert await states(database) == {("a", ERP): "pending", ("a", CRM): "failed"}
    assert await id_sent(database, "a") == before
    again = await send(browser, f"/operations/webhooks/{ERP}/deliveries", notice="a")
    assert again.headers["location"].endswith("done=resend_none")


async def test_a_replay_says_how_many_before_and_sends_what_failed_since_then_once(
    desk: ApiDesk, database: Database
) -> None:
    for key, ago in (("old", 5 * HOUR), ("a", 2 * HOUR), ("b", HOUR)):
        await database.write(put, key, "failed", ago=ago)
    await database.write(put, "sent", "sent")
    await database.write(put, "a", "failed", to=CRM)
    browser = await browser_of(desk, "adam")
    since = (NOW - 3 * HOUR).isoformat()
    page = await browser.get(f"/operations/webhooks/{ERP}/replay", params={"since": since})
    assert "2 deliveries were given up" in page.text
    assert set((await states(database)).values()) == {"failed", "sent"}, "a preview changes nothing"
    form = {"since": since, "until": datetime.now(UTC).isoformat()}
    done = await send(browser, f"/operations/webhooks/{ERP}/replay", **form)
    assert done.headers["location"] == f"/operations/webhooks/{ERP}?replayed=2"
    assert "2 deliveries are being sent again" in (await browser.get(done.headers["location"])).text
    expected = {("old", ERP): "failed", ("a", ERP): "pending", ("b", ERP): "pending", ("a", CRM): "failed"}
    assert await states(database) == expected | {("sent", ERP): "sent"}
    again = await send(browser, f"/operations/webhooks/{ERP}/replay", **form)
    assert again.headers["location"].endswith("replayed=0")


@pytest.mark.parametrize("since", ["", "yesterday", "2026-13-01T00:00"])
async def test_a_replay_without_a_time_is_refused_at_its_field(desk: ApiDesk, database: Database, since: str) -> None:
    await database.write(put, "a", "failed")
    browser = await browser_of(desk, "adam")
    page = await browser.get(f"/operations/webhooks/{ERP}/replay", params={"since": since})
    assert page.status_code == 422
    assert "Enter a day and a time." in page.text
    assert (await send(browser, f"/operations/webhooks/{ERP}/replay", since=since, until=since)).status_code == 422


async def test_nothing_is_sent_to_an_endpoint_that_is_off_until_it_is_on_again(
    desk: ApiDesk, database: Database
) -> None:
    await database.write(put, "a", "failed")
    browser = await browser_of(desk, "adam")
    off = await send(browser, f"/operations/webhooks/{ERP}/switch", active="no")
    assert off.status_code == 303
    page = (await browser.get(f"/operations/webhooks/{ERP}")).text
    assert "Nothing is sent to this endpoint" in page
    assert 'name="notice"' not in page
    form = {"since": (NOW - 3 * HOUR).isoformat(), "until": datetime.now(UTC).isoformat()}
    assert (await send(browser, f"/operations/webhooks/{ERP}/replay", **form)).status_code == 409
    assert (await send(browser, f"/operations/webhooks/{ERP}/deliveries", notice="a")).status_code == 409
    assert set((await states(database)).values()) == {"failed"}
    await send(browser, f"/operations/webhooks/{ERP}/switch", active="yes")
    assert (await database.read(webhooks.get, ERP)).active


async def test_the_same_goes_over_http(desk: ApiDesk, database: Database) -> None:
    for number in range(5):
        await database.write(put, f"k{number}", "failed", ago=number * HOUR)
    path = f"/workflow/webhooks/{ERP}"
    found, cursor = [], ""
    while True:
        page = (await desk.get(f"{path}/deliveries/?limit=2&status=failed{cursor}", as_="adam")).json()
        found += [(item["key"], item["request_id"], item["error"]) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == [(f"k{number}", "r1", "the endpoint answered 503") for number in range(5)]
    assert (await desk.get(f"{path}/deliveries/?status=sent", as_="adam")).json()["items"] == []
    assert (await desk.get("/workflow/webhooks/wh_none/deliveries/", as_="adam")).status_code == 404
    since = {"since": (NOW - 2.5 * HOUR).isoformat()}
    preview = (await desk.post(f"{path}/replay/", since | {"preview": True}, as_="adam")).json()
    assert (preview["failed"], preview["queued"]) == (3, 0)
    done = (await desk.post(f"{path}/replay/", since, as_="adam")).json()
    assert (done["failed"], done["queued"]) == (3, 3)
    off = await desk.post(f"{path}/switch/", {"active": False}, as_="adam")
    assert (off.status_code, off.json()["active"]) == (200, False)
    assert (await desk.post(f"{path}/replay/", since, as_="adam")).status_code == 409


async def test_a_replay_is_bounded_and_takes_the_oldest_first(
    desk: ApiDesk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(administration, "MOST_REPLAYED", 3)
    monkeypatch.setattr(administration, "_AT_ONCE", 2)
    for number in range(5):
        await database.write(put, f"k{number}", "failed", ago=number * HOUR)
    done = (await desk.post(f"/workflow/webhooks/{ERP}/replay/", {"since": "2020-01-01T00:00:00Z"}, as_="adam")).json()
    assert (done["failed"], done["queued"]) == (5, 3)
    assert [key for (key, _), state in sorted((await states(database)).items()) if state == "failed"] == ["k0", "k1"]


async def test_deliveries_are_read_in_bounded_pages_that_miss_and_repeat_none(
    desk: ApiDesk, database: Database
) -> None:
    for number in range(12):  # several at the same time, and of each state
        status = webhook_deliveries.STATUSES[number % 4]
        await database.write(put, f"k{number:02}", status, ago=number // 3 * HOUR)
    found: list[str] = []
    cursor = None
    while True:
        page = await database.read(
            lambda connection, at=cursor: webhook_deliveries.page(connection, ERP, limit=5, cursor=at)
        )
        found += [row.key for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert (len(found), len(set(found))) == (12, 12)


async def test_with_an_endpoint_goes_what_waited_for_it_or_failed(desk: ApiDesk, database: Database) -> None:
    for status in ("pending", "failed", "sent"):
        await database.write(put, status, status)
    assert (await desk.call("DELETE", f"/workflow/webhooks/{ERP}/", as_="adam")).status_code == 200
    assert {key: state for (key, _), state in (await states(database)).items()} == {
        "pending": "dropped",
        "failed": "dropped",
        "sent": "sent",
    }


@pytest.mark.parametrize("person", ["bob", "audrey", "desi"])
async def test_the_pages_are_for_admins_alone(desk: ApiDesk, database: Database, person: str) -> None:
    await database.write(put, "a", "failed")
    browser = await browser_of(desk, person)
    for path in ("", f"/{ERP}", f"/{ERP}/replay?since=2026-01-01T00:00"):
        assert (await browser.get(f"/operations/webhooks{path}")).status_code == 403
    assert (await send(browser, f"/operations/webhooks/{ERP}/deliveries", notice="a")).status_code == 403
    assert set((await states(database)).values()) == {"failed"}
