"""Evidence packs in a real browser: ordered on a phone by keyboard, downloaded, and verified offline."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import expect
from typer.testing import CliRunner

from cli.main import app
from tests.browser import AMOUNT, MAX, Visitors
from tests.contract import Placet, open_tasks

LONG = "Approval of travel expenses of all subsidiaries within and outside of the European Union "


def decided(placet: Placet, count: int) -> str:
    """Have requests decided, and return the name of their process, which is long."""
    blueprint = placet.process(MAX, variables=AMOUNT)
    blueprint["name"] = f"{LONG}{blueprint['name']}"
    name = placet.publish(blueprint)
    for number in range(count):
        request = placet.start(name, given={"amount": "120"}, title=f"Trip {number}")
        (task,) = open_tasks(request).values()
        placet.decide("max", task)
    return name


def test_an_auditor_orders_a_pack_by_keyboard_on_a_phone_and_it_verifies_offline(
    placet: Placet, visit: Visitors, tmp_path: Path
) -> None:
    name = decided(placet, 3)
    visitor = visit("aud", width=360)
    page = visitor.go("/me")
    page.get_by_role("link", name="Evidence for auditors").last.click()
    assert visitor.findings("evidence, none yet") == []
    today = datetime.now(UTC)
    page.get_by_label("Process").select_option(name)
    page.get_by_label("First day").fill((today - timedelta(days=2)).date().isoformat())
    page.get_by_label("Last day").fill((today + timedelta(days=2)).date().isoformat())
    page.get_by_label("Requests in the sample").fill("2000")
    page.get_by_label("Seed").focus()
    page.keyboard.type("audit of march")
    page.keyboard.press("Enter")
    expect(page.locator(".field.wrong")).to_contain_text("Enter a number from 0 to 1000.")
    assert visitor.findings("evidence, refused") == []
    page.get_by_label("Requests in the sample").fill("2")
    page.get_by_label("Include the attached files").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toast]")).to_have_text("Ordered. The pack is being made.")
    row = page.locator("li.row").filter(has_text="audit of march")
    for _ in range(200):
        if row.get_by_text("Ready", exact=True).count():
            break
        page.reload()
    expect(row).to_contain_text("3 requests")
    expect(row).to_contain_text("2 sampled")
    row.get_by_text("To verify it").click()
    key = row.locator("code").first.inner_text()
    assert visitor.findings("evidence, ready") == []
    with page.expect_download() as downloading:
        row.get_by_role("link", name="Download").press("Enter")
    file = tmp_path / "pack.zip"
    downloading.value.save_as(file)
    assert downloading.value.suggested_filename.endswith(".zip")
    said = CliRunner().invoke(app, ["verify", "--evidence", str(file), "--key", key, "--json"])
    assert (said.exit_code, json.loads(said.stdout)["faults"]) == (0, []), said.output


def test_the_page_reads_well_on_a_wide_screen_in_the_dark_and_in_german(placet: Placet, visit: Visitors) -> None:
    name = decided(placet, 1)
    visitor = visit("ada", color_scheme="dark", locale="de-DE")
    page = visitor.go("/evidence")
    page.get_by_label("Prozess").select_option(name)
    page.get_by_label("Startwert").fill("ein Startwert")
    page.get_by_role("button", name="Paket bestellen").click()
    expect(page.get_by_text("ein Startwert")).to_be_visible()
    assert visitor.findings("evidence in german, dark") == []


def test_the_page_is_for_auditors_and_admins_alone(placet: Placet, visit: Visitors) -> None:
    assert placet.tokens["rita"]
    page = visit("rita").go("/me")
    expect(page.get_by_role("link", name="Evidence for auditors")).to_have_count(0)
    page.goto(f"{visit.placet.where['api']}/evidence")
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Evidence for auditors")
