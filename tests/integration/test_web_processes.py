"""The drawings of processes: for whoever may see the process or the request, and with nothing that could run."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator

import pytest_asyncio

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.pages import browser_of
from tests.unit.core import blueprint

STAGE = "<b>Board</b> & others"
PROCESS = blueprint({"stage_name": STAGE, "approvers": ["user:bob"]})


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        yield desk


async def published(desk: ApiDesk) -> str:
    """Publish the process, and return its id."""
    name = await desk.publish(PROCESS, owner="user:desi")
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    found: str = next(one["id"] for one in listed if one["name"] == name)
    return found


async def test_the_drawing_of_a_process_escapes_what_its_author_wrote(desk: ApiDesk) -> None:
    page = (await (await browser_of(desk, "ann")).get(f"/processes/{await published(desk)}")).text
    assert "&lt;b&gt;Board&lt;/b&gt;" in page
    assert "<b>Board" not in page
    assert "everyone" not in page
    assert "Bob" in page


async def test_the_file_of_a_drawing_stands_alone_and_can_run_nothing(desk: ApiDesk) -> None:
    answer = await (await browser_of(desk, "ann")).get(f"/processes/{await published(desk)}/process.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    drawing = ET.fromstring(answer.text)
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert {one.tag.partition("}")[2] for one in drawing.iter()} == {
        "svg", "style", "defs", "marker", "path", "g", "title", "rect", "text",
    }  # fmt: skip


async def test_a_process_or_a_request_that_there_is_not_is_a_page_that_says_so(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "ann")
    for path in ("/processes/none", "/processes/none/process.svg", "/requests/none/process"):
        answer = await browser.get(path)
        assert answer.status_code == 404
        assert "<h1>" in answer.text
