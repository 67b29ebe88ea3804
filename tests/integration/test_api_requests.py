"""The API on the real engine: requests from their start to their end, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text, update
from temporalio.client import Client
from temporalio.service import RPCError

from storage.database import Database
from storage.queries import api_calls
from storage.recording import outbox
from storage.tables.approvals import IdempotentCall
from tests.api_desk import ApiDesk, api_desk, context_of, no_engine, pointers
from tests.approvals import EXPENSE, worker
from tests.stored import reading, writing
from tests.unit.core import blueprint, graph
from tests.waiting import until

TWO_STAGES: dict[str, Any] = {
    **EXPENSE,
    "process_steps": [
        {"stage_name": "Manager Approval", "approvers": ["manager_of(requester)"], "sla_hours": 24},
        {"stage_name": "CFO Approval", "approvers": ["role:cfo"], "sla_hours": 48},
    ],
}


@pytest_asyncio.fixture
async def without_engine(sqlite_url: str) -> AsyncIterator[ApiDesk]:
    database = Database(sqlite_url)
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened
    await database.close()


async def test_request_is_approved_by_one_after_the_other(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    request = await desk.start(name, amount="7200.50")
    assert (request["status"], request["outcome"], request["stage"]) == ("pending", None, "Manager Approval")
    assert request["input"] == {"amount": "7200.5"}
    assert request["requester"] == "user:ann"
    assert request["links"]["temporal_ui"] == f"http://temporal.test/namespaces/default/workflows/{request['id']}"
    (task,) = request["tasks"]
    assert (task["assignee"], task["status"], task["sla_state"]) == ("user:bob", "open", "ok")

    after = await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="bob")
    assert after.status_code == 200, after.text
    assert [t["decision"] for t in after.json()["tasks"]] == ["approve", None]
    second = after.json()["tasks"][1]
    assert (second["assignee"], after.json()["stage"]) == ("user:carl", "CFO Approval")

    done = await desk.post(f"/workflow/tasks/{second['id']}/decide", {"decision": "approve"}, as_="carl")
    assert (done.json()["status"], done.json()["outcome"]) == ("completed", "approved")
    shown = await desk.get(f"/workflow/requests/{request['id']}/")
    assert shown.json() == done.json()

    timeline = (await desk.get(f"/workflow/requests/{request['id']}/timeline/")).json()["items"]
    kinds = [item["kind"] for item in timeline]
    assert (kinds[0], kinds[-1], kinds.count("decided")) == ("started", "completed", 2)
    assert {"seq", "at", "kind", "actor", "stage", "task_id", "detail", "hash"} <= timeline[0].keys()

    checked = (await desk.get(f"/workflow/requests/{request['id']}/audit/verify/")).json()
    assert checked["ok"] is True
    assert checked["entries"] == len(timeline)
    assert checked["head"] == checked["engine_head"] == timeline[-1]["hash"]


async def test_notices_leave_once_history_holds_what_they_are_about(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    await desk.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", {"decision": "reject"}, as_="bob")
    await context_of(desk).confirmations.flush()  # written soon after the answer, with those of others
    with reading(desk.database) as session:
        assert request["id"] not in outbox.held(
            session.connection(), before=datetime.now(UTC) + timedelta(hours=1), limit=100
        )
        assert outbox.next_due(session.connection()) is not None


async def test_a_late_decision_on_a_superseded_task_learns_who_settled_the_stage_and_when(desk: ApiDesk) -> None:
    two = {"stage_name": "Any", "approvers": ["user:bob", "user:dora"]}
    later = {"stage_name": "Last", "approvers": ["user:carl"]}
    request = await desk.start(await desk.publish(process_steps=[two, later]), amount=1)
    first, second = (task["id"] for task in request["tasks"])
    decided = await desk.post(f"/workflow/tasks/{first}/decide/", {"decision": "approve"}, as_="bob")
    assert decided.status_code == 200, decided.text
    at = decided.json()["tasks"][0]["decided_at"]
    known = {"status": "superseded", "decision": "approve", "decided_by": "user:bob", "decided_at": at}
    assert at.endswith("Z")
    path = f"/workflow/tasks/{second}/decide/"
    running = await desk.post(path, {"decision": "reject"}, as_="dora")
    assert running.status_code == 409
    assert known.items() <= running.json()["standing"].items()
    last = decided.json()["tasks"][2]["id"]
    assert (await desk.post(f"/workflow/tasks/{last}/decide/", {"decision": "approve"}, as_="carl")).status_code == 200
    ended = await desk.post(path, {"decision": "reject"}, as_="dora")
    assert ended.status_code == 409
    assert known.items() <= ended.json()["standing"].items()


async def test_late_decision_learns_what_stands(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(TWO_STAGES), amount=1)
    path = f"/workflow/tasks/{request['tasks'][0]['id']}/decide/"
    first = await desk.post(path, {"decision": "approve"}, as_="bob", key="first")
    while_running = await desk.post(path, {"decision": "reject"}, as_="bob", key="second")
    assert while_running.status_code == 409
    assert while_running.headers["content-type"] == "application/problem+json"
    assert while_running.json()["standing"]["decision"] == "approve"
    assert while_running.json()["standing"]["decided_by"] == "user:bob"
    assert "approve by user:bob" in while_running.json()["detail"]

    last = f"/workflow/tasks/{first.json()['tasks'][1]['id']}/decide/"
    done = await desk.post(last, {"decision": "reject"}, as_="carl", key="last")
    assert done.json()["outcome"] == "rejected"
    after_the_end = await desk.post(path, {"decision": "reject"}, as_="bob")
    assert (after_the_end.status_code, after_the_end.json()["standing"]["decision"]) == (409, "approve")
    ended = await desk.post(f"/workflow/requests/{request['id']}/withdraw/")
    assert ended.status_code == 409
    assert "rejected" in ended.json()["detail"]

    again = await desk.post(last, {"decision": "reject"}, as_="carl", key="last")
    assert (again.status_code, again.json()) == (200, done.json())
    assert (await desk.post(path, {"decision": "approve"}, as_="bob", key="first")).json() == first.json()


async def test_lost_answer_is_given_again_by_the_engine(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    path = f"/workflow/tasks/{request['tasks'][0]['id']}/decide/"
    done = await desk.post(path, {"decision": "approve"}, as_="bob", key="once")
    assert done.json()["status"] == "completed"
    with writing(desk.database) as session:  # as if this process had died before it could keep its answer
        session.execute(update(IdempotentCall).values(status_code=None, answer=None))
    again = await desk.post(path, {"decision": "approve"}, as_="bob", key="once")
    assert (again.status_code, again.json()) == (200, done.json())


async def test_same_key_starts_one_request(desk: ApiDesk) -> None:
    name = await desk.publish()
    body = {"template": name, "input": {"amount": "12"}}
    answers = await asyncio.gather(*(desk.post("/workflow/requests/", body, key="one") for _ in range(4)))
    assert {a.status_code for a in answers} == {201}, [a.text for a in answers]
    assert len({a.json()["id"] for a in answers}) == 1
    other_body = await desk.post("/workflow/requests/", {**body, "input": {"amount": "13"}}, key="one")
    assert other_body.status_code == 422
    assert other_body.json()["type"] == "urn:placet:problem:key-reused"
    somebody_else = await desk.post("/workflow/requests/", body, key="one", as_="bob")
    assert somebody_else.json()["id"] != answers[0].json()["id"]
    mine = (await desk.get("/workflow/requests/?requester=me")).json()
    assert [r["id"] for r in mine["items"]] == [answers[0].json()["id"]]


async def test_refused_call_leaves_its_key_for_the_right_one(desk: ApiDesk) -> None:
    name = await desk.publish()
    wrong = await desk.post("/workflow/requests/", {"template": name, "input": {"amount": -1}}, key="k")
    assert (wrong.status_code, pointers(wrong)) == (422, ["/input/amount"])
    right = await desk.post("/workflow/requests/", {"template": name, "input": {"amount": 1}}, key="k")
    assert right.status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"template": "No such process", "input": {}}, 422, "/template"),
        ({"template": "", "input": {}}, 422, "/template"),
        ({"input": {}}, 422, "/template"),
        ({"template": "{}", "version": "9.9.9", "input": {"amount": 1}}, 422, "/version"),
        ({"template": "{}", "input": {"amount": "much"}}, 422, "/input/amount"),
        ({"template": "{}", "input": {"amount": True}}, 422, "/input/amount"),
        ({"template": "{}", "input": {}}, 422, "/input/amount"),
        ({"template": "{}", "input": {"amount": 1, "colour": "red"}}, 422, "/input/colour"),
        ({"template": "{}", "input": []}, 422, "/input"),
        ({"template": "{}", "input": {"amount": 1}, "titel": "x"}, 422, "/titel"),
        ({"template": "{}", "input": {"amount": 1}, "title": 5}, 422, "/title"),
        ({"template": "{}", "input": {"amount": 1}, "requester": "../x"}, 422, "/requester"),
        ([], 422, ""),
        ("text", 422, ""),
        (None, 422, ""),
    ],
)
async def test_wrong_request_names_the_place_and_starts_nothing(
    without_engine: ApiDesk, body: Any, status: int, pointer: str
) -> None:
    desk = without_engine  # a start would be 503
    name = await desk.publish()
    if isinstance(body, dict) and body.get("template") == "{}":
        body = {**body, "template": name}
    answer = await desk.post("/workflow/requests/", body)
    assert (answer.status_code, pointers(answer)) == (status, [pointer]), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await desk.get("/workflow/requests/?requester=me")).json() == {"items": [], "next_cursor": None}


async def test_an_input_without_what_its_way_needs_starts_nothing(without_engine: ApiDesk) -> None:
    desk = without_engine  # a start would be 503
    spec = graph("start -> large", "large -> approved", "large -> rejected", nodes={"large": {"type": "decision"}})
    spec["edges"][1]["condition"] = 'amount < 10 || note == "x"'
    spec["edges"][2]["default"] = True
    variables = [*EXPENSE["variables"], {"name": "note", "type": "string", "required": False}]
    name = await desk.publish(blueprint(variables=variables, graph_spec=spec))
    small = await desk.post("/workflow/requests/", {"template": name, "input": {"amount": 9}})
    assert small.status_code == 503, "it would have begun"
    large = await desk.post("/workflow/requests/", {"template": name, "input": {"amount": 10}})
    assert (large.status_code, pointers(large)) == (422, ["/input/note"])


async def test_money_goes_through_no_float(desk: ApiDesk) -> None:
    name = await desk.publish()
    content = f'{{"template": "{name}", "input": {{"amount": 12345678901234567.89}}}}'.encode()
    answer = await desk.call("POST", "/workflow/requests/", content=content)
    assert answer.json()["input"] == {"amount": "12345678901234567.89"}


async def test_only_an_admin_starts_for_somebody_else(desk: ApiDesk) -> None:
    body = {"template": await desk.publish(), "input": {"amount": 1}, "requester": "user:ann"}
    assert (await desk.post("/workflow/requests/", body, as_="zoe")).status_code == 403
    assert (await desk.post("/workflow/requests/", body, as_="ann")).status_code == 201
    by_admin = await desk.post("/workflow/requests/", body, as_="adam")
    assert by_admin.json()["requester"] == "user:ann"
    timeline = await desk.get(f"/workflow/requests/{by_admin.json()['id']}/timeline/")
    assert timeline.json()["items"][0]["actor"] == "user:adam"
    for nobody in ("ghost", "gone"):
        unknown = await desk.post("/workflow/requests/", {**body, "requester": nobody}, as_="adam")
        assert (unknown.status_code, pointers(unknown)) == (422, ["/requester"])


async def test_wrong_person_is_refused_and_that_is_on_record(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    task = request["tasks"][0]["id"]
    for person, status in (("zoe", 404), ("adam", 403), ("ann", 403), ("audrey", 403)):
        answer = await desk.post(f"/workflow/tasks/{task}/decide/", {"decision": "approve"}, as_=person)
        assert answer.status_code == status, (person, answer.text)
    shape = await desk.post(f"/workflow/tasks/{task}/decide/", {"decision": "maybe"}, as_="bob")
    assert (shape.status_code, pointers(shape)) == (422, ["/decision"])
    with reading(desk.database) as session:
        kept = api_calls.refusals_of(session.connection(), request["id"])
    assert [(r.principal, r.status_code, r.action) for r in kept] == [
        ("zoe", 404, "decide"),
        ("adam", 403, "decide"),
        ("ann", 403, "decide"),
        ("audrey", 403, "decide"),
        ("bob", 422, "decide"),
    ]
    assert (await desk.get(f"/workflow/tasks/{task}/")).json()["status"] == "open"


@pytest.mark.parametrize("requester", ["olivia", "adam"])
async def test_whoever_asked_operates_nothing_of_their_own_whatever_they_are(desk: ApiDesk, requester: str) -> None:
    name = await desk.publish(
        owner="user:olivia", process_steps=[{"stage_name": "One", "approvers": ["user:bob"], "sla_hours": 1}]
    )
    request = await desk.start(name, as_=requester, amount=1)
    path, task = f"/workflow/requests/{request['id']}", f"/workflow/tasks/{request['tasks'][0]['id']}"
    for call, body in (
        (f"{path}/cancel/", {}),
        (f"{path}/extend/", {"hours": 1}),
        (f"{path}/events/", {"name": "go"}),
        (f"{task}/reassign/", {"to": "user:dora"}),
        (f"{task}/delegate/", {"to": "user:dora"}),
        (f"{task}/release/", {}),
        (f"{task}/claim/", {}),
        (f"{task}/decide/", {"decision": "approve"}),
        (f"{task}/token/", {}),
    ):
        answer = await desk.post(call, body, as_=requester)
        assert (answer.status_code, answer.json()["title"]) == (403, "Not permitted"), (call, answer.text)
    assert (await desk.post(f"{path}/comments/", {"text": "Soon?"}, as_=requester)).status_code == 200
    back = await desk.post(f"{task}/decide/", {"decision": "request_changes", "comment": "less"}, as_="bob")
    assert back.status_code == 200, back.text
    assert (await desk.post(f"{path}/resubmit/", {"comment": "so"}, as_=requester)).status_code == 200
    assert (await desk.post(f"{path}/withdraw/", {}, as_=requester)).json()["outcome"] == "withdrawn"


async def test_asking_needs_the_access_requester_and_deciding_the_access_approver(desk: ApiDesk) -> None:
    name = await desk.publish(process_steps=[{"stage_name": "One", "approvers": ["user:bob"]}])
    body = {"template": name, "input": {"amount": 1}}
    for person, status in (("nil", 403), ("ava", 403), ("desi", 403), ("audrey", 403), ("rex", 201), ("adam", 201)):
        answer = await desk.post("/workflow/requests/", body, as_=person)
        assert answer.status_code == status, (person, answer.text)
    task = answer.json()["tasks"][0]["id"]
    for path in (f"/workflow/tasks/{task}", "/workflow/tasks/none.1"):
        for person in ("nil", "rex", "desi", "audrey"):
            answer = await desk.post(f"{path}/decide/", {"decision": "approve"}, as_=person)
            assert answer.status_code == 403, (path, person, answer.text)
        assert (await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="ava")).status_code == 404


async def test_an_input_that_names_nobody_is_refused_at_its_place(desk: ApiDesk) -> None:
    variables = [*EXPENSE["variables"], {"name": "sponsor", "type": "string"}]
    steps = [{"stage_name": "One", "approvers": ["manager_of(input:sponsor)", "user:bob"]}]
    name = await desk.publish(variables=variables, process_steps=steps)
    for sponsor, status in (("ghost", 422), ("user:gone", 422), ("user:carl", 201)):
        body = {"template": name, "input": {"amount": 1, "sponsor": sponsor}}
        answer = await desk.post("/workflow/requests/", body)
        assert answer.status_code == status, answer.text
        assert status == 201 or pointers(answer) == ["/input/sponsor"]
    task = answer.json()["tasks"][0]["id"]
    await desk.post(f"/workflow/tasks/{task}/decide/", {"decision": "request_changes"}, as_="bob")
    path = f"/workflow/requests/{answer.json()['id']}/resubmit/"
    again = await desk.post(path, {"input": {"amount": 1, "sponsor": "ghost"}})
    assert (again.status_code, pointers(again)) == (422, ["/input/sponsor"])
    assert (await desk.post(path, {"input": {"amount": 1, "sponsor": "carl"}})).status_code == 200


async def test_request_is_seen_by_those_it_concerns(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    path = f"/workflow/requests/{request['id']}/"
    for person in ("ann", "bob", "olivia", "audrey", "adam"):
        assert (await desk.get(path, as_=person)).status_code == 200, person
        listed = (await desk.get("/workflow/requests/", as_=person)).json()["items"]
        assert request["id"] in [r["id"] for r in listed]
    nothing = uuid.uuid4().hex
    for part in ("", "timeline/", "audit/verify/", "notifications/", "cost/"):
        hidden = await desk.get(path + part, as_="zoe")
        absent = await desk.get(f"/workflow/requests/{nothing}/{part}", as_="zoe")
        assert (hidden.status_code, absent.status_code) == (404, 404)
        assert hidden.text.replace(request["id"], nothing) == absent.text, "nothing tells that it is there"
    assert (await desk.get("/workflow/requests/", as_="zoe")).json()["items"] == []
    assert (await desk.get("/workflow/tasks/?assignee=user:bob", as_="zoe")).json()["items"] == []
    assert (await desk.post(path + "comments/", {"text": "hello"}, as_="zoe")).status_code == 404
    assert (await desk.get(path, as_="nil")).status_code == 403, "no access is nothing, before anything is looked at"


async def test_requester_withdraws_and_owner_or_admin_cancels(desk: ApiDesk) -> None:
    name = await desk.publish()
    taken_back, cancelled = await desk.start(name, amount=1), await desk.start(name, amount=2)
    assert (await desk.post(f"/workflow/requests/{taken_back['id']}/withdraw/", as_="bob")).status_code == 403
    back = await desk.post(f"/workflow/requests/{taken_back['id']}/withdraw/", {"reason": "no need"})
    assert (back.json()["status"], back.json()["outcome"]) == ("cancelled", "withdrawn")
    assert (await desk.post(f"/workflow/requests/{cancelled['id']}/cancel/")).status_code == 403
    gone = await desk.post(f"/workflow/requests/{cancelled['id']}/cancel/", as_="olivia")
    assert (gone.json()["status"], gone.json()["outcome"]) == ("cancelled", "cancelled")
    decided = await desk.post(
        f"/workflow/tasks/{cancelled['tasks'][0]['id']}/decide/", {"decision": "approve"}, as_="bob"
    )
    assert (decided.status_code, decided.json()["type"]) == (409, "urn:placet:problem:ended")


async def test_request_that_was_terminated_in_the_engine_can_only_be_read(desk: ApiDesk, client: Client) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    await client.get_workflow_handle(request["id"]).terminate()
    answer = await desk.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", {"decision": "approve"}, as_="bob")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:placet:problem:ended")
    assert (await desk.get(f"/workflow/requests/{request['id']}/")).status_code == 200


async def test_verify_tells_an_edited_row(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    path = f"/workflow/requests/{request['id']}/audit/verify/"
    assert (await desk.get(path)).json()["ok"] is True
    with writing(desk.database) as session:
        session.execute(
            text("UPDATE audit_entry SET detail = '{nonsense' WHERE request_id = :id AND seq = 1"),
            {"id": request["id"]},
        )
    spoilt = await desk.get(path)
    assert spoilt.status_code == 200
    assert (spoilt.json()["ok"], spoilt.json()["first_bad_seq"]) == (False, 1)
    with writing(desk.database) as session:
        session.execute(
            text("UPDATE approval_request SET input = '{nonsense' WHERE id = :id")
            if desk.database.dialect == "sqlite"
            else text("DELETE FROM approval_request WHERE id = :id"),
            {"id": request["id"]},
        )
    assert (await desk.get(path)).json()["ok"] is False


async def test_a_timeline_that_cannot_be_read_says_so(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    at = "notatime" if desk.database.dialect == "sqlite" else "infinity"
    with writing(desk.database) as session:
        edited = text("UPDATE audit_entry SET at = :at WHERE request_id = :id AND seq = 1")
        session.execute(edited, {"id": request["id"], "at": at})
    answer = await desk.get(f"/workflow/requests/{request['id']}/timeline/")
    assert answer.status_code == 409
    assert "run `placet verify`" in answer.json()["detail"]


async def test_a_comment_without_words_is_named_as_it_was_sent(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(), amount=1)
    answer = await desk.post(f"/workflow/requests/{request['id']}/comments/", {"comment": ""})
    assert (answer.status_code, pointers(answer)) == (422, ["/comment"])
    assert answer.json()["detail"] == "/comment: write something"


async def test_without_a_worker_the_answer_is_503_and_the_key_finds_the_outcome(
    database: Database, client: Client
) -> None:
    queue = f"api-{uuid.uuid4().hex[:8]}"
    async with api_desk(database, client, task_queue=queue, seconds=0.5) as desk:
        body = {"template": await desk.publish(), "input": {"amount": 1}}
        assert (await desk.get("/health/ready", as_=None)).json()["checks"]["worker"] == "down"
        away = await desk.post("/workflow/requests/", body, key="start")
        assert away.status_code == 503
        assert int(away.headers["retry-after"]) >= 1
        assert away.json()["type"] == "urn:placet:problem:unavailable"

    async with api_desk(database, client, task_queue=queue) as desk, worker(client, database, queue):
        started = await desk.post("/workflow/requests/", body, key="start")
        assert started.status_code == 201, started.text
        assert len((await desk.get("/workflow/requests/?requester=me")).json()["items"]) == 1
        path = f"/workflow/tasks/{started.json()['tasks'][0]['id']}/decide/"

    async with api_desk(database, client, task_queue=queue, seconds=0.5) as desk:
        away = await desk.post(path, {"decision": "approve"}, as_="bob", key="decide")
        assert (away.status_code, "retry-after" in away.headers) == (503, True)
        many = {"items": [{"task_id": started.json()["tasks"][0]["id"], "decision": "approve"}]}
        bulk = await desk.post("/workflow/tasks/decide/", many, as_="bob", key="bulk")
        assert bulk.json()["results"][0]["status"] == 503

    async with api_desk(database, client, task_queue=queue) as desk, worker(client, database, queue):
        answer = await desk.post(path, {"decision": "approve"}, as_="bob", key="decide")
        assert (answer.status_code, answer.json().get("outcome")) in {(200, "approved"), (409, None)}, answer.text
        assert (await desk.get(f"/workflow/requests/{started.json()['id']}/")).json()["outcome"] == "approved"
        bulk = await desk.post("/workflow/tasks/decide/", many, as_="bob", key="bulk")
        assert bulk.json()["results"][0]["status"] in {200, 409}  # whichever of the two decisions came first


async def test_without_an_engine_reading_works_and_ready_says_so(database: Database) -> None:
    async with api_desk(database, await no_engine(), seconds=1) as desk:
        body = {"template": await desk.publish(), "input": {"amount": 1}}
        assert (await desk.post("/workflow/requests/", body)).status_code == 503
        assert (await desk.get("/workflow/requests/")).status_code == 200
        ready = await desk.get("/health/ready", as_=None)
        assert ready.status_code == 503
        assert ready.json() == {"status": "down", "checks": {"engine": "down", "database": "ok", "worker": "down"}}
        assert (await desk.get("/health/live", as_=None)).status_code == 200


async def test_ready_is_ok_when_every_part_is(desk: ApiDesk) -> None:
    async def up() -> bool:
        return (await desk.get("/health/ready", as_=None)).status_code == 200

    await until(up)
    assert (await desk.get("/health/ready/", as_=None)).json() == {
        "status": "ok",
        "checks": {"engine": "ok", "database": "ok", "worker": "ok"},
    }


async def test_a_decision_is_carried_out_also_where_words_of_the_directory_come_at_the_same_moment(
    desk: ApiDesk, client: Client
) -> None:
    name = await desk.publish({**EXPENSE, "process_steps": [{"stage_name": "One", "approvers": ["user:bob"]}]})
    desk = replace(desk, insistent=False)  # the first answer counts
    for _ in range(5):
        request = await desk.start(name, amount="1")
        handle = client.get_workflow_handle(request["id"])

        async def tell(handle: Any = handle) -> None:
            for _ in range(6):
                with contextlib.suppress(RPCError):  # the request may have ended
                    await handle.signal("directory_changed")

        task = request["tasks"][0]["id"]
        decided = desk.post(f"/workflow/tasks/{task}/decide/", {"decision": "approve"}, as_="bob")
        answer, _ = await asyncio.gather(decided, tell())
        assert (answer.status_code, answer.json()["outcome"]) == (200, "approved"), answer.text
