"""Back-ups and restores where Placet's database and the engine's are on PostgreSQL, by Placet and by hand."""

from __future__ import annotations

import re
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.backed_up import Past, backed_up, started, verified
from tests.contract import Placet
from tests.postgresql import Server

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
Databases = Callable[[], dict[str, str]]


@pytest.fixture(scope="module")
def databases(postgresql: Server) -> Iterator[Databases]:
    """Return what gives names for the databases of a new installation; the engine's are not made yet."""
    made: list[str] = []

    def new() -> dict[str, str]:
        store, engine = (f"{name}_{uuid.uuid4().hex[:8]}" for name in ("placet", "engine"))
        made.extend((store, engine, f"{engine}_visibility"))
        postgresql.run(f"CREATE DATABASE {store}")
        return {"PLACET_DATABASE_URL": postgresql.url(store), "PLACET_ENGINE_DATABASE": postgresql.url(engine)}

    yield new
    postgresql.run(*(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in made))


def documented(tool: str, env: dict[str, str], folder: Path) -> None:
    """Run the lines of docs/operations.md that begin with a program, in their order."""
    section = OPERATIONS.split("\n#### By PostgreSQL's own programs\n")[1].split("\n### ")[0]
    engine = env["PLACET_ENGINE_DATABASE"]
    urls = {
        "ENGINE_URL": engine,
        "VISIBILITY_URL": f"{engine}_visibility",
        "PLACET_DATABASE_URL": env["PLACET_DATABASE_URL"],
    }
    lines = re.findall(rf"^{tool} .*$", section, re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        command = [re.sub(r"[A-Z_]+_URL$", lambda found: urls[found[0]], word) for word in shlex.split(line)]
        subprocess.run(command, cwd=folder, check=True, timeout=60)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Past]:
    def again(placet: Placet, later: Path) -> None:
        later.mkdir()
        documented("pg_dump", placet.place.extra, later)

    with backed_up(tmp_path_factory.mktemp("backups"), again, **databases()) as past:
        yield past


def test_a_backup_by_placet_brings_all_back_and_the_engines_alone_goes_on_from_its_state(
    past: Past, tmp_path: Path, databases: Databases
) -> None:
    names = {path.relative_to(past.early).as_posix() for path in past.early.rglob("*") if path.is_file()}
    assert names == {"manifest.json", "placet.dump", "engine/engine.dump", "engine/visibility.dump"}

    def fill(place: Any) -> None:
        # Each by itself, the engine first: it makes its databases, and nothing of Placet's.
        place.run("restore", past.early, "--only", "engine")
        place.run("restore", past.early, "--only", "engine", expect=2)  # it holds something now
        place.run("restore", past.early, "--only", "placet")

    with started(past, tmp_path / "home", fill, **databases()) as placet:
        assert verified(placet, ok=True).keys() == {past.done["id"], past.decided["id"]}
        assert placet.request(past.decided)["status"] == "pending"
        placet.get("ada", f"requests/{past.late['id']}/", expect=404)
        placet.decide("max", past.task)
        assert placet.request(past.decided)["outcome"] == "approved"
        verified(placet, ok=True)
        placet.place.run("restore", past.early, "--replace", expect=2)  # the engine runs
        assert placet.place.started[0].stop() == 0
        # The engine's databases as they were earlier, beside Placet's as it is.
        placet.place.run("restore", past.early, "--only", "engine", "--replace")
        _, where = placet.place.up()
        mixed = replace(placet, where=where)
        found = verified(mixed, ok=False)
        assert {name for name, one in found.items() if not one["ok"]} == {past.decided["id"]}
        mixed.decide("max", past.task, "reject")
        assert mixed.request(past.decided)["outcome"] == "rejected"
        verified(mixed, ok=True)


def test_copies_by_hand_bring_all_back_and_placets_alone_says_what_it_lacks(
    past: Past, tmp_path: Path, databases: Databases, postgresql: Server
) -> None:
    env = databases()

    def fill(place: Any) -> None:
        engine = env["PLACET_ENGINE_DATABASE"].rpartition("/")[2]
        postgresql.run(f"CREATE DATABASE {engine}", f"CREATE DATABASE {engine}_visibility")
        documented("pg_restore", env, past.later)
        documented("psql", env, past.later)

    with started(past, tmp_path / "home", fill, **env) as placet:
        assert verified(placet, ok=True).keys() == {past.done["id"], past.decided["id"], past.late["id"]}
        assert placet.request(past.decided)["outcome"] == "approved"
        assert placet.place.started[0].stop() == 0
        # Placet's database as it was earlier, beside the engine's as it is.
        placet.place.run("restore", past.early, "--only", "placet", expect=2)
        placet.place.run("restore", past.early, "--only", "placet", "--replace")
        _, where = placet.place.up()
        mixed = replace(placet, where=where)
        assert mixed.decide("max", past.task, expect=409)["reason"] == "ended"
        mixed.get("ada", f"requests/{past.late['id']}/", expect=404)
        found = verified(mixed, ok=False)
        assert {name for name, one in found.items() if not one["ok"]} == {past.decided["id"]}
