"""A log as the history that miners read: its cases as requests of one process, its decisions as tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from insight.event_logs.course import Course, Visit
from insight.event_logs.fields import Field
from insight.event_logs.labels import is_machine
from insight.mining.history import Case, History, Task


def history_of(
    courses: Iterable[Course], fields: Iterable[Field], *, template: str, version: str, targets: Mapping[str, float]
) -> History:
    """Return the history of cases under a blueprint; `targets` are its deadlines in hours, by stage.

    The actor's type is known only where the name of who decided is that of a system.
    """
    history = History()
    listed = tuple(fields)
    for course in courses:
        if course.visits:
            history.add_case(_case(course, listed, template, version))
            for visit in course.visits:
                history.add_task(_task(course, visit, targets.get(visit.stage), listed))
    return history


def _case(course: Course, fields: tuple[Field, ...], template: str, version: str) -> Case:
    values = {one.name: one.value(course.values.get(one.column)) for one in fields}
    amount = values.get("amount")
    return Case(
        request_id=course.case,
        template=template,
        version=version,
        started_at=_moment(course.began),
        ended_at=_moment(course.ended) if course.outcome is not None else None,
        outcome=course.outcome,
        amount=amount if isinstance(amount, Decimal) else None,
        values={name: value for name, value in values.items() if value is not None},
    )


def _task(course: Course, visit: Visit, target: float | None, fields: tuple[Field, ...]) -> Task:
    changed: tuple[str, ...] = ()
    if visit.decision == "request_changes" and visit.round <= len(course.changed):
        changed = tuple(one.name for one in fields if one.column in course.changed[visit.round - 1])
    return Task(
        request_id=course.case,
        stage=visit.stage,
        round=visit.round,
        assignee=visit.person,
        actor_type="service" if is_machine(visit.person) else "",
        opened_at=_moment(visit.opened),
        decided_at=_moment(visit.at),
        due_at=None if target is None else _moment(visit.opened + round(target * 3_600_000)),
        decision=visit.decision,
        waited_seconds=(visit.at - visit.opened) / 1000,
        changed_fields=changed,
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
