"""The gallery: the blueprints that come with Placet, its people, and what the blueprints refer to."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from activities.actions.builtin import BUILT_IN
from placet.actions import ActionSpec
from placet.blueprint import parse_blueprint
from placet.directory import Directory, Person
from placet.plan import Child, compile_plan

FOLDER = Path(__file__).parents[1] / "blueprints"
FILES = sorted(path for path in FOLDER.glob("*.json") if path.name != "people.json")
ACTIONS: dict[str, ActionSpec] = {spec.name: spec for spec in BUILT_IN}


def raw(name: str) -> dict[str, Any]:
    """Return the JSON of one blueprint of the gallery, by the name of its file."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def people() -> Directory:
    """Return everybody in the gallery's organisation."""
    rows = json.loads((FOLDER / "people.json").read_text())
    return Directory(
        people={
            row["id"]: Person(
                id=row["id"], manager=row["manager"], roles=tuple(row["roles"]), groups=tuple(row["groups"])
            )
            for row in rows
        }
    )


def children(start: datetime) -> dict[str, Child]:
    """Return the processes that others of the gallery run as sub-processes."""
    plan = compile_plan(parse_blueprint(raw("access-request")), start=start, actions=ACTIONS)
    return {"Access request": Child(template_id="access-request", plan=plan)}
