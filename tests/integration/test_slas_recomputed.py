"""Whatever happens, and whoever dies meanwhile: what SLAs have stored, counted and shown is what the chains say.

Hypothesis draws what happens. A model of a few lines, which knows only when executions began and ended, says what is to
be on record; `verify_slas` recomputes the same from the audit entries.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from service.context import Context
from service.principal import Principal
from service.slas import monitoring
from service.slas.definitions import SlaFacts, change_sla
from service.slas.forgetting import forget_executions
from service.slas.monitoring import SlaMonitor, live_window, stored_window
from service.slas.verifying import verify_slas
from storage.database import Database
from storage.queries.slas import breaches, definitions
from storage.queries.slas.gauges import BREACHED, EXECUTIONS, slo_gauges
from storage.tables.approvals import AuditEntry
from storage.tables.slas import WorkflowSla
from tests.databases import empty
from tests.integration.recordings import NOW, Story
from tests.integration.recordings import write as write_recording
from tests.stored import reading, writing

PROCESS, STAGE = "Expense approval", "Manager Approval"
HOUR = timedelta(hours=1)
MOVED = timedelta(minutes=41)
# Target, critical threshold and window in hours, of the process and of its stage.
TERMS = {None: (2.0, 4.0, 24.0), STAGE: (1.0, 1.5, 30.0)}
DESI = Principal(person="desi", access=frozenset({"designer"}))


@dataclass
class Span:
    """An execution as the model knows it."""

    began: datetime
    ended: datetime | None = None
    settled: bool = True

    def hours(self, now: datetime) -> float:
        return ((self.ended or now) - self.began) / HOUR


@dataclass
class Request:
    """A request: what was recorded of it last, and its executions in the model."""

    story: Story
    process: Span
    visits: list[Span]
    returned: bool = False


class Died(Exception):
    """A process died within a transaction."""


@dataclass
class World:
    """One database, its SLAs and requests, and a clock."""

    database: Database
    now: datetime = NOW
    requests: dict[int, Request] = field(default_factory=dict)
    slas: list[WorkflowSla] = field(default_factory=list)
    changed: bool = False  # whether thresholds were, from when on breaches on record and the terms differ

    async def begin(self) -> None:
        """Empty the database, and add the SLAs."""

        def emptied(connection: Connection) -> None:
            empty(connection)
            for stage, (target, critical, window) in TERMS.items():
                definitions.add(connection, _sla(stage, target, critical, window))

        await self.database.write(emptied)
        self.slas = await self.database.read(definitions.every)

    def record(self, number: int, story: Story, **changes: Any) -> None:
        """Record what happened last to a request."""
        one = self.requests[number]
        one.story = story
        facts = {"template": PROCESS, "started_at": one.process.began, "returned": one.returned, **changes}
        with writing(self.database) as session:
            write_recording(session, story.recording(in_history=True, **facts), self.now)

    async def happens(self, what: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let one thing happen, if it can."""
        one = self.requests.get(number)
        if what == "begin" and one is None:
            self._begin(number, self.now)
        elif what in {"return", "resubmit", "settle", "close", "complete", "withdraw"} and one is not None:
            self._goes_on(number, one, what)
        elif what == "rewrite" and one is not None and one.story.seq == 2:
            if (began := one.process.began + MOVED) <= self.now:  # nothing is recorded before it happens
                event("history has replaced entries")
                self._begin(number, began)
        elif what == "pass":
            self.now += timedelta(minutes=(7, 50, 90, 400)[number % 4])
        elif what == "look":
            monitors = [SlaMonitor(self.database, again=20 * HOUR) for _ in range(1 + number % 3)]
            await asyncio.gather(*(monitor.look(self.now) for monitor in monitors))
        elif what == "die":
            await self._dies(("mail", "count")[number % 2], monkeypatch)
        elif what == "acknowledge":
            await self.database.write(_acknowledge, self.now)
        elif what == "forget":
            while await self.database.write(forget_executions, self.now, timedelta(0)):
                event("executions were forgotten")
        elif what == "change":
            await self._change(number)

    async def finish(self) -> None:
        """Let time pass until everything that ended is judged, and the last look has noted it."""
        for _ in range(3):
            self.now += 2 * HOUR
            await SlaMonitor(self.database, again=20 * HOUR).look(self.now)

    def spans(self, stage: str | None) -> Iterator[tuple[str, Span]]:
        """Yield the executions that an SLA of the process, or of the stage, measures."""
        for one in self.requests.values():
            for span in [one.process] if stage is None else one.visits:
                yield one.story.request_id, span

    def on_record(self) -> Counter[tuple[str, str, str, float]]:
        """Return what breaches there are in the model: SLA, request, severity and hours taken."""
        found: Counter[tuple[str, str, str, float]] = Counter()
        for stage, (target, critical, _) in TERMS.items():
            for request_id, span in self.spans(stage):
                for severity, threshold in (("warning", target), ("critical", critical)):
                    if span.hours(self.now) > threshold:
                        taken = span.hours(self.now) if span.ended else 0
                        found[str(stage), request_id, severity, round(taken, 6)] += 1
        return found

    def in_window(self, stage: str | None) -> tuple[int, int]:
        """Return how many executions are in the window of an SLA that ends now, and how many of them were late."""
        target, _, window = TERMS[stage]
        total = late = 0
        for _, span in self.spans(stage):
            is_late = span.hours(self.now) > target
            known = span.began + target * HOUR if is_late else span.ended if span.settled else None
            if known is not None and self.now - window * HOUR < known <= self.now:
                total, late = total + 1, late + is_late
        return total, late

    def _begin(self, number: int, at: datetime) -> None:
        story = Story(request_id=f"r{number}", at=at).open("bob", requester="ann")
        self.requests[number] = Request(story=story, process=Span(at), visits=[Span(at)])
        self.record(number, story)

    def _goes_on(self, number: int, one: Request, what: str) -> None:
        story = replace(one.story, at=self.now, first=one.story.seq + 1)
        visit, task = one.visits[-1], story.tasks[-1]
        if one.process.ended is not None:
            return
        if what == "withdraw":
            one.process.ended, one.process.settled = self.now, False
            if visit.ended is None:
                visit.ended, visit.settled = self.now, False
            self.record(number, replace(story, outcome="withdrawn")._add("withdrawn"), status="cancelled")
        elif what == "return" and visit.ended is None:
            visit.ended, one.returned = self.now, True
            self.record(number, _decided(story)._add("changes_requested", task=task))
        elif what == "resubmit" and one.returned:
            one.returned = False
            one.visits.append(Span(self.now))
            again = story._add("resubmitted").ask("bob")
            self.record(number, replace(again, first=story.first))
        elif what == "settle" and visit.ended is None:
            visit.ended = self.now
            self.record(number, _decided(story)._add("stage_settled", task=task, result="approved"))
        elif what == "close" and visit.ended is None:  # its branch is no longer needed
            visit.ended, visit.settled = self.now, False
            closed = replace(task, status="superseded")
            story = replace(story, tasks=(*story.tasks[:-1], closed))
            self.record(number, story._add("task_closed", task=task))
        elif what == "complete" and not one.returned:
            one.process.ended = self.now
            if visit.ended is None:
                visit.ended = self.now
                story = _decided(story)._add("stage_settled", task=task, result="approved")
            self.record(number, replace(story, outcome="approved")._add("completed", outcome="approved"))

    async def _dies(self, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a process die after it has written nearly all of a transaction, so that nothing of it is there."""

        def die(*_: Any) -> None:
            raise Died

        with monkeypatch.context() as patch:
            patch.setattr(monitoring.breaches, where, die)
            try:
                await SlaMonitor(self.database, again=20 * HOUR).look(self.now)
            except Died:
                event(f"a process died before it could {where}")

    async def _change(self, number: int) -> None:
        """Change the thresholds of an SLA, or its window alone."""
        self.changed = True
        sla = (await self.database.read(definitions.every))[number % len(self.slas)]
        facts = {name: getattr(sla, name) for name in SlaFacts.__slots__}
        if number % 4 < 2:
            facts |= {"target_duration_seconds": 1800.0, "critical_threshold_seconds": 9000.0}
        else:
            facts |= {"slo_window_hours": 60.0}
        context = Context(database=self.database, client=cast(Any, None), task_queue="", clock=lambda: self.now)
        await change_sla(context, DESI, sla.id, SlaFacts(**facts))


def _sla(stage: str | None, target: float, critical: float, window: float) -> WorkflowSla:
    return WorkflowSla(
        id=f"sla-{stage}",
        name=str(stage),
        template=PROCESS,
        stage=stage,
        target_duration_seconds=target * 3600,
        critical_threshold_seconds=critical * 3600,
        slo_window_hours=window,
        slo_target_percentage=90,
        since=NOW - 24 * HOUR,
        judged_until=NOW - 24 * HOUR,
        created_by="desi",
        created_at=NOW,
        updated_by="desi",
        updated_at=NOW,
    )


def _decided(story: Story) -> Story:
    task = replace(story.tasks[-1], status="decided", decision="approve", decided_by="bob", decided_at=story.at)
    done = replace(story, tasks=(*story.tasks[:-1], task))
    return done._add("decided", actor="user:bob", task=task, decision="approve", after="approve")


def _acknowledge(connection: Connection, now: datetime) -> None:
    for row in breaches.page(connection, limit=1, chosen=breaches.Chosen(acknowledged=False)).items:
        breaches.acknowledge(connection, row.id, by="adam", notes="Seen.", now=now)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """Give an event loop for the whole module: Hypothesis calls tests that are not coroutines."""
    with asyncio.Runner() as runner:
        yield runner


HAPPENS = st.sampled_from(
    ["begin"] * 4
    + ["pass"] * 6
    + ["look"] * 3
    + [
        "return",
        "resubmit",
        "settle",
        "close",
        "complete",
        "complete",
        "withdraw",
        "rewrite",
        "die",
        "acknowledge",
        "forget",
    ]
)
STEPS = st.tuples(HAPPENS, st.integers(0, 4))
DRAWN = (Phase.explicit, Phase.reuse, Phase.generate)  # to shrink what takes a database takes too long


@settings(max_examples=15, phases=DRAWN)
@given(steps=st.lists(STEPS, min_size=5, max_size=30))
def test_what_is_stored_counted_and_shown_is_what_happened(
    loop: asyncio.Runner, database_url: str, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, int]]
) -> None:
    async def checked() -> None:
        world = World(Database(database_url))
        await world.begin()
        for what, number in steps:
            await world.happens(what, number, monkeypatch)
        await world.finish()
        found = await verify_slas(world.database, world.now)
        assert found["faults"] == []
        rows = (await world.database.read(breaches.page, limit=500)).items
        stored = Counter(
            (str(row.stage), row.request_id, row.severity, _hours(world, row.request_id, row.visit, row))
            for row in rows
        )
        assert stored == world.on_record()
        for severity in {row.severity for row in rows}:
            event(f"breaches: {severity}")
        counted = await world.database.read(breaches.counted)
        assert {name: number for name, number in counted.items() if number} == Counter(row.severity for row in rows)
        gauges = await world.database.read(slo_gauges, world.now)
        for sla in world.slas:
            labels = (PROCESS, sla.name, sla.id)
            expected = world.in_window(sla.stage)
            assert (gauges[EXECUTIONS][labels], gauges[BREACHED][labels]) == expected
            for window in (stored_window, live_window):
                figures = (await world.database.read(window, sla, world.now)).figures
                assert (figures.total, figures.breached) == expected
        await world.database.close()

    loop.run(checked())


@settings(max_examples=15, phases=DRAWN)
@given(steps=st.lists(st.one_of(STEPS, st.tuples(st.just("change"), st.integers(0, 4))), min_size=5, max_size=30))
def test_with_other_thresholds_in_between_what_is_stored_is_still_what_the_chains_say(
    loop: asyncio.Runner, database_url: str, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, int]]
) -> None:
    async def checked() -> None:
        world = World(Database(database_url))
        await world.begin()
        for what, number in steps:
            await world.happens(what, number, monkeypatch)
        await world.finish()
        assert (await verify_slas(world.database, world.now))["faults"] == []
        for sla in await world.database.read(definitions.every):
            stored = (await world.database.read(stored_window, sla, world.now)).figures
            assert stored == (await world.database.read(live_window, sla, world.now)).figures
        await world.database.close()

    loop.run(checked())


def _hours(world: World, request_id: str, visit: int, row: Any) -> float:
    """Return the hours that a breach says, of an execution that has ended; 0 of one that is open."""
    number = int(request_id.removeprefix("r"))
    one = world.requests[number]
    if row.stage is None:
        ended = one.process.ended
    else:
        with reading(world.database) as session:
            began = session.get_one(AuditEntry, (request_id, visit)).at
        ended = next(span.ended for span in one.visits if span.began == began)
    return round(row.actual_duration_seconds / 3600, 6) if ended else 0
