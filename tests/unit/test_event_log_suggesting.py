"""A log with known rules becomes a blueprint with these rules, whose fit is measured on later cases."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from insight.event_logs.cases import CaseEvent, LoggedCase, parts_of, unpacked
from insight.event_logs.course import course_of
from insight.event_logs.fields import Field, fields_of
from insight.event_logs.fit import KINDS
from insight.event_logs.history import history_of
from insight.event_logs.importing import Assembled, assemble, parts_in, preview, seen_of
from insight.event_logs.labels import Label, Seen, labels_of
from insight.event_logs.suggesting import suggest
from insight.event_logs.tree import condition, grow, roundest
from placet.directory import Directory, Person
from placet.errors import InputInvalid
from placet.proofs import check
from tests.event_logs import CSV_MAP, Row, as_csv, expense_rows, kept

LATER = datetime(2025, 9, 1, 9, tzinfo=UTC)
MAPPED = CSV_MAP | {"attributes": ["amount", "department"]}


def assembled(folder: Path, rows: Sequence[Row], mapped: Mapping[str, Any] = MAPPED) -> tuple[Assembled, list[bytes]]:
    to = folder / "parts"
    found = assemble(str(kept(folder, as_csv(rows))), mapped, str(to))
    return found, [part.content for part in parts_in(to)]


def suggested(
    folder: Path,
    rows: Sequence[Row],
    mapped: Mapping[str, Any] = MAPPED,
    least: int = 10,
    directory: Directory | None = None,
) -> dict[str, Any]:
    log, parts = assembled(folder, rows, mapped)
    return suggest(
        parts,
        seen_of(log.seen),
        log.columns,
        name="Expenses",
        owner="user:olivia",
        min_occurrences=least,
        cases=log.cases,
        directory=directory,
    )


def test_the_people_of_a_blueprint_are_looked_for_in_the_directory(tmp_path: Path) -> None:
    def said(directory: Directory | None) -> str:
        return str(suggested(tmp_path, expense_rows(400), directory=directory)["findings"])

    assert "no directory is loaded" in said(None)
    shutil.rmtree(tmp_path / "parts", ignore_errors=True)
    assert "no directory is loaded" not in said(Directory(people={"olivia": Person(id="olivia")}))


def test_a_log_becomes_the_blueprint_that_it_was_made_by(tmp_path: Path) -> None:
    found = suggested(tmp_path, expense_rows(400))
    document = found["blueprint"]
    assert [step["stage_name"] for step in document["process_steps"]] == ["Manager", "CFO"]
    conditions = {edge["condition"] for edge in document["graph_spec"]["edges"] if "condition" in edge}
    assert conditions == {"amount > 5000"}
    assert document["settings"] == {"on_change": "restart", "max_rounds": 2}
    report = check(document)
    assert report.ok, report.findings
    assert not any(finding["severity"] == "error" for finding in found["findings"])
    assert found["fit"]["cases"] == 120, "the later three tenths"
    assert found["fit"]["reproduced"] == found["fit"]["reproduced_by_rule"] == 120
    assert found["fit"]["deviations"] == []


def test_deadlines_are_quantiles_of_the_waits(tmp_path: Path) -> None:
    found = suggested(tmp_path, expense_rows(1_000))
    manager = found["blueprint"]["process_steps"][0]["sla"]
    # Waits are exponential with a mean of ten hours: the quantiles are 23 and 46 hours.
    assert manager["target_hours"] == pytest.approx(23, rel=0.2)
    assert manager["target_hours"] + manager["critical_hours"] == pytest.approx(46, rel=0.3)


def test_what_the_later_cases_do_otherwise_is_counted_by_kind(tmp_path: Path) -> None:
    """Later the CFO is asked above 9,000 only, two cases come without a manager, and one goes on after its end."""
    changed = expense_rows(120, threshold=9_000, seed=2, begin=LATER)
    later = [{**row, "case": f"later-{row['case']}"} for row in changed]
    later = [r for r in later if not (r["case"] in {"later-r0", "later-r1"} and "Manager" in r["activity"])]
    rejected = next(r for r in later if r["activity"] == "Rejected by Manager" and r["case"] == "later-r7")
    later.append({**rejected, "activity": "Approved by CFO", "at": "2026-12-01T00:00:00Z"})
    fit = suggested(tmp_path, [*expense_rows(280), *later])["fit"]
    kinds = {one["kind"]: one["count"] for one in fit["deviations"]}
    between = {
        r["case"] for r in later if 5_000 < float(r["amount"]) <= 9_000 and r["activity"] == "Approved by Manager"
    }
    assert fit["cases"] == 120
    assert fit["reproduced"] + sum(kinds.values()) == 120, "each case counts once"
    assert kinds["does_not_end"] == pytest.approx(len(between), abs=6)
    assert kinds.keys() <= KINDS.keys()
    assert {"no_decision", "stage_skipped"} & kinds.keys()


def test_a_branch_that_nothing_explains_is_a_choice_of_the_requester(tmp_path: Path) -> None:
    amounts = random.Random(9)
    rows = [{**row, "amount": str(amounts.randrange(100, 20_000))} for row in expense_rows(400)]
    found = suggested(tmp_path, rows)
    variables = {one["name"]: one for one in found["blueprint"]["variables"]}
    assert variables["ask_cfo"] == {"name": "ask_cfo", "type": "boolean", "required": True, "title": "Ask CFO"}
    assert "unexplained_branch" in {finding["code"] for finding in found["findings"]}
    assert found["fit"]["reproduced"] == 120
    assert found["fit"]["reproduced_by_rule"] < 120, "a choice explains nothing, and is not counted as if it did"
    assert check(found["blueprint"]).ok


def test_stages_that_decide_in_either_order_are_asked_side_by_side(tmp_path: Path) -> None:
    chance = random.Random(3)
    rows: list[Row] = []
    for number in range(300):
        both = ["Legal", "Security"]
        chance.shuffle(both)
        for hour, activity in enumerate(["Submitted", *(f"Approved by {stage}" for stage in both)]):
            rows.append(
                {
                    "case": str(number),
                    "activity": activity,
                    "at": f"2025-{1 + number // 28:02}-{1 + number % 28:02}T{9 + hour:02}:00Z",
                    "user": activity,
                }
            )
    found = suggested(tmp_path, rows, CSV_MAP)
    types = [node["type"] for node in found["blueprint"]["graph_spec"]["nodes"]]
    assert types == ["trigger", "fork", "join", "approval", "approval", "terminator", "terminator"]
    assert check(found["blueprint"]).ok
    assert found["fit"]["reproduced"] == found["fit"]["cases"] == 90


def test_a_machine_is_told_by_its_speed(tmp_path: Path) -> None:
    rows = [
        {"case": str(n), "activity": activity, "at": f"2025-{1 + n // 28:02}-{1 + n % 28:02}T{at}Z", "user": "STAFF"}
        for n in range(200)
        for activity, at in (
            ("Submitted", "09:00:00"),
            ("Approved by Rules", "09:00:20"),
            ("Approved by Manager", "15:00:00"),
        )
    ]
    found = suggested(tmp_path, rows, CSV_MAP)
    assert {one["stage"]: one["machine"] for one in found["stages"]} == {"Rules": True, "Manager": False}
    assert [f["pointer"] for f in found["findings"] if f["code"] == "machine_stage"] == ["/process_steps/0"]


def test_rare_stages_and_logs_without_decisions_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="no stage decides 5000 times"):
        suggested(tmp_path, expense_rows(50), least=5_000)
    rows = [{**row, "activity": "Paid"} for row in expense_rows(50)]
    with pytest.raises(InputInvalid, match="no activity of the log is a decision"):
        suggested(tmp_path, rows)
    with pytest.raises(InputInvalid, match="needs 10 cases"):
        suggested(tmp_path, expense_rows(3))


@pytest.mark.parametrize(
    ("activities", "expected"),
    [
        (
            ["Declaration SUBMITTED by EMPLOYEE", "Declaration FINAL_APPROVED by SUPERVISOR",
             "Declaration REJECTED by SUPERVISOR", "Declaration REJECTED by EMPLOYEE", "Declaration SAVED by EMPLOYEE",
             "Payment Handled"],
            ["start", "approve SUPERVISOR", "reject SUPERVISOR", "step", "draft", "step"],
        ),
        (
            ["Create request", "Manager Approval", "CFO Approval", "Manager rejected", "Request rejected"],
            ["start", "visit Manager Approval", "visit CFO Approval", "reject Manager Approval", "outcome_reject"],
        ),
        (["Submit", "Approve", "Reject"], ["start", "approve Approval", "reject Approval"]),
        (["eingereicht", "Leitung genehmigt", "Leitung abgelehnt"], ["start", "approve Leitung", "reject Leitung"]),
        (["Begin", "Check stock", "Send parcel"], ["start", "visit Check stock", "step"]),
        (["Submit", "Manager approved", "Non-PO check"], ["start", "approve Manager", "visit Non-PO check"]),
        # A stage whose approvals are named is approved by nothing else.
        (["Submit", "Review by CFO", "Approved by CFO"], ["start", "unclear CFO", "approve CFO"]),
        (["Submit", "CFO Approval", "Not yet approved"], ["start", "visit CFO Approval", "unclear"]),
        (["Submit", "CFO Approval", "No answer by CFO"], ["start", "visit CFO Approval", "unclear CFO Approval"]),
    ],
)  # fmt: skip
def test_the_names_of_activities_say_what_they_are(activities: list[str], expected: list[str]) -> None:
    seen = {name: Seen(count=10, first=10 if n == 0 else 0) for n, name in enumerate(activities)}
    found = labels_of(seen)
    assert [f"{found[name].kind} {found[name].stage}".strip() for name in activities] == expected


@pytest.mark.parametrize(
    ("activity", "kind"),
    [
        ("Not approved by CFO", "reject"),
        ("Never approved by CFO", "reject"),
        ("CFO did not approve", "reject"),
        ("CFO didn't approve", "reject"),
        ("Approved by CFO? No", "reject"),
        ("CFO: approved = false", "reject"),
        ("Nicht genehmigt durch CFO", "reject"),
        ("Non approuvé par CFO", "reject"),
        ("Unapproved by CFO", "reject"),
        ("Vetoed by CFO", "reject"),
        ("CFO declines", "reject"),
        ("CFO lehnt ab", "reject"),
        ("Refusé par CFO", "reject"),
        ("Not approved yet by CFO", "unclear"),
        ("Cannot approve - CFO", "unclear"),
        ("CFO unable to approve", "unclear"),
        ("Without approval of CFO", "unclear"),
        ("No approval needed from CFO", "unclear"),
        ("Not rejected by CFO", "unclear"),
        ("CFO did not answer", "unclear"),
        ("Kept by CFO", "unclear"),  # in whatever words
    ],
)
def test_an_activity_that_denies_an_approval_is_none(activity: str, kind: str) -> None:
    label = labels_of({name: Seen(count=10) for name in ("Submitted", "Approved by CFO", activity)})[activity]
    assert (label.kind, label.stage) == (kind, "CFO")


def decided(tmp_path: Path, otherwise: str) -> dict[str, Any]:
    """Suggest a blueprint out of 400 cases of which the CFO approved three of five."""
    rows = []
    for number in range(400):
        activities = ("Submitted", "Approved by CFO" if number % 5 < 3 else otherwise)
        for hour, activity in enumerate(activities):
            at = (datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=9 * number + 7 * hour)).isoformat()
            rows.append({**expense_rows(1)[0], "case": f"c{number}", "activity": activity, "time": at, "user": "carla"})
    return suggested(tmp_path, rows)


@pytest.mark.parametrize("otherwise", ["Not approved by CFO", "Vetoed by CFO"])
def test_a_denied_approval_counts_as_a_rejection(tmp_path: Path, otherwise: str) -> None:
    found = decided(tmp_path, otherwise)
    assert [(one["decisions"], one["approved"]) for one in found["stages"]] == [(400, 240)]
    assert "auto_approval" not in {one["suggestion_type"] for one in found["suggestions"]}


def test_what_does_not_say_how_a_stage_decided_counts_for_nothing_and_is_told(tmp_path: Path) -> None:
    found = decided(tmp_path, "Kept by CFO")
    assert [(one["decisions"], one["approved"]) for one in found["stages"]] == [(240, 240)]
    assert "auto_approval" not in {one["suggestion_type"] for one in found["suggestions"]}
    told = [one["message"] for one in found["findings"] if one["code"] == "unclear_activity"]
    assert len(told) == 1
    assert told[0].startswith("in 160 cases nothing says what 'CFO' decided (Kept by CFO)")


def case(*events: tuple[str, int], case_id: str = "c") -> LoggedCase:
    return LoggedCase(case_id, tuple(CaseEvent(at, name, "p", None, {}) for name, at in events))


LABELS = {
    "submit": Label(kind="start"),
    "yes": Label(kind="approve", stage="S"),
    "no": Label(kind="reject", stage="S"),
    "also": Label(kind="approve", stage="T"),
    "look": Label(kind="visit", stage="V"),
    "denied": Label(kind="outcome_reject"),
    "mumbled": Label(kind="unclear", stage="T"),
    "hushed": Label(kind="unclear"),
}


@pytest.mark.parametrize(
    ("events", "decisions", "outcome"),
    [
        (["submit", "yes", "also"], ["S approve 1", "T approve 1"], "approved"),
        (["submit", "no"], ["S reject 1"], "rejected"),
        # What is followed by anything was no end: it was returned.
        (["submit", "no", "submit", "yes"], ["S request_changes 1", "S approve 2"], "approved"),
        (["submit", "no", "yes"], ["S request_changes 1", "S approve 2"], "approved"),
        (["submit", "no", "submit"], ["S request_changes 1"], None),
        (["submit", "look", "denied"], ["V reject 1"], "rejected"),
        (["submit", "look", "yes"], ["V approve 1", "S approve 1"], "approved"),
        # What does not say how a stage decided leaves that open, until the stage does.
        (["submit", "yes", "mumbled"], ["S approve 1"], None),
        (["submit", "yes", "mumbled", "also"], ["S approve 1", "T approve 1"], "approved"),
        (["submit", "look", "hushed"], [], None),
        (["submit"], [], None),
    ],
)
def test_the_course_of_a_case_is_told_by_what_follows(
    events: list[str], decisions: list[str], outcome: str | None
) -> None:
    course = course_of(case(*((name, 1_000 * at) for at, name in enumerate(events))), LABELS)
    assert [f"{one.stage} {one.decision} {one.round}" for one in course.visits] == decisions
    assert course.outcome == outcome
    assert len(course.resubmitted) == len(course.changed)


def test_a_stage_waits_since_it_was_assigned_or_since_the_event_before() -> None:
    events = (
        CaseEvent(0, "submit", "a", "complete", {}),
        CaseEvent(500, "yes", "a", "schedule", {}),
        CaseEvent(700, "yes", "a", "start", {}),
        CaseEvent(900, "yes", "a", "complete", {}),
        CaseEvent(950, "also", "a", "COMPLETE", {}),
    )
    course = course_of(LoggedCase("c", events), LABELS)
    assert [(one.opened, one.at) for one in course.visits] == [(500, 900), (900, 950)]


def test_cases_come_in_the_order_in_which_they_began_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    rows = expense_rows(60)
    mixed = random.Random(5).sample(rows, len(rows))
    log, parts = assembled(tmp_path, mixed)
    cases = [one for part in parts for one in unpacked(part)]
    assert [one.id for one in cases] == [f"r{n}" for n in range(60)]
    assert all([e.at for e in one.events] == sorted(e.at for e in one.events) for one in cases)
    assert (log.cases, log.events, log.people) == (60, len(rows), len({row["user"] for row in rows}))
    assert cases[0].events[0].changed.keys() == {"amount", "department"}
    assert cases[0].events[1].changed == {}, "what has not changed is not kept again"
    assert [one.id for part in parts_of(iter(cases)) for one in unpacked(part.content)] == [one.id for one in cases]


def test_a_wrong_column_shows_in_what_it_holds(tmp_path: Path) -> None:
    rows = [{**row, "activity": f"a{n}"} for n, row in enumerate(expense_rows(400))]
    with pytest.raises(InputInvalid) as refused:
        assembled(tmp_path, rows)
    assert refused.value.problems[0].pointer == "/map/activity"


def test_a_preview_shows_columns_a_map_and_the_first_cases(tmp_path: Path) -> None:
    told = preview(str(kept(tmp_path, as_csv(expense_rows(30)))), None)
    assert told["proposed_map"] == told["map"] == MAPPED
    assert told["whole"]
    assert told["cases"] == 30
    assert len(told["first_cases"]) == 5
    assert told["first_cases"][0]["events"][0]["activity"] == "Submitted"
    kinds = {one["activity"]: one["kind"] for one in told["activity_kinds"]}
    assert kinds["Archived"] == "step"
    assert kinds["Approved by CFO"] == "approve"


FIELDS = (
    Field(column="amount", name="amount", type="decimal", always=True),
    Field(column="kind", name="kind", type="string", always=False),
)


def test_a_tree_writes_the_rule_that_was_planted() -> None:
    chance = random.Random(7)
    rows = [(Decimal(chance.randrange(1, 20_000)), chance.choice(["travel", "it", None])) for _ in range(600)]
    both = [amount > 5_000 and kind == "it" for amount, kind in rows]
    rule = condition(grow(FIELDS, rows, both))
    assert rule in {
        '(kind != null && kind == "it") && amount > 5000',
        'amount > 5000 && (kind != null && kind == "it")',
    }


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ("4990.1", "5003.4", "5000"),
        ("0.12", "0.19", "0.12"),
        ("5000", "5001", "5000"),
        ("-3", "4", "0"),
        ("999", "1500", "1000"),
    ],
)
def test_a_threshold_is_the_roundest_number_that_divides(low: str, high: str, expected: str) -> None:
    assert roundest(Decimal(low), Decimal(high)) == Decimal(expected)


def test_attributes_become_variables_that_conditions_can_name() -> None:
    columns = ["case:Amount", "(case)_Amount", "in", "2nd", "flag", "Größe", "nothing"]
    cases = [
        {"case:Amount": "1", "(case)_Amount": "26.85120450862128", "in": "x", "2nd": "y", "flag": "True", "Größe": "L"},
        {"case:Amount": "-2.5", "in": "3"},
    ]
    found = fields_of(columns, cases)
    assert [(one.name, one.type, one.always) for one in found] == [
        ("amount", "decimal", True),
        ("amount_2", "decimal", False),
        ("in_", "string", True),
        ("field_2nd", "string", False),
        ("flag", "boolean", False),
        ("gr_e", "string", False),
    ]
    assert found[1].given("26.85120450862128") == "26.851205"


def test_miners_look_at_the_log_on_the_first_day_and_machines_are_not_people(tmp_path: Path) -> None:
    rows = [
        {"case": str(n), "activity": activity, "at": f"2025-{1 + n // 28:02}-{1 + n % 28:02}T{at}Z", "user": "STAFF"}
        for n in range(330)
        for activity, at in (
            ("Submitted", "09:00:00"),
            ("Approved by Rules", "09:00:20"),
            ("Approved by Manager", "15:00:00"),
        )
    ]
    found = suggested(tmp_path, rows, CSV_MAP)["suggestions"]
    assert [one["title"] for one in found if one["suggestion_type"] == "auto_approval"] == [
        "Approve what comes to stage 'Manager' without asking"
    ]
    assert found[0]["supporting_data"]["count"] == 330


def test_a_history_has_rounds_waits_and_what_was_changed(tmp_path: Path) -> None:
    log, parts = assembled(tmp_path, expense_rows(60))
    labels = labels_of(seen_of(log.seen))
    courses = [course_of(one, labels) for part in parts for one in unpacked(part)]
    fields = fields_of(log.columns, (course.values for course in courses))
    history = history_of(courses, fields, template="Expenses", version="1.0.0", targets={"Manager": 24.0})
    assert len(history.cases) == 60
    assert len(history.tasks) == sum(len(course.visits) for course in courses)
    returned = history.tasks.decisions.find("request_changes")
    rows = [row for row, decision in enumerate(history.tasks.decision) if decision == returned]
    assert len(rows) == 6, "every tenth case"
    assert {history.tasks.changes.known[history.tasks.changed[row]] for row in rows} == {("amount",)}
    assert all(history.tasks.round[row] == 1 for row in rows)
    assert history.tasks.due[0] - history.tasks.opened[0] == 24 * 3600
