"""Evidence packs: what was ordered, by whom, and what became of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column


class EvidencePack(SQLModel, table=True):
    """One order of evidence. The row stays as a record of who got what; the file goes when it expires.

    `status` is running, ready, failed or expired; `saved` where the command line has written it to a file of its own.
    """

    __tablename__ = "evidence_pack"
    __table_args__ = (Index("ix_evidence_pack_ordered", "ordered_at", "id"),)

    id: str = Field(primary_key=True)
    process: str
    since: datetime = moment_column()
    until: datetime = moment_column()
    sample: int
    seed: str
    with_files: bool
    status: str
    ordered_by: str  # a person's id, or `command line`
    ordered_at: datetime = moment_column()
    finished_at: datetime | None = moment_column(nullable=True)
    expires_at: datetime | None = moment_column(nullable=True)
    held_until: datetime | None = moment_column(nullable=True)  # the end of the lease of the process that makes it
    population: int | None = None
    sampled: int | None = None
    exceptions: int | None = None
    size: int | None = None  # bytes
    sha256: str | None = None
    key_id: str | None = None
    error: str | None = None
