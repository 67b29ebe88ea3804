"""The first page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from web.security import PageRoute
from web.templating import render

router = APIRouter(route_class=PageRoute)


@router.get("/")
async def show_home(request: Request) -> Response:
    """Show who is logged in."""
    return render(request, "home.html")
