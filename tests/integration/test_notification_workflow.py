"""The engine keeps each channel of notifications at one worker, shows why it fails, and gives it to another worker."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.notifications.channels.smtp import SmtpChannel
from activities.notifications.delivery.runner import NotificationRunner
from activities.notifications.settings import NotifySettings
from storage.database import Database
from storage.queries.notifications import delivery_queue
from tests.dispatching import (
    add_people,
    all_are,
    confirm,
    nothing_known,
    settings_for,
    soon,
    told_nothing,
    write,
)
from tests.integration.recordings import Story
from tests.mailbox import FaultyMailbox
from tests.stored import reading
from tests.waiting import until
from worker.notifications import notification_worker, start_channels, workflow_id

PEOPLE = [f"p{n}" for n in range(12)]


def queue() -> str:
    return f"told-{uuid.uuid4().hex[:8]}"


def serving(client: Client, database: Database, settings: NotifySettings, task_queue: str) -> Worker:
    """Return a worker for planning and mails."""
    runner = NotificationRunner(database, [SmtpChannel(settings)], nothing_known, settings, tell=told_nothing)
    return notification_worker(client, runner, task_queue=task_queue)


async def ask(database: Database, number: int = 1) -> None:
    """Have all people asked for a decision."""
    opened = Story(request_id=f"r{number}").open(*PEOPLE).recording()
    await write(database, opened)
    await confirm(database, opened)


async def pending(handle: WorkflowHandle[Any, Any]) -> PendingActivityInfo | None:
    """Return what the engine tells of the activity of a channel, as the Temporal Web UI shows it."""
    told = (await handle.describe()).raw_description.pending_activities
    return told[0] if told else None


async def test_a_channel_has_one_workflow_whoever_starts_it(client: Client) -> None:
    name = queue()
    await asyncio.gather(*(start_channels(client, ["planning", "mail"], task_queue=name) for _ in range(3)))
    ids = [workflow_id(name, channel) for channel in ("planning", "mail")]
    assert ids[1] == f"{name}-notifications-mail"
    for id_ in ids:
        handle = client.get_workflow_handle(id_)
        described = await handle.describe()
        assert described.history_length == 2
        await handle.terminate()


async def test_a_channel_that_is_down_is_the_last_failure_of_its_activity_and_no_message_is_an_event(
    client: Client, database: Database, mailbox: FaultyMailbox
) -> None:
    name = queue()
    await add_people(database, *PEOPLE)
    await ask(database)
    await mailbox.down()
    async with serving(client, database, settings_for(mailbox), name):
        await start_channels(client, ["planning", "mail"], task_queue=name)
        mail = client.get_workflow_handle(workflow_id(name, "mail"))

        async def failed() -> bool:
            told = await pending(mail)
            return told is not None and told.attempt > 2 and "mail is down: " in told.last_failure.message

        await until(failed, what="the failure")
        before = (await mail.describe()).history_length
        await mailbox.up()
        await until(all_are(database, "sent"))

        async def recovered() -> bool:
            told = await pending(mail)
            return told is not None and told.attempt == 1 and not told.HasField("last_failure")

        await until(recovered, what="a turn without a failure")
        for number in range(2, 5):
            await ask(database, number)
        await until(all_are(database, "sent"))
        after = (await mail.describe()).history_length
    assert before == 5  # started, task scheduled, started, completed; activity scheduled; and no attempt of it
    assert after - before <= 7  # one turn ended and another began
    assert len(mailbox.mails()) == 4 * len(PEOPLE)
    assert len({mail.message_id for mail in mailbox.mails()}) == 4 * len(PEOPLE)
    for channel in ("planning", "mail"):
        await client.get_workflow_handle(workflow_id(name, channel)).terminate()


async def test_a_worker_that_stops_sends_what_it_has_begun_and_puts_the_rest_back(
    client: Client, database: Database, mailbox: FaultyMailbox
) -> None:
    name = queue()
    await add_people(database, *PEOPLE)
    await ask(database)
    await mailbox.hold()
    settings = settings_for(mailbox, smtp_connections=1)
    async with serving(client, database, settings, name):
        await start_channels(client, ["planning", "mail"], task_queue=name)
        await until(lambda: soon(len(mailbox.tried) == 1), what="a mail on its way")
        taken = {message.key for message in messages(database) if message.lease}
        stopping = asyncio.get_running_loop().call_later(1.0, lambda: asyncio.ensure_future(mailbox.release()))
    stopping.cancel()
    assert len(taken) > 1
    left = messages(database)
    assert len(mailbox.mails()) == 1
    assert sorted(message.status for message in left) == ["pending"] * (len(PEOPLE) - 1) + ["sent"]
    assert {(m.lease, m.attempts, m.in_doubt) for m in left if m.status == "pending"} == {(None, 0, False)}
    async with serving(client, database, settings, name):  # the engine gives the turn to the next worker
        await until(all_are(database, "sent"))
    assert len(mailbox.mails()) == len(PEOPLE)
    for channel in ("planning", "mail"):
        await client.get_workflow_handle(workflow_id(name, channel)).terminate()


def messages(database: Database) -> list[Any]:
    with reading(database) as session:
        return delivery_queue.messages(session.connection(), "r1")
