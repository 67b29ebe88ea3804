"""The models of suggestions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.common import Body, Shown, View, shown
from api.schemas.templates import FindingView
from insight.scoring.scorer import LEAST_OF_BOTH, Learned
from service.suggestions.generation import DAYS, LEAST_OCCURRENCES, MOST_DAYS, Generated, Order
from service.suggestions.suggestions import Proposal, SuggestionWithDraft
from storage.queries.definitions.definitions import VersionHeader

Name = Annotated[str, Field(min_length=1, max_length=200)]
Notes = Annotated[str, Field(max_length=4_000)]
Source = Literal["rule", "model", "llm", "person"]
Status = Literal["pending", "accepted", "rejected"]
Type = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]


class SuggestionBody(Body):
    """A suggestion: a JSON Patch (RFC 6902) on the blueprint of the process's newest published version."""

    template: Name
    title: Name
    description: Annotated[str, Field(max_length=10_000)] = ""
    patch: Any
    suggestion_type: Type = "other"

    def proposal(self, patch: Any) -> Proposal:
        """Return what is suggested, with the patch as it is stored."""
        return Proposal(
            template=self.template,
            title=self.title,
            description=self.description,
            patch=patch,
            type=self.suggestion_type,
        )


class GenerateBody(Body):
    """Which past is mined: of how many days, how often anything has to occur, and of which process; without, of all."""

    days: Annotated[int, Field(ge=1, le=MOST_DAYS, strict=True)] = DAYS
    min_occurrences: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = LEAST_OCCURRENCES
    template: Name | None = None

    def order(self) -> Order:
        """Return what is asked for."""
        return Order(days=self.days, min_occurrences=self.min_occurrences, template=self.template)


class ReviewBody(Body):
    """Why a suggestion is accepted or rejected."""

    notes: Notes | None = None


class DraftedView(View):
    """The version of the process that accepting a suggestion made; it is still to be published."""

    id: str
    name: str
    version: str
    status: str

    @classmethod
    def of(cls, header: VersionHeader) -> DraftedView:
        """Show a version."""
        return cls(id=header.id, name=header.name, version=header.version, status=header.status)


class EvidenceView(View):
    """What a suggestion is based on. Each type adds its own counts."""

    model_config = ConfigDict(frozen=True, extra="allow")

    count: int
    period: dict[str, Any]
    examples: list[str]


class ScoreView(View):
    """The chance that a suggestion is accepted here, 0 to 1, and what that was learned from.

    Brier scores are of suggestions that were held out: of the model, and of who only knows the rate of acceptance.
    """

    chance: float
    accepted: int
    rejected: int
    brier: float
    brier_of_base_rate: float


class SuggestionView(View):
    """A suggestion. `version` is what its patch applies to, `draft` the version that accepting it made."""

    id: str
    template: str
    version: str
    suggestion_type: str
    source: Source
    status: Status
    title: str
    description: str
    patch: list[dict[str, Any]]
    confidence: float
    score: ScoreView | None
    supporting_data: EvidenceView
    findings: list[FindingView]
    backtest: dict[str, Any] | None
    created_by: str | None
    created_at: Shown
    updated_at: Shown
    review_notes: str | None
    reviewed_by: str | None
    reviewed_at: Shown | None
    draft: DraftedView | None

    @classmethod
    def of(cls, found: SuggestionWithDraft) -> SuggestionView:
        """Show a suggestion."""
        return cls(**_facts(found))


class SuggestionWhole(SuggestionView):
    """A suggestion with the changed blueprint."""

    blueprint: dict[str, Any]

    @classmethod
    def of(cls, found: SuggestionWithDraft) -> SuggestionWhole:
        """Show a suggestion with the changed blueprint."""
        return cls(**_facts(found), blueprint=found.row.blueprint)


class LeftOutView(View):
    """A process that could not be mined, and why."""

    template: str
    message: str


class ModelView(View):
    """What is known of how people decide about suggestions: from how many, and whether a model of it chose (`used`).

    It needs `least_of_both`, and its Brier score on held-out suggestions has to be better than that of the base rate.
    """

    used: bool
    accepted: int
    rejected: int
    least_of_both: int
    brier: float | None
    brier_of_base_rate: float | None

    @classmethod
    def of(cls, learned: Learned) -> ModelView:
        """Show what was learned."""
        return cls(
            used=learned.scorer is not None,
            accepted=learned.accepted,
            rejected=learned.rejected,
            least_of_both=LEAST_OF_BOTH,
            brier=learned.brier,
            brier_of_base_rate=learned.brier_of_base_rate,
        )


class GeneratedView(View):
    """The new suggestions. `refreshed` counts those that were pending and whose evidence was counted anew.

    `held_back` counts what was found and is not suggested, since the model says that the like is hardly ever accepted.
    """

    created: int
    items: list[SuggestionView]
    refreshed: int
    held_back: int
    left_out: list[LeftOutView]
    model: ModelView

    @classmethod
    def of(cls, made: Generated) -> GeneratedView:
        """Show what came of a run."""
        return cls(
            created=len(made.created),
            items=[SuggestionView.of(found) for found in made.items],
            refreshed=made.refreshed,
            held_back=made.held_back,
            left_out=[LeftOutView(template=name, message=why) for name, why in made.left_out],
            model=ModelView.of(made.learned),
        )


def _facts(found: SuggestionWithDraft) -> dict[str, Any]:
    row = found.row
    plain = (
        "id", "template", "version", "suggestion_type", "source", "status", "title", "description", "patch",
        "confidence", "score", "supporting_data", "findings", "backtest", "created_at", "updated_at", "review_notes",
        "reviewed_at",
    )  # fmt: skip
    return {
        **{name: getattr(row, name) for name in plain},
        "created_by": shown(row.created_by),
        "reviewed_by": shown(row.reviewed_by),
        "draft": None if found.draft is None else DraftedView.of(found.draft),
    }
