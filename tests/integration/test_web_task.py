"""What the inbox says of a task in its row, and its page of what is needed to decide it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from storage.database import Database
from storage.tables.approvals import ApprovalRequest
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.integration.recordings import Story, write
from tests.pages import browser_of
from tests.stored import writing
from tests.unit.core import blueprint

STEP = {"stage_name": "Manager Approval", "approvers": ["user:bob"], "description": "At most 50 a person."}
PROCESS = blueprint(
    STEP,
    variables=[
        {"name": "amount", "type": "decimal", "currency": "EUR"},
        {"name": "note", "type": "string"},
        {"name": "secret", "type": "string"},
    ],
    settings={"summary": ["note"]},
)


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        name = await opened.publish(PROCESS, owner="user:desi")
        listed = (await opened.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
        template = next(one["id"] for one in listed if one["name"] == name)
        given = {"amount": "1250.5", "note": "For <b>two</b>", "secret": "Not in lists"}
        with writing(database) as session:
            ended = replace(Story(request_id="r0").open("bob").decide(decision="reject"), first=1)
            for story, title in ((ended, "Chairs, the year before"), (Story(request_id="r1").open("bob"), "Chairs")):
                about: dict[str, Any] = {"title": title, "requester": "ann", "template": name, "input": given}
                write(session, story.recording(**about), datetime.now(UTC))
            session.execute(update(ApprovalRequest).values(template_id=template))
        yield opened


async def page_of(desk: ApiDesk, person: str, path: str) -> str:
    answer = await (await browser_of(desk, person)).get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


async def test_a_row_leads_with_title_requester_amount_and_what_the_process_names(desk: ApiDesk) -> None:
    page = await page_of(desk, "bob", "/")
    places = [
        page.index(text) for text in (">Chairs</a>", ">Ann<", "€1,250.50", "For &lt;b&gt;two", ">due ", ">asked ")
    ]
    assert places == sorted(places)
    assert "Not in lists" not in page


@pytest.mark.parametrize(
    ("state", "word"), [("ok", "On time"), ("warning", "Due soon"), ("breached", "Overdue"), ("none", "No deadline")]
)
async def test_the_state_of_a_deadline_is_a_word_a_shape_and_a_colour(
    desk: ApiDesk, database: Database, state: str, word: str
) -> None:
    with writing(database) as session:
        story = Story(request_id="r2").open("bob")
        due = None if state == "none" else story.tasks[0].due_at
        judged: Any = "ok" if state == "none" else state
        task = replace(story.tasks[0], sla_state=judged, due_at=due)
        write(session, story.recording(title="Late?", requester="ann", tasks=(task,)), datetime.now(UTC))
    row = next(one for one in (await page_of(desk, "bob", "/?q=Late")).split('<li class="row')[1:] if "Late?" in one)
    assert re.search(rf'class="sla sla-{state}"><svg[^>]*><use href="[^"]*#sla-{state}"/></svg><span>{word}<', row), row
    assert f"sla-edge-{state}" in row


async def test_the_page_of_a_task_says_how_similar_requests_ended_and_what_the_policy_is(desk: ApiDesk) -> None:
    page = await page_of(desk, "bob", "/tasks/r1.1")
    assert "Earlier requests of Ann" in page
    similar = page[page.index("Earlier requests of Ann") :].partition("</section>")[0]
    assert "Chairs, the year before" in similar
    assert "Rejected" in similar
    assert "€1,250.50" in similar
    assert "At most 50 a person." in page
    assert "Not in lists" in page


@pytest.mark.parametrize(
    ("person", "why"),
    [("ann", "Nobody decides their own request."), ("adam", "This task is for Bob."), ("audrey", "does not include")],
)
async def test_a_button_that_cannot_be_used_says_why(desk: ApiDesk, person: str, why: str) -> None:
    page = unescape(await page_of(desk, person, "/tasks/r1.1"))
    assert re.search(rf'<p class="refused" id="refused">.*{why}', page)
    buttons = re.findall(r'<button name="decision"[^>]*>', page)
    assert len(buttons) == 3
    assert all('disabled aria-describedby="refused" title="' in one and why in one for one in buttons)
    assert "disabled" not in re.findall(r'<button name="decision"[^>]*>', await page_of(desk, "bob", "/tasks/r1.1"))[0]
