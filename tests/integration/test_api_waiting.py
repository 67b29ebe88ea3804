"""What a request waits for, why it is stuck, and why somebody is asked or not, over HTTP."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from service.principal import Principal
from service.waiting import findings
from service.waiting.waiting import waiting_for
from service.waiting.why import why
from storage.database import Database
from storage.tables.approvals import AuditEntry
from storage.tables.notifications import NotificationMessage
from tests.api_desk import ApiDesk, api_desk, context_of
from tests.approvals import EXPENSE, worker
from tests.receiver import Receiver
from tests.stored import reading, writing
from tests.unit.core import blueprint, graph
from tests.waiting import until
from worker.actions import action_worker
from worker.catalog import seed_catalog
from worker.jobs import presence_job

ALWAYS = {"from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
ERP: dict[str, Any] = {"type": "action", "action": "erp", "input": {}}
Q = {"stage_name": "Queue", "approvers": ["group:finance"], "claim": True}


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    await seed_catalog(database)
    queue = f"waiting-{uuid.uuid4().hex[:8]}"
    async with (
        worker(client, database, queue),
        presence_job(database, client, queue),
        api_desk(database, client, task_queue=queue) as opened,
    ):
        yield opened


async def ask(desk: ApiDesk, *steps: dict[str, Any], as_: str = "ann", **more: Any) -> dict[str, Any]:
    """Start a request of these steps as ann, and return it."""
    named = [{"stage_name": f"Stage {n}", **step} for n, step in enumerate(steps, 1)]
    return await desk.start(await desk.publish(process_steps=named, **more), as_=as_, amount=1)


async def put(desk: ApiDesk, person: str, **changes: Any) -> None:
    """Change a person as an admin does."""
    read = (await desk.get(f"/workflow/people/{person}/", as_="adam")).json()
    answer = await desk.call("PUT", f"/workflow/people/{person}/", body=read | changes, as_="adam")
    assert answer.status_code == 200, answer.text


async def waiting(desk: ApiDesk, request: dict[str, Any], *, as_: str = "ann") -> dict[str, Any]:
    answer = await desk.get(f"/workflow/requests/{request['id']}/waiting/", as_=as_)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def codes(desk: ApiDesk, request: dict[str, Any], *, as_: str = "ann") -> dict[str, str]:
    return {one["code"]: one["level"] for one in (await waiting(desk, request, as_=as_))["findings"]}


async def whys(desk: ApiDesk, request: dict[str, Any], person: str | None = None, *, as_: str) -> dict[str, Any]:
    """Return the answer for a person at the one open stage."""
    asked = "" if person is None else f"?person={person}"
    answer = await desk.get(f"/workflow/requests/{request['id']}/why/{asked}", as_=as_)
    assert answer.status_code == 200, answer.text
    (stage,) = answer.json()["stages"]
    return dict(stage)


async def test_a_request_says_for_whom_it_waits_and_what_happens_next(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    (task,) = request["tasks"]
    found = await waiting(desk, request)
    assert (found["live"], found["stuck"], found["findings"]) == (True, False, [])
    (one,) = found["waits_for"]
    assert one == one | {
        "kind": "decision",
        "stage": "Manager Approval",
        "task_id": task["id"],
        "people": ["user:bob"],
        "since": task["opened_at"],
        "until": task["due_at"],
    }
    assert [act["does"] for act in found["next"]] == ["reminder", "warning", "deadline", "escalation"]
    assert found["next"] == sorted(found["next"], key=lambda act: act["at"])
    assert found["next"][0]["task_id"] == task["id"]
    assert found["sub_processes"] == []


async def test_only_who_sees_a_request_sees_what_it_waits_for(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    for part in ("waiting", "why"):
        statuses = {
            who: (await desk.get(f"/workflow/requests/{request['id']}/{part}/", as_=who)).status_code
            for who in ("ann", "bob", "olivia", "audrey", "adam", "zoe")
        }
        assert statuses == dict.fromkeys(statuses, 200) | {"zoe": 404}, part


async def test_everybody_sees_their_own_reason_and_the_owner_auditors_and_admins_those_of_others(
    desk: ApiDesk,
) -> None:
    await put(desk, "dora", away=[ALWAYS])
    request = await ask(desk, {"approvers": ["user:dora", "user:bob", "user:ann"]})
    assert (await whys(desk, request, as_="bob"))["code"] == "asked_by_name"
    assert (await whys(desk, request, "user:bob", as_="bob"))[
        "says"
    ] == "user:bob is asked because the stage asks user:bob"
    mine = await whys(desk, request, as_="ann")
    assert (mine["asked"], mine["code"]) == (False, "own_request")
    for who in ("olivia", "audrey", "adam"):
        other = await whys(desk, request, "dora", as_=who)
        assert other == other | {"asked": False, "code": "away", "parameters": {"name": "user:dora"}}
        assert other["seq"] is not None
        assert (await whys(desk, request, "carl", as_=who))["code"] == "not_named"
    path = f"/workflow/requests/{request['id']}/why/?person="
    assert (await desk.get(f"{path}dora", as_="ann")).status_code == 403
    assert (await desk.get(f"{path}dora", as_="bob")).status_code == 403
    assert (await desk.get(f"{path}nobody", as_="adam")).status_code == 404
    assert (await desk.get(f"{path}%00", as_="adam")).status_code == 422


async def test_reasons_are_those_of_when_people_were_chosen(desk: ApiDesk) -> None:
    await put(desk, "dora", away=[ALWAYS])
    request = await ask(desk, {"approvers": ["user:dora", "user:bob"]})
    await put(desk, "dora", away=[])
    assert (await whys(desk, request, "dora", as_="adam"))["code"] == "away"


async def test_choice_is_in_the_chain_and_in_no_timeline(desk: ApiDesk, database: Database) -> None:
    await put(desk, "dora", away=[{**ALWAYS, "substitute": "user:carl"}])
    request = await ask(desk, {"approvers": ["user:dora", "user:bob"]})
    query = select(col(AuditEntry.detail)).where(
        col(AuditEntry.request_id) == request["id"], col(AuditEntry.kind) == "task_opened"
    )
    with reading(database) as session:
        first, second = (json.loads(text) for text in session.scalars(query.order_by(col(AuditEntry.seq))))
    assert first["choice"] == {
        "considered": 3,
        "passed_over": [
            {"name": "user:dora", "person": "user:dora", "why": {"code": "stood_in_for", "substitute": "user:carl"}}
        ],
    }
    assert first["chosen_by"] == "user:dora"
    assert "choice" not in second
    items = (await desk.get(f"/workflow/requests/{request['id']}/timeline/", as_="adam")).json()["items"]
    assert not any("choice" in item["detail"] for item in items)
    assert (await desk.get(f"/workflow/requests/{request['id']}/audit/verify/")).json()["ok"] is True
    assert (await whys(desk, request, as_="carl"))["code"] == "asked_for_absent"
    assert (await whys(desk, request, as_="dora"))["code"] == "still_decides"


async def test_absent_approver_without_a_substitute_keeps_a_request(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    await put(desk, "bob", away=[ALWAYS])
    found = await waiting(desk, request)
    assert found["stuck"] is True
    (one,) = found["findings"]
    assert one == one | {"code": "away_without_substitute", "level": "stuck", "people": ["user:bob"]}
    assert one["parameters"] == {"until": "2100-01-01T00:00:00.000000Z"}
    assert one["says"].startswith("user:bob is away until 2100-01-01")
    assert "substitute" in one["do"]
    await put(desk, "bob", away=[{**ALWAYS, "substitute": "user:carl"}])
    assert await codes(desk, request) == {}
    assert (await whys(desk, request, as_="carl"))["code"] == "stands_in"


async def test_queue_that_nobody_has_claimed_and_queue_without_people_are_told_apart(desk: ApiDesk) -> None:
    request = await ask(desk, Q)
    found = await waiting(desk, request)
    assert (found["waits_for"][0]["kind"], found["waits_for"][0]["queue"]) == ("claim", "group:finance")
    assert await codes(desk, request) == {"queue_unclaimed": "note"}
    assert (await whys(desk, request, as_="gus"))["code"] == "may_claim"
    for one in ("gus", "gwen"):
        await put(desk, one, groups=[])
    assert await codes(desk, request) == {"queue_empty": "stuck"}


async def test_task_that_nobody_may_decide_is_the_owners_and_else_nobodys(desk: ApiDesk) -> None:
    request = await ask(desk, {"approvers": ["role:pilot"]})
    assert await codes(desk, request) == {"with_owner": "note"}
    assert (await whys(desk, request, as_="olivia"))["code"] == "replaces"
    own = await ask(desk, {"approvers": ["role:pilot"]}, owner="user:ann")
    assert await codes(desk, own) == {"nobody_eligible": "stuck"}
    assert (await waiting(desk, own))["waits_for"][0]["kind"] == "assignment"


async def test_returned_request_and_open_question_wait_for_the_requester(desk: ApiDesk) -> None:
    request = await ask(desk, {"approvers": ["user:bob"]})
    path = f"/workflow/requests/{request['id']}"
    asked = await desk.post(f"{path}/questions/", {"text": "Which one?"}, as_="bob")
    assert asked.status_code == 200, asked.text
    assert await codes(desk, request) == {"question_open": "note"}
    sent = {"decision": "request_changes", "comment": "Less, please."}
    await desk.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", sent, as_="bob")
    found = await waiting(desk, request)
    (one,) = found["waits_for"]
    assert (one["kind"], one["people"]) == ("requester", ["user:ann"])
    assert one["since"] is not None
    assert {finding["code"] for finding in found["findings"]} == {"returned", "question_open"}
    assert found["next"] == []


async def test_decision_that_can_be_undone_holds_a_request_for_a_while(desk: ApiDesk) -> None:
    request = await ask(desk, {"approvers": ["user:bob"], "undo_seconds": 3_600})
    await desk.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", {"decision": "approve"}, as_="bob")
    found = await waiting(desk, request)
    assert [(one["kind"], one["people"]) for one in found["waits_for"]] == [("undo", ["user:bob"])]
    assert [one["code"] for one in found["findings"]] == ["decision_held"]
    assert [one["does"] for one in found["next"]] == ["decision_stands"]
    assert (await whys(desk, request, as_="bob"))["code"] == "has_decided"


async def test_turn_that_comes_later_is_told(desk: ApiDesk) -> None:
    request = await ask(desk, {"approvers": ["user:bob", "user:carl"], "order": "sequential", "quorum": "all"})
    assert (await whys(desk, request, "carl", as_="adam"))["code"] == "comes_later"
    await desk.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", {"decision": "approve"}, as_="bob")
    assert (await whys(desk, request, as_="carl"))["code"] == "asked_by_name"
    assert (await whys(desk, request, as_="bob"))["code"] == "has_decided"


async def test_message_that_reached_nobody_is_found_and_its_error_is_for_some(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    now = datetime.now(UTC)
    message = NotificationMessage(
        key=f"{request['id']}:2:task_opened:bob",
        channel="mail",
        request_id=request["id"],
        seq=2,
        hash="",
        event="task_opened",
        person="bob",
        status="failed",
        attempts=3,
        created_at=now,
        next_attempt_at=now,
        last_error="550 no such mailbox",
        finished_at=now,
    )
    with writing(desk.database) as session:
        session.add(message)
    found = {who: (await waiting(desk, request, as_=who))["findings"][0] for who in ("ann", "olivia")}
    assert {one["code"] for one in found.values()} == {"message_undelivered"}
    assert (found["ann"]["error"], found["olivia"]["error"]) == (None, "550 no such mailbox")
    assert found["ann"]["says"] == "No message about the task reached user:bob by mail."


async def test_sub_process_and_event_are_looked_into(desk: ApiDesk) -> None:
    inner = blueprint(
        variables=[{"name": "amount", "type": "decimal", "default": "0"}],
        graph_spec=graph(
            "start -> w", "w -> approved", nodes={"w": {"type": "wait", "event": "delivered"}}, ends=("approved",)
        ),
    )
    outer = blueprint(
        variables=[{"name": "amount", "type": "decimal", "default": "0"}],
        graph_spec=graph(
            "start -> sub",
            "sub -> approved",
            nodes={"sub": {"type": "subprocess", "template": await desk.publish(inner)}},
            ends=("approved",),
        ),
    )
    request = await desk.start(await desk.publish(outer), amount=1)

    async def below() -> dict[str, Any] | None:
        found = await waiting(desk, request)
        return (
            found if found["sub_processes"] and found["sub_processes"][0]["waits_for"][0]["kind"] == "event" else None
        )

    found = await until(below, what="the sub-process")
    assert found is not None
    assert [one["kind"] for one in found["waits_for"]] == ["subprocess"]
    assert [one["code"] for one in found["findings"]] == ["subprocess_waits"]
    (child,) = found["sub_processes"]
    assert (child["findings"][0]["code"], child["findings"][0]["level"]) == ("event_awaited", "stuck")
    assert child["findings"][0]["parameters"]["event"] == "delivered"
    assert found["stuck"] is True, "it is stuck where its sub-process is"


async def test_action_that_no_worker_takes_is_found(desk: ApiDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "UNTAKEN", timedelta())
    act = {"type": "action", "action": "set_variables", "input": {"amount": 7}, "output": {"amount": "amount"}}
    raw = blueprint(
        variables=[{"name": "amount", "type": "decimal", "default": "0"}],
        graph_spec=graph("start -> act", "act -> approved", nodes={"act": act}, ends=("approved",)),
    )
    request = await desk.start(await desk.publish(raw), amount=1)

    async def untaken() -> dict[str, Any] | None:
        found = await waiting(desk, request)
        return found if found["findings"] else None

    found = await until(untaken, what="the finding")
    assert found is not None
    assert [(one["kind"], one["name"]) for one in found["waits_for"]] == [("action", "set_variables")]
    (one,) = found["findings"]
    assert (one["code"], one["level"], one["node"]) == ("action_untaken", "stuck", "act")
    assert one["parameters"]["action"] == "set_variables"


async def test_ended_request_waits_for_nothing_and_asks_nobody(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    await desk.post(f"/workflow/requests/{request['id']}/withdraw/")
    found = await waiting(desk, request)
    assert (found["status"], found["waits_for"], found["findings"], found["next"]) == ("cancelled", [], [], [])
    answer = await desk.get(f"/workflow/requests/{request['id']}/why/", as_="bob")
    assert answer.json()["stages"] == []


async def test_without_a_worker_what_is_stored_is_told_and_what_is_missing(database: Database, client: Client) -> None:
    queue = f"waiting-{uuid.uuid4().hex[:8]}"
    async with api_desk(database, client, task_queue=queue) as desk:
        async with worker(client, database, queue), presence_job(database, client, queue):
            request = await desk.start(await desk.publish(EXPENSE), amount="10")
        reader = Principal(person="ann", access=frozenset({"requester"}))
        second = timedelta(seconds=1)
        found = await waiting_for(context_of(desk), reader, request["id"], patience=second)
        assert (found.live, found.stuck) == (False, True)
        assert [one.code for one in found.findings] == ["worker_away"]
        assert [(one.kind, one.people) for one in found.waits_for] == [("decision", ("bob",))]
        told = await why(context_of(desk), reader, request["id"], "ann", patience=second)
        assert [one.whether.why.code for one in told.stages] == ["own_request"]


async def test_request_that_the_engine_has_lost_is_told(desk: ApiDesk, client: Client) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    await client.get_workflow_handle(request["id"]).terminate()

    async def lost() -> dict[str, Any] | None:
        found = await waiting(desk, request)
        return found if not found["live"] else None

    found = await until(lost, what="that it is gone")
    assert found is not None
    assert [(one["code"], one["level"]) for one in found["findings"]] == [("request_gone", "stuck")]


async def test_action_that_fails_and_is_tried_again_is_found_with_its_error_for_some(
    desk: ApiDesk, database: Database, client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answer = 503
    monkeypatch.setenv("PLACET_ACTION_HOSTS", receiver.url.split("/")[2])
    monkeypatch.setenv("PLACET_ACTION_PRIVATE", "1")
    call = {"name": "erp", "executor": "http", "is_idempotent": True, "latency_class": "fast"}
    made = await desk.post("/workflow/action-catalog/", {**call, "config": {"url": receiver.url}}, as_="desi")
    assert made.status_code == 201, made.text
    raw = blueprint(graph_spec=graph("start -> pay", "pay -> approved", nodes={"pay": ERP}, ends=("approved",)))
    request = await desk.start(await desk.publish(raw))
    async with action_worker(client, database, task_queue=context_of(desk).task_queue):

        async def failed() -> dict[str, Any] | None:
            found = (await waiting(desk, request, as_="olivia"))["findings"]
            return found[0] if found and found[0]["code"] == "action_retried" else None

        found = await until(failed, what="the finding")
        assert found is not None
        assert (found["level"], found["node"], found["parameters"]["action"]) == ("note", "pay", "erp")
        assert found["parameters"]["failures"] >= 1
        assert found["error"] == "the server answered 503"
        assert (await waiting(desk, request))["findings"][0]["error"] is None
        assert (await desk.post(f"/workflow/requests/{request['id']}/withdraw/")).status_code == 200
