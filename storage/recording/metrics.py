"""Count events in the transaction that stores them, so that the numbers survive every process.

A counter's row has `value`, the exact count, and `peak`, its highest value so far. Superseding entries that are not in
history (storage.recording.record) lowers `value`. Prometheus takes a decreasing counter for a restart, so `peak` is
shown, and the event is not counted again when it is recorded again. A scrape reads one row for each series, however
many requests there are; the gauges count open tasks through an index.

To count something new: name it in storage.recording.metric_families, and call `count` where it is stored.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Float, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel, col

from placet.audit.chain import Entry
from placet.engine.recording import Recording
from storage.clock import time_of
from storage.prepared import Prepared
from storage.queries import presence
from storage.queries.notifications.backlog import backlogs
from storage.queries.requests.escalations import late_by
from storage.queries.slas.gauges import slo_gauges
from storage.queries.transparency_log import behind
from storage.recording.metric_families import BY_NAME, FAMILIES, Family, Labels
from storage.tables.actions import ActionCatalog
from storage.tables.approvals import ApprovalTask, DefinitionVersion
from storage.tables.canaries import WorkflowCanary

EXECUTIONS = "workflow_execution_total"
STARTED = "workflow_started_total"
ACTIONS = ("action_execution_total", "action_execution_duration_seconds")
CANARY_REQUESTS = "workflow_canary_requests_total"
CLAIMS = "workflow_claims_total"
ESCALATION_SECONDS = "workflow_escalation_duration_seconds"

FAILURES = "workflow_escalation_failures_total"
"""Counts escalations without an assignee and notifications that were given up."""

_CHECKED = "workflow_tasks_checked_total"
# The counters that an audit entry of each kind increments.
BY_KIND: Mapping[str, tuple[str, ...]] = {
    "task_opened": ("workflow_tasks_opened_total",),
    "reminded": (_CHECKED, "workflow_tasks_reminded_total"),
    "sla_warning": (_CHECKED,),
    "sla_breached": (_CHECKED, "workflow_tasks_over_sla_total"),
    "sla_critical": (_CHECKED,),
    "escalated": (_CHECKED, "workflow_tasks_escalated_total"),
    "escalation_skipped": (_CHECKED, FAILURES),
    "escalation_ended": (_CHECKED,),
}
# How a request ended, by the kind of its last entry.
_CLAIMS = {"claimed": "claimed", "claim_expired": "unclaimed"}  # what became of an approved action, likewise
_ENDS = {"completed": "completed", "failed": "failed", "withdrawn": "cancelled", "cancelled": "cancelled"}


class MetricTotal(SQLModel, table=True):
    """One series: a counter (`bucket` is empty), or one bucket (its upper bound) or the `sum` of a histogram."""

    __tablename__ = "metric_total"

    name: str = Field(primary_key=True)
    labels: str = Field(primary_key=True)  # a JSON list, in the order of the family's labels
    bucket: str = Field(primary_key=True)
    value: float = Field(sa_type=Float)
    peak: float = Field(sa_type=Float)


Series = tuple[str, Labels, str]
"""Name, labels and bucket of one row."""
Changes = Counter[Series]
"""How much to add to which rows."""
Lost = tuple[int, str, str | None]
"""Number, kind and task of an entry that is in history no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """What a histogram holds: (upper bound, observations up to it) by rising bound, the last `+Inf`; and their sum."""

    buckets: tuple[tuple[str, float], ...]
    sum: float

    @property
    def count(self) -> float:
        """The number of observations."""
        return self.buckets[-1][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The values of all metrics for each combination of labels. Known label values exist at 0."""

    values: Mapping[str, Mapping[Labels, float]]
    histograms: Mapping[str, Mapping[Labels, Histogram]]


def increment(name: str, *labels: str, by: float = 1) -> Changes:
    """Return the change that adds to one counter."""
    return Counter({(name, labels, ""): by})


def observation(name: str, value: float, *labels: str) -> Changes:
    """Return the change that enters one value into a histogram."""
    bounds = BY_NAME[name].buckets
    place = bisect_left(bounds, value)
    bucket = _bound(bounds[place]) if place < len(bounds) else "+Inf"
    return Counter({(name, labels, bucket): 1, (name, labels, "sum"): value})


def changes(recording: Recording, entries: Iterable[Entry], now: datetime, *, lost: Iterable[Lost] = ()) -> Changes:
    """Return what newly stored entries count, minus what they replace: `lost` are the superseded rows."""
    found: Changes = Counter()
    gone = set(lost)
    for _, kind, task_id in gone:
        found.subtract(_of_kind(recording, kind, task_id))
    for entry in entries:
        found.update(_of_kind(recording, entry.kind, entry.task_id))
        if entry.kind == "escalated" and (entry.seq, entry.kind, entry.task_id) not in gone:
            found.update(observation(ESCALATION_SECONDS, late_by(entry.detail, now)))
    return found


def count(connection: Connection, what: Changes) -> None:
    """Add to the stored totals, in the caller's transaction.

    Call it last: all writers share these rows, and PostgreSQL locks them until the transaction ends.
    """
    rows = [
        {"name": name, "labels": _write(labels), "bucket": bucket, "value": float(by), "peak": max(0.0, float(by))}
        for (name, labels, bucket), by in sorted(what.items())  # all writers lock in the same order
        if by
    ]
    if rows:
        _ADD.run_all(connection, rows)


def totals(connection: Connection) -> Totals:
    """Read every metric."""
    rows: dict[str, dict[Labels, dict[str, float]]] = {}
    for name, labels, bucket, peak in connection.execute(_ALL):
        rows.setdefault(name, {}).setdefault(tuple(json.loads(labels)), {})[bucket] = peak
    rows[EXECUTIONS] = _by_type(connection, rows.get(EXECUTIONS, {}))
    kinds: dict[Labels, dict[str, float]] = {(kind, latency): {} for kind, latency in connection.execute(_KINDS)}
    rows |= {name: kinds | rows.get(name, {}) for name in ACTIONS}
    given: dict[Labels, dict[str, float]] = {(name, arm): {} for name in connection.scalars(_SPLIT) for arm in _ARMS}
    rows[CANARY_REQUESTS] = given | rows.get(CANARY_REQUESTS, {})
    open_tasks = open_by_state(connection)
    now = time_of(connection)
    waits: dict[Labels, float] = {
        (channel,): backlog.waited(now).total_seconds() for channel, backlog in backlogs(connection, now).items()
    }
    gauges: dict[str, dict[Labels, float]] = slo_gauges(connection, now) | {
        "workflow_notification_wait_seconds": waits,
        "workflow_log_behind_seconds": {(): behind(connection, now).total_seconds()},
        "workflow_workers_running": {(): presence.running(connection, within=_PRESENT_SECONDS)},
        "workflow_pending_count": {(): sum(open_tasks.values())},
        "workflow_near_sla_breach_count": {(): open_tasks.get("warning", 0)},
    }
    values: dict[str, dict[Labels, float]] = {}
    histograms: dict[str, dict[Labels, Histogram]] = {}
    for family in FAMILIES:
        known: dict[Labels, dict[str, float]] = {labels: {} for labels in family.known}
        stored = known | rows.get(family.name, {})
        if family.kind == "histogram":
            histograms[family.name] = {labels: _histogram(family, parts) for labels, parts in stored.items()}
        else:
            counted = {labels: parts.get("", 0.0) for labels, parts in stored.items()}
            values[family.name] = counted | gauges.get(family.name, {})
    return Totals(values=values, histograms=histograms)


def exact(connection: Connection, name: str) -> dict[Labels, float]:
    """Return the exact counts of a counter, which may be lower than what was shown once."""
    query = select(col(MetricTotal.labels), col(MetricTotal.value)).where(col(MetricTotal.name) == name)
    return {tuple(json.loads(row.labels)): row.value for row in connection.execute(query)}


def open_by_state(connection: Connection) -> dict[str, int]:
    """Count the open tasks by SLA state."""
    return {row.sla_state: row.number for row in connection.execute(_OPEN)}


def _of_kind(recording: Recording, kind: str, task_id: str | None) -> Changes:
    found: Changes = Counter()
    for name in BY_KIND.get(kind, ()):
        found.update(increment(name))
    if kind == "started":
        found.update(increment(STARTED, recording.template))
    if task_id is None and kind in _CLAIMS:  # a task of a queue is claimed too
        found.update(increment(CLAIMS, _CLAIMS[kind]))
    if kind in _ENDS:
        found.update(increment(EXECUTIONS, recording.template_id, _ENDS[kind]))
    return found


def _by_type(connection: Connection, rows: Mapping[Labels, Mapping[str, float]]) -> dict[Labels, dict[str, float]]:
    """Put the type of the process where the rows have the id of the template."""
    ids = sorted({template for template, _ in rows})
    query = select(col(DefinitionVersion.id), col(DefinitionVersion.template_type)).where(
        col(DefinitionVersion.id).in_(ids)
    )
    types = {row.id: row.template_type for row in connection.execute(query)} if ids else {}
    found: dict[Labels, dict[str, float]] = {}
    for (template, status), parts in rows.items():
        series = found.setdefault((types.get(template, "approval"), status), {"": 0.0})
        series[""] += parts[""]
    return found


def _histogram(family: Family, parts: Mapping[str, float]) -> Histogram:
    buckets: list[tuple[str, float]] = []
    below = 0.0
    for bound in (*map(_bound, family.buckets), "+Inf"):
        below += parts.get(bound, 0.0)
        buckets.append((bound, below))
    return Histogram(buckets=tuple(buckets), sum=parts.get("sum", 0.0))


def _bound(bound: float) -> str:
    return repr(float(bound))


def _write(labels: Sequence[str]) -> str:
    return json.dumps(labels, ensure_ascii=False, separators=(",", ":"))


def _adding(dialect: str) -> Any:
    """Build the statement that adds to a row, or makes it."""
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    larger = func.greatest if dialect == "postgresql" else func.max
    table: Table = MetricTotal.__table__  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
    statement = make(table)
    value = table.c.value + statement.excluded.value
    return statement.on_conflict_do_update(
        index_elements=["name", "labels", "bucket"], set_={"value": value, "peak": larger(table.c.peak, value)}
    )


_ADD = Prepared(_adding)
_ALL = select(col(MetricTotal.name), col(MetricTotal.labels), col(MetricTotal.bucket), col(MetricTotal.peak))
_KINDS = select(col(ActionCatalog.executor), col(ActionCatalog.latency_class)).distinct()
_SPLIT = select(col(WorkflowCanary.template)).distinct()
_PRESENT_SECONDS = 10.0  # a worker notes every three that it runs
_ARMS = ("new", "old", "sample")
_OPEN = (
    select(col(ApprovalTask.sla_state), func.count().label("number"))
    .where(col(ApprovalTask.status) == "open")
    .group_by(col(ApprovalTask.sla_state))
)
