"""Requests and tasks as they are read, by whoever may; and notices as history releases them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from placet.errors import InputInvalid, NotFound
from storage.database import Database
from storage.queries.requests import requests
from storage.queries.requests.visibility import Visibility
from storage.recording import outbox
from storage.tables.approvals import Outbox
from tests.integration.recordings import NOW, Story, write
from tests.stored import reading, writing


async def _store(database: Database) -> None:
    """Store five requests, one a minute, and decide the first."""
    with writing(database) as session:
        for number in range(5):
            story = Story(request_id=f"r{number}").open("bob" if number % 2 else "carol")
            at = NOW + timedelta(minutes=number // 2)  # two at the same moment
            tasks = tuple(replace(t, opened_at=at, delegates=("dan",) if number == 4 else ()) for t in story.tasks)
            owner = "user:olivia" if number == 3 else "role:cfo"
            write(session, story.recording(started_at=at, tasks=tasks, owner=owner), NOW)
        write(session, Story(request_id="r0").open("carol").decide().recording(owner=None), NOW)


async def _pages(database: Database, **filters: Any) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    with reading(database) as session:
        while True:
            page = requests.page(session.connection(), limit=2, cursor=cursor, **filters)
            found += [stored.request.id for stored in page.items]
            assert all(len(stored.tasks) == 1 for stored in page.items)
            cursor = page.next_cursor
            if cursor is None:
                return found


async def test_requests_are_listed_newest_first_by_whoever_may_see_them(database: Database) -> None:
    await _store(database)
    assert await _pages(database) == ["r4", "r3", "r2", "r1", "r0"]
    assert await _pages(database, viewer=Visibility(person="rita")) == ["r4", "r3", "r2", "r1", "r0"]  # the requester
    assert await _pages(database, viewer=Visibility(person="bob")) == ["r3", "r1"]  # has a task
    assert await _pages(database, viewer=Visibility(person="carol")) == ["r4", "r2", "r0"]  # had a task
    assert await _pages(database, viewer=Visibility(person="dan")) == ["r4"]  # a delegate
    assert await _pages(database, viewer=Visibility(person="olivia")) == ["r3"]  # the owner
    assert await _pages(database, viewer=Visibility(person="mallory")) == []
    assert await _pages(database, status="completed") == ["r0"]
    assert await _pages(database, requester="mallory") == []
    assert await _pages(database, template="Expense approval", viewer=Visibility(person="bob")) == ["r3", "r1"]


async def test_one_request_is_found_by_whoever_may_see_it(database: Database) -> None:
    await _store(database)
    with reading(database) as session:
        assert requests.read(session.connection(), "r4", viewer="dan").request.id == "r4"
        assert requests.read_task(session.connection(), "r4.1", viewer="dan").request_id == "r4"
        for hidden, viewer in (("r4", "bob"), ("r9", None)):
            with pytest.raises(NotFound, match="There is no request"):
                requests.read(session.connection(), hidden, viewer=viewer)
            with pytest.raises(NotFound, match="There is no task"):
                requests.read_task(session.connection(), f"{hidden}.1", viewer=viewer)
        with pytest.raises(InputInvalid):
            requests.page(session.connection(), limit=2, cursor="WyJub3ciLCJhIl0")


async def test_tasks_are_listed_by_whom_they_wait_for(database: Database) -> None:
    await _store(database)
    queue = Story(request_id="q").open("bob")
    unclaimed = replace(queue.tasks[0], assignee=None, held_by=(), candidates=("erin", "erin_2"))
    claimed = replace(queue.tasks[0], id="q.2", assignee="erin_2", held_by=(), candidates=("erin", "erin_2"))
    with writing(database) as session:
        write(session, queue.recording(tasks=(unclaimed, claimed)), NOW)

    async def listed(**filters: Any) -> list[str]:
        with reading(database) as session:
            return sorted(t.id for t in requests.task_page(session.connection(), limit=50, **filters).items)

    assert await listed(assignee="carol") == ["r0.1", "r2.1", "r4.1"]
    assert await listed(assignee="carol", status="open") == ["r2.1", "r4.1"]
    assert await listed(waits_for=Visibility(person="dan")) == ["r4.1"]
    assert await listed(waits_for=Visibility(person="erin")) == ["q.1"]
    assert await listed(waits_for=Visibility(person="erin_2")) == ["q.1", "q.2"]
    assert await listed(waits_for=Visibility(person="erin%")) == []
    assert await listed(viewer=Visibility(person="bob")) == ["r1.1", "r3.1"]
    assert await listed(request_id="r1", sla_state="ok") == ["r1.1"]
    assert await listed(sla_state="breached") == []
    with reading(database) as session:
        first = requests.task_page(session.connection(), limit=4, status="open")
        second = requests.task_page(session.connection(), limit=4, status="open", cursor=first.next_cursor)
    assert [t.id for t in (*first.items, *second.items)] == ["r4.1", "r3.1", "r2.1", "r1.1", "q.2", "q.1"]


async def test_notices_are_released_for_what_history_holds_and_nothing_else(database: Database) -> None:
    story = Story(request_id="r").open("bob", "carol")
    later = story.comment("hello")
    with writing(database) as session:
        write(session, story.recording(), NOW)
        write(session, later.recording(), NOW)

    async def ready(seq: int, head: str) -> set[str]:
        await database.write(outbox.confirm_all, [outbox.Confirmation(request_id="r", seq=seq, head=head)])
        with reading(database) as session:
            return {row.event for row in session.scalars(select(Outbox)) if row.status == "ready"}

    with reading(database) as session:
        assert outbox.next_due(session.connection()) is None
        assert outbox.held(session.connection(), before=NOW + timedelta(1), limit=9) == ["r"]
        assert outbox.held(session.connection(), before=NOW, limit=9) == []
    assert await ready(later.seq, story.head) == set()  # not the hash of that entry
    assert await ready(later.seq + 1, later.head) == set()  # beyond what is stored
    assert await ready(story.seq, story.head) == {"task_opened"}
    assert await ready(later.seq, later.head) == {"task_opened", "commented"}
    with reading(database) as session:
        assert outbox.held(session.connection(), before=NOW + timedelta(1), limit=9) == []
        assert outbox.next_due(session.connection()) is not None


async def test_a_session_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"read-?only"), reading(database) as session:
        session.execute(text("DELETE FROM person"))


async def test_a_session_sees_one_moment(database: Database) -> None:
    await _store(database)
    with reading(database) as session:
        before = requests.read(session.connection(), "r1")
        with writing(database) as other:
            write(other, Story(request_id="r1").open("bob").decide().recording(), NOW)
        session.expire_all()
        assert requests.read(session.connection(), "r1").request.status == before.request.status == "pending"
    with reading(database) as session:
        assert requests.read(session.connection(), "r1").request.status == "completed"


async def test_what_waits_in_a_queue_or_for_somebody_away_is_seen_for_now(database: Database) -> None:
    await _store(database)
    queue = Story(request_id="q").open("bob")
    waiting = replace(queue.tasks[0], assignee=None, held_by=(), candidates=("erin",), queue="group:finance")
    with writing(database) as session:
        write(session, queue.recording(tasks=(waiting,)), NOW)
    finance = Visibility(person="zoe", queues=("group:finance",))
    covers = Visibility(person="zoe", absent=("carol",))
    assert await _pages(database, viewer=finance) == ["q"]
    assert await _pages(database, viewer=Visibility(person="zoe", queues=("role:cfo",))) == ["r4", "r2", "r1"]  # owned
    assert await _pages(database, viewer=covers) == ["r4", "r2"]  # open, and carol's
    assert await _pages(database, viewer=Visibility(person="erin")) == [], "whose group it was is no matter"
    with reading(database) as session:
        for visibility, seen, task in ((finance, "q", "q.1"), (covers, "r2", "r2.1")):
            assert requests.read(session.connection(), seen, viewer=visibility).request.id == seen
            assert requests.read_task(session.connection(), task, viewer=visibility).id == task
            inbox = requests.task_page(
                session.connection(), limit=50, status="open", waits_for=visibility, viewer=visibility
            )
            assert task in [one.id for one in inbox.items]
        with pytest.raises(NotFound):
            requests.read(session.connection(), "q", viewer=covers)
        own = requests.task_page(session.connection(), limit=50, waits_for=replace(finance, person="rita"))
        assert "q.1" not in [one.id for one in own.items], "nobody claims what they asked for"
