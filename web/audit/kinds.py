"""What the kinds of entries are called, in the reader's language; files and programs have their names of the chain."""

from __future__ import annotations

from web.views.words import Translate
from web.views.words import marked as _

NAMES = {
    "started": _("Request started"),
    "task_opened": _("Decision asked"),
    "approver_missing": _("Approver missing"),
    "approver_added": _("Approver added"),
    "reminded": _("Reminder"),
    "sla_warning": _("Due soon"),
    "sla_breached": _("Overdue"),
    "sla_critical": _("Critically overdue"),
    "escalated": _("Escalation"),
    "escalation_skipped": _("Escalation level skipped"),
    "escalation_ended": _("End of the escalation"),
    "reassigned": _("Task reassigned"),
    "delegated": _("Task delegated"),
    "claimed": _("Task or action claimed"),
    "claim_refused": _("Claim of an action refused"),
    "claim_expired": _("Action can no longer be claimed"),
    "released": _("Task put back into its queue"),
    "decided": _("Decision"),
    "decision_undone": _("Decision undone"),
    "decision_stands": _("Decision stands"),
    "attached": _("File added"),
    "changes_requested": _("Changes requested"),
    "resubmitted": _("Request sent in again"),
    "task_closed": _("Task no longer needed"),
    "stage_settled": _("Result of a stage"),
    "informed": _("People told"),
    "routed": _("Way chosen"),
    "migrated": _("Moved to another version"),
    "question_asked": _("Question asked"),
    "question_answered": _("Question answered"),
    "commented": _("Comment"),
    "extended": _("Deadline extended"),
    "forked": _("Branches begun"),
    "joined": _("Branches brought together"),
    "branch_ended": _("Branch broken off"),
    "waiting": _("Wait begun"),
    "waited": _("Wait ended"),
    "event_received": _("Event from outside"),
    "action_started": _("Action begun"),
    "action_run": _("Action done"),
    "action_failed": _("Action failed"),
    "action_ignored": _("Result of an action no longer needed"),
    "action_kept": _("Earlier result of an action used"),
    "child_started": _("Sub-process begun"),
    "child_ended": _("Sub-process ended"),
    "child_failed": _("Sub-process failed"),
    "child_kept": _("Earlier result of a sub-process used"),
    "signal_refused": _("Signal refused"),
    "taken_back": _("Taken back"),
    "withdrawn": _("Request withdrawn"),
    "cancelled": _("Request cancelled"),
    "completed": _("Request completed"),
    "failed": _("Request failed"),
    # Of the chain of deliveries:
    "notified": _("Message sent"),
    "notification_failed": _("Message not delivered"),
}


def name_of(say: Translate, kind: str) -> str:
    """Return what a kind is called; one that is not known, as rows that were edited may have, by its own name."""
    return say(NAMES[kind]) if kind in NAMES else kind
