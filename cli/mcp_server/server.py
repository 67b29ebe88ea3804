"""The tools of the MCP server. Each of them is a call or two of the HTTP API, as whoever the token belongs to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from mcp.server import MCPServer
from mcp.server.auth.provider import TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ElicitRequest, ElicitRequestURLParams, InputRequiredResult, TextContent
from pydantic import BaseModel, Field

from cli.mcp_server import texts
from cli.mcp_server.answers import Outcome, outcome, result, told
from cli.mcp_server.identity import Scope, need
from cli.mcp_server.tasks import Tasks, takes_tasks
from placet.client import Action, AsyncClient, ClientError, Problem, Request, StillPending

LONGEST_WAIT = 55
"""Seconds that one call of a tool waits; clients commonly give up after 60."""

_MODERN = "2026-07-28"  # from this protocol on, a server asks by its answer and not by a request of its own
_INSTRUCTIONS = (
    "Placet has people approve what you are about to do. Ask for approval of one exact action, wait until people have "
    "decided (they may take days; a request can be waited for again by its id), and claim the action before you carry "
    "it out. Carry out nothing without a successful claim. Pending, denied, expired and withdrawn are different things."
)

T = TypeVar("T", bound=BaseModel)
Connect = Callable[[], AsyncClient]
Seconds = Annotated[int, Field(ge=0, le=LONGEST_WAIT, description="For how long to wait for a decision.")]
RequestId = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=500)]


class Listed(BaseModel):
    """Requests, newest first."""

    requests: list[Outcome]


class Claimed(BaseModel):
    """The claim of an approved action."""

    request_id: str
    action_digest: str
    claimed_at: datetime
    says: str


class Explored(BaseModel):
    """What would come of a request."""

    status: str
    outcome: str | None
    predicted_seconds: float | None
    approvals: list[dict[str, Any]]
    warnings: list[str]


class Processes(BaseModel):
    """The processes that may be asked, by name."""

    names: list[str]


def mcp_server(connect: Connect, *, auth: AuthSettings | None = None, tokens: TokenVerifier | None = None) -> MCPServer:
    """Return the server; `connect` opens the API as whoever calls a tool."""
    server = MCPServer(
        "placet",
        title="Placet",
        instructions=_INSTRUCTIONS,
        auth=auth,
        token_verifier=tokens,
        extensions=[Tasks(connect)],
    )
    tools = Tools(connect)
    for tool in (
        tools.list_processes,
        tools.simulate,
        tools.ask_for_approval,
        tools.wait_for_approval,
        tools.claim_action,
        tools.list_my_requests,
        tools.explain_request,
        tools.open_request,
    ):
        server.add_tool(tool)
    return server


class Tools:
    """The tools, with the way to the API."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def list_processes(self) -> Annotated[CallToolResult, Processes]:
        """List the processes by which approval can be asked for."""
        async with self._placet("placet:read") as placet:
            page = await placet.templates(status="published", limit=500)
        names = sorted({one.name for one in page.items})
        return result("\n".join(names) or "There is no published process.", Processes(names=names))

    async def simulate(self, template: Name, process_input: dict[str, Any]) -> Annotated[CallToolResult, Explored]:
        """Explore what would come of a request: who would be asked, and how it could end. Nobody is asked."""
        async with self._placet("placet:read") as placet:
            found = await placet.simulate(template, process_input)
        milliseconds = found.predicted_duration_ms
        explored = Explored(
            status=found.status,
            outcome=found.outcome,
            predicted_seconds=None if milliseconds is None else milliseconds / 1000,
            approvals=[dict(one) for one in found.approval_chain],
            warnings=list(found.warnings),
        )
        return result(f"SIMULATED, nobody was asked. {explored.model_dump_json()}", explored)

    async def ask_for_approval(  # noqa: PLR0917 - they are given by name
        self,
        template: Name,
        title: Annotated[str, Field(min_length=1, max_length=200, description="What people read first.")],
        action_type: Name,
        target: Name,
        parameters: Annotated[
            dict[str, Any], Field(description="All of what shall be done; amounts as text. People see every one.")
        ],
        ctx: Context,
        process_input: Annotated[
            dict[str, Any] | None, Field(description="The input of the process; left out, it is the parameters.")
        ] = None,
        expires_at: Annotated[
            datetime | None, Field(description="Until when it can be claimed, with an offset; a day, if left out.")
        ] = None,
        key: Annotated[
            str | None,
            Field(min_length=1, max_length=200, description="The same key, expires_at and action: the same request."),
        ] = None,
        wait_seconds: Seconds = LONGEST_WAIT,
    ) -> Annotated[CallToolResult, Outcome]:
        """Ask people to approve exactly one action, and wait a while for their decision."""
        if key is not None and expires_at is None:
            raise ToolError("REFUSED: a key needs expires_at, which has to be the same when it is asked again.")
        until = expires_at or datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        if until.utcoffset() is None:
            raise ToolError("REFUSED: expires_at has no offset; write it as 2026-03-02T09:00:00Z.")
        action = Action(type=action_type, target=target, parameters=parameters, expires_at=until)
        async with self._placet("placet:ask") as placet:
            given = parameters if process_input is None else process_input
            request = await placet.start(template, given, title=title, action=action, key=key)
            return outcome(placet, await _waited(placet, request.id, _seconds(wait_seconds, ctx)))

    async def wait_for_approval(
        self, request_id: RequestId, ctx: Context, wait_seconds: Seconds = LONGEST_WAIT
    ) -> Annotated[CallToolResult, Outcome]:
        """Wait for the decision about a request, at most 55 seconds. Call it again to go on."""
        async with self._placet("placet:read") as placet:
            return outcome(placet, await _waited(placet, request_id, _seconds(wait_seconds, ctx)))

    async def claim_action(
        self, request_id: RequestId, action_type: Name, target: Name, parameters: dict[str, Any]
    ) -> Annotated[CallToolResult, Claimed]:
        """Claim an approved action right before you carry it out. It succeeds once, and only for what was approved."""
        async with self._placet("placet:claim") as placet:
            request = await placet.request(request_id)
            if request.action is None:
                raise ToolError("REFUSED: this request was not asked for an action; there is nothing to claim.")
            until = datetime.fromisoformat(str(request.action["expires_at"]))
            action = Action(type=action_type, target=target, parameters=parameters, expires_at=until)
            claim = await placet.claim(request_id, action)
        said = texts.claimed(claim)
        made = Claimed(
            request_id=claim.request_id, action_digest=claim.action_digest, claimed_at=claim.claimed_at, says=said
        )
        return result(said, made)

    async def list_my_requests(
        self, limit: Annotated[int, Field(ge=1, le=100)] = 20
    ) -> Annotated[CallToolResult, Listed]:
        """List your own requests, newest first, and how each stands."""
        async with self._placet("placet:read") as placet:
            page = await placet.requests(requester="me", limit=limit)
            listed = Listed(requests=[told(placet, one) for one in page.items])
        return result("\n\n".join(one.says for one in listed.requests) or "You have asked for nothing yet.", listed)

    async def explain_request(self, request_id: RequestId) -> Annotated[CallToolResult, Outcome]:
        """Explain how a request stands, what or whom it waits for, and why it is stuck."""
        async with self._placet("placet:read") as placet:
            request = await placet.request(request_id)
            found = told(placet, request)
            if request.status == "pending":
                found.says += "\n" + texts.waits(await placet.waiting(request_id))
        return result(found.says, found)

    async def open_request(self, request_id: RequestId, ctx: Context) -> CallToolResult | InputRequiredResult:
        """Lead your user to the page of a request in their browser, where people read and decide it."""
        async with self._placet("placet:read") as placet:
            found = told(placet, await placet.request(request_id))
        held = ctx.client_capabilities
        params = ElicitRequestURLParams(
            message=f"Open request {request_id} in Placet.", url=found.url, elicitation_id=request_id
        )
        if held is None or held.elicitation is None or held.elicitation.url is None:
            return CallToolResult(content=[TextContent(text=f"Ask your user to open {found.url}")])
        if (ctx.request_context.protocol_version or "") < _MODERN:
            await ctx.elicit_url(params.message, found.url, request_id)
        elif not ctx.input_responses:
            return InputRequiredResult(input_requests={"inbox": ElicitRequest(params=params)})
        # That somebody opens a page decides nothing: how the request stands is told as before.
        return CallToolResult(content=[TextContent(text=f"Your user was led to {found.url}\n{found.says}")])

    @asynccontextmanager
    async def _placet(self, scope: Scope) -> AsyncIterator[AsyncClient]:
        """Open the API for a tool that needs a scope; what the API refuses is told in words."""
        need(scope)
        try:
            async with self._connect() as placet:
                yield placet
        except Problem as error:
            raise ToolError(texts.refused(error)) from error
        except ClientError as error:
            raise ToolError(f"UNKNOWN: {error.message} Carry nothing out; try again later.") from error
        except (TypeError, ValueError) as error:
            raise ToolError(f"REFUSED: {error}") from error


def _seconds(wanted: int, ctx: Context) -> int:
    """Return for how long a call waits: not at all where a task waits in its place."""
    return 0 if takes_tasks(ctx.request_context) else wanted


async def _waited(placet: AsyncClient, request_id: str, seconds: int) -> Request:
    try:
        return await placet.wait(request_id, timeout=seconds)
    except StillPending as pending:
        return pending.request
