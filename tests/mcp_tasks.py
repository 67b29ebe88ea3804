"""A client of the Tasks extension of MCP, for tests: it takes tasks, and asks about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp_types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict

from cli.mcp_server.tasks import IDENTIFIER


class TaskResult(Result):
    """What a call answers with in place of its result."""

    model_config = ConfigDict(extra="allow")
    result_type: Literal["task"] = "task"
    task_id: str
    status: str


class AboutTask(RequestParams):
    """Which task, and whatever more is said."""

    model_config = ConfigDict(extra="allow")
    task_id: str


class TaskCall(Request[AboutTask, str]):
    """A call about a task."""

    name_param = "taskId"


class TaskAnswer(Result):
    """Whatever such a call answers."""

    model_config = ConfigDict(extra="allow")


class TakesTasks(ClientExtension):
    """A client that keeps the tasks that it is given, and tells the caller that the request is pending."""

    identifier = IDENTIFIER

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []

    def claims(self) -> Sequence[ResultClaim[Any]]:
        """Take tasks."""
        return [ResultClaim(result_type="task", model=TaskResult, resolve=self._keep)]

    async def _keep(self, task: TaskResult, _: ClaimContext) -> CallToolResult:
        self.tasks.append(task.model_dump(by_alias=True))
        request_id = task.task_id.split(".", 2)[2]
        told = {"request_id": request_id, "standing": "pending", "says": "", "url": "", "action_digest": None}
        return CallToolResult(content=[], structured_content=told)


async def about(client: Client, method: str, task_id: str, **more: Any) -> dict[str, Any]:
    """Ask about a task; raises MCPError."""
    call = TaskCall(method=method, params=AboutTask(task_id=task_id, **more))
    return (await client.session.send_request(call, TaskAnswer)).model_dump(by_alias=True, exclude_none=True)
