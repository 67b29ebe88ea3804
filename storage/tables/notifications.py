"""The tables of notifications: messages by channel, edited templates, and webhook endpoints."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Boolean, Column, Index, String, Text, false
from sqlmodel import Field, SQLModel

from languages.catalogues import SOURCE, Language
from storage.tables.approvals import AuditEntry
from storage.tables.columns import moment_column


class NotificationMessage(SQLModel, table=True):
    """One message: a notification on one channel. The table is the delivery queue.

    `key` is the outbox row's, or `<request>:<seq>:webhook` for an event to an endpoint. While `lease` is set, the row
    belongs to one worker until `next_attempt_at`.
    """

    __tablename__ = "notification_message"
    __table_args__ = (
        Index("ix_notification_message_due", "channel", "status", "next_attempt_at"),
        Index("ix_notification_message_request", "request_id"),
        Index("ix_notification_message_failed", "status", "finished_at"),
    )

    key: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)  # mail, chat, sms, webhook:<endpoint>
    request_id: str
    seq: int
    hash: str  # of the audit entry
    event: str
    person: str | None = None  # None: for an endpoint
    digest: bool = False
    status: str = "pending"  # pending, sent, failed, dropped
    attempts: int = 0
    created_at: datetime = moment_column()  # the start of the attempts; sending again sets it anew
    next_attempt_at: datetime = moment_column()
    lease: str | None = None
    # Whether an attempt without a known result may have sent it.
    in_doubt: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    last_error: str | None = Field(default=None, sa_column=Column(Text))
    finished_at: datetime | None = moment_column(nullable=True)


class NotificationTemplate(SQLModel, table=True):
    """One version of an edited template in one language. The one with status `active` is in force, else the default."""

    __tablename__ = "notification_template"

    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    language: Language = Field(default=SOURCE, sa_column=Column(String, nullable=False, server_default=SOURCE))
    status: str  # active, retired
    subject: str = Field(sa_column=Column(Text, nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    html: str = Field(sa_column=Column(Text, nullable=False))
    note: str | None = None
    created_by: str
    created_at: datetime = moment_column()


class WebhookEndpoint(SQLModel, table=True):
    """An endpoint for signed events. `secret_ref` names the secret, which is not stored."""

    __tablename__ = "webhook_endpoint"

    id: str = Field(primary_key=True)
    url: str
    description: str = ""
    secret_ref: str  # derived:<n>, env:PLACET_WEBHOOK_SECRET_<NAME>, file:<name>
    events: list[str] = Field(default=None, sa_column=Column(JSON, nullable=False))  # kinds; empty: all
    active: bool = True
    problem: str | None = None  # why it was switched off
    seen_at: datetime = moment_column()  # events recorded before are queued
    created_by: str
    created_at: datetime = moment_column()


# Webhooks follow the audit entries in the order in which they were recorded.
RECORDED = Index("ix_audit_entry_recorded", AuditEntry.__table__.c.recorded_at)  # type: ignore[attr-defined]  # SQLModel adds __table__
