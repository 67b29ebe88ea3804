"""Endpoints of webhooks added, signed by another secret, switched off and removed on their pages, each as an act."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest_asyncio
from sqlalchemy import Connection

from activities.notifications.channels.webhook_secrets import WebhookSecrets
from activities.notifications.settings import NotifySettings
from storage.database import Database
from storage.queries.notifications import webhooks
from storage.recording import admin_acts
from storage.tables.notifications import WebhookEndpoint
from tests.api_desk import ApiDesk, api_desk, context_of, no_engine
from tests.pages import browser_of, send

NOTIFY = NotifySettings(webhook_allow_loopback=True)
URL = "http://127.0.0.1:9/hook"
PAGE = "/operations/webhooks"


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2, notify=NOTIFY) as opened:
        yield opened


async def endpoints(desk: ApiDesk) -> list[WebhookEndpoint]:
    return await desk.database.read(webhooks.every)


async def acts(desk: ApiDesk) -> list[tuple[str, str, object]]:
    def read(connection: Connection) -> list[tuple[str, str, object]]:
        rows = admin_acts.page(connection, limit=50, cursor=None, chosen=admin_acts.Chosen()).items
        return [(row.kind, row.way, row.detail) for row in rows if row.kind != "login_link_made"][::-1]

    return await desk.database.read(read)


def secret_in(page: str) -> str:
    return unescape(re.findall(r'id="secret"[^>]*value="([^"]+)"', page)[0])


def signed_by(desk: ApiDesk, row: WebhookEndpoint) -> str:
    return WebhookSecrets(context_of(desk).secret, NOTIFY).get(row.secret_ref, row.id).get_secret_value()


async def test_an_endpoint_is_added_once_and_its_secret_shown_once(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    form = (await browser.get(f"{PAGE}/new")).text
    key = re.findall(r'name="key" value="([^"]+)"', form)[0]
    sent = {"url": URL, "description": "ERP", "events": ["completed", "failed"], "key": key}
    made = await send(browser, PAGE, **sent)
    assert made.status_code == 200
    assert "no-store" in made.headers["cache-control"]
    (row,) = await endpoints(desk)
    assert (row.url, row.description, row.events, row.created_by) == (URL, "ERP", ["completed", "failed"], "adam")
    assert secret_in(made.text) == signed_by(desk, row)
    assert secret_in(made.text) not in (await browser.get(f"{PAGE}/{row.id}")).text
    again = await send(browser, PAGE, **sent)
    assert secret_in(again.text) == secret_in(made.text)
    assert len(await endpoints(desk)) == 1
    detail = {"host": "127.0.0.1", "events": ["completed", "failed"]}
    assert await acts(desk) == [("webhook_added", "page", detail)]


async def test_what_is_wrong_with_an_endpoint_is_said_at_its_field_and_nothing_is_lost(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    for url, reference, field in (
        ("", "", "url"),
        ("http://169.254.169.254/", "", "url"),
        (URL, "nonsense", "secret_ref"),
    ):
        refused = await send(browser, PAGE, url=url, secret_ref=reference, description="The ERP", events="failed")
        assert refused.status_code == 422
        assert f'id="f-{field}-error"' in refused.text
        assert 'value="The ERP"' in refused.text
        assert re.search(r'value="failed" checked', refused.text)
    assert (await endpoints(desk), await acts(desk)) == ([], [])


async def test_another_secret_signs_from_now_on_and_a_form_sent_twice_changes_it_once(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    await send(browser, PAGE, url=URL, key="k")
    (row,) = await endpoints(desk)
    before = signed_by(desk, row)
    asked = (await browser.get(f"{PAGE}/{row.id}/secret")).text
    key = re.findall(r'name="key" value="([^"]+)"', asked)[0]
    changed = await send(browser, f"{PAGE}/{row.id}/secret", key=key)
    again = await send(browser, f"{PAGE}/{row.id}/secret", key=key)
    (row,) = await endpoints(desk)
    assert secret_in(changed.text) == secret_in(again.text) == signed_by(desk, row) != before
    kinds = [(kind, detail) for kind, _, detail in await acts(desk)][1:]
    assert kinds == [("webhook_changed", {"secret_ref": {"before": "derived:1", "after": row.secret_ref}})]
    assert before not in str(kinds)
    assert secret_in(changed.text) not in str(kinds)
    refused = await send(browser, f"{PAGE}/{row.id}/secret", secret_ref="env:PLACET_WEBHOOK_SECRET_NOT_THERE")
    assert (refused.status_code, "PLACET_WEBHOOK_SECRET_NOT_THERE is not set" in refused.text) == (422, True)


async def test_another_secret_comes_over_http_as_well_and_the_same_key_names_the_same(desk: ApiDesk) -> None:
    made = await desk.post("/workflow/webhooks/", {"url": URL}, as_="adam")
    path = f"/workflow/webhooks/{made.json()['id']}/secret/"
    one, two = [await desk.post(path, {}, as_="adam", key="k") for _ in "12"]
    assert one.status_code == two.status_code == 200
    assert one.json()["secret"] == two.json()["secret"] != made.json()["secret"]
    (row,) = await endpoints(desk)
    assert one.json()["secret"] == signed_by(desk, row)
    assert [kind for kind, _, _ in await acts(desk)] == ["webhook_added", "webhook_changed"]
    named = await desk.post(path, {"secret_ref": "derived:7"}, as_="adam")
    assert named.json()["secret_ref"] == "derived:7"
    assert (await desk.post(path, {"secret_ref": "x"}, as_="adam")).json()["errors"][0]["pointer"] == "/secret_ref"
    assert (await desk.post("/workflow/webhooks/wh_none/secret/", {}, as_="adam")).status_code == 404


async def test_an_endpoint_is_switched_off_and_removed_after_asking(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    await send(browser, PAGE, url=URL, key="k")
    (row,) = await endpoints(desk)
    assert "Switch this webhook off?" in (await browser.get(f"{PAGE}/{row.id}/switch")).text
    assert (await endpoints(desk))[0].active, "asking changes nothing"
    await send(browser, f"{PAGE}/{row.id}/switch", active="no")
    assert not (await endpoints(desk))[0].active
    assert "cannot be undone" in (await browser.get(f"{PAGE}/{row.id}/remove")).text
    assert len(await endpoints(desk)) == 1, "asking removes nothing"
    gone = await send(browser, f"{PAGE}/{row.id}/remove")
    assert gone.headers["location"] == f"{PAGE}?done=webhook_removed"
    assert await endpoints(desk) == []
    assert (await send(browser, f"{PAGE}/{row.id}/remove")).status_code == 404
    assert [kind for kind, _, _ in await acts(desk)] == ["webhook_added", "webhook_changed", "webhook_removed"]
