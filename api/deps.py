"""The dependencies of routes: one alias for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from api.context import ApiContext
from service.documents import Moment
from service.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The identity of a mutating call; a repeat has the same identity, and so no second effect.

    `key` is the engine's update id. `subject` is the id of the resource that the call creates, if any. `fresh` says
    that this is the first call with this subject, so that no resource has this id yet.
    """

    key: str
    subject: str
    fresh: bool


# Asynchronous although they wait for nothing: FastAPI runs every other dependency on a thread of its own.
async def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context


async def _caller(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


async def _call(request: Request) -> Call:
    call: Call = request.state.call
    return call


Here = Annotated[ApiContext, Depends(_context)]
"""The API's context."""
Caller = Annotated[Principal, Depends(_caller)]
"""The authenticated caller."""
ThisCall = Annotated[Call, Depends(_call)]
"""The identity of a mutating call."""
At = Annotated[Moment | None, Query(description="A moment with its offset, such as 2026-01-31T09:00:00Z.")]
Limit = Annotated[int, Query(ge=1, le=500, description="The number of items on a page.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the previous page.")]
