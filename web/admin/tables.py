"""Which stored tables the pages for admins show, and what of each.

Everything here is read only, except for what `editable` names: fields that no history, no running request and no other
rule depends on. `hidden` columns are not even read: they are secrets, or what a secret could be guessed by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table
from sqlmodel import SQLModel

from storage.queries.people.departures import Departure
from storage.queries.presence import WorkerPresence
from storage.recording.metrics import MetricTotal
from storage.tables.actions import ActionCatalog, ActionExecution
from storage.tables.admin_acts import AdminAct
from storage.tables.approvals import (
    ApiToken,
    ApprovalRequest,
    ApprovalTask,
    AuditEntry,
    AuditSuperseded,
    DefinitionVersion,
    Delivery,
    IdempotentCall,
    Outbox,
    Participant,
    Refusal,
    StoredPerson,
    TaskCandidate,
)
from storage.tables.canaries import CanaryRequest, WorkflowCanary
from storage.tables.chat import ChatLink
from storage.tables.drafts import BlueprintDraft, BlueprintDraftRevision
from storage.tables.erasures import PersonErasure, PersonErasureItem
from storage.tables.event_logs import EventLog, EventLogPart
from storage.tables.evidence import EvidencePack
from storage.tables.identity import BrowserSession, DirectoryGroup, LoginCode, Passkey, RateCount, StepUp
from storage.tables.notifications import NotificationMessage, NotificationTemplate, WebhookEndpoint
from storage.tables.reading import ReadingMark, SavedView, Watch
from storage.tables.receipts import ReceiptKey
from storage.tables.request_drafts import DraftFile
from storage.tables.retention import ErasedFile, KeptContent, RetentionRule, RetentionRun
from storage.tables.simulations import WorkflowSimulation, WorkflowSimulationRow
from storage.tables.slas import SlaBreach, SlaExecution, WorkflowSla
from storage.tables.suggestions import NightlyRun, WorkflowSuggestion
from storage.tables.transparency_log import LogAttestation, LogAttester, LogCheckpoint, LogEntry, LogNode, LogProgress
from web.views.words import marked as _


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTable:
    """One table: what it is called, and what is shown of it.

    A list shows the `listed` columns, the latest of `newest` first where that is set. `few` are columns to search in
    beside those that storage.queries.table_rows finds itself. A row whose key is a secret has no page of its own.
    """

    model: type[SQLModel]
    title: str
    listed: tuple[str, ...]
    newest: str | None = None
    few: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    editable: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        """The table itself."""
        table: Table = self.model.__table__  # type: ignore[attr-defined]  # SQLModel adds it with table=True
        return table

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns of a row's own page."""
        return tuple(column.name for column in self.table.columns if column.name not in self.hidden)

    @property
    def has_pages(self) -> bool:
        """Whether each row has a page, whose address holds its key."""
        return not any(column.name in self.hidden for column in self.table.primary_key)


def _table(model: type[SQLModel], title: str, listed: str, *, hidden: Iterable[str] = (), **more: Any) -> StoredTable:
    return StoredTable(model=model, title=title, listed=tuple(listed.split()), hidden=frozenset(hidden), **more)


TABLES: Final[dict[str, tuple[StoredTable, ...]]] = {
    _("Requests"): (
        _table(
            ApprovalRequest,
            _("Requests"),
            "title status outcome stage requester started_at",
            newest="started_at",
            few=("template_id", "owner"),
        ),
        _table(ApprovalTask, _("Tasks"), "request_id stage status assignee sla_state opened_at", few=("request_id",)),
        _table(TaskCandidate, _("People who may have a task"), "task_id person", few=("task_id",)),
        _table(Participant, _("People with a part in a request"), "request_id person", few=("person",)),
        _table(Watch, _("People who watch a request"), "request_id person since", few=("request_id",)),
        _table(
            DraftFile,
            _("Files of requests that are not sent yet"),
            "name person template size uploaded_at dropped",
            few=("request_id", "person"),
            hidden=("form_key",),
        ),
        _table(ReadingMark, _("How far people have read"), "request_id person seq revision looked_at"),
    ),
    _("On record"): (
        _table(
            AuditEntry,
            _("Audit entries"),
            "request_id seq kind actor at",
            newest="recorded_at",
            hidden=("salts",),
        ),
        _table(
            AuditSuperseded,
            _("Entries that are not in history"),
            "request_id seq kind actor at superseded_at",
            few=("request_id",),
            hidden=("salts",),
        ),
        _table(
            Delivery,
            _("Deliveries of messages"),
            "request_id seq kind at outbox_key",
            few=("outbox_key",),
            hidden=("salts",),
        ),
        _table(
            AdminAct,
            _("Administrative acts"),
            "seq at kind actor target outcome",
            newest="at",
            hidden=("salts",),
        ),
        _table(LogEntry, _("Leaves of the log"), "leaf_index chain seq head logged_at"),
        _table(LogNode, _("Hashes of the log's tree"), "level node_index hash"),
        _table(LogCheckpoint, _("Checkpoints of the log"), "number tree_size key_id made_at"),
        _table(LogAttestation, _("Witnesses and timestamps of checkpoints"), "checkpoint kind name at"),
        _table(LogAttester, _("Who witnesses and timestamps"), "kind name checkpoint signed_at failures"),
        _table(LogProgress, _("How far the log has come"), "id complete_until swept"),
        _table(Refusal, _("Refused calls"), "at principal action status_code reason request_id", few=("request_id",)),
        _table(
            IdempotentCall,
            _("Calls that count once"),
            "principal subject status_code created_at",
            newest="created_at",
            hidden=("key", "fingerprint", "answer"),
        ),
        _table(
            EvidencePack,
            _("Evidence packs"),
            "process status since until ordered_by ordered_at",
            newest="ordered_at",
        ),
        _table(ReceiptKey, _("Public keys of receipts"), "id generation since"),
        _table(
            StepUp,
            _("Decisions that wait for a signature"),
            "person request_id decision begun_at expires_at done_at",
            few=("request_id",),
            hidden=("id",),
        ),
    ),
    _("Processes and actions"): (
        _table(
            DefinitionVersion,
            _("Versions of processes"),
            "name version status owner created_by created_at",
            few=("name", "status"),
        ),
        _table(
            BlueprintDraft,
            _("Drafts"),
            "process status revision updated_by updated_at",
            newest="updated_at",
            few=("process", "status"),
        ),
        _table(BlueprintDraftRevision, _("Revisions of drafts"), "draft_id number act by at"),
        _table(
            ActionCatalog,
            _("Action catalog"),
            "name executor enabled latency_class cost updated_at",
            editable=("description", "enabled"),
        ),
        _table(
            ActionExecution,
            _("Executions of actions"),
            "action started_at duration ok error request_id",
            newest="started_at",
            few=("request_id",),
        ),
    ),
    _("Suggestions"): (
        _table(
            WorkflowSuggestion,
            _("Suggestions"),
            "template title source status confidence created_at",
            newest="created_at",
            few=("template", "status"),
        ),
    ),
    _("Event logs"): (
        _table(
            EventLog,
            _("Event logs of other systems"),
            "name status cases events created_by created_at",
            newest="created_at",
        ),
        _table(
            EventLogPart,
            _("Cases of event logs"),
            "log_id position cases events",
            hidden=("content",),
        ),
    ),
    _("Simulations"): (
        _table(
            WorkflowSimulation,
            _("Simulations"),
            "template version mode status created_by created_at",
            newest="created_at",
            few=("created_by",),
        ),
        _table(WorkflowSimulationRow, _("Rows of backtests and shadows"), "simulation_id position request_id changed"),
    ),
    _("Canaries"): (
        _table(
            WorkflowCanary,
            _("Canaries"),
            "template version baseline share status began_at",
            newest="began_at",
            few=("template",),
        ),
        _table(
            CanaryRequest,
            _("Requests of canaries"),
            "canary_id request_id arm assigned_at measured_at",
            few=("request_id", "canary_id"),
        ),
    ),
    _("Service levels"): (
        _table(
            WorkflowSla,
            _("SLAs"),
            "name template stage target_duration_seconds slo_target_percentage enabled",
            newest="created_at",
        ),
        _table(
            SlaBreach,
            _("Breaches of SLAs"),
            "sla_name severity request_id stage breached_at acknowledged_by",
            newest="breached_at",
            few=("request_id", "sla_id"),
        ),
        _table(
            SlaExecution,
            _("Executions that SLAs judge"),
            "sla_id request_id visit began_at actual_seconds breached",
            few=("request_id", "sla_id"),
        ),
    ),
    _("Notifications"): (
        _table(Outbox, _("Notices"), "request_id seq event person status created_at", few=("request_id",)),
        _table(
            NotificationMessage,
            _("Messages"),
            "channel event person status attempts request_id",
            few=("request_id",),
            hidden=("lease",),
        ),
        _table(NotificationTemplate, _("Texts of messages"), "name version status created_by created_at"),
        _table(WebhookEndpoint, _("Webhooks"), "url description active problem created_by", hidden=("secret_ref",)),
    ),
    _("People and access"): (
        _table(StoredPerson, _("People"), "id name manager department access active"),
        _table(DirectoryGroup, _("Groups"), "name external_id updated_at"),
        _table(Departure, _("People who have left or are away"), "person left_at look_at"),
        _table(SavedView, _("Saved views"), "person name query standard"),
        _table(
            ApiToken,
            _("Tokens"),
            "person name scopes created_at expires_at revoked_at",
            few=("person",),
            hidden=("digest",),
        ),
        _table(
            BrowserSession,
            _("Sessions"),
            "person method user_agent seen_at expires_at",
            few=("person",),
            hidden=(
                "digest",
                "csrf_token",
                "token_digest",
                "id_token",
                "provider_subject",
                "provider_session",
            ),
        ),
        _table(LoginCode, _("One-time addresses"), "person created_at expires_at used_at", hidden=("digest",)),
        _table(
            Passkey,
            _("Passkeys"),
            "person name sign_count created_at last_used_at",
            few=("person",),
            hidden=("id", "public_key"),
        ),
        _table(
            ChatLink,
            _("Members of chats"),
            "service workspace member person linked_by linked_at",
            newest="linked_at",
            few=("person",),
        ),
        _table(RateCount, _("Counters of rate limits"), "key count expires_at"),
    ),
    _("Retention"): (
        _table(RetentionRule, _("Rules of retention"), "template content_days set_by set_at"),
        _table(RetentionRun, _("Runs of retention"), "kind ran_at rows total"),
        _table(KeptContent, _("Contents that could not be erased"), "request_id template reason tried_at"),
        _table(ErasedFile, _("Files that are about to be deleted"), "request_id sha256 erased_at"),
        _table(
            PersonErasure,
            _("People who were erased"),
            "person erased_at erased_by completed_at",
            hidden=("mail_digest",),
        ),
        _table(PersonErasureItem, _("What of them is still to be erased"), "person name kind rows_at reason tried_at"),
    ),
    _("What runs"): (
        _table(WorkerPresence, _("Workers"), "identity task_queue seen_at"),
        _table(NightlyRun, _("Nightly runs"), "name ran_on"),
        _table(MetricTotal, _("Metrics"), "name labels bucket value peak"),
    ),
}
"""The tables under the headings that they are listed by."""

NOT_SHOWN: Final = {
    "request_title": "the titles of requests again, as they are searched",
    "passkey_challenge": "random numbers that have to be answered within minutes",
}
"""The tables that have no page, and why."""
