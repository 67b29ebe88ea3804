"""Browsers of people, as tests of the pages use them.

Every page that a test opens is listened to: an error in the console, of a script or of the Content-Security-Policy, or
a dialog that a script opens, is a complaint, which fails the test.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page

from tests.contract import Placet

SCRIPT = "<script>alert('x')</script><b>bold</b>"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
AMOUNT: list[dict[str, Any]] = [
    {"name": "amount", "type": "decimal", "required": True, "currency": "EUR", "minimum": 0},
    {"name": "reason", "type": "string", "max_length": 500},
    {"name": "first_day", "type": "date"},
]
MAX: dict[str, Any] = {"stage_name": "Manager", "approvers": ["user:max"], "sla_hours": 8, "description": "Be frugal."}


@dataclass
class Visitor:
    """Somebody with a browser of their own; `page` is what they look at."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a page."""
        self.page.goto(self.base + path)
        return self.page

    def heard(self, message: ConsoleMessage) -> None:
        """Keep what the console complains about; a refused page is told there as well, and is none."""
        if message.type in {"error", "warning"} and "the server responded with a status of" not in message.text:
            self.complaints.append(message.text)

    def asked(self, dialog: Dialog) -> None:
        """Keep what a dialog says: no page opens one by itself."""
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def picture(self, name: str) -> None:
        """Keep what is shown as a picture, where PLACET_SCREENSHOTS names a folder for that."""
        folder = os.environ.get("PLACET_SCREENSHOTS")
        if folder:
            width = self.page.evaluate("innerWidth")
            file = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100]
            self.page.screenshot(path=Path(folder) / f"{file}-{width}.png", full_page=True)

    def illustrate(self, name: str) -> None:
        """Keep what the window shows as a picture of README and docs, where PLACET_PICTURES names a folder for that."""
        folder = os.environ.get("PLACET_PICTURES")
        if folder:
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def findings(self, name: str) -> list[str]:
        """Return the serious findings of axe about the page as it is, and whether it scrolls sideways."""
        # A click that led to another page returns when that page begins to arrive, before it has a root element.
        self.page.wait_for_load_state()
        self.picture(name)
        width = self.page.evaluate("innerWidth")
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        found = [f"{name} is {wide} wide"] if wide > width else []
        return found + [
            f"{name}: {one['id']} {[node['html'][:120] for node in one['nodes'][:3]]}"
            for one in Axe().run(self.page).response["violations"]
            if one["impact"] in {"serious", "critical"}
        ]


@dataclass
class Visitors:
    """The browsers of everybody in a test."""

    browser: Browser
    placet: Placet
    every: list[Visitor] = field(default_factory=list)

    def stranger(self, *, width: int = 1400, scripts: bool = True, **more: Any) -> Visitor:
        """Give somebody a browser in which nobody is logged in."""
        # Without motion: axe would measure the contrast of a notice that is still coming up.
        options = {"locale": "en-GB", "timezone_id": "Europe/Berlin", "reduced_motion": "reduce"} | more
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, java_script_enabled=scripts, **options
        )
        context.set_default_timeout(60_000)
        visitor = Visitor(page=context.new_page(), base=self.placet.where["api"])
        visitor.page.on("console", visitor.heard)
        visitor.page.on("dialog", visitor.asked)
        visitor.page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        self.every.append(visitor)
        return visitor

    def __call__(self, person: str, *, width: int = 1400, scripts: bool = True, **more: Any) -> Visitor:
        """Give somebody a browser in which they are logged in."""
        visitor = self.stranger(width=width, scripts=scripts, **more)
        visitor.go("/login")
        visitor.page.fill("#token", self.placet.tokens[person])
        visitor.page.get_by_role("button", name=re.compile("Log in|Anmelden")).click()
        visitor.page.wait_for_url(f"{visitor.base}/")
        return visitor


def started(placet: Placet, title: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    template = placet.publish(placet.process(*(steps or (MAX,)), variables=AMOUNT, **more))
    return placet.start(template, given={"amount": "120"}, title=title)


def choose_process(page: Page, name: str) -> None:
    """Choose a process of a form, which lists them, or takes a name where other tests have published very many."""
    if page.locator("select#process").count():
        page.locator("#process").select_option(name)
    else:
        page.locator("#process").fill(name)
