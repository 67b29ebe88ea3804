"""Values that nodes of a process set, as pages show them: not before they are set, and with what they changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from placet.definition.model import parse_definition
from placet.proofs.values.process_variables import process_variables
from storage.queries.requests.timelines import TimelineRow
from web.languages import Wording
from web.views.computed import set_so_far
from web.views.people import Names
from web.views.requests.timeline import changes_since, lines_of
from web.views.versions import Version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDING = Wording(language="en", zone=ZoneInfo("UTC"), now=NOW)
ORDER = parse_definition(json.loads((Path(__file__).parents[2] / "blueprints/purchase-order.json").read_text()))
VERSION = Version(id="v", definition=ORDER, amount="total", set_by_process=process_variables(ORDER))
GIVEN = {"supplier": "Max", "quantity": 10, "unit_price": "12.5", "total": "0"}


def row(seq: int, kind: str, **detail: Any) -> TimelineRow:
    return TimelineRow(seq=seq, at=NOW, kind=kind, actor="system", stage=None, task_id=None, detail=detail, hash="")


def computed(seq: int, before: str, after: str) -> TimelineRow:
    return row(seq, "action_run", node="total", before={"total": before}, after={"total": after})


@pytest.mark.parametrize(
    ("total", "rows", "shown"),
    [
        ("0", [row(1, "started")], False),  # what stands there is the default
        ("0", [computed(1, "0", "0")], True),  # it was computed, and is nothing
        ("125", [computed(1, "0", "125")], True),
        ("7", [row(1, "started")], True),  # whoever asked has given it
    ],
)
def test_a_default_is_left_out_until_a_node_has_set_the_value(total: str, rows: list[TimelineRow], shown: bool) -> None:
    settled = VERSION.settled(GIVEN | {"total": total}, set_so_far(rows))
    assert ("total" in settled) is shown
    assert settled.items() >= {"supplier": "Max", "quantity": 10, "unit_price": "12.5"}.items()


def test_what_changed_since_a_revision_names_what_was_computed_anew() -> None:
    rows = [
        row(1, "started"),
        computed(2, "0", "9600"),
        row(3, "resubmitted", revision=2, changes=[{"field": "unit_price", "before": "800", "after": "2500"}]),
        computed(4, "9600", "30000"),
    ]
    told = [(one.label, one.before.text, one.after.text) for one in changes_since(rows, 1, VERSION, WORDING)]
    assert told == [("Unit price", "€800.00", "€2,500.00"), ("Total", "€9,600.00", "€30,000.00")]
    assert changes_since(rows, 2, VERSION, WORDING) == ()


def test_an_entry_names_a_node_as_the_drawing_does() -> None:
    rows = [row(1, "started"), row(2, "forked", node="both"), row(3, "branch_ended", node="manager"),
            row(4, "routed", node="gone", to="procurement")]  # fmt: skip
    told = [line.sentence for line in lines_of(rows, VERSION, Names({}), WORDING)]
    assert told[1:] == [
        "At All of these: goes on in several branches",
        "At Manager: the branch was broken off",
        "At gone: goes on to Procurement",  # a node of another version has but its id
    ]
