"""Whatever a draft holds and a form sends, the editor shows it, changes it, or says what is wrong."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from placet.errors import PlacetError
from web.editor.operations import changed, undone
from web.editor.page import Surroundings, view_of
from web.forms.reading import Entries, whole
from web.languages import Wording

WORDING = Wording(language="en", zone=ZoneInfo("UTC"), now=datetime(2026, 1, 1, tzinfo=UTC))
AROUND = Surroundings(actions=(), processes=(), named=str)
EXPENSE: dict[str, Any] = json.loads((Path(__file__).parents[2] / "blueprints/expense.json").read_text())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.text(max_size=5) | st.sampled_from(["large", "manager"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "type",
                    "step",
                    "from",
                    "to",
                    "table",
                    "rules",
                    "inputs",
                    "when",
                    "name",
                    "stage_name",
                    "approvers",
                    "x",
                    "nodes",
                    "edges",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
PLACES = (
    ("graph_spec",),
    ("graph_spec", "nodes"),
    ("graph_spec", "edges"),
    ("process_steps",),
    ("variables",),
    ("settings",),
    ("name",),
    ("graph_spec", "nodes", 2),
    ("graph_spec", "nodes", 2, "table"),
    ("graph_spec", "nodes", 2, "id"),
    ("graph_spec", "nodes", 1, "step"),
    ("graph_spec", "edges", 3),
    ("process_steps", 0),
    ("variables", 0),
)
PARTS = (
    "process",
    "settings",
    "node:large",
    "node:manager",
    "variable:amount",
    "stage:CFO Approval",
    "node:\0",
    "x:y",
    "",
)
OPS = (
    "save",
    "add-node",
    "add-edge",
    "add-variable",
    "add-stage",
    "remove",
    "up:/graph_spec/edges/3",
    "down:/graph_spec/edges/4",
    "drop:/graph_spec/edges/3",
    "drop:/process_steps/0",
    "drop:/name/0",
    "up:²",
    "make-table",
    "make-graph",
    "place",
    "rule-add:0",
    "rule-remove:0",
    "rule-up:1",
    "rule-down:0",
    "input-add:",
    "input-remove:0",
    f"rule-up:{'9' * 5000}",
    "drop:/graph_spec/nodes/" + "9" * 5000,
)


def altered(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    content = copy.deepcopy(EXPENSE)
    there: Any = content
    for key in place[:-1]:
        there = there[key]
    there[place[-1]] = value
    return content


def form(**values: str) -> Entries:
    return Entries.of(values.items(), ZoneInfo("UTC"))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    place=st.sampled_from(PLACES),
    value=ANYTHING,
    at=st.sampled_from(PARTS),
    op=st.sampled_from(OPS),
    other=st.text(max_size=4),
)
@example(place=("graph_spec",), value=[], at="process", op="add-node", other="")
@example(place=("graph_spec",), value={}, at="node:large", op="add-edge", other="yes")
@example(place=("process_steps",), value={"a": 1}, at="process", op="add-stage", other="")
@example(place=("variables",), value="x", at="process", op="add-variable", other="")
def test_whatever_a_draft_holds_is_shown_and_changed_or_refused(
    place: tuple[Any, ...], value: Any, at: str, op: str, other: str
) -> None:
    content = altered(place, value)
    before = copy.deepcopy(content)
    view_of(content, at, "/drafts/1", AROUND, WORDING)
    entries = form(
        **{
            "at": at,
            "op": op,
            "kind": "approval",
            "target": other,
            "node": "large",
            "dx": other or "20",
            "dy": "0",
            "part.0": "/graph_spec/nodes/2",
            "p0.id": other or "large",
            "part.²": "/x",
            "table": "1",
            "t.input.0": other,
        }
    )
    try:
        after, chosen = changed(content, entries, WORDING)
    except PlacetError:
        pass
    else:
        view_of(after, chosen, "/drafts/1", AROUND, WORDING)
    assert content == before


@pytest.mark.parametrize(
    "patch",
    [
        "",
        "[",
        "[" * 100_000,
        "{}",
        "[1]",
        '[{"op":"add"}]',
        '[{"op":"replace","path":"/none/0","value":1}]',
        '[{"op":"remove","path":""}]',
        '[{"op":"replace","path":"","value":[]}]',
    ],
)
def test_a_change_that_is_none_is_not_taken_back(patch: str) -> None:
    with pytest.raises(PlacetError):
        undone(EXPENSE, patch, WORDING)


@pytest.mark.parametrize("text", ["", "-1", "1.0", "²", "٣", "1" * 10, "9" * 5000])
def test_what_no_form_counts_with_is_no_number(text: str) -> None:
    assert whole(text) is None
