"""Miners find what is planted, stay silent where nothing is, and suggest patches that hold."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight.mining.history import Case, History, Task
from insight.mining.mine import mine
from insight.mining.patches import applied
from insight.mining.process import Process
from insight.mining.suggestion import Finding
from insight.mining.visits import past_of
from placet.errors import BlueprintInvalid
from placet.proofs import check
from placet.sentences import Sentence
from tests.planted import START, TRUTHS, Planted, planted, shuffled, some_truths

REQUESTS = 3_000


def found(history: Planted, least: int = 10) -> list[Finding]:
    return mine(history.blueprint, history.history, least)


def keys(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(one.kind, one.subject[1]) for one in findings}


@pytest.mark.parametrize("truth", TRUTHS)
def test_a_planted_truth_is_found_and_nothing_else(truth: str) -> None:
    history = planted(1, {truth}, REQUESTS)
    assert keys(found(history)) == history.expected


@pytest.mark.parametrize("truth", [name for name, what in TRUTHS.items() if what is not None])
def test_a_patch_gives_a_blueprint_in_which_the_proofs_find_no_new_fault(truth: str) -> None:
    history = planted(1, {truth}, REQUESTS)
    (finding,) = found(history)
    changed = applied(history.blueprint, finding.patch)
    assert changed != history.blueprint
    before = {one.code for one in check(history.blueprint).findings if one.severity == "error"}
    assert {one.code for one in check(changed).findings if one.severity == "error"} <= before == set()


def test_a_finding_has_a_bound_evidence_and_sentences() -> None:
    (finding,) = found(planted(1, {"approved stage"}, REQUESTS))
    assert finding.subject == ("Planted", "Finance")
    assert 0.95 < finding.confidence < finding.evidence["approved"] / finding.evidence["count"]
    assert finding.evidence["count"] > 500
    assert finding.evidence["period"]["from"].startswith("2026-01-05T")
    assert finding.evidence["period"]["from"] < finding.evidence["period"]["to"]
    assert len(set(finding.evidence["examples"])) == 5
    assert isinstance(finding.title, Sentence)
    assert isinstance(finding.description, Sentence)


def test_a_rule_that_is_found_is_one_that_a_person_can_read_and_that_was_not_chosen_by_what_it_is_tested_on() -> None:
    history = planted(1, {"approved rule"}, REQUESTS)
    (finding,) = found(history)
    _, _, rule = finding.subject
    assert rule.startswith("amount <= ")
    assert 300 <= float(rule.split()[2]) <= 600
    middle = START + timedelta(hours=REQUESTS * 0.4)
    assert datetime.fromisoformat(finding.evidence["period"]["from"]) > middle, "counted in later requests alone"
    assert str(rule) in finding.title


def test_a_rule_of_two_conditions_is_found_with_the_test_for_a_missing_value() -> None:
    history = planted(3, set(), 4_000)
    values = {case.request_id: case.values for case in history.cases}

    def fits(task: Task) -> bool:
        given = values[task.request_id]
        return task.stage == "Manager" and given.get("cost_center") == "100" and float(given["amount"]) <= 900

    approved = [replace(task, decision="approve", changed_fields=()) if fits(task) else task for task in history.tasks]
    (finding,) = found(Planted(frozenset(), history.cases, approved))
    said = set(finding.subject[2].split(" && "))
    assert {"cost_center != null", 'cost_center == "100"'} < said
    assert any(part.startswith("amount <= ") for part in said)
    assert "null" not in finding.title
    assert not [one for one in check(applied(history.blueprint, finding.patch)).findings if one.severity == "error"]


@settings(max_examples=12)
@given(st.integers(0, 2**32))
def test_nothing_is_found_where_nothing_is(seed: int) -> None:
    assert found(planted(seed, set(), 400)) == []


@settings(max_examples=12)
@given(st.integers(0, 2**32))
def test_nothing_is_found_in_shuffled_histories(seed: int) -> None:
    history = planted(seed, some_truths(random.Random(seed)), 400)
    assert found(shuffled(history, seed)) == []


def test_too_few_occurrences_say_nothing() -> None:
    history = planted(1, {"approved stage"}, REQUESTS)
    count = found(history)[0].evidence["count"]
    assert found(history, count)
    assert found(history, count + 1) == []


def test_other_templates_and_unknown_stages_are_left_out() -> None:
    history = planted(1, {"approved stage"}, REQUESTS)
    other = [replace(case, template="Other") for case in history.cases]
    assert found(Planted(history.truths, other, history.tasks)) == []
    renamed = [replace(task, stage=f"Old {task.stage}") for task in history.tasks]
    assert found(Planted(history.truths, history.cases, renamed)) == []


@pytest.mark.parametrize(("truth", "kept"), [("tight", False), ("same end", False), ("approved stage", True)])
def test_settings_are_judged_by_cases_of_their_own_version_and_people_by_all(truth: str, kept: bool) -> None:
    history = planted(1, {truth}, REQUESTS)
    older = [replace(case, version="0.9.0") for case in history.cases]
    for cases in (older, older[:-15] + history.cases[-15:]):
        assert bool(found(Planted(history.truths, cases, history.tasks))) is kept
    mixed = [replace(case, version="0.9.0") for case in history.cases[:20]] + history.cases[20:]
    assert keys(found(Planted(history.truths, mixed, history.tasks))) == history.expected


def test_rows_may_come_in_any_order() -> None:
    history = planted(1, {"slow"}, REQUESTS)
    tasks = list(history.tasks)
    random.Random(1).shuffle(tasks)
    again = found(Planted(history.truths, history.cases, tasks))
    assert [(one.subject, one.patch) for one in again] == [(one.subject, one.patch) for one in found(history)]


@pytest.mark.parametrize("truth", ["service", "quick account"])
def test_a_stage_that_a_machine_decides_is_told_apart_from_those_of_people(truth: str) -> None:
    history = planted(1, {truth}, 200)
    past = past_of(Process.of(history.blueprint), history.history)
    assert past.machines == {"Finance"}
    assert set(past.stages) == {"Manager", "Board"}


def test_an_hour_of_quick_decisions_is_no_machine() -> None:
    history = planted(1, {"quick account"}, 200)
    moments = {case.request_id: START + timedelta(seconds=10 * n) for n, case in enumerate(history.cases)}
    tasks = [
        replace(task, opened_at=moments[task.request_id], decided_at=moments[task.request_id] + timedelta(seconds=2))
        for task in history.tasks
        if task.stage == "Finance"
    ]
    one_hour = Planted(history.truths, history.cases, tasks)
    assert past_of(Process.of(history.blueprint), one_hour.history).machines == set()


def test_a_program_that_uses_one_account_says_nothing_about_the_people_beside_it() -> None:
    history = planted(1, {"overloaded person"}, REQUESTS)
    tasks = [
        replace(task, waited_seconds=1.0, decided_at=task.opened_at + timedelta(seconds=1), decision="approve")
        if task.stage == "Finance" and task.assignee in {"p1", "p2", "p3"}
        else task
        for task in history.tasks
    ]
    mixed = Planted(history.truths, history.cases, tasks)
    visits = past_of(Process.of(history.blueprint), mixed.history).stages["Finance"]
    people = {tasks[row].assignee for n in range(len(visits)) for row in visits.tasks(n)}
    assert people & {"p1", "p2", "p3"} == set()
    assert ("workload", "Finance") in keys(found(mixed))


@pytest.mark.parametrize(
    ("share", "times"),
    [
        (0.5, 1.0),  # decides much and is as quick as the others
        (1 / 6, 4.0),  # is slow with no more than a fair share
    ],
)
def test_only_much_and_slow_together_are_an_overload(share: float, times: float) -> None:
    history, rng = planted(1, set(), REQUESTS), random.Random(1)
    tasks = []
    for row in history.tasks:
        task = replace(row, due_at=None, escalations=0)
        if task.stage == "Finance":
            person = "p0" if rng.random() < share else rng.choice(["p1", "p2", "p3", "p4", "p5"])
            wait = timedelta(seconds=task.waited_seconds * (times if person == "p0" else 1))
            seconds = wait.total_seconds()
            task = replace(task, assignee=person, waited_seconds=seconds, decided_at=task.opened_at + wait)
        tasks.append(task)
    assert found(Planted(frozenset(), history.cases, tasks)) == []


def test_a_stage_of_several_people_counts_once_it_is_over() -> None:
    raw = planted(1, set(), 1).blueprint
    cases = [Case(request_id="r", template="Planted", version="1.0.0", started_at=START)]
    first = Task(
        request_id="r",
        stage="Board",
        assignee="ben",
        assigned_via="approver",
        actor_type="person",
        opened_at=START,
        decided_at=START + timedelta(hours=1),
        decision="approve",
        waited_seconds=3600,
    )
    idle = replace(first, assignee="cleo", decided_at=None, decision=None)
    for tasks, over in (
        ([first, idle], False),  # one of two that are needed
        ([first, idle, replace(first, assignee="dora")], True),
        ([first, idle, replace(first, assignee="dora", decision="reject")], False),  # cleo decides it
        ([replace(first, decision="reject"), idle, replace(first, assignee="dora", decision="reject")], True),
        ([replace(first, decision="request_changes"), idle], True),
    ):
        assert bool(past_of(Process.of(raw), History.of(cases, tasks)).stages) is over, tasks
        ended = [replace(cases[0], ended_at=START + timedelta(hours=2))]
        assert past_of(Process.of(raw), History.of(ended, tasks)).stages


def test_no_stage_is_left_out_that_asks_for_more_than_a_decision() -> None:
    history = planted(1, {"approved stage"}, REQUESTS)
    raw = history.blueprint
    for more in ({"form": {"type": "object"}}, {"sign": {"reasons": ["I looked"]}}):
        steps = [raw["process_steps"][0], raw["process_steps"][1] | more, *raw["process_steps"][2:]]
        assert mine(raw | {"process_steps": steps}, history.history, 10) == []


def test_an_invalid_blueprint_is_refused() -> None:
    with pytest.raises(BlueprintInvalid):
        mine({"name": "x"}, History(), 10)


# Decisions of two logs of travel expenses at a university (BPI Challenge 2020): counts and shares, as published.
COUNTED = [
    ("Domestic", "Supervisor", 10_285, 0.972, 0.969),
    ("Domestic", "Budget owner", 2_804, 0.980, 0.974),
    ("Domestic", "Administration", 8_997, 0.896, 0.890),
    ("Payment", "Supervisor", 6_437, 0.973, 0.969),
    ("Payment", "Budget owner", 2_001, 0.977, 0.969),
    ("Payment", "Administration", 6_184, 0.867, 0.858),
    ("Payment", "Pre-approver", 464, 0.890, 0.858),
]


@pytest.mark.parametrize("name", ["Domestic", "Payment"])
def test_supervisors_and_budget_owners_of_a_university_need_not_be_asked_and_others_do(name: str) -> None:
    stages = [row[1:] for row in COUNTED if row[0] == name]
    raw: dict[str, Any] = {"name": name, "version": "1.0.0", "process_steps": [{"stage_name": s} for s, *_ in stages]}
    history, rng = History(), random.Random(7)
    began = datetime(2017, 1, 9, 9, tzinfo=UTC)
    for stage, count, share, _ in stages:
        decisions = ["approve"] * round(count * share) + ["reject"] * (count - round(count * share))
        rng.shuffle(decisions)
        for number, decision in enumerate(decisions):
            request, at = f"{stage}-{number}", began + timedelta(hours=number)
            wait = rng.expovariate(1 / 20)
            history.add_case(Case(request_id=request, template=name, version="1.0.0", started_at=at))
            task = Task(
                request_id=request,
                stage=stage,
                opened_at=at,
                decided_at=at + timedelta(hours=wait),
                decision=decision,
                waited_seconds=wait * 3600,
            )
            history.add_task(task)
    findings = {one.subject[1]: one for one in mine(raw, history, 10)}
    assert set(findings) == {"Supervisor", "Budget owner"}
    for stage, count, _, lower in stages:
        if stage in findings:
            assert findings[stage].evidence["count"] == count
            assert findings[stage].confidence == pytest.approx(lower, abs=0.0006)
