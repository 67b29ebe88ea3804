"""What a run leaves behind: the rows of the store, and the heads that the engine's histories have."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import create_engine, text

from placet.audit.chain import Entry
from service.verification import verify_many
from storage.database import Database, driver_url
from storage.recording.verify import entry_of
from tests.chaos.checker import StoredNotice, StoredRequest
from worker.connect import EngineSettings, connect

_ENTRIES = """
    SELECT request_id, seq::text, at::text, kind, actor, stage, task_id, detail, salts, hash
    FROM audit_entry ORDER BY request_id, audit_entry.seq
"""
_UNDELIVERED = """
    SELECT (SELECT count(*) FROM outbox WHERE status IN ('held', 'ready'))
    + (SELECT count(*) FROM notification_message WHERE status = 'pending')
"""


async def stored_requests(url: str, engine: str) -> list[StoredRequest]:
    """Read all requests, and verify each against the engine."""
    entries: defaultdict[str, list[Entry]] = defaultdict(list)
    for row in rows(url, _ENTRIES):
        entry = entry_of({name: value for name, value in row.items() if name != "request_id"})
        if entry is not None:
            entries[row["request_id"]].append(entry)
    database = Database(url)
    try:
        client = await connect(EngineSettings(address=engine))
        verified = dict((await verify_many(database, client)).found)
    finally:
        await database.close()
    return [
        StoredRequest(
            id=row["id"],
            title=row["title"],
            status=row["status"],
            outcome=row["outcome"],
            head=row["head"],
            entries=tuple(entries[row["id"]]),
            engine_head=verified[row["id"]]["engine_head"],
            bad=None if verified[row["id"]]["rows"]["ok"] else str(verified[row["id"]]["rows"]),
        )
        for row in rows(url, "SELECT id, title, status, outcome, head FROM approval_request")
    ]


def stored_notices(url: str) -> list[StoredNotice]:
    """Read all notifications."""
    return [StoredNotice(**row) for row in rows(url, "SELECT key, request_id, seq, hash, status FROM outbox")]


def undelivered(url: str) -> int:
    """Count the notifications and messages that have not left."""
    (row,) = rows(url, f"SELECT ({_UNDELIVERED}) AS left_over")
    return int(row["left_over"])


def rows(url: str, query: str) -> list[dict[str, Any]]:
    """Read rows beside everyone who works on them."""
    engine = create_engine(driver_url(url))
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]
    finally:
        engine.dispose()
