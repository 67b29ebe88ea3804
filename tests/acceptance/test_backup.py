"""Back-ups of a real installation while it runs, and restores of both databases and of only one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.backed_up import Past, backed_up, started, verified
from tests.contract import Placet, open_tasks


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    def again(placet: Placet, later: Path) -> None:
        placet.place.run("backup", "--out", later)
        placet.place.run("restore", later.parent / "early", "--replace", expect=2)  # it runs

    with backed_up(tmp_path_factory.mktemp("backups"), again) as past:
        yield past


@contextmanager
def restored(past: Past, home: Path, *parts: tuple[Path, str]) -> Iterator[Placet]:
    """Restore parts of back-ups into a new installation, and start it."""

    def fill(place: Any) -> None:
        for folder, part in parts:
            place.run("restore", folder, "--only", part)

    with started(past, home, fill) as placet:
        yield placet


def test_both_databases_of_one_time_are_that_time(past: Past, tmp_path: Path) -> None:
    with restored(past, tmp_path / "home", (past.early, "engine,placet,files")) as placet:
        assert verified(placet, ok=True).keys() == {past.done["id"], past.decided["id"]}
        assert placet.request(past.done)["status"] == "completed"
        assert placet.request(past.decided)["status"] == "pending"
        placet.get("ada", f"requests/{past.late['id']}/", expect=404)
        placet.decide("max", past.task)
        assert placet.request(past.decided)["outcome"] == "approved"
        assert len(placet.timeline(past.decided, "decided")) == 1
        verified(placet, ok=True)


def test_an_older_database_of_placets_lacks_what_the_engine_has_and_says_so(past: Past, tmp_path: Path) -> None:
    with restored(past, tmp_path / "home", (past.early, "placet"), (past.later, "engine")) as placet:
        # It has ended in the engine, so nobody decides it a second time.
        assert placet.decide("max", past.task, expect=409)["reason"] == "ended"
        assert not placet.timeline(past.decided, "decided")
        placet.get("ada", f"requests/{past.late['id']}/", expect=404)
        found = verified(placet, ok=False)
        assert {name for name, one in found.items() if not one["ok"]} == {past.decided["id"]}
        assert found[past.decided["id"]]["engine_head"] != found[past.decided["id"]]["head"]


def test_an_older_database_of_the_engine_goes_on_from_its_state_and_what_it_lacks_is_kept(
    past: Past, tmp_path: Path
) -> None:
    with restored(past, tmp_path / "home", (past.later, "placet"), (past.early, "engine")) as placet:
        found = verified(placet, ok=False)
        assert {name for name, one in found.items() if not one["ok"]} == {past.decided["id"]}
        assert found[past.late["id"]]["engine_head"] is None, "the engine has never heard of it"
        assert placet.decide("max", open_tasks(past.late)["max"], expect=409)["reason"] == "ended"
        # The engine still waits for this decision, which Placet has.
        assert placet.request(past.decided)["outcome"] == "approved"
        placet.decide("max", past.task, "reject")
        assert placet.request(past.decided)["outcome"] == "rejected"
        (now,) = placet.timeline(past.decided, "decided")
        assert now["detail"]["decision"] == "reject"
        moved = "SELECT kind FROM audit_superseded WHERE request_id = :id ORDER BY seq"
        kinds = [kind for (kind,) in placet.place.rows(moved, id=past.decided["id"])]
        assert kinds == ["decided", "stage_settled", "completed"]
        verified(placet, ok=True)
