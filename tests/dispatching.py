"""A dispatcher on a real database and a real mail server, told in a line or two."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from activities.notifications.channels.channel import Channel
from activities.notifications.channels.smtp import SmtpChannel
from activities.notifications.delivery.confirmation import Confirm
from activities.notifications.delivery.dispatcher import Dispatcher
from activities.notifications.settings import NotifySettings
from placet.engine.recording import Recording
from storage.database import Database
from storage.queries.people import people
from storage.recording import outbox
from storage.recording.outbox import Confirmation
from storage.tables.approvals import Delivery, Outbox, StoredPerson
from tests.integration.recordings import write as write_recording
from tests.mailbox import FaultyMailbox
from tests.stored import reading, writing
from tests.waiting import PATIENCE

NOW = datetime.now(UTC)


def settings_for(box: FaultyMailbox, **changes: Any) -> NotifySettings:
    given: dict[str, Any] = {
        "smtp_host": box.host,
        "smtp_port": box.port,
        "smtp_tls": "none",
        "smtp_timeout": PATIENCE / 2,
        "webhook_timeout": PATIENCE / 2,
        "mail_from": "Placet <placet@example.org>",
        "public_url": "https://placet.example.org",
        "notify_retry_first": 0.05,
        "notify_retry_most": 0.2,
        "notify_give_up_after": 10 * PATIENCE,
        "notify_lease": 10 * PATIENCE,
        "notify_confirm_after": 0.1,
        "notify_poll": 0.1,
        **changes,
    }
    return NotifySettings(**given)


async def nothing_known(_request_id: str) -> None:
    """Answer like an engine that cannot tell."""


@asynccontextmanager
async def dispatching(
    database: Database,
    settings: NotifySettings,
    *,
    confirm: Confirm = nothing_known,
    channels: list[Channel] | None = None,
    **more: Any,
) -> AsyncIterator[Dispatcher]:
    channels = [SmtpChannel(settings)] if channels is None else channels
    dispatcher = Dispatcher(database, channels, confirm, settings, **more)
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
        await asyncio.wait_for(running, PATIENCE)


async def add_people(database: Database, *names: str, **preferences: Any) -> None:
    with writing(database) as session:
        for name in names:
            person = StoredPerson(id=name, name=name.title(), email=f"{name}@example.org", updated_at=NOW)
            person.roles, person.groups, person.access, person.away = [], [], ["approver"], []
            person.preferences = preferences
            people.put(session.connection(), person)


async def write(database: Database, *recordings: Recording) -> None:
    for one in recordings:
        with writing(database) as session:
            write_recording(session, one, datetime.now(UTC))


async def confirm(database: Database, recording: Recording) -> None:
    held = Confirmation(request_id=recording.request_id, seq=recording.seq, head=recording.head)
    await database.write(outbox.confirm_all, [held])


async def states(database: Database) -> dict[str, str]:
    with reading(database) as session:
        return {row.key: row.status for row in session.scalars(select(Outbox))}


async def entries(database: Database) -> list[tuple[str, dict[str, Any]]]:
    with reading(database) as session:
        rows = session.scalars(select(Delivery).order_by(col(Delivery.request_id), col(Delivery.seq)))
        return [(row.kind, json.loads(row.detail)) for row in rows]


def all_are(database: Database, *wanted: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        found = await states(database)
        return bool(found) and set(found.values()) <= set(wanted)

    return ask


async def soon(holds: bool) -> bool:
    """Answer a question that was put in an expression."""
    return holds


def becomes(database: Database, key: str, status: str) -> Callable[[], Awaitable[bool]]:
    """Ask whether one notice has come to this."""

    async def ask() -> bool:
        return (await states(database))[key] == status

    return ask
