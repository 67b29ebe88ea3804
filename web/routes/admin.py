"""The pages over the stored tables, for admins; web.admin has what they show."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.admin.interface import interface
from web.security import PageRoute

# The library reads `identity` (the name of a table) and `pk` (the key of a row) from the path itself.
router = APIRouter(prefix="/admin", route_class=PageRoute)


@router.get("")
async def tables(request: Request) -> Response:
    """List the tables."""
    answer: Response = await interface().index(request)
    return answer


@router.get("/{identity}")
async def rows(request: Request) -> Response:
    """List the rows of a table, or those with a value in a column."""
    answer: Response = await interface().list(request)
    return answer


@router.get("/{identity}/rows/{pk:path}")
async def row(request: Request) -> Response:
    """Show a row."""
    answer: Response = await interface().details(request)
    return answer


@router.get("/{identity}/edit/{pk:path}")
async def form(request: Request) -> Response:
    """Show the form of a row."""
    answer: Response = await interface().edit(request)
    return answer


@router.post("/{identity}/edit/{pk:path}")
async def change(request: Request) -> Response:
    """Store what the form of a row says."""
    answer: Response = await interface().edit(request)
    return answer
