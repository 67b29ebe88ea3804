"""One `placet up` for all tests of the HTTP contract, which each use processes of their own names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.api_desk import warm_pool
from tests.browser import Visitors
from tests.contract import Placet, opened

__all__ = ["browser", "placet", "visit", "warm_pool"]


@pytest.fixture(scope="package")
def placet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placet]:
    """Give a running installation with people in it, which ends before other tests need the processors."""
    with opened(tmp_path_factory.mktemp("contract") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give Debian's Chromium."""
    program = shutil.which("chromium")
    assert program is not None, "install Debian's chromium; tests/machine.sh does"
    expect.set_options(timeout=30_000)  # a page waits for proofs and simulations, on machines that do other work
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser, placet: Placet, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Visitors]:
    """Give browsers for people; what each showed last is kept as a picture in the folder of the test."""
    visitors = Visitors(browser=browser, placet=placet)
    yield visitors
    complaints = [one for visitor in visitors.every for one in visitor.complaints]
    for number, visitor in enumerate(visitors.every, start=1):
        visitor.page.screenshot(path=tmp_path / f"last-page-{number}.png")
        visitor.picture(f"{request.node.name} {number}")
        visitor.page.context.close()
    assert complaints == []
