"""What a check proves of moments, lists, texts and the requester, and where it says that nothing is proven."""

from __future__ import annotations

from typing import Any

import pytest

from placet.proofs import Finding, Report, check
from tests.unit.core import blueprint, graph

VARIABLES = [
    {"name": "day", "type": "date", "required": True},
    {"name": "note", "type": "string", "required": True},
    {"name": "amount", "type": "decimal", "required": True},
    {"name": "prices", "type": "list", "items": {"type": "decimal"}, "max_length": 3, "required": True},
    {"name": "sponsor", "type": "string"},
]


_OTHERS = {"unused_variable", "people_unknown"}


def deciding(*conditions: str, default: bool = False, **more: Any) -> dict[str, Any]:
    """Return a process of one decision; each condition leads to an end of its own."""
    ends = [f"end{n}" for n in range(len(conditions) + default)]
    drawn = graph("start -> d", nodes={"d": {"type": "decision"}}, ends=tuple(ends))
    drawn["edges"] += [{"from": "d", "to": e, "condition": c} for e, c in zip(ends, conditions, strict=False)]
    drawn["edges"] += [{"from": "d", "to": ends[-1], "default": True}] if default else []
    return {**blueprint(variables=VARIABLES, graph_spec=drawn, **more), "process_steps": []}


def found(report: Report, *codes: str) -> list[Finding]:
    return [f for f in report.findings if f.code in codes or (not codes and f.code not in _OTHERS)]


SOUND = {
    "every weekday": deciding("weekday(today()) <= 5", "weekday(today()) > 5"),
    "every month": deciding("month(day) in [1, 2, 3, 4, 5, 6]", "month(day) > 6"),
    "day and night": deciding("hour(now()) < 8", "hour(now()) >= 8 && hour(now()) < 18", "hour(now()) >= 18"),
    "a span of days": deciding("today() - day > 30", "today() - day <= 30"),
    "a sum and its parts": deciding("sum(prices) > 100.0", "sum(prices) <= 100.0 || max(prices) > 1000.0 && false"),
    "rounded": deciding("round(amount) > amount + 0.5", default=True) | {"expect": "dead_branch"},
    "managers": deciding("requester.managers == 0", "requester.managers > 0"),
    "a department": deciding(
        "requester.department == null", "requester.department != null && requester.department == 'it'", default=True
    ),
    "small letters": deciding("lower(note) == 'yes'", default=True),
}


@pytest.mark.parametrize("raw", SOUND.values(), ids=SOUND.keys())
def test_what_covers_everything_and_excludes_each_other_is_proven(raw: dict[str, Any]) -> None:
    expected = raw.pop("expect", None)
    assert {f.code for f in found(check(raw))} == ({expected} if expected else set())


def test_a_gap_says_at_which_moment() -> None:
    [gap] = found(check(deciding("weekday(today()) < 7", "false")), "gap")
    assert "(at 2" in gap.message
    assert gap.witness is not None
    assert "$now" not in gap.witness


def test_a_gap_says_for_which_requester() -> None:
    [gap] = found(check(deciding("requester.managers > 2", "'board' in requester.groups && amount < 5")), "gap")
    assert "for a requester with" in gap.message


def test_two_conditions_of_one_moment_contradict_each_other() -> None:
    raw = deciding("today() > day && now() < timestamp(day)", default=True)
    assert [f.pointer for f in found(check(raw), "dead_branch")] == ["/graph_spec/edges/1/condition"]
    assert found(check(deciding("requester.managers > 40", default=True)), "dead_branch")


def test_while_somebody_is_waited_for_time_passes() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "early": {"type": "decision"},
        "w": {"type": "wait", "hours": 100},
        "late": {"type": "decision"},
    }
    drawn = graph("start -> early", "w -> late", nodes=nodes, ends=("no", "yes"))
    drawn["edges"] += [
        {"from": "early", "to": "w", "condition": "today() < day"},
        {"from": "early", "to": "no", "default": True},
        {"from": "late", "to": "yes", "condition": "today() >= day"},
        {"from": "late", "to": "no", "default": True},
    ]
    raw = {**blueprint(variables=VARIABLES, graph_spec=drawn), "process_steps": []}
    assert found(check(raw), "dead_branch", "not_proven", "gap") == []
    drawn["edges"][1]["from"] = "start"  # without the wait in between the second decision is at the same moment
    drawn["nodes"] = [node for node in drawn["nodes"] if node["id"] != "w"]
    drawn["edges"] = [{"from": "start", "to": "early"}, {"from": "early", "to": "late", "condition": "today() < day"}]
    drawn["edges"] += [{"from": "early", "to": "no", "default": True}]
    drawn["edges"] += [{"from": "late", "to": "yes", "condition": "today() >= day"}]
    drawn["edges"] += [{"from": "late", "to": "no", "default": True}]
    assert len(found(check(raw), "dead_branch")) == 1


def test_what_is_not_known_is_not_proven() -> None:
    report = check(deciding("lower(note) == 'YES'", default=True))
    assert found(report, "not_proven")
    assert report.certificate is not None
    assert not report.certificate.complete


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("int(note) > 5", "whole number"),
        ("decimal(note) > 5.0", "decimal number"),
        ("max(prices) > 5.0", "empty"),
        ("int(amount) > 5", "round it first"),
    ],
)
def test_a_conversion_that_fails_is_found_with_an_input(condition: str, words: str) -> None:
    [fails] = found(check(deciding(condition, default=True)), "evaluation_fails")
    assert fails.witness is not None
    assert words in fails.message


def asking(expr: str) -> dict[str, Any]:
    return blueprint({"approvers": [{"expr": expr}]}, variables=VARIABLES)


def test_who_is_chosen_is_checked_as_everything_that_is_computed() -> None:
    report = check(asking("amount > 1000.0 ? 'role:cfo' : 'manager_of(requester)'"))
    assert report.ok
    assert "amount" not in {f.message.split("'")[1] for f in found(report, "unused_variable")}
    [unset] = found(check(asking("sponsor == 'x' ? 'role:cfo' : 'user:mo'")), "unset_variable")
    assert unset.pointer == "/process_steps/0/approvers/0/expr"
    assert "the escalation or the owner is asked" in unset.message
    [types] = found(check(asking("'user:' + note")), "types")
    assert types.pointer == "/process_steps/0/approvers/0/expr"
    [syntax] = found(check(asking("amount > ")), "syntax")
    assert syntax.pointer == "/process_steps/0/approvers/0/expr"
