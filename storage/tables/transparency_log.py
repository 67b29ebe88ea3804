"""The transparency log over the heads of all audit chains, and what others have signed of its checkpoints.

Triggers see to it that all but its progress and the state of attesters is only added to.

docs/trust.md says what the log is for, and what exactly a leaf is.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.tables.columns import moment_column


class LogEntry(SQLModel, table=True):
    """One leaf: an entry of a chain by its number and hash (placet.transparency.leaves). Leaves count from 0."""

    __tablename__ = "log_entry"
    __table_args__ = (UniqueConstraint("chain", "seq", "head"),)

    leaf_index: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    chain: str
    seq: int
    head: str
    logged_at: datetime = moment_column()


class LogNode(SQLModel, table=True):
    """The hash, in hex, of a perfect subtree over two leaves or more (placet.transparency.tree.Node)."""

    __tablename__ = "log_node"

    level: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    node_index: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    hash: str


class LogCheckpoint(SQLModel, table=True):
    """What the log said of itself: the signed note, and what stands in it. Checkpoints count from 1."""

    __tablename__ = "log_checkpoint"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    origin: str
    tree_size: int = Field(index=True)
    root: str  # in hex
    key_id: str  # of receipt_key
    note: str = Field(sa_column=Column(Text, nullable=False))
    made_at: datetime = moment_column()


class LogAttestation(SQLModel, table=True):
    """What somebody else has signed of a checkpoint: a witness with its cosignature, an authority with a timestamp."""

    __tablename__ = "log_attestation"
    __table_args__ = (Index("ix_log_attestation_kind", "kind", "checkpoint"),)

    checkpoint: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})  # its number
    kind: str = Field(primary_key=True)  # cosignature, timestamp
    name: str = Field(primary_key=True)  # of the witness's key; of an authority its address
    verifier: str  # the verifier key of the witness; of an authority the subject of its certificate
    proof: str = Field(sa_column=Column(Text, nullable=False))  # the line of the note; the answer (DER) in base64
    at: datetime = moment_column()  # that the proof says
    stored_at: datetime = moment_column()


class LogAttester(SQLModel, table=True):
    """A witness or an authority of the settings: what it was last asked, and when it is asked again."""

    __tablename__ = "log_attester"

    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    checkpoint: int = 0  # the number of the last one that it has signed
    signed_at: datetime | None = moment_column(nullable=True)
    failures: int = 0  # since then
    failure: str | None = None  # the reason of the last one, since then
    next_at: datetime = moment_column()  # before, nobody asks it


class LogProgress(SQLModel, table=True):
    """The one row of how far the log has come. It can be lost: all is looked through again then."""

    __tablename__ = "log_progress"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    complete_until: datetime = moment_column()  # all that was recorded before is in the log
    swept: str = ""  # the last request that was looked at besides
