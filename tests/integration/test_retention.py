"""What is kept for a time only goes when its time is over, in batches, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from storage.database import Database
from storage.queries import api_calls
from storage.queries.definitions import drafts
from storage.tables.approvals import IdempotentCall, Refusal
from storage.tables.drafts import BlueprintDraft, BlueprintDraftRevision
from tests.stored import reading
from worker.jobs import delete_old_rows
from worker.settings import Settings

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
    await delete_old_rows(database, Settings(), NOW)
    assert await count(database, Refusal) == 8
    assert await count(database, IdempotentCall) == 2
    await delete_old_rows(database, Settings(answers_days=5, refusals_days=5), NOW)
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
    await delete_old_rows(database, Settings(), NOW)
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
    await delete_old_rows(database, Settings(drafts_days=1), NOW)
    with reading(database) as session:
        assert {*session.scalars(select(BlueprintDraft.id))} == kept
