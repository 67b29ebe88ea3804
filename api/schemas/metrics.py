"""The models of `/metrics/workflow-escalations`."""

from __future__ import annotations

from pydantic import Field

from api.schemas.common import Shown, View
from storage.queries.requests.escalations import EscalationFailure, Lateness, StageLoad
from storage.recording.metrics import ESCALATION_SECONDS, Histogram, Totals


class HistogramView(View):
    """A histogram: the observations up to each bound (`buckets`), their number and their sum."""

    count: int
    sum: float
    buckets: dict[str, int]

    @classmethod
    def of(cls, found: Histogram) -> HistogramView:
        """Show a histogram."""
        return cls(
            count=int(found.count), sum=found.sum, buckets={bound: int(number) for bound, number in found.buckets}
        )


class LatenessView(View):
    """The delay of the last escalations, in seconds from due to recorded; null if there were none."""

    escalations: int
    p50: float | None
    p95: float | None
    max: float | None


class StageView(View):
    """The open tasks of one stage."""

    template: str
    stage: str
    pending: int
    near_breach: int
    breached: int


class FailureView(View):
    """One failure."""

    at: Shown
    kind: str
    request_id: str
    stage: str | None
    task_id: str | None
    why: str | None


class EscalationsView(View):
    """The state of escalations. Fields that start with `workflow_` are the metrics of that name."""

    at: Shown
    workflow_tasks_checked_total: int
    workflow_tasks_escalated_total: int
    workflow_tasks_reminded_total: int
    workflow_tasks_over_sla_total: int
    workflow_tasks_opened_total: int
    workflow_escalation_failures_total: int
    workflow_escalation_duration_seconds: HistogramView
    workflow_pending_count: int
    workflow_near_sla_breach_count: int
    breached_count: int = Field(description="The number of open tasks after their deadline.")
    lateness_seconds: LatenessView
    stages: list[StageView]
    failures: list[FailureView] | None = Field(
        description="The last failures, newest first; only auditors and admins see them."
    )

    @classmethod
    def of(
        cls,
        at: Shown,
        totals: Totals,
        stages: list[StageLoad],
        late: Lateness,
        failures: list[EscalationFailure] | None,
    ) -> EscalationsView:
        """Show the stored values."""
        plain = {name: int(series[()]) for name, series in totals.values.items() if name in cls.model_fields}
        return cls(
            at=at,
            workflow_escalation_duration_seconds=HistogramView.of(totals.histograms[ESCALATION_SECONDS][()]),
            breached_count=sum(stage.breached for stage in stages),
            lateness_seconds=LatenessView.model_validate(late, from_attributes=True),
            stages=[StageView.model_validate(stage, from_attributes=True) for stage in stages],
            failures=None
            if failures is None
            else [FailureView.model_validate(failure, from_attributes=True) for failure in failures],
            **plain,
        )
