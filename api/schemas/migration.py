"""Moving running requests to another version: what is asked, and what a preflight shows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Body, View


class MigrationBody(Body):
    """Which running requests are meant: those of one version, or of all others. Only a dry run is offered."""

    from_version: Annotated[str, Field(max_length=100)] | None = None
    dry_run: Literal[True] = True


class FateView(View):
    """What a move would mean to one request."""

    request_id: str
    version: str
    stage: str | None
    verdict: Literal["maps", "changes_outcome", "does_not_map"]
    reasons: list[str]


class PreflightView(View):
    """What a move would mean to all of them; `left_out` are those that were not looked at."""

    template_id: str
    totals: dict[str, int]
    left_out: int
    requests: list[FateView]
