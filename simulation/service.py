"""Carry an order out, whichever mode it asks for, and tell how it goes. Only `finish` of the caller writes anything."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from temporalio.client import Client

from placet.check import check
from simulation.backtest import MOST_SECONDS, Backtest, Candidate, Row, put_all, totals_of, unseen
from simulation.explore import explore
from simulation.gather import candidate_of, case_of, cases_of, everybody, question_of, surroundings, template_of
from simulation.order import Order, patched
from simulation.question import Question
from simulation.rehearse import Stage, rehearse
from simulation.replay import check_history, what_if
from simulation.result import Simulation
from storage import simulations
from storage.database import Database

Tell = Callable[[dict[str, Any]], None]
T = TypeVar("T")
_PIECE = 500  # requests whose timelines are in memory at a time


class Stopped(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What simulations are carried out with. Without `client` there is no engine: nothing is rehearsed or replayed."""

    database: Database
    client: Client | None = None
    rehearsals: str = "placet-rehearsal"
    ui_url: str | None = None

    async def carry_out(
        self,
        order: Order,
        *,
        requester: str,
        viewer: str | None,
        simulation_id: str,
        now: datetime,
        tell: Tell | None = None,
    ) -> dict[str, Any]:
        """Return the answer as JSON values. Raises NotFound, InputInvalid, BlueprintInvalid and Unavailable.

        Of real requests a backtest looks at those that are `viewer`'s to see (None: all), and counts the others.
        """
        work: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
            "explore": lambda: self._explore(order, requester, simulation_id, now, tell),
            "rehearse": lambda: self._rehearse(order, requester, simulation_id, now, tell),
            "replay": lambda: self._replay(order, now),
            "backtest": lambda: self._backtest(order, viewer, now, tell),
            "shadow": lambda: self._backtest(order, viewer, now, tell),
        }
        told = await work[order.mode]()
        return {**told, "warnings": [*order.unheard, *told["warnings"]]}

    async def _explore(
        self, order: Order, requester: str, simulation_id: str, now: datetime, tell: Tell | None
    ) -> dict[str, Any]:
        question = await self._question(order, requester, simulation_id, now)
        return await _in_thread(lambda told: checked(question, explore(question, tell=told)), tell)

    async def _rehearse(
        self, order: Order, requester: str, simulation_id: str, now: datetime, tell: Tell | None
    ) -> dict[str, Any]:
        question = await self._question(order, requester, f"rehearsal-{simulation_id}", now)
        if self.client is None:
            told = await _in_thread(lambda told: checked(question, explore(question, tell=told)), tell)
            why = "there is no engine here, so the process was explored instead of rehearsed"
            return {**told, "mode": "rehearse", "fell_back_to": "explore", "warnings": [why, *told["warnings"]]}
        stage = Stage.beside(self.client, self.rehearsals, self.ui_url)
        found = await rehearse(stage, question, tell=tell)
        return await asyncio.to_thread(checked, question, found)

    async def _replay(self, order: Order, now: datetime) -> dict[str, Any]:
        async with self.database.session() as session:
            row, case = await case_of(session, order.request_id or "")
            original = (await template_of(session, row.template_id)).blueprint
            raw: Any = order.blueprint
            if raw is None and (order.template or order.version):
                raw = (await template_of(session, order.template or row.template, order.version)).blueprint
            raw = patched(original if raw is None else raw, order.patch)
            actions, children = await surroundings(session, raw, case.started_at)
            question = Question(
                blueprint=raw,
                actions=actions,
                children=children,
                people=await everybody(session),
                requester=order.person or case.requester,
                start=case.started_at,
                given=order.input if order.input is not None else case.given,
                script=order.script,
                history=await simulations.response_times(session, row.template),
                decide_after=order.decide_after,
                horizon=order.horizon,
                prices=order.prices,
                request_id=case.id,
                title=row.title,
            )
        history = await check_history(self.client, case.id)
        unchanged = raw == original and not order.script and order.input is None
        found = await asyncio.to_thread(what_if, question, case, checked=history, now=now, unchanged=unchanged)
        return await asyncio.to_thread(checked, question, found)

    async def _backtest(self, order: Order, viewer: str | None, now: datetime, tell: Tell | None) -> dict[str, Any]:
        running = order.mode == "shadow"
        async with self.database.session() as session:
            name, raw = await candidate_of(session, order)
            actions, children = await surroundings(session, raw, now)
            wanted = (*order.request_ids, *((order.request_id,) if order.request_id else ()))
            requests, hidden = await simulations.requests_of(
                session, name, viewer=viewer, limit=order.limit, running=running, only=wanted
            )
            people = await everybody(session)
        candidate = Candidate.of(raw, people, order.prices, actions=actions, children=children)
        candidate.plan(now)  # what is wrong with it is told also where there is no request to put through
        begun = perf_counter()
        rows: list[Row] = []
        # Piece by piece: the timelines of all requests at once would take more memory than there may be.
        for first in range(0, len(requests), _PIECE):
            async with self.database.session() as session:
                cases = await cases_of(session, requests[first : first + _PIECE])
            put = partial(
                put_all, candidate, cases, until=now if running else None, end=begun + MOST_SECONDS,
                done=len(rows), of=len(requests),
            )  # fmt: skip
            found = await _in_thread(lambda told, put=put: put(tell=told), tell)  # type: ignore[misc]  # bound early
            rows += found
            if len(found) < len(cases):
                break
        whole = Backtest(rows=tuple(rows), totals=totals_of(rows), seconds=perf_counter() - begun)
        left = len(requests) - len(rows)
        warnings = unseen(hidden)
        if left:
            warnings.append(f"{left} requests were left out: it took more than {MOST_SECONDS:g} seconds")
        if not requests and not hidden:
            warnings.append(f"no request of {name!r} {'runs' if running else 'has ended'} yet")
        return {
            "mode": order.mode,
            "template": name,
            "version": candidate.blueprint.version,
            **whole.described(),
            "left_out": hidden,
            "validation_errors": [],
            "warnings": warnings,
        }

    async def _question(self, order: Order, requester: str, simulation_id: str, now: datetime) -> Question:
        async with self.database.session() as session:
            return await question_of(session, order, requester=requester, now=now, simulation_id=simulation_id)


def checked(question: Question, simulation: Simulation) -> dict[str, Any]:
    """Return the answer with what the proofs say of the blueprint beside what the simulation itself found."""
    told = simulation.described()
    if simulation.failed:
        return told
    report = check(
        question.blueprint,
        directory=question.people if question.people.people else None,
        actions=question.actions,
        children=question.children,
    )
    known = {error["pointer"] for error in told["validation_errors"]}
    errors = [f.described() for f in report.findings if f.severity == "error" and f.pointer not in known]
    told["validation_errors"] += errors
    told["warnings"] += [f"{f.pointer}: {f.message}" for f in report.findings if f.severity == "warning"]
    return told


def failed(result: dict[str, Any]) -> bool:
    """Whether an answer says that nothing could be simulated."""
    return bool(result.get("validation_errors")) and not result.get("execution_path")


async def _in_thread(work: Callable[[Tell | None], T], tell: Tell | None) -> T:
    """Run work beside the event loop; where the task is cancelled, the thread ends at the next thing it tells."""
    loop = asyncio.get_running_loop()
    gone = threading.Event()

    def told(what: dict[str, Any]) -> None:
        if gone.is_set():
            raise Stopped
        if tell is not None:
            loop.call_soon_threadsafe(tell, what)

    try:
        return await asyncio.to_thread(work, told)
    except asyncio.CancelledError:
        gone.set()
        raise
