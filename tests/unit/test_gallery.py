"""The gallery: each blueprint is sound, and requests come to every one of its outcomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from placet.definition.model import amount_variable, canonical, parse_definition
from placet.nodes.registry import NODE_TYPES
from placet.plan.compiler import compile_plan
from placet.proofs import check
from tests.gallery import ACTIONS, FILES, STORIES, children, people, raw, tell
from tests.unit.core import START, Case

# What only somebody who knows the people and the process can weigh.
WEIGHED = {"unused_variable", "unbounded_time", "not_resilient"}


def test_the_gallery_shows_every_kind_of_node() -> None:
    assert len(FILES) >= 8
    kinds = {n["type"] for f in FILES for n in json.loads(f.read_text())["graph_spec"]["nodes"]}
    assert kinds == NODE_TYPES.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_blueprint_is_sound(file: Path) -> None:
    text = raw(file.stem)
    report = check(text, directory=people(), actions=ACTIONS, children=children(START))
    assert report.ok
    assert report.certificate is not None
    assert {finding.code for finding in report.findings} <= WEIGHED
    assert canonical(parse_definition(text)) == text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_blueprint_says_what_lists_show_of_a_request(file: Path) -> None:
    blueprint = raw(file.stem)
    assert blueprint["settings"].get("summary") or amount_variable(blueprint), "a row would say its title alone"


@pytest.mark.parametrize(("name", "given", "story", "outcome"), STORIES)
def test_each_blueprint_comes_to_its_outcomes(
    name: str, given: dict[str, Any], story: list[tuple[Any, ...]], outcome: str
) -> None:
    plan = compile_plan(parse_definition(raw(name)), start=START, actions=ACTIONS, children=children(START))
    request = Case(plan=plan, org=people(), input=given, twice=True)
    for line in story:
        tell(request, line)
    assert request.state.outcome == outcome


def test_the_stories_come_to_every_outcome_of_the_gallery() -> None:
    told = {(name, outcome) for name, _, _, outcome in STORIES} | {("access-request", "expired")}
    told |= {(name, "expired") for name in ("purchase-order", "hiring", "change-management")}  # as in discount
    told |= {("purchase-order", "rejected")}
    ends = {
        (f.stem, n["outcome"]) for f in FILES for n in raw(f.stem)["graph_spec"]["nodes"] if n["type"] == "terminator"
    }
    assert ends == told
