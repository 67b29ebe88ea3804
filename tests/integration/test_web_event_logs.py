"""The pages of event logs: looked at, mapped, imported, and a process that is suggested and opened as a draft."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest_asyncio
from sqlalchemy import func, select

from placet.sentences import sentence, sentences_in
from service.event_logs.stored import row_of
from storage.database import Database
from storage.queries import event_logs
from storage.tables.event_logs import EventLog
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.event_logs import as_csv, expense_rows
from tests.pages import browser_of, send
from tests.stored import reading
from tests.waiting import until

MAP: dict[str, str | list[str]] = {
    "map.case": "case",
    "map.activity": "activity",
    "map.timestamp": "at",
    "map.person": "user",
    "map.lifecycle": "",
    "map.attributes": ["amount", "department"],
}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2, event_log_bytes=500_000) as opened:
        yield opened


async def sent(desk: ApiDesk, content: bytes, step: str, **form: Any) -> httpx.Response:
    file = {"file": ("expenses.csv", content, "text/csv")}
    browser = await browser_of(desk, form.pop("person", "desi"))
    browser.headers.update(form.pop("headers", {}))
    return await send(browser, "/event-logs", files=file, step=step, **form)


async def imported(desk: ApiDesk, content: bytes, **form: Any) -> str:
    """Import a log, and return its address once it is read."""
    answer = await sent(desk, content, "import", **MAP | form)
    assert answer.status_code == 303, answer.text
    address = answer.headers["location"]

    async def ended() -> bool:
        return "data-running" not in (await page(desk, address))

    await until(ended, what="the log was read")
    return str(address)


async def page(desk: ApiDesk, address: str, person: str = "desi", *, status: int = 200, **headers: str) -> str:
    answer = await (await browser_of(desk, person)).get(address, headers=headers)
    assert answer.status_code == status, answer.text
    return html.unescape(answer.text)


def stored(desk: ApiDesk) -> int:
    with reading(desk.database) as session:
        return int(session.execute(select(func.count()).select_from(EventLog)).scalar_one())


async def test_a_file_is_looked_at_with_the_map_filled_in_and_nothing_is_stored(desk: ApiDesk) -> None:
    answer = await sent(desk, as_csv(expense_rows(20)), "preview")
    assert answer.status_code == 200, answer.text
    text = html.unescape(answer.text)
    for role, column in (("case", "case"), ("activity", "activity"), ("timestamp", "at"), ("person", "user")):
        field = text.partition(f'name="map.{role}"')[2].partition("</select>")[0]
        assert f'<option value="{column}" selected>' in field, field
    ticked = re.findall(r'name="map.attributes" value="(\w+)" checked', text)
    assert ticked == ["amount", "department"]
    assert "The whole file was read." in text
    assert "approves</td><td>Manager" in text  # what an activity is taken for
    assert 'name="name" value="expenses.csv"' in text
    assert stored(desk) == 0


async def test_a_map_that_names_what_is_no_column_is_refused_beside_the_map(desk: ApiDesk) -> None:
    for step in ("preview", "import"):
        answer = await sent(desk, as_csv(expense_rows(20)), step, **MAP | {"map.case": "caes"})
        assert answer.status_code == 422, answer.text
        text = html.unescape(answer.text)
        assert "did you mean 'case'?" in text.partition('id="f-map-case-error"')[2].partition("</p>")[0]
        assert '<option value="activity" selected>' in text  # the rest of the map stays
    assert stored(desk) == 0


async def test_a_file_that_cannot_be_read_or_is_missing_is_refused_in_words(desk: ApiDesk) -> None:
    broken = await sent(desk, b"<!DOCTYPE log []><log/>", "preview")
    assert (broken.status_code, "document type" in broken.text) == (422, True)
    unmapped = await sent(desk, b"a,b,c\n1,2,3\n", "preview")
    assert unmapped.status_code == 200
    assert "Say which columns are the case, the activity and the time" in unmapped.text
    nothing = await send(await browser_of(desk, "desi"), "/event-logs", step="preview")
    assert (nothing.status_code, "Choose a file first." in nothing.text) == (422, True)
    large = await sent(desk, b"x" * 1_600_000, "preview")
    assert large.status_code == 413
    assert (await sent(desk, as_csv(expense_rows(5)), "preview", person="audrey")).status_code == 403


async def test_a_log_is_imported_read_and_becomes_a_draft_with_its_fit(desk: ApiDesk) -> None:
    rows = expense_rows(300)
    address = await imported(desk, as_csv(rows), name="Expenses", key="one")
    again = await sent(desk, as_csv(rows), "import", **MAP | {"name": "Expenses", "key": "one"})
    assert again.headers["location"] == address  # a form that is sent twice imports one log
    assert stored(desk) == 1
    text = await page(desk, address, "audrey")
    people = len({row["user"] for row in rows})
    for label, number in (("Cases", "300"), ("Events", f"{len(rows):,}"), ("People", str(people))):
        assert f"<dt>{label}</dt><dd><strong>{number}</strong>" in text
    assert "Suggest a process</button>" not in text  # an auditor only reads
    assert "these activities are nobody's decision: Archived" in text
    assert "Expenses" in await page(desk, "/event-logs", "audrey")

    desi = await browser_of(desk, "desi")
    wrong = await send(desi, f"{address}/suggest", least="many")
    assert (wrong.status_code, "Enter a whole number from 1 to 100,000." in wrong.text) == (422, True)
    suggested = await send(desi, f"{address}/suggest", least="10")
    assert suggested.status_code == 200, suggested.text
    text = html.unescape(suggested.text)
    assert "90 of 90" in text
    assert "No later case differs from it." in text
    assert "<code>amount > 5000</code>" in text
    assert "Proved sound" in text
    blueprint = re.search(r'name="blueprint" value="([^"]+)"', suggested.text)
    assert blueprint is not None
    form = {"blueprint": html.unescape(blueprint[1]), "key": "two"}
    opened = [await send(desi, f"{address}/draft", **form) for _ in range(2)]
    assert {answer.status_code for answer in opened} == {303}
    draft = opened[0].headers["location"]
    assert opened[1].headers["location"] == draft
    kept = (await desk.get(f"/workflow/blueprint-drafts/{draft.rpartition('/')[2]}/", as_="desi")).json()
    assert kept["content"] == json.loads(form["blueprint"])
    assert (await send(desi, f"{address}/draft", blueprint="{")).status_code == 422

    removed = await send(desi, f"{address}/remove")
    assert removed.headers["location"] == "/event-logs?done=log_removed"
    assert stored(desk) == 0
    acts = (await desk.get("/workflow/admin-acts/?limit=50", as_="audrey")).json()["items"]
    assert [(act["kind"], act["way"]) for act in acts if act["kind"] != "login_link_made"] == [
        ("event_log_deleted", "page"), ("draft_created", "page"), ("event_log_imported", "page"),
    ]  # fmt: skip


async def test_deviations_of_later_cases_are_counted_and_shown(desk: ApiDesk) -> None:
    rows = expense_rows(300)
    odd = [row for row in rows if not (row["case"] in {"r290", "r291"} and "Manager" in row["activity"])]
    address = await imported(desk, as_csv(odd), name="Odd")
    text = html.unescape((await send(await browser_of(desk, "desi"), f"{address}/suggest", least="10")).text)
    counts = [int(one) for one in re.findall(r'</span></th><td class="right">(\d+)</td>', text)]
    assert sum(counts) == 90 - int(re.search(r"<span>(\d+) of 90</span>", text)[1])  # type: ignore[index]  # it is there
    assert counts
    assert 'class="missed"' in text


async def test_a_log_that_could_not_be_read_says_why_in_the_language_of_its_reader(desk: ApiDesk) -> None:
    why = sentence("a blueprint needs {fewest} cases that have ended, and there are {found}", fewest=10, found=3)
    row = row_of(
        log_id="l1", name="Odd", file_name="odd.csv", size=5, sha256="", mapped={}, by="desi", at=datetime.now(UTC)
    )
    await desk.database.write(event_logs.store, row)
    assert "data-running" in await page(desk, "/event-logs/l1")
    failed = {"status": "failed", "error": why, "words": sentences_in([why])}
    await desk.database.write(event_logs.finish, "l1", failed)
    assert why in await page(desk, "/event-logs/l1")
    text = await page(desk, "/event-logs/l1", **{"Accept-Language": "de"})
    assert "Es konnte nicht gelesen werden" in text
    assert why not in text


async def test_warnings_findings_and_deviations_are_german_for_german_readers(desk: ApiDesk) -> None:
    address = await imported(desk, as_csv(expense_rows(300)), name="Ausgaben")
    text = await page(desk, address, **{"Accept-Language": "de"})
    assert "diese Aktivitäten entscheidet niemand: Archived" in text
    assert "nobody's decision" not in text
    browser = await browser_of(desk, "desi")
    browser.headers["Accept-Language"] = "de"
    found = html.unescape((await send(browser, f"{address}/suggest", least="10")).text)
    assert "these activities decide nothing" not in found
    assert "Kein späterer Fall weicht davon ab." in found
