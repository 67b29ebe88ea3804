"""Who stands in for whom, and who is in a queue, by the people as they are stored now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from storage.database import Database
from storage.queries.people import people
from storage.queries.requests import deciders
from storage.queries.requests.visibility import Visibility
from tests.approvals import person
from tests.stored import writing

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def away(substitute: str | None, *, month: int = 3) -> list[dict[str, Any]]:
    return [{"from": f"2026-0{month}-01T00:00:00Z", "until": f"2026-0{month}-28T00:00:00Z", "substitute": substitute}]


async def store(database: Database, *rows: dict[str, Any]) -> None:
    with writing(database) as session:
        for row in rows:
            people.put(session.connection(), person(**row))


async def test_stand_ins_are_those_of_now_and_of_those_who_are_away_too(database: Database) -> None:
    await store(
        database,
        {"id": "ann", "away": away("ben")},
        {"id": "ben", "away": away("cid")},
        {"id": "cid", "groups": ["finance"], "roles": ["cfo"]},
        {"id": "dan", "away": away("cid", month=4)},
        {"id": "eve", "away": away("fay")},
        {"id": "fay", "away": away("eve")},
        {"id": "gus", "away": away("gone")},
        {"id": "gone", "active": False},
        {"id": "hal", "away": away(None)},
    )
    everybody = ["ann", "ben", "cid", "dan", "eve", "fay", "gus", "hal", "nobody"]
    found = await database.read(deciders.substitutes_of, everybody, NOW)
    assert found == {"ann": ["ben", "cid"], "ben": ["cid"], "eve": ["fay"], "fay": ["eve"]}
    visibility = await database.read(deciders.visibility_of, "cid", NOW)
    assert visibility == Visibility(person="cid", queues=("role:cfo", "group:finance"), absent=("ben", "ann"))
    assert (await database.read(deciders.visibility_of, "nobody", NOW)).absent == ()


async def test_a_queue_is_of_those_who_may_decide_and_those_who_stand_in_for_them(database: Database) -> None:
    await store(
        database,
        {"id": "ann", "groups": ["finance"], "away": away("zoe")},
        {"id": "ben", "groups": ["finance", "finance_2"]},
        {"id": "cid", "groups": ["finance"], "access": ["requester"]},
        {"id": "dan", "groups": ["finance"], "active": False},
        {"id": "eve", "groups": ["finance_2"], "roles": ["finance"]},
        {"id": "zoe"},
        {"id": "fay", "groups": ["finance"], "away": away("ida")},
        {"id": "ida", "access": ["requester"]},
        {"id": "gus", "groups": ["finance"], "access": [], "away": away("hal")},
        {"id": "hal"},
    )
    queues = ["group:finance", "role:finance", "role:nobody"]
    found = await database.read(deciders.members, queues, NOW)
    assert found == {
        "group:finance": {"ann": {"ann"}, "zoe": {"ann"}, "ben": {"ben"}, "fay": {"fay"}},
        "role:finance": {"eve": {"eve"}},
        "role:nobody": {},
    }
