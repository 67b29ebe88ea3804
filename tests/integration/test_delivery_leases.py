"""Messages in the hands of several workers: none is sent twice, and what a dead one had taken is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from activities.notifications.delivery.start import check_webhooks
from placet.errors import InputInvalid
from storage import clock
from storage.database import Database
from storage.queries.notifications import delivery_queue, webhooks
from storage.recording.verify import verify_rows
from storage.tables.approvals import Outbox
from storage.tables.notifications import NotificationMessage
from tests.clocks import Ahead
from tests.dispatching import (
    NOW,
    add_people,
    all_are,
    becomes,
    confirm,
    dispatching,
    entries,
    settings_for,
    soon,
    write,
)
from tests.integration.recordings import Story
from tests.integration.test_delivery import _due_now
from tests.mailbox import FaultyMailbox
from tests.stored import reading, writing
from tests.waiting import PATIENCE, until


async def test_two_workers_at_once_send_nothing_twice(database: Database, mailbox: FaultyMailbox) -> None:
    people_ = [f"p{n}" for n in range(30)]
    await add_people(database, *people_)
    for n in range(3):
        opened = Story(request_id=f"r{n}").open(*people_).recording()
        await write(database, opened)
        await confirm(database, opened)
    settings = settings_for(mailbox)
    other = Database(database.url.render_as_string(hide_password=False))
    async with dispatching(database, settings), dispatching(other, settings):
        await until(all_are(database, "sent"))
    await other.close()
    assert len(mailbox.mails()) == 90
    assert len({mail.message_id for mail in mailbox.mails()}) == 90
    assert len(await entries(database)) == 90
    with reading(database) as session:
        assert [verify_rows(session.connection(), f"r{n}")["ok"] for n in range(3)] == [True] * 3


async def test_a_slow_server_is_not_asked_twice_for_the_same_mail(database: Database, mailbox: FaultyMailbox) -> None:
    mailbox.delay = 0.3
    people_ = [f"p{n}" for n in range(6)]
    await add_people(database, *people_)
    opened = Story(request_id="r1").open(*people_).recording()
    await write(database, opened)
    await confirm(database, opened)
    settings = settings_for(mailbox, smtp_connections=2)
    async with dispatching(database, settings), dispatching(database, settings):
        await until(all_are(database, "sent"))
    assert len(mailbox.mails()) == 6


async def test_a_machine_whose_clock_is_ahead_does_not_send_what_another_one_is_sending(
    database: Database, mailbox: FaultyMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.dialect == "sqlite":  # all its processes are on one machine
        return
    await add_people(database, "bob", "eve")
    for_bob, for_eve = Story(request_id="r1").open("bob").recording(), Story(request_id="r2").open("eve").recording()
    await write(database, for_bob)
    await confirm(database, for_bob)
    await mailbox.hold()
    async with dispatching(database, settings_for(mailbox)):
        await until(lambda: soon(mailbox.tried == ["bob@example.org"]))
        monkeypatch.setattr(clock, "datetime", Ahead)
        other = Database(database.url.render_as_string(hide_password=False))
        await other.check()  # as every process does at its start
        async with dispatching(other, settings_for(mailbox)):
            await write(database, for_eve)
            await confirm(database, for_eve)
            await until(lambda: soon("eve@example.org" in mailbox.tried))  # the first worker waits for an answer still
            await mailbox.release()
            await until(all_are(database, "sent"))
        await other.close()
    assert sorted(mailbox.tried) == ["bob@example.org", "eve@example.org"]


async def test_what_a_dead_worker_had_taken_is_sent_after_its_lease(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "bob")
    opened = Story(request_id="r1").open("bob").recording()
    await write(database, opened)
    await confirm(database, opened)
    with writing(database) as session:
        session.execute(update(Outbox).values(next_attempt_at=NOW - timedelta(seconds=1)))
    with reading(database) as session:
        rows = delivery_queue.plannable(session.connection(), datetime.now(UTC), limit=5)
    leaf = delivery_queue.ChannelRoute(channel="mail", not_before=datetime.now(UTC))
    await database.write(delivery_queue.plan, [(row, [leaf]) for row in rows], datetime.now(UTC))
    lease = timedelta(seconds=0.5)
    taken = await database.write(delivery_queue.take, "mail", datetime.now(UTC), limit=5, lease=lease)
    assert [message.attempts for message in taken] == [1]
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent"))
    assert [mail.to[0] for mail in mailbox.mails()] == ["bob@example.org"]
    ((_, detail),) = await entries(database)
    assert detail["attempts"] == 2


@pytest.mark.parametrize("seen", ["as down", "as late"])
async def test_a_mail_that_left_without_an_answer_is_sent_though_its_task_closed_meanwhile(
    database: Database, mailbox: FaultyMailbox, seen: str
) -> None:
    await add_people(database, "bob")
    story = Story(request_id="r1").open("bob")
    await write(database, story.recording())
    await confirm(database, story.recording())
    first = settings_for(mailbox, notify_retry_first=PATIENCE, notify_retry_most=PATIENCE)
    if seen == "as late":
        mailbox.mute = 1
        first = first.model_copy(update={"smtp_timeout": 0.5})
    else:
        mailbox.cut = 1
    async with dispatching(database, first):
        await until(_tried_in_vain(database))
    assert len(mailbox.mails()) == 1
    closed = replace(story, tasks=(replace(story.tasks[0], status="decided", decided_by="eve"),)).comment("decided")
    await write(database, closed.recording())
    await _due_now(database)
    async with dispatching(database, settings_for(mailbox)):
        await until(becomes(database, "r1:2:task_opened:bob", "sent"))
    asking = [mail for mail in mailbox.mails() if mail.subject.startswith("Your decision")]
    assert (len(asking), len({mail.message_id for mail in asking})) == (2, 1)
    assert [(kind, detail["event"]) for kind, detail in await entries(database)] == [("notified", "task_opened")]


async def test_a_mail_that_left_after_its_lease_is_sent_whatever_became_of_it_in_other_hands(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await add_people(database, "bob")
    story = Story(request_id="r1").open("bob")
    await write(database, story.recording())
    await confirm(database, story.recording())
    await mailbox.hold()
    async with dispatching(database, settings_for(mailbox)):
        await until(lambda: soon(mailbox.tried == ["bob@example.org"]))
        with writing(database) as session:  # as a worker to which its lease has ended
            session.execute(update(NotificationMessage).values(status="dropped", lease=None))
        await mailbox.release()
        await until(all_are(database, "sent"))
    assert len(mailbox.mails()) == 1
    assert [kind for kind, _ in await entries(database)] == ["notified"]


async def test_webhooks_count_against_the_lease_once_there_is_an_endpoint(
    database: Database, mailbox: FaultyMailbox
) -> None:
    short = settings_for(mailbox, webhook_timeout=60, notify_lease=50)
    await check_webhooks(database, short)
    with writing(database) as session:
        webhooks.add(
            session.connection(),
            url="https://hooks.example.org",
            events=[],
            description="",
            secret_ref="derived:1",
            by="adam",
            now=NOW,
            endpoint_id="wh_1",
        )
    with pytest.raises(InputInvalid, match="PLACET_WEBHOOK_TIMEOUT"):
        await check_webhooks(database, short)


def _tried_in_vain(database: Database) -> Callable[[], Awaitable[bool]]:
    """Ask whether an attempt has failed, and another will come."""

    async def ask() -> bool:
        with reading(database) as session:
            return any(message.last_error for message in delivery_queue.messages(session.connection(), "r1"))

    return ask
