"""What is kept for a time only goes when its time is over, in batches, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select
from sqlmodel import SQLModel

from service.retention.periods import Periods
from service.retention.running import delete_old_rows
from storage.database import Database
from storage.queries import api_calls
from storage.queries import retention as stored_runs
from storage.queries.definitions import drafts
from storage.tables.approvals import ApprovalRequest, IdempotentCall, Outbox, Refusal
from storage.tables.drafts import BlueprintDraft, BlueprintDraftRevision
from storage.tables.event_logs import EventLog, EventLogPart
from storage.tables.notifications import NotificationMessage, WebhookEndpoint
from storage.tables.simulations import WorkflowSimulation, WorkflowSimulationRow
from tests.stored import reading, writing

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def count(database: Database, model: type[IdempotentCall | Refusal]) -> int:
    with reading(database) as session:
        return int(session.execute(select(func.count()).select_from(model)).scalar_one())


async def test_answers_and_refusals_go_when_they_are_too_old(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.retention.retention.BATCH", 3)
    for days in (1, 6, 8, 8, 9, 10, 30, 89, 91, 100):
        at = NOW - timedelta(days=days)
        reserved = {"principal": "bob", "key": f"{days}", "fingerprint": "f", "subject": None}
        await database.write(api_calls.reserve, **reserved, now=at)
        refused = {"at": at, "principal": "bob", "action": "decide", "status_code": 403, "reason": "no"}
        await database.write(api_calls.add_refusal, Refusal(**refused))
    await delete_old_rows(database, Periods(), NOW)
    assert await count(database, Refusal) == 8
    assert await count(database, IdempotentCall) == 2
    await delete_old_rows(database, Periods(answers=5, refusals=5), NOW)
    assert (await count(database, Refusal), await count(database, IdempotentCall)) == (1, 1)


async def a_draft(database: Database, name: str, *, days: int, then: str) -> None:
    """Store a draft that was saved once and then submitted, published or discarded, all of it so many days ago."""
    at = NOW - timedelta(days=days)
    who = {"created_by": "desi", "created_at": at, "updated_by": "desi", "updated_at": at}
    row = BlueprintDraft(id=name, process=name, content={}, revision=1, status="open", authors=["desi"], **who)
    await database.write(drafts.insert, row)
    by = {"by": "desi", "now": at}
    await database.write(drafts.save, name, seen=1, content={"name": name}, process=name, **by)
    if then in {"submitted", "published"}:
        await database.write(drafts.submit, name, seen=2, template_id="t", digest="d", **by)
    if then in {"published", "discarded"}:
        await database.write(drafts.end, name, then, of=("open", "submitted"), **by)


async def test_abandoned_drafts_go_and_published_ones_keep_who_did_what(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.retention.retention.BATCH", 2)
    monkeypatch.setattr("storage.retention.retention.DRAFTS", 2)
    for then in ("open", "submitted", "published", "discarded"):
        for days in (364, 366, 367, 1000):
            await a_draft(database, f"{then} {days}", days=days, then=then)
    await delete_old_rows(database, Periods(), NOW)
    with reading(database) as session:
        left = session.scalars(select(BlueprintDraft.id).order_by(BlueprintDraft.id)).all()
        query = select(BlueprintDraftRevision.draft_id, BlueprintDraftRevision.act)
        acts = session.execute(query.order_by(BlueprintDraftRevision.number)).all()
        held = session.scalars(
            select(BlueprintDraftRevision.draft_id).where(BlueprintDraftRevision.content.is_not(None)).distinct()
        ).all()
    kept = {f"{then} {days}" for then in ("submitted", "published") for days in (364, 366, 367, 1000)}
    assert {*left} == kept | {"open 364", "discarded 364"}
    assert {draft for draft, _ in acts} == {*left}
    assert [act for draft, act in acts if draft == "published 1000"] == ["created", "saved", "submitted", "published"]
    assert {*held} == {*left} - {"published 366", "published 367", "published 1000"}
    await delete_old_rows(database, Periods(drafts=1), NOW)
    with reading(database) as session:
        assert {*session.scalars(select(BlueprintDraft.id))} == kept


def ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


async def left(database: Database, model: type[SQLModel], column: str) -> list[str]:
    with reading(database) as session:
        return sorted(session.scalars(select(getattr(model, column))))


def put(database: Database, *rows: SQLModel) -> None:
    with writing(database) as session:
        for row in rows:
            session.execute(insert(type(row)), [row.model_dump()])


def a_request(name: str, status: str) -> ApprovalRequest:
    return ApprovalRequest(
        id=name,
        template_id="t",
        template="Trip",
        version="1.0.0",
        title="A trip",
        input={},
        requester="ann",
        status=status,
        seq=1,
        head="",
        started_at=ago(400),
    )


def a_message(request: str, channel: str, days: int, status: str = "sent") -> NotificationMessage:
    finished = None if status == "pending" else ago(days)
    return NotificationMessage(
        key=f"{request}:{days}:{channel}",
        channel=channel,
        request_id=request,
        seq=1,
        hash="",
        event="task_opened",
        person="ann",
        status=status,
        created_at=ago(days),
        next_attempt_at=ago(days),
        finished_at=finished,
    )


def a_notification(key: str, request: str, days: int, status: str = "sent") -> Outbox:
    return Outbox(
        key=key,
        request_id=request,
        seq=1,
        hash="",
        event="task_opened",
        person="ann",
        detail={},
        status=status,
        created_at=ago(days),
        next_attempt_at=ago(days),
    )


def an_endpoint(name: str, days: int) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=name,
        url="https://example.com",
        secret_ref="derived:1",
        events=[],
        seen_at=ago(days),
        created_by="adam",
        created_at=ago(400),
    )


async def test_messages_and_then_their_notifications_go_once_their_request_has_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.retention.retention.BATCH", 2)
    put(
        database,
        a_request("over", "completed"),
        a_request("on", "pending"),
        an_endpoint("ahead", 1),
        an_endpoint("behind", 300),
        a_message("over", "mail", 179),
        a_message("over", "mail", 181),
        a_message("over", "sms", 300, "failed"),
        a_message("over", "chat", 300, "dropped"),
        a_message("over", "mail", 300, "pending"),
        a_message("on", "mail", 300),
        a_message("over", "webhook:ahead", 300),
        a_message("over", "webhook:behind", 200),
        a_message("over", "webhook:gone", 300),
        a_notification("over:300:mail", "over", 300),
        a_notification("over:181:mail", "over", 181),
        a_notification("over:182:mail", "over", 182, "ready"),
        a_notification("on:300:mail", "on", 300),
    )
    await delete_old_rows(database, Periods(), NOW)
    messages = ["on:300:mail", "over:179:mail", "over:200:webhook:behind", "over:300:mail"]
    assert await left(database, NotificationMessage, "key") == messages
    assert await left(database, Outbox, "key") == ["on:300:mail", "over:182:mail", "over:300:mail"]


async def test_simulations_go_with_their_rows_but_for_the_newest_of_a_process_and_those_that_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.retention.retention.LARGE", 2)

    def simulation(name: str, days: int, *, template: str | None = "Trip", running: bool = False) -> WorkflowSimulation:
        return WorkflowSimulation(
            id=name,
            mode="backtest",
            status="running" if running else "completed",
            template=template,
            question={},
            created_by="ann",
            created_at=ago(days),
            finished_at=None if running else ago(days),
        )

    made = [simulation(f"old {number}", 500 - number) for number in range(5)]
    made += [simulation("of no process", 500, template=None), simulation("runs", 600, running=True)]
    made += [simulation("young", 364, template="Other"), simulation("second", 366, template="Other")]
    rows = [
        WorkflowSimulationRow(simulation_id=one.id, position=1, revision=1, request_id="r", changed=False, row={})
        for one in made
    ]
    put(database, *made, *rows)
    await delete_old_rows(database, Periods(), NOW)
    assert await left(database, WorkflowSimulation, "id") == ["old 4", "runs", "young"]
    assert await left(database, WorkflowSimulationRow, "simulation_id") == ["old 4", "runs", "young"]


async def test_event_logs_go_with_their_cases(database: Database) -> None:
    for days, status in ((729, "completed"), (731, "completed"), (800, "failed"), (900, "running")):
        log = EventLog(
            id=f"{days}",
            name="ERP",
            status=status,
            file_name="erp.csv",
            size=1,
            sha256="",
            map={},
            warnings=[],
            created_by="ann",
            created_at=ago(days),
            finished_at=None if status == "running" else ago(days),
        )
        put(database, log, EventLogPart(log_id=f"{days}", position=1, cases=1, events=1, content=b"x"))
    await delete_old_rows(database, Periods(), NOW)
    assert await left(database, EventLog, "id") == ["729", "900"]
    assert await left(database, EventLogPart, "log_id") == ["729", "900"]


async def test_what_each_run_has_deleted_is_noted(database: Database) -> None:
    for moment in (NOW, NOW + timedelta(hours=1)):
        refused = {"at": ago(91), "principal": "bob", "action": "decide", "status_code": 403, "reason": "no"}
        await database.write(api_calls.add_refusal, Refusal(**refused))
        await delete_old_rows(database, Periods(), moment)
    runs = await database.read(stored_runs.runs)
    assert (runs["refusals"].rows, runs["refusals"].total) == (1, 2)
    assert runs["refusals"].ran_at == NOW + timedelta(hours=1)
    assert (runs["answers"].rows, runs["answers"].total) == (0, 0)
