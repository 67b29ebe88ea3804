"""Backtest: past requests through a candidate blueprint, with decisions and response times as they were.

What the past does not tell is counted as unknown and never guessed: an approver who was not asked in that stage, a task
held longer than it ever was, an input that the candidate's variables do not take. The directory is today's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from statistics import fmean, median, stdev
from time import perf_counter
from typing import Any

from placet.definition.actions import ActionSpec
from placet.definition.model import ProcessDefinition, parse_definition
from placet.directory import Directory
from placet.engine import machine
from placet.engine.input import accept_input
from placet.errors import InputInvalid
from placet.nodes.registry import type_at
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child, Plan
from simulation.report.comparison import TimelineEvent
from simulation.report.costs import Prices, price, usage_in, with_catalog
from simulation.report.result import json_value, milliseconds
from simulation.run.driver import EventSource, ReadDirectory, Trace, directory_reader, drive, opening_for
from simulation.world.recorded_decisions import recorded_decisions_of
from simulation.world.recorded_people import RecordedPeople
from simulation.world.recorded_results import recorded_answers
from simulation.world.world import World

RULE = (
    "people decide as they did, after the time that they took in that stage; people who were never asked in it are "
    "silent while others still decide, and the request is unknown from where nobody known is left; what only computes "
    "is computed anew; other actions, sub-processes and events come to what they came to, after the time that they "
    "took, as long as they are given what they were given then, and else the request is unknown; an action that never "
    "ran succeeds after the time of its latency class, and is unknown where the way hangs on what it sets; the "
    "directory is today's"
)
HORIZON = timedelta(days=366)
MOST_ENTRIES = 2000
MOST_SECONDS = 300.0  # of our time, for all requests together; what is left then is said to be
_EVERY = 50  # requests between words of progress
_Z = 1.96  # of a 95 % interval

Tell = Callable[[dict[str, Any]], None]


def hidden_warning(count: int) -> list[str]:
    """Say that so many requests were not looked at because they are not for everybody to see."""
    return [f"{count} requests that are not yours to see are left out; auditors and admins see all"] if count else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One past request: its facts and its timeline, oldest entry first."""

    id: str
    requester: str
    given: Mapping[str, Any]
    status: str
    outcome: str | None
    started_at: datetime
    ended_at: datetime | None
    entries: Sequence[TimelineEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSummary:
    """How a request went, in what a blueprint can change."""

    route: tuple[str, ...]
    approvers: tuple[str, ...]
    outcome: str | None
    duration_ms: int
    sla_state: str
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRow:
    """One past request beside the candidate's course of it. `unknown` says why there is none."""

    request_id: str
    before: RequestSummary
    after: RequestSummary | None
    unknown: str | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """All rows, and what they come to."""

    rows: tuple[BacktestRow, ...]
    totals: dict[str, Any]
    seconds: float

    def described(self) -> dict[str, Any]:
        """Return it as JSON values; rows that change something come first."""
        ordered = sorted(self.rows, key=lambda r: (not r.changed, r.unknown is not None))
        return {
            "rule": RULE,
            "totals": json_value(self.totals),
            "rows": json_value(ordered),
            "seconds": round(self.seconds, 3),
        }


@dataclass(kw_only=True)
class Candidate:
    """A blueprint that past requests are put through."""

    blueprint: ProcessDefinition
    people: Directory
    prices: Prices = field(default_factory=Prices)
    actions: Mapping[str, ActionSpec] = field(default_factory=dict)
    children: Mapping[str, Child] = field(default_factory=dict)
    _plans: dict[int, Plan] = field(default_factory=dict)
    _reads: dict[int, ReadDirectory] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: object, people: Directory, prices: Prices | None = None, **more: Any) -> Candidate:
        """Read the blueprint; `more` are the action catalog and sub-processes. Raises BlueprintInvalid."""
        return cls(blueprint=parse_definition(raw), people=people, prices=prices or Prices(), **more)

    def __getstate__(self) -> dict[str, Any]:
        """Take the plans along where this is sent to; what reads the directory is made anew there."""
        return {**vars(self), "_reads": {}}

    def run(self, case: Case, *, until: datetime | None = None) -> BacktestRow:
        """Put one past request through; one that still runs is known `until` now, and compared as far as that."""
        return self.run_with_next_due(case, until=until)[0]

    def run_with_next_due(self, case: Case, *, until: datetime | None = None) -> tuple[BacktestRow, datetime | None]:
        """Do what `put` does, and say when something falls due next in the candidate's course of it."""
        before = _as_it_was(case, self._priced)
        plan = self.plan(case.started_at)
        read = self._read(case.started_at)
        try:
            given = accept_input(plan, self._known(case.given))
        except InputInvalid as error:
            places = ", ".join(sorted({p.pointer.removeprefix("/input/") for p in error.problems}))
            why = f"the input does not fit: {places}"
            return BacktestRow(request_id=case.id, before=before, after=None, unknown=why), None
        opening = opening_for(
            plan,
            self.people,
            requester=case.requester,
            given=given,
            start=case.started_at,
            request_id=case.id,
            read_directory=read,
        )
        event_source: EventSource = RecordedPeople(
            plan=plan, recorded_decisions=recorded_decisions_of(case.entries, until=until)
        )
        if any(type_at(node).waits_outside for node in plan.nodes.values()):
            # A sub-process that never ran would be another request, and nobody's past.
            came_to = recorded_answers(plan, case.entries, until=until)
            event_source = World(plan=plan, people=event_source, run_child=lambda *_: None, answers=came_to)
        trace = drive(
            plan,
            opening,
            event_source,
            read_directory=read,
            horizon=HORIZON if until is None else min(HORIZON, max(until - case.started_at, timedelta(0))),
            most_entries=MOST_ENTRIES,
        )
        due = machine.next_due(plan, trace.state) if trace.state.status == "pending" else None
        if trace.stopped is not None and until is None:
            return BacktestRow(request_id=case.id, before=before, after=None, unknown=_stopped(trace)), None
        after = _side(trace, self._priced)
        if trace.stopped is not None:
            # It still runs on both sides: what has taken place is compared, and its time so far is one and the same.
            after = replace(after, duration_ms=before.duration_ms, cost=before.cost)
            changed = _changed(before, after)
            return BacktestRow(
                request_id=case.id, before=before, after=after, unknown=_stopped(trace), changed=changed
            ), due
        return BacktestRow(request_id=case.id, before=before, after=after, changed=_changed(before, after)), due

    def plan(self, start: datetime) -> Plan:
        """Return the plan for requests of that year, for calendars are frozen for whole years; raises BlueprintInvalid.

        Each is compiled once, and goes along where the candidate is sent.
        """
        if start.year not in self._plans:
            self._plans[start.year] = compile_plan(
                self.blueprint, start=start, actions=self.actions, children=self.children
            )
        return self._plans[start.year]

    def uncompiled(self, starts: Iterable[datetime]) -> tuple[datetime, ...]:
        """Return a moment of each year for which there is no plan yet."""
        return tuple({start.year: start for start in starts if start.year not in self._plans}.values())

    @cached_property
    def _priced(self) -> Prices:
        return with_catalog(self.prices, self.actions)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(v.name for v in self.blueprint.variables)

    def _known(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if name in self._names}

    def _read(self, start: datetime) -> ReadDirectory:
        if start.year not in self._reads:
            self._reads[start.year] = directory_reader(self.plan(start), self.people)
        return self._reads[start.year]


def backtest(
    candidate: Candidate,
    cases: Sequence[Case],
    *,
    until: datetime | None = None,
    tell: Tell | None = None,
) -> Backtest:
    """Put past requests through a candidate; `tell` hears of the progress. `until`: they still run (shadow)."""
    begun = perf_counter()
    rows = backtest_all(candidate, cases, until=until, tell=tell, of=len(cases))
    return Backtest(rows=tuple(rows), totals=totals_of(rows), seconds=perf_counter() - begun)


def backtest_all(
    candidate: Candidate,
    cases: Iterable[Case],
    *,
    until: datetime | None = None,
    end: float = math.inf,
    tell: Tell | None = None,
    done: int = 0,
    of: int = 0,
) -> list[BacktestRow]:
    """Put some of `of` requests through, of which `done` have been; stops at `end` of the process's own clock."""
    rows: list[BacktestRow] = []
    for case in cases:
        if perf_counter() > end:
            break
        rows.append(candidate.run(case, until=until))
        if tell is not None and (done + len(rows)) % _EVERY == 0:
            tell({"done": done + len(rows), "of": of})
    return rows


def totals_of(rows: Sequence[BacktestRow]) -> dict[str, Any]:
    """Return what rows come to, each figure with its 95 % interval."""
    known = [(row, row.after) for row in rows if row.after is not None]
    reasons = Counter(row.unknown for row in rows if row.unknown is not None)
    hours = [(after.duration_ms - row.before.duration_ms) / 3_600_000 for row, after in known]
    costs = [float(after.cost - row.before.cost) for row, after in known]
    breaches = [float((after.sla_state == "breached") - (row.before.sla_state == "breached")) for row, after in known]
    return {
        "requests": len(rows),
        "known": len(known),
        "unknown": len(rows) - len(known),
        "unknown_reasons": dict(reasons.most_common(20)),
        "changed": share(sum(bool(row.changed) for row, _ in known), len(known)),
        "changed_by_aspect": dict(Counter(aspect for row, _ in known for aspect in row.changed)),
        "outcome_changed": share(sum("outcome" in row.changed for row, _ in known), len(known)),
        "hours": {
            "median_before": _median([row.before.duration_ms / 3_600_000 for row, _ in known]),
            "median_after": _median([after.duration_ms / 3_600_000 for _, after in known]),
            "mean_change": mean_of(hours),
        },
        "breached": {
            "before": sum(row.before.sla_state == "breached" for row, _ in known),
            "after": sum(after.sla_state == "breached" for _, after in known),
            "mean_change": mean_of(breaches),
        },
        "cost": {
            "before": sum((row.before.cost for row, _ in known), Decimal(0)),
            "after": sum((after.cost for _, after in known), Decimal(0)),
            "mean_change": mean_of(costs),
        },
    }


def share(count: int, of: int) -> dict[str, Any]:
    """Return a share with its Wilson interval."""
    if not of:
        return {"count": count, "of": of, "share": None, "low": None, "high": None}
    p = count / of
    centre = p + _Z**2 / (2 * of)
    spread = _Z * math.sqrt(p * (1 - p) / of + _Z**2 / (4 * of**2))
    scale = 1 + _Z**2 / of
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return {
        "count": count,
        "of": of,
        "share": round(p, 4),
        "low": round(max(0, low), 4),
        "high": round(min(1, high), 4),
    }


def mean_of(values: Sequence[float]) -> dict[str, Any]:
    """Return a mean with its interval by the normal approximation; none below two values."""
    if not values:
        return {"mean": None, "low": None, "high": None}
    mean = fmean(values)
    if len(values) == 1:
        return {"mean": round(mean, 4), "low": None, "high": None}
    spread = _Z * stdev(values) / math.sqrt(len(values))
    return {"mean": round(mean, 4), "low": round(mean - spread, 4), "high": round(mean + spread, 4)}


def _as_it_was(case: Case, prices: Prices) -> RequestSummary:
    end = case.ended_at or (case.entries[-1].at if case.entries else case.started_at)
    decisions = Counter(e.actor.removeprefix("user:") for e in case.entries if e.kind == "decided")
    kinds = {e.kind for e in case.entries}
    worst = "breached" if "sla_breached" in kinds else "warning" if "sla_warning" in kinds else "ok"
    used = usage_in(case.entries, notices=0, duration=end - case.started_at)
    return RequestSummary(
        route=tuple(_route(case.entries)),
        approvers=tuple(decisions),
        outcome=case.outcome,
        duration_ms=milliseconds(end - case.started_at),
        sla_state=worst,
        cost=price(used, prices).total,
    )


def _side(trace: Trace, prices: Prices) -> RequestSummary:
    decisions = Counter(e.actor.removeprefix("user:") for e in trace.entries if e.kind == "decided")
    used = usage_in(trace.entries, notices=0, duration=trace.duration)
    kinds = {e.kind for e in trace.entries}
    return RequestSummary(
        route=tuple(_route(trace.entries)),
        approvers=tuple(decisions),
        outcome=trace.state.outcome,
        duration_ms=milliseconds(trace.duration),
        sla_state="breached" if "sla_breached" in kinds else "warning" if "sla_warning" in kinds else "ok",
        cost=price(used, prices).total,
    )


def _route(entries: Sequence[TimelineEvent]) -> Iterable[str]:
    for entry in entries:
        if entry.kind == "stage_settled":
            yield f"{entry.stage}: {entry.detail.get('result')}"
        elif entry.kind == "routed":
            yield f"{entry.detail.get('node')} -> {entry.detail.get('to')}"


def _changed(before: RequestSummary, after: RequestSummary) -> tuple[str, ...]:
    found = [
        name for name in ("route", "outcome", "sla_state", "cost") if getattr(before, name) != getattr(after, name)
    ]
    if sorted(before.approvers) != sorted(after.approvers):
        found.append("approvers")
    # An engine is a little late where virtual time is not.
    if abs(before.duration_ms - after.duration_ms) > max(10_000, before.duration_ms // 1000):
        found.append("duration")
    return tuple(found)


def _stopped(trace: Trace) -> str:
    if trace.stopped == "unknown":
        return trace.why or "unknown"
    if trace.stopped in {"waiting", "horizon"} and not any(task.status == "open" for task in trace.state.tasks):
        return "what it waits for has not ended yet"
    return {"waiting": "nobody decides what is open", "horizon": "still open after a year"}.get(
        trace.stopped or "", "too much happens"
    )


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 4) if values else None
