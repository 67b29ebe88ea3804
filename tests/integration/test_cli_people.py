"""People from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from cli import bootstrap
from cli.commands import people
from placet.errors import InputInvalid, LastAdmin
from storage.queries.people import people as stored
from storage.queries.people import people_loading
from worker.settings import Settings

AWAY = {"from": "2026-08-03T00:00:00Z", "until": "2100-08-17T00:00:00Z"}
BOSS: dict[str, Any] = {"id": "boss"}


@pytest.fixture
def settings(sqlite_url: str) -> Settings:
    return Settings(database_url=sqlite_url)


async def load(settings: Settings, folder: Path, *rows: dict[str, Any]) -> int:
    file = folder / "people.json"
    file.write_text(json.dumps(rows))
    return (await people.load(settings, file)).changed


async def access_of(settings: Settings, *ids: str) -> list[list[str] | None]:
    async with bootstrap.open_database(settings) as database:
        found = [await database.read(stored.find, one) for one in ids]
        return [one and one.access for one in found]


@pytest.mark.parametrize(
    ("row", "pointer"),
    [
        ({"manager": "ghost"}, "/1/manager"),
        ({"manager": "pia"}, "/1/manager"),
        ({"away": {**AWAY, "substitute": "pia"}}, "/1/away/substitute"),
        ({"away": {**AWAY, "substitute": "ghost"}}, "/1/away/substitute"),
        ({"away": [{**AWAY, "substitute": "lou"}]}, "/1/away/0/substitute"),  # who has left, by the same file
    ],
)
async def test_a_file_that_names_people_who_are_not_there_is_refused_whole_at_each_place(
    settings: Settings, tmp_path: Path, row: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InputInvalid) as refused:
        await load(settings, tmp_path, BOSS, {"id": "pia", **row}, {"id": "lou", "active": False})
    assert [problem.pointer for problem in refused.value.problems] == [pointer]
    assert await access_of(settings, "boss", "pia") == [None, None]


async def test_people_name_each_other_in_any_order_and_those_who_are_stored(settings: Settings, tmp_path: Path) -> None:
    rows = [{"id": "pia", "manager": "boss"}, {"id": "lou", "manager": "pia", "access": []}, BOSS]
    assert await load(settings, tmp_path, *rows) == 3
    assert (
        await load(settings, tmp_path, {"id": "new", "manager": "user:lou", "away": {**AWAY, "substitute": "pia"}}) == 1
    )
    assert await access_of(settings, "pia", "lou") == [["requester", "approver"], []]


ADMIN: dict[str, Any] = {"id": "ada", "access": ["admin"]}


@pytest.mark.parametrize(
    ("rows", "complete"),
    [
        ([BOSS], True),  # the admin is not in a list of everybody
        ([BOSS, {**ADMIN, "access": ["requester"]}], False),
        ([BOSS, {**ADMIN, "active": False}], False),
    ],
)
async def test_a_list_that_takes_the_last_admin_away_is_refused_whole_unless_that_is_meant(
    settings: Settings, tmp_path: Path, rows: list[dict[str, Any]], complete: bool
) -> None:
    await load(settings, tmp_path, ADMIN)
    file = tmp_path / "without.json"
    file.write_text(json.dumps(rows))
    with pytest.raises(LastAdmin, match="--without-admin"):
        await people.load(settings, file, complete=complete)
    assert await access_of(settings, "boss", "ada") == [None, ["admin"]]
    loaded = await people.load(settings, file, complete=complete, without_admin=True)
    assert (loaded.admins, await access_of(settings, "boss")) == (0, [["requester", "approver"]])
    # Where nobody is an admin there is nobody to lose.
    assert (await people.load(settings, file, complete=complete)).admins == 0


async def test_a_list_that_hands_that_access_on_is_loaded_with_the_new_admin_first(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(settings, tmp_path, ADMIN)
    monkeypatch.setattr(people_loading, "BATCH", 1)
    stored_admins: list[int] = []
    store = people_loading._store

    def watched(connection: Connection, *given: Any) -> int:
        changed = store(connection, *given)
        stored_admins.append(len(stored.holders(connection, "admin")))
        return changed

    monkeypatch.setattr(people_loading, "_store", watched)
    await load(settings, tmp_path, {**ADMIN, "access": []}, {"id": "zoe", "access": ["admin"]})
    assert stored_admins == [2, 1]
