"""The checks of `placet doctor` on a database, on an engine and at a mail server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update

from activities.notifications.channels.mailbox import Mailbox
from cli.checkup import stored as stored_checks
from cli.checkup.check import Bad, Unseen
from cli.checkup.mail import mail
from cli.checkup.stored import Stored
from storage.clock import time_of
from storage.database import Database
from storage.migrate import newest
from storage.queries import presence
from storage.recording import metrics
from storage.tables.notifications import NotificationMessage
from worker.settings import Settings

NOW = datetime.now(UTC)


@pytest.fixture
async def stored(database: Database, tmp_path: Path) -> AsyncIterator[Stored]:
    url = database.url.render_as_string(hide_password=False)
    opened = Stored(Settings(home=tmp_path, database_url=url))
    assert isinstance(await opened.answers(), str)
    yield opened
    await opened.close()


async def test_a_database_at_this_schema_with_the_same_clock_is_well(stored: Stored) -> None:
    for finding in (await stored.schema(), await stored.clock(), await stored.outbox(), await stored.log()):
        assert isinstance(finding, str), finding


@pytest.mark.parametrize(("revision", "remedy"), [("0001", None), ("9999", "restore the backup of before")])
async def test_another_schema_is_a_fault_and_its_tables_are_not_read(
    stored: Stored, database: Database, revision: str, remedy: str | None
) -> None:
    stamp = text("UPDATE alembic_version SET version_num = :version")
    await database.write(lambda c: c.execute(stamp, {"version": revision}))
    try:
        found, outbox = await stored.schema(), await stored.outbox()
    finally:  # the database is used again
        await database.write(lambda c: c.execute(stamp, {"version": newest()}))
    assert isinstance(found, Bad)
    assert revision in found.found
    assert (remedy or "") in (found.remedy or "")
    assert isinstance(outbox, Unseen)


async def test_a_clock_that_is_away_is_a_fault(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    url = stored._database.url
    found = await stored.clock()
    if url.get_backend_name() == "sqlite":
        assert found == "the database has this machine's clock"
        return
    monkeypatch.setattr(stored_checks, "time_of", lambda connection: time_of(connection) + timedelta(seconds=3))
    found = await stored.clock()
    assert isinstance(found, Bad)
    assert "ahead of this machine" in found.found


async def test_a_message_that_waits_for_too_long_is_a_fault(stored: Stored, database: Database) -> None:
    await stored.schema()
    row = {
        "key": "k", "channel": "mail", "request_id": "r", "seq": 1, "hash": "h", "event": "task_opened",
        "person": "max", "digest": False, "status": "pending", "attempts": 0, "in_doubt": False,
        "created_at": NOW - timedelta(minutes=10), "next_attempt_at": NOW,
    }  # fmt: skip
    await database.write(lambda c: c.execute(insert(NotificationMessage), [row]))
    assert "mail: 1 wait" in str(await stored.outbox())
    longer = update(NotificationMessage).values(created_at=NOW - timedelta(minutes=16))
    await database.write(lambda c: c.execute(longer))
    assert isinstance(await stored.outbox(), Bad)


async def test_running_workers_are_counted_and_ended_ones_are_not(database: Database) -> None:
    await database.write(presence.note, "a@host", "placet")
    await database.write(presence.note, "b@host", "placet")
    shown = (await database.read(metrics.totals)).values["workflow_workers_running"]
    assert shown == {(): 2}
    await database.write(presence.remove, "b@host")
    await database.write(lambda c: c.execute(text("UPDATE worker_presence SET seen_at = seen_at - 11")))
    shown = (await database.read(metrics.totals)).values["workflow_workers_running"]
    assert shown == {(): 0}


async def test_the_mail_server_is_greeted_and_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Mailbox() as box:
        monkeypatch.setenv("PLACET_SMTP_HOST", box.host)
        monkeypatch.setenv("PLACET_SMTP_PORT", str(box.port))
        monkeypatch.setenv("PLACET_SMTP_TLS", "none")
        assert str(await mail()) == f"{box.host}:{box.port} answers"
        assert not box.mails()
