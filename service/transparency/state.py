"""How the log stands: its newest checkpoint, who has signed that besides, and how far it is behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from placet.transparency.notes import VerifierKey
from service.transparency.verifying import LATE
from storage.queries import log_attestations, receipt_keys
from storage.queries import transparency_log as log
from storage.tables.transparency_log import LogAttestation, LogAttester, LogCheckpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class AttesterState:
    """A witness or an authority of the settings, and the last checkpoint that it has signed; None before the first."""

    state: LogAttester
    signed: LogAttestation | None
    tree_size: int
    current: bool
    """Whether that is the newest checkpoint there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """What there is to say of the log. `checkpoint` and `verifier_key` are None before the first checkpoint.

    `complete_until`: all that was recorded before is under a checkpoint. `dated` has the tree size of the newest
    checkpoint that an authority has dated.
    """

    checkpoint: LogCheckpoint | None
    verifier_key: str | None
    attesters: tuple[AttesterState, ...]
    complete_until: datetime | None
    behind: timedelta
    dated: int | None

    @property
    def late(self) -> bool:
        """Whether it is further behind than it should ever be."""
        return self.behind > LATE


def log_state(connection: Connection, now: datetime) -> LogState:
    """Return how the log stands."""
    newest, progress = log.last_checkpoint(connection), log.progress(connection)
    key = None
    if newest is not None:
        public = {one.id: one.key for one in receipt_keys.listed(connection)}.get(newest.key_id)
        key = None if public is None else str(VerifierKey(name=newest.origin, public=public))
    there = log_attestations.attesters(connection)
    rows = log_attestations.of_checkpoints(connection, sorted({one.checkpoint for one in there}))
    signed = {(one.checkpoint, one.kind, one.name): one for one in rows}
    dated = log_attestations.newest(connection, log_attestations.TIMESTAMP)
    return LogState(
        checkpoint=newest,
        verifier_key=key,
        attesters=tuple(_attester(connection, one, signed, newest) for one in there),
        complete_until=None if progress is None else progress.complete_until,
        behind=log.behind(connection, now),
        dated=None if dated is None else dated.tree_size,
    )


def _attester(
    connection: Connection,
    state: LogAttester,
    signed: Mapping[tuple[int, str, str], LogAttestation],
    newest: LogCheckpoint | None,
) -> AttesterState:
    return AttesterState(
        state=state,
        signed=signed.get((state.checkpoint, state.kind, state.name)),
        tree_size=log.size_at(connection, state.checkpoint),
        current=newest is not None and state.checkpoint == newest.number,
    )
