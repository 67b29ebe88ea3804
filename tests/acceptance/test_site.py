"""The documentation site: built once, opened from the file system in a real browser, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from docs.site import navigation
from docs.site.build import build
from docs.site.pages import for_site

ROOT = Path(__file__).parents[2]
BROKEN_IMAGES = "[...document.images].filter(one => one.complete && !one.naturalWidth).map(one => one.src)"
LOOKED_AT = ("index.html", "tutorial.html", "reference/errors.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, in which the generator warns of nothing."""
    return build(tmp_path_factory.mktemp("site"))


@pytest.fixture
def page(browser: Browser, site: Path) -> Iterator[Page]:
    """Give a browser on the start page; nothing that it shows comes from elsewhere, and no script fails."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: asked.append(f"https: {error}"))
    page.goto((site / "index.html").as_uri())
    yield page
    context.close()
    assert [url for url in asked if not re.match(r"file:|data:|blob:", url)] == []


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (360, "dark")])
def test_pages_fit_the_window_and_are_readable(page: Page, site: Path, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    for name in LOOKED_AT:
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(BROKEN_IMAGES) == []
    page.goto((site / "tutorial.html").as_uri())
    found = Axe().run(page, context=".md-content").response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []


def test_search_finds_a_setting_by_keyboard_without_a_server(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("PLACET_LOG_WITNESSES")
    expect(page.get_by_text(re.compile(r"^\d+ results$"))).to_be_visible()
    found = page.locator("a[href*='h=PLACET_LOG_WITNESSES']").first  # until then they are those of a word half typed
    expect(found).to_have_attribute("href", re.compile(r"(settings|operations|trust)\.html"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"(settings|operations|trust)\.html"))


def test_tab_reaches_the_navigation(page: Page) -> None:
    reached: list[str] = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText.trim()"))
    assert {"Skip to content", "Tutorial", "How-to guides", "Reference", "Explanation"} <= set(reached)


def test_the_reference_has_every_page_of_the_code(site: Path) -> None:
    made = {file.stem for file in (site / "reference").glob("*.html")}
    assert made >= {"settings", "commands", "api", "shapes", "errors", "events", "metrics", "blueprints"}
    for name, text in {
        "settings": "PLACET_LOG_WITNESSES",
        "commands": "placet people export",
        "errors": "urn:placet:problem:reauthentication-required",
        "events": "request.decision_undone",
        "metrics": "workflow_escalation_duration_seconds",
        "blueprints": "SubprocessNode",
        "api/tasks": "/api/v1/workflow/tasks/{task_id}/decide/",
    }.items():
        assert text in (site / "reference" / f"{name}.html").read_text(), name


def test_a_page_without_a_place_in_the_navigation_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A")
    (tmp_path / "b.md").write_text("# B")
    assert navigation.pages_without_a_place('[project]\nnav = [{ "A" = "a.md" }]', tmp_path) == ["b.md"]


def test_a_link_out_of_the_documents_becomes_the_name_of_its_file() -> None:
    text = "[the core](../placet/errors.py), [decisions](decisions/), [why](../CONTRIBUTING.md#x), `[a](../b.py)`"
    shown = for_site(text, ROOT / "docs" / "page.md", ROOT)
    assert shown == (
        "the core (`placet/errors.py`), [decisions](decisions/index.md), [why](contributing.md#x), `[a](../b.py)`"
    )
