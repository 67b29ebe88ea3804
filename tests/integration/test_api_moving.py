"""Running requests move to another version of their process, over HTTP, on the real engine and both databases."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.worker import Worker

from placet.errors import Overtaken
from service.commands import act_on_request
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, pointers
from tests.approvals import worker
from tests.replays import replay
from tests.waiting import until
from workflows import search_attributes

PATH = "/workflow/process-templates/"
ORDER: dict[str, Any] = {
    "name": "Order",
    "version": "1.0.0",
    "owner": "user:olivia",
    "variables": [{"name": "amount", "type": "decimal"}, {"name": "note", "type": "string"}],
    "process_steps": [
        {"stage_name": "Manager", "approvers": ["user:bob"], "sla_hours": 24},
        {"stage_name": "Finance", "approvers": ["user:carl"]},
    ],
}
MANAGER, FINANCE = ORDER["process_steps"]
HEAD = {"stage_name": "Head", "approvers": ["role:department_head"]}


@dataclass(frozen=True, kw_only=True)
class Office:
    """Where requests are started, decided and moved."""

    desk: ApiDesk
    client: Client
    database: Database
    task_queue: str

    async def publish(self, name: str, version: str, *steps: dict[str, Any], **changes: Any) -> str:
        """Publish another version, and return its path."""
        body = {**ORDER, "name": name, "version": version, "process_steps": list(steps), **changes}
        made = await self.desk.post(PATH, body, as_="desi")
        assert made.status_code == 201, made.text
        path = f"{PATH}{made.json()['id']}/"
        done = await self.desk.post(f"{path}publish/", as_="desi")
        assert done.status_code == 200, done.text
        return path

    async def migrate(self, path: str, *, key: str | None = None, **body: Any) -> dict[str, Any]:
        """Move requests, as an admin."""
        answer = await self.desk.post(f"{path}migrate/", {"dry_run": False, **body}, as_="adam", key=key)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def read(self, request_id: str) -> dict[str, Any]:
        """Read a request."""
        return dict((await self.desk.get(f"/workflow/requests/{request_id}/")).json())

    async def decide(self, task: dict[str, Any], by: str, decision: str = "approve") -> int:
        """Decide a task, and return the status of the answer."""
        answer = await self.desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": decision}, as_=by)
        return answer.status_code

    async def timeline(self, request_id: str) -> list[dict[str, Any]]:
        """Read what has happened to a request."""
        return list((await self.desk.get(f"/workflow/requests/{request_id}/timeline/")).json()["items"])

    async def acts(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Read which moves are on record as administrative acts, the oldest first; `begun` counts from the first."""
        answer = await self.desk.get("/workflow/admin-acts/?kind=requests_moved", as_="audrey")
        found = list(answer.json()["items"])[::-1]
        first = found[0]["seq"] - 1 if found else 0
        return [
            (
                act["actor"],
                act["outcome"],
                {**act["detail"], **({"begun": act["detail"]["begun"] - first} if "begun" in act["detail"] else {})},
            )
            for act in found
        ]

    async def holds(self, request_id: str) -> bool:
        """Whether a request's record holds, against the engine's as well."""
        found = (await self.desk.get(f"/workflow/requests/{request_id}/audit/verify/", as_="audrey")).json()
        assert found["head"] == found["engine_head"]
        return bool(found["ok"])

    async def replay(self, request_id: str) -> None:
        """Replay a request's history; raises where the code does something else than it says."""
        converter = self.client.data_converter
        await replay(self.client.get_workflow_handle(request_id), converter)

    def worker(self) -> Worker:
        """Return a worker of this office."""
        return worker(self.client, self.database, self.task_queue)


@pytest_asyncio.fixture
async def closed(database: Database, client: Client) -> AsyncIterator[Office]:
    """An office without a worker."""
    queue = f"desk-{uuid.uuid4().hex[:8]}"
    async with api_desk(database, client, task_queue=queue) as desk:
        yield Office(desk=desk, client=client, database=database, task_queue=queue)


@pytest_asyncio.fixture
async def office(closed: Office) -> AsyncIterator[Office]:
    async with closed.worker():
        yield closed


def results(answer: dict[str, Any]) -> dict[str, str]:
    assert sum(answer["totals"].values()) == sum(answer["results"].values()) == len(answer["requests"])
    assert all(bool(one["reasons"]) == (one["result"] in {"stays", "unknown"}) for one in answer["requests"])
    return {one["request_id"]: one["result"] for one in answer["requests"]}


async def test_what_maps_moves_and_ends_by_the_rules_of_the_other_version(office: Office) -> None:
    name = await office.desk.publish(ORDER)
    fresh = await office.desk.start(name, amount="5", note="x")
    later = await office.desk.start(name, amount="500")
    assert await office.decide(later["tasks"][0], "bob") == 200
    path = await office.publish(name, "2.0.0", {**MANAGER, "sla_hours": 48}, HEAD)

    answer = await office.migrate(path, key="policy-7", reason="policy 7")
    assert results(answer) == {fresh["id"]: "moved", later["id"]: "stays"}
    assert answer["requests"][1]["reasons"] == ["a task is open in stage 'Finance', which is gone"]
    assert (await office.migrate(path, key="policy-7", reason="policy 7")) == answer
    assert results(await office.migrate(path)) == {later["id"]: "stays"}
    assert await office.acts() == [
        ("user:adam", "begun", {"process": name, "version": "2.0.0", "requests": 2}),
        ("user:adam", "partly", {"begun": 1, "moved": 1, "stays": 1}),
        ("user:adam", "begun", {"process": name, "version": "2.0.0", "requests": 1}),
        ("user:adam", "nothing", {"begun": 3, "stays": 1}),
    ]

    moved, stayed = await office.read(fresh["id"]), await office.read(later["id"])
    assert (moved["version"], stayed["version"]) == ("2.0.0", "1.0.0")
    assert [task["id"] for task in moved["tasks"]] == [task["id"] for task in fresh["tasks"]]
    assert moved["tasks"][0]["assignee"] == "user:bob"
    assert moved["tasks"][0]["due_at"] > fresh["tasks"][0]["due_at"]
    kinds = [line["kind"] for line in await office.timeline(fresh["id"])]
    assert kinds[:4] == ["started", "task_opened", "migrated", "extended"]
    line = (await office.timeline(fresh["id"]))[2]
    assert (line["actor"], line["detail"]["why"]) == ("user:adam", "policy 7")
    assert [line["detail"][side]["version"] for side in ("before", "after")] == ["1.0.0", "2.0.0"]
    handle = office.client.get_workflow_handle(fresh["id"])
    assert (await handle.describe()).typed_search_attributes.get(search_attributes.VERSION) == "2.0.0"
    assert await office.holds(fresh["id"])

    assert await office.decide(moved["tasks"][0], "bob") == 200
    asked = (await office.read(fresh["id"]))["tasks"][1]
    assert (asked["stage"], asked["assignee"]) == ("Head", "user:dora")  # found in a directory that was read since
    assert await office.decide(asked, "dora") == 200
    ended = await office.read(fresh["id"])
    assert (ended["status"], ended["outcome"], ended["version"]) == ("completed", "approved", "2.0.0")
    assert await office.holds(fresh["id"])
    await office.replay(fresh["id"])


async def test_a_version_that_asks_the_least_loaded_counts_the_tasks_of_those_who_were_named_before(
    office: Office,
) -> None:
    pool = {"stage_name": "Pool", "approvers": ["group:finance"], "ad_hoc": False}
    least = {**pool, "assign": "least_loaded"}
    busy = await office.desk.publish(
        {**ORDER, "name": "Busy", "process_steps": [{**MANAGER, "approvers": ["user:gus"]}]}
    )
    await office.desk.start(busy, amount="5")
    name = await office.desk.publish({**ORDER, "name": "Pooled", "process_steps": [MANAGER, pool]})
    moved = await office.desk.start(name, amount="5")
    path = await office.publish(name, "2.0.0", MANAGER, least)
    fresh = await office.desk.start(name, amount="5")
    assert results(await office.migrate(path)) == {moved["id"]: "moved"}
    for request in (moved, fresh):
        assert await office.decide(request["tasks"][0], "bob") == 200
        chosen = (await office.read(request["id"]))["tasks"][1]
        assert chosen["assignee"] == "user:gwen", request["version"]  # the first by name has a task already
        assert await office.decide(chosen, "gwen") == 200
        assert await office.holds(request["id"])
    await office.replay(moved["id"])


async def test_what_would_have_gone_another_way_moves_only_where_that_is_asked_for(office: Office) -> None:
    name = await office.desk.publish(ORDER)
    request = await office.desk.start(name, amount="500")
    assert await office.decide(request["tasks"][0], "bob") == 200
    path = await office.publish(name, "2.0.0", HEAD, MANAGER, FINANCE)  # the head would have been asked first
    assert results(await office.migrate(path)) == {request["id"]: "stays"}
    (told,) = (await office.migrate(path, allow_outcome_change=True))["requests"]
    assert (told["verdict"], told["result"]) == ("changes_outcome", "moved")
    assert (await office.read(request["id"]))["version"] == "2.0.0"
    assert await office.holds(request["id"])


async def test_requests_that_are_named_move_and_the_others_do_not(office: Office) -> None:
    name = await office.desk.publish(ORDER)
    one, other, gone = [await office.desk.start(name, amount="5") for _ in range(3)]
    assert (await office.desk.post(f"/workflow/requests/{gone['id']}/withdraw/")).status_code == 200
    elsewhere = await office.desk.start(await office.desk.publish({**ORDER, "name": "Another"}), amount="5")
    path = await office.publish(name, "1.1.0", {**MANAGER, "sla_hours": 48}, FINANCE)
    chosen = [one["id"], gone["id"], one["id"]]
    assert results(await office.migrate(path, request_ids=chosen)) == {one["id"]: "moved", gone["id"]: "stays"}
    assert results(await office.migrate(path, request_ids=chosen)) == {one["id"]: "there", gone["id"]: "stays"}
    assert (await office.read(other["id"]))["version"] == "1.0.0"

    async def refused(**body: Any) -> list[str]:
        answer = await office.desk.post(f"{path}migrate/", {"dry_run": False, **body}, as_="adam")
        assert answer.status_code == 422, answer.text
        return pointers(answer)

    assert await refused(request_ids=[one["id"], "nonsense", elsewhere["id"]]) == ["/request_ids/1", "/request_ids/2"]
    assert await refused(request_ids=[]) == ["/request_ids"]
    assert await refused(request_ids=[one["id"]], from_version="1.0.0") != []
    assert await refused(dry_run="perhaps") == ["/dry_run"]


async def test_only_admins_move_and_nobody_their_own_and_only_to_what_is_published(office: Office) -> None:
    name = await office.desk.publish(ORDER)
    await office.desk.start(name, as_="adam", amount="5")
    draft = await office.desk.post(PATH, {**ORDER, "name": name, "version": "1.1.0"}, as_="desi")
    path = f"{PATH}{draft.json()['id']}/"
    for person in ("ann", "desi", "audrey", "olivia"):
        assert (await office.desk.post(f"{path}migrate/", {"dry_run": False}, as_=person)).status_code == 403
    assert (await office.desk.post(f"{path}migrate/", {"dry_run": False}, as_="adam")).status_code == 409
    assert (await office.desk.post(f"{path}publish/", as_="desi")).status_code == 200
    (fate,) = (await office.desk.post(f"{path}migrate/", {}, as_="adam")).json()["requests"]
    assert (fate["verdict"], fate["result"]) == ("does_not_map", None)
    (told,) = (await office.migrate(path))["requests"]
    assert told["result"] == "stays"
    refusal = "Nobody may move their own request to another version; ask another admin."
    assert told["reasons"] == fate["reasons"] == [refusal]


async def test_preflight_knows_what_only_the_request_itself_knows(office: Office) -> None:
    waits = {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "goods", "type": "wait", "event": "goods_arrived"},
            {"id": "manager", "type": "approval", "step": "Manager"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "goods"},
            {"from": "goods", "to": "manager"},
            {"from": "manager", "to": "yes", "on": "approved"},
            {"from": "manager", "to": "no", "on": "rejected"},
        ],
    }
    name = await office.desk.publish(ORDER, process_steps=[MANAGER], graph_spec=waits)
    request = await office.desk.start(name, amount="5")
    other = {**waits, "nodes": [{**n, "event": "invoice"} if n["id"] == "goods" else n for n in waits["nodes"]]}
    path = await office.publish(name, "1.1.0", MANAGER, graph_spec=other)
    (fate,) = (await office.desk.post(f"{path}migrate/", {}, as_="adam")).json()["requests"]
    assert fate["verdict"] == "does_not_map"
    assert "waits for invoice in that version, not for goods_arrived" in fate["reasons"][0]
    assert results(await office.migrate(path)) == {request["id"]: "stays"}


async def test_decision_and_move_at_once_each_happen_whole(office: Office) -> None:
    """Whichever comes first: the decision leads on by the rules of the version that holds at its moment."""
    name = await office.desk.publish(ORDER)
    started = [await office.desk.start(name, amount="5") for _ in range(6)]
    path = await office.publish(name, "2.0.0", MANAGER, HEAD)
    answer, *statuses = await asyncio.gather(
        office.migrate(path), *(office.decide(request["tasks"][0], "bob") for request in started)
    )
    assert statuses == [200] * len(started)
    told = results(answer)
    for request in started:
        now = await office.read(request["id"])
        kinds = [line["kind"] for line in await office.timeline(request["id"])]
        following = now["tasks"][-1]["stage"]
        if told[request["id"]] == "moved":
            assert now["version"] == "2.0.0"
            assert following == ("Head" if kinds.index("migrated") < kinds.index("decided") else following)
        else:
            assert (now["version"], following) == ("1.0.0", "Finance")
        assert await office.holds(request["id"])


async def test_request_that_changes_while_it_is_looked_at_is_looked_at_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await office.desk.publish(ORDER)
    request = await office.desk.start(name, amount="5")
    path = await office.publish(name, "2.0.0", MANAGER, HEAD)
    overtaken: list[str] = []
    first_look = _decide_after_the_first_look(office, request["tasks"][0], overtaken)
    monkeypatch.setattr("service.migration.move.act_on_request", first_look)
    (told,) = (await office.migrate(path))["requests"]
    assert overtaken == [request["id"]]
    # it had been judged to map, before its manager decided and it went on to a stage that is gone
    assert (told["verdict"], told["result"]) == ("does_not_map", "stays")
    assert (await office.read(request["id"]))["version"] == "1.0.0"


def _decide_after_the_first_look(office: Office, task: dict[str, Any], overtaken: list[str]) -> Any:
    """Let somebody decide between the look and the move, and the move then go its way."""

    async def act(context: Any, principal: Any, request_id: str, event: Any, *, key: str) -> Any:
        if not overtaken:
            assert await office.decide(task, "bob") == 200
        try:
            return await act_on_request(context, principal, request_id, event, key=key)
        except Overtaken:
            overtaken.append(request_id)
            raise

    return act


async def test_move_without_a_worker_is_unknown_and_a_repeat_finds_out(closed: Office) -> None:
    async with closed.worker():
        name = await closed.desk.publish(ORDER)
        request = await closed.desk.start(name, amount="5")
    path = await closed.publish(name, "1.1.0", {**MANAGER, "sla_hours": 48}, FINANCE)
    async with api_desk(closed.database, closed.client, task_queue=closed.task_queue, seconds=0.5) as desk:
        hasty = replace(closed, desk=desk)
        assert results(await hasty.migrate(path, key="once")) == {request["id"]: "unknown"}
    async with closed.worker():

        async def there() -> bool:
            answer = results(await closed.migrate(path, request_ids=[request["id"]]))
            return answer == {request["id"]: "there"} or answer == {request["id"]: "moved"}

        await until(there)
        assert (await closed.migrate(path, key="once"))["requests"] == []
    kinds = [line["kind"] for line in await closed.timeline(request["id"])]
    assert kinds.count("migrated") == 1


async def test_deprecated_version_begins_nothing_new_and_what_runs_goes_on_under_it(office: Office) -> None:
    name = await office.desk.publish(ORDER)
    request = await office.desk.start(name, amount="5")
    path = await office.publish(name, "1.1.0", {**MANAGER, "sla_hours": 48}, FINANCE)
    first = (await office.desk.get(f"{PATH}?name={name}")).json()["items"]
    old = next(row["id"] for row in first if row["version"] == "1.0.0")
    assert (await office.desk.post(f"{PATH}{old}/deprecate/", as_="desi")).status_code == 200
    body = {"template": name, "version": "1.0.0", "input": {"amount": "5"}}
    refused = await office.desk.post("/workflow/requests/", body)
    assert (refused.status_code, pointers(refused)) == (422, ["/version"])
    assert (await office.desk.start(name, amount="5"))["version"] == "1.1.0"
    assert await office.decide(request["tasks"][0], "bob") == 200
    assert (await office.read(request["id"]))["version"] == "1.0.0"
    assert results(await office.migrate(path, from_version="1.0.0")) == {request["id"]: "moved"}
    assert (await office.desk.post(f"{PATH}{old}/migrate/", {"dry_run": False}, as_="adam")).status_code == 409
