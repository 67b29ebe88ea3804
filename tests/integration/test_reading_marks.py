"""Reading marks: what somebody has seen of a request is remembered for a time, and goes with the request's content."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.retention.running import delete_old_rows
from storage.database import Database
from storage.queries.requests.reading_marks import LOOK, Mark, find, looked, put
from storage.retention.erasure import erase_content
from tests.integration.test_storage_erasure import store
from worker.settings import Settings

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def seen(mark: Mark | None, seq: int, revision: int = 1, **later: float) -> Mark:
    return looked(mark, seq=seq, revision=revision, now=NOW + timedelta(**later))


def test_of_a_first_look_nothing_is_new() -> None:
    mark = seen(None, 7)
    assert (mark.before_seq, mark.before_revision, mark.before_at) == (7, 1, NOW)


def test_what_came_after_the_last_look_is_new_for_as_long_as_the_next_one_lasts() -> None:
    first = seen(None, 7)
    second = seen(first, 9, 2, hours=3)
    assert (second.before_seq, second.before_revision, second.before_at) == (7, 1, NOW)
    again = seen(second, 10, 2, hours=3, minutes=9)
    assert (again.seq, again.before_seq, again.looked_at) == (10, 7, second.looked_at)
    third = seen(again, 10, 2, hours=3, minutes=11)
    assert (third.before_seq, third.before_revision) == (10, 2)


def test_loading_a_page_again_where_nothing_happened_stores_nothing() -> None:
    mark = seen(None, 7)
    assert seen(mark, 7, seconds=LOOK.total_seconds()) == mark


async def test_each_person_has_a_mark_of_their_own_for_each_request(database: Database) -> None:
    for request, person, seq in (("r", "ann", 3), ("r", "bob", 5), ("s", "ann", 1), ("r", "ann", 4)):
        await database.write(put, request, person, seen(None, seq))
    found = [await database.read(find, *one) for one in (("r", "ann"), ("r", "bob"), ("s", "ann"), ("s", "bob"))]
    assert [mark and mark.seq for mark in found] == [4, 5, 1, None]


async def test_marks_go_some_time_after_the_last_look(database: Database) -> None:
    await database.write(put, "old", "ann", seen(None, 1, days=-8))
    await database.write(put, "new", "ann", seen(None, 1, days=-6))
    await delete_old_rows(database, Settings(marks_days=7).periods, NOW)
    assert await database.read(find, "old", "ann") is None
    assert await database.read(find, "new", "ann") is not None


async def test_marks_of_a_request_go_when_its_content_is_erased(database: Database) -> None:
    await store(database)
    for request in ("r", "other"):
        await database.write(put, request, "ann", seen(None, 1))
    await database.write(erase_content, "r", NOW)
    assert await database.read(find, "r", "ann") is None
    assert await database.read(find, "other", "ann") is not None
