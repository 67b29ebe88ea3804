"""What people keep of their reading: named views of the inbox, how far they have read requests, and what they watch."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column


class SavedView(SQLModel, table=True):
    """A view of the inbox that a person has named. At most one of a person's views is their `standard`."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("person", "name"),)

    id: str = Field(primary_key=True)
    person: str
    name: str
    query: str  # of the inbox's address, without a page's cursor
    standard: bool = False  # it is shown where the address says nothing
    created_at: datetime = moment_column()


class ReadingMark(SQLModel, table=True):
    """How far a person has read a request: the last entry and revision that they saw, and those of the look before."""

    __tablename__ = "reading_mark"

    request_id: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    seq: int  # of the audit chain
    revision: int
    looked_at: datetime = moment_column()  # when the last look began
    before_seq: int
    before_revision: int
    before_at: datetime = moment_column()


class Watch(SQLModel, table=True):
    """A person who watches a request, and since when. Whether they may see it is asked whenever they read."""

    __tablename__ = "watch"

    person: str = Field(primary_key=True)
    request_id: str = Field(primary_key=True, index=True)
    since: datetime = moment_column()
