"""What becomes of each stored table, and of each of its columns, when a person is erased.

Every table has a line in GONE or EMPTIED, or a reason in BY_REQUEST, BY_ITSELF or STAYS; a test holds that against the
schema. What stays of a person is the id, by which audit chains say who did what and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table
from sqlmodel import SQLModel

from storage.retention.erasure import TITLE
from storage.tables.approvals import ApiToken, IdempotentCall, Outbox, Refusal
from storage.tables.canaries import WorkflowCanary
from storage.tables.chat import ChatLink
from storage.tables.evidence import EvidencePack
from storage.tables.identity import BrowserSession, LoginCode, Passkey, PasskeyChallenge, StepUp
from storage.tables.notifications import NotificationMessage, NotificationTemplate
from storage.tables.reading import ReadingMark, SavedView, Watch
from storage.tables.slas import SlaBreach
from storage.tables.suggestions import WorkflowSuggestion

NOBODY: Final[Mapping[str, Any]] = {
    "name": TITLE,
    "email": None,
    "manager": None,
    "department": None,
    "roles": [],
    "groups": [],
    "access": [],
    "away": [],
    "preferences": {},
    "active": False,
    "external_id": None,
    "principal": None,
}
"""What is stored of a person who was erased, beside the id, what kind of actor it is, and when that was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsOf:
    """Rows of a table in which a column names the person, as an id or as `user:ID`.

    Without `emptied` they are deleted; else these columns get these values, and the others stay.
    """

    model: type[SQLModel]
    named: str
    emptied: Mapping[str, Any] | None = None

    @property
    def table(self) -> Table:
        """The table itself."""
        table: Table = self.model.__table__  # type: ignore[attr-defined]  # SQLModel adds it with table=True
        return table


GONE: Final = (
    RowsOf(model=BrowserSession, named="person"),
    RowsOf(model=ApiToken, named="person"),
    RowsOf(model=LoginCode, named="person"),
    RowsOf(model=Passkey, named="person"),
    RowsOf(model=PasskeyChallenge, named="person"),
    RowsOf(model=StepUp, named="person"),
    RowsOf(model=ChatLink, named="person"),
    RowsOf(model=SavedView, named="person"),
    RowsOf(model=ReadingMark, named="person"),
    RowsOf(model=Watch, named="person"),
    RowsOf(model=IdempotentCall, named="principal"),
    RowsOf(model=Refusal, named="principal"),
)
"""Rows that are the person's alone."""

EMPTIED: Final = (
    RowsOf(model=NotificationMessage, named="person", emptied={"last_error": None}),
    RowsOf(model=Outbox, named="person", emptied={"detail": {}}),
    RowsOf(model=WorkflowSuggestion, named="created_by", emptied={"title": TITLE, "description": "", "words": None}),
    RowsOf(model=WorkflowSuggestion, named="reviewed_by", emptied={"review_notes": None}),
    RowsOf(model=WorkflowCanary, named="began_by", emptied={"notes": None}),
    RowsOf(model=WorkflowCanary, named="ended_by", emptied={"end_notes": None}),
    RowsOf(model=SlaBreach, named="acknowledged_by", emptied={"notes": None}),
    RowsOf(model=NotificationTemplate, named="created_by", emptied={"note": None}),
    RowsOf(model=EvidencePack, named="ordered_by", emptied={"seed": TITLE}),
)
"""Rows that others need as well, without what the person wrote."""

BY_REQUEST: Final[Mapping[str, str]] = {
    "approval_request": "title, input, action and digests of the person's own; their questions in those of others",
    "approval_task": "comments, forms and signatures of the person's own requests, and where they decided",
    "audit_entry": "sealed values, with their salts: all of the person's own, theirs in those of others",
    "audit_superseded": "as audit_entry",
    "delivery": "what was answered to messages, sealed: of the person's own requests, and of messages to them",
    "request_title": "the titles of the person's own requests, with the index of their parts",
}
"""Tables that hold contents of requests, and what of them goes (storage.retention.person_texts)."""

BY_ITSELF: Final[Mapping[str, str]] = {
    "admin_act": "roles, groups and manager in acts on the person, which are sealed; ids, codes and counts stay",
    "person": "everything but the id, the kind of actor and the moment",
    "blueprint_draft": "drafts that nobody else has written in and that are not published",
    "blueprint_draft_revision": "with their draft",
    "request_draft_file": "files of forms that were not sent in, with their rows",
    "workflow_simulation": "those that the person ran, and those of one of their requests",
    "workflow_simulation_row": "with their simulation, and those of the person's own requests",
    "erased_file": "the files that are to be deleted from the store; a row goes with its file",
    "person_erasure": "the record of the erasure: the id, when, by whom, and how far it has come",
    "person_erasure_item": "what is still to be erased; a row goes when nothing is left",
}
"""Tables with a step of their own (storage.retention.person_rows)."""

_ORGANISATION = "what the organisation runs by, whoever wrote it; who that was stays as an id"
_NO_TEXT = "ids, codes, moments and numbers"
STAYS: Final[Mapping[str, str]] = {
    "action_catalog": _ORGANISATION,
    "participant": _NO_TEXT,
    "task_candidate": _NO_TEXT,
    "process_template": _ORGANISATION,
    "webhook_endpoint": _ORGANISATION,
    "workflow_sla": _ORGANISATION,
    "retention_rule": _NO_TEXT,
    "departure": "that open tasks are to be given to others, by the id; it goes when that is done",
    "event_log": "what was imported from another system, whose people nobody here can tell apart: delete it by itself",
    "event_log_part": "as event_log",
    "action_execution": _NO_TEXT,
    "canary_request": _NO_TEXT,
    "directory_group": "names of groups",
    "kept_content": _NO_TEXT,
    "log_checkpoint": "hashes",
    "log_entry": "hashes",
    "log_attestation": "signatures of hashes",
    "log_attester": "witnesses and authorities of the settings",
    "log_node": "hashes",
    "log_progress": _NO_TEXT,
    "metric_total": _NO_TEXT,
    "nightly_run": _NO_TEXT,
    "rate_count": "counters by digests, which end within a day",
    "receipt_key": "public keys of the installation",
    "retention_run": _NO_TEXT,
    "sla_execution": _NO_TEXT,
    "worker_presence": _NO_TEXT,
}
"""Tables of which nothing goes, and why."""

COLUMNS_THAT_STAY: Final[Mapping[str, str]] = {
    "notification_message": "key channel request_id seq hash event person digest status attempts created_at "
    "next_attempt_at lease in_doubt finished_at",
    "outbox": "key request_id seq hash event person task_id status created_at next_attempt_at attempts",
    "workflow_suggestion": "id template version suggestion_type source subject subject_id patch blueprint confidence "
    "score supporting_data findings backtest stored_format status created_by created_at updated_at reviewed_by "
    "reviewed_at draft_id",
    "workflow_canary": "id template owner version version_id baseline baseline_id share people_sample horizon_seconds "
    "alpha sla_id duration_margin_seconds outcome_margin sla_margin cost_margin most_cost prices status began_by "
    "began_at ended_by ended_at harm figures compared_at stored_format",
    "sla_breach": "id sla_id sla_name template request_id visit task_id stage severity target_duration_seconds "
    "threshold_seconds actual_duration_seconds breached_at recorded_at owner acknowledged_by acknowledged_at reminders "
    "remind_at",
    "notification_template": "name version language status subject text html created_by created_at",
    "evidence_pack": "id process since until sample with_files status ordered_by ordered_at finished_at expires_at "
    "held_until population sampled exceptions size sha256 key_id error",
    "person": "id actor_type updated_at",
    "approval_request": "id template_id template version requester owner status outcome stage round returned revision "
    "seq head started_at ended_at erased_at open_questions amount started_by claim_status claimed_by claimed_at "
    "claim_key workflow_task_at",
    "approval_task": "id request_id position stage round assignee candidates delegates hand_overs assigned_via status "
    "opened_at due_at sla_state escalation_level decision decided_by decided_at queue amount on_behalf_of undo_until "
    "revision",
    "audit_entry": "request_id seq at kind actor stage task_id hash recorded_at",
    "audit_superseded": "id request_id seq at kind actor stage task_id hash superseded_at",
    "delivery": "request_id seq at kind outbox_key stage task_id hash",
    "request_title": "number request_id",
}
"""The columns that stay of tables of which something goes: ids, codes, moments, numbers, and the organisation's own."""

COLUMNS_OF_CONTENT: Final[Mapping[str, str]] = {
    "approval_request": "title input content_digest questions action action_digest",
    "approval_task": "comment form signature content_digest",
    "audit_entry": "detail salts",
    "audit_superseded": "detail salts",
    "delivery": "detail salts",
    "request_title": "folded",
}
"""The columns of which something goes with the contents of requests."""
