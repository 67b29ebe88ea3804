"""Announcements: what one process commits, the others learn at once; where one is lost, nothing hangs."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import Connection
from temporalio.testing import ActivityEnvironment

from service import requests as use_case
from service.context import Context
from service.engine import client as engine
from service.principal import Principal
from service.requests import RequestDraft, start_request
from storage.announcements import pipes
from storage.announcements.announce import HELD, READY, announce, payloads, request_topic, topics_of
from storage.announcements.listener import Subscriptions, listening
from storage.database import Database
from storage.recording import outbox
from storage.recording.outbox import Confirmation
from tests.api_desk import api_desk, context_of, no_engine
from tests.databases import END_CONNECTIONS
from tests.integration.recordings import Story, recorder_of
from tests.waiting import until
from workflows.interface import Start

ANN = Principal(person="ann", access=frozenset({"requester"}))


@pytest_asyncio.fixture
async def heard(database: Database) -> AsyncIterator[Subscriptions]:
    """Return the subscriptions of a process that listens."""
    async with listening(database) as subscriptions:
        await until(lambda: _connected(subscriptions))
        yield subscriptions


@pytest_asyncio.fixture
async def elsewhere(database: Database, database_url: str) -> AsyncIterator[Database]:
    """Return the database as another process has it."""
    opened = Database(database_url)
    yield opened
    await opened.close()


async def _connected(subscriptions: Subscriptions) -> bool:
    return subscriptions.connected


def _announce(connection: Connection, *topics: str) -> None:
    announce(connection, topics)


def _announce_and_fail(connection: Connection, *topics: str) -> None:
    announce(connection, topics)
    raise ValueError("no")


async def test_who_waits_for_a_topic_is_woken_by_another_process(heard: Subscriptions, elsewhere: Database) -> None:
    with heard.subscribe("one") as one, heard.subscribe("other") as other:
        await elsewhere.write(_announce, "one", "nobody waits for this")
        await asyncio.wait_for(one.wait(), 60)
        assert not other.is_set()


async def test_what_is_rolled_back_is_not_announced(heard: Subscriptions, elsewhere: Database) -> None:
    with heard.subscribe("lost") as lost, heard.subscribe("kept") as kept:
        with pytest.raises(ValueError, match="no"):
            await elsewhere.write(_announce_and_fail, "lost")
        await elsewhere.write(_announce, "kept")
        await asyncio.wait_for(kept.wait(), 60)
        assert not lost.is_set()


async def test_many_topics_of_one_transaction_all_arrive(heard: Subscriptions, elsewhere: Database) -> None:
    topics = [request_topic(f"{number:036}") for number in range(300)]
    assert len(list(payloads(topics))) > 1
    with heard.subscribe(topics[-1]) as last, heard.subscribe(topics[0]) as first:
        await elsewhere.write(_announce, *topics)
        await asyncio.wait_for(last.wait(), 60)
        await asyncio.wait_for(first.wait(), 60)


async def test_a_recording_announces_that_its_request_begins_and_that_notifications_wait(
    heard: Subscriptions, elsewhere: Database
) -> None:
    story = Story(request_id="r1").open("bob")
    recorder = recorder_of(elsewhere)
    with heard.subscribe(request_topic("r1")) as begun, heard.subscribe(HELD) as held:
        await ActivityEnvironment().run(recorder.record, story.recording())
        await asyncio.wait_for(begun.wait(), 60)
        await asyncio.wait_for(held.wait(), 60)
    confirmation = Confirmation(request_id="r1", seq=story.recording().seq, head=story.recording().head)
    with heard.subscribe(READY) as ready:
        await elsewhere.write(outbox.confirm_all, [confirmation])
        await asyncio.wait_for(ready.wait(), 60)
    with heard.subscribe(request_topic("r1")) as begun, heard.subscribe(READY) as ready, heard.subscribe("end") as end:
        await ActivityEnvironment().run(recorder.record, story.comment("1").recording())
        await elsewhere.write(outbox.confirm_all, [confirmation])  # again
        await elsewhere.write(_announce, "end")
        await asyncio.wait_for(end.wait(), 60)
        assert not begun.is_set(), "only the beginning is waited for"
        assert not ready.is_set(), "nothing became ready"


async def test_a_start_is_answered_when_it_is_announced_and_needs_no_look_before(
    database: Database, heard: Subscriptions, elsewhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_case, "_ANNOUNCED_LOOK", 1000.0)
    await _start_while_recorded_elsewhere(database, heard, elsewhere, monkeypatch)


@pytest.mark.parametrize("connected", [True, False])
async def test_a_start_is_answered_although_its_announcement_is_lost(
    connected: bool, database: Database, elsewhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Subscriptions()
    silent.connected = connected
    await _start_while_recorded_elsewhere(database, silent, elsewhere, monkeypatch)


async def _start_while_recorded_elsewhere(
    database: Database, subscriptions: Subscriptions, elsewhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def record(_context: Context, _start: Start) -> None:
        tasks.append(asyncio.create_task(ActivityEnvironment().run(recorder_of(elsewhere).record, story.recording())))

    tasks: list[asyncio.Task[None]] = []
    story = Story(request_id="r1").open("bob")
    monkeypatch.setattr(engine, "start", record)
    async with api_desk(database, await no_engine(), seconds=1) as desk:
        name = await desk.publish()
        context = replace(context_of(desk), subscriptions=subscriptions, start_deadline=timedelta(seconds=500))
        draft = RequestDraft(template=name, input={"amount": "1"})
        started = await asyncio.wait_for(start_request(context, ANN, draft, request_id="r1"), 100)
    assert started.request.id == "r1"
    await asyncio.gather(*tasks)


async def test_who_listens_again_after_an_interruption_looks_for_what_was_missed(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    async with listening(database) as heard:
        await until(lambda: _connected(heard))
        with heard.subscribe("any") as woken:
            await database.write(lambda connection: connection.exec_driver_sql(END_CONNECTIONS))
            await asyncio.wait_for(woken.wait(), 60)
        await until(lambda: _connected(heard))
        with heard.subscribe("one") as one:
            await database.write(_announce, "one")
            await asyncio.wait_for(one.wait(), 60)
    await database.close()


async def test_pipes_are_private_and_those_that_nobody_reads_are_removed(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    folder = pipes.folder_of(database.url)
    assert folder is not None
    with pipes.open_pipe(folder) as descriptor:
        (pipe,) = folder.iterdir()
        assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, pipe)] == [0o700, 0o600]
        os.mkfifo(folder / "of-a-killed-process", 0o600)
        for _ in range(5000):  # more than a pipe holds: whoever announces does not wait for a reader
            pipes.send(folder, ["topic"])
        assert list(folder.iterdir()) == [pipe]
        assert all(topics_of(line) == ["topic"] for line in pipes.PipeReader(descriptor).read())
    assert list(folder.iterdir()) == []
    await database.close()


@pytest.mark.parametrize("payload", ["", "no JSON", "{}", "1", '[1, {"a": 2}]'])
def test_what_others_announce_means_nothing(payload: str) -> None:
    assert topics_of(payload) == []
