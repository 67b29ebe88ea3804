"""Turns of sending on a real database and a real mail server, told in a line or two."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import col
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.messages import ChannelTurn
from activities.notifications.channels.channel import Channel
from activities.notifications.channels.smtp import SmtpChannel
from activities.notifications.delivery.confirmation import Confirm, Tell
from activities.notifications.delivery.runner import NotificationRunner
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


async def told_nothing(_request_id: str) -> None:
    """Tell nobody."""


@dataclass
class Channels:
    """The channels that are worked on, and why the last attempt on each failed, if it did and no other has begun."""

    down: dict[str, str]


@asynccontextmanager
async def dispatching(
    database: Database,
    settings: NotifySettings,
    *,
    confirm: Confirm = nothing_known,
    tell: Tell = told_nothing,
    channels: list[Channel] | None = None,
    **more: Any,
) -> AsyncIterator[Channels]:
    """Have turns taken on every channel as the engine has it, without one: a failed attempt is tried again."""
    channels = [SmtpChannel(settings)] if channels is None else channels
    runner = NotificationRunner(database, channels, confirm, settings, tell=tell, **more)
    shown = Channels(down={})
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for channel in runner.channels:
            group.create_task(_served(runner, channel, shown, stopping))
        try:
            yield shown
        finally:
            stopping.set()


async def _served(runner: NotificationRunner, channel: str, shown: Channels, stopping: asyncio.Event) -> None:
    """Take turns on a channel until told to stop."""
    attempt, told = 1, list[Any]()
    while not stopping.is_set():
        place = ActivityEnvironment()
        place.info = replace(place.info, attempt=attempt, heartbeat_details=told)
        beats: list[Any] = []
        place.on_heartbeat = beats.append
        turn = asyncio.ensure_future(place.run(runner.run, ChannelTurn(channel=channel)))
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait([turn, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        place.worker_shutdown()
        try:
            await asyncio.wait_for(turn, PATIENCE)
        except ApplicationError as error:
            shown.down[channel] = error.message
            attempt, told = attempt + 1, beats[-1:]
            await asyncio.sleep((error.next_retry_delay or timedelta()).total_seconds())
        else:
            shown.down.pop(channel, None)
            attempt, told = 1, []


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
