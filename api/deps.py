"""What routes ask for: one alias for each thing that a call is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from api.context import ApiContext
from service.documents import Moment
from service.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A mutating call: by what it is known, so that a repeat of it has the same effect.

    `key` is the engine's update id; `subject` is the id of what the call creates, if it creates something. `fresh`
    tells that this is the first call with this subject, so nothing can have been created under it.
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
"""What the API was started with."""
Caller = Annotated[Principal, Depends(_caller)]
"""Who is calling."""
ThisCall = Annotated[Call, Depends(_call)]
"""By what a mutating call is known."""
At = Annotated[Moment | None, Query(description="A moment with its offset, such as 2026-01-31T09:00:00Z.")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many items a page has.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before.")]
