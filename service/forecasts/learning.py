"""Learning: a forecaster made of the stored past of a version of a process. The process pool runs it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Literal, cast

from insight.forecast.forecaster import Example, Forecaster, PastCase, learn
from insight.forecast.futures import due_first
from insight.forecast.past_task import PastTask
from placet.directory import Directory
from placet.engine.state import Decision
from placet.errors import PlacetError
from placet.plan.calendar import add_hours, working_seconds
from placet.plan.plan import Plan
from service.forecasts.virtual import Decided, PastPeople, run
from simulation.run.driver import ReadDirectory, directory_reader, drive, opening_for
from simulation.world.answers import answers_for
from simulation.world.world import World
from storage.queries.requests.past import PastRequestRow, PastTaskRow

_MOST_LOOKS = 12  # at one request


def learn_from(plan: Plan, rows: Sequence[PastRequestRow], people: Directory) -> Forecaster | Literal["too_few"]:
    """Learn from the past of a version of a process; `people` is the directory as it is now."""
    past = _Past(plan=plan, rows={row.id: row for row in rows}, read_directory=directory_reader(plan, people))
    return learn(past.cases, plan.calendar, past.examine, run)


@dataclass(kw_only=True)
class _Past:
    """The past of a version of a process."""

    plan: Plan
    rows: Mapping[str, PastRequestRow]
    read_directory: ReadDirectory
    cases: Sequence[PastCase] = field(init=False)
    step: float = field(init=False)  # between two moments of a request, in seconds of working time

    def __post_init__(self) -> None:
        self.cases = [_case(row) for row in self.rows.values()]
        took = [
            working_seconds(self.plan.calendar, row.started_at, case.finished_at)
            for row, case in zip(self.rows.values(), self.cases, strict=True)
            if case.finished_at is not None
        ]
        self.step = max(median(took) / 2, 1.0) if took else 1.0

    def examine(self, case: PastCase) -> Sequence[Example]:
        """Return a request as it stood from time to time, as if somebody had looked who knows nothing of it.

        So a long one is seen more often than a short one, as among those that are open now. Moments are left out at
        which the core comes to another state than what is stored: somebody handed a task over, an action took longer,
        or the input has changed since.
        """
        row = self.rows[case.id]
        if case.finished_at is None or row.input is None:
            return ()
        begin = random.Random(case.id).random()  # noqa: S311 - the same moments each time
        found: list[Example] = []
        for number in range(_MOST_LOOKS):
            now = add_hours(self.plan.calendar, row.started_at, (begin + number) * self.step)
            if now >= case.finished_at:
                break
            try:
                stood = self._stood(case, row, now)
            except PlacetError:  # this version's blueprint does not take the input as it was stored
                return ()
            if stood is not None:
                found.append(stood)
        return found

    def _stood(self, case: PastCase, row: PastRequestRow, now: datetime) -> Example | None:
        assert case.finished_at is not None and row.input is not None  # noqa: S101, PT018 - asked before
        people = PastPeople(plan=self.plan, decided=_decided(row), resubmitted=_opened_by_round(row))
        opening = opening_for(
            self.plan,
            Directory(),
            requester=row.requester,
            given=row.input,
            start=row.started_at,
            request_id=row.id,
            title=row.title,
            read_directory=self.read_directory,
        )
        world = World(plan=self.plan, people=people, run_child=lambda *_: None, answers=answers_for(self.plan))
        trace = drive(self.plan, opening, world, read_directory=self.read_directory, horizon=now - row.started_at)
        state = trace.state
        were_open = {
            stored.id
            for stored, task in zip(row.tasks, case.tasks, strict=True)
            if task.opened_at <= now and (task.closed_at is None or task.closed_at > now)
        }
        if state.status != "pending" or {task.id for task in state.open_tasks} != were_open:
            return None
        task = due_first(state)
        due_at = task.due_at if task is not None else None
        calendar = self.plan.calendar
        decided_at = next((one.decided_at for one in row.tasks if task is not None and one.id == task.id), None)
        return Example(
            plan=self.plan,
            state=state,
            now=now,
            ended=working_seconds(calendar, now, case.finished_at),
            closed=working_seconds(calendar, now, decided_at) if decided_at is not None else None,
            allowed=working_seconds(calendar, now, due_at) if due_at is not None else None,
        )


def _case(row: PastRequestRow) -> PastCase:
    return PastCase(
        id=row.id,
        finished_at=row.ended_at if row.status == "completed" else None,
        tasks=tuple(
            PastTask(
                stage=task.stage,
                person=task.decided_by or task.assignee,
                opened_at=task.opened_at,
                closed_at=_closed_at(task, row),
                decision=cast(Decision, task.decision) if task.decided_at is not None else None,
            )
            for task in row.tasks
        ),
        resubmissions=tuple(_resubmissions(row)),
    )


def _closed_at(task: PastTaskRow, row: PastRequestRow) -> datetime | None:
    """Return when a task was closed: where its stage was settled without it, when the stage's last decision was."""
    if task.status == "open":
        return None
    if task.decided_at is not None:
        return task.decided_at
    others = [one.decided_at for one in row.tasks if (one.stage, one.round) == (task.stage, task.round)]
    return max((at for at in others if at is not None and at >= task.opened_at), default=row.ended_at)


def _decided(row: PastRequestRow) -> dict[str, Decided]:
    return {
        task.id: Decided(person=task.decided_by, decision=cast(Decision, task.decision), at=task.decided_at)
        for task in row.tasks
        if task.decided_by is not None and task.decided_at is not None and task.decision is not None
    }


def _opened_by_round(row: PastRequestRow) -> dict[int, datetime]:
    """Return when the first task of each round was opened."""
    found: dict[int, datetime] = {}
    for task in row.tasks:
        found[task.round] = min(found.get(task.round, task.opened_at), task.opened_at)
    return found


def _resubmissions(row: PastRequestRow) -> list[tuple[datetime, datetime]]:
    opened = _opened_by_round(row)
    returned = {
        task.round: task.decided_at
        for task in row.tasks
        if task.decision == "request_changes" and task.decided_at is not None
    }
    pairs = ((at, opened.get(number + 1)) for number, at in returned.items())
    return [(at, again) for at, again in pairs if again is not None and again >= at]
