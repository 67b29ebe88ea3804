"""What the regression of the benchmark is told of a past: nothing of what came later but what it is to learn."""

from datetime import timedelta
from math import log1p

from placet.plan.calendar import working_seconds
from tests.bench.insight.forecasts import PROCESS, TRUTH
from tests.bench.insight.regression import NOBODY, known, looks, stood
from tests.past import ran, spread
from tests.unit.core import START, office, plan_of


def test_what_was_open_when_the_past_ends_counts_as_at_least_so_long() -> None:
    plan = plan_of(PROCESS)
    starts = spread(40, START, timedelta(minutes=43))
    now = starts[-1][1]
    past = ran(plan, office(), TRUTH, starts, now)
    ends, decisions = known(plan, past, now)
    looked = list(looks(plan, past, now))

    assert [one.over for one in ends] == [state.ended_at is not None for state, _ in looked]
    assert {one.over for one in ends} == {True, False}
    assert NOBODY not in {one.stood.stage for one in decisions}
    for (state, at), one in zip(looked, ends, strict=True):
        took = working_seconds(plan.calendar, at, state.ended_at or now)
        assert one.took == max(took, 60.0)
        assert one.stood.age == log1p(working_seconds(plan.calendar, state.started_at, at) / 3600)


def test_a_request_stands_as_it_does_when_somebody_looks_then() -> None:
    plan = plan_of(PROCESS)
    starts = spread(25, START, timedelta(minutes=43))
    now = starts[-1][1]
    past = ran(plan, office(), TRUTH, starts, now)
    later = ran(plan, office(), TRUTH, starts, now + timedelta(days=400))
    for then, since in zip(past, later, strict=True):
        if then.status == "pending":
            tasks = [task for task in since.tasks if task.opened_at <= now]
            assert stood(plan, since, tasks, now) == stood(plan, then, then.tasks, now)
