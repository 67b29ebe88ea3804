"""The models of moving running requests to another version."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.common import Body, View
from service.documents import Words
from service.migration.preflight import Result, Verdict


class MigrationBody(Body):
    """Which running requests to move: those of all other versions, of one version, or a list of ids.

    A dry run, the default, says for each request what a move would do. A move takes the requests that map. Requests
    whose earlier decisions would have led to another outcome move only with `allow_outcome_change`; the others stay.
    """

    from_version: Annotated[str, Field(max_length=100)] | None = None
    request_ids: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=2000)] | None = (
        None
    )
    dry_run: bool = True
    allow_outcome_change: bool = False
    reason: Words | None = Field(None, description="The reason, which is recorded with each request that is moved.")

    @model_validator(mode="after")
    def _meant_once(self) -> MigrationBody:
        if self.from_version is not None and self.request_ids is not None:
            raise ValueError('give "from_version" or "request_ids", not both')
        return self


class FateView(View):
    """The verdict about one request. `version` is the version that it followed before.

    `result` is null in a dry run. `stays`: the request stays on its version, for `reasons`. `there`: the request is on
    this version already. `unknown`: the engine did not answer in time; repeat the call.
    """

    request_id: str
    version: str
    stage: str | None
    verdict: Verdict
    reasons: list[str]
    result: Result | None


class MigrationView(View):
    """The verdicts about all requests, with their number by verdict and, after a move, by result.

    `left_out` is the number of requests that were not examined; repeat the call for them.
    """

    template_id: str
    version: str
    dry_run: bool
    totals: dict[Verdict, int]
    results: dict[Result, int] | None
    left_out: int
    requests: list[FateView]
