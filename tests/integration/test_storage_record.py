"""What `record` writes: once, in one piece, and as history has it."""

from __future__ import annotations

from sqlalchemy import select
from sqlmodel import SQLModel

from activities.messages import Recording
from storage import record, requests
from storage.database import Database
from storage.tables import ApprovalTask, AuditEntry, AuditSuperseded, Outbox, Participant
from tests.integration.recordings import NOW, Story


async def _write(database: Database, *recordings: Recording) -> None:
    for one in recordings:
        async with database.begin() as session:
            await record.write(session, one, NOW)


async def _rows(database: Database, model: type[SQLModel]) -> list[dict[str, object]]:
    async with database.session() as session:
        found = [row.model_dump() for row in await session.scalars(select(model))]
    return sorted(found, key=repr)


async def _everything(database: Database) -> dict[str, list[dict[str, object]]]:
    models = (AuditEntry, AuditSuperseded, ApprovalTask, Participant, Outbox)
    rows = {model.__name__: await _rows(database, model) for model in models}
    async with database.session() as session:
        page = await requests.page(session, limit=100)
    return rows | {"requests": [stored.request.model_dump() for stored in page.items]}


async def test_a_request_reads_as_it_was_recorded(database: Database) -> None:
    opened, decided = Story(request_id="r1").open("bob"), Story(request_id="r1").open("bob").decide()
    await _write(database, opened.recording(), decided.recording())

    async with database.session() as session:
        stored = await requests.get(session, "r1")
        timeline = await requests.timeline(session, "r1")
    assert (stored.request.status, stored.request.outcome, stored.request.seq) == ("completed", "approved", 4)
    assert stored.request.head == decided.recording().head
    assert [(t.id, t.assignee, t.status, t.decision) for t in stored.tasks] == [("r1.1", "bob", "decided", "approve")]
    assert [(h.seq, h.kind) for h in timeline] == [
        (1, "started"),
        (2, "task_opened"),
        (3, "decided"),
        (4, "completed"),
    ]
    assert timeline[0].at == NOW
    assert timeline[0].detail == {"title": "Grüße 😀"}
