"""The directory as it is read from the stored people, and people as they are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.directory import DirectoryReader
from activities.messages import DirectoryQuery
from placet import directory
from placet.definition.assignees import parse_assignee
from placet.errors import InputInvalid, NotFound
from storage.database import Database
from storage.queries.people import people
from storage.queries.people.people_listing import PeopleFilter, page
from storage.tables.approvals import StoredPerson
from tests.approvals import store_people
from tests.integration.recordings import NOW, Story, write
from tests.stored import reading, writing


def _person(ident: str, **facts: Any) -> StoredPerson:
    lists: dict[str, Any] = {"roles": [], "groups": [], "access": ["approver"], "away": [], "preferences": {}}
    return StoredPerson(**{"id": ident, "name": ident.title(), "updated_at": NOW, **lists, **facts})


def _away(substitute: str | None) -> list[dict[str, Any]]:
    return [{"from": "2025-03-01T00:00:00Z", "until": "2025-04-01T00:00:00+02:00", "substitute": substitute}]


async def _store(database: Database, *rows: StoredPerson) -> None:
    with writing(database) as session:
        for row in rows:
            people.put(session.connection(), row)


async def _read(
    database: Database, *names: str, also: tuple[str, ...] = (), given: dict[str, Any] | None = None
) -> directory.Directory:
    return await database.read(people.read_directory, [parse_assignee(name) for name in names], also=also, given=given)


async def test_the_directory_holds_whom_the_names_reach_and_nobody_else(database: Database) -> None:
    await _store(
        database,
        _person("rita", manager="user:bob"),
        _person("bob", manager="dora"),
        _person("dora"),
        _person("carl", roles=["cfo"], manager="dora", away=_away("sam")),
        _person("carola", roles=["cfo_assistant"]),  # a name that contains another
        _person("gus", groups=["finance"], active=False),
        _person("sam", manager="tom", away=_away("user:uma")),
        _person("tom"),
        _person("uma"),
        _person("ines"),
        _person("stranger", manager="rita", roles=["cto"]),
    )
    names = ("manager_of(requester)", "role:cfo", "group:finance", "input:sponsor", "user:nobody")
    found = await _read(database, *names, also=("user:rita",), given={"sponsor": "user:ines"})
    assert sorted(found.people) == ["bob", "carl", "dora", "gus", "ines", "rita", "sam", "tom", "uma"]
    assert found.managers("rita") == ["bob", "dora"]
    assert found.holders("cfo") == ["carl"]
    assert found.members("finance") == []
    assert found.people["carl"].away == (
        directory.Absence(
            start=datetime(2025, 3, 1, tzinfo=UTC), until=datetime(2025, 3, 31, 22, tzinfo=UTC), substitute="sam"
        ),
    )


async def test_everyone_is_read_as_a_process_would_see_them(database: Database) -> None:
    rows = [
        _person("ann", manager="user:bob", roles=["cfo"], groups=["g", "h"], away=_away("user:cid")),
        _person("bob", groups=["g", "h"], away=[*_away(None), *_away("ann")]),
        _person("cid", active=False),
    ]
    await _store(database, *rows)
    with reading(database) as session:
        found = people.everyone(session.connection())
    assert found.people == {row.id: people.as_directory_person(row) for row in rows}


async def test_loops_in_the_data_end(database: Database) -> None:
    await _store(
        database,
        _person("a", manager="b", away=_away("b")),
        _person("b", manager="a", away=_away("a")),
        _person("c", manager="c", away=_away("c")),
        _person("d", manager="gone", away=_away("gone")),
    )
    found = await _read(database, also=("a", "c", "d"))
    assert sorted(found.people) == ["a", "b", "c", "d"]


async def test_load_counts_open_tasks(database: Database) -> None:
    await _store(database, _person("bob"), _person("carol"))
    with writing(database) as session:
        for number in range(3):
            story = Story(request_id=f"r{number}").open("bob", "carol")
            write(session, story.recording(), NOW)
            write(session, story.decide(2, end=False).recording(), NOW)
    found = await _read(database, also=("bob", "carol"))
    assert {p.id: p.load for p in found.people.values()} == {"bob": 3, "carol": 0}
    reader = DirectoryReader(database)
    for loads, expected in ((True, 3), (False, 0)):  # nothing is counted where nobody compares it
        question = DirectoryQuery(names=(), people=("bob",), given={}, at=NOW, loads=loads)
        told = await ActivityEnvironment().run(reader.look_up, question)
        assert told.directory.people["bob"].load == expected


async def test_an_edit_by_another_process_is_seen_by_the_next_look_up(database_url: str) -> None:
    database, other = Database(database_url), Database(database_url)
    await _store(database, _person("rita", manager="bob"), _person("bob"), _person("dora"))
    reader = DirectoryReader(database)
    question = DirectoryQuery(names=("manager_of(requester)",), people=("rita",), given={}, at=NOW)
    before = await ActivityEnvironment().run(reader.look_up, question)
    await _store(other, _person("rita", manager="dora"))
    after = await ActivityEnvironment().run(reader.look_up, question)
    assert (sorted(before.directory.people), sorted(after.directory.people)) == (["bob", "rita"], ["dora", "rita"])
    await other.close()
    await database.close()


async def test_people_are_listed_by_id_page_by_page(database: Database) -> None:
    await _store(database, *(_person(f"p{n}", active=n != 2) for n in range(5)))
    with reading(database) as session:
        first = page(session.connection(), PeopleFilter(), limit=2)
        second = page(session.connection(), PeopleFilter(), limit=2, cursor=first.next_cursor)
        last = page(session.connection(), PeopleFilter(), limit=2, cursor=second.next_cursor)
        active = page(session.connection(), PeopleFilter(active=True), limit=10)
    assert [[p.id for p in part.items] for part in (first, second, last)] == [["p0", "p1"], ["p2", "p3"], ["p4"]]
    assert last.next_cursor is None
    assert [p.id for p in active.items] == ["p0", "p1", "p3", "p4"]


@pytest.mark.parametrize("cursor", ["", "%", "é", "bnVsbA", "WzFd", "WyJhIiwiYiJd", "W10", "\ud800"])
async def test_a_cursor_of_nobodys_making_is_refused_by_name(database: Database, cursor: str) -> None:
    with reading(database) as session, pytest.raises(InputInvalid) as refused:
        page(session.connection(), PeopleFilter(), limit=2, cursor=cursor)
    assert refused.value.problems[0].pointer == "/cursor"


async def test_who_has_left_stays_on_record(database: Database) -> None:
    await _store(database, _person("bob", roles=["cfo"]))
    await _store(database, _person("bob", roles=["cfo"], active=False))
    with reading(database) as session:
        assert people.get(session.connection(), "bob").active is False
        with pytest.raises(NotFound, match="nobody"):
            people.get(session.connection(), "nobody")
    assert (await _read(database, "role:cfo")).holders("cfo") == []


async def test_what_somebody_is_is_stored_and_a_person_unless_said(database: Database) -> None:
    await store_people(database, ({"id": "ann"}, {"id": "bot", "actor_type": "agent"}))
    found = [await database.read(people.actor_type, one) for one in ("ann", "bot", "nobody")]
    assert found == ["person", "agent", "person"]
