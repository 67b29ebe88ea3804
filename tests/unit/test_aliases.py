"""Aliases: specs and scripts accept other names, and unknown names are refused at their place."""

from __future__ import annotations

from typing import Any

import pytest

from placet.errors import InputInvalid
from simulation.scenario.script import ScriptLine, parse_script
from simulation.scenario.spec import SimulationSpec, parse_spec, patched

REJECT = ScriptLine(on="Manager Approval", decision="reject")
TWO_DAYS = ScriptLine(by="mo", decision="approve", at_hours=48)
WAIT = ScriptLine(on="Manager Approval", do="wait")
LATER = ScriptLine(on="Manager Approval", decision="reject", after_hours=1.5)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ([{"on": "Manager Approval", "decision": "reject"}], REJECT),
        ([{"stage": "Manager Approval", "decision": "rejected"}], REJECT),
        ([{"stage_name": "Manager Approval", "action": "reject"}], REJECT),
        ([{"step": "Manager Approval", "do": "reject"}], REJECT),
        ([{"task": "Manager Approval", "do": "decide", "decision": "reject"}], REJECT),
        ({"Manager Approval": "reject"}, REJECT),
        ({"Manager Approval": {"decision": "reject", "after_hours": 1.5}}, LATER),
        ([{"stage": "Manager Approval", "decision": "reject", "delay_hours": 1.5}], LATER),
        ([{"stage": "Manager Approval", "decision": "reject", "after_minutes": 90}], LATER),
        ([{"stage": "Manager Approval", "decision": "reject", "after_seconds": 5400}], LATER),
        ([{"assignee": "mo", "decision": "approve", "at_days": 2}], TWO_DAYS),
        # Who is silent decides nothing, and takes no time for it.
        ([{"stage": "Manager Approval", "decision": None, "after_hours": 3}], WAIT),
        ({"Manager Approval": "timeout"}, WAIT),
    ],
)  # fmt: skip
def test_a_script_says_the_same_in_many_words(written: Any, meant: ScriptLine) -> None:
    assert parse_script(written) == (meant,)
    assert parse_spec({"template": "T", "script": written}).script == (meant,)


@pytest.mark.parametrize(
    ("written", "pointer", "message"),
    [
        (
            [{"stage": "A", "decision": "maybe"}],
            "/script/0/decision",
            "'approve', 'reject', 'request_changes' or 'abstain'",
        ),
        ({"A/B": {"decision": "maybe"}}, "/script/A~1B/decision", "'approve', 'reject'"),
        ([{"stage": "A", "on": "B", "decision": "approve"}], "/script/0", 'and "on" mean the same'),
        (
            [{"on": "A", "after_hours": 1, "delay_minutes": 1, "decision": "approve"}],
            "/script/0",
            'and "after_hours"',
        ),
        ([{"on": "A", "after_minutes": "soon", "decision": "approve"}], "/script/0/after_minutes", "number"),
        ([{"stage": 7, "decision": "approve"}], "/script/0/stage", "text"),
        ([{"on": "A", "decisoin": "approve", "decision": "approve"}], "/script/0/decisoin", 'did you mean "decision"?'),
        (["approve"], "/script/0", "write an object"),
        ("approve", "/script", "write a list"),
    ],
)
def test_an_invalid_script_is_refused_at_its_place(written: Any, pointer: str, message: str) -> None:
    for read in (lambda: parse_script(written), lambda: parse_spec({"template": "T", "script": written})):
        with pytest.raises(InputInvalid) as refused:
            read()
        assert [p.pointer for p in refused.value.problems] == [pointer]
        assert message in refused.value.problems[0].message


def test_an_order_says_the_same_in_many_words() -> None:
    meant = SimulationSpec(mode="replay", template="T", version="2.0.0", request_id="r", input={"a": 1})
    assert parse_spec({**meant.model_dump(include={"mode", "template", "version", "request_id", "input"})}) == meant
    other = {"mode": "replay", "template_id": "T", "candidate_version": "2.0.0", "request": "r", "variables": {"a": 1}}
    assert parse_spec(other) == meant


@pytest.mark.parametrize(
    ("spec", "pointer", "message"),
    [
        ({"template": "T", "inptu": {}}, "/inptu", 'did you mean "input"?'),
        ({"template": "T", "colour": "red"}, "/colour", "the fields are mode, template"),
        ({"template": "T", "prices": {"curency": "EUR"}}, "/prices/curency", 'did you mean "currency"?'),
        ({"template": "T", "template_id": "T"}, "", 'and "template" mean the same'),
        ({"mode": "explore"}, "", "name the process to simulate"),
        ({"mode": "replay", "template": "T"}, "/request_id", 'needs "request_id"'),
        ({"mode": "replay", "request_id": "r", "sample": {"seed": 1}}, "/sample", "explore and rehearse"),
        ({"template": "T", "sample": "x"}, "/sample", '{"seed": 7'),
        ({"template": "T", "prices": "x"}, "/prices", "approver_hour"),
        ({"template": "T", "patch": ["x"]}, "/patch/0", '"op": "replace"'),
        ({"template": "T", "patch": [{"op": "add"}]}, "/patch/0/path", "this field is required"),
        ({"template": "T", "starts_at": "9999-12-31T23:00:00Z"}, "/starts_at", "2200"),
        ({"template": "T", "starts_at": "2026-01-31T09:00:00"}, "/starts_at", "time zone"),
        ({"mode": "backtest"}, "", "name the process whose requests"),
        ({"mode": "backtest", "blueprint": {}}, "", "name the process whose requests"),
    ],
)
def test_an_invalid_spec_is_refused_at_its_place(spec: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        parse_spec(spec)
    assert [p.pointer for p in refused.value.problems] == [pointer]
    assert message in refused.value.problems[0].message


def test_a_patch_is_refused_at_the_operation_that_does_not_fit_and_changes_nothing() -> None:
    steps = {"steps": [{"hours": 1}]}
    right = {"op": "replace", "path": "/steps/0/hours", "value": 2}
    patch = parse_spec({"template": "T", "patch": [right, {"op": "remove", "path": "/steps/7"}]}).patch
    with pytest.raises(InputInvalid) as refused:
        patched(steps, patch)
    assert [p.pointer for p in refused.value.problems] == ["/patch/1"]
    assert patched(steps, patch[:1]) == {"steps": [{"hours": 2}]}
    assert steps == {"steps": [{"hours": 1}]}


def test_fields_that_a_mode_ignores_are_warnings() -> None:
    spoken = {"template": "T", "script": {"A": "reject"}, "input": {"a": 1}}
    assert parse_spec({**spoken, "mode": "backtest"}).ignored_fields == [
        '"script", "input": ignored in mode backtest, because people act as recorded'
    ]
    assert parse_spec(spoken).ignored_fields == []
    assert "request_ids" in parse_spec({"template": "T", "request_ids": ["r"]}).ignored_fields[0]


def test_a_backtest_finds_its_requests_by_the_candidates_name_and_its_candidate_by_the_requests_name() -> None:
    assert parse_spec({"mode": "backtest", "blueprint": {"name": "T"}}).requests_of == "T"
    assert parse_spec({"mode": "backtest", "template": "S", "candidate": {"name": "T"}}).requests_of == "S"
    assert parse_spec({"mode": "backtest", "template": "S"}).requests_of == "S"
