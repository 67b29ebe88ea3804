"""The edges of what can be sent: cursors of nobody's making, moments at the ends of the calendar, huge numbers."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from tests.approvals import EXPENSE, worker
from tests.documented import document
from tests.integration.recordings import Story, write
from tests.stored import writing
from tests.unit.core import blueprint, graph
from tests.waiting import until

SIMULATIONS = "/workflow/workflow-simulations/"
LISTS = sorted(
    path.removeprefix("/api/v1")
    for path, operations in document()["paths"].items()
    if any(parameter["name"] == "cursor" for parameter in operations.get("get", {}).get("parameters", ()))
)


def encoded(value: Any, *, text: str | None = None) -> str:
    plain = json.dumps(value) if text is None else text
    return base64.urlsafe_b64encode(plain.encode("utf-8", "surrogatepass")).decode().rstrip("=")


HOSTILE = [
    "",
    "%",
    "é",
    "x" * 2000,
    encoded(None),
    encoded(17),
    encoded({}),
    encoded([]),
    encoded(["x"]),
    encoded(["x", "y"]),
    encoded(["x", "y", "z"]),
    encoded([1, 2]),
    encoded([["x"], "y"]),
    encoded([None, "y"]),
    encoded(["\ud800"]),  # half of a character
    encoded(["2026-01-01T00:00:00Z", "\ud800"]),
    encoded(["\0"]),
    encoded(["9" * 12]),
    encoded(["9" * 40]),
    encoded(["٣"]),  # a digit, elsewhere
    encoded(["2026-01-01", "y"]),
    encoded(["2026-01-01T00:00:00", "y"]),
    encoded(["0001-01-01T00:00:00+23:59", "y"]),  # before the calendar begins
    encoded(["9999-12-31T23:59:59-23:59", "y"]),  # after it has ended
    encoded(["0001-01-01T00:00:00Z", "y"]),
    encoded(["9999-12-31T23:59:59.999999Z", "y"]),
    encoded(["2026-W01-1T00:00:00Z", "y"]),
    encoded(None, text="[" * 1400),
    encoded(None, text="[" + "9" * 1400 + ",1]"),
    encoded(None, text="[NaN, Infinity]"),
    encoded(["0000000001", "k" * 1200, "mail"]),
]


@pytest_asyncio.fixture
async def alone(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened


async def test_no_cursor_breaks_a_list(alone: ApiDesk) -> None:
    with writing(alone.database) as session:
        write(session, Story(request_id="r1").open("bob").recording(), datetime.now(UTC))
    simulated = await alone.post(SIMULATIONS, {"mode": "explore", "blueprint": EXPENSE}, as_="adam")
    assert simulated.status_code == 201, simulated.text
    drafted = await alone.post("/workflow/blueprint-drafts/", {"content": EXPENSE}, as_="adam")
    assert drafted.status_code == 201, drafted.text
    hook = await alone.post("/workflow/webhooks/", {"url": "https://93.184.216.34/hook"}, as_="adam")
    assert hook.status_code == 201, hook.text
    ids = {"request_id": "r1", "person_id": "bob", "webhook_id": hook.json()["id"]}
    ids |= {"simulation_id": simulated.json()["id"], "draft_id": drafted.json()["id"]}
    assert len(LISTS) >= 9
    for path in LISTS:
        for cursor in HOSTILE:
            answer = await alone.http.get(
                f"/api/v1{path.format(**ids)}",
                params={"cursor": cursor},
                headers={"Authorization": f"Bearer {await alone.token('adam')}"},
            )
            assert answer.status_code in {200, 422}, (path, cursor, answer.text)
            if answer.status_code == 422:
                assert pointers(answer) == ["/cursor"], (path, cursor)


@pytest.mark.parametrize("given", ["9" * 10, "9" * 30, "9" * 5000, "-1", "1e3", "x"])
async def test_a_last_event_that_no_stream_gave_is_refused_before_the_stream_begins(alone: ApiDesk, given: str) -> None:
    path = f"{SIMULATIONS}nothing/events/"
    headers = {"Last-Event-ID": given.encode("utf-8", "replace").decode("latin-1")}
    answer = await alone.call("GET", path, as_="adam", headers=headers)
    assert (answer.status_code, pointers(answer)) == (422, ["/last-event-id"]), answer.text


MOMENTS = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "0001-01-02T00:00:00-14:00",
    "1969-12-31T23:59:59Z",
    "2026-03-01T00:00:00.123456789Z",
    "9999-12-31T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-14:00",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
]
DAYS = ["0001-01-01", "9999-12-31", "0000-01-01", "10000-01-01"]


@pytest.mark.parametrize("moment", [*MOMENTS, *DAYS])
async def test_an_absence_at_the_ends_of_the_calendar_is_stored_or_refused_at_its_place(
    alone: ApiDesk, moment: str
) -> None:
    for away in (
        {"from": moment, "until": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "until": moment},
        {"from": moment, "until": moment},
    ):
        answer = await alone.call("PUT", "/workflow/people/zoe/", body={"away": away}, as_="adam")
        assert answer.status_code in {200, 422}, answer.text
        if answer.status_code == 422:
            assert all(pointer.startswith("/away") for pointer in pointers(answer))
        assert (await alone.get("/workflow/people/zoe/", as_="adam")).status_code == 200
        asked = {"mode": "explore", "blueprint": EXPENSE, "input": {"amount": "1"}, "requester": "zoe"}
        for more in ({}, {"starts_at": moment}):
            found = await alone.post(SIMULATIONS, {**asked, **more}, as_="adam")
            assert found.status_code in {201, 422}, found.text


@pytest_asyncio.fixture
async def desk(sqlite_url: str, client: Client) -> AsyncIterator[ApiDesk]:
    queue = f"edges-{uuid.uuid4().hex[:8]}"
    database = Database(sqlite_url)
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue) as opened:
        yield opened
    await database.close()


async def test_a_deadline_is_moved_to_no_moment_that_cannot_be_reckoned_with(desk: ApiDesk) -> None:
    name = await desk.publish(owner="user:olivia")
    request = await desk.start(name, amount="7")
    path = f"/workflow/requests/{request['id']}"
    for moment in MOMENTS:
        answer = await desk.post(f"{path}/extend/", {"due_at": moment}, as_="olivia")
        assert answer.status_code in {200, 422}, (moment, answer.text)
    for body in ({"hours": 87_660}, {"seconds": 315_576_000}):
        answer = await desk.post(f"{path}/extend/", body, as_="olivia")
        assert answer.status_code in {200, 422}, (body, answer.text)
    task = request["tasks"][0]
    decided = await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="bob")
    assert decided.status_code == 200, decided.text


async def test_a_wait_until_a_day_at_the_ends_of_the_calendar_ends_in_a_state_and_leaves_the_engine_well(
    desk: ApiDesk,
) -> None:
    until_day = [{"name": "day", "type": "date", "required": True}, {"name": "at", "type": "datetime"}]
    nodes: dict[str, dict[str, Any]] = {"w": {"type": "wait", "until": "day"}}
    edges = ("start -> w", "w -> approved")
    settings = {"timezone": "Pacific/Kiritimati"}
    raw = blueprint(variables=until_day, graph_spec=graph(*edges, nodes=nodes, ends=("approved",)), settings=settings)
    name = await desk.publish(raw)
    for day in DAYS:
        for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", None):
            body = {"template": name, "input": {"day": day, **({"at": at} if at else {})}}
            answer = await desk.post("/workflow/requests/", body)
            assert answer.status_code in {201, 422}, (day, at, answer.text)
            if answer.status_code != 201:
                continue
            path = f"/workflow/requests/{answer.json()['id']}"
            past = day == "0001-01-01"

            async def settled(path: str = path, *, past: bool = past) -> dict[str, Any] | None:
                found: dict[str, Any] = (await desk.get(f"{path}/")).json()
                return found if not past or found["status"] != "pending" else None

            # Midnight there is before all time: that it cannot be computed ends the request, and says why.
            assert (await until(settled) or {})["status"] == ("failed" if past else "pending")
            if not past:
                assert (await desk.post(f"{path}/withdraw/", {})).status_code == 200
