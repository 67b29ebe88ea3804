"""Scripts of simulations: who does what and when, and what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from placet.errors import InputInvalid
from simulation.modes.explore import explore
from simulation.scenario.script import parse_script
from tests.unit.core import blueprint
from tests.unit.test_explore import EXPENSE, HOUR_MS, ask, routes


def test_a_script_says_who_does_what_and_when() -> None:
    script = parse_script(
        [{"on": "Manager Approval", "by": "mo", "decision": "reject", "comment": "no", "at_hours": 3}]
    )
    found = explore(ask(EXPENSE, given={"amount": "9000", "department": "it"}, script=script))
    assert (found.outcome, found.predicted_duration_ms) == ("rejected", 3 * HOUR_MS)


def test_what_people_may_not_do_is_refused_and_listed() -> None:
    script = parse_script([{"at_hours": 1, "by": "ann", "do": "withdraw"}, {"at_hours": 2, "do": "withdraw"}])
    found = explore(ask(blueprint({"sla_hours": 24}), script=script))
    assert [r["by"] for r in found.refused] == ["user:ann"]
    assert found.outcome == "withdrawn"


def test_a_script_may_abstain_and_an_abstention_is_no_branch_of_its_own() -> None:
    stage = blueprint({"approvers": ["user:ann", "user:ben"], "quorum": "all"})
    script = parse_script([{"by": "ann", "decision": "approve"}, {"by": "ben", "decision": "abstained"}])
    found = explore(ask(stage, script=script))
    assert (found.outcome, [link.decision for link in found.approval_chain]) == ("rejected", ["approve", "abstain"])
    settled = next(step for step in found.execution_path if step.kind == "stage_settled")
    assert settled.what == "Stage 1 is rejected: the quorum can no longer be met: 1 of 2 abstained"
    assert routes(found) == routes(explore(ask(stage)))


def test_a_script_that_changes_the_request_sends_it_to_its_first_node_again() -> None:
    amount = [{"name": "amount", "type": "decimal", "required": True}]
    steps = [{"sla_hours": 24}, {"sla_hours": 24, "approvers": ["role:cfo"]}]
    script = parse_script(
        [
            {"on": "Stage 2", "decision": "request_changes", "comment": "less"},
            {"do": "resubmit", "input": {"amount": "60"}, "title": "Less"},
            {"on": "Stage 2", "decision": "approve"},
        ]
    )
    for rule, asked in (
        ("restart", ["Stage 1", "Stage 2", "Stage 1", "Stage 2"]),
        ("stage", ["Stage 1", "Stage 2", "Stage 2"]),
    ):
        raw = blueprint(*steps, variables=amount, settings={"on_change": rule})
        found = explore(ask(raw, script=script, given={"amount": "100"}))
        assert [link.stage for link in found.approval_chain] == asked
        assert found.outcome == "approved"


@pytest.mark.parametrize(
    "line",
    [
        {"on": "A"},  # decides nothing
        {"on": "A", "decision": "maybe"},
        {"decision": "approve", "at_hours": 1, "after_hours": 1},
        {"do": "delegate"},
        {"do": "extend"},
        {"decision": "approve", "who": "bob"},
    ],
)
def test_a_line_that_makes_no_sense_is_refused_by_its_place(line: dict[str, Any]) -> None:
    with pytest.raises(InputInvalid) as caught:
        parse_script([line])
    assert caught.value.problems[0].pointer.startswith("/script/0")


def test_a_script_that_names_an_unknown_stage_is_refused() -> None:
    script = parse_script([{"on": "Manager Aproval", "decision": "reject"}, {"on": "manager", "decision": "reject"}])
    found = explore(ask(EXPENSE, given={"amount": "1", "department": "it"}, script=script))
    assert [(e["pointer"], e["message"]) for e in found.validation_errors] == [
        ("/script/0/on", "this process has no stage 'Manager Aproval'; did you mean 'Manager Approval'?")
    ]


def test_lines_of_a_script_that_were_not_used_are_warnings() -> None:
    script = parse_script(
        [
            {"on": "Manager Approval", "by": "cfo", "decision": "approve"},
            {"on": "Manager Approval", "by": "mo", "decision": "reject", "after_hours": 2},
            {"on": "CFO Approval", "decision": "reject"},
        ]
    )
    found = explore(ask(EXPENSE, given={"amount": "9000", "department": "it"}, script=script))
    assert found.outcome == "rejected"
    assert [w for w in found.warnings if "script" in w] == [
        "line 1 of the script was not used: cfo never had a task of Manager Approval",
        "line 3 of the script was not used: nothing that it applies to occurred",
    ]


def test_script_adds_an_approver_whose_approval_is_needed_as_well() -> None:
    script = parse_script(
        [{"do": "add_approver", "on": "Stage 1", "to": "ann", "after_hours": 1, "comment": "she knows"}]
    )
    found = explore(ask(blueprint({"approvers": ["user:mo"]}), script=script))
    assert [(link.assignee, link.decision) for link in found.approval_chain] == [
        ("user:mo", "approve"),
        ("user:ann", "approve"),
    ]
    assert [(step.kind, step.after_ms) for step in found.execution_path if step.kind == "approver_added"] == [
        ("approver_added", HOUR_MS)
    ]
    assert found.outcome == "approved"


def test_script_asks_the_requester_who_answers_and_reminds() -> None:
    script = parse_script(
        [
            {"do": "ask", "on": "Stage 1", "after_hours": 1, "comment": "Which client?"},
            {"do": "answer_question", "after_hours": 2, "comment": "Acme."},
            {"do": "remind", "at_hours": 4},
            {"on": "Stage 1", "decision": "approve", "after_hours": 5},
        ]
    )
    found = explore(ask(blueprint({"approvers": ["user:mo"]}), script=script))
    said = [(s.kind, s.actor, s.after_ms // HOUR_MS) for s in found.execution_path if s.actor != "system"]
    assert said[1:] == [
        ("question_asked", "user:mo", 1),
        ("question_answered", "user:rita", 3),
        ("reminded", "user:rita", 4),
        ("decided", "user:mo", 5),
    ]
    assert not found.refused


@pytest.mark.parametrize("do", ["add_approver", "ask", "answer_question"])
def test_script_line_that_says_something_needs_its_words(do: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        parse_script([{"do": do, "on": "Stage 1", "to": "ann"}])
    assert '"comment"' in caught.value.problems[0].message
