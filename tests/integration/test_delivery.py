"""Notices become mails on a real SMTP server: only what history holds, each once, and again after faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, event, select, update

from storage.database import Database
from storage.queries.notifications import delivery_queue
from storage.queries.notifications.delivery_queue import AttemptResult, ChannelRoute
from storage.recording import metrics
from storage.recording.verify import verify_rows
from storage.tables.approvals import Outbox, StoredPerson
from storage.tables.notifications import NotificationMessage
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
    states,
    write,
)
from tests.integration.recordings import Story
from tests.mailbox import FaultyMailbox
from tests.stored import reading, writing
from tests.waiting import until


async def test_a_confirmed_notice_arrives_as_a_mail_that_reads_well(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "bob", "rita")
    opened = Story(request_id="r1").open("bob").recording()
    await write(database, opened)
    await confirm(database, opened)
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent"))
    (mail,) = mailbox.mails()
    assert mail.to == ("bob@example.org",)
    assert mail.headers["To"] == "Bob <bob@example.org>"
    assert mail.subject == "Your decision, please: Grüße 😀"
    assert "Rita asks for your decision" in mail.text
    assert "amount: 12.50" in mail.text
    assert "https://placet.example.org/requests/r1" in mail.text
    assert "<strong>Grüße 😀</strong>" in mail.html
    assert mail.headers["Auto-Submitted"] == "auto-generated"
    ((kind, detail),) = await entries(database)
    assert kind == "notified"
    assert (detail["channel"], detail["to"], detail["event"], detail["attempts"]) == (
        "mail",
        "user:bob",
        "task_opened",
        1,
    )
    assert mail.message_id == f"<{detail['message_id']}@example.org>"
    with reading(database) as session:
        assert verify_rows(session.connection(), "r1")["ok"]


async def test_a_held_notice_leaves_once_the_engine_confirms_it(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "bob", "eve")
    opened = Story(request_id="r1").open("bob", "eve").recording()
    await write(database, opened)
    asked: list[str] = []
    known = asyncio.Event()

    async def engine(request_id: str) -> tuple[int, str] | None:
        asked.append(request_id)
        return (opened.seq, opened.head) if known.is_set() else None

    async with dispatching(database, settings_for(mailbox), confirm=engine):
        await until(lambda: soon(len(asked) >= 2))
        assert set((await states(database)).values()) == {"held"}
        assert mailbox.mails() == []
        asked.clear()
        known.set()
        await until(all_are(database, "sent"))
    assert asked == ["r1"]  # one question for both notices
    assert sorted(mail.to[0] for mail in mailbox.mails()) == ["bob@example.org", "eve@example.org"]


async def test_nothing_leaves_for_an_entry_that_history_took_back(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "bob", "rita")
    opened = Story(request_id="r1").open("bob")
    lost = opened.comment("this update was lost")
    kept = opened.moved(timedelta(seconds=30)).comment("this one was kept")
    await write(database, opened.recording(), lost.recording())

    async def engine(_request_id: str) -> tuple[int, str]:
        return kept.seq, kept.head  # history already goes another way than the store

    async with dispatching(database, settings_for(mailbox), confirm=engine):
        await asyncio.sleep(0.5)  # long enough for several questions; nothing may come of them
        assert mailbox.mails() == []
        await write(database, kept.recording(in_history=True))
        await until(all_are(database, "sent"))
    assert len(mailbox.mails()) == 2
    (detail,) = [d for _, d in await entries(database) if d["event"] == "commented"]
    with reading(database) as session:
        (message,) = [m for m in delivery_queue.messages(session.connection(), "r1") if m.event == "commented"]
    assert message.hash == kept.head
    assert detail["to"] == "user:bob"


async def test_an_address_that_is_refused_fails_at_once_and_the_others_do_not_wait(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await add_people(database, "bob", "eve")
    mailbox.refused["bob@example.org"] = "550 5.1.1 <bob@example.org> is unknown"
    opened = Story(request_id="r1").open("bob", "eve").recording()
    await write(database, opened)
    await confirm(database, opened)
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent", "failed"))
    assert mailbox.tried.count("bob@example.org") == 1
    assert [mail.to[0] for mail in mailbox.mails()] == ["eve@example.org"]
    found = {detail["to"]: (kind, detail) for kind, detail in await entries(database)}
    kind, detail = found["user:bob"]
    assert kind == "notification_failed"
    assert "550" in detail["why"]
    assert "bob@example.org" not in json.dumps(detail)  # the chain holds no addresses
    assert found["user:eve"][0] == "notified"
    with reading(database) as session:
        assert delivery_queue.counts(session.connection()) == {("mail", "sent"): 1, ("mail", "failed"): 1}


async def test_a_server_that_is_down_gets_every_mail_once_it_is_up(database: Database, mailbox: FaultyMailbox) -> None:
    people_ = [f"p{n}" for n in range(6)]
    await add_people(database, *people_)
    opened = Story(request_id="r1").open(*people_).recording()
    await write(database, opened)
    await confirm(database, opened)
    await mailbox.down()
    async with dispatching(database, settings_for(mailbox)) as channels:
        await until(lambda: soon("mail is down: " in channels.down.get("mail", "")))
        assert set((await states(database)).values()) == {"ready"}
        await mailbox.up()
        await until(all_are(database, "sent"))
        await until(lambda: soon(channels.down == {}))
    assert sorted(mail.to[0] for mail in mailbox.mails()) == sorted(f"{p}@example.org" for p in people_)
    assert {kind for kind, _ in await entries(database)} == {"notified"}


async def test_a_server_that_stays_down_is_given_up_in_the_end(database: Database, mailbox: FaultyMailbox) -> None:
    people_ = [f"p{n}" for n in range(8)]
    await add_people(database, *people_)
    opened = Story(request_id="r1").open(*people_).recording()
    await write(database, opened)
    await confirm(database, opened)
    await mailbox.down()
    async with dispatching(database, settings_for(mailbox, notify_give_up_after=0.6)):
        await until(all_are(database, "failed"))
    found = await entries(database)
    assert len(found) == 8
    assert {kind for kind, _ in found} == {"notification_failed"}
    key = next(iter(await states(database)))
    assert await database.write(delivery_queue.send_again, key, datetime.now(UTC)) == 1
    await mailbox.up()
    async with dispatching(database, settings_for(mailbox)):
        await until(lambda: soon(len(mailbox.mails()) == 1))
        await until(becomes(database, key, "sent"))


async def test_a_reminder_does_not_reach_somebody_whose_task_went_to_another(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await add_people(database, "bob", "eve")
    reminded = Story(request_id="r1").open("bob").remind()
    await write(database, Story(request_id="r1").open("bob").recording(), reminded.recording())
    moved = replace(reminded, tasks=(replace(reminded.tasks[0], assignee="eve"),)).comment("given to eve")
    await write(database, moved.recording())
    await confirm(database, moved.recording())
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent", "dropped"))
    found = {key.split(":")[2]: status for key, status in (await states(database)).items()}
    assert found["reminded"] == "dropped"
    assert [mail.subject for mail in mailbox.mails()] == ["Comment on Grüße 😀"]


async def test_reminders_that_piled_up_leave_as_one(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "bob", "eve")
    story = Story(request_id="r1").open("bob", "eve")
    await write(database, story.recording())
    for number in (1, 1, 2, 1):  # which task is reminded of
        story = story.remind(number)
        await write(database, story.recording())
    await confirm(database, story.recording())
    await _written(database, NOW - timedelta(hours=9))
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent", "dropped"))
    assert sorted(mail.to[0] for mail in mailbox.mails() if mail.subject.startswith("Reminder")) == [
        "bob@example.org",
        "eve@example.org",
    ]
    newest = max((key for key in await states(database) if key.endswith("reminded:bob")), key=_seq)
    found = {key: status for key, status in (await states(database)).items() if ":reminded:" in key}
    assert {key for key, status in found.items() if status == "sent"} == {newest, *(k for k in found if "eve" in k)}


async def test_reminders_that_leave_in_time_all_leave(database: Database, mailbox: FaultyMailbox) -> None:
    await add_people(database, "bob")
    story = Story(request_id="r1").open("bob")
    await write(database, story.recording())
    for _ in range(3):
        story = story.remind()
        await write(database, story.recording())
    await confirm(database, story.recording())
    await _written(database, NOW + timedelta(hours=9))  # however long this takes
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent"))
    assert len(mailbox.mails()) == 4


async def test_a_reminder_that_is_sent_again_goes_although_newer_ones_went(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await add_people(database, "bob")
    story = Story(request_id="r1").open("bob").remind().remind()
    await write(database, Story(request_id="r1").open("bob").recording())
    await write(database, Story(request_id="r1").open("bob").remind().recording(), story.recording())
    await confirm(database, story.recording())
    await _written(database, NOW + timedelta(hours=9))  # however long this takes
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent"))
        await _written(database, NOW - timedelta(hours=9))
        first = min((key for key in await states(database) if ":reminded:" in key), key=_seq)
        await database.write(delivery_queue.send_again, first, datetime.now(UTC), channel="mail")
        await until(lambda: soon(len(mailbox.mails()) == 4))
    ids = [mail.message_id for mail in mailbox.mails() if mail.subject.startswith("Reminder")]
    assert (len(ids), len(set(ids))) == (3, 2)


async def test_what_is_for_somebody_who_has_left_is_dropped_and_nothing_has_failed(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await add_people(database, "bob", "eve")
    with writing(database) as session:
        session.execute(update(StoredPerson).where(StoredPerson.id == "bob").values(active=False))
    opened = Story(request_id="r1").open("bob", "eve").recording()
    await write(database, opened)
    await confirm(database, opened)
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent", "dropped"))
    assert [mail.to[0] for mail in mailbox.mails()] == ["eve@example.org"]
    assert [(kind, detail["to"]) for kind, detail in await entries(database)] == [("notified", "user:eve")]
    with reading(database) as session:
        assert delivery_queue.counts(session.connection()) == {("mail", "sent"): 1, ("mail", "dropped"): 1}
        assert metrics.totals(session.connection()).values[metrics.FAILURES] == {(): 0}


async def _written(database: Database, at: datetime) -> None:
    """Have all notices been written at a moment."""
    with writing(database) as session:
        session.execute(update(Outbox).values(created_at=at))


def _seq(key: str) -> int:
    return int(key.split(":")[1])


async def test_what_waits_too_long_is_told_in_the_log_and_by_a_metric(
    database: Database, mailbox: FaultyMailbox, caplog: pytest.LogCaptureFixture
) -> None:
    await add_people(database, "bob")
    opened = Story(request_id="r1").open("bob").recording()
    await write(database, opened)
    await confirm(database, opened)
    assert (await _waits(database))["planning"] > 0
    await mailbox.down()
    settings = settings_for(mailbox, notify_warn_after=0.2)
    async with dispatching(database, settings):
        await until(lambda: soon("mail: 1 notifications wait, the oldest for" in caplog.text))
        waits = await _waits(database)
        assert waits["mail"] > 0
        assert (waits["planning"], waits["chat"], waits["webhook"]) == (0, 0, 0)
        await mailbox.up()
        await until(all_are(database, "sent"))
    assert (await _waits(database))["mail"] == 0


async def _waits(database: Database) -> dict[str, float]:
    with reading(database) as session:
        found = metrics.totals(session.connection()).values["workflow_notification_wait_seconds"]
    return {channel: seconds for (channel,), seconds in found.items()}


async def test_a_digest_is_recorded_for_what_it_holds_and_not_for_what_it_left_out(
    database: Database, mailbox: FaultyMailbox
) -> None:
    await add_people(database, "bob", digest={"at": ["08:00"]}, urgent=[])
    story = Story(request_id="r1").open("bob")
    opened = story.recording()
    closed = replace(story, tasks=(replace(story.tasks[0], status="decided", decided_by="eve"),)).comment("decided")
    for number, recording in enumerate((opened, closed.recording()), start=1):
        await write(database, recording)
        await confirm(database, recording)
        async with dispatching(database, settings_for(mailbox)):
            await until(_planned(database, number))
    await _due_now(database)
    async with dispatching(database, settings_for(mailbox)):
        await until(all_are(database, "sent", "dropped"))
    found = {key.split(":")[2]: status for key, status in (await states(database)).items()}
    assert found == {"task_opened": "dropped", "commented": "sent"}


def _planned(database: Database, number: int) -> Callable[[], Awaitable[bool]]:
    """Ask whether so many messages wait."""

    async def ask() -> bool:
        with reading(database) as session:
            return sum(delivery_queue.counts(session.connection()).values()) == number

    return ask


async def _due_now(database: Database) -> None:
    """Have every message that waits be due, and its notice."""
    with writing(database) as session:
        session.execute(update(NotificationMessage).values(next_attempt_at=NOW))


async def test_a_group_of_attempts_ends_each_in_its_own_way_with_as_many_statements_as_one(database: Database) -> None:
    await add_people(database, "ann", "bob", "eve", "tom")
    opened = [Story(request_id=f"r{number}").open("ann", "bob", "eve", "tom").recording() for number in (1, 2)]
    for recording in opened:
        await write(database, recording)
        await confirm(database, recording)
    taken = await database.write(_take_everything)
    assert len(taken) == 16  # each person by mail and by chat, about each of two requests
    ends = {"ann": "sent", "bob": "failed", "eve": "pending", "tom": "sent"}
    results = [
        AttemptResult(
            key=one.key,
            channel=one.channel,
            request_id=one.request_id,
            hash=one.hash if one.person != "tom" else "of an entry that history lost",
            lease=one.lease or "" if one.person != "tom" else "a lease that has ended",
            status=ends[one.person or ""],
            again_at=NOW + timedelta(hours=1),
            error="full" if one.person in {"bob", "eve"} else None,
            detail={"to": f"user:{one.person}", "channel": one.channel, "why": "full"},
            untried=one.channel == "chat",
            in_doubt=one.channel == "mail",
        )
        for one in taken
    ]
    alone = await database.write(_finish_and_count, results[:1])
    together = await database.write(_finish_and_count, results[1:])
    assert together <= alone + 2  # that of a notice which is done, and that of the count of failures
    with reading(database) as session:
        rows = [row for number in (1, 2) for row in delivery_queue.messages(session.connection(), f"r{number}")]
        verified = [verify_rows(session.connection(), f"r{number}")["ok"] for number in (1, 2)]
    assert verified == [True, True]
    found = {(row.person, row.channel): row for row in rows}
    assert {who: (row.status, row.attempts, row.in_doubt, row.lease is None) for who, row in found.items()} == {
        ("ann", "mail"): ("sent", 1, False, True),
        ("ann", "chat"): ("sent", 1, False, True),
        ("bob", "mail"): ("failed", 1, False, True),
        ("bob", "chat"): ("failed", 1, False, True),
        ("eve", "mail"): ("pending", 1, True, True),
        ("eve", "chat"): ("pending", 0, False, True),
        ("tom", "mail"): ("pending", 1, False, False),
        ("tom", "chat"): ("pending", 1, False, False),
    }
    by_person = {key.split(":")[-1]: status for key, status in (await states(database)).items()}
    assert by_person == {"ann": "sent", "bob": "failed", "eve": "ready", "tom": "ready"}
    told = [(kind, detail["to"]) for kind, detail in await entries(database)]
    assert sorted(told) == sorted([("notified", "user:ann")] * 4 + [("notification_failed", "user:bob")] * 4)


def _take_everything(connection: Connection) -> list[NotificationMessage]:
    """Plan every notice for mail and chat, and take all of it."""
    now = datetime.now(UTC)
    rows = [Outbox(**row) for row in connection.execute(select(Outbox.__table__)).mappings()]  # type: ignore[attr-defined]  # SQLModel adds it
    routes = [ChannelRoute(channel=channel, not_before=now) for channel in ("mail", "chat")]
    delivery_queue.plan(connection, [(row, routes) for row in rows], now)
    lease = timedelta(minutes=1)
    return [m for route in routes for m in delivery_queue.take(connection, route.channel, now, limit=50, lease=lease)]


def _finish_and_count(connection: Connection, results: list[AttemptResult]) -> int:
    """Finish attempts, and count the statements that it took."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    assert delivery_queue.finish_all(connection, results, datetime.now(UTC)) == [None] * len(results)
    return len(statements)
