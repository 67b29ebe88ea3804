"""A worker has made what reads and writes its payloads before it is given work."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.audit import Recorder, StoredSequence
from activities.directory import DirectoryReader
from cli.commands.histories import read
from storage.database import Database
from tests.histories import FOLDER, VERSION
from tests.replays import replayer
from worker import converter
from worker.converter import prepare
from workflows.registration import MARKERS, WORKFLOWS


@pytest.fixture
async def database(sqlite_url: str) -> Database:
    return Database(sqlite_url)


@pytest.mark.parametrize("name", ["escalation", "withdrawn"])
async def test_the_first_task_of_a_worker_makes_no_adapter(database: Database, name: str) -> None:
    """Each thread would make the same one: twelve requests after a restart took longer than the SDK waits for one."""
    activities = [Recorder(database).record, DirectoryReader(database).look_up, StoredSequence(database).stored_seq]
    converter._adapter.cache_clear()
    prepare(WORKFLOWS, [*activities, *MARKERS])
    made = converter._adapter.cache_info().misses
    history = read(Path(FOLDER / VERSION / f"{name}.json"))
    await replayer().replay_workflow(history)
    assert converter._adapter.cache_info().misses == made
    await database.close()
