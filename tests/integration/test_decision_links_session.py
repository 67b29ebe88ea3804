"""Links that decide where a session is needed, and what a stage or an installation may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client

from api.http.authentication import LOOPBACK_COOKIE
from storage.database import Database
from tests.integration.test_decision_links import SLOW, Post, confirm, fields, opened, said


@pytest_asyncio.fixture
async def post(database: Database, client: Client) -> AsyncIterator[Post]:
    """Give an installation where a link decides by itself."""
    async with opened(database, client, "bearer") as found:
        yield found


@pytest_asyncio.fixture
async def strict(database: Database, client: Client) -> AsyncIterator[Post]:
    """Give an installation where a link needs a session of its person, as by default."""
    async with opened(database, client, "session") as found:
        yield found


async def test_undoing_by_link_needs_the_session_where_deciding_does(strict: Post) -> None:
    task = await strict.asked({**SLOW, "undo_seconds": 86_400})
    link = (await strict.links(task))["approve"]
    bob = await strict.logged_in("bob")
    done = await confirm(bob, link)
    assert said(await strict.browser().post("/decide/undo", data=fields(done))) == (401, "log_in")
    assert (await bob.post("/decide/undo", data=fields(done) | {"csrf_token": "x"})).status_code == 403
    assert said(await bob.post("/decide/undo", data=fields(done))) == (200, "done")


async def test_a_link_that_was_forwarded_decides_nothing_for_whoever_else_is_logged_in(post: Post) -> None:
    task = await post.asked()
    link = (await post.links(task))["approve"]
    shown = await post.browser().get(link)
    dora = await post.logged_in("dora")
    asked, sent = await dora.get(link), await dora.post("/decide", data=fields(shown))
    assert (said(asked), said(sent)) == ((403, "other_person"), (403, "other_person"))
    assert "Bob" in asked.text
    assert "120" not in asked.text
    assert await post.decided(task) == []


async def test_by_default_a_link_needs_a_session_of_its_person(strict: Post) -> None:
    task = await strict.asked()
    link = (await strict.links(task))["approve"]
    asked = await strict.browser().get(link)
    assert (asked.status_code, asked.headers["location"].startswith("/login?next=%2Fdecide%3Ftoken%3D")) == (303, True)
    token = link.partition("=")[2]
    assert said(await strict.browser().post("/decide", data={"token": token, "key": "1"})) == (401, "log_in")
    bob, dora = await strict.logged_in("bob"), await strict.logged_in("dora")
    assert said(await dora.get(link)) == (403, "other_person")
    shown = await bob.get(link)
    without = await bob.post("/decide", data={**fields(shown), "csrf_token": "x"})
    assert (without.status_code, await strict.decided(task)) == (403, [])
    assert said(await bob.post("/decide", data=fields(shown))) == (200, "done")
    (entry,) = await strict.decided(task)
    assert entry["detail"]["via"] == "link"


async def test_after_logging_in_the_link_goes_on(strict: Post) -> None:
    task = await strict.asked()
    browser = strict.browser()
    asked = await browser.get((await strict.links(task))["reject"])
    form = await browser.get(asked.headers["location"])
    entered = await browser.post("/login", data={"token": await strict.desk.token("bob"), **fields_unescaped(form)})
    assert said(await browser.get(entered.headers["location"])) == (200, "reject")
    browser.cookies.delete(LOOPBACK_COOKIE)
    assert (await browser.get(entered.headers["location"])).status_code == 303


@pytest.mark.parametrize(
    ("stage", "status"),
    [("off", (410, "off")), ("session", (303, "")), ("bearer", (200, "approve")), (None, (200, "approve"))],
)
async def test_a_stage_may_be_stricter_than_the_installation(
    post: Post, stage: str | None, status: tuple[int, str]
) -> None:
    task = await post.asked({**SLOW, "decision_links": stage} if stage else SLOW)
    assert said(await post.browser().get((await post.links(task))["approve"])) == status


async def test_a_stage_cannot_loosen_what_the_installation_asks_for(strict: Post) -> None:
    task = await strict.asked({**SLOW, "decision_links": "bearer"})
    assert (await strict.browser().get((await strict.links(task))["approve"])).status_code == 303


def fields_unescaped(answer: httpx.Response) -> dict[str, str]:
    return {name: value.replace("&amp;", "&") for name, value in fields(answer).items()}
