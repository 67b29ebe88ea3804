"""The API's context: the context of the use cases, and the settings of HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from opentelemetry.trace import TracerProvider

from api.http.repeats import Repeats
from service.administration.certificates import Certificate
from service.context import Context
from service.event_logs.jobs import EventLogJobs
from service.evidence.jobs import EvidenceJobs
from service.retention.periods import Periods
from storage.queries.api_calls import Completion, Reservation, complete_all, key_of, reserve_all
from storage.recording.group_commit import GroupCommit
from storage.tables.approvals import IdempotentCall


def own_process() -> Mapping[str, int]:
    """Return this process alone."""
    return {"api": os.getpid()}


@dataclass(frozen=True, kw_only=True)
class ApiContext(Context):
    """The dependencies and settings of the routes; created once when the API starts."""

    secret: str = field(repr=False)
    """The key that signs decision tokens; the worker has the same key."""
    metrics_token: str | None = field(default=None, repr=False)
    """The bearer token for the Prometheus endpoint; None needs no token."""
    tracer_provider: TracerProvider | None = None
    """Records the spans of calls; None traces nothing."""
    max_body_bytes: int = 1_000_000
    """Longer bodies are refused with 413."""

    periods: Periods = field(default_factory=Periods)
    """For how many days what is kept, as the workers have it."""
    processes: Callable[[], Mapping[str, int]] = own_process
    """Returns the ids of the processes whose processor time and memory are among the metrics, by their names."""
    certificates: Sequence[Certificate] = ()
    """The certificates that this process connects with, whose ends are among the metrics."""

    @cached_property
    def evidence(self) -> EvidenceJobs:
        """The evidence packs that this process makes."""
        return EvidenceJobs(self.database, self.files, self.secret, days=self.evidence_days, clock=self.clock)

    event_log_bytes: int = 200_000_000
    """How large an event log may be as it is sent."""

    @cached_property
    def event_logs(self) -> EventLogJobs:
        """The event logs that this process reads."""
        return EventLogJobs(self.database, self.pool, clock=self.clock)

    @cached_property
    def repeats(self) -> Repeats:
        """The calls with an Idempotency-Key that run in this process."""
        return Repeats()

    @cached_property
    def reservations(self) -> GroupCommit[Reservation, IdempotentCall]:
        """Reserves Idempotency-Keys; calls that wait at the same time share a transaction."""
        return GroupCommit(self.database, reserve_all, key=key_of)

    @cached_property
    def completions(self) -> GroupCommit[Completion, None]:
        """Stores the answers of calls with an Idempotency-Key; those that wait at the same time share a transaction."""
        return GroupCommit(self.database, complete_all, key=key_of)
