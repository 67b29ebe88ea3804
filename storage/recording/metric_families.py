"""The metrics by name: what each counts, its labels, and which label values exist at 0 from the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Labels = tuple[str, ...]

# Seconds. 30 is the threshold of the alert, so it must be one of them.
ESCALATION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
SLO_LABELS = ("workflow_name", "sla", "sla_id")
CONFIDENCE_BUCKETS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

# Seconds: from an action that only computes to one that takes an hour.
ACTION_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric. `known` are the label values that exist from the start, () for a metric without labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    known: tuple[Labels, ...] = ()
    buckets: tuple[float, ...] = ()


def _plain(name: str, kind: Literal["counter", "gauge"], text: str) -> Family:
    return Family(name=name, kind=kind, help=text, known=((),))


FAMILIES: tuple[Family, ...] = (
    _plain(
        "workflow_tasks_checked_total",
        "counter",
        "Due times of tasks at which a timer acted: reminders, warnings, breaches, escalations, ends of escalations.",
    ),
    _plain("workflow_tasks_escalated_total", "counter", "Tasks that escalated by one level."),
    _plain("workflow_tasks_reminded_total", "counter", "Reminders about open tasks."),
    _plain("workflow_tasks_over_sla_total", "counter", "Tasks that passed their deadline undecided."),
    _plain("workflow_tasks_opened_total", "counter", "Tasks that were opened."),
    _plain(
        "workflow_escalation_failures_total",
        "counter",
        "Escalation levels at which nobody could take the task, and notifications that were given up.",
    ),
    Family(
        name="workflow_escalation_duration_seconds",
        kind="histogram",
        help="Time from the moment an escalation was due to the moment it was recorded.",
        known=((),),
        buckets=ESCALATION_BUCKETS,
    ),
    _plain("workflow_pending_count", "gauge", "Tasks that wait for a decision now."),
    _plain(
        "workflow_near_sla_breach_count",
        "gauge",
        "Open tasks inside the warning time before their deadline now.",
    ),
    Family(
        name="workflow_notification_wait_seconds",
        kind="gauge",
        help="How long the oldest notification that could be sent has waited, by its channel.",
        labels=("channel",),
        known=(("planning",), ("mail",), ("chat",), ("sms",), ("webhook",)),
    ),
    _plain(
        "workflow_log_behind_seconds",
        "gauge",
        "How long ago all that was recorded was in the log under a checkpoint; 0 before the first one.",
    ),
    _plain(
        "workflow_workers_running",
        "gauge",
        "Worker processes that carry out approvals and have said so within the last ten seconds.",
    ),
    Family(
        name="workflow_execution_total",
        kind="counter",
        help="Requests that ended, by the type of their process and how they ended.",
        labels=("type", "status"),
        known=(("approval", "completed"), ("approval", "failed"), ("approval", "cancelled")),
    ),
    Family(
        name="workflow_claims_total",
        kind="counter",
        help="Claims of approved actions by result, and approved actions that nobody claimed in time.",
        labels=("result",),
        known=(
            ("claimed",),
            ("unclaimed",),
            ("not_approved",),
            ("digest_mismatch",),
            ("expired",),
            ("already_claimed",),
        ),
    ),
    Family(
        name="workflow_sla_breach_total",
        kind="counter",
        help="Breaches of SLA definitions, by severity.",
        labels=("severity",),
        known=(("warning",), ("critical",)),
    ),
    Family(
        name="workflow_sla_percentage",
        kind="gauge",
        help="Percentage of the executions in the SLO window that met their SLA, 0 to 100; a process's lowest.",
        labels=("workflow_name",),
    ),
    Family(
        name="workflow_started_total",
        kind="counter",
        help="Requests that began, by their process.",
        labels=("workflow_name",),
    ),
    Family(
        name="workflow_slo_executions",
        kind="gauge",
        help="Executions in the window of an SLO that is switched on, by process and SLA.",
        labels=SLO_LABELS,
    ),
    Family(
        name="workflow_slo_breached_executions",
        kind="gauge",
        help="Executions in the window of an SLO that have exceeded its target.",
        labels=SLO_LABELS,
    ),
    Family(
        name="workflow_slo_target_percentage",
        kind="gauge",
        help="Percentage of the executions in its window that have to meet an SLO, 0 to 100.",
        labels=SLO_LABELS,
    ),
    Family(
        name="workflow_simulation_total",
        kind="counter",
        help="Simulations that ended, by how.",
        labels=("status",),
        known=(("completed",), ("failed",)),
    ),
    Family(
        name="workflow_suggestion_total",
        kind="counter",
        help="Suggestions that were made, by what proposed them.",
        labels=("source",),
        known=(("rule",), ("model",), ("llm",), ("person",)),
    ),
    Family(
        name="workflow_suggestion_confidence",
        kind="histogram",
        help="Confidence of the suggestions that were made, 0 to 1.",
        known=((),),
        buckets=CONFIDENCE_BUCKETS,
    ),
    Family(
        name="workflow_canary_total",
        kind="counter",
        help="Canaries that began and that ended: promoted, reverted by a person, or reverted because harm showed.",
        labels=("status",),
        known=(("began",), ("promoted",), ("reverted",), ("harm",)),
    ),
    Family(
        name="workflow_canary_requests_total",
        kind="counter",
        help="Requests that a canary gave a version, by process: the new one, the old one, or the sample for people.",
        labels=("workflow_name", "arm"),
    ),
    Family(
        name="action_execution_total",
        kind="counter",
        help="Catalog actions that were run, by type and latency class.",
        labels=("action_type", "latency_class"),
    ),
    Family(
        name="action_execution_duration_seconds",
        kind="histogram",
        help="How long one attempt of a catalog action took, by type and latency class.",
        labels=("action_type", "latency_class"),
        buckets=ACTION_BUCKETS,
    ),
)

BY_NAME = {family.name: family for family in FAMILIES}
