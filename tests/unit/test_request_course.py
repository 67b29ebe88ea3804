"""The course of a request on its page: bounded parts of it, which lead to each other, so that nothing is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from storage.queries.requests.reading_marks import Mark
from storage.queries.requests.timelines import TimelineRow
from web.languages import Wording
from web.views.people import Names
from web.views.requests.news import MOST_LINES, news_of
from web.views.requests.timeline import MOST_ENTRIES, MOST_SAID, Course, Until, course_of
from web.views.versions import Version

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORDING = Wording(language="en", zone=ZoneInfo("UTC"), now=NOW)
NAMES = Names({"ann": "Ann"})
VERSION = Version(id="", definition=None, amount=None)


def rows(many: int) -> list[TimelineRow]:
    """Return entries of which every other one is a comment."""
    return [
        TimelineRow(
            seq=number,
            at=NOW + timedelta(minutes=number),
            kind="commented" if number % 2 else "reminded",
            actor="user:ann" if number % 2 else "system",
            stage=None,
            task_id=None,
            detail={"why": f"Comment {number}"} if number % 2 else {"to": "user:ann"},
            hash="",
        )
        for number in range(1, many + 1)
    ]


def course(many: int, until: Until | None = None) -> Course:
    return course_of(rows(many), VERSION, NAMES, WORDING, new=set(), until=until)


@pytest.mark.parametrize("many", [0, 1, MOST_ENTRIES, MOST_ENTRIES + 1, 1000])
def test_going_back_through_the_entries_shows_each_of_them_once_and_so_does_going_on(many: int) -> None:
    parts = [course(many)]
    while parts[-1].entries.earlier:
        parts.append(course(many, Until(entries=parts[-1].entries.before)))
    assert all(len(one.entries.lines) <= MOST_ENTRIES for one in parts)
    back = [line.number for one in reversed(parts) for line in one.entries.lines]
    assert sorted(set(back)) == list(range(1, many + 1))
    on = [parts[-1]]
    while on[-1].entries.later:
        on.append(course(many, Until(entries=on[-1].entries.after)))
    assert {line.number for one in on for line in one.entries.lines} == set(back)


def test_what_people_wrote_has_parts_of_its_own() -> None:
    latest = course(1000)
    assert [line.said for line in latest.said.lines][-1] == "Comment 999"
    assert (len(latest.said.lines), latest.said.earlier, latest.said.later) == (MOST_SAID, 500 - MOST_SAID, 0)
    before = course(1000, Until(said=latest.said.before))
    assert before.said.lines[-1].number == latest.said.lines[0].number - 2
    assert before.said.later == MOST_SAID
    assert before.entries == latest.entries


@pytest.mark.parametrize("last", [0, 1, 50, 10**8])
def test_a_number_that_is_no_entry_shows_the_part_that_is_nearest(last: int) -> None:
    part = course(1000, Until(entries=last, said=last)).entries
    assert len(part.lines) == MOST_ENTRIES
    assert part.earlier + len(part.lines) + part.later == 1000


def test_of_much_that_is_new_the_latest_is_told_and_the_rest_counted() -> None:
    mark = Mark(seq=10, revision=1, looked_at=NOW, before_seq=10, before_revision=1, before_at=NOW)
    entries = [row for row in rows(1000) if row.seq % 2]
    news, new = news_of(entries, 1, mark, "bob", VERSION, NAMES, WORDING)
    assert len(new) == 495
    assert (len(news.lines), news.more) == (MOST_LINES, 495 - MOST_LINES)
    assert news.lines[-1].said == "Comment 999"
