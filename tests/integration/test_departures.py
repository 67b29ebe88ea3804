"""Whoever leaves is noted with the change itself, and looked after until no task waits for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from placet.errors import Unavailable
from service.administration.people import tell_departures
from storage.database import Database
from storage.queries.people import departures, people
from storage.tables.approvals import ApprovalTask
from tests.approvals import person
from tests.stored import writing

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class Told:
    """What was told, by somebody who answers that every request runs, or none does, or who reaches no engine."""

    running: bool = True
    reached: bool = True
    requests: list[str] = field(default_factory=list)

    async def __call__(self, request_id: str) -> bool:
        self.requests.append(request_id)
        if not self.reached:
            raise Unavailable
        return self.running


async def _leaves(database: Database, who: str) -> None:
    with writing(database) as session:
        people.put(session.connection(), person(id=who))
    with writing(database) as session:
        people.put(session.connection(), person(id=who, active=False, updated_at=NOW))


def _task(request_id: str, **more: object) -> ApprovalTask:
    full = {"assignee": None, "candidates": [], "delegates": [], "status": "open"} | more
    return ApprovalTask(
        id=f"{request_id}.1",
        request_id=request_id,
        position=0,
        stage="Manager",
        round=1,
        assigned_via="approver",
        opened_at=NOW,
        sla_state="ok",
        **full,
    )


async def _waiting(database: Database) -> None:
    with writing(database) as session:
        session.add(_task("hers", assignee="bob"))
        session.add(_task("other", assignee="dora"))
        session.add(_task("done", assignee="bob", status="decided"))


async def _look(database: Database, told: Told, *, after: float) -> list[str]:
    told.requests.clear()
    await tell_departures(database, told, NOW + timedelta(seconds=after))
    return told.requests


async def test_requests_are_told_ever_more_rarely_until_nothing_waits(database: Database) -> None:
    await _waiting(database)
    await _leaves(database, "bob")
    told = Told()
    moments = [0, 1, 5, 6, 10, 11, 20, 39, 40]
    assert [moment for moment in moments if await _look(database, told, after=moment) == ["hers"]] == [0, 5, 10, 20, 40]
    with writing(database) as session:
        task = session.get(ApprovalTask, "hers.1")
        assert task is not None
        task.assignee = "dora"
    assert await _look(database, told, after=80) == []
    assert await database.read(departures.due, NOW + timedelta(days=9)) == []


async def test_a_departure_is_kept_for_requests_that_read_the_directory_just_before(database: Database) -> None:
    await _leaves(database, "bob")
    told = Told()
    assert await _look(database, told, after=0) == []
    await _waiting(database)
    assert await _look(database, told, after=6) == ["hers"]


async def test_what_the_engine_no_longer_runs_is_not_told_for_ever(database: Database) -> None:
    await _waiting(database)
    await _leaves(database, "bob")
    told = Told(running=False)
    assert await _look(database, told, after=70) == ["hers"]
    assert await _look(database, told, after=7200) == []


async def test_a_departure_is_in_one_hand_at_a_time(database: Database) -> None:
    await _waiting(database)
    await _leaves(database, "bob")
    assert await database.write(departures.take, "bob", NOW) == ["hers"]
    assert await database.write(departures.take, "bob", NOW) is None


async def test_what_could_not_be_told_is_told_soon_also_long_after_somebody_has_left(database: Database) -> None:
    await _waiting(database)
    await _leaves(database, "bob")
    told, hour = Told(reached=False), 3600
    assert await _look(database, told, after=hour) == ["hers"]
    assert await _look(database, told, after=hour + 9) == []
    told.reached = True
    assert await _look(database, told, after=hour + 10) == ["hers"]
    assert await _look(database, told, after=2 * hour) == [], "the engine has it now"


async def test_a_departure_that_a_killed_process_had_taken_is_taken_by_the_next(database: Database) -> None:
    await _waiting(database)
    await _leaves(database, "bob")
    assert await database.write(departures.take, "bob", NOW + timedelta(hours=1)) == ["hers"]
    assert await _look(database, Told(), after=3610) == ["hers"]


async def test_a_departure_that_is_noted_while_others_are_told_is_looked_at_at_once(database: Database) -> None:
    await _waiting(database)
    await _leaves(database, "bob")
    assert await database.write(departures.take, "bob", NOW) == ["hers"]
    await database.write(departures.note, "bob", NOW + timedelta(seconds=1))
    await database.write(departures.postpone, "bob", NOW)
    assert await _look(database, Told(), after=1) == ["hers"]


async def test_who_changes_their_absences_has_what_a_substitute_has_for_them_looked_at(database: Database) -> None:
    await _waiting(database)
    with writing(database) as session:
        session.add(_task("stood_in", assignee="dora"))
        people.put(session.connection(), person(id="bob"))
    with writing(database) as session:
        task = session.get(ApprovalTask, "stood_in.1")
        assert task is not None
        task.assigned_via = "substitution:bob"
    assert await _look(database, Told(), after=0) == []
    for away in ([{"from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z", "substitute": "dora"}], []):
        with writing(database) as session:
            people.put(session.connection(), person(id="bob", away=away, updated_at=NOW))
        assert await _look(database, Told(), after=0) == ["stood_in"]
    with writing(database) as session:
        people.put(session.connection(), person(id="bob", name="Bobby", updated_at=NOW))
    assert await _look(database, Told(), after=5) == ["stood_in"], "another change does not make it forgotten"
    assert await _look(database, Told(), after=61) == [], "the substitute may have it by right"
    assert await database.read(departures.due, NOW + timedelta(days=9)) == []


async def test_whoever_is_back_has_not_left(database: Database) -> None:
    await _waiting(database)
    await _leaves(database, "bob")
    with writing(database) as session:
        people.put(session.connection(), person(id="bob"))
    assert await _look(database, Told(), after=0) == []


@pytest.mark.parametrize("known", [True, False])
async def test_whoever_stays_or_never_was_there_does_not_leave(database: Database, known: bool) -> None:
    if known:
        with writing(database) as session:
            people.put(session.connection(), person(id="bob"))
    with writing(database) as session:
        people.put(session.connection(), person(id="bob", active=known))
    assert await database.read(departures.due, NOW + timedelta(days=9)) == []
