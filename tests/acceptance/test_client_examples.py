"""The examples of `examples/approvals`, with scripted models and people who decide in a running installation."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from agents import Model, ModelResponse, Usage
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from pydantic_ai.messages import ModelMessage, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.messages import ModelResponse as Said
from pydantic_ai.models.function import AgentInfo, FunctionModel

from examples.approvals import langgraph_interrupt, openai_agents, pydantic_ai_deferred
from examples.approvals.plain_script import transfer_with_approval
from placet.client import AsyncClient, Client, Rejected
from tests.contract import Placet, open_tasks
from tests.processes import BIN
from tests.waiting import PATIENCE, poll, until

ROOT = Path(__file__).parents[2]
STEP = {"stage_name": "Yes or no", "approvers": ["user:max"]}
TRANSFER = {"iban": "DE02", "amount": "820.00"}
BOTH = pytest.mark.parametrize(("decision", "runs"), [("approve", True), ("reject", False)])
T = TypeVar("T")


@pytest.fixture
def process(placet: Placet) -> str:
    """Give a process of one stage, which Max decides, and that nobody else uses."""
    return placet.publish(placet.process(STEP))


@pytest_asyncio.fixture
async def rita(placet: Placet) -> AsyncIterator[AsyncClient]:
    """Give the client of whoever the agents act as."""
    async with AsyncClient(placet.where["api"], placet.tokens["rita"]) as client:
        yield client


def decide_first(placet: Placet, process: str, decision: str) -> bool:
    """Let Max decide the first request that is open; False where there is none yet."""
    items = placet.get("max", f"tasks/?assignee=me&status=open&template={process}")["items"]
    if not items:
        return False
    shown = placet.request({"id": items[0]["request_id"]})
    assert shown["action"]["parameters"], "people see every parameter"
    placet.decide("max", open_tasks(shown)["max"], decision, comment="As I see it.")
    return True


async def decided(placet: Placet, process: str, decision: str, runs: Awaitable[T]) -> T:
    """Return what an example comes to once Max has decided its request."""
    work = asyncio.ensure_future(runs)

    async def there() -> bool:
        return work.done() or await asyncio.to_thread(decide_first, placet, process, decision)

    await until(there, what="a request")
    return await asyncio.wait_for(work, PATIENCE)


@BOTH
async def test_a_deferred_tool_of_pydantic_ai(
    placet: Placet, rita: AsyncClient, process: str, decision: str, runs: bool
) -> None:
    def scripted(messages: list[ModelMessage], _: AgentInfo) -> Said:
        last = messages[-1].parts[-1]
        if isinstance(last, ToolReturnPart):
            return Said(parts=[TextPart(str(last.content))])
        return Said(parts=[ToolCallPart("transfer", TRANSFER)])

    sent: list[tuple[str, str]] = []
    agent = pydantic_ai_deferred.banker(FunctionModel(scripted), sent)
    said = await decided(placet, process, decision, pydantic_ai_deferred.run(agent, rita, process, "Pay the invoice."))
    assert sent == ([("DE02", "820.00")] if runs else [])
    assert ("were sent" if runs else "was rejected") in said


@BOTH
async def test_an_interrupt_of_langgraph(
    placet: Placet, rita: AsyncClient, process: str, decision: str, runs: bool
) -> None:
    sent: list[tuple[str, str]] = []
    graph = langgraph_interrupt.graph(sent)
    run = langgraph_interrupt.run(graph, rita, process, "thread-1", {"iban": "DE02", "amount": "820.00"})
    said = await decided(placet, process, decision, run)
    assert sent == ([("DE02", "820.00")] if runs else [])
    assert ("sent" if runs else "was rejected") in said["told"]


class _Scripted(Model):
    """A model that calls the tool, and then repeats what it was told."""

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **more: Any) -> ModelResponse:  # noqa: A002
        outputs = [
            one["output"] for one in input if isinstance(one, dict) and one.get("type") == "function_call_output"
        ]
        item: Any = ResponseFunctionToolCall(
            type="function_call", call_id="call-1", name="transfer", arguments=json.dumps(TRANSFER)
        )
        if outputs:
            text = ResponseOutputText(type="output_text", text=str(outputs[-1]), annotations=[])
            item = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
        return ModelResponse(output=[item], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **more: Any) -> Any:
        raise NotImplementedError


@BOTH
async def test_a_tool_of_the_openai_agents_sdk(
    placet: Placet, rita: AsyncClient, process: str, decision: str, runs: bool
) -> None:
    sent: list[tuple[str, str]] = []
    agent = openai_agents.banker(_Scripted(), sent)
    said = await decided(placet, process, decision, openai_agents.run(agent, rita, process, "Pay the invoice."))
    assert sent == ([("DE02", "820.00")] if runs else [])
    assert ("were sent" if runs else "was rejected") in said


@BOTH
async def test_a_plain_script(placet: Placet, process: str, decision: str, runs: bool) -> None:
    sent: list[tuple[str, str]] = []

    def script() -> str:
        with Client(placet.where["api"], placet.tokens["rita"]) as client:
            return transfer_with_approval(client, process, "DE02", "820.00", lambda *what: sent.append(what))

    work = decided(placet, process, decision, asyncio.to_thread(script))
    if runs:
        assert (await work, sent) == (
            placet.get("rita", "requests/?requester=me")["items"][0]["id"],
            [tuple(TRANSFER.values())],
        )
        return
    with pytest.raises(Rejected):
        await work
    assert sent == []


@BOTH
def test_a_step_of_a_pipeline(placet: Placet, process: str, tmp_path: Path, decision: str, runs: bool) -> None:
    env = {"PATH": f"{BIN.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "RUN": f"{process}-{decision}"}
    env |= {"PLACET_URL": placet.where["api"], "PLACET_TOKEN": placet.tokens["rita"]}
    until_then = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = [str(ROOT / "examples" / "approvals" / "pipeline.sh"), process, "1.4", until_then]
    step = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        poll(lambda: step.poll() is not None or decide_first(placet, process, decision), what="a request")
        printed, said = step.communicate(timeout=PATIENCE)
    finally:
        step.kill()
        step.wait()
    assert (step.returncode, printed.splitlines()[-1]) == ((0, "deploying 1.4") if runs else (10, "denied")), said
