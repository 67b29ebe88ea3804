"""The drawings of processes: for whoever may see the process or the request, and with nothing that could run; and what
the pages of a request say while the engine is away.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from sqlalchemy import update
from sqlmodel import col

from storage.database import Database
from storage.tables.approvals import ApprovalRequest, AuditEntry
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.integration.recordings import Story, write
from tests.pages import browser_of
from tests.stored import writing
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


async def begun(desk: ApiDesk) -> str:
    """Record a request of which no engine knows, and return its id."""
    template = await published(desk)
    story = Story(request_id="r1").open("bob")
    with writing(desk.database) as session:
        write(session, story.recording(), datetime.now(UTC))
        session.execute(update(ApprovalRequest).values(template_id=template))
    return "r1"


async def test_while_the_engine_is_away_the_stored_chain_is_verified_and_the_page_says_so(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await begun(desk)
    monkeypatch.setattr("service.verification._PATIENCE", 0.05)
    browser = await browser_of(desk, "audrey")
    answer = await browser.get(f"/requests/{request_id}/audit")
    assert answer.status_code == 200
    assert "the engine's copy could not be compared" in answer.text
    assert "the engine does not answer now" in answer.text
    with writing(desk.database) as session:
        session.execute(update(AuditEntry).where(col(AuditEntry.seq) == 1).values(actor="user:zoe"))
    broken = (await browser.get(f"/requests/{request_id}/audit")).text
    assert "The record does not hold" in broken
    assert "from entry 1 on" in broken
    api = await desk.get(f"/workflow/requests/{request_id}/audit/verify/", as_="audrey")
    assert api.status_code == 503, "for programs a comparison that could not be made is no verdict"


async def test_while_the_engine_is_away_it_is_said_that_what_may_come_is_not_known(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await begun(desk)
    monkeypatch.setattr("service.consequences.SECONDS_OF_ENGINE", 0.05)
    browser = await browser_of(desk, "audrey")
    for path in ("process", "ahead"):
        answer = await browser.get(f"/requests/{request_id}/{path}")
        assert answer.status_code == 200
        assert "The engine does not answer now" in answer.text
    assert (await browser.get(f"/requests/{request_id}/process.svg")).status_code == 200


async def test_entries_have_names_in_words_and_their_kind_beside_them(desk: ApiDesk) -> None:
    request_id = await begun(desk)
    browser = await browser_of(desk, "audrey")
    page = (await browser.get(f"/requests/{request_id}/audit?kind=task_opened")).text
    assert '<strong title="task_opened">Decision asked</strong>' in page
    assert '<option value="started" title="started">Request started</option>' in page
    german = (await browser.get(f"/requests/{request_id}/audit", headers={"Accept-Language": "de"})).text
    assert '<strong title="task_opened">Entscheidung erbeten</strong>' in german
