"""An installation that was backed up twice, and new installations that are filled from its back-ups."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.contract import Placet, open_tasks, opened
from tests.processes import installation


@dataclass
class Past:
    """An installation that was backed up twice: before and after `decided` was decided and `late` was asked."""

    placet: Placet
    early: Path
    later: Path
    done: dict[str, Any]
    decided: dict[str, Any]
    late: dict[str, Any]
    task: str


@contextmanager
def backed_up(folder: Path, again: Callable[[Placet, Path], object], **env: str) -> Iterator[Past]:
    """Run an installation, back it up into `early`, have it go on, and call `again` with it and the folder `later`."""
    early, later = folder / "early", folder / "later"
    with opened(folder / "home", **env) as placet:
        done, decided = placet.ask({}), placet.ask({})
        placet.decide("max", open_tasks(done)["max"])
        placet.place.run("backup", "--out", early)
        task = open_tasks(decided)["max"]
        placet.decide("max", task)
        late = placet.ask({})
        again(placet, later)
        assert placet.place.started[0].stop() == 0
        yield Past(placet, early, later, done, decided, late, task)


@contextmanager
def started(past: Past, home: Path, fill: Callable[[Any], object], **env: str) -> Iterator[Placet]:
    """Fill the databases of a new installation, which has the secret of the old one, and start it."""
    before = past.placet
    with installation(home, **before.place.extra | env) as place:
        home.mkdir(mode=0o700)
        shutil.copyfile(before.place.home / "secret.key", home / "secret.key")
        fill(place)
        _, where = place.up()
        yield replace(before, place=place, where=where)


def verified(placet: Placet, *, ok: bool) -> dict[str, dict[str, Any]]:
    """Verify every chain against the engine's history, and return what was found by the requests' ids."""
    found = json.loads(placet.place.run("verify", "--json", expect=0 if ok else 1))
    assert found["ok"] is ok
    return {one["id"]: one for one in found["requests"]}
