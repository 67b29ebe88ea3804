"""What decisions lead to, as the API shows it."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from api.schemas.common import Shown, View
from service.consequences import Consequences
from simulation.modes.consequences import Consequence, Unavailable

_EXAMPLE: dict[str, Any] = {
    "revision": 1,
    "approve": {
        "settles": True,
        "next": [{"stage": "CFO Approval", "people": ["user:carla"]}],
        "outcome": None,
        "forecast_end": "2026-03-04T09:00:00Z",
        "side_effects": [],
        "assumed": [],
    },
    "reject": {
        "settles": True,
        "next": [],
        "outcome": "rejected",
        "forecast_end": "2026-03-02T09:00:00Z",
        "side_effects": [],
        "assumed": [],
    },
    "request_changes": {"unavailable": "Working it out would take too long."},
    "abstain": {
        "settles": True,
        "next": [],
        "outcome": "rejected",
        "forecast_end": "2026-03-02T09:00:00Z",
        "side_effects": [],
        "assumed": [],
    },
}


class NextStageView(View):
    """A stage that opens next, and the people whom it asks."""

    stage: str
    people: list[str]


class SideEffectsView(View):
    """An action that would run, and what it changes outside."""

    action: str
    side_effects: list[str]


class ConsequenceView(View):
    """What one decision leads to. `assumed` are the nodes whose answers are not known yet and were assumed."""

    settles: bool
    next: list[NextStageView]
    outcome: str | None
    forecast_end: Shown | None
    side_effects: list[SideEffectsView]
    assumed: list[str]


class UnavailableView(View):
    """Why nothing can be said of a decision."""

    unavailable: str


class ConsequencesView(View):
    """What each decision leads to, on the revision that it would be a decision on."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    revision: int
    approve: ConsequenceView | UnavailableView
    reject: ConsequenceView | UnavailableView
    request_changes: ConsequenceView | UnavailableView
    abstain: ConsequenceView | UnavailableView

    @classmethod
    def of(cls, found: Consequences) -> ConsequencesView:
        """Show consequences."""
        shown = {str(decision): _shown(one) for decision, one in found.decisions.items()}
        return cls(revision=found.revision, **shown)


def _shown(one: Consequence | Unavailable) -> ConsequenceView | UnavailableView:
    if isinstance(one, Unavailable):
        return UnavailableView(unavailable=one.reason)
    return ConsequenceView(
        settles=one.settles,
        next=[NextStageView(stage=stage.stage, people=list(stage.people)) for stage in one.next],
        outcome=one.outcome,
        forecast_end=one.forecast_end,
        side_effects=[SideEffectsView(action=e.action, side_effects=list(e.side_effects)) for e in one.side_effects],
        assumed=list(one.assumed),
    )
