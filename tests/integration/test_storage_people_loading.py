"""Loading many people: what is written, what others do meanwhile, and what an interruption leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlmodel import col

from placet.audit.admin_acts import OPERATOR
from storage.database import Database
from storage.queries.people import people, people_loading
from storage.queries.people.departures import Departure
from storage.queries.people.people_loading import PersonToLoad, load
from storage.tables.approvals import StoredPerson
from tests.integration.recordings import NOW
from tests.stored import reading

LATER = NOW + timedelta(hours=1)


def _wanted(ident: str, *, keep: bool = True, **facts: Any) -> PersonToLoad:
    lists: dict[str, Any] = {"roles": [], "groups": ["all"], "access": [], "away": [], "preferences": {}}
    row = StoredPerson(**{"id": ident, "name": ident.title(), "updated_at": NOW, "active": True, **lists, **facts})
    return PersonToLoad(person=row, keep_preferences=keep)


def _many(count: int, **facts: Any) -> list[PersonToLoad]:
    return [_wanted(f"p{number:03}", **facts) for number in range(count)]


async def _stored(database: Database) -> dict[str, StoredPerson]:
    with reading(database) as session:
        return {row.id: row for row in session.scalars(select(StoredPerson))}


async def _leavers(database: Database) -> set[str]:
    with reading(database) as session:
        return set(session.scalars(select(col(Departure.person))))


async def test_only_what_differs_is_written(database: Database) -> None:
    assert (await load(database, _many(5), NOW, by=OPERATOR)).changed == 5
    again = await load(database, _many(5), LATER, by=OPERATOR)
    assert (again.given, again.changed, again.left) == (5, 0, ())
    mixed = [*_many(4), _wanted("p004", manager="p000"), _wanted("new")]
    assert (await load(database, mixed, LATER, by=OPERATOR)).changed == 2
    rows = await _stored(database)
    assert {row.id for row in rows.values() if row.updated_at == LATER} == {"p004", "new"}
    assert rows["p004"].manager == "p000"


async def test_preferences_stay_where_none_are_given(database: Database) -> None:
    await load(database, [_wanted("ann", keep=False, preferences={"muted": ["reminder"]})], NOW, by=OPERATOR)
    await load(database, [_wanted("ann", name="Ann B.")], LATER, by=OPERATOR)
    assert (await _stored(database))["ann"].preferences == {"muted": ["reminder"]}
    await load(database, [_wanted("ann", name="Ann B.", keep=False)], LATER, by=OPERATOR)
    assert (await _stored(database))["ann"].preferences == {}


async def test_leavers_are_noted_and_forgotten_when_they_are_back(database: Database) -> None:
    await load(database, _many(3), NOW, by=OPERATOR)
    await load(database, [_wanted("p001", active=False)], LATER, by=OPERATOR)
    assert await _leavers(database) == {"p001"}
    loaded = await load(database, [_wanted("p001")], LATER, by=OPERATOR, complete=True)
    assert (loaded.changed, loaded.left) == (1, ("p000", "p002"))
    assert await _leavers(database) == {"p000", "p002"}
    assert {row.id for row in (await _stored(database)).values() if row.active} == {"p001"}
    assert (await load(database, [_wanted("p001")], LATER, by=OPERATOR, complete=True)).left == ()


async def test_others_write_between_batches(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_loading, "BATCH", 10)
    seen: list[int] = []
    other = Database(database_url)

    async def meanwhile(_: float) -> None:
        # Another process: it waits for nothing, for between batches nothing is held.
        def put(connection: Connection) -> None:
            people.put(connection, people.find(connection, "zoe") or _wanted("zoe", name="").person)

        await other.write(put)
        seen.append(len(await _stored(database)))

    monkeypatch.setattr(people_loading, "_pause", meanwhile)
    assert (await load(database, _many(35), NOW, by=OPERATOR)).changed == 35
    assert seen == [11, 21, 31, 36]
    await other.close()


async def test_a_load_that_is_interrupted_has_stored_whole_batches_and_is_repeated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_loading, "BATCH", 10)
    batches = []

    async def interrupted(_: float) -> None:
        batches.append(1)
        if len(batches) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(people_loading, "_pause", interrupted)
    with pytest.raises(KeyboardInterrupt):
        await load(database, _many(35), NOW, by=OPERATOR)
    assert sorted(await _stored(database)) == [f"p{number:03}" for number in range(20)]
    assert (await load(database, _many(35), LATER, by=OPERATOR, complete=True)).changed == 15
    assert len(await _stored(database)) == 35


async def test_what_somebody_else_wrote_since_it_was_compared_is_compared_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(database, [_wanted("ann")], NOW, by=OPERATOR)
    compare = people_loading._differing

    def compared(*args: Any) -> list[PersonToLoad]:
        return compare(*args) or list(args[1])

    monkeypatch.setattr(people_loading, "_differing", compared)
    assert (await load(database, [_wanted("ann")], LATER, by=OPERATOR)).changed == 0
