"""The MCP server against a running installation, by the SDK's own client, over a pipe and over HTTP."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from tests.contract import Placet, open_tasks
from tests.mcp_tasks import TakesTasks, about
from tests.ports import free_port
from tests.processes import BIN, Process
from tests.waiting import PATIENCE, poll

STEP = {"stage_name": "Yes or no", "approvers": ["user:max"]}
TRANSFER = {"action_type": "transfer", "target": "DE02", "parameters": {"amount": "820.00"}}


@pytest.fixture(scope="module")
def process(placet: Placet) -> str:
    """Give a process of one stage, which Max decides."""
    return placet.publish(placet.process(STEP))


@pytest.fixture(scope="module")
def served(placet: Placet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a server over HTTP, which has no token of its own."""
    port = free_port()
    log = tmp_path_factory.mktemp("mcp") / "log"
    env = {"PATH": os.environ["PATH"], "HOME": str(log.parent), "PLACET_URL": placet.where["api"]}
    process = Process([BIN, "mcp", "--transport", "http", "--port", str(port)], env=env, log=log)
    address = f"http://127.0.0.1:{port}/mcp"

    def answers() -> bool:
        assert process.running, log.read_text()
        try:
            return httpx.post(address, trust_env=False).status_code == 401
        except httpx.TransportError:
            return False

    try:
        poll(answers, what="the MCP server")
        yield address
    finally:
        process.kill()


@asynccontextmanager
async def agent(
    placet: Placet, served: str | None, who: str = "rita", mode: Any = "auto", **more: Any
) -> AsyncIterator[Client]:
    """Connect as somebody over HTTP, or where nothing is served over a pipe."""
    if served is None:
        env = {"PATH": os.environ["PATH"], "PLACET_URL": placet.where["api"], "PLACET_TOKEN": placet.tokens[who]}
        async with Client(StdioServerParameters(command=str(BIN), args=["mcp"], env=env), mode=mode, **more) as client:
            yield client
        return
    headers = {"Authorization": f"Bearer {placet.tokens[who]}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=PATIENCE) as http,
        Client(streamable_http_client(served, http_client=http), mode=mode, **more) as client,
    ):
        yield client


async def told(client: Client, tool: str, **given: Any) -> tuple[str, dict[str, Any]]:
    """Call a tool; return its text and its document."""
    result = await client.call_tool(tool, given)
    text = "".join(one.text for one in result.content)  # type: ignore[union-attr]  # all of them are text
    return text, dict(result.structured_content or {}) | {"refused": bool(result.is_error)}


async def asked(client: Client, process: str, **more: Any) -> dict[str, Any]:
    """Ask for the transfer, and wait no longer than for the answer."""
    text, found = await told(
        client, "ask_for_approval", template=process, title="Pay", process_input={}, wait_seconds=0, **TRANSFER, **more
    )
    assert not found["refused"], text
    return found


def decide(placet: Placet, request_id: str, decision: str, **more: Any) -> None:
    task = open_tasks(placet.request({"id": request_id}))["max"]
    placet.decide("max", task, decision, **more)


@pytest.mark.parametrize("over", ["stdio", "http"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_asks_is_told_pending_and_claims_once_what_was_approved(
    placet: Placet, served: str, process: str, over: str, mode: str
) -> None:
    async with agent(placet, served if over == "http" else None, mode=mode) as client:
        pending = await asked(client, process)
        ident = pending["request_id"]
        assert pending["standing"] == "pending"
        assert "neither an approval nor a denial" in pending["says"]
        early, refused = await told(client, "claim_action", request_id=ident, **TRANSFER)
        assert refused["refused"]
        assert "not approved" in early
        decide(placet, ident, "approve")
    # The agent was started again meanwhile: the request goes on by its id.
    async with agent(placet, served if over == "http" else None, mode=mode) as client:
        _, approved = await told(client, "wait_for_approval", request_id=ident)
        assert approved["standing"] == "approved"
        larger = TRANSFER | {"parameters": {"amount": "8200.00"}}
        other, refused = await told(client, "claim_action", request_id=ident, **larger)
        assert (refused["refused"], "approved another action" in other) == (True, True)
        text, claim = await told(client, "claim_action", request_id=ident, **TRANSFER)
        assert (claim["refused"], claim["action_digest"]) == (False, approved["action_digest"])
        assert "Carry it out once" in text
        again, refused = await told(client, "claim_action", request_id=ident, **TRANSFER)
        assert (refused["refused"], "used before" in again) == (True, True)
        _, after = await told(client, "explain_request", request_id=ident)
        assert after["standing"] == "claimed"


@pytest.mark.parametrize("over", ["stdio", "http"])
async def test_an_agent_that_takes_tasks_is_asked_answers_and_claims_what_its_task_ended_with(
    placet: Placet, served: str, process: str, over: str
) -> None:
    takes = TakesTasks()

    async def fills_in(_context: Any, _params: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    more: dict[str, Any] = {"extensions": [takes], "elicitation_callback": fills_in}
    wanted = {"template": process, "title": "Pay", "process_input": {}, **TRANSFER}
    address = served if over == "http" else None
    async with agent(placet, address, **more) as client:
        await client.call_tool("ask_for_approval", wanted)
        (made,) = takes.tasks
        task = made["taskId"]
        ident = task.split(".", 2)[2]
        assert (await about(client, "tasks/get", task))["status"] == "working"
        placet.post("max", f"requests/{ident}/questions/", {"text": "Which invoice?"})
        asking = await about(client, "tasks/get", task)
        assert (asking["status"], list(asking["inputRequests"])) == ("input_required", ["question-1"])
        answer = {"question-1": {"action": "accept", "content": {"answer": "Invoice 4711."}}}
        await about(client, "tasks/update", task, inputResponses=answer)
        (question,) = placet.get("max", f"requests/{ident}/")["questions"]
        assert question["answer"] == "Invoice 4711."
    async with agent(placet, address, who="ben", **more) as client:
        with pytest.raises(MCPError, match="no such task"):
            await about(client, "tasks/get", task)
    decide(placet, ident, "approve")
    async with agent(placet, address, **more) as client:  # started again meanwhile
        done = await about(client, "tasks/get", task)
        assert (done["status"], done["result"]["structuredContent"]["standing"]) == ("completed", "approved")
        _, claim = await told(client, "claim_action", request_id=ident, **TRANSFER)
        assert not claim["refused"]
        await client.call_tool("ask_for_approval", wanted)
        another = takes.tasks[-1]["taskId"]
        await about(client, "tasks/cancel", another)
        assert (await about(client, "tasks/get", another))["status"] == "cancelled"


async def test_an_agent_asks_for_its_principal_and_decides_nothing(placet: Placet, served: str, process: str) -> None:
    bot = {"id": "mcp_agent", "name": "Agent of Rita", "actor_type": "agent", "principal": "user:rita"}
    placet.post("ada", "people/", bot | {"access": ["requester"]}, expect=201)
    token = placet.place.run("token", "mcp_agent").strip()
    own = replace(placet, tokens=placet.tokens | {"mcp_agent": token})
    async with agent(own, served, who="mcp_agent") as client:
        found = await asked(client, process)
        assert placet.get("rita", f"requests/{found['request_id']}/")["requester"] == "user:mcp_agent"
        task = open_tasks(placet.request({"id": found["request_id"]}))["max"]
        assert (
            own.send("mcp_agent", "POST", f"workflow/tasks/{task}/decide/", {"decision": "approve"}).status_code == 403
        )
        decide(placet, found["request_id"], "approve")
        _, claim = await told(client, "claim_action", request_id=found["request_id"], **TRANSFER)
    assert claim["claimed_at"]
    [entry] = [one for one in placet.timeline({"id": found["request_id"]}) if one["kind"] == "claimed"]
    assert entry["actor"] == "user:mcp_agent"


async def test_every_end_is_told_in_words_of_its_own(placet: Placet, served: str, process: str) -> None:
    async with agent(placet, served) as client:
        said = {}
        for decision in ("reject", "request_changes"):
            found = await asked(client, process)
            decide(placet, found["request_id"], decision, comment="Not from this account.")
            said[decision] = (await told(client, "wait_for_approval", request_id=found["request_id"]))[1]
        found = await asked(client, process)
        placet.post("rita", f"requests/{found['request_id']}/withdraw/")
        said["withdraw"] = (await told(client, "explain_request", request_id=found["request_id"]))[1]
        standings = {how: one["standing"] for how, one in said.items()}
        assert standings == {"reject": "denied", "request_changes": "changes_requested", "withdraw": "withdrawn"}
        assert "A person wrote: 'Not from this account.'" in said["reject"]["says"]
        _, listed = await told(client, "list_my_requests", limit=3)
        assert {one["standing"] for one in listed["requests"]} == set(standings.values())


async def test_a_request_is_explained_and_simulated(placet: Placet, served: str, process: str) -> None:
    async with agent(placet, served) as client:
        _, processes = await told(client, "list_processes")
        assert process in processes["names"]
        _, explored = await told(client, "simulate", template=process, process_input={})
        assert explored["outcome"] == "approved"
        found = await asked(client, process)
        text, _ = await told(client, "explain_request", request_id=found["request_id"])
        assert "decision at Yes or no: user:max" in text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_user_is_led_into_the_inbox_where_the_agent_can_open_pages(
    placet: Placet, served: str, process: str, mode: str
) -> None:
    led: list[str] = []

    async def opens(_context: Any, params: Any) -> ElicitResult:
        led.append(params.url)
        return ElicitResult(action="accept")

    async with agent(placet, served, mode=mode, elicitation_callback=opens) as client:
        found = await asked(client, process)
        text, _ = await told(client, "open_request", request_id=found["request_id"])
    assert led == [found["url"]] == [f"{placet.where['api']}/requests/{found['request_id']}"]
    assert "PENDING" in text, "that somebody opens a page decides nothing"
    async with agent(placet, served, mode=mode) as client:
        text, _ = await told(client, "open_request", request_id=found["request_id"])
    assert text == f"Ask your user to open {found['url']}"


async def test_whoever_is_refused_is_told_why(placet: Placet, served: str, process: str) -> None:
    async with agent(placet, served) as client:
        mine = await asked(client, process)
        text, refused = await told(client, "ask_for_approval", template="Unknown", title="Pay", **TRANSFER)
        assert (refused["refused"], "/template" in text) == (True, True)
        text, refused = await told(client, "ask_for_approval", template=process, title="Pay", key="k", **TRANSFER)
        assert (refused["refused"], "expires_at" in text) == (True, True)
    async with agent(placet, served, who="ben") as client:
        text, refused = await told(client, "wait_for_approval", request_id=mine["request_id"])
        assert (refused["refused"], "404" in text) == (True, True)
    async with agent(placet, served, who="aud") as client:
        text, refused = await told(client, "ask_for_approval", template=process, title="Pay", **TRANSFER)
        assert (refused["refused"], "placet:ask" in text) == (True, True)


def test_the_server_says_who_gives_tokens_and_takes_no_others(placet: Placet, served: str) -> None:
    with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
        nobody = http.post(served, headers={"Authorization": "Bearer placet_unknown"})
        assert nobody.status_code == 401
        place = nobody.headers["www-authenticate"].split('resource_metadata="')[1].split('"')[0]
        metadata = http.get(place).json()
        assert (metadata["resource"], metadata["authorization_servers"]) == (served, [placet.where["api"]])
        foreign = {"Authorization": f"Bearer {placet.tokens['rita']}", "Host": "evil.example.com"}
        assert http.post(served, headers=foreign, json={}).status_code in {400, 403, 421}


def test_without_an_address_or_a_token_it_says_what_to_set(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    process = Process([BIN, "mcp"], env=env, log=tmp_path / "log")
    assert (process.wait(), "Set PLACET_URL" in (tmp_path / "log").read_text()) == (2, True)
