"""Escalation: reminders, warning, breach, levels, the final rule, and the jitter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from placet.directory import Person
from placet.engine import machine
from placet.engine.events import Actor, Delegate, Extend
from placet.engine.run import ADMINS
from placet.engine.timers import next_purpose
from placet.errors import NotPermitted
from placet.tasks.deadlines import jitter
from tests.unit.core import HOUR, START, Case, away, blueprint, case, office, plan_of

SHORTHAND = {"sla_hours": 24, "escalation_enabled": True, "escalation_to": "department_head"}


def log(request: Case, *kinds: str) -> list[tuple[float, str]]:
    """Return when (hours after the start) what happened, of these kinds."""
    return [((e.at - START) / HOUR, e.kind) for e in request.entries if e.kind in kinds]


def levels(request: Case) -> list[tuple[float, Any, Any]]:
    """Return each escalation: when, from whom, to whom."""
    return [
        ((e.at - START) / HOUR, e.detail["before"]["assignee"], e.detail["after"]["assignee"])
        for e in request.of_kind("escalated")
    ]


@pytest.mark.parametrize(
    ("step", "settings", "warned", "breached"),
    [
        ({"sla_hours": 24}, {}, [22], [24]),  # two hours before, unless told otherwise
        ({"sla_hours": 24}, {"warn_before_hours": 5}, [19], [24]),  # by the process
        ({"sla_hours": 24, "warn_before_hours": 1}, {"warn_before_hours": 5}, [23], [24]),  # by the stage
        ({"sla": {"target_hours": 10, "warn_before_hours": 4}}, {}, [6], [10]),  # the long form
        ({"sla_hours": 1}, {}, [0.5], [1]),  # longer than the whole SLA: at half of it
        ({"sla_hours": 2}, {}, [0], [2]),  # just as long: at once
        ({"sla_hours": 24, "warn_before_hours": 0}, {}, [], [24]),  # no warning
        ({}, {}, [], []),  # no SLA
        ({"sla_hours": 5 / 3600, "warn_before_hours": 1 / 3600}, {}, [4 / 3600], [5 / 3600]),  # seconds
    ],
)
def test_the_warning_comes_before_the_breach_and_the_breach_at_the_deadline(
    step: dict[str, Any], settings: dict[str, Any], warned: list[float], breached: list[float]
) -> None:
    request = case(step, settings=settings)
    request.hours(30)
    assert [at for at, _ in log(request, "sla_warning")] == pytest.approx(warned)
    assert [at for at, _ in log(request, "sla_breached")] == pytest.approx(breached)
    assert request.task.sla_state == ("breached" if breached else "ok")
    if not breached:
        assert request.task.due_at is None


def test_a_task_has_three_sla_states_one_after_the_other() -> None:
    request = case(SHORTHAND)
    states = []
    for hour in (0, 22, 24):
        request.hours(hour)
        states.append(request.task.sla_state)
    assert states == ["ok", "warning", "breached"]


def test_the_shorthand_reassigns_at_the_breach_and_then_climbs_the_managers_to_the_top() -> None:
    request = case(SHORTHAND)
    request.hours(24 * 5)
    assert levels(request) == [(24, "user:mo", "user:dh"), (48, "user:dh", "user:ceo")]
    assert log(request, "escalation_ended") == [(72, "escalation_ended")]
    assert (request.task.id, request.task.level) == ("r.1", 2)  # it is the same task all along


def test_the_new_and_the_old_assignee_are_told_and_the_old_one_may_not_decide_any_more() -> None:
    request = case(SHORTHAND)
    request.hours(24)
    assert (request.told("escalated_to"), request.told("escalated_from")) == (["dh"], ["mo"])
    assert request.task.due_at == START + 48 * HOUR  # now + re_escalate_after_hours
    with pytest.raises(NotPermitted):
        request.decide("mo", task="r.1")


def test_re_escalation_takes_the_time_that_process_or_stage_say() -> None:
    request = case(SHORTHAND, settings={"re_escalate_after_hours": 3})
    request.hours(60)
    assert [at for at, *_ in levels(request)] == [24, 27]
    request = case({**SHORTHAND, "re_escalate_after_hours": 1}, settings={"re_escalate_after_hours": 3})
    request.hours(60)
    assert [at for at, *_ in levels(request)] == [24, 25]


EXPLICIT = {
    "sla_hours": 10,
    "escalation": [
        {"after_hours": 0, "to": "user:cfo", "action": "notify"},
        {"after_hours": 2, "to": "user:ben", "action": "add"},
        {"after_hours": 5, "to": "user:dh"},
    ],
}


def test_an_explicit_chain_counts_from_the_breach_and_ends_with_its_last_entry() -> None:
    request = case(EXPLICIT)
    request.hours(11)
    assert (request.asked, request.told("escalated_to")) == (["mo"], ["cfo"])
    request.hours(12)
    assert (request.asked, request.task.delegates) == (["mo"], ("ben",))
    request.hours(15)
    assert (request.asked, request.task.delegates) == (["dh"], ())
    request.hours(200)
    assert [at for at, *_ in levels(request)] == [10, 12, 15]
    assert log(request, "escalation_ended") == [(39, "escalation_ended")]  # 24 h after the last


def test_whoever_is_added_may_decide_and_so_may_the_assignee() -> None:
    for person in ("ben", "mo"):
        request = case(EXPLICIT)
        request.hours(13)
        (decided, *_) = request.decide(person)
        assert decided.actor == f"user:{person}"
        assert request.state.outcome == "approved"


def test_a_notice_goes_to_everyone_who_is_named() -> None:
    request = case({"sla_hours": 1, "escalation": [{"to": "group:finance", "action": "notify"}]})
    request.hours(1)
    assert request.told("escalated_to") == ["ann", "ben", "cid"]


def test_of_several_who_hold_a_role_the_one_above_the_assignee_is_meant() -> None:
    org = office(ann=Person(id="ann", roles=("department_head",)))
    request = case(SHORTHAND, org=org)
    request.hours(24)
    assert request.asked == ["dh"]


@pytest.mark.parametrize(
    ("step", "org", "asked"),
    [
        # escalation to oneself goes on to the next above
        ({**SHORTHAND, "approvers": ["user:dh"]}, office(), "ceo"),
        # never to the requester: the next above them takes it
        (
            SHORTHAND,
            office(dh=Person(id="dh", manager="ceo"), rita=Person(id="rita", manager="mo", roles=("department_head",))),
            "dh",
        ),
        # to the substitute of one who is away
        (SHORTHAND, office(dh=away(office().people["dh"], substitute="cid")), "cid"),
        # nobody eligible there: the next above
        (SHORTHAND, office(dh=away(office().people["dh"])), "ceo"),
        # nobody in the chain: the owner
        ({"sla_hours": 24, "escalation": [{"to": "user:nobody"}]}, office(), "olivia"),
        # a level with nobody is skipped where another follows
        ({"sla_hours": 24, "escalation": [{"to": "user:nobody"}, {"to": "user:cid"}]}, office(), "cid"),
        # names relative to whoever has the task
        ({"sla_hours": 24, "escalation": [{"to": "manager_of(assignee)"}]}, office(), "dh"),
        # a delegate may get the task itself
        ({"sla_hours": 24, "escalation": [{"to": "user:cid", "action": "add"}, {"to": "user:cid"}]}, office(), "cid"),
    ],
)
def test_a_task_is_escalated_only_to_somebody_who_may_have_it(step: dict[str, Any], org: Any, asked: str) -> None:
    request = case(step, org=org)
    request.hours(24)
    assert request.asked == [asked]


@pytest.mark.parametrize(
    ("final", "status", "outcome"),
    [
        ("wait", "pending", None),
        ("approve", "completed", "approved"),
        ("reject", "completed", "rejected"),
        ("expire", "completed", "expired"),
    ],
)
@pytest.mark.parametrize(
    ("step", "at"),
    [
        ({"sla_hours": 10}, 10),  # no escalation at all: at the breach
        ({"sla_hours": 10, "escalation_enabled": False, "escalation_to": "cfo"}, 10),  # switched off
        ({"sla_hours": 10, "escalation_to": "user:ceo"}, 34),  # after the top has had its time
        ({"sla_hours": 10, "escalation": [{"to": "user:ben", "after_hours": 4}]}, 38),
    ],
)
def test_when_the_chain_has_ended_the_final_rule_applies(
    step: dict[str, Any], at: float, final: str, status: str, outcome: str | None
) -> None:
    request = case({**step, "final": final})
    request.until(START + at * HOUR - timedelta(seconds=1))
    assert not request.of_kind("escalation_ended")
    request.hours(at)
    (entry,) = request.of_kind("escalation_ended")
    assert entry.detail["final"] == final
    assert (request.state.status, request.state.outcome) == (status, outcome)


def test_a_process_that_waits_in_the_end_keeps_reminding() -> None:
    request = case({"sla_hours": 10})
    request.hours(10 + 24 * 5)
    assert [at for at, _ in log(request, "reminded")] == [34, 58, 82, 106, 130]


def test_the_final_rule_waits_for_the_chains_of_all_open_tasks() -> None:
    step = {
        "approvers": ["user:ann", "user:ben"],
        "quorum": "all",
        "sla_hours": 1,
        "escalation_to": "user:ceo",
        "final": "reject",
    }
    request = case(step, owner=None)
    request.hours(2)  # ceo has one; for the other, nobody is left
    assert request.asked == ["ceo", "ben"]
    assert request.state.status == "pending"
    request.hours(25)
    assert request.state.outcome == "rejected"


def test_a_vote_leaves_the_final_rule_to_tasks_whose_chain_has_ended() -> None:
    step = {
        "approvers": ["user:ann", "user:ben"],
        "quorum": "all",
        "sla_hours": 1,
        "escalation_to": "user:ceo",
        "final": "expire",
    }
    request = case(step, owner=None)
    request.hours(2)
    request.decide("ceo")
    assert request.state.outcome == "expired"


def test_an_expired_stage_follows_its_edge() -> None:
    raw = blueprint(
        {"sla_hours": 1, "final": "expire"},
        {"approvers": ["user:ceo"]},
        graph_spec={
            "nodes": [
                {"id": "start", "type": "trigger"},
                {"id": "one", "type": "approval", "step": "Stage 1"},
                {"id": "two", "type": "approval", "step": "Stage 2"},
                {"id": "yes", "type": "terminator", "outcome": "approved"},
                {"id": "late", "type": "terminator", "outcome": "too_late"},
            ],
            "edges": [
                {"from": "start", "to": "one"},
                {"from": "one", "to": "yes", "on": "approved"},
                {"from": "one", "to": "two", "on": "expired"},
                {"from": "two", "to": "late", "on": "approved"},
            ],
        },
    )
    request = Case(plan=plan_of(raw), org=office())
    request.hours(1)
    assert request.asked == ["ceo"]
    assert request.told("superseded") == ["mo"]
    request.decide("ceo")
    assert request.state.outcome == "too_late"


@pytest.mark.parametrize(
    ("reminders", "hours"),
    [
        (
            {"every_hours": 8},
            [8, 16],
        ),  # the breach at 24 stands for the third, and the owner's chain goes on from there
        ({"before_hours": [3, 1]}, [21, 23]),
        ({"every_hours": 20, "before_hours": [4]}, [20]),  # both at the same moment are one
        ({"before_hours": [100]}, []),  # before the task was opened
    ],
)
def test_reminders_come_on_their_schedule_and_before_the_deadline(
    reminders: dict[str, Any], hours: list[float]
) -> None:
    request = case({"sla_hours": 24, "reminders": reminders})
    request.hours(24)
    assert [at for at, _ in log(request, "reminded")] == hours
    assert set(request.told("reminded")) <= {"mo"}


def test_reminders_that_were_missed_are_one_reminder_and_the_rhythm_is_kept() -> None:
    request = case({"reminders": {"every_hours": 1}})
    request.jump(START + 10.5 * HOUR)
    assert len(request.of_kind("reminded")) == 1
    assert machine.next_due(request.plan, request.state) == START + 11 * HOUR


def test_a_reminder_never_reaches_someone_who_has_decided() -> None:
    step = {"approvers": ["user:mo", "user:dh"], "quorum": "all", "reminders": {"every_hours": 1}}
    request = case(step)
    request.do(Delegate(by=Actor(person="dh"), task_id="r.2", to="cid", keep=True))
    request.decide("cid", task="r.2")
    request.hours(1)
    assert request.told("reminded") == ["mo"]


def test_a_delegate_of_two_seats_is_not_reminded_of_the_second_after_deciding_the_first() -> None:
    step = {"approvers": ["user:mo", "user:dh"], "quorum": "all", "reminders": {"every_hours": 1}}
    request = case(step)
    for person, task in (("mo", "r.1"), ("dh", "r.2")):
        request.do(Delegate(by=Actor(person=person), task_id=task, to="cid", keep=True))
    request.decide("cid", task="r.1")
    request.hours(1)
    assert request.told("reminded") == ["dh"]
    with pytest.raises(NotPermitted, match="another seat"):
        request.decide("cid", task="r.2")


def test_the_owner_is_reminded_of_a_task_that_nobody_has() -> None:
    request = case(
        {"approvers": ["requester"], "reminders": {"every_hours": 1}},
        org=office(olivia=away(office().people["olivia"])),
    )
    request.hours(1)
    assert request.told("reminded") == ["olivia", ADMINS], "the owner is away"


def test_working_hours_hold_for_every_clock() -> None:
    hours = {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
    request = case(
        {**SHORTHAND, "sla_hours": 12, "re_escalate_after_hours": 8}, settings={"calendar": {"hours": hours}}
    )
    request.hours(24 * 7)
    assert log(request, "sla_warning", "sla_breached", "escalated") == [
        (26, "sla_warning"),  # Tuesday 11:00
        (28, "sla_breached"),  # Tuesday 13:00
        (28, "escalated"),
        (52, "escalated"),  # Wednesday 13:00
    ]


@pytest.mark.parametrize(
    ("event", "due", "state"),
    [
        (Extend(by=Actor(person="olivia"), seconds=7200), 26, "ok"),
        (Extend(by=Actor(person="olivia"), task_id="r.1", due_at=START + 40 * HOUR), 40, "ok"),
        (Extend(by=Actor(person="olivia"), seconds=-1800), 23.5, "warning"),  # earlier
    ],
)
def test_a_moved_deadline_moves_warning_breach_and_escalation_along(event: Extend, due: float, state: str) -> None:
    request = case(SHORTHAND)
    request.hours(22.5)
    (entry,) = request.do(event)
    assert request.told("extended") == ["mo"]
    assert entry.detail["before"] != entry.detail["after"]
    assert request.task.sla_state == state
    request.hours(due)
    assert log(request, "sla_breached", "escalated") == [(due, "sla_breached"), (due, "escalated")]
    assert len(request.of_kind("sla_warning")) == (2 if state == "ok" else 1)


def test_a_deadline_moved_after_the_breach_puts_the_next_level_off() -> None:
    request = case(SHORTHAND)
    request.hours(30)
    request.do(Extend(by=Actor(person="olivia"), due_at=START + 100 * HOUR))
    request.hours(100)
    assert levels(request)[1:] == [(100, "user:dh", "user:ceo")]


def test_a_deadline_moved_after_the_chain_has_ended_puts_the_final_rule_off() -> None:
    request = case({"approvers": ["user:ann", "user:ben"], "quorum": "all", "sla_hours": 1, "final": "reject"})
    request.do(Extend(by=Actor(person="olivia"), task_id="r.2", seconds=3600))
    request.hours(1)
    assert request.state.tasks[0].escalation_ended
    request.do(Extend(by=Actor(person="olivia"), task_id="r.1", seconds=4 * 3600))
    request.hours(4)
    assert request.state.status == "pending"
    request.hours(5)
    assert request.state.outcome == "rejected"


def test_the_jitter_is_bounded_and_the_same_in_every_replay_and_spread_over_requests() -> None:
    plan = plan_of(blueprint(SHORTHAND, settings={"jitter_seconds": 600}))
    lags = [jitter(plan, f"request-{n}") for n in range(400)]
    assert lags == [jitter(plan, f"request-{n}") for n in range(400)]
    assert all(timedelta(0) <= lag < timedelta(minutes=10) for lag in lags)
    for minute in range(10):  # evenly: about 40 in each minute
        assert 15 < sum(lag // timedelta(minutes=1) == minute for lag in lags) < 75


def test_the_jitter_delays_every_step_of_a_request_once_and_does_not_add_up() -> None:
    request = case({**SHORTHAND, "reminders": {"every_hours": 6}}, settings={"jitter_seconds": 3600})
    lag = jitter(request.plan, "r")
    assert lag > timedelta(0)
    request.hours(24 * 6)
    delays = {e.at - START - lag for e in request.entries if e.kind not in {"started", "task_opened"}}
    assert all(delay % HOUR == timedelta(0) for delay in delays)
    assert [at - lag / HOUR for at, *_ in levels(request)] == pytest.approx([24, 48])


@pytest.mark.parametrize("seconds", [0, 600], ids=["no jitter", "jitter"])
def test_an_escalation_is_due_at_the_deadline_however_late_the_breach_is_noticed(seconds: int) -> None:
    request = case(SHORTHAND, settings={"jitter_seconds": seconds})
    request.jump(START + 200 * HOUR)
    (escalated,) = request.of_kind("escalated")
    lag = jitter(request.plan, "r")  # what was declared is not late
    assert datetime.fromisoformat(escalated.detail["due"]) == START + 24 * HOUR + lag
    request.jump(START + 230 * HOUR)
    _, again = request.of_kind("escalated")
    assert datetime.fromisoformat(again.detail["due"]) == START + 224 * HOUR  # a day from when it came


def test_levels_missed_while_nothing_ran_leave_each_level_its_time() -> None:
    request = case(SHORTHAND)
    request.jump(START + 200 * HOUR)
    assert levels(request) == [(200, "user:mo", "user:dh")]
    request.hours(224)
    assert request.asked == ["ceo"]


def test_the_one_timer_is_named_after_what_is_due_first() -> None:
    request = case({**SHORTHAND, "stage_name": "Manager Approval", "reminders": {"every_hours": 8}})
    named = []
    for _ in range(5):
        at = machine.next_due(request.plan, request.state)
        assert at is not None
        named.append(((at - START) / HOUR, next_purpose(request.state)))
        request.hours((at - START) / HOUR)
    assert named == [
        (8, "reminder of Manager Approval"),
        (16, "reminder of Manager Approval"),
        (22, "warning of Manager Approval"),
        (24, "deadline of Manager Approval"),
        (32, "reminder of Manager Approval"),
    ]
    silent = case({**SHORTHAND, "stage_name": "Manager Approval"})
    silent.hours(25)
    assert next_purpose(silent.state) == "escalation of Manager Approval"
