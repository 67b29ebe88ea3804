"""AuthZEN's access requests: from a denial to a decision that counts once, and what is refused on the way."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from activities.notifications.settings import NotifySettings
from service.authzen.settings import AuthzenSettings
from service.authzen.tokens import BindingTokens
from storage.database import Database
from storage.tables.approvals import Refusal
from tests.api_desk import BASE, ApiDesk, api_desk, no_engine
from tests.approvals import SECRET, worker
from tests.stored import reading

PLACET = "https://placet.example.org"
ERROR = "urn:openid:authzen:access-request:error:"
BLUEPRINT: dict[str, Any] = {
    "name": "Access to documents",
    "version": "1.0.0",
    "owner": "user:olivia",
    "variables": [
        {"name": "resource", "type": "string", "required": True},
        {"name": "justification", "type": "string", "required": True},
        {"name": "days", "type": "integer"},
    ],
    "process_steps": [{"stage_name": "Manager Approval", "sla_hours": 240}],
}
ASKED: dict[str, Any] = {
    "subject": {"type": "user", "id": "ann@example.com", "properties": {"department": "sales"}},
    "resource": {"type": "document", "id": "q4-plan"},
    "action": {"name": "can_read"},
    "context": {"tenant": "acme", "amount": 82000, "time": "2026-04-30T20:15:00Z"},
}


@dataclass
class Clock:
    """A clock that the test sets."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A gateway that asks Placet as somebody."""

    desk: ApiDesk
    clock: Clock

    async def evaluate(self, as_: str = "ann", **changes: Any) -> dict[str, Any]:
        answer = await self.desk.post("/authzen/evaluation", {**ASKED, **changes}, as_=as_)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def submission(self, as_: str = "ann", **changes: Any) -> dict[str, Any]:
        """Be denied, and return what asks people for it."""
        denied = (await self.evaluate(as_, **changes))["context"]
        asked = denied["access_request"]
        denial = {
            "evaluation_id": denied["evaluation_id"],
            "expires_at": asked["expires_at"],
            "binding_token": asked["binding_token"],
        }
        whole = {**ASKED, **changes}
        context = {**whole["context"], "business_justification": "The renewal is due."}
        return {**whole, "context": context, "denial": denial, "requested_access": {"days": 3}}

    async def submitted(self, as_: str = "ann", **changes: Any) -> dict[str, Any]:
        answer = await self.desk.post("/authzen/requests", await self.submission(as_, **changes), as_=as_)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == answer.json()["task"]["status_endpoint"]
        return dict(answer.json()["task"])

    async def decide(self, request_id: str, decision: str = "approve") -> None:
        body = {"decision": decision, "comment": "Seen."}
        done = await self.desk.post(f"/workflow/tasks/{request_id}.1/decide/", body, as_="bob")
        assert done.status_code == 200, done.text

    async def task(self, request_id: str, as_: str = "ann") -> Any:
        return await self.desk.get(f"/authzen/requests/{request_id}", as_=as_)

    async def approved(self) -> dict[str, Any]:
        """Return an approval that can be used."""
        task = await self.submitted()
        await self.decide(task["id"])
        return dict((await self.task(task["id"])).json()["result"]["approval"])


@pytest_asyncio.fixture
async def gateway(database: Database, client: Client) -> AsyncIterator[Gateway]:
    queue, clock = f"authzen-{uuid.uuid4().hex[:8]}", Clock()
    settings = {"notify": NotifySettings(public_url=PLACET), "clock": clock}
    async with worker(client, database, queue):
        async with api_desk(database, client, task_queue=queue) as desk:
            template = await desk.publish(BLUEPRINT)
        rules = AuthzenSettings(templates={"document:can_read": template, "*:fly": "there is none"})
        async with api_desk(database, client, task_queue=queue, authzen=rules, **settings) as desk:
            yield Gateway(desk=desk, clock=clock)


def refused(gateway: Gateway) -> list[str]:
    with reading(gateway.desk.database) as session:
        mine = select(Refusal).where(col(Refusal.action) == "access request").order_by(col(Refusal.id))
        return [one.reason for one in session.scalars(mine)]


async def test_a_denial_becomes_a_request_and_its_approval_counts_once_for_exactly_that(gateway: Gateway) -> None:
    task = await gateway.submitted()
    assert (task["status"], task["progress"]) == ("pending", {"step_name": "Manager Approval"})
    assert task["links"] == {
        "ticket": f"{PLACET}/requests/{task['id']}",
        "cancel": f"{PLACET}{BASE}/authzen/requests/{task['id']}/cancel",
    }
    request = (await gateway.desk.get(f"/workflow/requests/{task['id']}/")).json()
    assert request["input"] == {"resource": "q4-plan", "justification": "The renewal is due.", "days": 3}
    assert (request["action"]["type"], request["action"]["target"]) == ("can_read", "document:q4-plan")
    shown = request["action"]["parameters"]
    assert (shown["subject"], shown["context"]) == (ASKED["subject"], {"amount": 82000, "tenant": "acme"})
    pending = await gateway.task(task["id"])
    assert (pending.json()["task"]["status"], pending.headers["Retry-After"]) == ("pending", "5")
    early = await gateway.evaluate(context={**ASKED["context"], "approval": {"id": task["id"]}})
    assert early == {"decision": False, "context": {"reason": "approval_unverifiable", "next_action": "none"}}
    await gateway.decide(task["id"])
    done = (await gateway.task(task["id"])).json()
    assert (done["task"]["status"], done["result"]["mode"]) == ("approved", "reevaluate")
    approval = done["result"]["approval"]

    def presented(**changes: Any) -> dict[str, Any]:
        given = {**ASKED["context"], "time": "later", "approval": approval, **changes.pop("context", {})}
        return {**ASKED, **changes, "context": given}

    for changes in (
        {"context": {"amount": 820000}},
        {"context": {"tenant": None}},
        {"resource": {"type": "document", "id": "q4-plan", "properties": {"x": 1}}},
        {"subject": {"type": "user", "id": "ann@example.com"}},
    ):
        other = (await gateway.desk.post("/authzen/evaluation", presented(**changes))).json()
        assert (other["decision"], other["context"]["reason"]) == (False, "out_of_scope"), changes
        assert (other["context"]["next_action"], "access_request" in other["context"]) == ("request", True)
    for somebody in ("bob", "carl"):
        other = (await gateway.desk.post("/authzen/evaluation", presented(), as_=somebody)).json()
        assert (other["decision"], other["context"]["reason"]) == (False, "approval_unverifiable"), somebody
    sent = [
        gateway.desk.call("POST", "/authzen/evaluation", body=presented(), headers={"X-Request-ID": f"call {number}"})
        for number in range(8)
    ]
    answers = await asyncio.gather(*sent)
    winners = [one for one in answers if one.json()["decision"]]
    assert len(winners) == 1, [one.text for one in answers]
    assert winners[0].json()["context"]["approval"]["approved_until"] == approval["approved_until"]
    again = await gateway.desk.call(
        "POST", "/authzen/evaluation", body=presented(), headers={"X-Request-ID": winners[0].headers["X-Request-ID"]}
    )
    assert again.json() == winners[0].json()
    lost = next(one for one in answers if not one.json()["decision"]).json()["context"]
    assert (lost["reason"], lost["next_action"], "access_request" in lost) == ("approval_expired", "request", True)
    kinds = [
        one["kind"] for one in (await gateway.desk.get(f"/workflow/requests/{task['id']}/timeline/")).json()["items"]
    ]
    assert kinds.count("claimed") == 1


async def test_what_is_not_what_was_denied_is_refused_with_its_reason_on_record(gateway: Gateway) -> None:
    good = await gateway.submission()
    foreign = await gateway.submission("bob", subject={"type": "user", "id": "bob"})
    denial = good["denial"]
    forged = BindingTokens("another secret", PLACET).issue(
        BindingTokens(SECRET, PLACET).read(denial["binding_token"]), datetime.now(UTC)
    )
    of_another_place = BindingTokens(SECRET, "https://else.example").issue(
        BindingTokens(SECRET, PLACET).read(denial["binding_token"]), datetime.now(UTC)
    )
    invalid: list[dict[str, Any]] = [
        {"denial": {"expires_at": denial["expires_at"], "evaluation_id": denial["evaluation_id"]}},
        {"denial": {**denial, "binding_token": forged}},
        {"denial": {**denial, "binding_token": of_another_place}},
        {"denial": {**denial, "binding_token": denial["binding_token"][:-3]}},
        {"denial": {**denial, "binding_token": "x" * 9_000}},
        {"denial": {**denial, "expires_at": "2099-01-01T00:00:00Z"}},
        {"denial": {**denial, "evaluation_id": "eval_1"}},
        {"denial": foreign["denial"]},
        {"resource": {"type": "document", "id": "q5-plan"}},
        {"action": {"name": "can_write"}},
        {"subject": {"type": "user", "id": "ann"}},
        {"context": {**good["context"], "amount": 820000}},
        {"context": {name: value for name, value in good["context"].items() if name != "tenant"}},
    ]
    for changes in invalid:
        answer = await gateway.desk.post("/authzen/requests", {**good, **changes})
        told = (answer.status_code, answer.json()["type"], answer.headers["Content-Type"])
        assert told == (400, f"{ERROR}invalid_denial_binding", "application/problem+json"), (changes, answer.text)
    together = await gateway.desk.post("/authzen/requests", {**good, "items": [{}]})
    assert (together.status_code, together.json()["type"]) == (400, f"{ERROR}not_requestable")
    assert len(refused(gateway)) == len(invalid) + 1
    called_back = await gateway.desk.post("/authzen/requests", {**good, "callback": {"endpoint": "https://x.test"}})
    assert called_back.status_code == 422
    acting = await gateway.desk.post("/authzen/requests", {**good, "client": {"actor": {"id": "bob"}}})
    assert acting.status_code == 403
    gateway.clock.ahead = timedelta(minutes=10, seconds=10)
    within_skew = await gateway.desk.post("/authzen/requests", good, key="once")
    assert within_skew.status_code == 202, within_skew.text
    gateway.clock.ahead = timedelta(minutes=11)
    late = await gateway.desk.post("/authzen/requests", otherwise(good))
    assert (late.status_code, late.json()["type"]) == (410, f"{ERROR}expired_denial")
    same = await gateway.desk.post("/authzen/requests", good, key="once")
    assert same.json() == within_skew.json()
    reused = await gateway.desk.post("/authzen/requests", otherwise(good), key="once")
    assert (reused.status_code, reused.json()["type"]) == (409, f"{ERROR}duplicate_request")


def otherwise(good: dict[str, Any]) -> dict[str, Any]:
    return {**good, "requested_access": {"days": 4}}


async def test_a_denial_is_asked_for_once_and_its_task_is_its_callers_alone(gateway: Gateway) -> None:
    body = await gateway.submission()
    first, second = [(await gateway.desk.post("/authzen/requests", body)).json()["task"]["id"] for _ in range(2)]
    assert first == second
    for somebody in ("bob", "carl", "adam"):
        answer = await gateway.task(first, somebody)
        assert (answer.status_code, answer.json()["type"]) == (404, f"{ERROR}unknown_task"), somebody
    assert (await gateway.task("nothing")).json()["type"] == f"{ERROR}unknown_task"
    cancelled = await gateway.desk.post(f"/authzen/requests/{first}/cancel", {"reason": "not_needed"})
    assert (cancelled.status_code, cancelled.json()["task"]["status"]) == (200, "cancelled")
    again = await gateway.desk.post(f"/authzen/requests/{first}/cancel")
    assert (again.status_code, again.json()["type"]) == (409, f"{ERROR}invalid_task_state")
    rejected = await gateway.submitted()
    await gateway.decide(rejected["id"], "reject")
    denied = (await gateway.task(rejected["id"])).json()
    assert (denied["task"]["status"], "result" in denied) == ("denied", False)
    gateway.clock.ahead = timedelta(hours=25)
    expired = await gateway.task(rejected["id"])
    assert (expired.status_code, expired.json()["type"]) == (410, f"{ERROR}task_expired")


async def test_a_gateway_with_an_admins_token_asks_for_others_and_nobody_else_does(gateway: Gateway) -> None:
    for_ann = await gateway.submission("adam")
    answer = await gateway.desk.post("/authzen/requests", for_ann, as_="adam")
    assert answer.status_code == 202, answer.text
    request = (await gateway.desk.get(f"/workflow/requests/{answer.json()['task']['id']}/")).json()
    assert request["requester"] == "user:ann"
    assert (await gateway.evaluate("carl"))["context"] == {"reason": "not_requestable"}, "ann is not carl's to ask for"
    nobody = await gateway.evaluate(subject={"type": "user", "id": "nobody@example.com"})
    assert nobody["context"] == {"reason": "not_requestable"}
    unruled = await gateway.evaluate(action={"name": "can_delete"})
    assert unruled["context"] == {"reason": "not_requestable"}
    there_is_none = await gateway.submission(action={"name": "fly"})
    missing = await gateway.desk.post("/authzen/requests", there_is_none)
    assert (missing.status_code, missing.json()["type"]) == (400, f"{ERROR}not_requestable")


async def test_the_metadata_names_the_endpoints_and_the_key_verifies_the_token(gateway: Gateway) -> None:
    found = await gateway.desk.http.get("/.well-known/authzen-configuration")
    assert found.json() == {
        "policy_decision_point": PLACET,
        "access_evaluation_endpoint": f"{PLACET}{BASE}/authzen/evaluation",
        "access_request_endpoint": f"{PLACET}{BASE}/authzen/requests",
        "jwks_uri": f"{PLACET}{BASE}/authzen/jwks",
        "capabilities": ["urn:openid:authzen:capability:access-request"],
    }
    asked = (await gateway.evaluate())["context"]["access_request"]
    assert asked["endpoint"] == found.json()["access_request_endpoint"]
    keys = (await gateway.desk.http.get(f"{BASE}/authzen/jwks")).json()
    assert "d" not in keys["keys"][0]
    claims = jwt.decode(asked["binding_token"], KeySet.import_key_set(keys), algorithms=["Ed25519"]).claims
    assert (claims["iss"], claims["aud"], claims["denial_expires_at"]) == (PLACET, PLACET, asked["expires_at"])
    assert claims["binding_context_members"] == ["amount", "tenant"]


@pytest.mark.parametrize("body", [{"resource": {"type": "document"}}, {"action": {"name": ""}}, {"subject": "ann"}])
async def test_a_malformed_evaluation_is_refused_at_its_place_and_nothing_is_set_up_by_itself(
    database: Database, body: dict[str, Any]
) -> None:
    rules = AuthzenSettings(templates={"*:*": "x"})
    async with api_desk(database, await no_engine(), seconds=1, authzen=rules) as desk:
        answer = await desk.post("/authzen/evaluation", {**ASKED, **body})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"].startswith("/" + next(iter(body)))
    async with api_desk(database, await no_engine(), seconds=1) as desk:
        assert (await desk.post("/authzen/evaluation", ASKED)).status_code == 501
        assert (await desk.http.get("/.well-known/authzen-configuration")).status_code == 501
