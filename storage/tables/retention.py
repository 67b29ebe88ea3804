"""How long what is kept: the rules of single processes, what was deleted when, and what could not be erased."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column


class RetentionRule(SQLModel, table=True):
    """How long the content of a process's requests is kept after their end; without a rule, the setting says."""

    __tablename__ = "retention_rule"

    id: str = Field(primary_key=True)  # made of the process's name
    template: str = Field(unique=True)  # that name
    content_days: int | None = None  # None: for good
    set_by: str
    set_at: datetime = moment_column()


class RetentionRun(SQLModel, table=True):
    """What was last deleted of one kind of rows, and how many of that kind in all."""

    __tablename__ = "retention_run"

    kind: str = Field(primary_key=True)  # a name of service.retention.kinds
    ran_at: datetime = moment_column()
    rows: int  # of the last run
    total: int = Field(sa_column=Column(BigInteger, nullable=False))


class KeptContent(SQLModel, table=True):
    """A request whose content is due and could not be erased. It is tried again after some days."""

    __tablename__ = "kept_content"

    request_id: str = Field(primary_key=True)
    template: str
    reason: str = Field(sa_column=Column(Text, nullable=False))
    tried_at: datetime = moment_column()


class ErasedFile(SQLModel, table=True):
    """A file of a request whose content was erased, until it is deleted from the store of files."""

    __tablename__ = "erased_file"

    request_id: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)
    erased_at: datetime = moment_column()
