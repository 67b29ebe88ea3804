"""Signed decisions: what a page leads to, what proves who signs, and what is put on record."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest_asyncio
from joserfc.jwk import RSAKey
from structlog.testing import capture_logs
from temporalio.client import Client

from docs.verify_receipt import fault_of as fault_by_script
from placet.audit.receipts import fault_of
from service.identity.settings import IdentitySettings, OidcSettings
from storage.database import Database
from storage.tables.approvals import StoredPerson
from tests.api_desk import BASE, STAFF, ApiDesk, api_desk
from tests.approvals import EXPENSE, worker
from tests.oidc import OwnProvider, own_provider
from tests.pages import browser_of, send
from tests.passkeys import SoftPasskey
from tests.stored import writing

HOST = "http://localhost:8420"
REASONS = ["I reviewed the invoice", "I checked the budget"]
STEP: dict[str, Any] = {
    "stage_name": "Board",
    "approvers": ["user:bob"],
    "sign": {"reauthenticate": True, "reasons": REASONS},
}


@dataclass
class Clock:
    """The time, moved on by the test."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Office:
    """The API and the pages with a worker."""

    desk: ApiDesk
    clock: Clock
    provider: OwnProvider | None = None
    browsers: list[httpx.AsyncClient] = field(default_factory=list)

    async def browser(self, person: str) -> httpx.AsyncClient:
        opened = await browser_of(self.desk, person)
        browser = httpx.AsyncClient(transport=self.desk.http._transport, base_url=HOST, cookies=opened.cookies)
        for cookie in opened.cookies.jar:
            browser.cookies.set(cookie.name, cookie.value or "", domain="localhost.local")
        self.browsers.append(browser)
        return browser

    async def task(self, **step: Any) -> str:
        template = await self.desk.publish(EXPENSE, process_steps=[{**STEP, **step}])
        return str((await self.desk.start(template, amount=1))["tasks"][0]["id"])

    async def shown(self, task: str) -> dict[str, Any]:
        return dict((await self.desk.get(f"/workflow/tasks/{task}/", as_="adam")).json())

    async def timeline(self, task: str) -> list[dict[str, Any]]:
        address = f"/workflow/requests/{task.rpartition('.')[0]}/timeline/"
        return list((await self.desk.get(address, as_="adam")).json()["items"])


def passkeyed(origin: str = HOST) -> SoftPasskey:
    return SoftPasskey(origin=origin, rp_id="localhost")


@pytest_asyncio.fixture
async def office(database: Database, client: Client) -> AsyncIterator[Office]:
    async for each in _office(database, client, None):
        yield each


@pytest_asyncio.fixture
async def office_with_provider(database: Database, client: Client) -> AsyncIterator[Office]:
    with own_provider() as provider:
        async for each in _office(database, client, provider):
            yield each


async def _office(database: Database, client: Client, provider: OwnProvider | None) -> AsyncIterator[Office]:
    queue, clock = f"signing-{uuid.uuid4().hex[:8]}", Clock()
    oidc = None
    if provider is not None:
        oidc = OidcSettings(issuer=provider.issuer, client_id="placet", audience="placet")
    settings: dict[str, Any] = {"clock": clock, "staff": STAFF, "identity": IdentitySettings(oidc=oidc)}
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue, **settings) as desk:
        yield Office(desk=desk, clock=clock, provider=provider)


async def decided(browser: httpx.AsyncClient, task: str, **form: str) -> httpx.Response:
    """Decide on the page of a task."""
    said = {"decision": "approve", "reason": REASONS[0], "revision": "1", "key": uuid.uuid4().hex, "comment": ""}
    return await send(browser, f"/tasks/{task}/decide", **{**said, **form})


async def begun(browser: httpx.AsyncClient, task: str, **form: str) -> str:
    """Decide on the page of a task, and return the page of the signature that it leads to."""
    answer = await decided(browser, task, **form)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith("/sign/")
    return str(answer.headers["location"])


async def options(browser: httpx.AsyncClient, page: str) -> str:
    """Return what a page asks a passkey with."""
    found = re.search(r'data-options="([^"]+)"', (await browser.get(page)).text)
    assert found is not None
    return unescape(found[1])


async def with_passkey(browser: httpx.AsyncClient, origin: str = HOST) -> SoftPasskey:
    passkey = passkeyed(origin)
    made = passkey.make(await options(browser, "/me/passkeys"))
    added = await send(browser, "/me/passkeys", answer=made, name="Key")
    assert added.status_code == 303, added.text
    return passkey


def told(answer: httpx.Response) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", answer.text))


async def test_a_token_that_is_entered_anew_signs_where_there_is_nothing_better(office: Office) -> None:
    with writing(office.desk.database) as session:
        person = session.get(StoredPerson, "bob")
        assert person is not None
        person.name = "Bob Böhm"
        session.add(person)
    task, browser = await office.task(), await office.browser("bob")
    page = await begun(browser, task, comment="Fine.")
    assert (await office.shown(task))["status"] == "open", "nothing is decided before"
    seen = told(await browser.get(page))
    assert "Bob Böhm" in seen
    assert REASONS[0] in seen
    for wrong in (await office.desk.token("carl"), "plc_nonsense"):
        refused = await send(browser, page, token=wrong)
        assert (refused.status_code, "no token of yours" in told(refused)) == (403, True)
    assert (await send(browser, page)).status_code == 401, "without any proof"
    assert (await office.shown(task))["status"] == "open"
    done = await send(browser, page, token=await office.desk.token("bob"))
    assert (done.status_code, done.headers["location"]) == (303, f"/tasks/{task}?done=approve")
    shown = await office.shown(task)
    signature = shown["signature"]
    assert {**signature, "authenticated_at": None} == {
        "name": "Bob Böhm",
        "reason": REASONS[0],
        "method": "token",
        "authenticated_at": None,
    }
    assert (shown["decision"], shown["decided_by"], shown["comment"]) == ("approve", "user:bob", "Fine.")
    entry = next(one for one in await office.timeline(task) if one["kind"] == "decided")
    assert entry["detail"]["signature"] == signature
    verdict = await office.desk.get(f"/workflow/requests/{task.rpartition('.')[0]}/audit/verify/", as_="adam")
    assert verdict.json()["ok"] is True
    again = await send(browser, page, token=await office.desk.token("bob"))
    assert (again.status_code, again.headers["location"]) == (303, f"/tasks/{task}"), "the same form once more"
    receipt = (await office.desk.get(f"/workflow/decisions/{task}/receipt/", as_="adam")).json()
    assert receipt["body"]["signature"] == signature
    assert (fault_of(receipt), fault_by_script(receipt)) == (None, None)
    receipt["body"]["signature"]["reason"] = REASONS[1]
    assert fault_of(receipt) is not None
    assert fault_by_script(receipt) is not None
    request_page = f"/requests/{task.rpartition('.')[0]}"
    for where in (f"/tasks/{task}", f"/tasks/{task}/receipt", request_page, f"{request_page}/process"):
        assert f"Signed by Bob Böhm: {REASONS[0]}" in told(await browser.get(where)), where


async def test_a_passkey_signs_and_its_answer_counts_once(office: Office) -> None:
    task, other, browser = await office.task(), await office.task(), await office.browser("bob")
    passkey = await with_passkey(browser)
    page, elsewhere = await begun(browser, task), await begun(browser, other)
    assert 'name="token"' not in (await browser.get(page)).text, "who has a passkey signs with it"
    refused = await send(browser, page, token=await office.desk.token("bob"))
    assert (refused.status_code, "token alone does not sign" in told(refused)) == (403, True)
    asked = await options(browser, page)
    bad: dict[str, str] = {
        "another site": passkey.answer(asked, origin="http://localhost:9999"),
        "another kind": passkey.answer(await options(browser, page), type="webauthn.create"),
        "another challenge": passkey.answer(json.dumps({"challenge": "AAAA"})),
        "another decision's": passkey.answer(await options(browser, elsewhere)),
        "a strange key": passkeyed().answer(await options(browser, page)),
        "no answer": "{}",
        "no JSON": "x" * 50,
        "too long": "[" * 20_000,
    }
    passkey.verified = False
    bad["no finger"] = passkey.answer(await options(browser, page))
    passkey.verified = True
    for what, answer in bad.items():
        with capture_logs() as logged:
            refused = await send(browser, page, answer=answer)
        assert ("bob", "passkey") in {(line.get("person"), line.get("way")) for line in logged}, what
        assert refused.status_code == 403, (what, refused.status_code)
        assert "try again" in told(refused) or "confirm anew" in told(refused) or "choose another" in told(refused), (
            what
        )
    assert (await office.shown(task))["status"] == "open"
    good = passkey.answer(await options(browser, page))
    with capture_logs() as logged:
        done = await send(browser, page, answer=good)
    assert done.status_code == 303, told(done)
    given = {"event": "proof_given", "person": "bob", "way": "passkey", "task": task}
    assert any(line.items() >= given.items() for line in logged)
    assert (await office.shown(task))["signature"]["method"] == "passkey"
    replayed = await send(browser, elsewhere, answer=good)
    assert (replayed.status_code, "used before" in told(replayed)) == (403, True)
    passkey.count = 0  # a copy of the key lags behind
    copied = await send(browser, elsewhere, answer=passkey.answer(await options(browser, elsewhere)))
    assert copied.status_code == 403
    assert (await office.shown(other))["status"] == "open"


async def test_what_has_changed_between_is_not_decided(office: Office) -> None:
    task, browser = await office.task(comment_required=["reject"]), await office.browser("bob")
    missing = await decided(browser, task, decision="reject")
    assert (missing.status_code, "needs a comment" in told(missing)) == (422, True), (
        "before anybody is asked who they are"
    )
    unsaid = await decided(browser, task, reason="")
    assert (unsaid.status_code, "say what your signature means" in told(unsaid)) == (422, True)
    stale = await begun(browser, task)
    office.clock.ahead = timedelta(minutes=31)
    gone = await browser.get(stale)
    assert (gone.status_code, "decide it again" in told(gone)) == (404, True)
    office.clock.ahead = timedelta()
    page = await begun(browser, task)
    assert (await (await office.browser("carl")).get(page)).status_code == 403, "somebody else's"
    moved = await office.desk.post(f"/workflow/tasks/{task}/reassign/", {"to": "user:dora"}, as_="bob")
    assert moved.status_code == 200, moved.text
    handed = await send(browser, page, token=await office.desk.token("bob"))
    assert handed.status_code == 403
    assert (await office.shown(task))["status"] == "open"
    dora = await office.browser("dora")
    page = await begun(dora, task)
    assert (await office.desk.post(f"/workflow/requests/{task.rpartition('.')[0]}/withdraw/", {})).is_success
    ended = await send(dora, page, token=await office.desk.token("dora"))
    assert (ended.status_code, "has ended" in told(ended)) == (409, True)


async def test_a_changed_request_is_not_signed(office: Office) -> None:
    step = {"approvers": ["user:bob", "user:carl"], "quorum": "all"}
    task, bob = await office.task(**step), await office.browser("bob")
    page, request_id = await begun(bob, task), task.rpartition(".")[0]
    carl = await office.browser("carl")
    back = await begun(carl, f"{request_id}.2", decision="request_changes", comment="More, please.")
    assert (await send(carl, back, token=await office.desk.token("carl"))).status_code == 303
    resubmitted = await office.desk.post(f"/workflow/requests/{request_id}/resubmit/", {"input": {"amount": 2}})
    assert resubmitted.status_code == 200, resubmitted.text
    old = await send(bob, page, token=await office.desk.token("bob"))
    assert old.status_code == 409, told(old)
    tasks = (await office.desk.get(f"/workflow/requests/{request_id}/", as_="adam")).json()["tasks"]
    assert [one["decision"] for one in tasks if one["round"] == 2] == [None, None]


async def test_a_signed_decision_is_undone_by_its_signer_in_a_session(office: Office) -> None:
    task, browser = await office.task(undo_seconds=3600), await office.browser("bob")
    page = await begun(browser, task)
    assert (await send(browser, page, token=await office.desk.token("bob"))).status_code == 303
    by_token = await office.desk.post(f"/workflow/tasks/{task}/undo/", as_="bob")
    assert (by_token.status_code, by_token.json()["type"]) == (401, "urn:placet:problem:reauthentication-required")
    assert (await send(browser, f"/tasks/{task}/undo")).status_code == 303
    shown = await office.shown(task)
    assert (shown["status"], shown["signature"]) == ("open", None)


async def test_the_api_says_where_a_decision_is_signed(office: Office) -> None:
    task = await office.task()
    body = {"decision": "approve", "reason": REASONS[0], "revision": 1}
    answer = await office.desk.post(f"/workflow/tasks/{task}/decide/", body, as_="bob")
    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["reason"]) == (
        401,
        "urn:placet:problem:reauthentication-required",
        "reauthentication_required",
    )
    assert (problem["where"], problem["max_age"]) == (f"/tasks/{task}", 300)
    assert 'error="insufficient_user_authentication", max_age="300"' in answer.headers["www-authenticate"]
    wrong = await office.desk.post(f"/workflow/tasks/{task}/decide/", {**body, "reason": "Yes"}, as_="bob")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/reason")


async def bearer(office: Office, task: str, token: str, **body: Any) -> httpx.Response:
    said = {"decision": "approve", "reason": REASONS[0], "revision": 1, **body}
    headers = {"Authorization": f"Bearer {token}"}
    return await office.desk.http.post(f"{BASE}/workflow/tasks/{task}/decide/", json=said, headers=headers)


async def test_a_jwt_of_somebody_who_has_just_logged_in_signs(office_with_provider: Office) -> None:
    office, provider = office_with_provider, office_with_provider.provider
    assert provider is not None
    task, now = await office.task(), int(datetime.now(UTC).timestamp())
    for auth_time in (None, now - 400, now + 4000, True, "now", -1, 10**30):
        refused = await bearer(office, task, provider.sign(sub="bob", auth_time=auth_time))
        assert refused.status_code == 401, auth_time
    assert (await bearer(office, task, provider.sign(sub="bob", auth_time=now - 20), revision=None)).status_code == 401
    other = await bearer(office, task, provider.sign(sub="carl", auth_time=now - 20))
    assert other.status_code == 404, "it is not theirs to see"
    done = await bearer(office, task, provider.sign(sub="bob", auth_time=now - 20))
    assert done.status_code == 200, done.text
    signature = (await office.shown(task))["signature"]
    assert (signature["method"], signature["name"]) == ("oidc", "Bob")
    assert datetime.fromisoformat(signature["authenticated_at"]) == datetime.fromtimestamp(now - 20, UTC)


async def test_a_new_log_in_at_the_provider_signs(office_with_provider: Office) -> None:
    office, provider = office_with_provider, office_with_provider.provider
    assert provider is not None
    task, browser = await office.task(), await office.browser("bob")
    page = await begun(browser, task)
    assert 'name="token"' not in (await browser.get(page)).text
    refused = await send(browser, page, token=await office.desk.token("bob"))
    assert refused.status_code == 403, "a token signs nothing beside a provider"

    async def back(**claims: Any) -> httpx.Response:
        there = await browser.get(f"{page}/log-in")
        asked = parse_qs(urlsplit(there.headers["location"]).query)
        assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
        given = {"nonce": asked["nonce"][0], "sub": "bob", "auth_time": int(datetime.now(UTC).timestamp()), **claims}
        provider.tokens = {"id_token": provider.sign(**given)}
        return await browser.get(f"/login/oidc/callback?code=c&state={asked['state'][0]}")

    now = int(datetime.now(UTC).timestamp())
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"auth_time": None}, 403),
        ({"auth_time": now - 600}, 403),
        ({"auth_time": now + 600}, 403),
        ({"sub": "carl"}, 403),
        ({"nonce": "another"}, 401),
        ({"key": RSAKey.generate_key(2048, auto_kid=True)}, 401),
    ]
    for claims, status in wrong:
        assert (await back(**claims)).status_code == status, claims
        assert (await send(browser, page)).status_code == 401, claims
    assert (await office.shown(task))["status"] == "open"
    returned = await back()
    assert (returned.status_code, returned.headers["location"]) == (303, page)
    assert (await office.shown(task))["status"] == "open", "coming back decides nothing"
    office.clock.ahead = timedelta(minutes=6)
    late = await send(browser, page)
    assert (late.status_code, "confirm again" in told(late)) == (401, True)
    office.clock.ahead = timedelta()
    assert (await send(browser, page)).status_code == 303
    assert (await office.shown(task))["signature"]["method"] == "oidc"


async def test_passkeys_change_only_just_after_a_log_in(office: Office) -> None:
    browser = await office.browser("bob")
    passkey = await with_passkey(browser)
    twice = await send(browser, "/me/passkeys", answer=passkey.make(await options(browser, "/me/passkeys")))
    assert (twice.status_code, "known already" in told(twice)) == (403, True)
    asked = await options(browser, "/me/passkeys")
    office.clock.ahead = timedelta(minutes=6)
    late = await send(browser, "/me/passkeys", answer=passkeyed().make(asked))
    assert (late.status_code, "log in again" in told(late)) == (401, True)
    assert "data-options" not in (await browser.get("/me/passkeys")).text
    named = re.search(r"(?<=/me/passkeys/)[\w-]+", (await browser.get("/me/passkeys")).text)
    assert named is None, "nor is one removed"
    office.clock.ahead = timedelta()
    by_token = httpx.AsyncClient(transport=office.desk.http._transport, base_url=HOST)
    entered = await by_token.post("/login", data={"token": await office.desk.token("bob")})
    assert entered.status_code == 303
    assert "data-options" not in (await by_token.get("/me/passkeys")).text, "a token does not replace a passkey"
    found = re.search(r"(?<=/me/passkeys/)[\w-]+", (await browser.get("/me/passkeys")).text)
    assert found is not None
    removed = await send(browser, f"/me/passkeys/{found[0]}")
    assert (removed.status_code, removed.headers["location"]) == (303, "/me/passkeys?done=passkey_removed")
    assert (await send(browser, f"/me/passkeys/{found[0]}")).status_code == 404
    assert "no passkey yet" in told(await browser.get("/me/passkeys"))


async def test_passkeys_need_a_host_name(office: Office) -> None:
    browser = await browser_of(office.desk, "bob")
    assert "do not work at this address" in told(await browser.get("/me/passkeys"))
    assert (await send(browser, "/me/passkeys", answer="{}")).status_code == 403


async def test_a_substitute_signs_with_their_own_name(office: Office) -> None:
    task = await office.task()
    assert (await office.desk.post(f"/workflow/tasks/{task}/delegate/", {"to": "user:dora"}, as_="bob")).is_success
    browser = await office.browser("dora")
    page = await begun(browser, task)
    assert (await send(browser, page, token=await office.desk.token("dora"))).status_code == 303
    shown = await office.shown(task)
    assert (shown["signature"]["name"], shown["on_behalf_of"]) == ("Dora", "user:bob")


async def test_several_at_once_say_that_each_is_signed_by_itself(office: Office) -> None:
    task, browser = await office.task(), await office.browser("bob")
    form = {"task": f"{task}:1", "decision": "approve", "back": "/", "key": uuid.uuid4().hex}
    answer = await send(browser, "/tasks/decide", **form)
    assert "is signed" in told(answer)
    assert f'href="/tasks/{task}"' in answer.text
    assert (await office.shown(task))["status"] == "open"
    assert "This decision is signed; open it to decide." in (await browser.get("/")).text
