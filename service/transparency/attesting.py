"""Ask others to sign the newest checkpoint: witnesses to cosign it, and an authority to date it.

Any number of processes may do this: whoever claims an attester asks it, and nobody else does meanwhile. One that does
not answer is asked again after a while that grows to an hour; it holds up neither the log nor the others.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection

from activities.http_client.client import CallPolicy, HttpResponse, fetch
from placet.errors import PlacetError
from placet.transparency.notes import LONGEST, Note, read_signatures
from placet.transparency.submission import SIZE_TYPE, read_size, submission
from placet.transparency.timestamps import LARGEST, read_timestamp, timestamp_query
from placet.transparency.tree import consistency_plan
from service.transparency.proofs import hashes_of
from service.transparency.settings import AttesterSettings, Authority, Witness
from storage.database import Database
from storage.queries import log_attestations as stored
from storage.queries import transparency_log as log
from storage.queries.log_attestations import COSIGNATURE, TIMESTAMP
from storage.recording import log_attestations as recording
from storage.tables.transparency_log import LogAttestation, LogAttester, LogCheckpoint

_FIRST_PAUSE: Final = timedelta(seconds=15)  # after a failure; doubled by each further one
_LONGEST_PAUSE: Final = timedelta(hours=1)
_LONGEST_REASON = 500  # characters that are kept
_CALLS = 2  # of one turn: a submission, and another one with the size that the witness has told
_CONFLICT = 409
_OK = 200
# Whoever sets Placet up names these addresses, so they may be private. What comes back is signed, and what is sent is
# public: timestamp authorities are often reached without encryption.
_POLICY = CallPolicy(
    sender="Checkpoints",
    private=True,
    private_setting="",
    loopback=True,
    loopback_setting="",
    plain=True,
    longest=max(LARGEST, LONGEST),
)
_log = structlog.get_logger(__name__)


class NotAttested(PlacetError):
    """Somebody has not signed a checkpoint; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    verifier: str
    proof: str
    at: datetime


async def attest(database: Database, settings: AttesterSettings, clock: Callable[[], datetime]) -> None:
    """Have each attester whose turn it is sign the newest checkpoint, all at the same time; failures are stored."""
    asked: dict[tuple[str, str], Witness | Authority] = {(COSIGNATURE, one.key.name): one for one in settings.witnesses}
    if settings.authority is not None:
        asked[TIMESTAMP, settings.authority.url] = settings.authority

    def read(connection: Connection) -> tuple[LogCheckpoint | None, list[LogAttester]]:
        return log.last_checkpoint(connection), stored.attesters(connection)

    newest, there = await database.read(read)
    if {(one.kind, one.name) for one in there} != asked.keys():
        await database.write(recording.set_up, asked.keys(), clock())
        newest, there = await database.read(read)
    if newest is None:
        return
    turns = []
    for state in there:
        attester = asked.get((state.kind, state.name))  # None: a worker with other settings has set it up
        if attester is not None and state.checkpoint != newest.number and _is_due(state, attester, clock()):
            turns.append(_turn(database, attester, settings.seconds, clock, state, newest))
    await asyncio.gather(*turns)


def _is_due(state: LogAttester, attester: Witness | Authority, now: datetime) -> bool:
    # A clock that was ahead for a while leaves a moment that would not come for long.
    return not now < state.next_at <= now + _LONGEST_PAUSE + _every(attester)


def _every(attester: Witness | Authority) -> timedelta:
    return attester.every if isinstance(attester, Authority) else timedelta()


async def _turn(  # noqa: PLR0917 - who asks whom for what
    database: Database,
    attester: Witness | Authority,
    seconds: float,
    clock: Callable[[], datetime],
    state: LogAttester,
    newest: LogCheckpoint,
) -> None:
    """Ask one attester, within a bound of time, and store what it has signed, or why it has not."""
    longest = seconds * (_CALLS + 1)
    if not await database.write(recording.claim, state, clock() + timedelta(seconds=longest)):
        return
    asking: Awaitable[_Signed]
    if isinstance(attester, Witness):
        asking = _cosignature(database, attester, seconds, state, newest)
    else:
        asking = _timestamp(attester, seconds, newest)
    try:
        made = await asking
    except PlacetError as error:
        pause = min(_FIRST_PAUSE * 2 ** min(state.failures, 10), _LONGEST_PAUSE)
        why = str(error)[:_LONGEST_REASON]
        await database.write(recording.failed, state.kind, state.name, why, clock() + pause)
        _log.warning("checkpoint_not_attested", kind=state.kind, name=state.name, reason=why)
        return
    now = clock()
    row = LogAttestation(
        checkpoint=newest.number,
        kind=state.kind,
        name=state.name,
        verifier=made.verifier,
        proof=made.proof,
        at=made.at,
        stored_at=now,
    )
    await database.write(recording.signed, row, now + _every(attester))


async def _cosignature(
    database: Database, witness: Witness, seconds: float, state: LogAttester, newest: LogCheckpoint
) -> _Signed:
    """Have a witness cosign a checkpoint; raises PlacetError."""

    async def submitted(old: int) -> HttpResponse:
        proof = await database.read(lambda connection: hashes_of(connection, consistency_plan(old, newest.tree_size)))
        return await fetch(
            "POST",
            f"{witness.url}/add-checkpoint",
            headers={"Content-Type": "text/plain; charset=utf-8"},
            content=submission(old, proof, newest.note),
            seconds=seconds,
            policy=_POLICY,
        )

    answer = await submitted(await database.read(log.size_at, state.checkpoint))
    if answer.status == _CONFLICT:
        answer = await submitted(_size_seen(answer, newest))
    if answer.status != _OK:
        raise NotAttested(_refusal(answer))
    try:
        found = witness.key.cosigned(Note.read(newest.note).text, read_signatures(answer.body.decode()))
    except ValueError as error:
        raise NotAttested(f"its answer is no cosignature: {error}") from error
    if found is None:
        raise NotAttested("its answer has no cosignature by the key in PLACET_LOG_WITNESSES")
    return _Signed(verifier=str(witness.key), proof=found.signature.line, at=found.at)


def _size_seen(answer: HttpResponse, newest: LogCheckpoint) -> int:
    """Return how many leaves a witness has seen; raises NotAttested where the log has fewer."""
    says_nothing = "it answered 409, and does not say how many leaves it has seen"
    if answer.content_type.partition(";")[0].strip() != SIZE_TYPE:
        raise NotAttested(f"{says_nothing}: its type is {answer.content_type[:80]!r}")
    try:
        size = read_size(answer.body)
    except ValueError as error:
        raise NotAttested(f"{says_nothing}: {error}") from error
    if size > newest.tree_size:
        raise NotAttested(
            f"it has cosigned a tree of {size} leaves of this log, and the log has {newest.tree_size}: the log has "
            "forgotten leaves, as after a restore of an older database, or somebody else signs in its name"
        )
    return size


_REASONS: Final = {
    403: "it does not know the key of this log: tell its operator the verifier key that the page /log shows",
    404: "it does not know this log: tell its operator the origin and the verifier key that the page /log shows",
    422: "it has seen another log under this name: the proof that this one continues it does not hold for it",
}


def _refusal(answer: HttpResponse) -> str:
    text = answer.body[:200].decode(errors="replace")
    said = "".join(one if one.isprintable() else " " for one in text).strip()
    reason = _REASONS.get(answer.status, "it did not sign")
    return f"{reason} (status {answer.status}{f', {said!r}' if said else ''})"


async def _timestamp(authority: Authority, seconds: float, newest: LogCheckpoint) -> _Signed:
    """Have an authority date the text of a checkpoint; raises PlacetError."""
    text = Note.read(newest.note).text
    query = timestamp_query(text)
    answer = await fetch(
        "POST",
        authority.url,
        headers={"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"},
        content=query.as_bytes(),
        seconds=seconds,
        policy=_POLICY,
    )
    if answer.status != _OK:
        raise NotAttested(_refusal(answer))
    try:
        found = read_timestamp(answer.body, text, authority.certificates, nonce=query.nonce)
    except ValueError as error:
        raise NotAttested(str(error)) from error
    return _Signed(verifier=found.authority, proof=b64encode(answer.body).decode(), at=found.at)
