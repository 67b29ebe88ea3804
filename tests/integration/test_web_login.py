"""Logging in with a browser: tokens, one-time addresses, cookies, CSRF tokens, and the end of sessions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from api.http.authentication import COOKIE, LOOPBACK_COOKIE
from service.identity.login import issue_code
from service.identity.settings import IdentitySettings
from service.retention.running import delete_old_rows
from storage.database import Database
from storage.queries.identity import tokens
from storage.tables.approvals import Refusal
from storage.tables.identity import BrowserSession, LoginCode, RateCount
from tests.api_desk import BASE, ApiDesk, api_desk, no_engine
from tests.stored import reading, writing
from worker.settings import Settings

LOCAL = "http://127.0.0.1:8420"
CSP = "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


@dataclass
class Clock:
    """A clock that the test sets."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class Browsers:
    """Browsers that reach one installation, each with cookies of its own."""

    desk: ApiDesk
    clock: Clock

    def open(self, base: str = LOCAL) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.desk.http._transport, base_url=base)

    async def code(self, person: str) -> str:
        return await issue_code(self.desk.database, person, self.clock())

    async def entered(self, person: str = "ann", base: str = LOCAL) -> httpx.AsyncClient:
        browser = self.open(base)
        answer = await browser.get(f"/login/{await self.code(person)}")
        assert answer.status_code == 302, answer.text
        return browser


@pytest_asyncio.fixture
async def browsers(database: Database) -> AsyncIterator[Browsers]:
    clock = Clock()
    settings = IdentitySettings(login_rate="5/minute")
    async with api_desk(database, await no_engine(), seconds=0.2, clock=clock, identity=settings) as desk:
        yield Browsers(desk=desk, clock=clock)


async def me(browser: httpx.AsyncClient) -> Any:
    answer = await browser.get(f"{BASE}/auth/me/")
    return answer.json() if answer.status_code == 200 else answer.status_code


async def test_a_one_time_address_logs_in_once_and_leads_to_the_first_page(browsers: Browsers) -> None:
    browser, code = browsers.open(), await browsers.code("ann")
    answer = await browser.get(f"/login/{code}")
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert (await browser.get("/")).status_code == 200
    again = await browsers.open().get(f"/login/{code}")
    assert again.status_code == 410
    assert "placet login PERSON" in again.text


async def test_a_one_time_address_ends_after_five_minutes(browsers: Browsers) -> None:
    code = await browsers.code("ann")
    browsers.clock.pass_by(seconds=301)
    assert (await browsers.open().get(f"/login/{code}")).status_code == 410


async def test_an_address_that_nobody_made_and_that_of_somebody_who_left_are_spent(browsers: Browsers) -> None:
    assert (await browsers.open().get("/login/nothing")).status_code == 410
    assert (await browsers.open().get(f"/login/{await browsers.code('gone')}")).status_code == 410


async def test_neither_codes_nor_cookies_are_stored(browsers: Browsers) -> None:
    code = await browsers.code("ann")
    browser = browsers.open()
    await browser.get(f"/login/{code}")
    value = browser.cookies[LOOPBACK_COOKIE]
    with reading(browsers.desk.database) as session:
        rows = [*session.query(BrowserSession).all(), *session.query(LoginCode).all()]
    assert len(rows) == 2
    assert not any(secret in str(row.model_dump()) for row in rows for secret in (code, value))


async def test_a_token_logs_in_and_a_wrong_one_gets_401_and_a_page(browsers: Browsers) -> None:
    browser = browsers.open()
    wrong = await browser.post("/login", data={"token": "placet_wrong"})
    assert (wrong.status_code, "revoked" in wrong.text) == (401, True)
    assert not browser.cookies
    right = await browser.post("/login", data={"token": await browsers.desk.token("ann"), "next": "/requests?a=1"})
    assert (right.status_code, right.headers["location"]) == (303, "/requests?a=1")
    assert (await me(browser))["id"] == "ann"


async def test_a_log_in_with_a_token_counts_as_its_use(browsers: Browsers) -> None:
    text = await browsers.desk.token("ann")
    assert (await browsers.open().post("/login", data={"token": text})).status_code == 303
    with reading(browsers.desk.database) as session:
        row = tokens.find(session.connection(), text)
    assert row is not None
    assert row.last_used_at == browsers.clock()


@pytest.mark.parametrize(
    "there", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/\r\nX: y"]
)
async def test_a_log_in_never_leads_to_another_site(browsers: Browsers, there: str) -> None:
    sent = {"token": await browsers.desk.token("ann"), "next": there}
    assert (await browsers.open().post("/login", data=sent)).headers["location"] == "/"


async def test_cookies_are_strict_by_https_and_named_otherwise_on_loopback(browsers: Browsers) -> None:
    local = await browsers.open().get(f"/login/{await browsers.code('ann')}")
    secure = await browsers.open("https://placet.test").get(f"/login/{await browsers.code('ann')}")
    assert secure.headers["set-cookie"].startswith(f"{COOKIE}=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(secure.headers["set-cookie"].split("; "))
    assert "Domain" not in secure.headers["set-cookie"]
    assert local.headers["set-cookie"].startswith(f"{LOOPBACK_COOKIE}=")
    assert "HttpOnly" in local.headers["set-cookie"]
    assert "max-age" in secure.headers["strict-transport-security"]


async def test_over_plain_http_nobody_logs_in_from_another_machine(browsers: Browsers) -> None:
    code = await browsers.code("ann")
    refused = await browsers.open("http://placet.test").get(f"/login/{code}")
    assert (refused.status_code, "https" in refused.text) == (403, True)
    assert (await browsers.open().get(f"/login/{code}")).status_code == 302, "the address was not used up"


async def test_the_cookie_of_loopback_is_not_taken_over_https(browsers: Browsers) -> None:
    value = (await browsers.entered()).cookies[LOOPBACK_COOKIE]
    answer = await browsers.open("https://placet.test").get("/", headers={"Cookie": f"{LOOPBACK_COOKIE}={value}"})
    assert answer.status_code == 303


async def test_who_is_not_logged_in_is_led_to_log_in_and_back(browsers: Browsers) -> None:
    answer = await browsers.open().get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


@pytest.mark.parametrize("path", ["/logout", "/logout/everywhere"])
async def test_a_post_without_its_csrf_token_is_refused_by_a_page(browsers: Browsers, path: str) -> None:
    browser = await browsers.entered()
    for sent in ({}, {"csrf_token": "wrong"}, {"csrf_token": (await me(await browsers.entered()))["csrf_token"]}):
        refused = await browser.post(path, data=sent)
        assert refused.status_code == 403
        assert "nothing has happened. Go back, reload the page, and send it again." in refused.text
        assert "X-CSRF-Token" not in refused.text, "that is for programs"
        assert "ask an administrator" not in refused.text, "no access is missing"
    assert (await me(browser))["id"] == "ann"


async def test_a_post_from_another_site_is_refused_even_with_the_token(browsers: Browsers) -> None:
    browser = await browsers.entered()
    sent = {"csrf_token": (await me(browser))["csrf_token"]}
    for header in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert (await browser.post("/logout", data=sent, headers=header)).status_code == 403
    token = {"token": await browsers.desk.token("bob")}
    assert (await browser.post("/login", data=token, headers={"Origin": "https://evil.test"})).status_code == 403
    assert (await browser.post("/logout", data=sent, headers={"Origin": LOCAL})).status_code == 303


async def test_a_stolen_cookie_is_refused_after_log_out(browsers: Browsers) -> None:
    browser = await browsers.entered()
    stolen = {"Cookie": f"{LOOPBACK_COOKIE}={browser.cookies[LOOPBACK_COOKIE]}"}
    assert (await browsers.open().get(f"{BASE}/auth/me/", headers=stolen)).status_code == 200
    out = await browser.post("/logout", headers={"X-CSRF-Token": (await me(browser))["csrf_token"]})
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert out.headers["clear-site-data"] == '"storage"'
    assert not browser.cookies
    assert (await browsers.open().get(f"{BASE}/auth/me/", headers=stolen)).status_code == 401
    assert (await browsers.open().get("/", headers=stolen)).status_code == 303


async def test_log_out_everywhere_ends_all_sessions_of_the_person_alone(browsers: Browsers) -> None:
    first, second, other = await browsers.entered(), await browsers.entered(), await browsers.entered("bob")
    sent = {"csrf_token": (await me(first))["csrf_token"]}
    assert (await first.post("/logout/everywhere", data=sent)).status_code == 303
    assert await me(second) == 401
    assert (await me(other))["id"] == "bob"


async def test_people_see_their_own_sessions_and_end_one_or_all_others(browsers: Browsers) -> None:
    mine, lost, third, other = [await browsers.entered(person) for person in ("ann", "ann", "ann", "bob")]
    csrf = {"csrf_token": (await me(mine))["csrf_token"]}
    page = (await mine.get("/me/sessions")).text
    ends = re.findall(r'action="(/me/sessions/\w+)"', page)
    assert (len(ends), page.count("This browser"), page.count("by a one-time address")) == (2, 1, 3)
    assert (await other.get("/me/sessions")).text.count("by a one-time address") == 1
    theirs = {"csrf_token": (await me(other))["csrf_token"]}
    assert (await other.post(ends[0], data=theirs)).status_code == 404
    assert (await mine.post(ends[0], data=csrf)).status_code == 303
    assert sorted([type(await me(one)) is dict for one in (lost, third)]) == [False, True]
    assert (await mine.post(ends[0], data=csrf)).status_code == 404
    assert (await mine.post("/me/sessions", data=csrf)).status_code == 303
    assert [await me(one) for one in (lost, third)] == [401, 401]
    assert [(await me(one))["id"] for one in (mine, other)] == ["ann", "bob"]


async def test_single_sessions_are_ended_only_just_after_a_log_in(browsers: Browsers) -> None:
    stolen, lost = await browsers.entered(), await browsers.entered()
    csrf = {"csrf_token": (await me(stolen))["csrf_token"]}
    (end,) = re.findall(r'action="(/me/sessions/\w+)"', (await stolen.get("/me/sessions")).text)
    browsers.clock.pass_by(minutes=6)
    for address in (end, "/me/sessions"):
        refused = await stolen.post(address, data=csrf)
        assert (refused.status_code, "after a log-in" in refused.text) == (401, True)
        assert end not in refused.text
    assert (await me(lost))["id"] == "ann"


async def test_a_second_log_in_ends_the_session_before(browsers: Browsers) -> None:
    browser = await browsers.entered()
    before = {"Cookie": f"{LOOPBACK_COOKIE}={browser.cookies[LOOPBACK_COOKIE]}"}
    await browser.get(f"/login/{await browsers.code('bob')}")
    assert (await me(browser))["id"] == "bob"
    assert (await browsers.open().get(f"{BASE}/auth/me/", headers=before)).status_code == 401


async def test_a_session_ends_when_it_is_not_used_and_after_its_longest_time(browsers: Browsers) -> None:
    idle, used = await browsers.entered(), await browsers.entered()
    browsers.clock.pass_by(hours=7)
    assert (await me(used))["id"] == "ann"
    browsers.clock.pass_by(hours=2)
    assert await me(idle) == 401
    for _ in range(3):
        assert (await me(used))["id"] == "ann"
        browsers.clock.pass_by(hours=5)
    browsers.clock.pass_by(hours=1)
    assert await me(used) == 401, "a day has passed"


async def test_a_session_ends_with_its_person_and_with_its_token(browsers: Browsers) -> None:
    by_link, by_token = await browsers.entered("zoe"), browsers.open()
    with writing(browsers.desk.database) as session:
        text = tokens.issue(session.connection(), "ann", ttl=None, now=browsers.clock())
    assert (await by_token.post("/login", data={"token": text})).status_code == 303
    with writing(browsers.desk.database) as session:
        tokens.revoke(session.connection(), text, browsers.clock())
    assert await me(by_token) == 401
    left = await browsers.desk.call("PUT", "/workflow/people/zoe/", as_="adam", body={"active": False})
    assert left.status_code == 200, left.text
    assert await me(by_link) == 401


async def test_the_api_takes_the_cookie_and_wants_the_csrf_token_for_changes(browsers: Browsers) -> None:
    browser = await browsers.entered("adam")
    known = await me(browser)
    assert known["csrf_token"]
    body = {"id": "new", "name": "New"}
    refused = await browser.post(f"{BASE}/workflow/people/", json=body)
    assert (refused.status_code, "X-CSRF-Token" in refused.json()["detail"]) == (403, True)
    done = await browser.post(f"{BASE}/workflow/people/", json=body, headers={"X-CSRF-Token": known["csrf_token"]})
    assert done.status_code == 201, done.text


async def test_cookie_and_bearer_are_told_who_they_are_alike(browsers: Browsers) -> None:
    expected = {
        "id": "ann",
        "name": "Ann",
        "actor_type": "person",
        "principal": None,
        "access": ["approver", "requester"],
    }
    by_cookie, by_token = await me(await browsers.entered()), (await browsers.desk.get("/auth/me")).json()
    assert by_token == {**expected, "csrf_token": None}
    assert by_cookie == {**expected, "csrf_token": by_cookie["csrf_token"]}


async def test_failed_log_ins_of_one_address_are_limited_for_all_processes(browsers: Browsers) -> None:
    for _ in range(5):
        assert (await browsers.open().post("/login", data={"token": "x"})).status_code == 401
    refused = await browsers.open().post("/login", data={"token": "x"})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert "try again in" in refused.text
    assert (await browsers.open().get("/login/x")).status_code == 429
    browsers.clock.pass_by(seconds=61)
    assert (await browsers.open().post("/login", data={"token": "x"})).status_code == 401


async def test_every_page_is_sent_with_strict_headers_and_kept_by_nobody(browsers: Browsers) -> None:
    browser = await browsers.entered()
    for path in ("/", "/login", "/login/spent", "/nowhere", "/static/placet.css"):
        headers = (await browser.get(path)).headers
        assert headers["content-security-policy"] == CSP, path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"]
        assert (headers.get("cache-control") == "no-store") is not path.startswith("/static"), path


async def test_pages_have_nothing_inline(browsers: Browsers) -> None:
    browser = await browsers.entered()
    for path in ("/", "/login/spent", "/nowhere"):
        text = (await browser.get(path, headers={"Accept": "text/html"})).text
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", text), path


async def test_a_page_that_there_is_not_says_so_to_people_and_to_programs(browsers: Browsers) -> None:
    page = await browsers.open().get("/nowhere", headers={"Accept": "text/html,*/*"})
    assert (page.status_code, "There is no page" in page.text) == (404, True)
    told = await browsers.open().get("/nowhere", headers={"Accept": "application/json"})
    assert told.json()["status"] == 404
    assert (await browsers.desk.get("/nowhere")).json()["status"] == 404
    assert (await browsers.open().delete("/login")).status_code == 405


async def test_a_form_that_is_too_long_is_refused_by_a_page(browsers: Browsers) -> None:
    refused = await browsers.open().post("/login", data={"token": "x" * 2_000_000})
    assert refused.status_code == 413
    assert (await browsers.open().post("/login", data={"token": "x" * 2000})).status_code == 422


async def test_what_people_are_called_is_escaped(browsers: Browsers) -> None:
    body = {"id": "eve", "name": "<script>alert(1)</script>"}
    assert (await browsers.desk.call("POST", "/workflow/people/", as_="adam", body=body)).status_code == 201
    page = await (await browsers.entered("eve")).get("/")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_decisions_of_one_person_are_limited(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    settings = IdentitySettings(decision_rate="2/minute")
    async with api_desk(database, await no_engine(), seconds=0.2, identity=settings) as desk:
        for expected in (404, 404, 429):
            answer = await desk.post("/workflow/tasks/r.1/decide/", {"decision": "approve"}, as_="bob")
            assert answer.status_code == expected, answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert (await desk.post("/workflow/tasks/r.1/decide/", {"decision": "approve"}, as_="ava")).status_code == 404
    await database.close()


async def test_a_failed_log_in_is_on_record_without_what_was_sent(browsers: Browsers) -> None:
    for _ in range(7):  # the last two are beyond the limit, and are not
        await browsers.open().post("/login", data={"token": "placet_nearly-a-token"})
    with reading(browsers.desk.database) as session:
        rows = session.query(Refusal).all()
    assert [(row.action, row.status_code, row.reason) for row in rows] == [
        ("log in", 401, "The log-in by token was refused.")
    ] * 5
    assert {row.principal for row in rows} == {"address 127.0.0.1"}
    assert not any("nearly" in f"{row!r}" for row in rows)


async def test_what_has_ended_is_deleted(browsers: Browsers) -> None:
    await browsers.entered()
    await browsers.open().post("/login", data={"token": "x"})
    await delete_old_rows(browsers.desk.database, Settings().periods, browsers.clock())
    kept = (BrowserSession, LoginCode, RateCount)
    with reading(browsers.desk.database) as session:
        assert all(session.query(model).count() for model in kept)
    browsers.clock.pass_by(hours=25)
    await delete_old_rows(browsers.desk.database, Settings().periods, browsers.clock())
    with reading(browsers.desk.database) as session:
        assert not any(session.query(model).count() for model in kept)


async def test_who_chooses_a_language_alone_keeps_the_time_zone_of_the_browser(browsers: Browsers) -> None:
    browser = await browsers.entered()
    browser.cookies.set("placet_zone", "Asia/Tokyo")
    sent = {"csrf_token": (await me(browser))["csrf_token"], "language": "en", "timezone": ""}
    assert (await browser.post("/me/reading", data=sent)).status_code == 303
    chooser = (await browser.get("/me")).text.partition('<select id="timezone"')[2].partition("</select>")[0]
    assert '<option value="">Asia/Tokyo</option>' in chooser
    assert " selected" not in chooser, "the page says no zone that it does not write times in"


@pytest.mark.parametrize(
    ("sent_to", "came_from", "back"),
    [
        ("/tasks/t1/decide", "", "/tasks/t1"),
        ("/tasks/t1/decide", f"{LOCAL}/tasks/t1?done=watch", "/tasks/t1?done=watch"),
        ("/tasks/t1/decide", f"{LOCAL}/tasks/t1/decide", "/tasks/t1"),  # the form came back once
        ("/requests/new/p1", f"{LOCAL}/requests/new/p1?draft=d", "/requests/new/p1?draft=d"),
        ("/me/away", "https://elsewhere.example/requests", "/me"),
        ("/me/away", f"{LOCAL}//elsewhere.example/me", "/"),
    ],
)
async def test_a_form_that_comes_after_its_session_leads_back_to_its_page(
    browsers: Browsers, sent_to: str, came_from: str, back: str
) -> None:
    answer = await browsers.open().post(sent_to, data={"comment": "No"}, headers={"referer": came_from})
    assert answer.status_code == 401
    address = "/login" if back == "/" else f"/login?next={quote(back, safe='')}"
    assert re.findall(r'class="button" href="([^"]*)"', answer.text) == [address]
