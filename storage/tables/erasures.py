"""The people who were erased, and what of each is still to be erased."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column

OWN: Final = "own"
"""A request that the person asked for: all of its content goes."""
TAKEN_PART: Final = "taken_part"
"""A request of somebody else that names the person: what they wrote there goes."""
REHEARSAL: Final = "rehearsal"
"""A rehearsal that the person had run: the engine's histories of it go."""


class PersonErasure(SQLModel, table=True):
    """A person who was erased, by the id that stays in audit chains, and how far that has come."""

    __tablename__ = "person_erasure"

    person: str = Field(primary_key=True)
    erased_at: datetime = moment_column()
    erased_by: str  # user:<id>, operator, or system where it was done again after a restore
    mail_digest: str | None = None  # SHA-256 of their mail address in lower case, until nothing is left
    listed_at: datetime | None = moment_column(nullable=True)  # when all requests that name them were listed
    changed_at: datetime = moment_column()  # when something was last erased
    compacted_at: datetime | None = moment_column(nullable=True)  # when freed pages were last overwritten
    completed_at: datetime | None = moment_column(nullable=True)  # when nothing was left


class PersonErasureItem(SQLModel, table=True):
    """One request or rehearsal of which something is still to be erased; the row goes when nothing is left.

    While `rows_at` is null, the database holds it; afterwards, only the engine's history may.
    """

    __tablename__ = "person_erasure_item"

    person: str = Field(primary_key=True)
    name: str = Field(primary_key=True, index=True)  # the request's id; of a rehearsal how its workflow ids begin
    kind: str  # own, taken_part, rehearsal
    rows_at: datetime | None = moment_column(nullable=True)
    reason: str | None = Field(default=None, sa_column=Column(Text, nullable=True))  # why it could not be erased
    tried_at: datetime | None = moment_column(nullable=True)
