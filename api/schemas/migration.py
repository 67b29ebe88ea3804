"""Moving running requests to another version: what is asked, and what comes of it for each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.common import Body, View
from service.documents import Words
from service.migration.preflight import Result, Verdict


class MigrationBody(Body):
    """Which running requests are meant: those of all other versions, of one of them, or some by their ids.

    A dry run, the default, says for each what a move would mean. A move takes those that map, and those whose outcome
    would have been another only where `allow_outcome_change` says so; the others stay.
    """

    from_version: Annotated[str, Field(max_length=100)] | None = None
    request_ids: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=2000)] | None = (
        None
    )
    dry_run: bool = True
    allow_outcome_change: bool = False
    reason: Words | None = Field(None, description="Why; on record with each request that is moved.")

    @model_validator(mode="after")
    def _meant_once(self) -> MigrationBody:
        if self.from_version is not None and self.request_ids is not None:
            raise ValueError('give "from_version" or "request_ids", not both')
        return self


class FateView(View):
    """What a move means to one request: `version` is the one that it follows before it.

    `result` is null in a dry run. `stays`: it goes on under its version, for `reasons`. `there`: it is on this version
    already. `unknown`: the engine did not answer in time; repeat the call.
    """

    request_id: str
    version: str
    stage: str | None
    verdict: Verdict
    reasons: list[str]
    result: Result | None


class MigrationView(View):
    """What a move means to all of them: how many there are of each verdict and, once it is done, of each result.

    `left_out` are those that were not looked at; call again for them.
    """

    template_id: str
    version: str
    dry_run: bool
    totals: dict[Verdict, int]
    results: dict[Result, int] | None
    left_out: int
    requests: list[FateView]
