"""What is kept for a time only goes when its time is over, in batches, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from storage.database import Database
from storage.queries import api_calls
from storage.tables.approvals import IdempotentCall, Refusal
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
    monkeypatch.setattr("worker.jobs.BATCH", 3)
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
