"""Every page that refuses something, in a real browser: it says what happened, and axe finds nothing serious on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from service.identity.login import issue_code
from service.identity.settings import IdentitySettings, OidcSettings
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, context_of, no_engine
from tests.browser import Visitor
from tests.oidc import OwnProvider, own_provider
from tests.ports import free_port
from tests.waiting import until
from web.routes import me as own_page

MOST_BYTES = 3000


@dataclass
class Served:
    """The pages on a port of their own, with an identity provider and without an engine."""

    provider: OwnProvider
    port: int = field(default_factory=free_port)
    desk: ApiDesk | None = None
    loop: Any = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def code(self, person: str) -> str:
        assert self.desk is not None
        now = context_of(self.desk).now()
        made = asyncio.run_coroutine_threadsafe(issue_code(self.desk.database, person, now), self.loop)
        return made.result(60)

    async def serve(self, url: str, ready: threading.Event, ended: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        database = Database(url)
        identity = IdentitySettings(
            oidc=OidcSettings(issuer=self.provider.issuer, client_id="placet"), login_rate="8/minute"
        )
        async with api_desk(
            database, await no_engine(), seconds=0.2, identity=identity, max_body_bytes=MOST_BYTES
        ) as desk:
            self.desk = desk
            app: Any = desk.http._transport.app  # type: ignore[attr-defined]  # of httpx.ASGITransport
            server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="critical", lifespan="off"))
            task = asyncio.create_task(server.serve())

            async def started() -> bool:
                return server.started

            await until(started, what="the pages")
            ready.set()
            await asyncio.to_thread(ended.wait)
            server.should_exit = True
            await task
        await database.close()


@pytest.fixture
def served(sqlite_url: str) -> Iterator[Served]:
    with own_provider() as provider:
        provider.metadata = {"end_session_endpoint": f"{provider.issuer}/leave"}
        it, ready, ended = Served(provider=provider), threading.Event(), threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(it.serve(sqlite_url, ready, ended)))
        thread.start()
        assert ready.wait(60)
        try:
            yield it
        finally:
            ended.set()
            thread.join()


@pytest.fixture
def visitor(served: Served, browser: Browser) -> Iterator[Visitor]:
    context = browser.new_context(viewport={"width": 360, "height": 800}, locale="en-GB")
    context.set_default_timeout(60_000)
    yield Visitor(page=context.new_page(), base=served.base)
    context.close()


class Looked:
    """What was found on the pages that were looked at."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.found: list[str] = []

    def at(self, name: str, text: str) -> None:
        """Look at the page as it is; it has to say this."""
        page = self.visitor.page
        expect(page.locator("main")).to_contain_text(text)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            self.found += self.visitor.findings(f"{name} ({scheme})")


def enter(visitor: Visitor, served: Served, person: str) -> Page:
    visitor.page.context.clear_cookies()
    return visitor.go(f"/login/{served.code(person)}")


def begin(visitor: Visitor, served: Served, **claims: Any) -> str:
    """Begin to log in at the provider, and return the path that it sends the browser back to."""
    asked = visitor.page.request.get(f"{served.base}/login/oidc", max_redirects=0).headers["location"]
    given = {name: values[0] for name, values in parse_qs(urlsplit(asked).query).items()}
    served.provider.tokens = {"id_token": served.provider.sign(nonce=given["nonce"], **claims)}
    return f"/login/oidc/callback?code=c&state={given['state']}"


def test_pages_that_refuse_say_so_and_have_no_serious_finding(
    served: Served, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Looked(visitor)
    page = visitor.go("/login")
    looked.at("the log-in page with a provider", "Log in with your organisation's account")
    page.fill("#token", "placet_wrong")
    page.get_by_role("button", name="Log in").click()
    looked.at("401, a wrong token", "This token is unknown")
    visitor.go("/login/oidc/callback?code=c&state=s")
    looked.at("401, a log-in of another browser", "was not begun in this browser")
    visitor.go(begin(visitor, served).replace("code=c", "error=access_denied"))
    looked.at("401, refused by the provider", "did not log you in")
    visitor.go(begin(visitor, served, sub="stranger"))
    looked.at("403, somebody who is nobody here", "Ask an admin")
    visitor.go("/login/spent")
    looked.at("410, a one-time address", "was used before")

    enter(visitor, served, "audrey")
    visitor.go("/requests/new")
    looked.at("403, without the access", "needs the access")
    visitor.go("/requests/unknown")
    looked.at("404, no such request", "no request")
    visitor.go("/nowhere")
    looked.at("404, no such page", "There is no page at this address")
    visitor.go("/me").locator("#timezone").evaluate(
        "(field, length) => { field.add(new Option('x', 'x'.repeat(length), true, true)); field.form.submit(); }",
        MOST_BYTES,
    )
    looked.at("413, a form that is too long", "is the limit")
    with monkeypatch.context() as patched:
        patched.setattr(own_page.people, "colleagues", broken)
        visitor.go("/me")
        looked.at("500", "An unexpected error occurred")
    visitor.page.context.clear_cookies()
    served.provider.issuer = "https://another.test"  # what it says of itself is not what it was asked for
    context_of(served.desk).oidc._fetched_at = None  # type: ignore[arg-type]  # the desk is there by now
    visitor.go("/login/oidc")
    looked.at("503, a provider that is not itself", "Temporarily unavailable")
    visitor.go("/login")
    for _ in range(8):
        page.fill("#token", "placet_wrong")
        page.get_by_role("button", name="Log in").click()
    looked.at("429, too many attempts", "Too many")
    assert looked.found == []


def broken(*_: Any) -> None:
    raise RuntimeError("a fault of ours")


def test_who_logs_out_comes_to_the_provider_although_forms_may_lead_nowhere_else(
    served: Served, visitor: Visitor
) -> None:
    visitor.go(begin(visitor, served))
    page = visitor.go("/me")
    page.get_by_role("button", name="Log out", exact=True).click()
    page.wait_for_url(f"{served.provider.issuer}/leave?*")
    assert "post_logout_redirect_uri" in page.url
