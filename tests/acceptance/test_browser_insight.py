"""SLAs, breaches, event logs and mined suggestions in a real browser, also on a phone and in the dark."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import Connection, insert

from storage.database import Database
from storage.tables.slas import SlaBreach, SlaExecution
from tests.browser import MAX, SCRIPT, Visitors, choose_process, started
from tests.contract import BLUEPRINT, Placet, open_tasks
from tests.event_logs import as_csv, expense_rows
from tests.stored_past import Script, store_past
from tests.waiting import poll

LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützen of the second reading wait " * 2


def store(placet: Placet, *models: Any) -> None:
    """Store rows beside everybody who works on the installation."""
    work_beside(placet, lambda connection: [connection.execute(insert(type(m)), [m.model_dump()]) for m in models])


def work_beside(placet: Placet, work: Callable[[Connection], Any]) -> None:
    """Do something in a transaction on the database of the installation, on a thread without the loop of a browser."""

    async def opened() -> None:
        database = Database(placet.place._settings.database)
        try:
            await database.write(work)
        finally:
            await database.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, opened()).result()


def executions(sla_id: str, late: int, kept: int) -> list[SlaExecution]:
    now = datetime.now(UTC)
    return [
        SlaExecution(
            sla_id=sla_id, request_id=f"{sla_id}-{n}", visit=1, began_at=now - timedelta(days=2),
            ended_at=now - timedelta(minutes=30 * n), actual_seconds=10, breached=n < late,
            known_at=now - timedelta(minutes=30 * n + 1), head="h",
        )
        for n in range(late + kept)
    ]  # fmt: skip


def cfo_refuses_often(number: int) -> Script:
    return [{"stage": "CFO Approval", "decision": "reject"}] if number % 3 == 0 else []


def breach(sla: dict[str, Any], request: dict[str, Any], number: int = 0, **more: Any) -> SlaBreach:
    now = datetime.now(UTC)
    facts: dict[str, Any] = {
        "id": f"br-{sla['id']}-{number}", "sla_id": sla["id"], "sla_name": sla["name"], "template": sla["template"],
        "request_id": request["id"], "visit": number, "severity": "warning", "target_duration_seconds": 86_400,
        "threshold_seconds": 86_400, "actual_duration_seconds": 129_600, "breached_at": now - timedelta(hours=number),
        "recorded_at": now, "owner": "user:olivia",
    }  # fmt: skip
    return SlaBreach(**facts | more)


def test_an_sla_is_added_by_keyboard_on_a_phone_and_its_breach_acknowledged_in_place(
    placet: Placet, visit: Visitors
) -> None:
    name = placet.publish(placet.process(MAX))
    olivia = visit("olivia", width=360)
    page = olivia.go("/slas")
    findings = olivia.findings("SLAs on a phone")
    page.get_by_role("link", name="Add an SLA").first.press("Enter")
    page.get_by_label("Which process is it about?").select_option(name)
    page.get_by_role("button", name="Next").press("Enter")
    page.get_by_label("Name").fill("Within half a second")
    page.get_by_label("Target: it takes at most").fill("soon")
    page.get_by_role("button", name="Add", exact=True).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Enter a duration up to five years")
    findings += olivia.findings("a wrong SLA on a phone")
    page.get_by_label("Target: it takes at most").fill("0.5 s")
    page.get_by_label("Critically late after").fill("1 s")
    page.get_by_role("button", name="Add", exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Within half a second")
    expect(page.get_by_text("Nothing has ended in this window, so nothing is known.").first).to_be_visible()
    findings += olivia.findings("an SLA without data on a phone")
    sla = page.url.partition("?")[0].rpartition("/")[2]

    request = placet.start(name, title=f"{SCRIPT} A late one")
    # The open list is told of it by itself: the badge in the bar is hidden on a phone, and stands on the tab.
    page.goto(f"{olivia.base}/breaches?sla={sla}&severity=critical")
    poll(lambda: page.reload() and page.locator("[data-row-id]").count(), what="a breach on the page")
    row = page.locator("[data-row-id]").first
    expect(row).to_contain_text("Critically late")
    expect(row.get_by_role("link", name="A late one")).to_have_attribute("href", f"/requests/{request['id']}")
    findings += olivia.findings("breaches on a phone")
    row.get_by_text("Acknowledge…").press("Enter")
    row.get_by_label("Note").fill("Nobody is so quick.")
    findings += olivia.findings("acknowledging on a phone")
    row.get_by_role("button", name="Acknowledge it").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Nobody is mailed about it any more.")
    expect(page.locator("[data-row-id]").first).to_contain_text("acknowledged by Olivia")
    expect(page.locator("[data-row-id]").first).to_contain_text("Nobody is so quick.")
    placet.decide("max", open_tasks(request)["max"])
    assert findings == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1400, "light"), (1400, "dark")])
def test_a_window_with_long_names_is_whole_and_readable_without_colour(
    placet: Placet, visit: Visitors, width: int, scheme: Any
) -> None:
    process = placet.publish(placet.process(MAX) | {"name": f"{placet.name()} {LONG}"[:100].strip()})
    body = {"name": f"{SCRIPT} {LONG}"[:200], "template": process, "target_duration_seconds": 86_400}
    sla = placet.post("olivia", "workflow-slas/", body | {"slo_target_percentage": 90}, expect=201)
    request = placet.start(process, title=f"{SCRIPT} {LONG}")
    others = [
        breach(
            sla, request, 1, severity="critical", notes=LONG, acknowledged_by="ada", acknowledged_at=datetime.now(UTC)
        ),
        breach(sla, request, 2, stage=LONG[:80], task_id=request["tasks"][0]["id"]),
    ]
    store(placet, *executions(sla["id"], 3, 37), breach(sla, request), *others)
    ada = visit("ada", width=width, color_scheme=scheme)
    page = ada.go(f"/slas?process={process}")
    row = page.locator(f'[data-row-id="{sla["id"]}"]')
    expect(row).to_contain_text("3 of 40 missed it")
    expect(row).to_contain_text("At risk")
    findings = ada.findings(f"SLAs {scheme}")
    page = ada.go(f"/slas/{sla['id']}")
    chart = page.get_by_role("img", name="3 of 40 executions have missed the target")
    expect(chart).to_be_visible()
    assert chart.locator("rect.missed").count() > 0
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("region", name="Table of the window").locator("tbody tr")).to_have_count(24)
    findings += ada.findings(f"an SLA {scheme}")
    page = ada.go(f"/slas/{sla['id']}/edit")
    findings += ada.findings(f"changing an SLA {scheme}")
    page = ada.go(f"/breaches?sla={sla['id']}")
    expect(page.locator("[data-row-id]")).to_have_count(3)
    expect(page.locator("[data-row-id]").last).to_contain_text("acknowledged by Ada")
    findings += ada.findings(f"breaches {scheme}")
    ada.go(f"/breaches/br-{sla['id']}-2")
    findings += ada.findings(f"a breach {scheme}")
    aud = visit("aud", width=width, color_scheme=scheme)
    page = aud.go(f"/breaches?sla={sla['id']}&acknowledged=no")
    expect(page.get_by_role("button", name="Acknowledge").first).to_be_disabled()
    findings += aud.findings(f"breaches for an auditor {scheme}")
    assert findings == []


def test_the_bar_says_at_once_how_many_breaches_wait_for_their_owner(placet: Placet, visit: Visitors) -> None:
    name = placet.publish(placet.process(MAX, owner="user:carla"))
    sla = placet.post(
        "olivia", "workflow-slas/", {"name": "Soon", "template": name, "target_duration_seconds": 86_400}, expect=201
    )
    request = placet.start(name)
    store(placet, breach(sla, request, owner="user:carla"), breach(sla, request, 1, owner="user:carla"))
    carla = visit("carla")
    badge = carla.page.locator("#breach-badge")
    expect(badge).to_contain_text("2")
    assert carla.findings("an inbox with breaches") == []
    page = carla.go("/breaches")
    expect(page.locator("[data-row-id]")).to_have_count(2)
    page.set_viewport_size({"width": 360, "height": 900})  # a phone has less room, and the rest of the pages in a menu
    menu = page.locator("summary", has_text="More pages")
    expect(menu.locator("[data-breaches]")).to_contain_text("2")
    menu.press("Enter")
    assert carla.findings("the menu of a phone") == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Service levels")).to_be_hidden()
    expect(menu).to_be_focused()
    menu.click()
    expect(page.get_by_role("link", name="Service levels")).to_be_visible()
    page.get_by_role("heading", level=1).click()  # beside it
    expect(page.get_by_role("link", name="Service levels")).to_be_hidden()
    menu.press("Enter")
    page.get_by_role("link", name="Service levels").press("Enter")
    page.wait_for_url("**/slas")
    placet.decide("max", open_tasks(request)["max"])


def test_forecasts_are_put_into_lists_after_they_were_sent(placet: Placet, visit: Visitors) -> None:
    started(placet, "With a forecast")
    findings = []
    for person, address in (("rita", "/requests"), ("max", "/?sort=age")):
        visitor = visit(person, width=360)
        page = visitor.go(address)
        expect(page.locator("[data-forecast]").first).to_have_text("too few past requests for a forecast")
        findings += visitor.findings(f"forecasts in {address}")
    assert findings == []


@pytest.mark.parametrize("scripts", [True, False])
def test_an_event_log_is_looked_at_imported_and_opened_as_a_draft(
    placet: Placet, visit: Visitors, tmp_path: Path, scripts: bool
) -> None:
    file = tmp_path / "expenses.csv"
    file.write_bytes(as_csv([row | {"office": LONG[:60]} for row in expense_rows(200)]))
    olivia = visit(
        "olivia", width=360 if scripts else 1400, scripts=scripts, color_scheme="dark" if scripts else "light"
    )

    def look(name: str) -> list[str]:  # axe is a script itself, and would wait for ever where none runs
        return olivia.findings(name) if scripts else []

    page = olivia.go("/event-logs")
    findings = look("event logs")
    page.get_by_role("link", name="Import an event log").first.press("Enter")
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Look at it").press("Enter")
    expect(page.locator("[name='map.case']")).to_have_value("case")
    expect(page.get_by_label("amount")).to_be_checked()
    expect(page.get_by_role("heading", name="What the file holds by that")).to_be_visible()
    findings += look("a preview")
    page.get_by_label("Name").fill(f"{SCRIPT} {LONG}"[:150])
    if not scripts:  # a browser without scripts does not keep it
        page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Import it").press("Enter")
    page.wait_for_url("**/event-logs/*")
    suggest = page.get_by_role("button", name="Suggest a process")
    if scripts:  # the page goes on by itself
        expect(suggest).to_be_visible()
    else:
        poll(lambda: page.reload() and suggest.count(), what="the log was read")
    expect(page.get_by_text("these activities are nobody's decision: Archived")).to_be_visible()
    findings += look("an event log")
    suggest.press("Enter")
    expect(page.get_by_role("img", name="How later cases fit the suggested process")).to_be_visible(timeout=60_000)
    findings += look("a process from a log")
    page.get_by_role("button", name="Open it as a draft").press("Enter")
    page.wait_for_url("**/drafts/log-*")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert findings == []


def test_what_was_mined_goes_through_the_pages_to_a_published_version_and_a_running_request(
    placet: Placet, visit: Visitors
) -> None:
    name = placet.publish({**BLUEPRINT, "name": placet.name()})
    given = [{"amount": str(6000 + number), "department": "it"} for number in range(120)]

    async def past() -> None:
        database = Database(placet.place._settings.database)
        start = datetime.now(UTC) - timedelta(days=20)
        await store_past(database, name, given, start=start, script=cfo_refuses_often, requester="rita")
        await database.close()

    with ThreadPoolExecutor(1) as thread:  # where no browser has its loop
        thread.submit(asyncio.run, past()).result()
    olivia = visit("olivia", locale="de-DE")
    page = olivia.go(f"/suggestions?process={name}")
    choose_process(page, name)
    page.get_by_role("button", name="Vorschläge suchen").press("Enter")
    expect(page.locator(".alert").first).to_be_visible(timeout=120_000)
    findings = olivia.findings("mined suggestions in German")
    page = olivia.go(f"/suggestions?process={name}&type=auto_approval")
    page.locator("[data-open-row]").first.press("Enter")
    expect(page.get_by_role("heading", name="Nachweise")).to_be_visible()
    findings += olivia.findings("a mined suggestion in German")
    page.get_by_role("link", name="Annehmen …").press("Enter")
    page.get_by_label("Anmerkungen").fill("Genehmigt wird ohnehin.")
    page.get_by_role("button", name="Annehmen").press("Enter")
    page.wait_for_url("**/drafts/suggestion-*")
    olivia.go(f"{page.url.partition('?')[0].removeprefix(olivia.base)}/publish")
    page.get_by_role("button", name="Veröffentlichen", exact=True).press("Enter")
    page.wait_for_url("**/move*")
    rita = visit("rita")
    page = rita.go(f"/requests/new?q={name}")  # of all processes it shows a page
    page.get_by_role("link", name=name).first.press("Enter")
    page.get_by_label("Amount").fill("7200")
    page.get_by_role("button", name="Ask for approval").press("Enter")
    page.wait_for_url("**/requests/*done=start*")
    request = placet.get("ada", f"requests/?template={name}&status=pending")["items"][0]
    assert request["version"] != "1.0.0"
    assert {task["stage"] for task in request["tasks"]} == {"CFO Approval"}  # nobody asks the manager any more
    assert findings == []
