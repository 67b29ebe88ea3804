"""What tools answer: a text for the model, and the same as a document."""

from __future__ import annotations

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel

from cli.mcp_server import texts
from placet.client import AsyncClient, Request


class Outcome(BaseModel):
    """How a request stands, and what that means for whoever asked."""

    request_id: str
    standing: texts.Standing
    says: str
    url: str
    action_digest: str | None


def told(placet: AsyncClient, request: Request, standing: texts.Standing | None = None) -> Outcome:
    """Return how a request stands, or stood where `standing` is given."""
    return Outcome(
        request_id=request.id,
        standing=standing or texts.standing(request),
        says=texts.says(request, standing),
        url=f"{placet.place.url}/requests/{request.id}",
        action_digest=request.action_digest,
    )


def outcome(placet: AsyncClient, request: Request, standing: texts.Standing | None = None) -> CallToolResult:
    """Return the answer of a tool about one request."""
    found = told(placet, request, standing)
    return result(found.says, found)


def result(text: str, document: BaseModel) -> CallToolResult:
    """Return the answer of a tool."""
    structured = document.model_dump(mode="json")
    return CallToolResult(content=[TextContent(text=text)], structured_content=structured)
