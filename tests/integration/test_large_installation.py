"""Every page that lists something, over many of each: each page is bounded, and every one is on some page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest_asyncio
from sqlalchemy import event

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.large import BACKTEST, HOOK, LONG, put_many
from tests.pages import browser_of

MANY = 600
MOST_BYTES = 100_000
MOST_STATEMENTS = 40
PAGES = {
    "/drafts": "drafts",
    "/requests/new": "processes",
    f"/requests/new?q={LONG}+00599": "processes",
    "/operations/deliveries": "deliveries",
    "/operations/webhooks": "webhooks",
    f"/operations/webhooks/{HOOK}": "deliveries of one webhook",
    f"/operations/webhooks/{HOOK}?status=failed": "those that failed",
    "/operations/people": "people",
    "/operations/people?q=00599": "people",
    "/operations/people/p00002": "one person",
    "/operations/people/p00002/edit": "one person",
    "/operations/groups": "groups",
    "/operations/absences": "absences",
    "/operations/tokens": "tokens",
    "/operations/tokens?state=unused": "tokens",
    "/operations/acts": "acts",
    "/operations/acts?actor=adam&kind=person_changed": "acts",
    "/operations": "what runs",
    "/requests?whose=all": "requests",
    "/simulations?whose=all": "simulations",
    "/simulations/new": "processes",
    f"/simulations/{BACKTEST}": "rows of a backtest",
    f"/simulations/{BACKTEST}?rows=changed": "rows of a backtest",
    "/evidence": "packs",
    "/admin": "tables",
    "/admin/action_catalog": "a table",
    "/": "the inbox",
    "/me": "one's own",
}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        await database.write(put_many, MANY)
        yield opened


async def test_pages_of_lists_are_bounded_however_much_there_is(desk: ApiDesk, database: Database) -> None:
    browser = await browser_of(desk, "adam")
    found: list[str] = []
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database._reader, "after_cursor_execute", note)
    for path, what in PAGES.items():
        statements.clear()
        answer = await browser.get(path)
        size = len(answer.content)
        if answer.status_code != 200:
            found.append(f"{path}: {answer.status_code}")
        if size > MOST_BYTES:
            found.append(f"{path} ({what}) has {size} bytes")
        if len(statements) > MOST_STATEMENTS:
            found.append(f"{path} ({what}) takes {len(statements)} statements")
    assert found == []

    for path in ("/requests/new", "/simulations/new", "/drafts"):
        address, seen = path, list[str]()
        while address:
            page = (await browser.get(address)).text
            seen += re.findall(rf"<strong>{LONG} (\d+)</strong>", page)
            following = re.findall(rf'rel="next" href="({path}\?cursor=[^"]+)"', page)
            address = unescape(following[0]) if following else ""
        assert seen == [f"{number:05}" for number in range(MANY)], path
        page = (await browser.get(f"{path}?q=00007+DONAU")).text
        assert re.findall(rf"<strong>{LONG} (\d+)</strong>", page) == ["00007"]
        assert "Nothing matches" in (await browser.get(f"{path}?q=nothing-like-it")).text
        assert (await browser.get(f"{path}?cursor=nonsense")).status_code == 422

    for path, name, row in (
        ("/drafts", "after", rf'<th scope="row"><a[^>]*>{LONG} (\d+)</a>'),
        ("/operations/webhooks", "cursor", rf'<a class="title whole"[^>]*>{LONG} (\d+)</a>'),
    ):
        address, shown = path, set[int]()
        while address:
            page = (await browser.get(address)).text
            there = {int(one) for one in re.findall(row, page)}
            assert there
            assert not there & shown, address
            shown |= there
            following = re.findall(rf'rel="next" href="({path}\?{name}=[^"]+)"', page)
            address = unescape(following[0]) if following else ""
        assert shown == set(range(MANY)), path
