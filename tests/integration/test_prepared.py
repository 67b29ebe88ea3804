"""Prepared statements say on both databases what SQLAlchemy says, and refuse what they cannot."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, create_engine, event, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel, col

from placet.errors import Unavailable
from storage.database import Database
from storage.prepared import Prepared, among, one_of
from storage.queries.people.people import LOADS
from storage.queries.requests.deciders import substitutes_of
from storage.tables.actions import ActionCatalog
from storage.tables.approvals import ApiToken, ApprovalTask, AuditEntry, IdempotentCall, StoredPerson
from tests.approvals import person
from tests.stored import writing

WHEN = datetime(2026, 3, 29, 1, 59, 59, 123456, tzinfo=timezone(timedelta(hours=2)))
_FACTS: dict[str, Any] = {
    "name": 'Zoë "Z" O\'Hara %s ?', "email": None, "roles": ["cfo", "ümläut"], "access": [], "active": False,
    "away": [{"from": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z", "substitute": None}],
    "preferences": {"lang": "de", "deep": {"list": [1, 2.5, None, True]}}, "updated_at": WHEN,
}  # fmt: skip
_PEOPLE: Any = StoredPerson.__table__  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
_TASKS: Any = ApprovalTask.__table__  # type: ignore[attr-defined]  # likewise
_BY_ID = select(_PEOPLE).where(_PEOPLE.c.id == bindparam("sought"))


def _row(**changed: Any) -> dict[str, Any]:
    return person(id="zoe", **(_FACTS | changed)).model_dump()


async def test_rows_are_written_and_read_as_sqlalchemy_does_it(database: Database) -> None:
    prepared, put = Prepared(_BY_ID), Prepared(insert(_PEOPLE))

    def both_ways(connection: Connection) -> tuple[Any, Any, Any]:
        put.run_all(connection, [_row(), {**_row(), "id": "yan"}])
        connection.execute(insert(_PEOPLE), [{**_row(), "id": "xi"}])
        ours = prepared.rows(connection, sought="zoe")
        theirs = connection.execute(_BY_ID, {"sought": "zoe"}).mappings().all()
        written = connection.execute(_BY_ID, {"sought": "xi"}).mappings().one()
        return ours, theirs, written

    (ours,), (theirs,), written = await database.write(both_ways)
    assert ours._asdict() == dict(theirs)
    assert {**ours._asdict(), "id": "xi"} == dict(written)
    assert ours.updated_at == WHEN
    assert ours.updated_at.tzinfo is UTC
    assert ours.preferences == _FACTS["preferences"]


async def test_a_statement_says_how_many_rows_it_wrote_and_what_there_is_not(database: Database) -> None:
    def by_dialect(dialect: str) -> Any:
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        return make(_PEOPLE).on_conflict_do_nothing()

    put = Prepared(by_dialect)
    rename = Prepared(update(_PEOPLE).where(_PEOPLE.c.id == bindparam("sought")).values(name=bindparam("new")))
    by_id = Prepared(select(_PEOPLE.c.name).where(_PEOPLE.c.id == bindparam("sought")))

    def count(connection: Connection) -> list[Any]:
        written = [put.run(connection, **_row()), put.run(connection, **_row())]
        renamed = [rename.run(connection, sought="zoe", new="Zoe"), rename.run(connection, sought="nobody", new="N")]
        many = rename.run_all(connection, [{"sought": "zoe", "new": "Z"}, {"sought": "nobody", "new": "N"}])
        found = [by_id.scalar(connection, sought="zoe"), by_id.scalar(connection, sought="nobody")]
        return [written, renamed, many, found, by_id.first(connection, sought="nobody")]

    assert await database.write(count) == [[1, 0], [1, 0], 1, ["Z", None], None]


@pytest.mark.parametrize(
    "sought",
    [
        [],
        ["a"],
        ["b", "nobody", "a"],
        ['quo"te', "com,ma", "brace}", "back\\slash", "ümläut"],
        [f"p{number}" for number in range(40_000)],  # beyond what databases take as parameters
    ],
    ids=lambda names: str(len(names)),
)
async def test_a_list_of_any_length_is_one_parameter(database: Database, sought: list[str]) -> None:
    there = ["a", "b", "c", 'quo"te', "com,ma", "brace}", "back\\slash", "ümläut", "p39999"]
    with writing(database) as session:
        session.connection().execute(insert(_PEOPLE), [{**_row(), "id": name} for name in there])
    by_ids = Prepared(lambda dialect: select(_PEOPLE.c.id).where(among(dialect, _PEOPLE.c.id, "people")))
    found = await database.read(by_ids.rows, people=sought)
    assert {row.id for row in found} == {*there} & {*sought}


async def test_values_that_stand_in_the_statement_are_converted_as_others_are(database: Database) -> None:
    await database.write(lambda connection: connection.execute(insert(_PEOPLE), [_row()]))
    late, early = WHEN + timedelta(microseconds=1), WHEN - timedelta(microseconds=1)
    named = one_of(_PEOPLE.c.id, ("yan", "zoe"))
    before = Prepared(select(_PEOPLE.c.id).where(_PEOPLE.c.updated_at < late, _PEOPLE.c.active.is_(False), named))
    after = Prepared(select(_PEOPLE.c.id).where(_PEOPLE.c.updated_at < early))
    assert [row.id for row in await database.read(before.rows)] == ["zoe"]
    assert await database.read(after.rows) == []


async def test_what_would_change_the_text_or_need_sqlalchemy_is_refused(database: Database) -> None:
    listed = Prepared(select(_PEOPLE.c.id).where(_PEOPLE.c.id.in_(["a", "b"])))
    with pytest.raises(TypeError, match="use `among` or `one_of`"):
        await database.read(listed.rows)
    with pytest.raises(KeyError, match="sought"):
        await database.read(Prepared(_BY_ID).rows, other="zoe")


async def test_what_the_driver_raises_is_told_as_everything_else(database: Database) -> None:
    gone = Prepared(select(col(ApiToken.digest)).where(col(ApiToken.person) == bindparam("sought")))
    await database.write(ApiToken.__table__.drop)  # type: ignore[attr-defined]  # as above
    try:
        with pytest.raises(Exception) as caught:
            await database.read(gone.rows, sought="ann")
        if database.dialect == "sqlite":
            assert isinstance(caught.value, Unavailable)
        assert "api_token" in str(caught.value)
        assert await database.read(Prepared(_BY_ID).rows, sought="zoe") == [], "the connection is of use again"
    finally:
        await database.write(ApiToken.__table__.create)  # type: ignore[attr-defined]  # as above


async def test_who_listens_to_sqlalchemy_hears_of_prepared_statements(database: Database) -> None:
    heard: list[tuple[str, bool]] = []
    await database.check()  # asks for the time as well
    event.listen(database._reader, "before_cursor_execute", lambda *call: heard.append((call[2], call[5])))
    await database.read(Prepared(_BY_ID).rows, sought="zoe")
    assert [many for _, many in heard] == [False]
    assert "person" in heard[0][0]


@pytest.mark.parametrize("model", [ApprovalTask, AuditEntry, IdempotentCall, ActionCatalog])
async def test_every_type_of_column_is_read(database: Database, model: type[SQLModel]) -> None:
    table: Any = model.__table__  # type: ignore[attr-defined]  # as above
    assert await database.read(Prepared(select(table)).rows) == []


def test_sqlite_plans_once_what_has_a_partial_index() -> None:
    """It plans a statement anew where a value beside it may decide whether a partial index is used."""
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine, tables=[_PEOPLE, _TASKS])
    planned: list[str] = []
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_authorizer(lambda *given: planned.append(str(given)) or sqlite3.SQLITE_OK)
        for ask in (
            lambda: substitutes_of(connection, ["ann"], WHEN),
            lambda: LOADS.rows(connection, people=["ann"]),
        ):
            ask()
            assert planned
            planned.clear()
            ask()
            assert planned == []
