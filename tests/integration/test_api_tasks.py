"""Tasks over HTTP, on a real engine: the inbox, queues, who else may decide, several at once, and tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio.client import Client

from service.engine.client import tell_directory_changed
from tests.api_desk import ApiDesk, pointers
from tests.approvals import EXPENSE
from tests.waiting import until
from worker.jobs import departure_job
from workflows.approval import ApprovalWorkflow, SignedDecision

QUEUE: dict[str, Any] = {
    **EXPENSE,
    "process_steps": [{"stage_name": "Finance", "approvers": ["group:finance"], "claim": True, "sla_hours": 8}],
}


async def test_unknown_tasks_are_not_found(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    for task in (f"{request['id']}.9", "nothing", "x.1", "%00.1", "a%20b.1"):
        answer = await desk.post(f"/workflow/tasks/{task}/decide/", {"decision": "approve"}, as_="bob")
        assert answer.status_code == 404, (task, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_inbox_lists_what_somebody_can_do(desk: ApiDesk) -> None:
    name = await desk.publish()
    requests = [await desk.start(name, amount=n + 1) for n in range(3)]
    ids = {r["tasks"][0]["id"] for r in requests}
    first = (await desk.get("/workflow/tasks/?assignee=me&status=open&sla_state=ok&limit=2", as_="bob")).json()
    assert len(first["items"]) == 2
    rest = await desk.get(f"/workflow/tasks?assignee=me&status=open&limit=2&cursor={first['next_cursor']}", as_="bob")
    assert rest.json()["next_cursor"] is None
    assert {t["id"] for t in first["items"] + rest.json()["items"]} == ids
    assert (await desk.get("/workflow/tasks/?assignee=me&sla_state=breached", as_="bob")).json()["items"] == []
    one = await desk.get(f"/workflow/tasks/?request_id={requests[0]['id']}", as_="bob")
    assert [t["request_id"] for t in one.json()["items"]] == [requests[0]["id"]]


async def test_queue_is_claimed_released_and_decided(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(QUEUE), amount=1)
    task = request["tasks"][0]
    assert (task["assignee"], task["candidates"]) == (None, ["user:gus", "user:gwen"])
    for person in ("gus", "gwen"):
        inbox = (await desk.get("/workflow/tasks/?assignee=me&status=open", as_=person)).json()["items"]
        assert task["id"] in [t["id"] for t in inbox]
    path = f"/workflow/tasks/{task['id']}"
    assert (await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="gus")).status_code == 403
    assert (await desk.post(f"{path}/claim/", as_="gus")).json()["tasks"][0]["assignee"] == "user:gus"
    assert (await desk.post(f"{path}/claim/", {}, as_="gwen")).status_code == 409
    assert (await desk.post(f"{path}/release/", as_="gus")).json()["tasks"][0]["assignee"] is None
    assert (await desk.post(f"{path}/claim/", as_="gwen")).status_code == 200
    done = await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="gwen")
    assert done.json()["outcome"] == "approved"


async def test_task_is_delegated_and_reassigned(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    path = f"/workflow/tasks/{request['tasks'][0]['id']}"
    kept = await desk.post(f"{path}/delegate/", {"to": "user:dora", "keep": True}, as_="bob")
    assert kept.json()["tasks"][0]["delegates"] == ["user:dora"]
    nobody = await desk.post(f"{path}/reassign/", {"to": "user:ghost"}, as_="bob")
    assert (nobody.status_code, pointers(nobody)) == (422, ["/to"])
    own = await desk.post(f"{path}/reassign/", {"to": "user:ann"}, as_="bob")
    assert own.status_code == 403
    moved = await desk.post(f"{path}/reassign/", {"to": "zoe", "reason": "knows it"}, as_="bob")
    assert moved.status_code == 200, moved.text
    assert moved.json()["tasks"][0]["assignee"] == "user:zoe"
    assert (await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="bob")).status_code == 403
    assert (await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="zoe")).json()["outcome"] == "approved"


async def test_changes_are_requested_and_the_request_resubmitted(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=100)
    path = f"/workflow/requests/{request['id']}"
    back = await desk.post(
        f"/workflow/tasks/{request['tasks'][0]['id']}/decide/",
        {"decision": "request_changes", "comment": "less"},
        as_="bob",
    )
    assert back.json()["returned"] is True
    wrong = await desk.post(f"{path}/resubmit/", {"input": {"amount": "x"}})
    assert (wrong.status_code, pointers(wrong)) == (422, ["/input/amount"])
    again = await desk.post(f"{path}/resubmit/", {"input": {"amount": 80.5}, "comment": "better"})
    assert (again.json()["round"], again.json()["input"], again.json()["returned"]) == (2, {"amount": "80.5"}, False)
    stale = await desk.post(
        f"/workflow/tasks/{again.json()['tasks'][-1]['id']}/decide/", {"decision": "approve", "round": 1}, as_="bob"
    )
    assert stale.status_code == 409


async def test_nothing_of_other_branches_changes_hands_while_the_request_is_returned(desk: ApiDesk) -> None:
    nodes = [
        {"id": "start", "type": "trigger"},
        {"id": "both", "type": "fork"},
        {"id": "first", "type": "approval", "step": "First"},
        {"id": "second", "type": "approval", "step": "Second"},
        {"id": "third", "type": "approval", "step": "Third"},
        {"id": "together", "type": "join"},
        {"id": "approved", "type": "terminator", "outcome": "approved"},
        {"id": "rejected", "type": "terminator", "outcome": "rejected"},
    ]
    branches = ("first", "second", "third")
    edges = [{"from": "start", "to": "both"}, {"from": "together", "to": "approved"}]
    edges += [{"from": "both", "to": branch} for branch in branches]
    edges += [{"from": branch, "to": "together", "on": "approved"} for branch in branches]
    edges += [{"from": branch, "to": "rejected", "on": "rejected"} for branch in branches]
    queue = {"approvers": ["group:finance"], "claim": True}
    steps = [{"stage_name": "First"}, {"stage_name": "Second", **queue}, {"stage_name": "Third", **queue}]
    name = await desk.publish(
        process_steps=steps, graph_spec={"nodes": nodes, "edges": edges}, settings={"on_change": "restart"}
    )
    request = await desk.start(name, amount=100)
    paths = {task["stage"]: f"/workflow/tasks/{task['id']}" for task in request["tasks"]}
    assert (await desk.post(f"{paths['Third']}/claim/", as_="gus")).status_code == 200
    back = await desk.post(f"{paths['First']}/decide/", {"decision": "request_changes", "comment": "less"}, as_="bob")
    assert (back.status_code, back.json()["returned"]) == (200, True), back.text
    acts: list[tuple[str, str, dict[str, Any], str]] = [
        ("Second", "claim", {}, "gwen"),
        ("Third", "release", {}, "gus"),
        ("Third", "reassign", {"to": "zoe"}, "gus"),
        ("Third", "reassign", {"to": "zoe"}, "olivia"),
        ("Third", "delegate", {"to": "zoe"}, "gus"),
        ("Third", "delegate", {"to": "zoe", "keep": True}, "gus"),
        ("Third", "decide", {"decision": "approve"}, "gus"),
    ]
    for stage, act, body, who in acts:
        refused = await desk.post(f"{paths[stage]}/{act}/", body, as_=who)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:placet:problem:returned"), (act, who)
    shown = (await desk.get(f"/workflow/requests/{request['id']}/")).json()
    assert [(t["stage"], t["assignee"]) for t in shown["tasks"] if t["status"] == "open"] == [
        ("Second", None), ("Third", "user:gus")]  # fmt: skip
    again = await desk.post(f"/workflow/requests/{request['id']}/resubmit/", {"input": {"amount": 100}})
    assert (again.status_code, again.json()["returned"]) == (200, False), again.text
    assert (await desk.post(f"{paths['Second']}/claim/", as_="gwen")).status_code == 200, "the others go on"


async def test_comments_and_deadlines(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    path = f"/workflow/requests/{request['id']}"
    assert (await desk.post(f"{path}/comments/", {"text": "see the offer"}, as_="bob")).status_code == 200
    empty = await desk.post(f"{path}/comments/", {"text": "  "}, as_="bob")
    assert (empty.status_code, pointers(empty)) == (422, ["/text"])
    before = request["tasks"][0]["due_at"]
    assert (await desk.post(f"{path}/extend/", {"hours": 1}, as_="bob")).status_code == 403
    later = await desk.post(f"{path}/extend/", {"hours": 1.5}, as_="olivia")
    moved = datetime.fromisoformat(later.json()["tasks"][0]["due_at"]) - datetime.fromisoformat(before)
    assert moved == timedelta(hours=1.5)
    for wrong in ({}, {"hours": 1, "seconds": 1}, {"hours": -1}, {"due_at": "2020-01-01T00:00:00Z"}, {"due_at": 5}):
        assert (await desk.post(f"{path}/extend/", wrong, as_="olivia")).status_code == 422, wrong


async def test_many_tasks_are_decided_each_by_itself(desk: ApiDesk) -> None:
    name = await desk.publish()
    mine, hers = await desk.start(name, amount=1), await desk.start(name, amount=2, as_="bob")
    ids = [mine["tasks"][0]["id"], hers["tasks"][0]["id"], "none.1"]
    body = {"items": [{"task_id": i, "decision": "approve"} for i in ids]}
    answer = await desk.post("/workflow/tasks/decide/", body, as_="bob", key="bulk")
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [(r["task_id"], r["status"]) for r in results] == list(zip(ids, (200, 403, 404), strict=True))
    assert results[0]["request"]["outcome"] == "approved"
    assert results[1]["problem"]["title"] == "Not permitted"
    assert (await desk.post("/workflow/tasks/decide/", body, as_="bob", key="bulk")).json() == answer.json()
    alike = {"task_ids": [hers["tasks"][0]["id"]], "decision": "reject", "comment": "no"}
    assert (await desk.post("/workflow/tasks/decide/", alike, as_="dora")).json()["results"][0]["status"] == 200
    for wrong in ({}, {"items": []}, {"task_ids": ["a"]}, {**body, **alike}):
        assert (await desk.post("/workflow/tasks/decide/", wrong, as_="dora")).status_code == 422, wrong


async def test_tasks_that_are_decided_alike_say_which_revisions_were_seen(desk: ApiDesk) -> None:
    name = await desk.publish(settings={"require_revision": True})
    ids = [(await desk.start(name, amount=amount))["tasks"][0]["id"] for amount in (1, 2, 3)]
    body = {"task_ids": ids, "decision": "approve", "revisions": {ids[0]: 1, ids[1]: 2}}
    results = (await desk.post("/workflow/tasks/decide/", body, as_="bob")).json()["results"]
    assert [result["status"] for result in results] == [200, 422, 422]
    places = [[error["pointer"] for error in result["problem"]["errors"]] for result in results[1:]]
    assert places == [[f"/revisions/{task}"] for task in ids[1:]]
    unknown = {"task_ids": ids[1:], "decision": "approve", "revisions": {ids[0]: 1}}
    assert (await desk.post("/workflow/tasks/decide/", unknown, as_="bob")).status_code == 422


async def test_token_decides_by_signal(desk: ApiDesk, client: Client) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    task = request["tasks"][0]
    token = (await desk.post(f"/workflow/tasks/{task['id']}/token/", as_="bob")).json()
    assert token["round"] == 1
    handle = client.get_workflow_handle_for(ApprovalWorkflow.run, request["id"])
    await handle.signal("decide", SignedDecision(token=token["token"], task_id=task["id"], decision="approve"))
    assert (await handle.result()).outcome == "approved"


async def test_abstentions_by_every_way_there_is_are_on_record_and_the_last_one_rejects(
    desk: ApiDesk, client: Client
) -> None:
    steps = [{"stage_name": "Board", "approvers": ["user:bob", "user:carl", "user:zoe"], "quorum": {"at_least": 2}}]
    request = await desk.start(await desk.publish(process_steps=steps), amount=1)
    bob, carl, zoe = (task["id"] for task in request["tasks"])
    token = (await desk.post(f"/workflow/tasks/{bob}/token/", as_="bob")).json()["token"]
    handle = client.get_workflow_handle_for(ApprovalWorkflow.run, request["id"])
    await handle.signal("decide", SignedDecision(token=token, task_id=bob, decision="abstain"))

    async def abstained() -> bool:
        shown = (await desk.get(f"/workflow/requests/{request['id']}/")).json()
        return (shown["status"], shown["tasks"][0]["decision"]) == ("pending", "abstain")

    await until(abstained)
    items = {"items": [{"task_id": carl, "decision": "abstain", "comment": "A cousin."}]}
    (result,) = (await desk.post("/workflow/tasks/decide/", items, as_="carl")).json()["results"]
    assert (result["status"], result["request"]["outcome"]) == (200, "rejected")
    assert [task["status"] for task in result["request"]["tasks"]] == ["decided", "decided", "superseded"]
    late = await desk.post(f"/workflow/tasks/{zoe}/decide/", {"decision": "approve"}, as_="zoe")
    assert (late.status_code, late.json()["standing"]["decision"]) == (409, "abstain")
    timeline = (await desk.get(f"/workflow/requests/{request['id']}/timeline/")).json()["items"]
    why = [line["detail"].get("why") for line in timeline if line["kind"] == "stage_settled"]
    assert why == ["the quorum can no longer be met: 2 of 3 abstained"]
    assert (await desk.get(f"/workflow/requests/{request['id']}/audit/verify/")).json()["ok"]


async def test_token_dies_when_the_task_changes_hands(desk: ApiDesk, client: Client) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    path = f"/workflow/tasks/{request['tasks'][0]['id']}"
    tokens = [(await desk.post(f"{path}/token/", as_="bob")).json()["token"]]
    for giver, taker in (("bob", "zoe"), ("zoe", "bob")):
        assert (await desk.post(f"{path}/reassign/", {"to": taker}, as_=giver)).status_code == 200
    tokens.append((await desk.post(f"{path}/token/", as_="bob")).json()["token"])
    handle = client.get_workflow_handle_for(ApprovalWorkflow.run, request["id"])
    for token, decision in zip(tokens, ("reject", "approve"), strict=True):
        await handle.signal("decide", SignedDecision(token=token, task_id=request["tasks"][0]["id"], decision=decision))
    assert (await handle.result()).outcome == "approved"


async def test_tasks_of_somebody_who_leaves_move_on(desk: ApiDesk, client: Client) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    bob = (await desk.get("/workflow/people/bob/", as_="adam")).json()
    del bob["updated_at"]
    left = await desk.call("PUT", "/workflow/people/bob/", body={**bob, "active": False}, as_="adam")
    assert left.status_code == 200, left.text

    async def moved() -> bool:
        shown = (await desk.get(f"/workflow/requests/{request['id']}/")).json()
        return bool(shown["tasks"][0]["assignee"] == "user:dora")

    async with departure_job(desk.database, partial(tell_directory_changed, client)):
        await until(moved)
    assert (await desk.get("/workflow/tasks/", as_="bob")).status_code == 401
