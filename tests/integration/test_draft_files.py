"""Files of a request that is not sent in yet: kept with the form, and on the request before anybody is asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select
from temporalio.client import Client

import service.requests
from placet.errors import Unavailable
from service.attachments import draft_files
from storage.database import Database
from storage.tables.request_drafts import DraftFile
from tests.api_desk import ApiDesk, context_of, working_desk
from tests.approvals import EXPENSE
from tests.clamd import EICAR, Clamd, clamd
from tests.pages import browser_of, send
from tests.stored import reading, writing

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
OTHER = PDF + b"%"


@pytest_asyncio.fixture
async def desk(database: Database, client: Client, tmp_path: Path) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client, attachments=str(tmp_path / "files"), attachment_bytes=5000) as opened:
        yield opened


class Form:
    """The form of a new request in the browser of somebody, without scripts."""

    def __init__(self, browser: httpx.AsyncClient, address: str, key: str) -> None:
        self.browser, self.address, self.key = browser, address, key
        self.page = ""

    async def send(self, step: str = "send", *files: tuple[str, bytes], **fields: str) -> httpx.Response:
        """Send the form as its page has it, with more files; a page that comes back is the next one to be sent."""
        shown = re.findall(r'name="draft_file" value="(\w+)"', self.page)
        sent = [("file", (name, content, "application/pdf")) for name, content in files] or [("file", ("", b"", None))]
        filled: dict[str, Any] = {"key": self.key, "step": step, "draft_file": shown, "input.amount": "10", **fields}
        answer = await send(self.browser, self.address, files=sent, **filled)
        if answer.status_code in {200, 422}:
            self.page = answer.text
        return answer

    @property
    def listed(self) -> list[str]:
        """Name the files that the page lists."""
        return re.findall(r'class="file-name">([^<]+)<', self.page)


async def form_of(desk: ApiDesk, as_: str = "ann", **settings: Any) -> Form:
    changes = {"settings": {**EXPENSE.get("settings", {}), "attachments": settings}} if settings else {}
    name = await desk.publish(EXPENSE, **changes)
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    template = next(one["id"] for one in listed if one["name"] == name)
    browser = await browser_of(desk, as_)
    address = f"/requests/new/{template}"
    key = re.search(r'name="key" value="([^"]+)"', (await browser.get(address)).text)
    assert key is not None
    return Form(browser, address, key[1])


async def request_of(desk: ApiDesk, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 303, answer.text
    ident = answer.headers["location"].partition("?")[0].rpartition("/")[2]
    return dict((await desk.get(f"/workflow/requests/{ident}/", as_="ann")).json())


async def files_of(desk: ApiDesk, request: dict[str, Any]) -> list[str]:
    listed = (await desk.get(f"/workflow/requests/{request['id']}/attachments/", as_="bob")).json()["items"]
    return [one["name"] for one in listed]


def stored(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "files").rglob("*") if path.is_file()}


def rows(database: Database) -> int:
    with reading(database) as session:
        return int(session.execute(select(func.count()).select_from(DraftFile)).scalar_one())


async def test_a_request_begins_with_the_files_of_its_form(desk: ApiDesk) -> None:
    form = await form_of(desk)
    request = await request_of(desk, await form.send("send", ("offer.pdf", PDF), ("plan.pdf", OTHER)))
    assert request["revision"] == 1
    timeline = (await desk.get(f"/workflow/requests/{request['id']}/timeline/", as_="bob")).json()["items"]
    assert [one["kind"] for one in timeline[:4]] == ["started", "attached", "attached", "task_opened"]
    assert timeline[1]["detail"]["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert timeline[0]["detail"]["content_digest"] == request["content_digest"]
    assert await files_of(desk, request) == ["offer.pdf", "plan.pdf"]
    found = await desk.get(f"/workflow/requests/{request['id']}/attachments/2/", as_="bob")
    assert found.content == OTHER
    verified = (await desk.get(f"/workflow/requests/{request['id']}/audit/verify/", as_="ann")).json()
    assert verified["ok"] is True
    assert rows(desk.database) == 0


async def test_a_file_with_malware_is_not_kept_with_a_form(database: Database, client: Client, tmp_path: Path) -> None:
    async with (
        clamd(Clamd()) as place,
        working_desk(database, client, attachments=str(tmp_path / "files"), clamd_url=place) as desk,
    ):
        form = await form_of(desk)
        answer = await form.send("attach", ("offer.pdf", PDF), ("plan.pdf", PDF + EICAR))
        assert (form.listed, "Eicar-Test-Signature" in answer.text) == (["offer.pdf"], True)
    assert (rows(database), len(stored(tmp_path))) == (1, 1)


async def test_files_outlive_a_refused_form_and_the_reload_of_the_page(desk: ApiDesk) -> None:
    form = await form_of(desk)
    refused = await form.send("send", ("offer.pdf", PDF), **{"input.amount": "-1"})
    assert (refused.status_code, form.listed) == (422, ["offer.pdf"])
    again = await form.browser.get(f"{form.address}?draft={form.key}")
    assert "offer.pdf" in again.text
    assert f'name="key" value="{form.key}"' in again.text
    offered = await form.browser.get(form.address)
    assert "You chose a file for this process" in offered.text
    assert f"?draft={form.key}" in offered.text
    request = await request_of(desk, await form.send())
    assert await files_of(desk, request) == ["offer.pdf"]
    assert "You chose a file" not in (await form.browser.get(form.address)).text
    there = await form.browser.get(f"{form.address}?draft={form.key}")
    assert (there.status_code, there.headers["location"]) == (303, f"/requests/{request['id']}")


async def test_files_are_added_and_removed_before_the_form_is_sent(desk: ApiDesk) -> None:
    form = await form_of(desk)
    kept = await form.send("attach", ("offer.pdf", PDF), ("plan.pdf", OTHER), title="Chairs")
    assert (kept.status_code, form.listed) == (200, ["offer.pdf", "plan.pdf"])
    assert 'value="Chairs"' in form.page
    first = re.findall(r'value="(remove:\w+)"', form.page)[0]
    await form.send(first)
    assert form.listed == ["plan.pdf"]
    assert await files_of(desk, await request_of(desk, await form.send())) == ["plan.pdf"]


async def test_a_script_uploads_files_one_by_one_and_gets_the_list(desk: ApiDesk) -> None:
    form = await form_of(desk)
    for name, content in (("offer.pdf", PDF), ("plan.pdf", OTHER), ("plan.pdf", OTHER)):
        answer = await send(
            form.browser, f"{form.address}/files", files={"file": (name, content, "application/pdf")}, key=form.key
        )
        assert answer.status_code == 200, answer.text
        form.page = answer.text
    assert form.listed == ["offer.pdf", "plan.pdf"]
    assert "<html" not in form.page
    assert await files_of(desk, await request_of(desk, await form.send())) == ["offer.pdf", "plan.pdf"]


@pytest.mark.parametrize(
    ("settings", "files", "says"),
    [
        ({"types": ["image/*"]}, [("offer.pdf", PDF)], "The type of the file is not taken."),
        ({"max_bytes": 20}, [("offer.pdf", PDF)], "What was sent is too large."),
        ({"max_files": 1}, [("offer.pdf", PDF), ("plan.pdf", OTHER)], "No more files can be added."),
        ({"max_files": 2}, [("offer.pdf", b"<!doctype html><html>")], "The type of the file is not taken."),
    ],
)
async def test_a_file_that_the_process_does_not_take_keeps_the_form_with_the_other_files(
    desk: ApiDesk, settings: dict[str, Any], files: list[tuple[str, bytes]], says: str
) -> None:
    form = await form_of(desk, **settings)
    answer = await form.send("send", *files, title="Chairs")
    assert (answer.status_code, form.listed) == (422, [name for name, _ in files[:-1]])
    assert says in form.page
    assert files[-1][0] in form.page
    assert 'value="Chairs"' in form.page


async def test_what_the_page_shows_is_what_is_sent(desk: ApiDesk) -> None:
    form = await form_of(desk)
    await form.send("attach", ("offer.pdf", PDF))
    with_offer = form.page
    await form.send(re.findall(r'value="(remove:\w+)"', form.page)[0])
    form.page = with_offer  # of another tab, in which it still stands
    refused = await form.send()
    assert refused.status_code == 422
    assert "A file that stood here is gone." in refused.text
    assert await files_of(desk, await request_of(desk, await form.send())) == []


async def test_nobody_else_gets_at_the_files_of_a_form(desk: ApiDesk) -> None:
    form = await form_of(desk)
    await form.send("attach", ("offer.pdf", PDF))
    other = await browser_of(desk, "bob")
    assert "offer.pdf" not in (await other.get(f"{form.address}?draft={form.key}")).text
    await send(other, f"{form.address}/files", key=form.key, step="discard")
    await form.send("attach")
    assert form.listed == ["offer.pdf"]


@pytest.mark.parametrize("when", ["before the engine has it", "before it is answered", "before the form is forgotten"])
async def test_a_form_that_was_cut_off_goes_on_with_its_files(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    form = await form_of(desk)
    start = service.requests.engine.start

    async def cut_off(*given: Any) -> None:
        if when != "before the engine has it":
            await start(*given)
        raise Unavailable("the process was killed")

    def forgets(*_: Any) -> None:
        raise RuntimeError("the process was killed")

    with monkeypatch.context() as cut:
        if when == "before the form is forgotten":
            cut.setattr("storage.queries.requests.draft_files.forget", forgets)
        else:
            cut.setattr("service.requests.engine.start", cut_off)
        assert (await form.send("send", ("offer.pdf", PDF))).status_code >= 500
    again = await form.send("send", ("offer.pdf", PDF))
    request = await request_of(desk, again)
    assert await files_of(desk, request) == ["offer.pdf"]
    mine = (await desk.get("/workflow/requests/?limit=500", as_="ann")).json()["items"]
    assert [one["id"] for one in mine].count(request["id"]) == 1
    assert len([one for one in mine if one["template"] == request["template"]]) == 1


async def test_files_that_nobody_sent_in_are_deleted_and_those_on_record_stay(desk: ApiDesk, tmp_path: Path) -> None:
    sent, left = await form_of(desk), await form_of(desk)
    await left.send("attach", ("left.pdf", OTHER))
    request = await request_of(desk, await sent.send("send", ("offer.pdf", PDF)))
    # As if the process had ended before it could forget that the file was chosen.
    context = context_of(desk)
    now = context.now()
    facts: dict[str, Any] = {"name": "offer.pdf", "media_type": "application/pdf", "size": len(PDF)}
    row = DraftFile(
        id="r",
        request_id=request["id"],
        person="ann",
        template="t",
        form_key=sent.key,
        sha256=hashlib.sha256(PDF).hexdigest(),
        uploaded_at=now,
        touched_at=now,
        **facts,
    )
    with writing(desk.database) as session:
        session.add(row)
    await draft_files.clean_up(context)
    assert rows(desk.database) == 2  # their time has not come
    ahead = replace(context, clock=lambda: now + timedelta(days=8))
    await draft_files.clean_up(ahead)
    assert rows(desk.database) == 2  # dropped, and kept for a while for whoever is just sending them
    assert "left.pdf" not in (await left.browser.get(f"{left.address}?draft={left.key}")).text
    await draft_files.clean_up(replace(context, clock=lambda: now + timedelta(days=8, hours=2)))
    assert rows(desk.database) == 0
    assert stored(tmp_path) == {hashlib.sha256(PDF).hexdigest()}
    assert await files_of(desk, request) == ["offer.pdf"]
