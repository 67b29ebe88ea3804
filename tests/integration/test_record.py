"""The recording activity: many at once share transactions, and none can fail another."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import func, select, text
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.audit import Recorder
from placet.errors import Conflict, Unavailable
from storage.database import Database
from storage.queries.requests import requests
from storage.recording.new_part import Overtaken
from storage.recording.verify import verify_rows
from storage.tables.approvals import AuditEntry
from tests.integration.recordings import Story, recorder_of
from tests.stored import reading, writing


def _stories(count: int) -> list[Story]:
    return [Story(request_id=f"r{number}").open("bob") for number in range(count)]


async def _record(recorder: Recorder, story: Story) -> None:
    await ActivityEnvironment().run(recorder.record, story.recording())


async def test_many_recordings_at_once_are_all_stored_whole(database: Database) -> None:
    recorder = recorder_of(database)
    stories = _stories(40)

    async def live(story: Story) -> None:
        await _record(recorder, story)
        await _record(recorder, story.remind())
        await _record(recorder, story.remind().decide())

    await asyncio.gather(*(live(story) for story in stories))
    with reading(database) as session:
        for story in stories:
            verdict = verify_rows(session.connection(), story.request_id)
            assert verdict["ok"], verdict
            assert verdict["entries"] == 5


async def test_recordings_of_one_request_keep_their_order(database: Database) -> None:
    recorder = recorder_of(database)
    story = _stories(1)[0]
    steps = [story, story.comment("1"), story.comment("1").comment("2"), story.comment("1").comment("2").comment("3")]
    await asyncio.gather(*(_record(recorder, step) for step in steps))
    with reading(database) as session:
        assert requests.read(session.connection(), "r0").request.seq == steps[-1].seq


async def test_one_that_does_not_fit_fails_alone(database: Database) -> None:
    recorder = recorder_of(database)
    stories = _stories(8)
    stories[3] = stories[3].remind()  # its beginning was never recorded
    results = await asyncio.gather(*(_record(recorder, s) for s in stories), return_exceptions=True)
    assert [type(r) for r in results] == [Conflict if n == 3 else type(None) for n in range(8)]


async def test_one_that_the_database_refuses_fails_alone(database: Database) -> None:
    recorder = recorder_of(database)
    stories = _stories(8)
    broken = stories[3].recording(status=None)  # which the database takes from nobody
    recordings = [broken if n == 3 else s.recording() for n, s in enumerate(stories)]
    run = ActivityEnvironment().run
    results = await asyncio.gather(*(run(recorder.record, r) for r in recordings), return_exceptions=True)
    assert [isinstance(r, Exception) for r in results] == [n == 3 for n in range(8)]
    with reading(database) as session:
        assert session.scalars(select(func.count(func.distinct(AuditEntry.request_id)))).one() == 7


async def test_recordings_by_two_processes_do_not_fail_each_other(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(2)]
    recorders = [recorder_of(database) for database in databases]
    stories = _stories(16)
    # The same ones by both: an attempt that timed out is still being written while the next one is.
    await asyncio.gather(*(_until_stored(recorder, s) for s in stories for recorder in recorders))
    with reading(databases[0]) as session:
        assert all(verify_rows(session.connection(), s.request_id)["ok"] for s in stories)
    for database in databases:
        await database.close()


async def _until_stored(recorder: Recorder, story: Story) -> None:
    """Record, and again where the other was faster by a moment, as the activity's retry policy does."""
    for _ in range(5):
        with suppress(Exception):
            return await _record(recorder, story)
    return await _record(recorder, story)


async def test_what_failed_once_can_be_recorded_when_the_database_is_well_again(database: Database) -> None:
    recorder = recorder_of(database)
    story = _stories(1)[0]
    with writing(database) as session:
        session.execute(text("ALTER TABLE audit_entry RENAME TO hidden"))
    with pytest.raises(Exception, match="audit_entry"):
        await _record(recorder, story)
    with writing(database) as session:
        session.execute(text("ALTER TABLE hidden RENAME TO audit_entry"))
    await _record(recorder, story)


async def test_a_database_that_cannot_be_reached_is_unavailable() -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/none", "sqlite:////dev/null/placet.db"):
        database = Database(url)
        with pytest.raises(Unavailable, match="does not answer"):
            await _record(recorder_of(database), _stories(1)[0])
        with pytest.raises(Unavailable, match="does not answer"):
            await database.check()
        await database.close()


async def test_nothing_is_recorded_for_a_workflow_task_that_the_worker_has_given_up(database: Database) -> None:
    story = _stories(1)[0]
    with pytest.raises(ApplicationError, match="given up") as refused:
        await _record(Recorder(database, lambda: None), story)
    assert refused.value.type == Overtaken.__name__
    assert refused.value.non_retryable
    with reading(database) as session:
        assert not session.scalar(select(func.count()).select_from(AuditEntry))
