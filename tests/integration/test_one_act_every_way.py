"""One act, every way: a decision by page, API, signal, link, chat or in bulk has one verdict and one audit entry.

A way is a line in `WAYS`, an act a line in `ACTS`. What may differ is how a decision came (`via`), times and hashes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from activities.decision_tokens import ButtonTokens, DecisionTokens, LinkTokens
from activities.notifications.settings import NotifySettings
from storage.database import Database
from storage.queries.people import chat_links
from storage.queries.requests import requests
from storage.tables.approvals import Refusal
from tests import chats
from tests.api_desk import STAFF, ApiDesk, api_desk
from tests.approvals import EXPENSE, SECRET, worker
from tests.clocks import machine_time
from tests.pages import LOCAL, browser_of, send
from tests.stored import reading, writing
from tests.waiting import until
from workflows.signals import SignedDecision

FORM = {"type": "object", "required": ["cost"], "properties": {"cost": {"type": "string", "maxLength": 3}}}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


@dataclass(frozen=True, kw_only=True)
class Act:
    """What somebody does to the first task of a request, and what has happened `before` since they looked at it."""

    decision: str = "approve"
    by: str = "bob"
    comment: str | None = None
    form: dict[str, Any] | None = None
    step: dict[str, Any] = field(default_factory=dict)
    attached: bool = False  # a file, before they look
    before: Callable[[ApiDesk, Office, str], Awaitable[None]] | None = None
    reason: str | None = None  # a part of why it is refused; None: it is accepted
    status: int = 200
    code: str = ""  # a part of the code's words by which an entry of the chain says the same of a signal
    link: str = ""  # a part of what a link says instead, which knows that it is older than a change of hands
    without: tuple[str, ...] = ()  # the ways that have no such act


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A task as somebody saw it."""

    id: str
    round: int
    hand_overs: int
    revision: int

    @property
    def request_id(self) -> str:
        return self.id.rpartition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of an act: the entries it led to, and why it was refused; a signal has no status."""

    entries: list[Any]
    reason: str | None
    status: int | None


@dataclass(frozen=True, kw_only=True)
class Office:
    """The API with a worker, and the engine."""

    desk: ApiDesk
    client: Client


@pytest_asyncio.fixture
async def office(database: Database, client: Client, tmp_path: Path) -> AsyncIterator[Office]:
    queue = f"ways-{uuid.uuid4().hex[:8]}"
    settings: dict[str, Any] = {
        "notify": NotifySettings(decision_links="bearer", **chats.SECRETS),
        "attachments": str(tmp_path / "files"),
    }
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue, **settings) as desk:
        with writing(database) as session:
            for person in (row["id"] for row in STAFF):
                for service in ("slack", "teams"):
                    chat_links.add(session.connection(), chats.link(service, person))
        yield Office(desk=desk, client=client)


async def by_api(office: Office, act: Act, seen: Seen) -> None:
    body = {"decision": act.decision, "comment": act.comment, "form": act.form, "revision": seen.revision}
    await office.desk.post(f"/workflow/tasks/{seen.id}/decide/", body, as_=act.by)


async def in_bulk(office: Office, act: Act, seen: Seen) -> None:
    item = {"decision": act.decision, "comment": act.comment, "form": act.form, "revision": seen.revision}
    answer = await office.desk.post("/workflow/tasks/decide/", {"items": [item | {"task_id": seen.id}]}, as_=act.by)
    assert answer.status_code == 200, answer.text


async def by_page(office: Office, act: Act, seen: Seen) -> None:
    browser = await browser_of(office.desk, act.by)
    filled = {f"form.{name}": str(value) for name, value in (act.form or {}).items()}
    said = {
        "decision": act.decision,
        "comment": act.comment or "",
        "revision": str(seen.revision),
        "key": uuid.uuid4().hex,
    }
    await send(browser, f"/tasks/{seen.id}/decide", **said, **filled)


async def in_bulk_by_page(office: Office, act: Act, seen: Seen) -> None:
    browser = await browser_of(office.desk, act.by)
    said = {"task": f"{seen.id}:{seen.revision}", "decision": act.decision, "comment": act.comment or ""}
    await send(browser, "/tasks/decide", back="/", key=uuid.uuid4().hex, **said)


async def by_link(office: Office, act: Act, seen: Seen) -> None:
    decision: Any = act.decision
    token = LinkTokens(SECRET, machine_time).issue(
        act.by, seen.id, round_=seen.round, hand_overs=seen.hand_overs, revision=seen.revision, decision=decision
    )
    filled = {f"form.{name}": str(value) for name, value in (act.form or {}).items()}
    form = {"token": token, "comment": act.comment or "", "key": uuid.uuid4().hex, **filled}
    await office.desk.http.post(f"{LOCAL}/decide", data=form)


async def by_slack(office: Office, act: Act, seen: Seen) -> None:
    decision: Any = act.decision
    token = ButtonTokens(SECRET, machine_time).issue(
        act.by, seen.id, round_=seen.round, hand_overs=seen.hand_overs, revision=seen.revision, decision=decision
    )
    body = chats.pressed(act.by, decision, token, comment=act.comment)
    answer = await chats.to_slack(office.desk, body)
    assert answer.status_code == 200, answer.text


async def by_teams(office: Office, act: Act, seen: Seen) -> None:
    text = f"{act.decision} {seen.id} {seen.round}.{seen.revision} {act.comment or ''}"
    answer = await chats.to_teams(office.desk, chats.written(act.by, text))
    assert answer.status_code == 200, answer.text


async def by_signal(office: Office, act: Act, seen: Seen) -> None:
    token = DecisionTokens(SECRET, machine_time).issue(
        act.by, seen.id, seen.round, hand_overs=seen.hand_overs, revision=seen.revision
    )
    decision: Any = act.decision
    signed = SignedDecision(token=token, task_id=seen.id, decision=decision, comment=act.comment, form=act.form)
    await office.client.get_workflow_handle(seen.request_id).signal("decide", signed)


WAYS: dict[str, Callable[[Office, Act, Seen], Awaitable[None]]] = {
    "API": by_api,
    "page": by_page,
    "bulk": in_bulk,
    "bulk by page": in_bulk_by_page,
    "link": by_link,
    "slack": by_slack,
    "teams": by_teams,
    "signal": by_signal,
}


async def attach(office: Office, request_id: str) -> None:
    token = await office.desk.token("ann")
    sent = await office.desk.http.post(
        f"/api/v1/workflow/requests/{request_id}/attachments/",
        files={"file": ("offer.txt", b"An offer.", "text/plain")},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert sent.status_code == 201, sent.text


async def content_changes(_: ApiDesk, office: Office, task_id: str) -> None:
    await attach(office, task_id.rpartition(".")[0])


async def is_decided(desk: ApiDesk, _: Office, task_id: str) -> None:
    assert (await desk.post(f"/workflow/tasks/{task_id}/decide/", {"decision": "approve"}, as_="bob")).is_success


async def is_withdrawn(desk: ApiDesk, _: Office, task_id: str) -> None:
    assert (await desk.post(f"/workflow/requests/{task_id.rpartition('.')[0]}/withdraw/", {})).is_success


async def is_returned(desk: ApiDesk, _: Office, task_id: str) -> None:
    other, body = f"{task_id.rpartition('.')[0]}.2", {"decision": "request_changes", "comment": "Why?"}
    assert (await desk.post(f"/workflow/tasks/{other}/decide/", body, as_="carl")).is_success


async def is_handed_over(desk: ApiDesk, _: Office, task_id: str) -> None:
    assert (await desk.post(f"/workflow/tasks/{task_id}/delegate/", {"to": "user:dora"}, as_="bob")).is_success


TWO = {"approvers": ["user:bob", "user:carl"], "quorum": "all"}
SIGNED = {"sign": {"reauthenticate": True, "reasons": ["I reviewed the invoice"]}}
NO_BULK = ("bulk by page", "slack", "teams")
ACTS: dict[str, Act] = {
    "approve": Act(comment="Fine."),
    "reject with a comment": Act(decision="reject", comment="Too much.", step={"comment_required": ["reject"]}),
    "abstain": Act(decision="abstain", without=("bulk by page", "link", "slack", "teams")),
    "approve with files": Act(attached=True),
    "approve with a form": Act(form={"cost": "IT"}, step={"form": FORM}, without=NO_BULK),
    "reject without its comment": Act(
        decision="reject",
        step={"comment_required": ["reject"]},
        reason="asks for a comment",
        status=422,
        code="at /comment",
    ),
    "reject with a comment of blanks": Act(
        decision="reject",
        comment=" \u200b",
        step={"comment_required": ["reject"]},
        reason="asks for a comment",
        status=422,
        code="at /comment",
    ),
    "a form against its schema": Act(
        form={"cost": "far too long"},
        step={"form": FORM},
        without=NO_BULK,
        reason="does not fit",
        status=422,
        code="at /form",
    ),
    "a form that is not filled in": Act(step={"form": FORM}, reason="does not fit", status=422, code="at /form"),
    # The page leads on to the signature instead (test_signing).
    "a decision that is signed": Act(
        step=SIGNED, reason="is signed", status=401, code="carries no fresh proof", without=("page",)
    ),
    "somebody else's signed task": Act(
        by="olivia", step=SIGNED, reason="not yours to decide", status=403, code="may not do this"
    ),
    "a stale revision": Act(before=content_changes, reason="has been changed", status=409, code="changed"),
    "somebody else's task": Act(by="olivia", reason="not yours to decide", status=403, code="may not do this"),
    "one's own request": Act(by="ann", reason="Nobody decides their own request", status=403, code="may not do this"),
    # A chat says of one's own decision that it stands (test_chat).
    "decided already": Act(
        before=is_decided,
        step=TWO,
        reason="has been decided",
        status=409,
        code="already been settled",
        without=("slack", "teams"),
    ),
    "ended": Act(
        before=is_withdrawn, reason="has ended", status=409, without=("signal",)
    ),  # nobody takes a signal then
    "returned": Act(
        before=is_returned, step=TWO, reason="changes were requested", status=409, code="already been settled"
    ),
    "handed over": Act(
        before=is_handed_over,
        reason="not yours to decide",
        status=403,
        code="may not do this",
        link="has changed hands",
    ),
}


@pytest.mark.parametrize("name", ACTS)
async def test_one_act_has_one_verdict_and_one_entry_whatever_way_it_comes(office: Office, name: str) -> None:
    act = ACTS[name]
    step = {"stage_name": "Board", "approvers": ["user:bob"], **act.step}
    template = await office.desk.publish(EXPENSE, process_steps=[step])
    verdicts = {way: await verdict(office, template, act, way) for way in WAYS if way not in act.without}
    usual = verdicts["API"]
    if act.reason is None:
        assert usual.reason is None
        assert usual.entries
    else:
        assert act.reason in (usual.reason or "")
        assert (usual.status, usual.entries) == (act.status, [])
    for way, found in verdicts.items():
        assert found.entries == usual.entries, way
        own = {"signal": act.code, "link": act.link, "slack": act.link}.get(way)
        assert (own in (found.reason or "")) if own else found.reason == usual.reason, (way, found, usual)
        assert (found.reason is None) == (usual.reason is None), way
        assert found.status in {usual.status, None}, way


async def verdict(office: Office, template: str, act: Act, way: str) -> Verdict:
    """Start a request, let somebody look at its first task, let happen what happens before, and do the act."""
    desk = office.desk
    started = await desk.start(template, amount=1)
    if act.attached:
        await attach(office, started["id"])
    row = await desk.database.read(requests.read_task, started["tasks"][0]["id"])
    seen = Seen(id=row.id, round=row.round, hand_overs=row.hand_overs, revision=row.revision)
    if act.before is not None:
        await act.before(desk, office, seen.id)
    known = len(await timeline(desk, started["id"]))
    await WAYS[way](office, act, seen)

    async def reacted() -> tuple[list[dict[str, Any]], Refusal | None] | None:
        new = (await timeline(desk, started["id"]))[known:]
        refusal = refused(desk.database, started["id"])
        return (new, refusal) if new or refusal is not None else None

    found = await until(reacted, what=f"what comes of it by {way}")
    assert found is not None
    new, refusal = found
    signals = [entry for entry in new if entry["kind"] == "signal_refused"]
    reason = signals[0]["detail"]["why"] if signals else refusal.reason if refusal is not None else None
    entries = [plain(entry, started["id"]) for entry in new if entry["kind"] != "signal_refused"]
    return Verdict(
        entries=entries, reason=reason, status=None if way == "signal" else refusal.status_code if refusal else 200
    )


async def timeline(desk: ApiDesk, request_id: str) -> list[dict[str, Any]]:
    items = (await desk.get(f"/workflow/requests/{request_id}/timeline/", as_="adam")).json()["items"]
    return [item for item in items if not item["kind"].startswith("notif")]


def refused(database: Database, request_id: str) -> Refusal | None:
    with reading(database) as session:
        return session.scalars(select(Refusal).where(col(Refusal.request_id) == request_id)).first()


def plain(entry: dict[str, Any], request_id: str) -> Any:
    """Return an entry without what may differ: how it came, times and hashes, and the request's own id."""
    kept = {name: entry[name] for name in ("kind", "actor", "stage", "task_id")}
    detail = {name: value for name, value in entry["detail"].items() if name != "via"}
    return MOMENT.sub("<moment>", repr(kept | {"detail": detail}).replace(request_id, "<request>"))
