"""Shadow: compare a candidate with live requests as they run. It reads what is recorded, and carries nothing out.

A shadow polls: new requests, requests with new entries, and requests in which something would be due by now with the
candidate. It reads the store alone, so approvals cost the same with it as without. It keeps no state that it could not
read again, so another process can take it over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from placet.audit.chain import moment
from placet.definition.model import parse_definition
from placet.sentences import sentence
from simulation import pool_functions
from simulation.modes.backtest import BacktestRow, Candidate, Case, hidden_warning, totals_of
from simulation.pool_functions import CarryOut
from simulation.report.result import json_value
from simulation.scenario.load import candidate_of, cases_of, dependencies, whole_directory
from simulation.scenario.spec import SimulationSpec
from storage.database import Database
from storage.queries.requests import request_rows
from storage.queries.simulations import shadows

RULE = (
    "requests are compared up to now: people decide as recorded, after the recorded time in that stage, and decisions "
    "that were not made yet are unknown; the directory is today's"
)
LATE = timedelta(minutes=1)  # a request may be recorded so long after its start, and is still found by the next poll
WIDELY = timedelta(minutes=1)  # between searches for requests that were recorded later than that
_AT_A_LOOK = 1.0  # seconds of real time for one poll, so that a slow candidate does not block the process
RENEWED = timedelta(minutes=5)  # after this time the people, the catalog and the sub-processes are read again


@dataclass(slots=True, kw_only=True)
class FollowedRequest:
    """One request that a shadow follows: the head that was compared last, and when to compare without a new entry."""

    position: int
    head: str = ""
    ended: bool = False
    due: datetime | None = None
    row: BacktestRow | None = None


@dataclass(kw_only=True)
class Shadow:
    """A candidate's shadow over the requests of one process from `since` on, at most `limit` of them, until `ends`."""

    spec: SimulationSpec
    since: datetime
    ends: datetime
    viewer: str | None  # the person whose requests it may compare; None: all requests
    left_out: int = 0  # requests that the viewer may not see
    followed: dict[str, FollowedRequest] = field(default_factory=dict)
    full: bool = False  # whether there are more requests than `limit`
    template: str = ""
    _candidate: Candidate | None = None
    _read_at: datetime | None = None
    _looked_at: datetime | None = None
    _widely_at: datetime | None = None

    def resume(self, known: Mapping[str, int]) -> None:
        """Continue with the requests that were followed before, by their position."""
        self.followed = {request_id: FollowedRequest(position=position) for request_id, position in known.items()}

    def set_viewer(self, viewer: str | None) -> None:
        """Set the person whose requests are compared; None: all requests."""
        if viewer != self.viewer:
            self.viewer, self._widely_at = viewer, None

    async def poll(self, database: Database, carry_out: CarryOut, now: datetime) -> Sequence[tuple[int, BacktestRow]]:
        """Compare once; returns the new and the changed rows, by their position."""
        candidate = await self._prepared(database, carry_out, now)
        heads, cases = await database.read(self._stale, now)
        if unknown := candidate.uncompiled(case.started_at for case in cases):
            candidate = self._candidate = await carry_out(
                pool_functions.compile_candidate, candidate, unknown, background=True
            )
        compared = (
            await carry_out(pool_functions.shadow_cases, candidate, cases, now, _AT_A_LOOK, background=True)
            if cases
            else []
        )
        found = zip(cases, compared, strict=False)  # the next poll continues with the rest
        self._looked_at = now
        changed = [
            self._update(case, heads[case.id], row, due if due and due > now else None) for case, (row, due) in found
        ]
        return [one for one in changed if one is not None]

    def finished(self, now: datetime) -> bool:
        """Whether the shadow is finished: its time is over, or all the requests that it may follow have ended."""
        return now >= self.ends or (self.full and all(one.ended for one in self.followed.values()))

    def described(self) -> dict[str, Any]:
        """Return the result so far as JSON values, without the rows."""
        rows = [one.row for one in self.followed.values() if one.row is not None]
        version = self._candidate.blueprint.version if self._candidate is not None else self.spec.version
        more = sentence("there are more than {limit} requests; later ones are not followed", limit=self.spec.limit)
        return {
            "mode": "shadow",
            "template": self.template,
            "version": version,
            "rule": RULE,
            "since": moment(self.since),
            "ends_at": moment(self.ends),
            "looked_at": moment(self._looked_at) if self._looked_at is not None else None,
            "running": sum(not one.ended for one in self.followed.values()),
            "totals": json_value(totals_of(rows)),
            "left_out": self.left_out,
            "validation_errors": [],
            "warnings": [*hidden_warning(self.left_out), *([more] if self.full else [])],
        }

    async def _prepared(self, database: Database, carry_out: CarryOut, now: datetime) -> Candidate:
        """Return the candidate among today's people; raises NotFound, InputInvalid and BlueprintInvalid."""
        if self._candidate is None or self._read_at is None or now - self._read_at > RENEWED:
            self.template, raw = await database.read(candidate_of, self.spec)
            blueprint = await carry_out(parse_definition, raw, background=True)
            actions, children = await database.read(dependencies, blueprint, now)
            people = await database.read(whole_directory)
            candidate = Candidate(
                blueprint=blueprint, people=people, prices=self.spec.prices, actions=actions, children=children
            )
            # Errors of the candidate are raised before there is any request.
            self._candidate = await carry_out(pool_functions.compile_candidate, candidate, (now,), background=True)
            self._read_at = now
        return self._candidate

    def _stale(self, connection: Connection, now: datetime) -> tuple[dict[str, str], list[Case]]:
        """Return the heads of the chains of all that still run, and the requests that are to be compared again."""
        self._find_new_requests(connection, now)
        open_ids = [request_id for request_id, one in self.followed.items() if not one.ended]
        heads = shadows.heads(connection, open_ids, viewer=self.viewer)
        stale = [
            request_id
            for request_id, head in heads.items()
            if self.followed[request_id].head != head or _due(self.followed[request_id], now)
        ]
        rows = request_rows.rows(connection, stale)
        return heads, cases_of(connection, sorted(rows, key=lambda row: self.followed[row.id].position))

    def _find_new_requests(self, connection: Connection, now: datetime) -> None:
        """Follow new requests, and at first those that run already."""
        room = self.spec.limit - len(self.followed)
        widely = self._widely_at is None or now - self._widely_at > WIDELY
        since = self.since if widely or self._looked_at is None else max(self._looked_at - LATE, self.since)
        if widely:
            self._widely_at = now
            self.left_out = shadows.left_out(connection, self.template, viewer=self.viewer, since=self.since)
        only: Collection[str] = self.spec.request_ids
        found = shadows.arrived(
            connection,
            self.template,
            viewer=self.viewer,
            since=since,
            pending=widely,
            limit=len(self.followed) + room + 1,
        )
        for row in found:
            if row.id in self.followed or (only and row.id not in only):
                continue
            if room <= 0:
                self.full = True
                return
            room -= 1
            self.followed[row.id] = FollowedRequest(position=len(self.followed) + 1)

    def _update(self, case: Case, head: str, row: BacktestRow, due: datetime | None) -> tuple[int, BacktestRow] | None:
        one = self.followed[case.id]
        before, one.row = one.row, row
        one.head, one.due, one.ended = head, due, case.status != "pending"
        return (one.position, row) if before != row else None


def _due(one: FollowedRequest, now: datetime) -> bool:
    return one.due is not None and one.due <= now
