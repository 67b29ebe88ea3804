"""Agents over HTTP, on both databases: what they may do for their principal, and that they cannot lie about whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.api_desk import ApiDesk, pointers
from tests.approvals import EXPENSE
from tests.stored import writing

BOT: dict[str, Any] = {"id": "bot", "actor_type": "agent", "principal": "user:ann", "access": ["requester", "approver"]}


async def add(desk: ApiDesk, **changed: Any) -> None:
    answer = await desk.post("/workflow/people/", {**BOT, **changed}, as_="adam")
    assert answer.status_code == 201, answer.text


async def change(desk: ApiDesk, person: str, **facts: Any) -> None:
    before = (await desk.get(f"/workflow/people/{person}/", as_="adam")).json()
    answer = await desk.call("PUT", f"/workflow/people/{person}/", as_="adam", body={**before, **facts})
    assert answer.status_code == 200, answer.text


async def ask(desk: ApiDesk, *, as_: str = "bot", **blueprint: Any) -> dict[str, Any]:
    steps = {"process_steps": [{"stage_name": "Manager Approval", "approvers": ["user:bob"]}]}
    return await desk.start(await desk.publish({**EXPENSE, **steps}, **blueprint), as_=as_, amount=1)


async def test_an_agent_asks_and_claims_and_entries_say_whom_it_acts_for(desk: ApiDesk) -> None:
    await add(desk)
    me = (await desk.get("/auth/me/", as_="bot")).json()
    assert (me["actor_type"], me["principal"]) == ("agent", "user:ann")
    action = {
        "type": "payment",
        "target": "acct-1",
        "parameters": {"amount": 82000},
        "expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }
    steps = {"process_steps": [{"stage_name": "Manager Approval", "approvers": ["user:bob"]}]}
    body = {"template": await desk.publish({**EXPENSE, **steps}), "input": {"amount": 1}, "action": action}
    request = (await desk.post("/workflow/requests/", body, as_="bot")).json()
    assert request["requester"] == "user:bot"
    path = f"/workflow/requests/{request['id']}/"
    assert (await desk.get(path, as_="ann")).status_code == 200, "its principal sees what it asks"
    assert (await desk.get(path, as_="zoe")).status_code == 404
    await desk.post(f"/workflow/tasks/{request['tasks'][0]['id']}/decide/", {"decision": "approve"}, as_="bob")
    assert (await desk.post(f"{path}claim/", {"action": action}, as_="ann")).status_code == 403
    claimed = await desk.post(f"{path}claim/", {"action": action}, as_="bot")
    assert (claimed.status_code, claimed.json()["claimed_by"]) == (200, "user:bot")
    items = (await desk.get(f"{path}timeline/", as_="ann")).json()["items"]
    told = [(one["kind"], one["detail"]["actor_type"], one["detail"]["principal"]) for one in items
            if one["actor"] == "user:bot"]  # fmt: skip
    assert told == [("started", "agent", "user:ann"), ("claimed", "agent", "user:ann")]
    assert (await desk.get(f"{path}audit/verify/", as_="ann")).json()["ok"] is True


async def test_an_agent_may_do_what_both_may_and_ends_with_its_principal(desk: ApiDesk) -> None:
    await add(desk)
    assert (await desk.get("/auth/me/", as_="bot")).json()["access"] == ["approver", "requester"]
    await change(desk, "ann", access=["requester"])
    assert (await desk.get("/auth/me/", as_="bot")).json()["access"] == ["requester"]
    await change(desk, "bot", access=["admin"])
    assert (await desk.get("/auth/me/", as_="bot")).json()["access"] == ["requester"], "no more than its principal"
    await change(desk, "ann", access=["admin"])
    await change(desk, "bot", access=["designer"])
    assert (await desk.get("/auth/me/", as_="bot")).json()["access"] == ["designer"], "no more than itself"
    await change(desk, "ann", active=False)
    assert (await desk.get("/auth/me/", as_="bot")).status_code == 401
    await change(desk, "ann", active=True)
    assert (await desk.get("/auth/me/", as_="bot")).status_code == 200
    await change(desk, "bot", active=False)
    assert (await desk.get("/auth/me/", as_="bot")).status_code == 401


async def test_an_agent_cannot_lie_about_its_principal(desk: ApiDesk) -> None:
    await add(desk)
    name = await desk.publish()
    said = await desk.post(
        "/workflow/requests/", {"template": name, "input": {"amount": 1}, "principal": "user:carl"}, as_="bot"
    )
    assert (said.status_code, pointers(said)) == (422, ["/principal"])
    theirs = await desk.post(
        "/workflow/requests/", {"template": name, "input": {"amount": 1}, "requester": "user:ann"}, as_="bot"
    )
    assert theirs.status_code == 403, "an agent is not whom it acts for"
    changed = await desk.call("PUT", "/workflow/people/bot/", as_="bot", body={"away": None, "principal": "user:carl"})
    assert changed.status_code == 403
    assert (await desk.get("/workflow/people/bot/", as_="adam")).json()["principal"] == "ann"
    with writing(desk.database) as session:
        query = text("SELECT action, status_code, reason FROM refusal WHERE principal = 'bot' ORDER BY id")
        found = session.execute(query).all()
    assert [row.status_code for row in found] == [403, 403], "that it was tried is on record"
    assert all(row.reason for row in found)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"actor_type": "person"}, "/principal"),
        ({"principal": "user:nobody"}, "/principal"),
        ({"principal": "user:bot"}, "/principal"),
    ],
)
async def test_only_an_agent_acts_for_somebody_else_who_is_there(
    desk: ApiDesk, changed: dict[str, Any], place: str
) -> None:
    answer = await desk.post("/workflow/people/", {**BOT, **changed}, as_="adam")
    assert (answer.status_code, pointers(answer)) == (422, [place])


async def test_an_agent_is_asked_for_no_decision_and_makes_none(desk: ApiDesk) -> None:
    await add(desk, access=["requester", "approver", "admin"], principal="user:adam")
    request = await ask(desk, as_="ann", owner="user:carl", process_steps=[
        {"stage_name": "Approval", "approvers": ["user:bot", "user:bob"]}])  # fmt: skip
    (task,) = request["tasks"]
    assert task["assignee"] == "user:bob"
    path = f"/workflow/tasks/{task['id']}"
    for call, body in (
        ("decide", {"decision": "approve"}),
        ("decide", {"decision": "reject", "comment": "No."}),
        ("reassign", {"to": "user:dora"}),
        ("delegate", {"to": "user:dora"}),
        ("approvers", {"who": "user:dora", "reason": "More eyes."}),
        ("claim", {}),
        ("token", {}),
    ):
        answer = await desk.post(f"{path}/{call}/", body, as_="bot")
        assert answer.status_code == 403, (call, answer.text)
    handed = await desk.post(f"{path}/reassign/", {"to": "user:bot"}, as_="carl")
    assert handed.status_code in {403, 409, 422}, handed.text
    assert (await desk.get(f"/workflow/requests/{request['id']}/")).json()["tasks"][0]["assignee"] == "user:bob"


async def test_an_agent_withdraws_what_it_asked_and_cannot_have_it_denied(desk: ApiDesk) -> None:
    await add(desk, access=["requester", "approver", "admin"], principal="user:adam")
    request = await ask(desk)
    path = f"/workflow/requests/{request['id']}"
    assert (await desk.post(f"{path}/cancel/", as_="bot")).status_code == 403
    rejects = f"/workflow/tasks/{request['tasks'][0]['id']}/decide/"
    assert (await desk.post(rejects, {"decision": "reject"}, as_="bot")).status_code == 403
    ended = await desk.post(f"{path}/withdraw/", as_="bot")
    assert (ended.json()["status"], ended.json()["outcome"]) == ("cancelled", "withdrawn")


async def test_a_process_may_keep_the_principal_of_the_asking_agent_from_deciding(desk: ApiDesk) -> None:
    await add(desk, principal="user:bob")
    forbids = {"owner": "user:carl", "settings": {"separation_of_duties": {"agent_principal": "forbid"}}}
    request = await ask(desk, **forbids)
    (task,) = request["tasks"]
    assert task["assignee"] == "user:carl"
    assert (await desk.get(f"/workflow/requests/{request['id']}/", as_="bob")).status_code == 200
    path = f"/workflow/tasks/{task['id']}"
    assert (await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="bob")).status_code == 403
    assert (await desk.post(f"{path}/reassign/", {"to": "user:bob"}, as_="carl")).status_code in {403, 409, 422}
    allowed = await ask(desk, owner="user:carl")
    assert allowed["tasks"][0]["assignee"] == "user:bob"
    others = await ask(desk, as_="ann", **forbids)
    assert others["tasks"][0]["assignee"] == "user:bob", "who asked is no agent of his"


async def test_agents_without_a_principal_go_on_as_before(desk: ApiDesk) -> None:
    await add(desk, principal=None)
    request = await ask(desk)
    items = (await desk.get(f"/workflow/requests/{request['id']}/timeline/", as_="bot")).json()["items"]
    assert items[0]["detail"]["actor_type"] == "agent"
    assert "principal" not in items[0]["detail"]
    with writing(desk.database) as session:
        found = session.execute(text("SELECT principal FROM person WHERE id = 'bot'")).scalar_one()
    assert found is None
