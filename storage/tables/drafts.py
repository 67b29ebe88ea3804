"""Drafts of blueprints, which several people may edit, and the revisions that they went through."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from storage.tables.columns import json_column, moment_column

STORED: Final = 1
"""The number of the form that `content` is stored in."""


class BlueprintDraft(SQLModel, table=True):
    """A blueprint that is being written: any JSON object, sound or not, until it is published as a version.

    `template_id` is the version that it was submitted as, and `digest` what that version held when the draft last
    wrote or read it.
    """

    __tablename__ = "blueprint_draft"
    __table_args__ = (Index("ix_blueprint_draft_updated", "updated_at", "id"),)

    id: str = Field(primary_key=True)
    process: str = Field(index=True)
    based_on: str | None = None  # a version of the process
    content: dict[str, Any] = json_column()
    stored_format: int = STORED
    revision: int
    status: str = Field(index=True)  # open, submitted, published, discarded
    authors: list[str] = json_column()  # everyone who has saved, in the order of their first time
    created_by: str
    created_at: datetime = moment_column()
    updated_by: str
    updated_at: datetime = moment_column()
    submitted_by: str | None = None
    submitted_at: datetime | None = moment_column(nullable=True)
    template_id: str | None = None
    digest: str | None = None


class BlueprintDraftRevision(SQLModel, table=True):
    """What a draft held after one act of somebody: by it a save from an older revision is merged.

    `act` is what was done: created, saved, submitted, reopened, published, discarded. `content` is kept of the newest
    revisions only.
    """

    __tablename__ = "blueprint_draft_revision"

    draft_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)  # of the act, from 1
    revision: int
    act: str
    content: dict[str, Any] | None = json_column(nullable=True)
    stored_format: int = STORED
    by: str
    at: datetime = moment_column()
