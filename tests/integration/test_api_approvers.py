"""Approvers whom somebody adds, and tasks that are delegated together, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api_desk import ApiDesk, pointers
from tests.pages import browser_of, send

STEP = {"stage_name": "Board", "approvers": ["user:bob"]}


async def ask(desk: ApiDesk, **step: Any) -> dict[str, Any]:
    return await desk.start(await desk.publish(process_steps=[STEP | step]), amount=1)


async def read(desk: ApiDesk, request: dict[str, Any]) -> dict[str, Any]:
    return dict((await desk.get(f"/workflow/requests/{request['id']}/", as_="adam")).json())


async def test_somebody_with_a_task_adds_an_approver_who_has_to_approve_as_well(desk: ApiDesk) -> None:
    request = await ask(desk)
    path = f"/workflow/tasks/{request['tasks'][0]['id']}"
    body = {"who": "user:carl", "reason": "Carl signs for it."}
    added = await desk.post(f"{path}/approvers/", body, as_="bob", key="once")
    assert added.status_code == 200, added.text
    again = await desk.post(f"{path}/approvers/", body, as_="bob", key="once")
    assert again.json() == added.json()
    mine, his = added.json()["tasks"]
    assert (his["assignee"], his["assigned_via"]) == ("user:carl", "added:bob")
    decided = await desk.post(f"/workflow/tasks/{mine['id']}/decide/", {"decision": "approve"}, as_="bob")
    assert decided.json()["status"] == "pending"
    decided = await desk.post(f"/workflow/tasks/{his['id']}/decide/", {"decision": "approve"}, as_="carl")
    assert decided.json()["outcome"] == "approved"
    items = (await desk.get(f"/workflow/requests/{request['id']}/timeline/", as_="adam")).json()["items"]
    entry = next(item for item in items if item["kind"] == "approver_added")
    assert (entry["actor"], entry["detail"]["to"], entry["detail"]["why"]) == (
        "user:bob",
        "user:carl",
        "Carl signs for it.",
    )
    verified = await desk.get(f"/workflow/requests/{request['id']}/audit/verify/", as_="audrey")
    assert verified.json()["ok"], verified.text


async def test_who_may_not_be_added_or_add_is_refused_with_the_place_and_the_reason(desk: ApiDesk) -> None:
    request = await ask(desk)
    path = f"/workflow/tasks/{request['tasks'][0]['id']}/approvers/"
    for as_, body, status, place in [
        ("bob", {"who": "user:carl"}, 422, ["/reason"]),
        ("bob", {"who": "user:carl", "reason": " "}, 422, ["/reason"]),
        ("bob", {"who": "user:nobody", "reason": "So."}, 422, ["/who"]),
        ("bob", {"who": "role:cfo", "reason": "So."}, 422, ["/who"]),
        ("bob", {"who": "user:ann", "reason": "So."}, 403, []),  # the requester
        ("ann", {"who": "user:carl", "reason": "So."}, 403, []),  # on their own request
        ("zoe", {"who": "user:carl", "reason": "So."}, 404, []),  # who does not see it
        ("audrey", {"who": "user:carl", "reason": "So."}, 403, []),
    ]:
        answer = await desk.post(path, body, as_=as_)
        assert (answer.status_code, pointers(answer)) == (status, place), (as_, body, answer.text)
    closed = await ask(desk, ad_hoc=False)
    path = f"/workflow/tasks/{closed['tasks'][0]['id']}/approvers/"
    assert (await desk.post(path, {"who": "user:carl", "reason": "So."}, as_="bob")).status_code == 403


async def test_tasks_are_delegated_together_and_each_has_its_own_result(desk: ApiDesk) -> None:
    first, second = await ask(desk), await ask(desk)
    other = await desk.start(await desk.publish(process_steps=[STEP | {"approvers": ["user:dora"]}]), amount=1)
    body = {
        "task_ids": [one["tasks"][0]["id"] for one in (first, second, other)],
        "to": "user:carl",
        "reason": "I am travelling.",
    }
    answer = await desk.post("/workflow/tasks/delegate/", body, as_="bob", key="many")
    assert [result["status"] for result in answer.json()["results"]] == [200, 200, 404]
    assert (await desk.post("/workflow/tasks/delegate/", body, as_="bob", key="many")).json() == answer.json()
    assert [(await read(desk, one))["tasks"][0]["assignee"] for one in (first, second, other)] == [
        "user:carl",
        "user:carl",
        "user:dora",
    ]
    unknown = await desk.post("/workflow/tasks/delegate/", body | {"to": "user:nobody"}, as_="carl")
    assert [result["status"] for result in unknown.json()["results"]] == [422, 422, 404]
    assert unknown.json()["results"][0]["problem"]["errors"][0]["pointer"] == "/to"


def said(page: httpx.Response) -> str:
    return " ".join(page.text.split())


async def test_the_page_adds_an_approver_and_tells_them_why_they_are_asked(desk: ApiDesk) -> None:
    request = await ask(desk)
    task = request["tasks"][0]["id"]
    bob = await browser_of(desk, "bob")
    assert f'action="/tasks/{task}/approvers"' in said(await bob.get(f"/tasks/{task}"))
    refused = await send(bob, f"/tasks/{task}/approvers", who="ann", added_because="Why not")
    assert refused.status_code == 422
    assert "nobody decides their own request" in said(refused)
    assert 'value="Why not"' in said(refused)
    done = await send(bob, f"/tasks/{task}/approvers", who="carl", added_because="Carl <signs> for it.")
    assert done.status_code == 303
    carl = await browser_of(desk, "carl")
    page = said(await carl.get(f"/tasks/{(await read(desk, request))['tasks'][1]['id']}"))
    assert " added you to this request." in page
    assert "Carl &lt;signs&gt; for it." in page


async def test_the_page_offers_no_addition_where_the_process_forbids_it(desk: ApiDesk) -> None:
    request = await ask(desk, ad_hoc=False)
    bob = await browser_of(desk, "bob")
    assert "/approvers" not in (await bob.get(f"/tasks/{request['tasks'][0]['id']}")).text


async def test_the_inbox_delegates_several_after_a_summary(desk: ApiDesk) -> None:
    first, second = await ask(desk), await ask(desk)
    picked = [f"{one['tasks'][0]['id']}:1" for one in (first, second)]
    bob = await browser_of(desk, "bob")
    assert "/tasks/delegate" in (await bob.get("/")).text
    summary = said(await send(bob, "/tasks/delegate", task=picked, back="/"))
    assert "Delegate 2 tasks" in summary
    nobody = await send(bob, "/tasks/delegate", task=picked, back="/", step="delegate", to="role:cfo")
    assert nobody.status_code == 422
    await desk.post(f"/workflow/tasks/{second['tasks'][0]['id']}/decide/", {"decision": "approve"}, as_="bob")
    result = said(await send(bob, "/tasks/delegate", task=picked, back="/", step="delegate", to="carl"))
    assert "1 of 2 delegated" in result
    assert "Not delegated" in result
    assert (await read(desk, first))["tasks"][0]["assignee"] == "user:carl"


async def test_whoever_goes_away_may_hand_over_what_is_open(desk: ApiDesk) -> None:
    first, second = await ask(desk), await ask(desk)
    await desk.post(
        f"/workflow/tasks/{second['tasks'][0]['id']}/approvers/", {"who": "user:carl", "reason": "So."}, as_="bob"
    )
    bob = await browser_of(desk, "bob")
    days = {"first": "2030-01-01", "last": "2030-01-09"}
    nobody = await send(bob, "/me/away", **days, move="1")
    assert nobody.status_code == 422  # to whom?
    assert not (await desk.get("/workflow/people/bob/", as_="adam")).json()["away"]
    result = said(await send(bob, "/me/away", **days, substitute="carl", move="1"))
    assert "1 of 2 delegated" in result  # of the other, carl has a seat already
    assert (await read(desk, first))["tasks"][0]["assignee"] == "user:carl"
    assert (await read(desk, second))["tasks"][0]["assignee"] == "user:bob"
    assert (await desk.get("/workflow/people/bob/", as_="adam")).json()["away"]["substitute"] == "carl"
    kept = await send(bob, "/me/away", first="2031-01-01", last="2031-01-09", substitute="carl")
    assert kept.status_code == 303  # without the tick nothing moves


async def test_an_admin_who_says_that_somebody_is_away_may_give_what_is_open_to_the_substitute(desk: ApiDesk) -> None:
    first, second = await ask(desk), await ask(desk)
    await desk.post(
        f"/workflow/tasks/{second['tasks'][0]['id']}/approvers/", {"who": "user:carl", "reason": "So."}, as_="bob"
    )
    adam = await browser_of(desk, "adam")
    days = {"first": "2030-01-01", "last": "2030-01-09"}
    result = said(await send(adam, "/operations/people/bob/away", **days, substitute="carl", move="1"))
    assert "1 of 2 reassigned" in result  # of the other, carl has a seat already
    assert "Not reassigned" in result
    assert (await read(desk, first))["tasks"][0]["assignee"] == "user:carl"
    assert (await read(desk, second))["tasks"][0]["assignee"] == "user:bob"
    assert (await desk.get("/workflow/people/bob/", as_="adam")).json()["away"]["substitute"] == "carl"
