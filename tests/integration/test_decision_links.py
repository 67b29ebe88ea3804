"""Links that decide: what a link needs, what ends it, and that nothing but its form decides."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import update
from sqlmodel import col
from temporalio.client import Client

from activities.decision_tokens import DecisionTokens, LinkTokens
from activities.notifications.decision_links import DecisionLinkWriter
from activities.notifications.settings import NotifySettings
from placet.definition.steps import DecisionLinks
from service.identity.login import issue_code
from service.identity.settings import IdentitySettings
from storage.database import Database
from storage.queries.requests import requests
from storage.tables.approvals import ApiToken, ApprovalTask, Refusal, StoredPerson
from storage.tables.identity import BrowserSession, RateCount
from tests import pages
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import EXPENSE, SECRET, worker
from tests.clocks import machine_time
from tests.stored import reading, writing

LOCAL = "http://127.0.0.1:8420"
SAID = re.compile(r'data-link="(\w+)"')
SLOW: dict[str, Any] = {**EXPENSE["process_steps"][0], "sla_hours": 240}


@dataclass
class Clock:
    """A clock that the test sets."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True, kw_only=True)
class Post:
    """An installation, and the links in the mails of its people."""

    desk: ApiDesk
    clock: Clock

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """Open a browser in which nobody is logged in."""
        return httpx.AsyncClient(transport=self.desk.http._transport, base_url=LOCAL, headers=headers)

    async def logged_in(self, person: str) -> httpx.AsyncClient:
        browser = self.browser()
        code = await issue_code(self.desk.database, person, datetime.now(UTC))
        assert (await browser.get(f"/login/{code}")).status_code == 302
        return browser

    async def asked(self, *steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Start a request, and return its first task."""
        name = await self.desk.publish(EXPENSE, process_steps=list(steps or (SLOW,)), **changes)
        (task,) = (await self.desk.start(name, amount=120))["tasks"]
        return dict(task)

    async def links(self, task: dict[str, Any], person: str = "bob") -> dict[str, str]:
        """Return the links that a mail to this person has now, as paths."""
        row = await self.desk.database.read(requests.read_task, task["id"])
        columns = {name: getattr(row, name) for name in ("id", "round", "hand_overs", "revision")}
        found = DecisionLinkWriter(SECRET, NotifySettings(public_url=LOCAL), machine_time).links(person, columns, None)
        return {decision: address.removeprefix(LOCAL) for decision, address in found.items()}

    async def decided(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the decisions that are on record."""
        timeline = (await self.desk.get(f"/workflow/requests/{task['request_id']}/timeline/")).json()["items"]
        return [entry for entry in timeline if entry["kind"] == "decided"]


@asynccontextmanager
async def opened(database: Database, client: Client, links: DecisionLinks) -> AsyncIterator[Post]:
    queue, clock = f"desk-{uuid.uuid4().hex[:8]}", Clock()
    settings = {
        "notify": NotifySettings(decision_links=links),
        "identity": IdentitySettings(login_rate="5/minute"),
        "clock": clock,
    }
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue, **settings) as desk:
        yield Post(desk=desk, clock=clock)


@pytest_asyncio.fixture
async def post(database: Database, client: Client) -> AsyncIterator[Post]:
    """Give an installation where a link decides by itself."""
    async with opened(database, client, "bearer") as found:
        yield found


def fields(answer: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the form on a page."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', answer.text))


def said(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and what the page is about."""
    found = SAID.search(answer.text)
    return answer.status_code, found.group(1) if found else answer.text


async def confirm(browser: httpx.AsyncClient, link: str, **more: str) -> httpx.Response:
    """Open a link and send its form."""
    shown = await browser.get(link)
    assert shown.status_code == 200, shown.text
    return await browser.post("/decide", data={**fields(shown), **more})


async def test_a_link_decides_once_and_for_its_person_as_the_api_does(post: Post) -> None:
    task, other = await post.asked(), await post.asked()
    link = (await post.links(task))["approve"]
    browser = post.browser()
    done = await confirm(browser, link, comment="Fine.")
    assert said(done) == (200, "done")
    await post.desk.post(
        f"/workflow/tasks/{other['id']}/decide/", {"decision": "approve", "comment": "Fine.", "revision": 1}, as_="bob"
    )
    (by_link,), (by_api,) = await post.decided(task), await post.decided(other)
    assert (by_link["actor"], by_link["detail"]["via"], by_api["detail"]["via"]) == ("user:bob", "link", "api")
    told = [{**entry["detail"], "via": None, "content_digest": None} for entry in (by_link, by_api)]
    assert told[0] == told[1]
    assert said(await browser.get(link)) == (410, "used")
    assert said(await browser.get((await post.links(task))["reject"])) == (410, "decided")
    assert len(await post.decided(task)) == 1
    verdict = (await post.desk.get(f"/workflow/requests/{task['request_id']}/audit/verify/")).json()
    assert verdict["ok"] is True


async def test_whatever_opens_a_link_without_its_form_decides_nothing(post: Post) -> None:
    task = await post.asked()
    scanner = post.browser(**{"User-Agent": "scanner of links"})
    for link in (await post.links(task)).values():
        for method in ("GET", "HEAD", "OPTIONS", "GET"):
            await scanner.request(method, link)
        assert (await scanner.post(link)).status_code == 404, "an address alone, sent as a form"
    assert await post.decided(task) == []
    assert said(await post.browser().get((await post.links(task))["approve"])) == (200, "approve")


async def test_a_page_of_a_link_is_kept_by_nobody_and_told_to_nobody(post: Post) -> None:
    link = (await post.links(await post.asked()))["approve"]
    for answer in (await post.browser().get(link), await post.browser().get(link + "x")):
        assert answer.headers["Referrer-Policy"] == "strict-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "<script" not in answer.text
        assert "<title>Your decision · Placet</title>" in answer.text, "a preview in a chat says nothing of the request"


async def test_another_site_cannot_send_the_form_of_a_link(post: Post) -> None:
    task = await post.asked()
    shown = await post.browser().get((await post.links(task))["approve"])
    for headers in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        answer = await post.browser().post("/decide", data=fields(shown), headers=headers)
        assert answer.status_code == 403
    assert await post.decided(task) == []


@pytest.mark.parametrize("bad", ["", "x", "a.b.c", "\u00e9\u0000", "x" * 30_000, "short", "changed", "signal", "older"])
async def test_a_link_that_is_not_whole_decides_nothing_and_says_so(post: Post, bad: str) -> None:
    task = await post.asked()
    token = (await post.links(task))["approve"].partition("=")[2]
    older = URLSafeTimedSerializer(SECRET, salt="placet.decision.link").dumps(["bob", task["id"]])
    signal = DecisionTokens(SECRET, machine_time).issue("bob", task["id"], 1, revision=1, decision="approve")
    # Not the last character: it has bits that nobody reads.
    changed = token[:-2] + "-_"[token[-2] == "-"] + token[-1]
    token = {"short": token[:-6], "changed": changed, "signal": signal, "older": older}.get(bad, bad)
    asked = await post.browser().get("/decide", params={"token": token})
    sent = await post.browser().post("/decide", data={"token": token, "key": "1"})
    assert (said(asked), said(sent)) == ((404, "unreadable"), (404, "unreadable"))
    assert await post.decided(task) == []


async def test_somebody_who_tries_many_links_is_slowed_down_and_whoever_has_one_is_not(post: Post) -> None:
    task = await post.asked()
    answers = [(await post.browser().get(f"/decide?token={number}")).status_code for number in range(7)]
    assert (answers[0], answers[-1]) == (404, 429)
    assert said(await post.browser().get((await post.links(task))["approve"])) == (200, "approve")


async def test_a_link_ends_after_its_days(post: Post) -> None:
    task = await post.asked()
    link = (await post.links(task))["approve"]
    shown = await post.browser().get(link)
    post.clock.ahead = timedelta(days=7)
    assert said(await post.browser().get(link)) == (410, "expired")
    sent = await post.browser().post("/decide", data=fields(shown))
    assert said(sent) == (410, "expired")
    assert "7 days" in sent.text or "1 week" in sent.text
    assert await post.decided(task) == []


async def test_a_link_ends_when_the_task_changes_hands_and_stays_so_when_it_comes_back(post: Post) -> None:
    task = await post.asked()
    link = (await post.links(task))["approve"]
    shown = await post.browser().get(link)
    for who, to in (("bob", "dora"), ("dora", "bob")):
        moved = await post.desk.post(f"/workflow/tasks/{task['id']}/reassign/", {"to": f"user:{to}"}, as_=who)
        assert moved.status_code == 200, moved.text
        assert said(await post.browser().get(link)) == (410, "handed_over")
        assert said(await post.browser().post("/decide", data=fields(shown))) == (403, "handed_over")
    assert await post.decided(task) == []
    assert said(await confirm(post.browser(), (await post.links(task))["approve"])) == (200, "done")


async def test_a_link_ends_when_the_content_changes_and_shows_the_difference(post: Post) -> None:
    task, other = await _two_branches(post, on_change="stage")
    links = await post.links(task)
    shown = await post.browser().get(links["approve"])
    sent = {"decision": "request_changes", "comment": "Less."}
    assert (await post.desk.post(f"/workflow/tasks/{other['id']}/decide/", sent, as_="carl")).status_code == 200
    done = await post.desk.post(f"/workflow/requests/{task['request_id']}/resubmit/", {"input": {"amount": "60"}})
    assert done.status_code == 200, done.text
    asked = await post.browser().get(links["approve"])
    late = await post.browser().post("/decide", data=fields(shown))
    assert (said(asked), said(late)) == ((410, "changed"), (409, "changed"))
    for answer in (asked, late):
        assert re.search(r"<del>.*120.*</del>.*<ins>.*60.*</ins>", answer.text, re.DOTALL)
    assert await post.decided(task) == []


async def test_a_link_that_was_used_stays_so_when_its_decision_is_undone(post: Post) -> None:
    task = await post.asked({**SLOW, "undo_seconds": 86_400})
    links = await post.links(task)
    shown = await post.browser().get(links["approve"])
    assert said(await post.browser().post("/decide", data=fields(shown))) == (200, "done")
    assert (await post.desk.post(f"/workflow/tasks/{task['id']}/undo/", as_="bob")).status_code == 200
    for link in links.values():
        assert said(await post.browser().get(link)) == (410, "handed_over")
    assert said(await post.browser().post("/decide", data=fields(shown))) == (403, "handed_over")
    assert len(await post.decided(task)) == 1
    assert said(await confirm(post.browser(), (await post.links(task))["reject"])) == (200, "done")


async def test_a_decision_by_link_is_undone_from_its_page_once(post: Post) -> None:
    task = await post.asked({**SLOW, "undo_seconds": 86_400})
    link = (await post.links(task))["approve"]
    browser = post.browser()
    done = await confirm(browser, link)
    assert 'action="/decide/undo"' in done.text
    again = await browser.get(link)
    assert said(again) == (410, "used")
    assert 'action="/decide/undo"' in again.text, "also whoever has closed the page can undo"
    other = await post.browser().post(
        "/decide/undo", data={"token": (await post.links(task))["reject"].partition("=")[2]}
    )
    assert said(other) == (409, "decided"), "a link undoes its own decision alone"
    undone = await browser.post("/decide/undo", data=fields(again))
    assert said(undone) == (200, "done")
    assert f'href="/tasks/{task["id"]}"' in undone.text
    assert said(await browser.post("/decide/undo", data=fields(done))) == (409, "handed_over")
    assert said(await browser.get(link)) == (410, "handed_over")
    row = await post.desk.database.read(requests.read_task, task["id"])
    assert (row.status, row.decision, row.hand_overs) == ("open", None, 1)


async def test_a_decision_by_link_that_stands_offers_no_undoing(post: Post) -> None:
    link = (await post.links(await post.asked()))["approve"]
    done = await confirm(post.browser(), link)
    assert said(done) == (200, "done")
    assert "/decide/undo" not in done.text
    late = await post.browser().post("/decide/undo", data={"token": link.partition("=")[2]})
    assert said(late) == (409, "used")
    assert "/decide/undo" not in late.text


async def test_a_link_neither_takes_nor_undoes_a_decision_that_is_signed(post: Post) -> None:
    signing = {"sign": {"reauthenticate": True, "reasons": ["I looked at it"]}, "undo_seconds": 86_400}
    task = await post.asked({**SLOW, **signing})
    link = (await post.links(task))["approve"]
    token = {"token": link.partition("=")[2]}
    assert said(await post.browser().get(link)) == (401, "sign")
    assert said(await post.browser().post("/decide", data=token)) == (401, "sign")
    bob = await pages.browser_of(post.desk, "bob")
    form = {"decision": "approve", "reason": "I looked at it", "revision": "1", "key": uuid.uuid4().hex, "comment": ""}
    page = (await pages.send(bob, f"/tasks/{task['id']}/decide", **form)).headers["location"]
    assert (await pages.send(bob, page, token=await post.desk.token("bob"))).status_code == 303
    row = await post.desk.database.read(requests.read_task, task["id"])
    assert (row.decision, row.signature is not None, row.undo_until is not None) == ("approve", True, True)
    for browser in (post.browser(), await post.logged_in("bob")):
        shown = await browser.get(link)
        assert said(shown) == (410, "decided"), "the link has decided nothing"
        assert "/decide/undo" not in shown.text
        undone = await browser.post("/decide/undo", data=token)
        assert said(undone) == (409, "decided")
        assert "/decide/undo" not in undone.text
    assert (await post.desk.database.read(requests.read_task, task["id"])).decision == "approve"
    assert (await pages.send(bob, f"/tasks/{task['id']}/undo", back="/")).status_code == 303, "on its page it is undone"
    assert (await post.desk.database.read(requests.read_task, task["id"])).status == "open"


async def test_a_link_rests_while_another_branch_has_returned_the_request(post: Post) -> None:
    task, other = await _two_branches(post, on_change="restart")
    link = (await post.links(task))["approve"]
    shown = await post.browser().get(link)
    sent = {"decision": "request_changes", "comment": "Less."}
    assert (await post.desk.post(f"/workflow/tasks/{other['id']}/decide/", sent, as_="carl")).status_code == 200
    assert said(await post.browser().get(link)) == (410, "returned")
    assert said(await post.browser().post("/decide", data=fields(shown))) == (409, "returned")
    assert await post.decided(task) == []


async def test_the_link_of_a_substitute_decides_on_behalf_of_whoever_is_away(post: Post) -> None:
    task = await post.asked()
    link = (await post.links(task, "zoe"))["approve"]
    assert said(await post.browser().get(link))[0] == 410, "nobody is away"
    span = {"from": "2020-01-01T00:00:00+00:00", "until": "2099-01-01T00:00:00+00:00", "substitute": "zoe"}
    with writing(post.desk.database) as session:
        session.execute(update(StoredPerson).where(col(StoredPerson.id) == "bob").values(away=[span]))
    page = await (await post.logged_in("zoe")).get(f"/tasks/{task['id']}")
    assert 'id="refused"' not in page.text
    assert said(await confirm(post.browser(), link)) == (200, "done")
    (entry,) = await post.decided(task)
    assert (entry["actor"], entry["detail"]["on_behalf_of"]) == ("user:zoe", "user:bob")


async def test_a_link_ends_while_the_request_is_returned_and_when_it_has_ended(post: Post) -> None:
    task = await post.asked()
    link = (await post.links(task))["approve"]
    shown = await post.browser().get(link)
    sent = {"decision": "request_changes", "comment": "Less."}
    assert (await post.desk.post(f"/workflow/tasks/{task['id']}/decide/", sent, as_="bob")).status_code == 200
    assert said(await post.browser().get(link)) == (410, "decided")
    assert said(await post.browser().post("/decide", data=fields(shown))) == (409, "decided")
    ended = await post.asked()
    link = (await post.links(ended))["approve"]
    shown = await post.browser().get(link)
    assert (await post.desk.post(f"/workflow/requests/{ended['request_id']}/withdraw/")).status_code == 200
    assert said(await post.browser().get(link)) == (410, "closed")
    assert said(await post.browser().post("/decide", data=fields(shown))) == (409, "closed")
    assert await post.decided(ended) == []


async def test_of_two_tabs_that_decide_at_once_one_counts_and_the_other_says_what_stands(post: Post) -> None:
    task = await post.asked()
    links = await post.links(task)
    tabs = [await post.browser().get(links[one]) for one in ("approve", "reject", "approve")]
    answers = await asyncio.gather(*(post.browser().post("/decide", data=fields(tab)) for tab in tabs))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert len(await post.decided(task)) == 1
    again = await asyncio.gather(*(post.browser().post("/decide", data=fields(tab)) for tab in tabs))
    assert [one.status_code for one in again] == [one.status_code for one in answers], "the same form, the same answer"
    with reading(post.desk.database) as session:
        assert {row.action for row in session.query(Refusal).all()} == {"decide"}


async def test_the_link_of_somebody_who_has_left_or_may_decide_nothing_is_dead(post: Post) -> None:
    task = await post.asked()
    link = (await post.links(task))["approve"]
    shown = await post.browser().get(link)
    for change, code in (({"access": ["requester"]}, (403, "not_yours")), ({"active": False}, (410, "left"))):
        with writing(post.desk.database) as session:
            session.execute(update(StoredPerson).where(col(StoredPerson.id) == "bob").values(**change))
        assert said(await post.browser().get(link)) == code
        assert (await post.browser().post("/decide", data=fields(shown))).status_code == code[0]
    assert await post.decided(task) == []


async def test_a_comment_and_a_form_are_asked_for_where_the_stage_does(post: Post) -> None:
    schema = {"type": "object", "required": ["centre"], "properties": {"centre": {"type": "string", "minLength": 3}}}
    task = await post.asked({**SLOW, "comment_required": ["reject"], "form": schema})
    links = await post.links(task)
    reject = await post.browser().get(links["reject"])
    assert " required" in reject.text
    assert "form.centre" not in reject.text
    assert (await post.browser().post("/decide", data={**fields(reject), "comment": "  "})).status_code == 422
    approve = await post.browser().get(links["approve"])
    wrong = await post.browser().post("/decide", data={**fields(approve), "form.centre": "x", "comment": "Kept."})
    assert (wrong.status_code, ">Kept.<" in wrong.text, 'aria-invalid="true"' in wrong.text) == (422, True, True)
    assert await post.decided(task) == []
    done = await post.browser().post("/decide", data={**fields(wrong), "form.centre": "4711"})
    assert said(done) == (200, "done")


async def test_a_link_speaks_the_language_of_its_person(post: Post) -> None:
    task = await post.asked()
    link = (await post.links(task))["approve"]
    assert "genehmigen?" in (await post.browser(**{"Accept-Language": "de"}).get(link)).text
    assert "nicht vollständig" in (await post.browser(**{"Accept-Language": "de"}).get(link[:-5])).text
    chosen = await post.desk.call("PUT", "/workflow/people/me/preferences/", as_="bob", body={"language": "de"})
    assert chosen.status_code == 200, chosen.text
    assert "genehmigen?" in (await post.browser().get(link)).text


async def test_no_table_holds_a_link(post: Post) -> None:
    task = await post.asked()
    link = (await post.links(task))["approve"]
    await confirm(post.browser(), link)
    token = link.partition("=")[2]
    rows: list[Any] = []
    with reading(post.desk.database) as session:
        for table in (ApprovalTask, ApiToken, BrowserSession, RateCount, Refusal):
            rows += [row.model_dump() for row in session.query(table).all()]
    assert rows
    assert not any(token in str(row) for row in rows)


async def test_a_link_over_plain_http_decides_on_this_machine_alone(post: Post) -> None:
    link = (await post.links(await post.asked()))["approve"]
    async with httpx.AsyncClient(transport=post.desk.http._transport, base_url="http://placet.test") as far:
        assert (await far.get(link)).status_code == 403
    async with httpx.AsyncClient(transport=post.desk.http._transport, base_url="https://placet.test") as safe:
        assert said(await safe.get(link)) == (200, "approve")


def test_a_token_is_bound_to_all_that_it_was_signed_for() -> None:
    tokens = LinkTokens(SECRET, machine_time)
    claims = tokens.read(tokens.issue("bob", "r.1", round_=2, hand_overs=3, revision=4, decision="reject"))
    assert claims is not None
    assert (claims.person, claims.task_id, claims.round, claims.hand_overs) == ("bob", "r.1", 2, 3)
    assert (claims.revision, claims.decision) == (4, "reject")
    assert (
        LinkTokens("another secret, not ours", machine_time).read(
            tokens.issue("bob", "r.1", round_=1, hand_overs=0, revision=1, decision="approve")
        )
        is None
    )


async def _two_branches(post: Post, **settings: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Start a request that asks bob and carl side by side, and return their tasks."""
    board = {**SLOW, "stage_name": "Board", "approvers": ["user:carl"]}
    name = await post.desk.publish(EXPENSE, process_steps=[SLOW, board], graph_spec=_side_by_side(), settings=settings)
    tasks = {one["assignee"]: one for one in (await post.desk.start(name, amount=120))["tasks"]}
    return tasks["user:bob"], tasks["user:carl"]


def _side_by_side() -> dict[str, Any]:
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "trigger"},
        {"id": "fork", "type": "fork"},
        {"id": "manager", "type": "approval", "step": "Manager Approval"},
        {"id": "board", "type": "approval", "step": "Board"},
        {"id": "join", "type": "join"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
        {"id": "no", "type": "terminator", "outcome": "rejected"},
    ]
    edges = [
        {"from": "start", "to": "fork"},
        {"from": "fork", "to": "manager"},
        {"from": "fork", "to": "board"},
        {"from": "manager", "to": "join", "on": "approved"},
        {"from": "manager", "to": "no", "on": "rejected"},
        {"from": "board", "to": "join", "on": "approved"},
        {"from": "board", "to": "no", "on": "rejected"},
        {"from": "join", "to": "yes"},
    ]
    return {"nodes": nodes, "edges": edges}
