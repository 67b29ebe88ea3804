"""Event logs, as the API takes and shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.common import Body, Shown, View, with_examples
from storage.tables.event_logs import EventLog


class SuggestBody(Body):
    """How often something has to be there before it counts."""

    model_config = with_examples({"min_occurrences": 10})

    min_occurrences: Annotated[
        int, Field(ge=1, le=100_000, strict=True, description="Stages with fewer decisions are left out.")
    ] = 10


class StageFiguresView(View):
    """The decisions of a stage: `approval_rate_low` is Wilson's lower bound (95 %), waits are from the event before."""

    stage: str
    decisions: int
    approved: int
    returned: int
    approval_rate: float
    approval_rate_low: float
    wait_hours: dict[str, float]
    machine: bool


class EventLogView(View):
    """A log: what became of it and what it holds; `activities` counts different ones."""

    id: str
    name: str
    status: Literal["running", "completed", "failed"]
    cases: int | None
    events: int | None
    people: int | None
    activities: int | None
    map: dict[str, Any]
    warnings: list[str]
    error: str | None
    stages: list[StageFiguresView]
    file_name: str
    size: int
    sha256: str
    began: Shown | None
    ended: Shown | None
    created_by: str
    created_at: Shown
    finished_at: Shown | None

    @classmethod
    def of(cls, row: EventLog) -> EventLogView:
        """Show a log."""
        shown: dict[str, Any] = row.model_dump(
            exclude={"seen", "columns", "words", "held_until", "stages", "created_by"}
        )
        by = row.created_by if row.created_by.startswith("command line") else f"user:{row.created_by}"
        return cls(**{**shown, "stages": row.stages or [], "created_by": by})


class ColumnView(View):
    """A column of a file: how many of the events that were read have a value, and some of these."""

    name: str
    filled: int
    examples: list[str]


class ActivityView(View):
    """What an activity is taken for: `kind`, and the stage that it belongs to."""

    activity: str
    count: int
    kind: str
    stage: str


class EventLogPreview(View):
    """The beginning of a file, read by a map. Nothing is stored; `whole` says whether it was read to its end.

    Counts are of what was read. Without a map that names a case, an activity and a time, `map` and they are null.
    """

    name: str
    format: Literal["xes", "csv"]
    columns: list[ColumnView]
    proposed_map: dict[str, Any]
    map: dict[str, Any] | None
    whole: bool
    cases: int | None
    events: int
    people: int | None
    activities: int | None
    warnings: list[str]
    first_cases: list[dict[str, Any]]
    activity_kinds: list[ActivityView]


class DeviationView(View):
    """How many later cases first differ in this way from the blueprint."""

    kind: str
    count: int
    means: str
    stages: dict[str, int]
    examples: list[str]


class FitView(View):
    """How many later cases the blueprint reproduces; the others are counted under `deviations`, each once.

    `reproduced_by_rule` are those in which every branch that nothing explains took its more frequent way.
    """

    cases: int
    reproduced: int
    reproduced_by_rule: int
    deviations: list[DeviationView]


class BranchView(View):
    """What decides whether a stage is asked: a condition, or a variable that the requester sets.

    `predicts_later` is the share of later rounds that the best rule predicts.
    """

    stage: str
    condition: str | None
    variable: str | None
    asked: int
    of: int
    predicts_later: float


class MinedView(View):
    """A change of the blueprint that the log suggests: how certain, on what evidence, and the patch (RFC 6902)."""

    suggestion_type: str
    title: str
    description: str
    patch: list[dict[str, Any]]
    confidence: float
    supporting_data: dict[str, Any]


class LogSuggestionView(View):
    """A blueprint out of a log. `findings` are those of a check, and what the log leaves open."""

    blueprint: dict[str, Any]
    findings: list[dict[str, Any]]
    fit: FitView
    stages: list[StageFiguresView]
    rules: list[BranchView]
    suggestions: list[MinedView]
    made_from_cases: int
