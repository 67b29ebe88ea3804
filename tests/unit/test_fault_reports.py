"""Reports of the fault simulator add up, and a search deals out each seed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, insert

from storage.tables.notifications import NotificationTemplate
from tests.faults import search
from tests.faults.processes.database import Store
from tests.faults.report import Part, added, read, revision, told
from tests.faults.schedule import Outcome
from tests.faults.search import Search
from tests.faults.virtual_time import START

PART = Part(revision="a", first=0, schedules=50, steps=10_000, faults=300, calls=200, seconds=2.0)
OUTCOME = Outcome(violation=None, made=(), faults=2, steps=200, calls=3)


def test_parts_of_one_revision_add_up_in_any_order() -> None:
    later = replace(PART, first=50, schedules=25, violations=((60, "it is lost"),))
    (whole,) = added([later, PART])
    assert (whole.first, whole.schedules, whole.steps, whole.seconds) == (0, 75, 20_000, 4.0)
    assert whole.violations == ((60, "it is lost"),)
    assert "75 schedules from seed 0" in told(whole)
    assert "1 violations" in told(whole)


def test_other_code_and_other_bugs_are_counted_apart() -> None:
    assert len(added([PART, replace(PART, revision="b"), replace(PART, plant="gaps")])) == 3


def test_a_seed_is_not_counted_twice() -> None:
    with pytest.raises(ValueError, match="seed 49 is in two lines"):
        added([PART, replace(PART, first=49)])


def test_a_line_is_read_as_it_was_written() -> None:
    part = replace(PART, violations=((7, "it is lost"),), plant="gaps")
    assert read([part.line()]) == [part]


def test_the_revision_is_of_sources_and_nothing_else() -> None:
    assert revision() == revision()


@pytest.mark.parametrize("processes", [1, 2])
def test_each_seed_is_played_once_and_noted(processes: int, tmp_path: Path) -> None:
    report = tmp_path / "report"
    with patch.object(search, "play", lambda seed: replace(OUTCOME, violation="lost" if seed == 70 else None)):
        whole = Search(first=10, most=120, processes=processes, report=report).run(60)
    assert (whole.first, whole.schedules, whole.steps, whole.calls) == (10, 120, 24_000, 360)
    assert whole.violations == ((70, "lost"),)
    assert [replace(part, seconds=0) for part in read(report.read_text().splitlines())] == [replace(whole, seconds=0)]


def test_a_search_without_a_report_ends_at_the_first_violation() -> None:
    with patch.object(search, "play", lambda seed: replace(OUTCOME, violation="lost" if seed >= 55 else None)):
        whole = Search().run(60)
    assert whole.violations == ((55, "lost"),)
    assert whole.schedules == 56


def test_what_breaks_a_schedule_is_a_finding() -> None:
    def broken(_: int) -> Outcome:
        raise LookupError("gone")

    with patch.object(search, "play", broken):
        assert Search(most=5).run(60).violations == ((0, "LookupError('gone')"),)


def test_a_copy_of_the_store_takes_the_place_of_its_rows() -> None:
    def write(name: str) -> None:
        row = {"name": name, "version": 1, "language": "en", "status": "active", "subject": "", "text": "", "html": ""}
        row |= {"created_by": "olivia", "created_at": START}

        def work(connection: Connection) -> None:
            connection.execute(insert(NotificationTemplate), [row])

        store.transaction(work, writes=True)

    def names() -> list[str]:
        return [name for (name,) in store.raw("SELECT name FROM notification_template ORDER BY name")]

    store = Store()
    write("first")
    early = store.copy()
    write("second")
    complete = store.copy()
    store.load(early)
    assert names() == ["first"]
    store.load(complete)
    assert names() == ["first", "second"]
    with pytest.raises(ZeroDivisionError):
        store.transaction(lambda _: 1 // 0, writes=True)
    assert Store().raw("SELECT count(*) FROM notification_template") == [(0,)]
