"""Backtest: simulate past requests with a candidate blueprint, with decisions and response times as recorded.

What was not recorded counts as unknown and is never guessed: the decision of an approver who was not asked in a stage,
a task that stays open longer than recorded, an input that the candidate's variables do not accept. The directory is
today's.
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

from placet.audit.chain import standing_decisions
from placet.definition.action_spec import ActionSpec
from placet.definition.model import ProcessDefinition, parse_definition
from placet.directory import Directory
from placet.engine import machine
from placet.engine.input import accept_input
from placet.errors import InputInvalid
from placet.nodes.registry import type_at
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child, Plan
from placet.sentences import sentence
from simulation.report.comparison import TimelineEvent, before_claims, lines_of, side_by_side
from simulation.report.costs import Prices, price, usage_in, with_catalog
from simulation.report.result import json_value, milliseconds
from simulation.run.driver import EventSource, ReadDirectory, Trace, directory_reader, drive, opening_for
from simulation.world.recorded_decisions import recorded_decisions_of
from simulation.world.recorded_people import RecordedPeople
from simulation.world.recorded_results import recorded_answers
from simulation.world.recorded_values import values_as_sent
from simulation.world.world import World

RULE = (
    "people decide as recorded, after the recorded time in that stage; people who were never asked in a stage do not "
    "decide, and the request is unknown once it waits for such people alone; pure actions are computed anew; other "
    "actions, sub-processes and events have their recorded results, after the recorded time, as long as their input is "
    "the recorded one, and otherwise the request is unknown; an action that never ran succeeds after the time of its "
    "latency class, and the request is unknown where the process reads what that action sets; the directory is today's"
)
HORIZON = timedelta(days=366)
MOST_ENTRIES = 2000
MOST_SECONDS = 300.0  # of real time for all requests together; the rest is left out, with a warning
_EVERY = 50  # requests between reports of progress
_Z = 1.96  # of a 95 % interval

Tell = Callable[[dict[str, Any]], None]


def hidden_warning(count: int) -> list[str]:
    """Return a warning about requests that the caller may not see, if there are any."""
    if not count:
        return []
    return [
        sentence("{count} requests are left out because you may not see them; auditors and admins see all", count=count)
    ]


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
    """The facts of a request that a blueprint can change."""

    route: tuple[str, ...]
    approvers: tuple[str, ...]
    outcome: str | None
    duration_ms: int
    sla_state: str
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRow:
    """One past request, as recorded and with the candidate; `unknown` says why there is no `after`."""

    request_id: str
    before: RequestSummary
    after: RequestSummary | None
    unknown: str | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """All rows of a backtest and their totals."""

    rows: tuple[BacktestRow, ...]
    totals: dict[str, Any]
    seconds: float

    def described(self) -> dict[str, Any]:
        """Return the backtest as JSON values; rows with changes come first."""
        ordered = sorted(self.rows, key=lambda r: (not r.changed, r.unknown is not None))
        return {
            "rule": RULE,
            "totals": json_value(self.totals),
            "rows": json_value(ordered),
            "seconds": round(self.seconds, 3),
        }


@dataclass(kw_only=True)
class Candidate:
    """A blueprint that past requests are simulated with."""

    blueprint: ProcessDefinition
    people: Directory
    prices: Prices = field(default_factory=Prices)
    actions: Mapping[str, ActionSpec] = field(default_factory=dict)
    children: Mapping[str, Child] = field(default_factory=dict)
    _plans: dict[int, Plan] = field(default_factory=dict)
    _reads: dict[int, ReadDirectory] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: object, people: Directory, prices: Prices | None = None, **more: Any) -> Candidate:
        """Parse the blueprint; `more` are the action catalog and sub-processes. Raises BlueprintInvalid."""
        return cls(blueprint=parse_definition(raw), people=people, prices=prices or Prices(), **more)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the candidate with its plans, without the functions that read the directory."""
        return {**vars(self), "_reads": {}}

    def run(self, case: Case, *, until: datetime | None = None) -> BacktestRow:
        """Simulate one past request; one that still runs is compared `until` now."""
        return self.run_with_next_due(case, until=until)[0]

    def run_with_next_due(self, case: Case, *, until: datetime | None = None) -> tuple[BacktestRow, datetime | None]:
        """Simulate as `run` does, and also return when something is next due with the candidate."""
        before = _as_it_was(case, self._priced)
        plan, trace, why = self.trace(case, until=until)
        if trace is None:
            return BacktestRow(request_id=case.id, before=before, after=None, unknown=why), None
        due = machine.next_due(plan, trace.state) if trace.state.status == "pending" else None
        if trace.stopped is not None and until is None:
            return BacktestRow(request_id=case.id, before=before, after=None, unknown=_stopped(trace)), None
        after = _side(trace, self._priced)
        if trace.stopped is not None:
            # It still runs on both sides: what has happened is compared, and the duration so far is the same.
            after = replace(after, duration_ms=before.duration_ms, cost=before.cost)
            changed = _changed(before, after)
            return BacktestRow(
                request_id=case.id, before=before, after=after, unknown=_stopped(trace), changed=changed
            ), due
        return BacktestRow(request_id=case.id, before=before, after=after, changed=_changed(before, after)), due

    def trace(self, case: Case, *, until: datetime | None = None) -> tuple[Plan, Trace | None, str | None]:
        """Drive one past request through the candidate; without a trace where its input does not fit, and why."""
        plan = self.plan(case.started_at)
        read = self._read(case.started_at)
        try:
            given = accept_input(plan, values_as_sent(plan.variables, self._known(case.given)))
        except InputInvalid as error:
            places = ", ".join(sorted({p.pointer.removeprefix("/input/") for p in error.problems}))
            return plan, None, sentence("the input does not fit: {places}", places=places)
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
            # A sub-process that never ran has no recorded result.
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
        return plan, trace, None

    def plan(self, start: datetime) -> Plan:
        """Return the plan for requests of a year: calendars are compiled for whole years. Raises BlueprintInvalid.

        Each plan is compiled once and pickled with the candidate.
        """
        if start.year not in self._plans:
            self._plans[start.year] = compile_plan(
                self.blueprint, start=start, actions=self.actions, children=self.children
            )
        return self._plans[start.year]

    def uncompiled(self, starts: Iterable[datetime]) -> tuple[datetime, ...]:
        """Return a start time of each year for which there is no plan yet."""
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


def both_timelines(candidate: Candidate, case: Case, *, until: datetime | None = None) -> dict[str, Any]:
    """Return the row of one request, and its recorded timeline beside that with the candidate, step by step."""
    row = candidate.run(case, until=until)
    _, trace, _ = candidate.trace(case, until=until)
    after = lines_of(trace.entries, trace.started_at) if trace is not None else ()
    return {
        "row": json_value(row),
        "timelines": json_value(side_by_side(lines_of(before_claims(case.entries), case.started_at), after)),
    }


def backtest(
    candidate: Candidate,
    cases: Sequence[Case],
    *,
    until: datetime | None = None,
    tell: Tell | None = None,
) -> Backtest:
    """Simulate past requests with a candidate; `until` is now for requests that still run (shadow)."""
    started = perf_counter()
    rows = backtest_all(candidate, cases, until=until, tell=tell, of=len(cases))
    return Backtest(rows=tuple(rows), totals=totals_of(rows), seconds=perf_counter() - started)


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
    """Simulate some of `of` requests, after `done` others; stops when the performance counter reaches `end`."""
    rows: list[BacktestRow] = []
    for case in cases:
        if perf_counter() > end:
            break
        rows.append(candidate.run(case, until=until))
        if tell is not None and (done + len(rows)) % _EVERY == 0:
            tell({"done": done + len(rows), "of": of})
    return rows


def totals_of(rows: Sequence[BacktestRow]) -> dict[str, Any]:
    """Return the totals of rows, with 95 % intervals."""
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
        "shown": {"all": len(rows), **Counter(kind for row in rows for kind in _kinds(row))},
    }


def _kinds(row: BacktestRow) -> list[str]:
    """Return the filters under which a row is listed, by their names in storage.queries.simulations.simulation_rows."""
    found = [aspect for aspect in row.changed if aspect != "duration"]
    if row.changed:
        found.append("changed")
        if "duration" in row.changed and row.after is not None:
            found.append("later" if row.after.duration_ms > row.before.duration_ms else "earlier")
    elif row.unknown is None:
        found.append("same")
    return found if row.unknown is None else [*found, "unknown"]


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
    """Return a mean with its interval by the normal approximation; without an interval below two values."""
    if not values:
        return {"mean": None, "low": None, "high": None}
    mean = fmean(values)
    if len(values) == 1:
        return {"mean": round(mean, 4), "low": None, "high": None}
    spread = _Z * stdev(values) / math.sqrt(len(values))
    return {"mean": round(mean, 4), "low": round(mean - spread, 4), "high": round(mean + spread, 4)}


def _as_it_was(case: Case, prices: Prices) -> RequestSummary:
    end = case.ended_at or (case.entries[-1].at if case.entries else case.started_at)
    decisions = _deciders(case.entries)
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


def _deciders(entries: Sequence[TimelineEvent]) -> Counter[str]:
    decided = (e for e in standing_decisions(entries).values() if e.kind == "decided")
    return Counter(e.actor.removeprefix("user:") for e in decided)


def _side(trace: Trace, prices: Prices) -> RequestSummary:
    decisions = _deciders(trace.entries)
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
    # Timers of an engine fire a little late; virtual time is exact.
    if abs(before.duration_ms - after.duration_ms) > max(10_000, before.duration_ms // 1000):
        found.append("duration")
    return tuple(found)


def _stopped(trace: Trace) -> str:
    if trace.stopped == "unknown":
        return trace.why or "unknown"
    if trace.stopped in {"waiting", "horizon"} and not any(task.status == "open" for task in trace.state.tasks):
        return "the request waits for a result that is not recorded yet"
    return {"waiting": "nobody decides its open tasks", "horizon": "still open after a year"}.get(
        trace.stopped or "", "too many entries"
    )


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 4) if values else None
