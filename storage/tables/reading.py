"""What people keep of their reading: named views of the inbox."""

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
