"""The pages over the stored tables, for admins; web.admin has what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from web.security import PageRoute

if TYPE_CHECKING:
    from web.admin.interface import Tables

# The library reads `identity` (the name of a table) and `pk` (the key of a row) from the path itself.
router = APIRouter(prefix="/admin", route_class=PageRoute)


@router.get("")
async def tables(request: Request) -> Response:
    """List the tables."""
    answer: Response = await _tables().index(request)
    return answer


@router.get("/{identity}")
async def rows(request: Request) -> Response:
    """List the rows of a table, or those with a value in a column."""
    answer: Response = await _tables().list(request)
    return answer


@router.get("/{identity}/rows/{pk:path}")
async def row(request: Request) -> Response:
    """Show a row."""
    answer: Response = await _tables().details(request)
    return answer


@router.get("/{identity}/edit/{pk:path}")
async def form(request: Request) -> Response:
    """Show the form of a row."""
    answer: Response = await _tables().edit(request)
    return answer


@router.post("/{identity}/edit/{pk:path}")
async def change(request: Request) -> Response:
    """Store what the form of a row says."""
    answer: Response = await _tables().edit(request)
    return answer


def _tables() -> Tables:
    from web.admin.interface import interface  # takes as long to load as all our other pages, and few open it

    return interface()
