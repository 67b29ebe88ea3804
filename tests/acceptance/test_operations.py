"""What an operator relies on in a real installation."""

from __future__ import annotations

import json
import stat
from contextlib import suppress

import httpx

from cli.private_files import shared_with_others
from tests.contract import Placet, open_tasks

# What the tests have put there themselves.
_TESTS = ("test-", "people.json")


def test_doctor_finds_nothing_wrong_and_says_of_each_part_what_it_saw(placet: Placet) -> None:
    found = json.loads(placet.place.run("doctor", "--json"))
    assert found["format"] == 2
    assert found["ok"]
    seen = {name: check["status"] for name, check in found["checks"].items()}
    unset = {"mail", "certificates", "payload keys", "malware scanner", "log file"}
    assert {name for name, status in seen.items() if status == "skipped"} <= unset
    assert {"schema", "pollers", "backlog", "engine clock", "outbox", "transparency log", "disk"} <= seen.keys()


def test_nobody_but_their_owner_may_use_the_files_of_an_installation(placet: Placet) -> None:
    request = placet.ask({})
    placet.decide("max", open_tasks(request)["max"])
    home = placet.place.home
    found = [path for path in home.rglob("*") if not path.relative_to(home).parts[0].startswith(_TESTS)]
    names = {path.name for path in found}
    assert {"placet.db", "placet.db-wal", "secret.key", "up.json", "engine.json", "server.log"} <= names
    assert any(path.suffix == ".sqlite" for path in found)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for path in found:
        with suppress(FileNotFoundError):  # the mailbox keeps the newest mails
            mode = stat.S_IMODE(path.lstat().st_mode)
            assert path.is_symlink() or mode & 0o077 == 0, f"{path} has {mode:o}"
    assert not list(shared_with_others(home))


def test_the_metrics_count_the_workers(placet: Placet) -> None:
    assert "workflow_workers_running 1.0" in httpx.get(placet.where["metrics"]).text
