"""The directory lives, over HTTP: queues, absences and leavers count as they are when somebody looks and acts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from service.engine.client import tell_directory_changed
from storage.tables.approvals import Outbox
from tests.api_desk import ApiDesk, pointers
from tests.stored import reading
from tests.waiting import until
from worker.jobs import departure_job

ALWAYS = {"from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
QUEUE = {"stage_name": "Queue", "approvers": ["group:finance"], "claim": True}


async def ask(desk: ApiDesk, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Start a request of these steps as ann, and return it."""
    named = [{"stage_name": f"Stage {n}", **step} for n, step in enumerate(steps, 1)]
    return await desk.start(await desk.publish(process_steps=named, **more), amount=1)


async def put(desk: ApiDesk, person: str, **changes: Any) -> None:
    """Change a person as an admin does."""
    read = (await desk.get(f"/workflow/people/{person}/", as_="adam")).json()
    answer = await desk.call("PUT", f"/workflow/people/{person}/", body=read | changes, as_="adam")
    assert answer.status_code == 200, answer.text


async def inbox(desk: ApiDesk, person: str) -> set[str]:
    """Return the ids of the tasks that wait for somebody."""
    answer = await desk.get("/workflow/tasks/?assignee=me&status=open", as_=person)
    assert answer.status_code == 200, answer.text
    return {task["id"] for task in answer.json()["items"]}


async def told(desk: ApiDesk, request: dict[str, Any], event: str) -> set[str]:
    with reading(desk.database) as session:
        query = select(col(Outbox.person)).where(col(Outbox.request_id) == request["id"], col(Outbox.event) == event)
        return set(session.scalars(query))


async def timeline(desk: ApiDesk, request: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    items = (await desk.get(f"/workflow/requests/{request['id']}/timeline/", as_="adam")).json()["items"]
    return [item for item in items if item["kind"] == kind]


async def test_a_queue_is_of_whoever_is_in_its_group_when_they_look_and_claim(desk: ApiDesk) -> None:
    request = await ask(desk, QUEUE)
    task = request["tasks"][0]
    path, whole = f"/workflow/tasks/{task['id']}", f"/workflow/requests/{request['id']}/"
    assert task["candidates"] == ["user:gus", "user:gwen"]
    assert await told(desk, request, "task_opened") == {"gus", "gwen"}
    assert (await desk.get(whole, as_="zoe")).status_code == 404

    await put(desk, "gus", groups=[])
    await put(desk, "zoe", groups=["finance"])
    assert (await inbox(desk, "gus"), await inbox(desk, "zoe")) == (set(), {task["id"]})
    assert [(await desk.get(whole, as_=who)).status_code for who in ("gus", "zoe")] == [404, 200]
    for shown in ((await desk.get(f"{path}/", as_="zoe")).json(), (await desk.get(whole)).json()["tasks"][0]):
        assert shown["candidates"] == ["user:gwen", "user:zoe"]
    listed = (await desk.get("/workflow/requests/", as_="zoe")).json()["items"]
    assert [one["id"] for one in listed] == [request["id"]]
    assert (await desk.post(f"{path}/claim/", as_="gus")).status_code == 404
    claimed = await desk.post(f"{path}/claim/", as_="zoe")
    assert (claimed.status_code, claimed.json()["tasks"][0]["assignee"]) == (200, "user:zoe")
    assert await inbox(desk, "gwen") == set()
    done = await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="zoe")
    assert done.json()["outcome"] == "approved"
    assert (await desk.get(whole, as_="zoe")).status_code == 200, "who had the task sees what becomes of it"


async def test_whoever_asked_does_not_get_their_own_request_by_joining_the_group(desk: ApiDesk) -> None:
    request = await ask(desk, QUEUE)
    task = request["tasks"][0]["id"]
    await put(desk, "ann", groups=["finance"])
    assert await inbox(desk, "ann") == set()
    assert (await desk.get(f"/workflow/tasks/{task}/")).json()["candidates"] == ["user:gus", "user:gwen"]
    assert (await desk.post(f"/workflow/tasks/{task}/claim/", as_="ann")).status_code == 403


async def test_a_substitute_sees_and_decides_what_is_open_while_the_absence_lasts(desk: ApiDesk) -> None:
    kept, decided = await ask(desk, {}), await ask(desk, {})
    paths = [f"/workflow/tasks/{request['tasks'][0]['id']}" for request in (kept, decided)]
    ids = {request["tasks"][0]["id"] for request in (kept, decided)}
    assert await inbox(desk, "zoe") == set()
    assert (await desk.post(f"{paths[0]}/decide/", {"decision": "approve"}, as_="zoe")).status_code == 404

    away = {"away": ALWAYS | {"substitute": "zoe"}}
    assert (await desk.call("PUT", "/workflow/people/me/", body=away, as_="bob")).status_code == 200
    assert (await inbox(desk, "zoe"), await inbox(desk, "bob")) == (ids, ids)
    assert (await desk.get(f"/workflow/requests/{decided['id']}/", as_="zoe")).status_code == 200
    done = await desk.post(f"{paths[1]}/decide/", {"decision": "approve", "comment": "for Bob"}, as_="zoe", key="once")
    assert (done.status_code, done.json()["outcome"]) == (200, "approved")
    task = done.json()["tasks"][0]
    assert (task["assignee"], task["decided_by"], task["on_behalf_of"]) == ("user:bob", "user:zoe", "user:bob")
    (entry,) = await timeline(desk, decided, "decided")
    assert (entry["actor"], entry["detail"]["on_behalf_of"]) == ("user:zoe", "user:bob")

    back = await desk.call("PUT", "/workflow/people/me/", body={"away": None}, as_="bob")
    assert back.status_code == 200, back.text
    assert await inbox(desk, "zoe") == set()
    assert (await desk.post(f"{paths[0]}/decide/", {"decision": "approve"}, as_="zoe")).status_code == 404
    assert (await desk.get(f"/workflow/requests/{kept['id']}/", as_="zoe")).status_code == 404
    assert (await desk.get(f"/workflow/requests/{decided['id']}/", as_="zoe")).status_code == 200, "they decided it"
    again = await desk.post(f"{paths[1]}/decide/", {"decision": "approve", "comment": "for Bob"}, as_="zoe", key="once")
    assert again.json() == done.json()


async def test_what_opened_during_an_absence_is_whose_it_is_again_when_they_are_back(
    desk: ApiDesk, client: Client
) -> None:
    await put(desk, "bob", away=ALWAYS | {"substitute": "zoe"})
    cut, decided, unasked = [await ask(desk, {}) for _ in range(3)]
    paths = [f"/workflow/tasks/{request['tasks'][0]['id']}" for request in (cut, decided, unasked)]
    task = cut["tasks"][0]
    assert (task["assignee"], task["assigned_via"]) == ("user:zoe", "substitution:bob")
    assert (await desk.get(f"/workflow/requests/{cut['id']}/", as_="bob")).status_code == 200
    done = await desk.post(f"{paths[1]}/decide/", {"decision": "approve"}, as_="zoe")
    shown = done.json()["tasks"][0]
    assert (done.status_code, shown["decided_by"], shown["on_behalf_of"]) == (200, "user:zoe", "user:bob")

    back = await desk.call("PUT", "/workflow/people/me/", body={"away": None}, as_="bob")
    assert back.status_code == 200, back.text
    # Nobody has told the request yet; whoever acts on it gets what holds now.
    assert (await desk.post(f"{paths[0]}/decide/", {"decision": "approve"}, as_="zoe")).status_code == 403
    (entry,) = await timeline(desk, cut, "reassigned")
    assert (entry["actor"], entry["detail"]["after"]) == ("system", {"assignee": "user:bob"})
    assert "the absence of user:bob is over" in entry["detail"]["why"]
    assert await told(desk, cut, "reassigned") == {"bob"}
    assert await told(desk, cut, "task_taken_over") == {"zoe"}
    own = await desk.post(f"{paths[0]}/decide/", {"decision": "approve"}, as_="bob")
    assert (own.status_code, own.json()["outcome"]) == (200, "approved"), own.text
    assert (own.json()["tasks"][0]["decided_by"], own.json()["tasks"][0]["on_behalf_of"]) == ("user:bob", None)

    async def moved() -> bool:
        return (await inbox(desk, "bob"), await inbox(desk, "zoe")) == ({unasked["tasks"][0]["id"]}, set())

    async with departure_job(desk.database, partial(tell_directory_changed, client)):
        await until(moved)
    verified = await desk.get(f"/workflow/requests/{cut['id']}/audit/verify/")
    assert verified.json()["ok"] is True


async def test_who_stands_in_for_a_delegate_sees_and_decides_while_the_absence_lasts(desk: ApiDesk) -> None:
    kept, decided = await ask(desk, {}), await ask(desk, {})
    paths = [f"/workflow/tasks/{request['tasks'][0]['id']}" for request in (kept, decided)]
    for path in paths:
        handed = await desk.post(f"{path}/delegate/", {"to": "user:carl", "keep": True}, as_="bob")
        assert handed.status_code == 200, handed.text
    assert await inbox(desk, "zoe") == set()
    await put(desk, "carl", away=ALWAYS | {"substitute": "zoe"})
    assert await inbox(desk, "zoe") == {request["tasks"][0]["id"] for request in (kept, decided)}
    assert (await desk.get(f"/workflow/requests/{kept['id']}/", as_="zoe")).status_code == 200
    done = await desk.post(f"{paths[1]}/decide/", {"decision": "approve"}, as_="zoe")
    assert (done.status_code, done.json()["outcome"]) == (200, "approved"), done.text
    assert done.json()["tasks"][0]["on_behalf_of"] == "user:carl"
    await put(desk, "carl", away=None)
    assert await inbox(desk, "zoe") == set()
    assert (await desk.post(f"{paths[0]}/decide/", {"decision": "approve"}, as_="zoe")).status_code == 404


async def test_who_is_added_while_they_are_away_has_the_task_and_their_substitute_only_meanwhile(desk: ApiDesk) -> None:
    await put(desk, "carl", away=ALWAYS | {"substitute": "zoe"})
    request = await ask(desk, {"sla_hours": 0.0001, "escalation": [{"to": "user:carl", "action": "add"}]})
    (task,) = request["tasks"]

    async def risen() -> bool:
        return bool(await timeline(desk, request, "escalated"))

    await until(risen)
    shown = (await desk.get(f"/workflow/tasks/{task['id']}/", as_="zoe")).json()
    assert (shown["assignee"], shown["delegates"]) == ("user:bob", ["user:carl"])
    assert await told(desk, request, "escalated_to") == {"carl", "zoe"}
    assert (await inbox(desk, "zoe"), await inbox(desk, "carl")) == ({task["id"]}, {task["id"]})
    await put(desk, "carl", away=None)
    assert await inbox(desk, "zoe") == set()
    gone = await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="zoe")
    assert gone.status_code == 404
    done = await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="carl")
    assert (done.status_code, done.json()["outcome"]) == (200, "approved"), done.text


async def test_the_candidates_of_a_queue_are_those_who_may_claim(desk: ApiDesk) -> None:
    await put(desk, "gwen", away=ALWAYS | {"substitute": "rex"})  # who is no approver
    await put(desk, "ann", groups=["finance"], away=ALWAYS | {"substitute": "zoe"})  # who asks
    request = await ask(desk, QUEUE)
    assert request["tasks"][0]["candidates"] == ["user:gus", "user:gwen"]
    assert await told(desk, request, "task_opened") == {"gus", "gwen"}
    path = f"/workflow/tasks/{request['tasks'][0]['id']}/claim/"
    assert [(await desk.post(path, as_=who)).status_code for who in ("rex", "zoe")] == [403, 404]


async def test_nobody_decides_their_own_request_as_a_substitute(desk: ApiDesk) -> None:
    request = await ask(desk, {})
    await put(desk, "bob", away=ALWAYS | {"substitute": "ann"})
    path = f"/workflow/tasks/{request['tasks'][0]['id']}"
    assert await inbox(desk, "ann") == set()
    assert (await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="ann")).status_code == 403


async def test_who_sees_a_request_and_stands_in_for_nobody_is_refused_by_the_core(desk: ApiDesk) -> None:
    request = await ask(desk, {"approvers": ["user:bob"]}, {"approvers": ["user:zoe"]})
    first = request["tasks"][0]["id"]
    for person, status in (("olivia", 403), ("adam", 403), ("gus", 404)):
        answer = await desk.post(f"/workflow/tasks/{first}/decide/", {"decision": "approve"}, as_=person)
        assert answer.status_code == status, (person, answer.text)


async def test_those_who_stand_in_and_those_in_a_queue_are_told_as_it_is_then(desk: ApiDesk) -> None:
    await put(desk, "gwen", away=ALWAYS | {"substitute": "zoe"})
    request = await ask(desk, QUEUE)
    assert await told(desk, request, "task_opened") == {"gus", "gwen", "zoe"}
    assert request["tasks"][0]["candidates"] == ["user:gus", "user:gwen", "user:zoe"]


async def test_a_quorum_does_not_shrink_by_somebody_who_is_away(desk: ApiDesk) -> None:
    await put(desk, "bob", away=ALWAYS)
    request = await ask(desk, {"approvers": ["user:bob", "user:carl"], "quorum": "all"})
    assert [task["assignee"] for task in request["tasks"]] == ["user:carl", "user:olivia"]
    (entry,) = await timeline(desk, request, "approver_missing")
    assert "user:bob" in entry["detail"]["why"]


async def test_admins_are_told_of_a_task_that_only_its_requester_could_assign(desk: ApiDesk) -> None:
    name = await desk.publish(owner="user:zoe", process_steps=[{"stage_name": "One"}])
    request = await desk.start(name, as_="zoe", amount=1)
    assert request["tasks"][0]["assignee"] is None
    assert await told(desk, request, "approver_missing") == {"adam"}
    task = request["tasks"][0]["id"]
    assert (await desk.post(f"/workflow/tasks/{task}/reassign/", {"to": "dora"}, as_="zoe")).status_code == 403
    moved = await desk.post(f"/workflow/tasks/{task}/reassign/", {"to": "dora"}, as_="adam")
    assert moved.json()["tasks"][0]["assignee"] == "user:dora"


async def test_a_refused_hand_over_says_why_in_the_words_of_its_reason(desk: ApiDesk) -> None:
    await put(desk, "gus", away=ALWAYS)
    request = await ask(desk, {"approvers": ["user:bob", "user:carl"], "quorum": "all"})
    path = f"/workflow/tasks/{request['tasks'][0]['id']}/reassign/"
    for to, why in (
        ("gus", "away until"),
        ("ann", "own request"),
        ("carl", "another seat"),
        ("rex", "access approver"),
    ):
        answer = await desk.post(path, {"to": to}, as_="bob")
        assert (answer.status_code, why in answer.json()["detail"]) == (403, True), answer.text
    unknown = await desk.post(path, {"to": "ghost"}, as_="bob")
    assert (unknown.status_code, pointers(unknown)) == (422, ["/to"])
    otherwise = await desk.post(path, {"assignee": "ghost"}, as_="bob")
    assert (otherwise.status_code, pointers(otherwise)) == (422, ["/assignee"]), "the place is the name that was sent"


async def test_who_owns_the_process_by_a_role_sees_and_operates_its_requests(desk: ApiDesk) -> None:
    name = await desk.publish(
        owner="cfo", process_steps=[{"stage_name": "One", "approvers": ["user:bob"], "sla_hours": 5}]
    )
    request = await desk.start(name, amount=1)
    path = f"/workflow/requests/{request['id']}/"
    assert request["owner"] == "role:cfo"
    assert [(await desk.get(path, as_=who)).status_code for who in ("carl", "zoe")] == [200, 404]
    later = await desk.post(f"{path}extend/", {"hours": 1}, as_="carl")
    moved = datetime.fromisoformat(later.json()["tasks"][0]["due_at"]) - datetime.now(UTC)
    assert moved > timedelta(hours=5)
    await put(desk, "carl", roles=[])
    assert (await desk.get(path, as_="carl")).status_code == 404
