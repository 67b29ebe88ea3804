"""Files that were chosen for requests that have not been sent in yet."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column


class DraftFile(SQLModel, table=True):
    """A file that somebody has uploaded for a request of theirs before they send it in.

    The form has a key, by which it counts once; `request_id` is made of the key and the person, and is the id that the
    request will have. The file is in the store of attachments under it from the beginning, so that nothing has to be
    moved when the request begins. A file that was `dropped` is no part of the form any more, and is deleted later.
    """

    __tablename__ = "request_draft_file"
    __table_args__ = (
        Index("ix_request_draft_file_request", "request_id"),
        Index("ix_request_draft_file_person", "person", "template"),
        Index("ix_request_draft_file_touched", "dropped", "touched_at"),
    )

    id: str = Field(primary_key=True)
    request_id: str
    person: str
    template: str  # the name of the process
    form_key: str
    name: str
    media_type: str
    size: int = Field(sa_column=Column(BigInteger, nullable=False))  # bytes
    sha256: str
    uploaded_at: datetime = moment_column()
    touched_at: datetime = moment_column()  # when it was last uploaded, sent in or dropped; its time counts from it
    dropped: bool = False
