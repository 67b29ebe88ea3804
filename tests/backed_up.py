"""An installation that was backed up twice, and new installations that are filled from its back-ups."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.contract import Placet
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
