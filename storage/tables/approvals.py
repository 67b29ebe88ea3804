"""The tables of requests, people and the API. Names of tables and columns are published; all times are aware and UTC.

SQLite (WAL) and PostgreSQL have the same schema. JSON whose bytes matter (the detail of an audit entry) is canonical
text; other JSON uses the database's type.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Text, TextClause, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from storage.tables.columns import json_column, moment_column

_SOMETIMES_AWAY = text("CAST(away AS VARCHAR) != '[]'")
_HELD = text("ended_at IS NOT NULL AND erased_at IS NULL")
_UNCLAIMED = text("status = 'open' AND assignee IS NULL AND queue IS NOT NULL")


def _only(name: str, *columns: str, where: TextClause) -> Index:
    """Return an index of only those rows."""
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


class DefinitionVersion(SQLModel, table=True):
    """One version of a blueprint; immutable once published."""

    __tablename__ = "process_template"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: str = Field(primary_key=True)
    name: str = Field(index=True)
    version: str
    template_type: str
    status: str = Field(index=True)  # draft, published, deprecated
    owner: str | None = None
    digest: str
    blueprint: dict[str, Any] = json_column()
    graph_spec: dict[str, Any] | None = json_column(nullable=True)
    created_by: str
    created_at: datetime = moment_column()
    published_by: str | None = None
    published_at: datetime | None = moment_column(nullable=True)
    certificate: dict[str, Any] | None = json_column(nullable=True)  # what was proven of it when it was published


class ApprovalRequest(SQLModel, table=True):
    """The projection of one request, as `record` last wrote it from the state."""

    __tablename__ = "approval_request"
    __table_args__ = (
        Index("ix_approval_request_started", "started_at", "id"),
        Index("ix_approval_request_asked", "requester", "started_at", "id"),
        Index("ix_approval_request_status", "status", "started_at", "id"),
        Index("ix_approval_request_ended", "status", "ended_at", "id"),
        Index("ix_approval_request_amount", "status", "amount", "id"),
        # The past of a version, which forecasts learn from.
        Index("ix_approval_request_version", "template_id", "ended_at", "id"),
        # What of a process was open in a period, for its costs.
        Index("ix_approval_request_process", "template", "ended_at", "id"),
        # Whose content is not erased yet.
        _only("ix_approval_request_content", "template", "ended_at", "id", where=_HELD),
    )

    id: str = Field(primary_key=True)
    template_id: str
    template: str
    version: str
    title: str
    input: dict[str, Any] = json_column()
    requester: str
    owner: str | None = Field(default=None, index=True)
    status: str
    outcome: str | None = None
    stage: str | None = None
    round: int = 1
    returned: bool = False
    revision: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    content_digest: str | None = None  # None where it ended before digests existed
    seq: int
    head: str
    started_at: datetime = moment_column()
    ended_at: datetime | None = moment_column(nullable=True)
    erased_at: datetime | None = moment_column(nullable=True)  # when its content was erased (storage.retention.erasure)
    # The questions to the requester, oldest first, as the state has them; null without any.
    questions: list[dict[str, Any]] | None = json_column(nullable=True)
    open_questions: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    amount: float | None = (
        None  # rounded, to sort requests by; the input has the exact value (storage.queries.requests.list_fields)
    )
    started_by: str | None = None  # who entered it for the requester, if another
    # The action that it asks to approve (placet.engine.bound_action), and the claim of it once it is approved.
    action: dict[str, Any] | None = json_column(nullable=True)
    action_digest: str | None = None
    claim_status: str | None = None  # open, claimed, expired
    claimed_by: str | None = None
    claimed_at: datetime | None = moment_column(nullable=True)
    claim_key: str | None = None  # the engine's update id of the claim
    # When the workflow task began that wrote this row, by the engine's clock; None where it is of before this was kept.
    workflow_task_at: datetime | None = moment_column(nullable=True)


class ApprovalTask(SQLModel, table=True):
    """The projection of one task; `position` is its place in the request, oldest first."""

    __tablename__ = "approval_task"
    __table_args__ = (
        Index("ix_approval_task_request", "request_id", "position"),
        Index("ix_approval_task_assignee", "assignee", "status", "opened_at", "id"),
        Index("ix_approval_task_queue", "queue", "status"),
        Index("ix_approval_task_sla", "status", "sla_state"),
        # What waits for somebody, in the orders in which it is listed.
        Index("ix_approval_task_assignee_due", "assignee", "status", "due_at", "id"),
        Index("ix_approval_task_assignee_amount", "assignee", "status", "amount", "id"),
        _only("ix_approval_task_queue_opened", "queue", "opened_at", "id", where=_UNCLAIMED),
        _only("ix_approval_task_queue_due", "queue", "due_at", "id", where=_UNCLAIMED),
        _only("ix_approval_task_queue_amount", "queue", "amount", "id", where=_UNCLAIMED),
        # The same of everything, for who sees all; and what somebody has decided.
        Index("ix_approval_task_opened", "status", "opened_at", "id"),
        Index("ix_approval_task_due", "status", "due_at", "id"),
        Index("ix_approval_task_amount", "status", "amount", "id"),
        _only("ix_approval_task_decided", "decided_by", "decided_at", "id", where=text("decided_by IS NOT NULL")),
    )

    id: str = Field(primary_key=True)
    request_id: str
    position: int
    stage: str
    round: int
    assignee: str | None = None
    candidates: list[str] = json_column()
    delegates: list[str] = json_column()
    hand_overs: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # as in the state
    assigned_via: str
    status: str
    opened_at: datetime = moment_column()
    due_at: datetime | None = moment_column(nullable=True)
    sla_state: str
    escalation_level: int = 0
    decision: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = moment_column(nullable=True)
    comment: str | None = None
    form: dict[str, Any] | None = json_column(nullable=True)
    queue: str | None = None  # role:r or group:g, whose current members may claim it
    amount: float | None = None  # the request's as the task was last recorded, to sort tasks by
    on_behalf_of: str | None = None
    undo_until: datetime | None = moment_column(nullable=True)  # while the decision may be undone
    signature: dict[str, Any] | None = json_column(nullable=True)  # of a decision that is signed, as in the state
    revision: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    content_digest: str | None = None  # None where it ended before digests existed


class TaskCandidate(SQLModel, table=True):
    """A candidate of a task beside its assignee: a delegate, or a person who may claim it."""

    __tablename__ = "task_candidate"

    person: str = Field(primary_key=True)
    task_id: str = Field(primary_key=True, index=True)


class Participant(SQLModel, table=True):
    """A person who has or had a task in a request, and so may always see it.

    People who may see it only now (members of a queue, substitutes) are not stored here; see
    storage.queries.requests.visibility.
    """

    __tablename__ = "participant"

    request_id: str = Field(primary_key=True)
    person: str = Field(primary_key=True, index=True)


class AuditEntry(SQLModel, table=True):
    """One entry of a request's audit chain; `detail` is canonical JSON text.

    `salts` are the salts of its sealed values by JSON Pointer, as JSON text; null without sealed values.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_kind", "kind", "at"),)

    request_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    at: datetime = moment_column()
    kind: str
    actor: str
    stage: str | None = None
    task_id: str | None = None
    detail: str = Field(sa_column=Column(Text, nullable=False))
    salts: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    hash: str
    recorded_at: datetime = moment_column()


class AuditSuperseded(SQLModel, table=True):
    """An audit entry that is not in history: it was recorded, and its workflow task was lost."""

    __tablename__ = "audit_superseded"

    id: int | None = Field(default=None, primary_key=True)
    request_id: str = Field(index=True)
    seq: int
    at: datetime = moment_column()
    kind: str
    actor: str
    stage: str | None = None
    task_id: str | None = None
    detail: str = Field(sa_column=Column(Text, nullable=False))
    salts: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    hash: str
    superseded_at: datetime = moment_column()


class Outbox(SQLModel, table=True):
    """A notification to one person, written with the entry it belongs to.

    It is `held` until history is known to hold the entry, then `ready`, then `sent`, `failed`, or `dropped` where it is
    no longer needed (a reminder for a task that was decided meanwhile).
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_status", "status", "next_attempt_at"),
        Index("ix_outbox_request", "request_id", "seq"),
    )

    key: str = Field(primary_key=True)
    request_id: str
    seq: int
    hash: str  # of the entry with that seq
    event: str
    person: str
    task_id: str | None = None
    detail: dict[str, Any] = json_column()
    status: str = "held"
    created_at: datetime = moment_column()
    next_attempt_at: datetime = moment_column()
    attempts: int = 0


class Delivery(SQLModel, table=True):
    """The result of sending one message. The deliveries of a request form their own chain and are in its timeline."""

    __tablename__ = "delivery"
    __table_args__ = (Index("ix_delivery_at", "at"),)

    request_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    at: datetime = moment_column()
    kind: str  # notified, notification_failed
    outbox_key: str = Field(index=True)
    stage: str | None = None
    task_id: str | None = None
    detail: str = Field(sa_column=Column(Text, nullable=False))
    salts: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    hash: str


class StoredPerson(SQLModel, table=True):
    """A person; `access` is what they may do in Placet, `roles` are those of the organisation."""

    __tablename__ = "person"
    __table_args__ = (
        # Queries look for people with absences often, and most people have none.
        Index("ix_person_away", "id", sqlite_where=_SOMETIMES_AWAY, postgresql_where=_SOMETIMES_AWAY),
    )

    id: str = Field(primary_key=True)
    name: str
    email: str | None = None
    manager: str | None = None
    department: str | None = None
    roles: list[str] = json_column()
    groups: list[str] = json_column()
    access: list[str] = json_column()
    away: list[dict[str, Any]] = json_column()
    preferences: dict[str, Any] = json_column()
    active: bool = True
    actor_type: str = Field(default="person", sa_column_kwargs={"server_default": "person"})  # person, service, agent
    external_id: str | None = None  # the person's id at whoever provisions people by SCIM
    principal: str | None = None  # of an agent: the person whom it acts for
    updated_at: datetime = moment_column()


class ApiToken(SQLModel, table=True):
    """An API token, by the SHA-256 of its text. The text is shown once and not stored."""

    __tablename__ = "api_token"

    digest: str = Field(primary_key=True)
    person: str = Field(index=True)
    name: str | None = None  # what its person calls it
    scopes: list[str] | None = json_column(nullable=True)  # None: whatever the person may do
    created_at: datetime = moment_column()
    expires_at: datetime | None = moment_column(nullable=True)
    revoked_at: datetime | None = moment_column(nullable=True)
    last_used_at: datetime | None = moment_column(nullable=True)  # to the minute


class IdempotentCall(SQLModel, table=True):
    """A mutating call with an Idempotency-Key, and its answer once it is known."""

    __tablename__ = "idempotent_call"
    __table_args__ = (Index("ix_idempotent_call_created", "created_at"),)

    principal: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str  # sha256 of method, path and canonical body
    subject: str | None = None  # the id of what the call creates, chosen in advance
    status_code: int | None = None
    answer: dict[str, Any] | None = json_column(nullable=True)
    created_at: datetime = moment_column()


class Refusal(SQLModel, table=True):
    """A refused mutating call: who called what, and why it was refused. The engine keeps no trace of it."""

    __tablename__ = "refusal"
    __table_args__ = (Index("ix_refusal_request", "request_id", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = moment_column()
    principal: str
    request_id: str | None = None
    task_id: str | None = None
    action: str
    status_code: int
    reason: str
