"""What reading needs beside the projection: the titles to search in, and what people keep of their own reading.

That is named views of the inbox, how far they have read requests, and what they watch.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ForeignKey, String, UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column


class RequestTitle(SQLModel, table=True):
    """The title of a request as it is searched: folded, so that both databases find the same (decision 34).

    Migration 0032 makes the index of its parts: on SQLite an FTS5 table of trigrams that triggers keep, on PostgreSQL a
    GIN index. The row goes with its request.
    """

    __tablename__ = "request_title"

    number: int | None = Field(default=None, primary_key=True)  # SQLite's index names rows by it
    request_id: str = Field(
        sa_column=Column(String, ForeignKey("approval_request.id", ondelete="CASCADE"), unique=True, nullable=False)
    )
    folded: str  # storage.queries.requests.titles.fold


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
