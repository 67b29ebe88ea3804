"""Bounds: where a rehearsal stops before the end of the simulated run, because that is too long or never ends.

An engine takes some 30 ms for each time at which something happens, so that what the core simulates in a second may
take an engine minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from placet.audit.chain import Entry
from placet.engine.flow import MOST_VISITS
from placet.sentences import sentence
from simulation.run.driver import Trace
from simulation.world.world import SimulatedRun

MOST_ROUNDS = 20  # of a loop that never ends
MOST_MOMENTS = 1_000  # points in time at which something happens

_COMES_TO = {"waiting", "action_started", "child_started"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Where a rehearsal stops, counted from its start; `stopped` is `loop` or `moments`, and `why` the message."""

    limit: timedelta
    stopped: str
    why: str


def bound_of(simulated: SimulatedRun) -> Bound | None:
    """Return where a rehearsal has to stop before the end of the simulated run; None where it may run to the end."""
    found = [*_loops(simulated, timedelta(0))]
    moments = sorted(set(_moments(simulated, timedelta(0))))
    if len(moments) > MOST_MOMENTS:
        why = sentence(
            "something happens at more than {most_moments:,} points in time; the rehearsal followed the first of them",
            most_moments=MOST_MOMENTS,
        )
        found.append(Bound(limit=moments[MOST_MOMENTS - 1], stopped="moments", why=why))
    bound = min(found, key=lambda b: b.limit, default=None)
    return bound if bound is not None and bound.limit < moments[-1] else None


def _moments(simulated: SimulatedRun, offset: timedelta) -> Iterator[timedelta]:
    trace = simulated.trace
    yield from (offset + entry.at - trace.started_at for entry in trace.entries)
    for began, inner in _begun(simulated):
        yield from _moments(inner, offset + began)


def _loops(simulated: SimulatedRun, offset: timedelta) -> Iterator[Bound]:
    """Generate the bounds of the endless loops of a request and of its sub-processes."""
    trace = simulated.trace
    rounds: Counter[str] = Counter()
    for entry in trace.entries if _endless(trace) else ():
        place = _place(entry)
        rounds[place] += 1
        if place and rounds[place] > MOST_ROUNDS:
            why = sentence("the process has an endless loop through {place!r}; the rehearsal followed", place=place)
            limit = offset + entry.at - trace.started_at
            yield Bound(limit=limit, stopped="loop", why=f"{why} {MOST_ROUNDS} rounds")
            break
    for began, inner in _begun(simulated):
        yield from _loops(inner, offset + began)


def _begun(simulated: SimulatedRun) -> Iterator[tuple[timedelta, SimulatedRun]]:
    """Generate a request's sub-processes, each with the time after which it starts."""
    trace = simulated.trace
    for entry in trace.entries:
        inner = simulated.inner.get(entry.detail["request"]) if entry.kind == "child_started" else None
        if inner is not None:
            yield entry.at - trace.started_at, inner


def _endless(trace: Trace) -> bool:
    """Whether a run was stopped by the driver's bounds, or by the core's bound on visits of one node."""
    visited = max(trace.state.visits.values(), default=0)
    return trace.stopped in {"horizon", "entries"} or (trace.state.status == "failed" and visited >= MOST_VISITS)


def _place(entry: Entry) -> str:
    """Return the node or the stage that an entry enters; "" for other entries."""
    if entry.kind in _COMES_TO:
        return str(entry.detail["node"])
    return entry.stage or "" if entry.kind == "stage_settled" else ""
