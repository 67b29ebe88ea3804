"""Claims over HTTP, on both databases and the real engine: exactly the approved action, once, in time, by its asker."""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.api_desk import ApiDesk, pointers
from tests.approvals import EXPENSE
from tests.stored import writing
from tests.waiting import until

AGENTS: dict[str, Any] = {**EXPENSE, "process_steps": [{"stage_name": "Manager Approval"}]}


def action(amount: Any = 82000, *, seconds: float = 3600, **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "type": "payment",
        "target": "acct-1",
        "parameters": {"amount": amount, "to": {"name": "Nordwind"}},
        "expires_at": at.isoformat().replace("+00:00", "Z"),
        **more,
    }


async def ask(desk: ApiDesk, asked: Any, *, as_: str = "ann", **more: Any) -> dict[str, Any]:
    template = more.pop("template", None) or await desk.publish(AGENTS)
    body = {"template": template, "input": {"amount": 1}, "action": asked, **more}
    answer = await desk.post("/workflow/requests/", body, as_=as_)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def approve(desk: ApiDesk, request: dict[str, Any]) -> dict[str, Any]:
    task = next(one for one in request["tasks"] if one["status"] == "open")
    path = f"/workflow/tasks/{task['id']}/decide/"
    answer = await desk.post(path, {"decision": "approve"}, as_=task["assignee"].removeprefix("user:"))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def claim(
    desk: ApiDesk, request: dict[str, Any], asked: Any, *, as_: str = "ann", key: str | None = None
) -> tuple[int, dict[str, Any]]:
    answer = await desk.post(f"/workflow/requests/{request['id']}/claim/", {"action": asked}, as_=as_, key=key)
    return answer.status_code, answer.json()


async def test_an_approved_action_is_claimed_once_and_its_chain_verifies(desk: ApiDesk) -> None:
    asked = action()
    request = await ask(desk, asked)
    assert (request["revision"], request["claim"]) == (1, None)
    assert len(request["action_digest"]) == len(request["content_digest"]) == 64
    assert (await claim(desk, request, asked))[1]["reason"] == "not_approved"
    done = await approve(desk, request)
    assert (done["status"], done["outcome"], done["claim"]["status"]) == ("completed", "approved", "open")
    other = {**asked, "parameters": {**asked["parameters"], "amount": 820_000}}
    status, problem = await claim(desk, request, other)
    assert (status, problem["reason"]) == (409, "digest_mismatch")

    same = {**asked, "parameters": {"to": {"name": "Nordwind"}, "amount": 82000.0}}  # other forms of the same
    status, claimed = await claim(desk, request, same, key="mine")
    assert status == 200, claimed
    assert claimed == {
        "request_id": request["id"],
        "action_digest": request["action_digest"],
        "claimed_by": "user:ann",
        "claimed_at": claimed["claimed_at"],
    }
    assert await claim(desk, request, same, key="mine") == (200, claimed)
    with writing(desk.database) as session:  # as if the API had died before it kept its answer
        session.execute(text("DELETE FROM idempotent_call"))
    assert await claim(desk, request, same, key="mine") == (200, claimed)
    assert (await claim(desk, request, same, key="another"))[1]["reason"] == "already_claimed"
    assert (await claim(desk, request, same))[1]["reason"] == "already_claimed"
    assert (await claim(desk, request, other))[1]["reason"] == "digest_mismatch"

    shown = (await desk.get(f"/workflow/requests/{request['id']}/")).json()
    assert shown["claim"] == {"status": "claimed", "claimed_by": "user:ann", "claimed_at": claimed["claimed_at"]}
    items = (await desk.get(f"/workflow/requests/{request['id']}/timeline/")).json()["items"]
    kinds = [one["kind"] for one in items]
    assert (kinds[-2:], kinds.count("claimed")) == (["claim_refused", "claimed"], 1)
    assert items[0]["detail"]["action"]["parameters"] == {"amount": 82000, "to": {"name": "Nordwind"}}
    checked = (await desk.get(f"/workflow/requests/{request['id']}/audit/verify/")).json()
    assert (checked["ok"], checked["differs"]) == (True, [])
    assert checked["head"] == checked["engine_head"]
    assert await counted(desk) == {"claimed": 1, "not_approved": 1, "digest_mismatch": 2, "already_claimed": 2}


async def counted(desk: ApiDesk) -> dict[str, float]:
    """Return the metric of claims by result, without those that there were none of."""
    shown = (await desk.get("/metrics/prometheus", as_=None)).text
    found = re.findall(r'^workflow_claims_total\{result="(\w+)"\} (\S+)$', shown, re.MULTILINE)
    assert len(found) == 6
    return {result: float(value) for result, value in found if float(value)}


async def test_who_may_claim_and_who_does_not_even_see_the_request(desk: ApiDesk) -> None:
    asked = action()
    request = await ask(desk, asked)
    await approve(desk, request)
    for who, status in (("bob", 403), ("adam", 403), ("audrey", 403), ("zoe", 404), ("nil", 403)):
        assert (await claim(desk, request, asked, as_=who))[0] == status, who
    assert (await claim(desk, request, asked))[0] == 200


async def test_the_service_that_asked_for_somebody_claims_for_them(desk: ApiDesk) -> None:
    asked = action()
    request = await ask(desk, asked, as_="adam", requester="ann")
    await approve(desk, request)
    status, claimed = await claim(desk, request, asked, as_="adam")
    assert (status, claimed["claimed_by"]) == (200, "user:adam")
    assert (await claim(desk, request, asked))[1]["reason"] == "already_claimed"


async def test_an_approval_expires_and_the_request_then_ends_in_the_engine(desk: ApiDesk) -> None:
    name = await desk.publish(AGENTS)
    asked = action(seconds=4)
    request = await ask(desk, asked, template=name)
    await approve(desk, request)

    async def over() -> bool:
        return bool((await desk.get(f"/workflow/requests/{request['id']}/")).json()["claim"]["status"] == "expired")

    await until(over, what="the end of the approval")
    status, problem = await claim(desk, request, asked)
    assert (status, problem["reason"]) == (409, "expired")
    assert await counted(desk) == {"unclaimed": 1, "expired": 1}
    checked = (await desk.get(f"/workflow/requests/{request['id']}/audit/verify/")).json()
    assert (checked["ok"], checked["head"] == checked["engine_head"]) == (True, True)


@pytest.mark.parametrize("decision", ["reject", None])
async def test_what_was_rejected_or_withdrawn_is_not_approved(desk: ApiDesk, decision: str | None) -> None:
    asked = action()
    request = await ask(desk, asked)
    if decision is None:
        await desk.post(f"/workflow/requests/{request['id']}/withdraw/")
    else:
        path = f"/workflow/tasks/{request['tasks'][0]['id']}/decide/"
        await desk.post(path, {"decision": decision, "comment": "No."}, as_="bob")
    status, problem = await claim(desk, request, asked)
    assert (status, problem["reason"]) == (409, "not_approved")


async def test_a_request_without_an_action_has_none_to_claim(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(AGENTS), amount=1)
    assert (request["action"], request["action_digest"]) == (None, None)
    await approve(desk, request)
    assert (await claim(desk, request, action()))[1]["reason"] == "digest_mismatch"


async def test_another_action_by_resubmission_is_a_new_revision_and_the_first_one_cannot_be_claimed(
    desk: ApiDesk,
) -> None:
    first, second = action(82000), action(820_000)
    request = await ask(desk, first)
    path = f"/workflow/tasks/{request['tasks'][0]['id']}/decide/"
    await desk.post(path, {"decision": "request_changes", "comment": "More."}, as_="bob")
    again = await desk.post(f"/workflow/requests/{request['id']}/resubmit/", {"action": second})
    assert again.status_code == 200, again.text
    assert again.json()["revision"] == 2
    assert again.json()["action_digest"] != request["action_digest"]
    assert again.json()["content_digest"] != request["content_digest"]
    late = await desk.post(
        f"/workflow/tasks/{again.json()['tasks'][-1]['id']}/decide/", {"decision": "approve", "revision": 1}, as_="bob"
    )
    assert (late.status_code, late.json()["reason"]) == (409, "content_changed")
    assert [change["field"] for change in late.json()["difference"]] == ["action"]
    await approve(desk, again.json())
    assert (await claim(desk, request, first))[1]["reason"] == "digest_mismatch"
    assert (await claim(desk, request, second))[0] == 200


NO_ACTIONS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"type": ""}, "/action/type"),
    ({"type": "pay\u202ement"}, "/action/type"),
    ({"target": None}, "/action/target"),
    ({"parameters": []}, "/action/parameters"),
    ({"parameters": {"n": 2**53 + 1}}, "/action/parameters/n"),
    ({"parameters": {"a": [{"n": -(2**53) - 1}]}}, "/action/parameters/a/0/n"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "/action/expires_at"),
    ({"expires_at": "tomorrow"}, "/action/expires_at"),
    ({"expires_at": "2999-01-01T00:00:00Z"}, "/action/expires_at"),
    ({"more": 1}, "/action/more"),
)


async def test_what_is_no_action_is_refused_at_its_place(desk: ApiDesk) -> None:
    template = await desk.publish(AGENTS)
    for changed, place in NO_ACTIONS:
        body = {"template": template, "input": {"amount": 1}, "action": {**action(), **changed}}
        answer = await desk.post("/workflow/requests/", body)
        assert (answer.status_code, pointers(answer)) == (422, [place]), (changed, answer.text)


async def test_names_given_twice_are_refused_also_where_they_are_claimed(desk: ApiDesk) -> None:
    asked = action()
    request = await ask(desk, asked)
    await approve(desk, request)
    twice = json.dumps({"action": asked}).replace('"amount": 82000', '"amount": 82000, "amount": 82000')
    path = f"/workflow/requests/{request['id']}/claim/"
    answer = await desk.call("POST", path, content=twice.encode())
    assert (answer.status_code, pointers(answer)) == (422, ["/action/parameters/amount"])
    large = json.dumps({"action": asked}).replace("82000", "9007199254740993")
    assert (await desk.call("POST", path, content=large.encode())).status_code == 422
    assert (await claim(desk, request, asked))[0] == 200


async def test_what_only_looks_like_the_approved_action_is_refused_with_its_reason_and_on_record(
    desk: ApiDesk,
) -> None:
    asked = action(parameters={"amount": 82000, "to": "Zoë"})
    request = await ask(desk, asked)
    await approve(desk, request)
    path = f"/workflow/requests/{request['id']}/claim/"

    async def claimed(written: str, key: str) -> tuple[int, str | None]:
        body = json.dumps({"action": {**asked, "parameters": {}}}).replace(
            '"parameters": {}', f'"parameters": {written}'
        )
        answer = await desk.call("POST", path, content=body.encode(), key=key)
        return answer.status_code, answer.json().get("reason")

    decomposed = unicodedata.normalize("NFD", "Zoë")
    assert await claimed(f'{{"amount": 82000, "to": "{decomposed}"}}', "form") == (409, "digest_mismatch")
    assert await claimed('{"amount": 82000, "to": "Z\u043e\u00eb"}', "script") == (
        409,
        "digest_mismatch",
    )  # a Cyrillic o
    assert await claimed('{"amount": "82000", "to": "Zoë"}', "text") == (409, "digest_mismatch")
    assert await claimed('{"amount": 82000.000000000000001, "to": "Zoë"}', "digits") == (422, None)
    assert await claimed('{"amount": 82000, "to": "Zoë", "to": "Zoë"}', "twice") == (422, None)
    assert await claimed(f'{{"amount": 82000, "to": "{decomposed}"}}', "form") == (409, "digest_mismatch"), "a replay"
    assert await claimed('{"to": "Zo\\u00eb", "amount": 8.2e4}', "mine") == (200, None), "the same in another form"
    reused = await claimed('{"amount": 820000, "to": "Zoë"}', "mine")
    assert reused[0] in {409, 422}, "a key stands for one claim"
    assert await claimed('{"to": "Zo\\u00eb", "amount": 8.2e4}', "mine") == (200, None)
    assert await claimed('{"to": "Zoë", "amount": 82000}', "again") == (409, "already_claimed")
    with writing(desk.database) as session:
        query = text("SELECT status_code, reason FROM refusal WHERE request_id = :id ORDER BY id")
        found = session.execute(query, {"id": request["id"]}).all()
    statuses = [row.status_code for row in found]
    assert statuses.count(422) >= 2
    assert statuses.count(409) >= 5
    assert all(row.reason for row in found)


async def test_of_many_claims_at_once_one_wins(desk: ApiDesk) -> None:
    asked = action()
    request = await ask(desk, asked)
    await approve(desk, request)
    answers = await asyncio.gather(*(claim(desk, request, asked, key=f"k{n}") for n in range(40)))
    assert Counter(status for status, _ in answers) == {200: 1, 409: 39}
    assert {body["reason"] for status, body in answers if status == 409} == {"already_claimed"}


async def test_every_refused_claim_is_on_record(desk: ApiDesk) -> None:
    asked = action()
    request = await ask(desk, asked)
    await claim(desk, request, asked)
    await claim(desk, request, asked, as_="bob")
    await claim(desk, request, asked, as_="zoe")
    with writing(desk.database) as session:
        found = session.execute(
            text("SELECT principal, status_code FROM refusal WHERE request_id = :id ORDER BY id"), {"id": request["id"]}
        ).all()
    assert [tuple(row) for row in found] == [("ann", 409), ("bob", 403), ("zoe", 404)]


EDITS = (
    ("action_digest = 'x'", "request.action_digest"),
    ('action = \'{"type": "payment"}\'', "request.action"),
    ("claimed_by = 'mallory'", "request.claimed_by"),
    ("claim_status = 'open'", "request.claim_status"),
)


async def test_verify_finds_an_edited_action_or_claim(desk: ApiDesk) -> None:
    template = await desk.publish(AGENTS)
    for edit, differs in EDITS:
        asked = action()
        request = await ask(desk, asked, template=template)
        await approve(desk, request)
        await claim(desk, request, asked)
        with writing(desk.database) as session:
            session.execute(text(f"UPDATE approval_request SET {edit} WHERE id = :id"), {"id": request["id"]})
        checked = (await desk.get(f"/workflow/requests/{request['id']}/audit/verify/", as_="audrey")).json()
        assert (checked["ok"], differs in checked["differs"]) == (False, True), (edit, checked)
