"""What the inbox says of a task in its row, and its page of what is needed to decide it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from storage.database import Database
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


@dataclass(frozen=True, kw_only=True)
class Records:
    """Requests that are recorded for one version of a process; no engine knows of them."""

    desk: ApiDesk
    name: str
    template_id: str

    def keep(self, story: Story, title: str, **more: Any) -> None:
        """Record what happened to a request so far, as one event."""
        about = {"title": title, "requester": "ann", "template": self.name, "template_id": self.template_id}
        given = {"amount": "1250.5", "note": "For <b>two</b>", "secret": "Not in lists"}
        with writing(self.desk.database) as session:
            write(session, replace(story, first=1).recording(input=given, **about, **more), datetime.now(UTC))


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


@pytest_asyncio.fixture
async def records(desk: ApiDesk) -> Records:
    name = await desk.publish(PROCESS, owner="user:desi")
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    records = Records(desk=desk, name=name, template_id=next(one["id"] for one in listed if one["name"] == name))
    records.keep(Story(request_id="r0").open("bob").decide(decision="reject"), "Chairs, the year before")
    records.keep(Story(request_id="r1").open("bob"), "Chairs")
    return records


async def page_of(desk: ApiDesk, person: str, path: str) -> str:
    answer = await (await browser_of(desk, person)).get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


async def test_a_row_leads_with_title_requester_amount_and_what_the_process_names(
    desk: ApiDesk, records: Records
) -> None:
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
    desk: ApiDesk, records: Records, state: str, word: str
) -> None:
    story = Story(request_id="r2").open("bob")
    judged: Any = "ok" if state == "none" else state
    task = replace(story.tasks[0], sla_state=judged, due_at=None if state == "none" else story.tasks[0].due_at)
    records.keep(story, "Late?", tasks=(task,))
    row = next(one for one in (await page_of(desk, "bob", "/?q=Late")).split('<li class="row')[1:] if "Late?" in one)
    assert re.search(rf'class="sla sla-{state}"><svg[^>]*><use href="[^"]*#sla-{state}"/></svg><span>{word}<', row), row
    assert f"sla-edge-{state}" in row


async def test_the_page_of_a_task_says_how_similar_requests_ended_and_what_the_policy_is(
    desk: ApiDesk, records: Records
) -> None:
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
async def test_a_button_that_cannot_be_used_says_why(desk: ApiDesk, records: Records, person: str, why: str) -> None:
    page = unescape(await page_of(desk, person, "/tasks/r1.1"))
    assert re.search(rf'<p class="refused" id="refused">.*{why}', page)
    buttons = re.findall(r'<button name="decision"[^>]*>', page)
    assert len(buttons) == 4
    assert all('disabled aria-describedby="refused" title="' in one and why in one for one in buttons)
    assert "disabled" not in re.findall(r'<button name="decision"[^>]*>', await page_of(desk, "bob", "/tasks/r1.1"))[0]


async def test_what_an_agent_did_is_told_as_an_agents(desk: ApiDesk, records: Records) -> None:
    said = Story(request_id="r3").open("bob").moved(timedelta(hours=1))
    said = said._add("commented", actor="user:bob", text="Hm.", actor_type="agent").comment("And a person.", by="carl")
    records.keep(said, "By an agent")
    for path in ("/requests/r3", "/requests/r3/audit"):
        page = await page_of(desk, "bob", path)
        assert "Bob (Agent)" in page, path
        assert "Carl (" not in page
