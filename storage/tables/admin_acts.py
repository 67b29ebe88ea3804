"""What is changed outside of requests, by whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel

from storage.tables.columns import json_column, moment_column


class AdminAct(SQLModel, table=True):
    """One administrative act, as one line of the installation's chain (placet.audit.admin_acts); rows are only added.

    `salts` are the salts of what is sealed of `detail`, by JSON Pointer from the detail's parent, as JSON text; null
    without any, or once that was erased.

    `at` may be a little earlier than that of the line before: it is the moment at which the act began.
    """

    __tablename__ = "admin_act"
    __table_args__ = (Index("ix_admin_act_at", "at"),)

    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = moment_column()
    kind: str = Field(index=True)
    actor: str = Field(index=True)  # user:<id>, or operator
    actor_type: str  # person, service, agent, or operator
    way: str  # api, page, command line, scim
    target: str
    outcome: str
    detail: dict[str, Any] = json_column()
    salts: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    hash: str
