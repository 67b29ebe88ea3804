"""Checks of blueprints are bounded, whatever a blueprint holds, and large ones are quick."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placet.directory import Directory, Person
from placet.proofs import check
from tests.unit.test_check import EXPENSE, PEOPLE, chain, step


def test_a_large_organisation_is_checked_in_bounded_time() -> None:
    people = PEOPLE | {f"p{n}": Person(id=f"p{n}", manager=f"p{n // 8}" if n else "hedy") for n in range(5_000)}
    began = time.process_time()
    assert check(EXPENSE, directory=Directory(people=people)).ok
    assert time.process_time() - began < 30


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"items": value, "type": "list"}
    return value


def looped() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def shared() -> Any:
    value: Any = ["ha"]
    for _ in range(60):
        value = [value, value]  # 2**60 values in a few bytes
    return value


@pytest.mark.parametrize(
    "raw",
    [
        None,
        True,
        3.5,
        "text",
        [],
        {},
        float("nan"),
        10**5_000,
        object(),
        {1: 2},
        {"name": "\ud800"},
        nested(100_000),
        looped(),
        shared(),
        chain(*({"stage_name": str(n)} for n in range(200_000))),
        chain({"stage_name": "A"}, variables=[{"name": "a", **nested(40)}]),
        chain({"stage_name": "A"}, variables=[{"name": "a", "type": "string", "pattern": "(((a{90}){90}){90}){90}"}]),
        step(approvers=["user:a"] * 100_000),
        step(approvers=["manager_of(" * 500 + "requester" + ")" * 500]),
        step(form={"pattern": "(a+)+$", "properties": {"a": {"$ref": "http://127.0.0.1/x"}}}),
        step(sla_hours=1e308),
        step(quorum={"at_least": 2**70}),
        {
            **EXPENSE,
            "graph_spec": {"nodes": EXPENSE["graph_spec"]["nodes"], "edges": [{"from": "a", "to": "b"}] * 50_000},
        },
        {
            **EXPENSE,
            "graph_spec": {
                **EXPENSE["graph_spec"],
                "edges": [{"from": "large", "to": "yes", "condition": "(" * 3_000 + "amount" + ")" * 900}] * 300,
            },
        },
        {
            **EXPENSE,
            "graph_spec": {
                **EXPENSE["graph_spec"],
                "edges": [
                    {"from": "large", "to": "yes", "condition": "amount * " * 20 + f"amount > {n}"} for n in range(40)
                ],
            },
        },
    ],
    ids=lambda raw: str(type(raw).__name__),
)
def test_hostile_input_is_refused_quickly(raw: Any) -> None:
    began = time.process_time()
    report = check(raw)
    assert not report.ok
    assert report.findings
    assert all(len(f.pointer) <= 1_000 for f in report.findings)
    assert time.process_time() - began < 30


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
@settings(max_examples=150)
def test_no_value_in_any_place_makes_it_raise(data: st.DataObject) -> None:
    raw = copy.deepcopy(EXPENSE)
    place: Any = raw
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 4)) == 0:
            break
        place = place[key]
    place[key] = data.draw(JSON)
    report = check(raw)
    json.dumps(report.described())
    assert report.ok == (report.certificate is not None)


def test_two_hundred_nodes_are_checked_in_seconds() -> None:
    steps = [{"stage_name": f"S{n}", "approvers": [f"user:u{n}"], "sla_hours": 24} for n in range(98)]
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "trigger"}]
    edges: list[dict[str, Any]] = [{"from": "start", "to": "d0"}]
    for n in range(98):
        following = f"d{n + 1}" if n < 97 else "yes"
        nodes += [{"id": f"d{n}", "type": "decision"}, {"id": f"a{n}", "type": "approval", "step": f"S{n}"}]
        place = ["sales", "it"][n % 2]
        edges += [
            {"from": f"d{n}", "to": f"a{n}", "condition": f'amount > {100 * n} && department == "{place}"'},
            {"from": f"d{n}", "to": following, "default": True},
            {"from": f"a{n}", "to": following, "on": "approved"},
            {"from": f"a{n}", "to": "no", "on": "rejected"},
        ]
    nodes += EXPENSE["graph_spec"]["nodes"][-2:]
    began = time.process_time()
    report = check({**EXPENSE, "process_steps": steps, "graph_spec": {"nodes": nodes, "edges": edges}})
    assert report.ok
    assert len(nodes) == 199
    assert time.process_time() - began < 20  # about a second


def test_the_solver_is_loaded_only_for_conditions() -> None:
    program = (
        "import sys; from placet.proofs import check; "
        "r = check({'name': 'x', 'version': '1.0.0', 'process_steps': [{'stage_name': 'A'}]}); "
        "assert r.ok; assert 'z3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
