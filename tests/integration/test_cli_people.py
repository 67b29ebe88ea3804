"""People from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import bootstrap
from cli.commands import people
from placet.errors import InputInvalid
from storage.queries.people import people as stored
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
