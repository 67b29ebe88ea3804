"""The tables of suggestions: changes of processes that their past or a person proposes, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from storage.tables.columns import json_column, moment_column

STORED: Final = 2
"""The number of the form that the JSON of a suggestion is stored in (service.suggestions.stored_format)."""
_PENDING = text("status = 'pending'")
_REVIEWED = text("reviewed_at IS NOT NULL")


class WorkflowSuggestion(SQLModel, table=True):
    """One suggestion: a JSON Patch on one published version, with its evidence, its proofs and its backtest.

    `subject` names what is to change, and `subject_id` is its digest: of one subject, one suggestion is pending at a
    time. `words` holds what title and description are made of, so that they can be said in another language.
    """

    __tablename__ = "workflow_suggestion"
    __table_args__ = (
        Index("ix_workflow_suggestion_created", "created_at", "id"),
        Index("ix_workflow_suggestion_status", "status", "created_at", "id"),
        Index("ix_workflow_suggestion_template", "template", "created_at", "id"),
        Index(
            "ix_workflow_suggestion_reviewed",
            "reviewed_at",
            "id",
            sqlite_where=_REVIEWED,
            postgresql_where=_REVIEWED,
        ),
        Index("ix_workflow_suggestion_subject", "template", "subject_id", "created_at", "id"),
        Index(
            "ix_workflow_suggestion_pending",
            "template",
            "subject_id",
            unique=True,
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
    )

    id: str = Field(primary_key=True)
    template: str
    version: str  # that the patch applies to
    suggestion_type: str
    source: str  # rule, model, llm, person
    subject: list[str] = json_column()
    subject_id: str
    title: str
    description: str
    words: dict[str, Any] | None = json_column(nullable=True)
    patch: list[dict[str, Any]] = json_column()
    blueprint: dict[str, Any] = json_column()  # with the patch applied
    confidence: float
    score: dict[str, Any] | None = json_column(nullable=True)  # how likely it is accepted here, where a model says so
    supporting_data: dict[str, Any] = json_column()
    findings: list[dict[str, Any]] = json_column()
    backtest: dict[str, Any] | None = json_column(nullable=True)  # without requests; None where none could be made
    stored_format: int = STORED
    status: str = "pending"  # pending, accepted, rejected
    created_by: str | None = None  # a person's id; None for what the past of the process suggests
    created_at: datetime = moment_column()
    updated_at: datetime = moment_column()  # when its evidence was last counted
    review_notes: str | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = moment_column(nullable=True)
    draft_id: str | None = None  # the version of the process that accepting it made


class NightlyRun(SQLModel, table=True):
    """The last day (UTC) on which something was done that is done once a night, by whichever process comes first.

    Until `lease_until`, a process is at it; a process that dies leaves the night to another one from then on.
    """

    __tablename__ = "nightly_run"

    name: str = Field(primary_key=True)
    ran_on: str  # ISO 8601
    lease_until: datetime | None = moment_column(nullable=True)
