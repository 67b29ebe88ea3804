"""The gallery: the blueprints that come with Placet, its people, and what the blueprints refer to."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from activities.actions.builtin import BUILT_IN
from placet.definition.action_spec import ActionSpec
from placet.definition.model import parse_definition
from placet.directory import Directory, Person
from placet.engine.events import Actor, Claim
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from tests.unit.core import Case

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
    plan = compile_plan(parse_definition(raw("access-request")), start=start, actions=ACTIONS)
    return {"Access request": Child(template_id="access-request", plan=plan)}


DISCOUNT = {"customer": "existing", "percent": "12.5"}
ORDER = {"supplier": "Acme", "quantity": 10, "unit_price": "50"}
HIRE = {"position": "Engineer", "salary": "80000"}
CHANGE = {"change": "Upgrade the database", "risk": "low", "window_opens": "2026-03-07T20:00:00Z"}
CONTRACT = {"counterparty": "Acme", "value": "125000"}
LEAVE = {"kind": "holiday", "first_day": "2026-03-16", "days": 5}
ACCESS = {"system": "wiki", "level": "read"}
FORM = {"cost_center": "4711"}  # of the one stage that has a form

# What happens: a person and their decision (or "claim"), "hours" and how many have passed since the start (with room
# for nights and holidays, so that a story goes the same whenever it begins), or what an action ("done"), a sub-process
# ("ended") or the outside ("happens") brings. Moments in the input are those of a request that begins at START.
STORIES: list[tuple[str, dict[str, Any], list[tuple[Any, ...]], str]] = [
    ("expense", {"amount": "100"}, [("max", "approve")], "approved"),
    ("expense", {"amount": "5000.01"}, [("max", "approve"), ("carla", "reject")], "rejected"),
    ("discount", DISCOUNT | {"percent": "5"}, [], "approved"),
    ("discount", DISCOUNT, [("max", "reject")], "rejected"),
    ("discount", DISCOUNT | {"percent": "30"}, [("dana", "approve"), ("fred", "approve")], "approved"),
    ("discount", DISCOUNT, [("hours", 24 * 30)], "expired"),
    ("purchase-order", ORDER, [("done", "total", {"total": "500"}), ("max", "approve")], "approved"),
    (
        "purchase-order",
        ORDER | {"unit_price": "2500"},
        [("done", "total", {"total": "25000"}), ("max", "approve"), ("paul", "claim"), ("paul", "approve")],
        "approved",
    ),
    (
        "purchase-order",
        ORDER | {"quantity": 1, "unit_price": "25000.01"},
        [
            ("done", "total", {"total": "25000.01"}),
            ("max", "approve"),
            ("carla", "approve"),
            ("petra", "claim"),
            ("petra", "approve"),
        ],
        "approved",
    ),
    ("access-request", ACCESS, [("max", "approve")], "approved"),
    ("access-request", ACCESS | {"level": "admin"}, [("max", "approve"), ("ian", "approve")], "approved"),
    ("access-request", ACCESS | {"system": "payroll"}, [("max", "approve"), ("ian", "reject")], "rejected"),
    (
        "hiring",
        HIRE,
        [
            ("dana", "approve"),
            ("fred", "approve"),
            ("hugo", "claim"),
            ("hugo", "approve"),
            ("ended", "accounts", "approved"),
        ],
        "hired",
    ),
    (
        "hiring",
        HIRE | {"salary": "120000"},
        [
            ("dana", "approve"),
            ("hanna", "claim"),
            ("hanna", "approve"),
            ("fred", "approve"),
            ("carla", "approve"),
            ("ended", "accounts", "rejected"),
        ],
        "hired_without_access",
    ),
    ("hiring", HIRE, [("dana", "approve"), ("fred", "reject")], "rejected"),
    (
        "change-management",
        CHANGE,
        [("ted", "approve"), ("hours", 132), ("happens", "change_deployed", {"version": "2.1"})],
        "deployed",
    ),
    ("change-management", CHANGE, [("ted", "approve"), ("hours", 24 * 7)], "rolled_back"),
    (
        "change-management",
        CHANGE | {"risk": "high"},
        [("ted", "approve"), ("ida", "reject"), ("ian", "reject")],
        "rejected",
    ),
    (
        "contract",
        CONTRACT,
        [
            ("lena", "claim"),
            ("lena", "approve"),
            ("fred", "approve"),
            ("carla", "approve"),
            ("happens", "contract_signed", {"date": "2026-03-03"}),
        ],
        "signed",
    ),
    ("contract", CONTRACT, [("fred", "approve"), ("hours", 24 * 30)], "expired"),
    ("contract", CONTRACT, [("fred", "reject")], "rejected"),
    ("leave", LEAVE, [("max", "approve")], "approved"),
    ("leave", LEAVE | {"kind": "unpaid"}, [("max", "approve"), ("hugo", "claim"), ("hugo", "reject")], "rejected"),
    ("leave", LEAVE, [("hours", 24 * 15)], "expired"),
]


def tell(case: Case, told: tuple[Any, ...]) -> None:
    """Let what a line of a story says happen."""
    who, what, *more = told
    if what == "claim":
        task = next(t.id for t in case.state.open_tasks if who in t.candidates)
        case.do(Claim(by=Actor(person=who), task_id=task))
    elif who == "hours":
        case.hours(what)
    elif who == "happens":
        case.happens(what, *more, by=str(case.plan.owner).removeprefix("user:"))
    elif who in {"done", "ended"}:
        getattr(case, who)(what, *more)
    else:
        stage = next(case.plan.nodes[t.node].stage for t in case.state.open_tasks if who in t.people)
        form = FORM if stage is not None and stage.form is not None else None
        case.decide(who, what, comment="seen", form=form)
