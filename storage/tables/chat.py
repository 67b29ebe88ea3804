"""The table of chats: which member of a workspace is which person."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column


class ChatLink(SQLModel, table=True):
    """A member of a chat's workspace who is a person here, as an admin has said. One member is one person."""

    __tablename__ = "chat_link"
    __table_args__ = (UniqueConstraint("service", "workspace", "member"), Index("ix_chat_link_linked", "linked_at"))

    id: str = Field(primary_key=True)
    service: str  # slack, teams
    workspace: str  # the team's id in Slack, the tenant's in Teams
    member: str  # the member's id there
    person: str = Field(index=True)
    linked_by: str
    linked_at: datetime = moment_column()
