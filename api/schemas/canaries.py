"""The models of canaries: what is declared when one begins, and what is known of its two versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from api.schemas.common import Body, Shown, View, shown, with_examples
from insight.canary.comparison import ALPHA, Verdict
from service.canaries.reading import CanaryFound
from service.canaries.terms import HORIZON_SECONDS, LONGEST_HORIZON, Margins, Terms, margins_of

Name = Annotated[str, Field(min_length=1, max_length=200)]
Notes = Annotated[str, Field(max_length=4_000)]
Status = Literal["running", "promoted", "reverted"]
_NUMBER = {"allow_inf_nan": False, "strict": True}
Share = Annotated[float, Field(gt=0, le=1, **_NUMBER)]
Part = Annotated[float, Field(ge=0, lt=1, **_NUMBER)]
Positive = Annotated[float, Field(ge=0, le=1e12, **_NUMBER)]
_CANARY: dict[str, Any] = {
    "template": "Expense approval",
    "version": "1.1.0",
    "share": 0.2,
    "people_sample": 0.1,
    "horizon_seconds": 604_800,
    "alpha": 0.05,
    "margins": {"duration_seconds": 3600, "outcome": 0.05, "sla": 0.02, "cost": None},
    "sla_id": None,
    "prices": None,
    "most_cost": None,
    "notes": None,
}
_MARGINS_EXAMPLE = _CANARY["margins"]


class MarginsBody(Body):
    """The differences from which on the new version does harm, and reverts itself; at least one is declared.

    `duration_seconds`: how much longer requests take in the mean. `outcome`: how much the share that is approved
    differs, either way. `sla`: how much greater the share is that misses a deadline. `cost`: how much more one costs in
    the mean.
    """

    model_config = with_examples(_MARGINS_EXAMPLE)

    duration_seconds: Positive | None = None
    outcome: Part | None = None
    sla: Part | None = None
    cost: Positive | None = None


class CanaryBody(Body):
    """A canary: the share of new requests that the new version is given, and what would be harm.

    `people_sample` is the part of the share that stays with the old version, so that people decide it; where the new
    version passes people over it cannot be 0, and is 0.1 unless another is declared. A request is measured until it
    ends, or for `horizon_seconds`. `alpha` is the chance, at most, that a version which does no harm is reverted.
    """

    model_config = with_examples(_CANARY)

    template: Name
    version: Name
    share: Share
    margins: MarginsBody
    people_sample: Part | None = None
    horizon_seconds: Annotated[float, Field(ge=1, le=LONGEST_HORIZON, **_NUMBER)] = HORIZON_SECONDS
    alpha: Annotated[float, Field(ge=0.0001, le=0.5, **_NUMBER)] = ALPHA
    sla_id: Name | None = None
    prices: dict[str, Any] | None = None
    most_cost: Annotated[float, Field(gt=0, le=1e12, **_NUMBER)] | None = None
    notes: Notes | None = None

    def terms(self) -> Terms:
        """Return what is declared."""
        kept = {name: getattr(self, name) for name in type(self).model_fields if name != "margins"}
        return Terms(**kept, margins=Margins(**self.margins.model_dump()))


class EndBody(Body):
    """Why a canary is promoted or reverted."""

    model_config = with_examples({"notes": "Two weeks without a difference."})

    notes: Notes | None = None


class ArmView(View):
    """One version by one measure: its requests, their mean (null without any), and where the true mean is."""

    count: int
    mean: float | None
    low: float
    high: float


class DifferenceView(View):
    """Where the new version's mean less the old one's is."""

    low: float
    high: float


class ComparisonView(View):
    """One measure of both versions. `either`: a difference is harm whichever way it goes, not only upwards.

    All differences are within their intervals, at all times at once, with a chance of at least 1 - `alpha`. `verdict`
    is `harm` or `no_harm` where the whole interval is beyond the margin or within it, `open` until then, and
    `not_guarded` without a margin.
    """

    measure: Literal["duration_seconds", "outcome", "sla", "cost"]
    most: float
    margin: float | None
    either: bool
    new: ArmView
    old: ArmView
    difference: DifferenceView
    verdict: Verdict


class RequestsView(View):
    """How many requests each version was given: `sample` have the old version, and would have had the new one.

    `measured` are those that have ended or reached the horizon.
    """

    new: int
    old: int
    sample: int
    measured: int


class CanaryView(View):
    """A canary. `harm` is the comparison for which it reverted itself; then `ended_by` is null."""

    id: str
    template: str
    version: str
    version_id: str
    baseline: str
    baseline_id: str
    status: Status
    share: float
    people_sample: float
    horizon_seconds: float
    alpha: float
    margins: dict[str, float | None]
    sla_id: str | None
    prices: dict[str, Any] | None
    most_cost: float | None
    notes: str | None
    began_by: str
    began_at: Shown
    ended_by: str | None
    ended_at: Shown | None
    end_notes: str | None
    harm: ComparisonView | None
    requests: RequestsView

    @classmethod
    def of(cls, found: CanaryFound) -> CanaryView:
        """Show a canary."""
        return cls(**_facts(found))


class CanaryWhole(CanaryView):
    """A canary with its comparisons, as of `compared_at`."""

    compared_at: Shown
    comparisons: list[ComparisonView]

    @classmethod
    def of(cls, found: CanaryFound) -> CanaryWhole:
        """Show a canary with its comparisons."""
        return cls(
            **_facts(found),
            compared_at=found.row.compared_at,
            comparisons=[ComparisonView.model_validate(figure) for figure in found.row.figures],
        )


def _facts(found: CanaryFound) -> dict[str, Any]:
    row = found.row
    plain = (
        "id", "template", "version", "version_id", "baseline", "baseline_id", "share", "people_sample",
        "horizon_seconds", "alpha", "sla_id", "prices", "most_cost", "notes", "began_at", "ended_at", "end_notes",
    )  # fmt: skip
    return {
        **{name: getattr(row, name) for name in plain},
        "status": cast(Status, row.status),
        "margins": asdict(margins_of(row)),
        "began_by": shown(row.began_by),
        "ended_by": shown(row.ended_by),
        "harm": None if row.harm is None else ComparisonView.model_validate(row.harm),
        "requests": RequestsView(**{name: found.counts[name] for name in RequestsView.model_fields}),
    }
