"""What a request was about can be erased, and every chain goes on to verify."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlmodel import SQLModel

from placet.engine.events import Actor, AnswerQuestion, AskQuestion, Comment, Resubmit
from placet.engine.recording import Recording
from placet.errors import Conflict, NotFound
from storage.database import Database
from storage.queries.notifications import delivery_queue
from storage.queries.requests import requests, timelines
from storage.recording.verify import VerifiedRows, verify_rows
from storage.retention.erasure import TITLE, Erased, erase_content
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, AuditSuperseded, Delivery, Outbox
from storage.tables.notifications import NotificationMessage
from storage.tables.slas import SlaBreach
from tests.integration.recordings import NOW, write
from tests.stored import reading, writing
from tests.unit.core import Case, case

CONTENT = "Zanzibar"
STORED = (ApprovalRequest, ApprovalTask, AuditEntry, AuditSuperseded, Delivery, Outbox, NotificationMessage, SlaBreach)


def told(secret: str = "secret") -> Case:
    """Return a request in which people have said a word wherever they can."""
    request = case(
        {"form": {"type": "object"}},
        title=f"Trip to {CONTENT}",
        variables=[{"name": "place", "type": "string"}],
        input={"place": CONTENT},
        secret=secret,
    )
    request.do(Comment(by=Actor(person="rita"), text=f"{CONTENT} it is"))
    request.do(AskQuestion(by=Actor(person="mo"), text=f"why {CONTENT}?"))
    request.do(AnswerQuestion(by=Actor(person="rita"), n=1, text=f"{CONTENT} is nice"))
    request.decide("mo", "request_changes", comment=f"why {CONTENT}?")
    request.do(Resubmit(by=Actor(person="rita"), input={"place": f"{CONTENT}, the town"}, comment=f"{CONTENT}!"))
    return request


def recorded(request: Case, first: int = 1) -> Recording:
    """Return what a request left behind from an entry on, as the workflow records it."""
    state = request.state
    return Recording(
        request_id=state.request_id,
        template_id="tpl",
        template=request.plan.name,
        version=request.plan.version,
        owner=request.plan.owner,
        title=state.title,
        requester=state.requester,
        input=state.input,
        status=state.status,
        outcome=state.outcome,
        stage=state.stage,
        round=state.round,
        revision=state.revision,
        content_digest=state.content_digest,
        returned=False,
        started_at=state.started_at,
        ended_at=state.ended_at,
        seq=state.seq,
        head=state.head,
        tasks=state.tasks,
        entries=tuple(request.entries[first - 1 :]),
        notifications=tuple(n for n in request.notifications if n.seq >= first),
        sealed=bool(state.secret),
        opened=state.opened,
        changed=tuple(task.id for task in state.tasks),
        questions=state.questions,
    )


async def store(database: Database, secret: str = "secret", *, end: bool = True) -> Case:
    """Store a request, with an entry that history lost and a mail that was refused."""
    request = told(secret)
    first, before = request.state.seq + 1, list(request.entries)
    lost = told(secret)
    lost.do(Comment(by=Actor(person="rita"), text=f"{CONTENT}, as nobody will know"))
    with writing(database) as session:
        write(session, recorded(request), NOW)
        write(session, recorded(lost, first), NOW)
        if end:
            request.now = lost.now
            request.decide("mo", comment=f"to {CONTENT}", form={"by": CONTENT})
            write(session, replace(recorded(request, first), in_history=True), NOW)
        message = {"key": "r:1", "channel": "mail", "request_id": "r", "seq": 1, "hash": before[0].hash}
        message |= {"event": "completed", "person": "rita", "lease": "x", "status": "pending", "attempts": 1}
        moments = {"created_at": NOW, "next_attempt_at": NOW}
        session.execute(insert(NotificationMessage), [message | moments])
        failed = delivery_queue.AttemptResult(
            key="r:1",
            channel="mail",
            request_id="r",
            hash=before[0].hash,
            lease="x",
            status="failed",
            error=f"550 no {CONTENT}",
            detail={"channel": "mail", "why": f"550 no {CONTENT}"},
        )
        delivery_queue.finish_all(session.connection(), [failed], NOW)
        session.add(breach())
    return request


def breach() -> SlaBreach:
    """Return a breach of the request that somebody has acknowledged in words of its content."""
    return SlaBreach(
        id="br_1",
        sla_id="sla_1",
        sla_name="Within a day",
        template="Trip",
        request_id="r",
        visit=1,
        severity="warning",
        target_duration_seconds=60,
        threshold_seconds=60,
        actual_duration_seconds=61,
        breached_at=NOW,
        recorded_at=NOW,
        acknowledged_by="olivia",
        acknowledged_at=NOW,
        notes=f"{CONTENT} takes its time",
    )


async def everything(database: Database) -> str:
    with reading(database) as session:
        rows = [row for model in STORED for row in session.scalars(select(model)).all()]
    return "\n".join(sorted(json.dumps(row.model_dump(mode="json")) for row in rows))


async def verdict(database: Database, *edits: str) -> VerifiedRows:
    with writing(database) as session:
        for edit in edits:
            session.execute(text(edit))
    with reading(database) as session:
        return verify_rows(session.connection(), "r")


async def erase(database: Database) -> Erased:
    with writing(database) as session:
        return erase_content(session.connection(), "r", NOW)


async def rows(database: Database, model: type[SQLModel]) -> list[Any]:
    with reading(database) as session:
        return list(session.scalars(select(model)).all())


async def test_content_is_gone_and_every_chain_holds(database: Database) -> None:
    request = await store(database)
    assert (await verdict(database))["ok"]
    assert len(await rows(database, AuditSuperseded)) == 1
    heads = {row.hash for row in await rows(database, AuditEntry)}

    salted = [
        json.loads(r.salts) for m in (AuditEntry, AuditSuperseded, Delivery) for r in await rows(database, m) if r.salts
    ]
    assert await erase(database) == Erased(rows=9, values=sum(map(len, salted)))
    left = await everything(database)
    assert CONTENT not in left
    assert request.state.content_digest not in left  # whoever guesses the content could tell that they are right
    found = await verdict(database)
    assert (found["ok"], found["head"], found["deliveries"]) == (True, request.state.head, 1)
    assert {row.hash for row in await rows(database, AuditEntry)} == heads

    with reading(database) as session:
        stored = requests.read(session.connection(), "r")
        timeline = timelines.of_request(session.connection(), "r")
    assert (stored.request.title, stored.request.input) == (TITLE, {})
    decided = next(line for line in timeline if line.kind == "decided")
    assert (decided.actor, decided.detail["decision"], decided.detail["why"]) == ("user:mo", "approve", None)
    assert decided.detail["erased"] == ["/content_digest", "/form", "/why"]
    (kept,) = await rows(database, SlaBreach)
    assert (kept.acknowledged_by, kept.acknowledged_at, kept.notes) == ("olivia", NOW, None)


async def test_erasing_again_erases_nothing_more(database: Database) -> None:
    await store(database)
    await erase(database)
    before = await everything(database)
    assert await erase(database) == Erased(rows=0, values=0)
    assert await everything(database) == before


@pytest.mark.parametrize("table", ["audit_entry", "delivery"])
@pytest.mark.parametrize("erased", [False, True])
@pytest.mark.parametrize(
    "edit",
    [
        "detail = replace(detail, 'Zanzibar', 'Pemba')",
        "salts = replace(salts, '\":\"', '\":\"0')",
        "salts = NULL",
        "salts = '[]'",
        "salts = 'x'",
        'detail = replace(detail, \'"sealed":"\', \'"sealed":"0\')',
        'salts = \'{"/at":"00"}\'',
    ],
)
async def test_an_edited_value_salt_or_commitment_is_found(
    database: Database, table: str, edit: str, erased: bool
) -> None:
    await store(database)
    if erased:
        await erase(database)
    changes_nothing = ("sealed" in edit) is not erased and not edit.startswith("salts = '")
    if edit == "salts = NULL":
        changes_nothing = erased
    found = await verdict(database, f"UPDATE {table} SET {edit} WHERE request_id = 'r' AND seq = 1")
    assert found["ok"] is changes_nothing
    bad = found["first_bad_seq"] if table == "audit_entry" else found["first_bad_delivery"]
    assert bad == (None if changes_nothing else 1)


async def test_a_request_that_still_runs_or_does_not_hold_keeps_its_content(database: Database) -> None:
    with pytest.raises(NotFound):
        await erase(database)
    await store(database, end=False)
    with pytest.raises(Conflict, match="has not ended"):
        await erase(database)
    assert CONTENT in await everything(database)


async def test_a_chain_that_does_not_hold_is_not_erased(database: Database) -> None:
    await store(database)
    await verdict(database, "UPDATE audit_entry SET actor = 'user:eve' WHERE request_id = 'r' AND seq = 1")
    with pytest.raises(Conflict, match="is invalid"):
        await erase(database)
    assert CONTENT in await everything(database)


async def test_a_chain_from_before_content_was_sealed_says_that_it_holds_it(database: Database) -> None:
    await store(database, secret="")
    assert (await verdict(database))["ok"]
    with pytest.raises(Conflict, match="older than sealed content"):
        await erase(database)
    assert (await verdict(database))["ok"]
