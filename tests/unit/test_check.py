"""The check as its callers meet it: what passes, what people and directories change, hostile input, the certificate."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from api.routes.examples import EXPENSE_APPROVAL
from placet.definition.model import parse_definition
from placet.directory import Directory, Person
from placet.plan.compiler import digest
from placet.proofs import Report, check
from tests.unit.core import graph

AMOUNT, DEPARTMENT = EXPENSE_APPROVAL["variables"]
EXPENSE: dict[str, Any] = {**EXPENSE_APPROVAL, "variables": [AMOUNT, {**DEPARTMENT, "required": True}]}
PEOPLE = {
    p.id: p
    for p in (
        Person(id="ceo"),
        Person(id="olivia", manager="ceo"),
        Person(id="carl", manager="ceo", roles=("cfo",)),
        Person(id="hedy", manager="ceo", roles=("department_head",)),
        Person(id="mia", manager="hedy"),
        Person(id="rob", manager="mia"),
    )
}
STAGE = {"stage_name": "Manager Approval", "sla_hours": 24, "escalation_enabled": True, "escalation_to": "head"}


def codes(report: Report, severity: str) -> set[str]:
    return {f.code for f in report.findings if f.severity == severity}


def chain(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "Chain", "version": "1.0.0", "process_steps": list(steps), **more}


@pytest.mark.parametrize(
    "raw",
    [
        EXPENSE,  # the contract's own example
        {key: value for key, value in EXPENSE.items() if key != "graph_spec"},  # its stages alone, as a chain
        chain({"stage_name": "Manager"}),  # the least there is
        chain(STAGE),  # the stage that the mission spells out
        chain(
            {"stage_name": "Board", "approvers": ["group:board"], "quorum": {"percent": 60}, "rejection": "unreachable"}
        ),
        chain(
            {
                "stage_name": "Weighed",
                "approvers": [{"who": "user:ann", "weight": 2}, {"who": "user:bob", "weight": 1}],
                "quorum": {"weight": 3},
                "sla": {"target_hours": 5 / 3600, "warn_before_hours": 1, "critical_hours": 2},
                "escalation": [{"to": "department_head", "action": "notify"}, {"after_hours": 2, "to": "cfo"}],
                "final": "reject",
            }
        ),
        chain({"stage_name": "Queue", "approvers": ["role:cfo"], "claim": True, "order": "sequential"}),
    ],
)
def test_a_sound_blueprint_has_no_errors(raw: dict[str, Any]) -> None:
    report = check(raw)
    assert report.ok, report.findings
    assert report.certificate is not None


def test_what_only_a_directory_can_tell_is_a_warning_without_one() -> None:
    assert codes(check(EXPENSE), "warning") >= {"people_unknown", "unused_variable"}
    assert codes(check(EXPENSE, directory=Directory()), "warning") == codes(check(EXPENSE), "warning")


def test_a_directory_that_fits_leaves_nothing_unknown() -> None:
    report = check(EXPENSE, directory=Directory(people=PEOPLE))
    assert report.ok
    assert not codes(report, "warning") & {"people_unknown", "unknown_person", "unknown_role", "quorum_not_met"}
    assert report.certificate is not None
    assert report.certificate.totals["requesters"] == len(PEOPLE)


def test_unknown_names_are_named_and_do_not_keep_a_blueprint_back() -> None:
    raw = chain({"stage_name": "A", "approvers": ["user:ghost", "role:none", "group:none"]}, owner="user:olivia")
    report = check(raw, directory=Directory(people=PEOPLE))
    assert report.ok
    assert codes(report, "warning") >= {"unknown_person", "unknown_role", "unknown_group"}


def test_a_quorum_that_the_organisation_cannot_meet_is_an_error() -> None:
    raw = chain({"stage_name": "A", "approvers": ["role:cfo"], "quorum": {"at_least": 2}})
    assert check(raw).ok
    report = check(raw, directory=Directory(people=PEOPLE))
    assert codes(report, "error") == {"impossible_quorum"}
    found = next(f for f in report.findings if f.code == "impossible_quorum")
    assert found.witness is not None
    assert found.witness["requester"] in PEOPLE


def test_a_requester_without_anybody_above_is_a_warning_with_their_name() -> None:
    report = check(chain({"stage_name": "A"}), directory=Directory(people=PEOPLE))
    assert report.ok
    found = next(f for f in report.findings if f.code == "quorum_not_met")
    assert found.witness == {"requester": "ceo"}
    assert check(chain({"stage_name": "A"}, owner="user:olivia"), directory=Directory(people=PEOPLE)).ok


def test_an_escalation_to_the_only_approver_is_found_by_the_directory() -> None:
    raw = chain({"stage_name": "A", "approvers": ["user:carl"], "sla_hours": 1, "escalation_to": "cfo"})
    assert check(raw).ok
    assert codes(check(raw, directory=Directory(people=PEOPLE)), "error") == {"escalation_to_oneself"}


def test_one_absence_that_stops_a_stage_is_named() -> None:
    raw = chain({"stage_name": "A", "approvers": ["user:carl"]}, owner="user:olivia")
    report = check(raw, directory=Directory(people=PEOPLE))
    found = next(f for f in report.findings if f.code == "not_resilient")
    # olivia asks, so she cannot stand in for carl
    assert found.witness == {"requester": "olivia", "away": ["carl"]}
    assert report.certificate is not None
    assert report.certificate.totals["may_be_away"] == 0


def test_a_stage_with_enough_people_bears_two_absences() -> None:
    people = {f"p{n}": Person(id=f"p{n}", groups=("board",)) for n in range(5)}
    report = check(chain({"stage_name": "A", "approvers": ["group:board"]}), directory=Directory(people=people))
    assert report.certificate is not None
    assert report.certificate.totals["may_be_away"] == 2
    assert "not_resilient" not in codes(report, "warning")


def test_the_certificate_is_bound_to_the_digest_and_counts_the_worst_case() -> None:
    steps = (
        {"stage_name": "A", "sla_hours": 10, "final": "expire"},
        {"stage_name": "B", "sla_hours": 5, "final": "reject", "escalation": [{"after_hours": 2, "to": "head"}]},
    )
    raw = chain(*steps, settings={"max_rounds": 3, "re_escalate_after_hours": 4})
    certificate = check(raw).certificate
    assert certificate is not None
    assert certificate.digest == digest(parse_definition(raw))
    assert certificate.complete
    # A takes 10 and B 5 + 2 + 4; a change leads through both again, twice
    assert certificate.totals["worst_case_working_hours"] == "63.0"
    assert certificate.totals["longest_way"] == ["start", "step-1", "step-2", "approved"]
    json.dumps(check(raw).described())


def test_where_a_change_leaves_approvals_as_they_are_each_further_round_takes_the_longest_stage_alone() -> None:
    steps = ({"stage_name": "A", "sla_hours": 10, "final": "expire"}, {**STAGE, "sla_hours": 8, "final": "expire"})
    raw = chain(*steps, settings={"max_rounds": 3, "re_escalate_after_hours": 4, "on_change": "stage"})
    again = chain(*steps, settings={"max_rounds": 1, "re_escalate_after_hours": 4, "on_change": "stage"})
    hours = [float(check(r).certificate.totals["worst_case_working_hours"]) for r in (again, raw)]  # type: ignore[union-attr] # sound
    longest = max(10.0, hours[0] - 10.0)
    assert hours[1] == hours[0] + 2 * longest


def test_a_stage_that_waits_has_no_worst_case_and_says_so() -> None:
    report = check(chain({"stage_name": "A", "sla_hours": 10}))
    assert "unbounded_time" in codes(report, "warning")
    assert report.certificate is not None
    assert report.certificate.totals["worst_case_working_hours"] is None


def test_a_state_that_outgrows_the_engine_is_a_warning() -> None:
    steps = [{"stage_name": f"S{n}", "approvers": ["group:all"], "quorum": "all"} for n in range(20)]
    assert "engine_budget" in codes(check(chain(*steps)), "warning")


def test_branches_that_lead_to_the_same_place_may_overlap() -> None:
    raw = copy.deepcopy(EXPENSE)
    raw["graph_spec"]["edges"].insert(4, {"from": "large", "to": "cfo", "condition": 'department == "it"'})
    report = check(raw)
    assert report.ok
    assert "overlap" in codes(report, "warning")


def test_a_value_that_may_be_absent_is_a_warning_with_the_input_that_fails() -> None:
    raw = copy.deepcopy(EXPENSE)
    raw["variables"][1]["required"] = False
    raw["graph_spec"]["edges"][3]["condition"] = 'amount > 5000 && department == "it"'
    report = check(raw)
    assert report.ok
    found = next(f for f in report.findings if f.code == "unset_variable")
    assert found.witness is not None
    assert set(found.witness) == {"amount"}
    assert float(found.witness["amount"]) > 5000


def test_a_doubt_of_the_solver_is_a_warning_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("placet.proofs.solver.prover.ONE_QUESTION", 1)
    report = check(EXPENSE)
    assert report.ok
    doubt = next(f for f in report.findings if f.code == "not_proven")
    assert "gave up" in doubt.message
    assert report.certificate is not None
    assert not report.certificate.complete


def test_several_faults_are_told_at_once() -> None:
    raw = copy.deepcopy(EXPENSE)
    raw["version"] = "one"
    raw["settings"]["timezone"] = "Mars"
    raw["graph_spec"]["edges"][3]["condition"] = "amount < 0"
    raw["graph_spec"]["edges"][6]["to"] = "nowhere"
    assert codes(check(raw), "error") == {"version", "calendar", "dead_branch", "dangling_id"}


def step(**more: Any) -> dict[str, Any]:
    return chain({"stage_name": "A", **more})


@pytest.mark.parametrize(("owner", "severity"), [("user:olivia", "warning"), (None, "error")])
def test_the_same_person_in_two_stages_is_an_error_only_where_nobody_stands_in(
    owner: str | None, severity: str
) -> None:
    raw: dict[str, Any] = {
        "name": "Twice",
        "version": "1.0.0",
        "settings": {"separation_of_duties": {"repeat": "forbid"}},
        "process_steps": [
            {"stage_name": "First", "approvers": ["user:ann"]},
            {"stage_name": "Second", "approvers": ["user:ann"]},
        ],
    }
    found = [f for f in check(raw | ({"owner": owner} if owner else {})).findings if f.code == "impossible_quorum"]
    assert [(f.severity, f.pointer) for f in found] == [(severity, "/process_steps/1/approvers")]


def changed(report: Report) -> list[Any]:
    return [f for f in report.findings if f.code == "approval_of_changed_content"]


def test_an_approval_that_outlives_a_change_is_a_warning_with_a_witness() -> None:
    two = [{"stage_name": "Manager"}, {"stage_name": "CFO", "approvers": ["role:cfo"]}]
    variables = [{"name": "amount", "type": "decimal", "required": True}]
    (found,) = changed(check(chain(*two, variables=variables, settings={"on_change": "stage"})))
    assert (found.severity, found.pointer) == ("warning", "/settings/on_change")
    assert "'Manager' has approved" in found.message
    assert "amount" in found.witness
    assert changed(check(chain(*two, variables=variables))) == []
    assert changed(check(chain(*two, variables=variables, settings={"on_change": "stage", "max_rounds": 1}))) == []
    assert changed(check(chain(two[0], variables=variables, settings={"on_change": "stage"}))) == []
    assert [f.pointer for f in changed(check(chain(*two, variables=variables, format=1)))] == ["/settings"]


def test_an_approval_that_a_changed_input_would_not_have_come_to_is_a_warning_with_both_inputs() -> None:
    steps = [{"stage_name": "Manager"}, {"stage_name": "CFO", "approvers": ["role:cfo"]}]
    nodes = [
        {"id": "start", "type": "trigger"},
        {"id": "large", "type": "decision"},
        {"id": "m", "type": "approval", "step": "Manager"},
        {"id": "c", "type": "approval", "step": "CFO"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
    ]
    edges = [
        {"from": "start", "to": "large"},
        {"from": "large", "to": "c", "condition": "amount > 5000"},
        {"from": "large", "to": "m", "default": True},
        {"from": "m", "to": "yes"},
        {"from": "c", "to": "yes"},
    ]
    variables = [{"name": "amount", "type": "decimal", "required": True, "minimum": 0}]
    raw = chain(*steps, variables=variables, graph_spec={"nodes": nodes, "edges": edges})
    (found,) = changed(check(raw | {"settings": {"on_change": "stage"}}))
    small, large = sorted((float(found.opening["amount"]), float(found.witness["amount"])))
    assert small <= 5000 < large
    assert changed(check(raw)) == []


def test_approvals_beside_each_other_outlive_a_change_too() -> None:
    steps = [{"stage_name": "A"}, {"stage_name": "B", "approvers": ["role:cfo"]}]
    nodes = [
        {"id": "start", "type": "trigger"},
        {"id": "f", "type": "fork"},
        {"id": "a", "type": "approval", "step": "A"},
        {"id": "b", "type": "approval", "step": "B"},
        {"id": "j", "type": "join"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
    ]
    ways = [("start", "f"), ("f", "a"), ("f", "b"), ("a", "j"), ("b", "j"), ("j", "yes")]
    edges = [{"from": one, "to": other} for one, other in ways]
    raw = chain(*steps, graph_spec={"nodes": nodes, "edges": edges}, settings={"on_change": "stage"})
    assert len(changed(check(raw))) == 1


def joining(*edges: str, need: Any = "any", **nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a process of a fork and a join; Stage 1 and Stage 2 are `a` and `b`."""
    known = {
        "f": {"type": "fork"},
        "j": {"type": "join", "need": need},
        "a": {"step": "A"},
        "b": {"step": "B"},
        **nodes,
    }
    used = {name: node for name, node in known.items() if any(name in edge.split(" ") for edge in edges)}
    steps = [{"stage_name": n} for n in ("A", "B") if {"step": n} in used.values()]
    return chain(*steps, graph_spec=graph(*edges, nodes=used, ends=("approved",)))


@pytest.mark.parametrize(
    ("raw", "pointless"),
    [
        (joining("start -> f", "f -> j", "f -> a", "a -> j", "j -> approved"), ["a"]),
        # through a decision likewise, whatever it comes to
        (joining("start -> f", "f -> d", "f -> a", "d -> j", "a -> j", "j -> approved", d={"type": "decision"}), ["a"]),
        # all are waited for, or two, or something takes its time in each branch
        (joining("start -> f", "f -> j", "f -> a", "a -> j", "j -> approved", need="all"), []),
        (joining("start -> f", "f -> a", "f -> b", "a -> j", "b -> j", "j -> approved"), []),
        (
            joining(
                "start -> f", "f -> j", "f -> a", "f -> b", "a -> j", "b -> j", "j -> approved", need={"at_least": 2}
            ),
            [],
        ),
    ],
)
def test_a_branch_that_a_join_never_waits_for_is_told(raw: dict[str, Any], pointless: list[str]) -> None:
    for edge in raw["graph_spec"]["edges"]:
        if edge["from"] == "d":
            edge["default"] = True
    ids = [node["id"] for node in raw["graph_spec"]["nodes"]]
    found = [f.pointer for f in check(raw).findings if f.code == "pointless_branch"]
    assert found == [f"/graph_spec/nodes/{ids.index(name)}" for name in pointless]


def test_a_process_that_allows_no_request_for_changes_is_told_so() -> None:
    raw = chain({"stage_name": "Manager"}, settings={"max_rounds": 1})
    (found,) = [f for f in check(raw).findings if f.code == "no_changes"]
    assert (found.severity, found.pointer) == ("warning", "/settings/max_rounds")
    assert "no_changes" not in codes(check(chain({"stage_name": "Manager"}, settings={"max_rounds": 2})), "warning")


@pytest.mark.parametrize(
    ("approvers", "condition", "immaterial"),
    [
        (["user:max"], "amount > 5000", ["amount"]),
        (["input:boss"], "true", ["boss"]),
        ([{"who": "input:boss", "weight": 2}], "true", ["note", "boss"]),
    ],
)
def test_a_variable_on_which_the_process_depends_is_not_immaterial(
    approvers: list[Any], condition: str, immaterial: list[str]
) -> None:
    steps = [{"stage_name": "Manager", "approvers": approvers}, {"stage_name": "CFO", "approvers": ["role:cfo"]}]
    nodes = [
        {"id": "start", "type": "trigger"},
        {"id": "large", "type": "decision"},
        {"id": "m", "type": "approval", "step": "Manager"},
        {"id": "c", "type": "approval", "step": "CFO"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
    ]
    edges = [
        {"from": "start", "to": "large"},
        {"from": "large", "to": "c", "condition": condition},
        {"from": "large", "to": "m", "default": True},
        {"from": "m", "to": "yes"},
        {"from": "c", "to": "yes"},
    ]
    variables = [
        {"name": "amount", "type": "decimal", "required": True, "minimum": 0},
        {"name": "boss", "type": "string", "required": True},
        {"name": "note", "type": "string"},
    ]
    raw = chain(*steps, variables=variables, graph_spec={"nodes": nodes, "edges": edges})
    (found,) = changed(check(raw | {"settings": {"immaterial": immaterial}}))
    assert (found.severity, found.pointer) == ("error", f"/settings/immaterial/{len(immaterial) - 1}")
    assert found.witness is not None
    assert changed(check(raw | {"settings": {"immaterial": ["note"]}})) == []
