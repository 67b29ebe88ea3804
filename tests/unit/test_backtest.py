"""Backtests: recorded decisions with another blueprint, and nothing guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from placet.definition.model import parse_definition
from placet.directory import Absence, Directory
from placet.engine.events import Actor, Attach, Resubmit
from placet.plan.compiler import compile_plan
from simulation.modes.backtest import Candidate, Case, backtest, backtest_all, share
from simulation.report.comparison import differences, lines_of
from simulation.report.costs import Prices
from simulation.run.driver import Trace, directory_reader, drive, opening_for
from simulation.scenario.approver_model import ApproverModel
from simulation.scenario.script import parse_script
from simulation.world.recorded_decisions import recorded_decisions_of
from simulation.world.recorded_people import RecordedPeople
from simulation.world.scripted_people import ScriptedPeople
from tests.unit.core import START, blueprint, office
from tests.unit.core import Case as Request
from tests.unit.test_machine_properties import blueprints, organisations

HOUR = timedelta(hours=1)


def run(raw: dict[str, Any], *script: dict[str, Any], people: Directory | None = None, given: Any = None) -> Trace:
    """Drive a request through a process by a script."""
    plan = compile_plan(parse_definition(raw), start=START)
    org = people or office()
    read = directory_reader(plan, org)
    opening = opening_for(
        plan, org, requester="rita", given=given or {}, start=START, request_id="r", read_directory=read
    )
    scripted = ScriptedPeople(
        plan=plan, lines=parse_script(list(script)), approver_model=ApproverModel(after=2.61 * HOUR)
    )
    return drive(plan, opening, scripted, read_directory=read, horizon=timedelta(days=12), most_entries=150)


def spell(start: float, until: float, substitute: str | None) -> Absence:
    """Return an absence between these hours after the start."""
    return Absence(start=START + start * HOUR, until=START + until * HOUR, substitute=substitute)


def absent(name: str, substitute: str, *, start: float, until: float) -> Directory:
    """Return the office with one person away for these hours after the start."""
    return office(**{name: replace(office().people[name], away=(spell(start, until, substitute),))})


def case(trace: Trace, number: int = 0) -> Case:
    """Return a trace as a past request."""
    return Case(
        id=f"r{number}",
        requester="rita",
        given=trace.state.input,
        status=trace.state.status,
        outcome=trace.state.outcome,
        started_at=START,
        ended_at=trace.state.ended_at,
        entries=trace.entries,
    )


def put(
    raw: dict[str, Any], *cases: Case, prices: Prices | None = None, people: Directory | None = None
) -> Sequence[Any]:
    """Put past requests through a candidate."""
    return backtest(Candidate.of(raw, people or office(), prices), cases).rows


def again(raw: dict[str, Any], past: Trace, *, people: Directory | None = None, given: Any = None) -> Trace:
    """Drive a past request through a process by its recorded decisions."""
    plan, org = compile_plan(parse_definition(raw), start=START), people or office()
    read = directory_reader(plan, org)
    opening = opening_for(
        plan, org, requester="rita", given=given or {}, start=START, request_id="r", read_directory=read
    )
    recorded = RecordedPeople(plan=plan, recorded_decisions=recorded_decisions_of(past.entries))
    return drive(plan, opening, recorded, read_directory=read, horizon=timedelta(days=12))


SLOW = blueprint({"sla_hours": 24, "escalation_to": "department_head"})


def test_an_unchanged_blueprint_changes_nothing() -> None:
    for script in ({"decision": "approve", "after_hours": 5}, {"decision": "reject", "after_hours": 30}):
        (row,) = put(SLOW, case(run(SLOW, script)))
        assert (row.changed, row.unknown) == ((), None)


def test_a_shorter_sla_shows_the_breach_that_there_would_have_been() -> None:
    (row,) = put(blueprint({"sla_hours": 4}), case(run(SLOW, {"decision": "approve", "after_hours": 5})))
    assert row.changed == ("sla_state",)
    assert (row.before.sla_state, row.after.sla_state) == ("ok", "breached")


def test_an_approver_who_was_never_asked_is_unknown_and_not_guessed() -> None:
    (row,) = put(blueprint({"approvers": ["role:cfo"]}), case(run(SLOW, {"decision": "approve"})))
    assert row.after is None
    assert row.unknown == "what cfo does in Stage 1 is not known"


def test_a_stage_that_falls_away_makes_it_faster() -> None:
    two = blueprint({}, {"approvers": ["role:cfo"]})
    (row,) = put(blueprint({}), case(run(two, {"decision": "approve", "after_hours": 3})))
    assert set(row.changed) == {"route", "approvers", "duration"}
    assert (row.before.duration_ms, row.after.duration_ms) == (6 * 3_600_000, 3 * 3_600_000)


def test_silence_is_known_only_as_long_as_it_lasted() -> None:
    past = case(run(SLOW, {"by": "dh", "on": "Stage 1", "decision": "approve", "at_hours": 30}))
    (same,) = put(SLOW, past)
    assert same.changed == ()
    (longer,) = put(blueprint({"sla_hours": 48, "escalation_to": "department_head"}), past)
    assert longer.unknown == "what mo does in Stage 1 is not known"


def test_an_input_that_the_candidate_does_not_take_is_unknown() -> None:
    needs = blueprint({}, variables=[{"name": "amount", "type": "decimal", "required": True}])
    (row,) = put(needs, case(run(SLOW, {"decision": "approve"})))
    assert row.unknown == "the input does not fit: amount"


def test_cost_is_compared_by_the_given_prices() -> None:
    two = blueprint({}, {"approvers": ["role:cfo"]})
    prices = Prices(approver_hour=60, minutes_per_decision=30, delay_hour=2)  # type: ignore[arg-type]  # read as decimals
    (row,) = put(blueprint({}), case(run(two, {"decision": "approve", "after_hours": 3})), prices=prices)
    assert (row.before.cost, row.after.cost) == (2 * 30 + 6 * 2, 30 + 3 * 2)


def test_totals_count_what_is_known_and_give_intervals() -> None:
    traces = [run(SLOW, {"decision": "approve", "after_hours": n}) for n in range(1, 11)]
    found = backtest(Candidate.of(blueprint({"sla_hours": 6}), office()), [case(c, n) for n, c in enumerate(traces)])
    assert found.totals["known"] == 10
    assert found.totals["breached"] == {
        "before": 0,
        "after": 5,
        "mean_change": {"mean": 0.5, "low": pytest.approx(0.173, abs=0.01), "high": pytest.approx(0.827, abs=0.01)},
    }
    assert found.totals["outcome_changed"]["share"] == 0


def test_a_backtest_stops_when_its_time_is_over_and_tells_how_far_it_is() -> None:
    candidate = Candidate.of(SLOW, office())
    cases = [case(run(SLOW, {"decision": "approve", "after_hours": 1}), n) for n in range(60)]
    told: list[dict[str, Any]] = []
    assert len(backtest_all(candidate, cases, tell=told.append, done=90, of=150)) == 60
    assert told == [{"done": 100, "of": 150}, {"done": 150, "of": 150}]
    assert backtest_all(candidate, cases, end=perf_counter()) == []


def test_a_share_has_its_wilson_interval() -> None:
    assert share(5, 10) == {"count": 5, "of": 10, "share": 0.5, "low": 0.2366, "high": 0.7634}
    assert share(0, 0)["share"] is None


def test_a_queue_that_escalates_back_to_its_member_gives_them_two_periods() -> None:
    queue = {"approvers": ["department_head"], "claim": True, "sla_hours": 0.5, "re_escalate_after_hours": 0.5}
    raw = blueprint({**queue, "escalation_to": "manager_of(requester)"})
    (row,) = put(raw, case(run(raw, {"by": "ceo", "on": "Stage 1", "decision": "approve", "after_hours": 3})))
    assert (row.changed, row.unknown) == ((), None)


def test_two_tasks_of_one_person_in_a_stage_are_not_mistaken_for_each_other() -> None:
    raw = blueprint({"approvers": ["group:finance", "user:ann"], "claim": True, "quorum": "any"})
    (row,) = put(raw, case(run(raw, {"by": "ann", "on": "Stage 1", "decision": "approve", "after_hours": 3})))
    assert (row.changed, row.unknown) == ((), None)


def test_a_task_that_goes_back_to_its_queue_is_claimed_again_as_it_was() -> None:
    raw = blueprint({"approvers": ["group:finance"], "claim": True})
    claimed = {"by": "ann", "on": "Stage 1", "do": "claim", "at_hours": 1}
    released = {"by": "ann", "on": "Stage 1", "do": "release", "at_hours": 2}
    decided = {"by": "ben", "on": "Stage 1", "decision": "reject", "at_hours": 4}
    first = run(raw, claimed, released, decided)
    assert [e.kind for e in first.entries if e.task_id][1:4] == ["claimed", "released", "claimed"]
    (row,) = put(raw, case(first))
    assert (row.changed, row.unknown) == ((), None)


ON_1: dict[str, Any] = {"on": "Stage 1"}
QUEUE: dict[str, Any] = {"approvers": ["group:finance"], "claim": True}
ADDED: dict[str, Any] = {"sla_hours": 1, "escalation": [{"to": "user:ben", "action": "add"}]}
REMINDED: dict[str, Any] = {"sla_hours": 8, "escalation": [{"to": "user:olivia", "action": "notify"}]}
CLAIMED: dict[str, Any] = {**ON_1, "by": "dh", "do": "claim", "at_hours": 3}
STAND_INS: dict[str, tuple[dict[str, Any], Directory, list[dict[str, Any]], str, str | None]] = {
    # the absence begins after the task opened
    "assignee": ({}, absent("mo", "dh", start=2, until=40), [{**ON_1, "by": "dh", "at_hours": 3}], "dh", "user:mo"),
    # and ends again, and the task was never the substitute's
    "late": (
        {"sla_hours": 24},
        absent("mo", "dh", start=1, until=3),
        [{**ON_1, "by": "mo", "at_hours": 5}],
        "mo",
        None,
    ),
    "delegate": (
        ADDED,
        absent("ben", "dh", start=-1, until=40),
        [{**ON_1, "by": "dh", "at_hours": 3}],
        "dh",
        "user:ben",
    ),
    "queue": (
        QUEUE,
        absent("ann", "dh", start=2, until=40),
        [CLAIMED, {**ON_1, "by": "dh", "at_hours": 5}],
        "dh",
        "user:ann",
    ),
    # the substitute is a candidate from the beginning
    "candidate": (
        QUEUE,
        absent("ann", "dh", start=-1, until=40),
        [CLAIMED, {**ON_1, "by": "dh", "at_hours": 5}],
        "dh",
        "user:ann",
    ),
    # the directory is read between the start of the absence and the claim, and makes the substitute a candidate
    "late candidate": (
        {**QUEUE, **REMINDED},
        absent("ann", "dh", start=2, until=40),
        [CLAIMED | {"at_hours": 9}, {**ON_1, "by": "dh", "at_hours": 11}],
        "dh",
        "user:ann",
    ),
    "released": (
        QUEUE,
        absent("ann", "dh", start=2, until=40),
        [
            CLAIMED,
            {**ON_1, "by": "dh", "do": "release", "at_hours": 4},
            {**ON_1, "by": "dh", "do": "claim", "at_hours": 5},
            {**ON_1, "by": "dh", "at_hours": 6},
        ],
        "dh",
        "user:ann",
    ),
    "given back": (
        {},
        absent("mo", "dh", start=-1, until=4),
        [{**ON_1, "by": "mo", "at_hours": 6}],
        "mo",
        None,
    ),
    "claim given back": (
        QUEUE,
        absent("ann", "dh", start=2, until=4),
        [CLAIMED, {**ON_1, "by": "ann", "at_hours": 6}],
        "ann",
        None,
    ),
    # the claimant is away later, and their substitute was a candidate too
    "claimant": (
        QUEUE,
        absent("ann", "ben", start=2, until=40),
        [{**ON_1, "by": "ann", "do": "claim", "at_hours": 1}, {**ON_1, "by": "ben", "at_hours": 3}],
        "ben",
        "user:ann",
    ),
    # who is away decides what their substitute has meanwhile
    "absent": ({}, absent("mo", "dh", start=-1, until=40), [{**ON_1, "by": "mo", "at_hours": 3}], "mo", None),
}


@pytest.mark.parametrize("how", STAND_INS)
def test_who_stood_in_decides_again_on_behalf_of_whom_they_did(how: str) -> None:
    step, org, script, decider, behalf = STAND_INS[how]
    raw = blueprint(step)
    past = run(raw, *({"decision": "approve", **line} if "do" not in line else line for line in script), people=org)
    decided = next(e for e in past.entries if e.kind == "decided")
    assert (decided.actor, decided.detail.get("on_behalf_of")) == (f"user:{decider}", behalf)
    assert not any(applied.refused for applied in past.applied_events)
    same = again(raw, past, people=org)
    assert (same.why, differences(lines_of(past.entries, START), lines_of(same.entries, START))) == (None, ())
    (row,) = put(raw, case(past), people=org)
    assert (row.changed, row.unknown) == ((), None)


def test_who_would_not_stand_in_in_the_other_course_does_not_decide() -> None:
    org = absent("mo", "dh", start=2, until=40)
    past = case(run(blueprint({}), {**ON_1, "by": "dh", "decision": "approve", "at_hours": 3}, people=org))
    (nobody_is_away,) = put(blueprint({}), past)
    assert nobody_is_away.unknown == "what mo does in Stage 1 is not known"
    (for_another,) = put(blueprint({"approvers": ["user:cfo"]}), past, people=absent("cfo", "dh", start=2, until=40))
    assert for_another.unknown == "what cfo does in Stage 1 is not known"


def test_in_a_stage_of_two_a_substitute_decides_the_task_of_whom_they_stood_in_for() -> None:
    org = absent("mo", "dh", start=2, until=40)
    both = {"quorum": "all", "approvers": ["user:mo", "user:ann"]}
    script = [{**ON_1, "by": who, "decision": "approve", "at_hours": at} for who, at in (("dh", 3), ("ann", 4))]
    past = run(blueprint(both), *script, people=org)
    assert [e.actor for e in past.entries if e.kind == "decided"] == ["user:dh", "user:ann"]
    other_order = again(blueprint(both | {"approvers": ["user:ann", "user:mo"]}), past, people=org)
    decided = [(e.actor, e.detail.get("on_behalf_of")) for e in other_order.entries if e.kind == "decided"]
    assert (decided, other_order.state.outcome) == ([("user:dh", "user:mo"), ("user:ann", None)], "approved")


def test_a_recorded_decision_on_a_task_that_waits_in_a_queue_here_follows_a_claim() -> None:
    for org in (office(), absent("ann", "dh", start=2, until=40)):
        by = "ann" if org == office() else "dh"
        past = run(
            blueprint({"approvers": ["user:ann"]}), {**ON_1, "by": by, "decision": "approve", "at_hours": 3}, people=org
        )
        queued = again(blueprint(QUEUE), past, people=org)
        assert [(e.kind, e.actor) for e in queued.entries if e.kind in {"claimed", "decided"}] == [
            ("claimed", f"user:{by}"),
            ("decided", f"user:{by}"),
        ]


@st.composite
def organisations_with_absences(draw: st.DrawFn) -> Directory:
    """Draw an organisation in which absences also begin and end while the requests run."""
    people = dict(draw(organisations()).people)
    for name in draw(st.lists(st.sampled_from(sorted(people)), max_size=4, unique=True)):
        start = draw(st.sampled_from([-1, 0.1, 2, 20]))
        until = start + draw(st.sampled_from([1.5, 6, 60, 500]))
        substitute = draw(st.sampled_from([None, *sorted(people)]))
        people[name] = replace(people[name], away=(*people[name].away, spell(start, until, substitute)))
    return Directory(people=people)


WHOM = st.sampled_from(["mo", "cfo", "dh", "ann", "ben", "ceo"])
DECIDES = st.fixed_dictionaries(
    {
        "decision": st.sampled_from(["approve", "reject", "request_changes", "abstain"]),
        "after_hours": st.sampled_from([0.13, 3.37, 26.41]),
        "form": st.just({"ok": True}),
    },
    optional={"by": st.sampled_from(["mo", "cfo", "dh", "ann"]), "on": st.just("Stage 1")},
)
# Also by somebody who has no task.
STANDS_IN = st.fixed_dictionaries(
    {
        "by": WHOM,
        "decision": st.sampled_from(["approve", "reject", "abstain"]),
        "at_hours": st.sampled_from([0.41, 3.59, 27.23]),
        "form": st.just({"ok": True}),
    },
    optional={"on": st.just("Stage 1")},
)
CLAIMS = st.fixed_dictionaries(
    {
        "by": WHOM,
        "do": st.sampled_from(["claim", "release"]),
        "at_hours": st.sampled_from([0.29, 2.83, 3.11, 25.7]),
    },
    optional={"on": st.just("Stage 1")},
)


def left_by_refused_events(trace: Trace) -> bool:
    """Say whether a refused event left entries: the directory was read for it, and no entry names the event."""
    ends = [*(applied.seq for applied in trace.applied_events), len(trace.entries)][1:]
    return any(
        applied.refused is not None and any(e.at - START == applied.after for e in trace.entries[applied.seq : end])
        for applied, end in zip(trace.applied_events, ends, strict=False)
    )


@settings(max_examples=120)
@given(
    raw=blueprints(),
    org=organisations_with_absences(),
    amount=st.sampled_from(["1", "9000"]),
    script=st.lists(st.one_of(DECIDES, STANDS_IN, CLAIMS), max_size=4),
)
def test_the_past_in_its_own_blueprint_is_the_same_timeline(
    raw: dict[str, Any], org: Directory, amount: str, script: list[dict[str, Any]]
) -> None:
    first = run(raw, *script, people=org, given={"amount": amount})
    assume(not left_by_refused_events(first))
    second = again(raw, first, people=org, given={"amount": amount})
    one, other = lines_of(first.entries, START), lines_of(second.entries, START)
    assert differences(one, other[: len(one)]) == ()


def test_a_withdrawal_is_known_only_while_everybody_who_is_asked_is_known_to_be_silent() -> None:
    raw = blueprint({"approvers": ["user:ann"]}, {"approvers": ["user:ben"]})
    script = [
        {"on": "Stage 1", "decision": "approve", "after_hours": 2},
        {"on": "Stage 2", "do": "wait"},
        {"at_hours": 9, "do": "withdraw"},
    ]
    past = case(run(raw, *script))
    assert past.outcome == "withdrawn"
    (same,) = put(raw, past)
    assert (same.unknown, same.changed) == (None, ())
    # a stage comes first whose person was never asked: they might have rejected the request before it was withdrawn
    earlier = blueprint(
        {"approvers": ["user:cfo"], "stage_name": "New"},
        {"approvers": ["user:ann"], "stage_name": "Stage 1"},
        {"approvers": ["user:ben"], "stage_name": "Stage 2"},
    )
    (row,) = put(earlier, past)
    assert row.after is None
    assert row.unknown == "what cfo does in New is not known"
    # ben has it longer than he ever had
    (row,) = put(blueprint({"approvers": ["user:ben"], "stage_name": "Stage 2"}), past)
    assert row.unknown == "what ben does in Stage 2 is not known"
    # while one of a stage is known to be silent, the others are taken to be
    (row,) = put(blueprint({"approvers": ["user:ann"]}, {"approvers": ["user:ben", "user:cid"]}), past)
    assert (row.unknown, row.after and row.after.outcome) == (None, "withdrawn")


@pytest.mark.parametrize("returned", [True, False])
def test_a_file_that_the_requester_attached_changes_the_request_again(returned: bool) -> None:
    raw = blueprint({"stage_name": "First"}, {"stage_name": "Second", "approvers": ["role:cfo"]}, format=2)
    request = Request(plan=compile_plan(parse_definition(raw), start=START), org=office())
    attach = Attach(by=Actor(person="rita"), name="a.txt", media_type="text/plain", size=1, sha256="0" * 64)
    request.hours(1)
    if not returned:
        request.do(attach)
    for hours, person, decision in ((2, "mo", "approve"), (3, "cfo", "request_changes")):
        request.hours(hours)
        request.decide(person, decision, task=request.state.open_tasks[0].id)
    request.hours(4)
    if returned:
        request.do(attach)
    request.do(Resubmit(by=Actor(person="rita")))
    asked = [task.stage for task in request.state.open_tasks]
    assert asked == (["First"] if returned else ["Second"]), "a file that is there by then is one that was seen"
    for hours, person in enumerate(("mo", "cfo") if returned else ("cfo",), start=5):
        request.hours(hours)
        request.decide(person, task=request.state.open_tasks[0].id)
    assert request.state.outcome == "approved"
    state = request.state
    past = Case(
        id="r",
        requester="rita",
        given={},
        status=state.status,
        outcome=state.outcome,
        started_at=START,
        ended_at=state.ended_at,
        entries=request.entries,
    )
    (row,) = put(raw, past)
    assert (row.unknown, row.changed) == (None, ())
