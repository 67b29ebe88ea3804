"""Standing shadows over HTTP, beside live requests on the real engine, on both databases."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from service.simulations.shadows import MOST, Shadows
from storage.database import Database
from tests.acceptance.test_simulations import PATH, TWO_STAGES, decide, give_access
from tests.api_desk import ApiDesk, api_desk, context_of
from tests.approvals import worker
from tests.waiting import until

ONE_STAGE: list[dict[str, Any]] = [{"op": "remove", "path": "/process_steps/1"}]
AT_ONCE: list[dict[str, Any]] = [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 1 / 3600}]


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    """Give the API with a worker on the real engine."""
    queue = f"api-{uuid.uuid4().hex[:8]}"
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue) as opened:
        yield opened


async def cast(desk: ApiDesk, template: str, **order: Any) -> dict[str, Any]:
    """Cast a shadow over a process, and return it once it has looked for the first time, or has failed to."""
    made = await desk.post(PATH, {"mode": "shadow", "template": template, **order}, as_="audrey")
    assert made.status_code == 201, made.text

    async def looked() -> dict[str, Any] | None:
        found = await seen(desk, made.json())
        return found if "totals" in found or found["status"] != "running" else None

    return await until(looked, what="the first look") or {}


async def seen(desk: ApiDesk, shadow: dict[str, Any]) -> dict[str, Any]:
    """Read a shadow as it is now."""
    return dict((await desk.get(f"{PATH}{shadow['id']}/", as_="audrey")).json())


async def row_of(desk: ApiDesk, shadow: dict[str, Any], request_id: str, **facts: Any) -> dict[str, Any]:
    """Wait until the shadow says this of the candidate's course of a request."""

    async def told() -> dict[str, Any] | None:
        rows = {row["request_id"]: row for row in (await seen(desk, shadow)).get("rows", ())}
        row = rows.get(request_id)
        after = (row or {}).get("after") or {}
        return row if row is not None and all(after[name] == value for name, value in facts.items()) else None

    return await until(told) or {}


async def test_a_shadow_takes_requests_and_decisions_as_they_come(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    before = await desk.start(name, amount="7")
    shadow = await cast(desk, name, patch=ONE_STAGE)
    assert (shadow["status"], shadow["totals"]["requests"], shadow["running"]) == ("running", 1, 1)
    later = await desk.start(name, amount="8")
    await row_of(desk, shadow, later["id"], outcome=None)
    await decide(desk, later, "bob")
    row = await row_of(desk, shadow, later["id"], outcome="approved")
    assert (row["before"]["outcome"], row["after"]["approvers"]) == (None, ["bob"])
    await decide(desk, before, "bob", "reject")
    row = await row_of(desk, shadow, before["id"], outcome="rejected")
    assert (row["changed"], row["unknown"]) == ([], None)
    assert (await seen(desk, shadow))["totals"]["requests"] == 2
    await desk.post(f"{PATH}{shadow['id']}/cancel/", as_="audrey")


async def test_a_shadow_follows_what_whoever_cast_it_may_see_and_no_longer(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    hidden = await desk.start(name, amount="4711")
    await give_access(desk, "desi", "designer", "requester")
    made = await desk.post(PATH, {"mode": "shadow", "template": name, "patch": ONE_STAGE}, as_="desi")
    own = await desk.start(name, as_="desi", amount="8")

    async def followed() -> dict[str, Any] | None:
        found = (await desk.get(f"{PATH}{made.json()['id']}/", as_="desi")).json()
        return found if found.get("rows") else None

    found = await until(followed) or {}
    assert ([row["request_id"] for row in found["rows"]], found["left_out"]) == ([own["id"]], 1)
    await desk.post(f"{PATH}{made.json()['id']}/cancel/", as_="desi")

    shadow = await cast(desk, name, patch=ONE_STAGE)
    assert (shadow["totals"]["requests"], shadow["left_out"]) == (2, 0)
    await give_access(desk, "audrey", "designer", "requester")

    async def without() -> dict[str, Any] | None:
        found = await seen(desk, shadow)
        return found if found["left_out"] else None

    assert (await until(without) or {})["left_out"] == 2
    for request, approver in ((hidden, "bob"), (own, "olivia")):
        await decide(desk, request, approver, "reject")
    theirs = await desk.start(name, as_="audrey", amount="9")
    await row_of(desk, shadow, theirs["id"])
    rows = {row["request_id"]: row for row in (await seen(desk, shadow))["rows"]}
    assert [rows[one["id"]]["before"]["outcome"] for one in (hidden, own)] == [None, None]
    await desk.post(f"{PATH}{shadow['id']}/cancel/", as_="audrey")


async def test_a_shadow_sees_what_would_have_fallen_due_though_nothing_was_recorded(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    shadow = await cast(desk, name, patch=AT_ONCE)
    request = await desk.start(name, amount="7")
    row = await row_of(desk, shadow, request["id"], sla_state="breached")
    assert (row["before"]["sla_state"], row["changed"]) == ("ok", ["sla_state"])
    await desk.post(f"{PATH}{shadow['id']}/cancel/", as_="audrey")


async def test_a_shadow_that_is_cancelled_keeps_what_it_has_seen(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    request = await desk.start(name, amount="7")
    shadow = await cast(desk, name, patch=ONE_STAGE)
    ended = (await desk.post(f"{PATH}{shadow['id']}/cancel/", as_="audrey")).json()
    assert (ended["status"], [row["request_id"] for row in ended["rows"]]) == ("cancelled", [request["id"]])
    await desk.start(name, amount="8")
    rows = (await desk.get(f"{PATH}{shadow['id']}/rows/?limit=1&changed=false", as_="audrey")).json()
    assert ([row["request_id"] for row in rows["items"]], rows["next_cursor"]) == ([request["id"]], None)


async def test_a_shadow_ends_when_its_time_has_come_or_all_that_it_may_look_at_have_ended(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    request = await desk.start(name, amount="7")
    shadow = await cast(desk, name, patch=ONE_STAGE, limit=1)
    await desk.start(name, amount="8")
    short = await cast(desk, name, patch=ONE_STAGE, for_hours=2 / 3600)
    await decide(desk, request, "bob", "reject")
    for one, count in ((shadow, 1), (short, 2)):
        ended = await until(lambda one=one: _ended(desk, one))  # type: ignore[misc]  # bound early, as it has to be
        assert (ended["status"], ended["totals"]["requests"]) == ("completed", count)
    assert (await seen(desk, shadow))["warnings"] == ["there are more than 1 requests; later ones are not followed"]


async def _ended(desk: ApiDesk, shadow: dict[str, Any]) -> dict[str, Any] | None:
    found = await seen(desk, shadow)
    return found if found["status"] != "running" else None


async def test_another_process_goes_on_where_a_shadow_was_left(desk: ApiDesk, database: Database) -> None:
    name = await desk.publish(TWO_STAGES)
    first = await desk.start(name, amount="7")
    shadow = await cast(desk, name, patch=ONE_STAGE)
    await row_of(desk, shadow, first["id"])
    await context_of(desk).shadows.stop()
    await decide(desk, first, "bob")
    second = await desk.start(name, amount="8")
    other = Shadows(database, context_of(desk).pool, clock=context_of(desk).clock)
    watching = asyncio.create_task(other.watch())
    try:
        await row_of(desk, shadow, first["id"], outcome="approved")
        await row_of(desk, shadow, second["id"], outcome=None)
        rows = (await seen(desk, shadow))["rows"]
        assert [row["request_id"] for row in rows] == [first["id"], second["id"]]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    await desk.post(f"{PATH}{shadow['id']}/cancel/", as_="audrey")


async def test_a_shadow_is_streamed_and_a_reader_goes_on_where_they_were(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    ids = [(await desk.start(name, amount="7"))["id"] for _ in range(2)]
    shadow = await cast(desk, name, patch=ONE_STAGE)
    await row_of(desk, shadow, ids[1])
    await desk.post(f"{PATH}{shadow['id']}/cancel/", as_="audrey")
    path = f"{PATH}{shadow['id']}/events/"
    blocks = _events((await desk.get(path, as_="audrey")).text)
    assert [kind for kind, _ in blocks] == ["row", "row", "totals", "cancelled"]
    assert [data["request_id"] for kind, data in blocks if kind == "row"] == ids
    again = await desk.call("GET", path, as_="audrey", headers={"Last-Event-ID": "1"})
    assert [data["request_id"] for kind, data in _events(again.text) if kind == "row"] == ids[1:]


def _events(text: str) -> list[tuple[str, dict[str, Any]]]:
    blocks = [
        dict(line.split(": ", 1) for line in block.split("\n")) for block in text.split("\n\n") if "event:" in block
    ]
    return [(block["event"], json.loads(block["data"])) for block in blocks]


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ([{"op": "replace", "path": "/process_steps/0/sla_hours", "value": -1}], "/process_steps/0/sla_hours"),
        ([{"op": "remove", "path": "/process_steps/9"}], "/patch/0"),
    ],
)
async def test_a_candidate_that_is_none_casts_no_shadow(desk: ApiDesk, patch: list[Any], pointer: str) -> None:
    name = await desk.publish(TWO_STAGES)
    shadow = await cast(desk, name, patch=patch)
    assert (shadow["status"], [e["pointer"] for e in shadow["validation_errors"]]) == ("failed", [pointer])


async def test_shadows_are_bounded_in_number(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    standing = [await cast(desk, name) for _ in range(MOST)]
    refused = await desk.post(PATH, {"mode": "shadow", "template": name}, as_="audrey")
    assert refused.status_code == 409, refused.text
    for one in standing:
        assert (await desk.post(f"{PATH}{one['id']}/cancel/", as_="audrey")).status_code == 200
