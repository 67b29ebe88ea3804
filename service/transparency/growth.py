"""Let the log grow: add the heads of the chains that have moved, and sign a checkpoint over all of it.

Any number of processes may do this, and die at any moment: a leaf is added once, with what it completes, in one
transaction, and a checkpoint is made in another. What is added has been recorded for a while (`SETTLED`): the engine
may still tell an entry of a lost workflow task otherwise, and a leaf is for good.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from placet.errors import InputInvalid
from placet.sentences import sentence
from placet.transparency.notes import VerifierKey
from service.receipts import signing_key
from storage.database import Database
from storage.queries import transparency_log as log
from storage.queries.transparency_log import OVERLAP
from storage.recording.transparency_log import add_checkpoint, append, put_progress
from storage.tables.transparency_log import LogCheckpoint

SETTLED: Final = timedelta(seconds=30)
"""A workflow task that was lost is tried again after ten seconds, and much sooner where its worker has ended."""
BATCH: Final = 500  # leaves of each kind in one transaction
MOST_BATCHES: Final = 40  # in one go; what is left is for the next one
SWEPT: Final = 200  # requests that are looked through besides, in one go


async def grow(
    database: Database, secret: str, now: datetime, *, origin: str | None = None, settled: timedelta = SETTLED
) -> LogCheckpoint | None:
    """Add what has moved until now, and return the checkpoint over it; None where the log is as it was.

    A log keeps the `origin` that it began with; without one it is made of the installation's first key. Raises Conflict
    where the tables of the log contradict its last checkpoint, and InputInvalid for another origin.
    """
    key = await signing_key(database, secret, now)
    last = await database.read(log.last_checkpoint)
    named = _origin(last, origin, first=key.id)
    complete, swept = await _add_moved(database, now, now - settled)
    made = await database.write(add_checkpoint, key, named, now)
    await database.write(put_progress, complete, swept)  # last: what is not under a checkpoint is not done
    return made


async def _add_moved(database: Database, now: datetime, until: datetime) -> tuple[datetime, str]:
    """Add what has moved; returns until when that is all of it, and up to which request it was looked for besides."""
    progress = await database.read(log.progress)
    complete = None if progress is None else progress.complete_until
    swept = "" if progress is None else progress.swept
    # A clock that was ahead for a while leaves a moment that has not come yet. Once is enough to look back: each batch
    # would go through the same entries again, which costs more than all that is new where requests are many.
    since = None if complete is None else min(complete, until) - OVERLAP
    for _ in range(MOST_BATCHES):
        found = await database.read(log.moved, since=since, until=until, most=BATCH)
        await database.write(append, found.leaves, now)
        since = complete = found.until
        if complete == until:
            break
    missed, swept = await database.read(log.missed, after=swept, until=until, most=SWEPT)
    await database.write(append, missed, now)
    return complete or until, swept


def _origin(last: LogCheckpoint | None, given: str | None, *, first: str) -> str:
    """Return the name of the log; raises InputInvalid for one that is none, or is not that of the log."""
    if last is not None:
        if given not in {None, last.origin}:
            raise InputInvalid(
                sentence(
                    "PLACET_LOG_ORIGIN is {given!r}, and the log is called {origin!r} since its first checkpoint. A "
                    "log keeps its name: set it back.",
                    given=given,
                    origin=last.origin,
                )
            )
        return last.origin
    named = given or f"placet/{first}"
    try:
        return VerifierKey(name=named, public=bytes(32)).name
    except ValueError:
        raise InputInvalid(
            sentence("PLACET_LOG_ORIGIN is {given!r}; write a name without spaces and plus signs.", given=named)
        ) from None
