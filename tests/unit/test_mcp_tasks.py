"""Tasks of the MCP server, by the SDK's own client in one process, with an API that answers by a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from cli.mcp_server.server import mcp_server
from cli.mcp_server.tasks import IDENTIFIER, TaskId
from placet.client import AsyncClient, Retries
from tests.mcp_tasks import TakesTasks, about
from tests.scripted_api import TOKEN, URL, Script, ended, refused, request

ASKS = {
    "template": "Payments",
    "title": "Pay",
    "action_type": "transfer",
    "target": "DE02",
    "parameters": {"amount": "820.00"},
}
REQUEST = "0b0c4a7e1f6d4e0e9a51c2f0e1d3a5b7"  # the one in the examples of the API
TASK = f"ask.1.{REQUEST}"
QUESTION = {
    "n": 2,
    "task_id": None,
    "asked_by": "user:max",
    "asked_at": "2026-03-02T09:30:00Z",
    "text": "Which invoice?",
    "answered_at": None,
    "answer": None,
}
ANSWERED = QUESTION | {"answered_at": "2026-03-02T09:45:00Z", "answer": "4711"}


async def fills_in(_context: Any, _params: Any) -> ElicitResult:
    return ElicitResult(action="decline")


@asynccontextmanager
async def agent(
    *answers: httpx.Response | Exception, takes: bool = True, forms: bool = False, mode: Any = "auto"
) -> AsyncIterator[tuple[Client, Script, TakesTasks]]:
    """Connect an agent to the server; the API answers these, one after the other, the last one again and again."""
    script, extension = Script(list(answers)), TakesTasks()
    server = mcp_server(
        lambda: AsyncClient(URL, TOKEN, retries=Retries(seconds=0), transport=httpx.MockTransport(script))
    )
    more: dict[str, Any] = {"elicitation_callback": fills_in} if forms else {}
    async with Client(server, mode=mode, extensions=[extension] if takes else None, **more) as client:
        yield client, script, extension


def now(script: Script, *answers: httpx.Response) -> None:
    """Have the API answer otherwise from now on."""
    script.answers[:] = answers


async def test_asking_answers_with_a_task_that_ends_with_what_people_decided() -> None:
    async with agent(request()) as (client, script, taken):
        assert client.server_capabilities is not None
        assert IDENTIFIER in (client.server_capabilities.extensions or {})
        await client.call_tool("ask_for_approval", ASKS)
        assert script.paths[:2] == ["POST requests", f"GET {REQUEST}"]
        assert [call.url.params.get("wait") for call in script.calls[1:]] == ["0", None], "nothing waits meanwhile"
        (made,) = taken.tasks
        assert {name: made[name] for name in ("taskId", "status", "ttlMs", "pollIntervalMs")} == {
            "taskId": TASK, "status": "working", "ttlMs": None, "pollIntervalMs": 5_000}  # fmt: skip
        assert made["createdAt"] == "2026-03-02T09:00:00+00:00"
        still = await about(client, "tasks/get", TASK)
        assert (still["status"], still["resultType"]) == ("working", "complete")
        assert "neither an approval nor a denial" in still["statusMessage"]
        now(script, ended("approved"))
        done = await about(client, "tasks/get", TASK)
        assert (done["status"], done["result"]["structuredContent"]["standing"]) == ("completed", "approved")
        assert "call claim_action" in done["result"]["content"][0]["text"]
        assert done["lastUpdatedAt"] == "2026-03-02T10:00:00+00:00"


@pytest.mark.parametrize(
    ("answer", "standing"),
    [
        (ended("rejected"), "denied"),
        (ended("expired"), "expired"),
        (request(returned=True), "changes_requested"),
        (request(round=2), "changes_requested"),  # it was sent in again, which is another round
        (ended("approved", "failed"), "failed"),
    ],
)
async def test_each_end_of_a_task_is_told_in_its_own_words(answer: httpx.Response, standing: str) -> None:
    async with agent(answer) as (client, _, _taken):
        done = await about(client, "tasks/get", TASK)
        assert (done["status"], done["result"]["structuredContent"]["standing"]) == ("completed", standing)
        assert done["statusMessage"] == done["result"]["content"][0]["text"]


async def test_what_was_withdrawn_is_a_cancelled_task_with_words() -> None:
    async with agent(ended("withdrawn", "cancelled")) as (client, _, _taken):
        found = await about(client, "tasks/get", TASK)
        assert (found["status"], "WITHDRAWN" in found["statusMessage"], "result" in found) == ("cancelled", True, False)


@pytest.mark.parametrize(("takes", "mode"), [(False, "auto"), (True, "legacy"), (False, "legacy")])
async def test_whoever_takes_no_tasks_waits_and_is_told_pending(takes: bool, mode: str) -> None:
    async with agent(request(), takes=takes, mode=mode) as (client, script, taken):
        found = await client.call_tool("wait_for_approval", {"request_id": REQUEST, "wait_seconds": 1})
        assert found.structured_content is not None
        assert found.structured_content["standing"] == "pending"
        assert taken.tasks == []
        assert script.calls[0].url.params["wait"] == "1"
        with pytest.raises(MCPError) as error:
            await about(client, "tasks/get", TASK)
        # At 2026-07-28 the capability is missing; before that there is no such method.
        assert error.value.code == (-32021 if mode == "auto" else -32601)


async def test_whoever_does_not_want_to_wait_and_what_is_decided_already_get_the_answer_itself() -> None:
    async with agent(request()) as (client, script, taken):
        found = await client.call_tool("ask_for_approval", ASKS | {"wait_seconds": 0})
        assert (found.structured_content or {})["standing"] == "pending"
        now(script, ended("approved"))
        found = await client.call_tool("wait_for_approval", {"request_id": REQUEST})
        assert (found.structured_content or {})["standing"] == "approved"
        assert taken.tasks == []


async def test_a_cancelled_task_takes_back_what_it_asked_and_one_that_waits_does_not() -> None:
    async with agent(request()) as (client, script, _):
        assert (await about(client, "tasks/cancel", f"wait.1.{REQUEST}"))["resultType"] == "complete"
        assert script.paths == [f"GET {REQUEST}"]
        await about(client, "tasks/cancel", TASK)
        assert script.paths[1:] == [f"GET {REQUEST}", "POST withdraw"]
        now(script, request(), refused(409))
        assert await about(client, "tasks/cancel", TASK), "it has ended meanwhile"
        now(script, ended("approved"))
        await about(client, "tasks/cancel", TASK)
        assert script.paths[-1] == f"GET {REQUEST}"


async def test_a_question_to_the_requester_is_asked_of_the_agents_user_and_answered() -> None:
    async with agent(request(questions=[ANSWERED | {"n": 1}, QUESTION]), forms=True) as (client, script, _):
        found = await about(client, "tasks/get", TASK)
        assert (found["status"], list(found["inputRequests"])) == ("input_required", ["question-2"])
        asked = found["inputRequests"]["question-2"]["params"]
        assert (asked["mode"], "Which invoice?" in asked["message"]) == ("form", True)
        given = {
            "question-1": {"action": "accept", "content": {"answer": "answered before"}},
            "question-2": {"action": "accept", "content": {"answer": "4711"}},
            "question-3": {"action": "accept", "content": {"answer": "never asked"}},
        }
        calls = len(script.calls)
        assert (await about(client, "tasks/update", TASK, inputResponses=given))["resultType"] == "complete"
        assert [call.url.path for call in script.calls[calls + 1 :]] == [
            f"/api/v1/workflow/requests/{REQUEST}/questions/2/answer/"
        ]
        assert script.bodies()[-1] == {"text": "4711"}
        calls = len(script.calls)
        for declined in ({"action": "decline"}, {"action": "accept", "content": {"answer": " "}}, {"action": 1}, 7):
            await about(client, "tasks/update", TASK, inputResponses={"question-2": declined})
        assert {path.partition(" ")[0] for path in script.paths[calls:]} == {"GET"}
        now(script, request(questions=[QUESTION]), refused(409))
        assert await about(client, "tasks/update", TASK, inputResponses=given), "somebody has answered meanwhile"


async def test_where_nobody_can_fill_in_a_form_the_task_goes_on_working() -> None:
    async with agent(request(questions=[QUESTION])) as (client, _, _taken):
        assert (await about(client, "tasks/get", TASK))["status"] == "working"


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("ident", ["", "x", "ask", "ask.1.", "ask.x.r", "run.1.r", "ask.1.../..", "ask.9999999.r"])
async def test_what_is_no_task_is_refused(method: str, ident: str) -> None:
    async with agent(refused(404)) as (client, _, _taken):
        more = {"inputResponses": {}} if method == "tasks/update" else {}
        with pytest.raises(MCPError) as error:
            await about(client, method, ident, **more)
        assert error.value.code == -32602


async def test_a_task_of_somebody_else_does_not_exist_and_an_api_that_is_away_decides_nothing() -> None:
    async with agent(refused(404)) as (client, script, _):
        with pytest.raises(MCPError, match="no such task, or it is not yours"):
            await about(client, "tasks/get", TASK)
        script.answers[:] = [httpx.ConnectError("away")]
        with pytest.raises(MCPError, match="UNKNOWN") as error:
            await about(client, "tasks/get", TASK)
        assert error.value.code == -32603


def test_the_id_of_a_task_is_read_as_it_was_written() -> None:
    for made in ("ask", "wait"):
        task = TaskId(made=made, round=3, request_id="a.b~1")  # type: ignore[arg-type]  # both are what makes tasks
        assert TaskId.read(str(task)) == task
