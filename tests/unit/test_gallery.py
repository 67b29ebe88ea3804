"""The gallery: each blueprint is sound, and requests come to every one of its outcomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from placet.blueprint import canonical, parse_blueprint
from placet.check import check
from placet.events import Actor, Claim
from placet.plan import compile_plan
from tests.gallery import ACTIONS, FILES, children, people, raw
from tests.unit.core import START, Case

# What only somebody who knows the people and the process can weigh.
WEIGHED = {"unused_variable", "unbounded_time", "not_resilient"}


def test_the_gallery_shows_every_kind_of_node() -> None:
    assert len(FILES) >= 8
    kinds = {n["type"] for f in FILES for n in json.loads(f.read_text())["graph_spec"]["nodes"]}
    assert kinds == {
        "trigger", "approval", "decision", "action", "fork", "join", "wait", "subprocess", "terminator",
    }  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_blueprint_is_sound(file: Path) -> None:
    text = raw(file.stem)
    report = check(text, directory=people(), actions=ACTIONS, children=children(START))
    assert report.ok
    assert report.certificate is not None
    assert {finding.code for finding in report.findings} <= WEIGHED
    assert canonical(parse_blueprint(text)) == text


DISCOUNT = {"customer": "existing", "percent": "12.5"}
ORDER = {"supplier": "Acme", "quantity": 10, "unit_price": "50"}
HIRE = {"position": "Engineer", "salary": "80000"}
CHANGE = {"change": "Upgrade the database", "risk": "low", "window_opens": "2026-03-07T20:00:00Z"}
CONTRACT = {"counterparty": "Acme", "value": "125000"}
LEAVE = {"kind": "holiday", "first_day": "2026-03-16", "days": 5}
ACCESS = {"system": "wiki", "level": "read"}
FORM = {"cost_center": "4711"}

# What happens: a person and their decision (or "claim"), "hours" and how many have passed since the start, or what an
# action ("done"), a sub-process ("ended") or the outside ("happens") brings.
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
        ORDER,
        [("done", "total", {"total": "25000"}), ("max", "approve"), ("paul", "claim"), ("paul", "approve")],
        "approved",
    ),
    (
        "purchase-order",
        ORDER,
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
    ("contract", CONTRACT, [("fred", "approve"), ("hours", 24 * 15)], "expired"),
    ("contract", CONTRACT, [("fred", "reject")], "rejected"),
    ("leave", LEAVE, [("max", "approve")], "approved"),
    ("leave", LEAVE | {"kind": "unpaid"}, [("max", "approve"), ("hugo", "claim"), ("hugo", "reject")], "rejected"),
    ("leave", LEAVE, [("hours", 24 * 15)], "expired"),
]


@pytest.mark.parametrize(("name", "given", "story", "outcome"), STORIES)
def test_each_blueprint_comes_to_its_outcomes(
    name: str, given: dict[str, Any], story: list[tuple[Any, ...]], outcome: str
) -> None:
    plan = compile_plan(parse_blueprint(raw(name)), start=START, actions=ACTIONS, children=children(START))
    request = Case(plan=plan, org=people(), input=given, twice=True)
    for who, what, *more in story:
        if what == "claim":
            task = next(t.id for t in request.state.open_tasks if who in t.candidates)
            request.do(Claim(by=Actor(person=who), task_id=task))
        elif who == "hours":
            request.hours(what)
        elif who == "happens":
            request.happens(what, *more, by=str(plan.owner).removeprefix("user:"))
        elif who in {"done", "ended"}:
            getattr(request, who)(what, *more)
        else:
            stage = next(request.plan.points[t.point].stage for t in request.state.open_tasks if who in t.people)
            form = FORM if stage is not None and stage.form is not None else None
            request.decide(who, what, comment="seen", form=form)
    assert request.state.outcome == outcome


def test_the_stories_come_to_every_outcome_of_the_gallery() -> None:
    told = {(name, outcome) for name, _, _, outcome in STORIES} | {("access-request", "expired")}
    told |= {(name, "expired") for name in ("purchase-order", "hiring", "change-management")}  # as in discount
    told |= {("purchase-order", "rejected")}
    ends = {
        (f.stem, n["outcome"]) for f in FILES for n in raw(f.stem)["graph_spec"]["nodes"] if n["type"] == "terminator"
    }
    assert ends == told
