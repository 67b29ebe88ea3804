"""The Tasks extension of MCP (`io.modelcontextprotocol/tasks`): a call that waits for people answers with a task.

A task is a request, and its id names the request: nothing of it is kept here. So any server answers about it, with the
caller's own token, also after a restart, and whoever may not see the request is told that there is no such task.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self, get_args

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, CallToolRequestParams, CallToolResult, ElicitResult, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import Field, ValidationError

from cli.mcp_server import texts
from cli.mcp_server.answers import outcome
from cli.mcp_server.identity import Scope, need
from placet.client import AsyncClient, ClientError, Problem, Request

IDENTIFIER: Final = "io.modelcontextprotocol/tasks"
POLL_MILLISECONDS: Final = 5_000
"""How often a client is asked to look: people take minutes at least."""

Made = Literal["ask", "wait"]
"""What made a task: asking, which its cancellation takes back, or waiting, which it leaves alone."""
_TOOLS: Final[Mapping[str, Made]] = {"ask_for_approval": "ask", "wait_for_approval": "wait"}
_NONE = "There is no such task, or it is not yours."
_LONGEST_ANSWER = 4_000  # characters


class TaskParams(RequestParams):
    """Which task a call is about."""

    task_id: Annotated[str, Field(min_length=1, max_length=300)]


class UpdateParams(TaskParams):
    """The answers to what a task has asked."""

    input_responses: Annotated[dict[str, Any], Field(max_length=1_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskId:
    """The id of a task: what made it, the round in which the request was then, and the request's id."""

    made: Made
    round: int
    request_id: str

    def __str__(self) -> str:
        """Write it."""
        return f"{self.made}.{self.round}.{self.request_id}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read one; raises MCPError for what is none."""
        made, _, rest = text.partition(".")
        number, _, request_id = rest.partition(".")
        for known in get_args(Made):
            if made == known and number.isdecimal() and len(number) < len("1000000") and request_id:
                return cls(made=known, round=int(number), request_id=request_id)
        raise MCPError(INVALID_PARAMS, _NONE)


def takes_tasks(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether whoever made this call takes a task for an answer; only calls of the 2026-07-28 protocol can say so."""
    held = ctx.session.client_capabilities
    return (
        ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and held is not None and IDENTIFIER in (held.extensions or {})
    )


class Tasks(Extension):
    """The extension; `connect` opens the API as whoever calls."""

    identifier = IDENTIFIER

    def __init__(self, connect: Callable[[], AsyncClient]) -> None:
        self._connect = connect

    def methods(self) -> Sequence[MethodBinding]:
        """Serve the three methods."""
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return (
            MethodBinding("tasks/get", TaskParams, self._get, versions),
            MethodBinding("tasks/update", UpdateParams, self._update, versions),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, versions),
        )

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Answer with a task where a tool would wait for people, unless it was told not to wait."""
        result = await call_next(ctx)
        made = _TOOLS.get(params.name)
        if made is None or not takes_tasks(ctx) or (params.arguments or {}).get("wait_seconds") == 0:
            return result
        told = result.structured_content or {} if isinstance(result, CallToolResult) else {}
        if told.get("standing") != "pending":
            return result
        try:
            async with self._placet("placet:read") as placet:
                request = await placet.request(told["request_id"])
        except MCPError:  # the answer says how to go on without a task
            return result
        task = TaskId(made=made, round=request.round, request_id=request.id)
        return {"resultType": "task", **_seed(task, request)}

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        require_client_extension(ctx, IDENTIFIER)
        task = TaskId.read(params.task_id)
        async with self._placet("placet:read") as placet:
            request = await placet.request(task.request_id)
            return _state(placet, task, request, asks=_asks(ctx))

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: UpdateParams) -> HandlerResult:
        """Pass answers on to whoever asked; what nobody has asked, or what was answered before, is ignored."""
        require_client_extension(ctx, IDENTIFIER)
        task = TaskId.read(params.task_id)
        async with self._placet("placet:ask") as placet:
            request = await placet.request(task.request_id)
            for number, answer in _answers(request, params.input_responses):
                key = f"task-{request.id}-answer-{number}"
                async with _unless_it_has_moved_on():
                    await placet.answer(request.id, number, answer, key=key)
        return {}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        """Withdraw the request that a task has asked for; a task that waits has nothing to end."""
        require_client_extension(ctx, IDENTIFIER)
        task = TaskId.read(params.task_id)
        async with self._placet("placet:ask" if task.made == "ask" else "placet:read") as placet:
            request = await placet.request(task.request_id)
            if task.made == "ask" and request.status == "pending":
                key = f"task-{request.id}-cancel"
                async with _unless_it_has_moved_on():
                    await placet.withdraw(request.id, reason="The task of the agent was cancelled.", key=key)
        return {}

    @asynccontextmanager
    async def _placet(self, scope: Scope) -> AsyncIterator[AsyncClient]:
        """Open the API for a call that needs a scope; raises MCPError in words."""
        try:
            need(scope)
            async with self._connect() as placet:
                yield placet
        except ToolError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        except Problem as error:
            message = _NONE if error.status == 404 else texts.refused(error)
            raise MCPError(INVALID_PARAMS, message) from error
        except ClientError as error:
            raise MCPError(INTERNAL_ERROR, f"UNKNOWN: {error.message} Carry nothing out; try again later.") from error
        except ValueError as error:
            raise MCPError(INVALID_PARAMS, _NONE) from error


@asynccontextmanager
async def _unless_it_has_moved_on() -> AsyncIterator[None]:
    """Leave it at that where the API refuses, since the request has changed or ended meanwhile."""
    try:
        yield
    except Problem as error:
        if error.status not in {409, 422}:
            raise


def _seed(task: TaskId, request: Request) -> dict[str, Any]:
    return {
        "taskId": str(task),
        "status": "working",
        "statusMessage": texts.says(request, "pending"),
        "createdAt": request.started_at.isoformat(),
        "lastUpdatedAt": _changed_at(request).isoformat(),
        "ttlMs": None,  # a request can be asked about for as long as it is kept
        "pollIntervalMs": POLL_MILLISECONDS,
    }


def _state(placet: AsyncClient, task: TaskId, request: Request, *, asks: bool) -> dict[str, Any]:
    """Return a task as it stands. A task ends with its round: what is sent in again is another one."""
    standing = "changes_requested" if request.round > task.round else texts.standing(request)
    state = _seed(task, request) | {"statusMessage": texts.says(request, standing)}
    questions = _questions(request) if asks else {}
    if standing == "pending":
        return state | ({"status": "input_required", "inputRequests": questions} if questions else {})
    if standing == "withdrawn":
        return state | {"status": "cancelled"}
    answered = outcome(placet, request, standing).model_dump(by_alias=True, mode="json", exclude_none=True)
    return state | {"status": "completed", "result": answered}


def _asks(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether the client has its user fill in forms."""
    held = ctx.session.client_capabilities
    modes = held.elicitation if held is not None else None
    return modes is not None and (modes.form is not None or modes.url is None)


def _questions(request: Request) -> dict[str, Any]:
    """Return what people have asked the requester and still wait to be told, as forms for the agent's user."""
    return {
        f"question-{one.n}": {
            "method": "elicitation/create",
            "params": {
                "mode": "form",
                "message": f"{one.asked_by.removeprefix('user:')} asks about {request.title!r}: {one.text or ''}",
                "requestedSchema": {
                    "type": "object",
                    "properties": {"answer": {"type": "string", "title": "Answer", "maxLength": _LONGEST_ANSWER}},
                    "required": ["answer"],
                },
            },
        }
        for one in request.questions
        if one.answered_at is None
    }


def _answers(request: Request, responses: Mapping[str, Any]) -> list[tuple[int, str]]:
    """List the answers to questions that are open, by their numbers; what was declined is no answer."""
    found = []
    for one in request.questions:
        given = responses.get(f"question-{one.n}") if one.answered_at is None else None
        try:
            said = ElicitResult.model_validate(given)
        except ValidationError:
            continue
        answer = (said.content or {}).get("answer") if said.action == "accept" else None
        if isinstance(answer, str) and answer.strip():
            found.append((one.n, answer[:_LONGEST_ANSWER]))
    return found


def _changed_at(request: Request) -> datetime:
    """Return when something last happened to a request, as far as its document says."""
    moments = [request.started_at, request.ended_at]
    moments += [moment for one in request.tasks for moment in (one.opened_at, one.decided_at)]
    moments += [moment for one in request.questions for moment in (one.asked_at, one.answered_at)]
    return max(moment for moment in moments if moment is not None)
