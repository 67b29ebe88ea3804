"""What waits for somebody is counted alike for all queues, absences and delegates; its processes are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, select, update
from sqlmodel import col

from storage.database import Database
from storage.queries.requests import inbox, visibility, waiting_pages
from storage.queries.requests.visibility import Visibility, searches_for
from storage.tables.approvals import ApprovalRequest, ApprovalTask
from tests.integration.recordings import Story, write
from tests.stored import writing
from web.views.waiting_processes import KEPT, WaitingProcesses

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
READERS = [
    Visibility(person="bob"),
    Visibility(person="bob", queues=("role:buyer", "group:berlin")),
    Visibility(person="bob", absent=("cleo",)),
    Visibility(person="bob", queues=("role:buyer",), absent=("cleo", "dan"), delegated=(("r5.1", "r5"),)),
    Visibility(person="bob", queues=(*(f"role:r{number}" for number in range(40)), "role:buyer")),
    Visibility(person="nobody's % \" name"),
]


@pytest.fixture
def stored(database: Database) -> Database:
    """Store requests of one process each that wait for bob, cleo, dan, the buyers and eve."""
    asked = [("bob", "ann"), ("bob", "ann"), ("cleo", "ann"), ("dan", "bob"), ("buyers", "ann"), ("eve", "ann")]
    with writing(database) as session:
        for number, (who, asker) in enumerate(asked):
            story = Story(request_id=f"r{number}", at=NOW).open(who)
            write(session, story.recording(requester=asker, template=f"Process {number}", started_at=NOW), NOW)
        of_buyers = update(ApprovalTask).where(col(ApprovalTask.request_id) == "r4")
        session.execute(of_buyers.values(assignee=None, queue="role:buyer"))
    return database


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: f"{len(reader.queues)} {len(reader.absent)}")
async def test_prepared_questions_find_what_the_rules_find(stored: Database, reader: Visibility) -> None:
    def compare(connection: Connection) -> None:
        for claimed in (True, False):
            ids = _found(connection, reader, claimed=claimed)
            assert waiting_pages.count_waiting(connection, reader, claimed=claimed, most=100) == len(ids)
            assert waiting_pages.count_waiting(connection, reader, claimed=claimed, most=1) == min(1, len(ids))
        every = _found(connection, reader, claimed=None)
        processes = {f"Process {one.partition('.')[0].removeprefix('r')}" for one in every}
        assert inbox.templates_waiting(connection, reader) == tuple(sorted(processes))
        _, having = inbox.waiting_mark(connection, reader)
        assert having == len(_found(connection, reader, claimed=True))

    await stored.read(compare)


async def test_who_sees_few_requests_sees_each_however_many_tasks_one_of_them_has(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(database) as session:
        write(session, Story(request_id="r0", at=NOW).open(*"abcde").recording(requester="ann"), NOW)
        write(session, Story(request_id="r1", at=NOW).open("f").recording(requester="ann"), NOW)
        session.execute(update(ApprovalTask).values(queue="role:buyer"))
    monkeypatch.setattr(visibility, "FEW", 2)
    reader = Visibility(person="bob", queues=("role:buyer",))

    def seen(connection: Connection) -> tuple[set[str], bool]:
        rule, few = visibility.seen_in_lists(connection, reader, col(ApprovalRequest.id))
        return set(connection.scalars(select(col(ApprovalRequest.id)).where(rule))), few

    assert await database.read(seen) == ({"r0", "r1"}, True)


async def test_processes_are_kept_for_a_moment_and_then_found_again(stored: Database) -> None:
    known, reader = WaitingProcesses(), Visibility(person="bob")
    assert await stored.read(known.of, reader, NOW) == ("Process 0", "Process 1")

    def leave_one(connection: Connection) -> None:
        connection.execute(delete(ApprovalTask).where(col(ApprovalTask.request_id) == "r1"))

    await stored.write(leave_one)
    assert await stored.read(known.of, reader, NOW + KEPT) == ("Process 0", "Process 1")
    assert await stored.read(known.of, Visibility(person="cleo"), NOW + KEPT) == ("Process 2",)
    assert await stored.read(known.of, reader, NOW + KEPT + timedelta(seconds=1)) == ("Process 0",)


def _found(connection: Connection, reader: Visibility, *, claimed: bool | None) -> set[str]:
    tasks = select(col(ApprovalTask.id)).join(ApprovalRequest, col(ApprovalRequest.id) == col(ApprovalTask.request_id))
    searches = searches_for(reader, tasks, status="open", claimed=claimed)
    return {one for search in searches for one in connection.scalars(search.query)}
