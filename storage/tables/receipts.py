"""What verifies receipts."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column


class ReceiptKey(SQLModel, table=True):
    """A public key that receipts were signed with, in hex. The private key is derived from the secret and not kept.

    The highest `generation` of all is the one that signs (placet.audit.receipts.ReceiptKey).
    """

    __tablename__ = "receipt_key"

    id: str = Field(primary_key=True)
    public_key: str
    since: datetime = moment_column()
    generation: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
