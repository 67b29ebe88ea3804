"""One channel's way out: take what is due, write it, send it, note how it went; other channels never wait for it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from activities.notifications.channels.channel import NotDelivered
from activities.notifications.delivery.retry import Backoff, CircuitBreaker
from activities.notifications.settings import NotifySettings
from placet.errors import Unavailable
from storage.database import Database
from storage.queries.notifications import delivery_queue
from storage.queries.notifications.delivery_queue import AttemptResult
from storage.recording.group_commit import GroupCommit
from storage.tables.notifications import NotificationMessage

log = logging.getLogger(__name__)

# Taken at once, for each message that is sent at the same time: enough that the channel never waits for the database.
AHEAD = 4
MOST_EXPIRED = 100
DATABASE_AGAIN = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """What the delivery entry says of a message that left. It holds ids only: the chain cannot forget a person."""

    detail: dict[str, object]
    not_needed: frozenset[str] = frozenset()
    """Keys of the messages that a digest left out, since their people need not hear of them any more."""


class NoLongerNeeded(Exception):
    """The message need not leave any more."""


class NotInHistory(Exception):
    """The message is about an entry that history does not hold."""


class Sender(Protocol):
    """Writes and sends the messages of one channel."""

    @property
    def concurrency(self) -> int:
        """How many are sent at once."""
        ...

    @property
    def records_sent(self) -> bool:
        """Whether what was sent is entered into the request's deliveries, and not only what failed."""
        ...

    @property
    def timeout(self) -> float:
        """How long one message takes at most, in seconds."""
        ...

    async def load(self, messages: Sequence[NotificationMessage]) -> None:
        """Read what these messages need, together."""
        ...

    async def send(self, messages: Sequence[NotificationMessage]) -> SendResult:
        """Send one message, or several as one digest; raises NotDelivered, Pointless or Lost."""
        ...


class ChannelDelivery:
    """Empty one channel's queue, for ever."""

    def __init__(
        self,
        name: str,
        sender: Sender,
        database: Database,
        commits: GroupCommit[AttemptResult],
        settings: NotifySettings,
    ) -> None:
        self.name = name
        self._sender = sender
        self._database = database
        self._commits = commits
        self._settings = settings
        self._backoff = Backoff(
            first=timedelta(seconds=settings.notify_retry_first), most=timedelta(seconds=settings.notify_retry_most)
        )
        # A channel that is down is looked at more often than one message is repeated.
        self._breaker = CircuitBreaker(
            Backoff(first=self._backoff.first, most=min(self._backoff.most, timedelta(minutes=1)))
        )

    @property
    def down(self) -> bool:
        """Whether the channel is known not to work at the moment."""
        return self._breaker.open_until is not None

    async def step(self) -> bool:
        """Send what is due; returns whether there may be more at once."""
        allowed = self._breaker.allows(time.monotonic())
        if allowed == 0:
            return await self._give_up_old()
        now = datetime.now(UTC)
        async with self._database.session() as session:
            if not await delivery_queue.due(session, self.name, now):
                return False
        limit = self._sender.concurrency * AHEAD if allowed is None else allowed
        lease = self._settings.lease
        digest, singles = await self._database.run(_take, self.name, now, limit=limit, lease=lease)
        batches = [[message] for message in singles]
        if digest:
            batches.append(digest)
        if not batches:
            return False
        await self._sender.load([message for batch in batches for message in batch])
        latest = time.monotonic() + max(0.0, lease.total_seconds() - self._sender.timeout)
        room = asyncio.Semaphore(self._sender.concurrency)
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(self._attempt(batch, room, latest))
        return True

    async def _attempt(self, batch: list[NotificationMessage], room: asyncio.Semaphore, latest: float) -> None:
        async with room:
            # What waited so long that its lease might end while it is sent is left for the next round, and so is
            # what is behind others that found the channel down.
            if time.monotonic() > latest or self._breaker.allows(time.monotonic()) == 0:
                await self._put_back(batch)
                return
            try:
                sent = await self._sender.send(batch)
            except NoLongerNeeded:
                self._breaker.succeeded()
                await self._finish(batch, status="dropped")
            except NotInHistory:
                await self._database.run(_delete, batch)
            except NotDelivered as error:
                await self._not_delivered(batch, error)
            except Exception:
                log.exception("a notice could not be written; it will be tried again")
                await self._not_delivered(batch, NotDelivered("the notice could not be written: see the log"))
            else:
                self._breaker.succeeded()
                left = [message for message in batch if message.key not in sent.not_needed]
                await self._finish(left, status="sent", detail=sent.detail, entry=self._sender.records_sent)
                await self._finish([m for m in batch if m.key in sent.not_needed], status="dropped")

    async def _not_delivered(self, batch: list[NotificationMessage], error: NotDelivered) -> None:
        if error.channel_down:
            self._breaker.failed(time.monotonic())
        else:
            self._breaker.succeeded()
        now = datetime.now(UTC)
        for message in batch:
            tried_for = now - message.created_at
            if error.permanent or tried_for >= self._settings.give_up_after:
                await self._fail(message, error.message)
                continue
            wait = self._backoff.after(message.attempts)
            log.warning("%s did not take %s: %s; again in %s", self.name, message.key, error.message, wait)
            await self._finish(
                [message], status="pending", again_at=now + wait, error=error.message, in_doubt=error.in_doubt
            )

    async def _fail(self, message: NotificationMessage, reason: str) -> None:
        log.error("%s did not take %s, and it is given up: %s", self.name, message.key, reason)
        detail: dict[str, object] = {"channel": self.name, "message_id": message_id(message), "why": reason}
        if message.person:
            detail["to"] = f"user:{message.person}"
        await self._finish([message], status="failed", error=reason, detail=detail)

    async def _give_up_old(self) -> bool:
        """Give up what has waited too long for a channel that is down; nobody would ever try it otherwise."""
        now = datetime.now(UTC)
        old = now - self._settings.give_up_after
        async with self._database.session() as session:
            if not await delivery_queue.has_older(session, self.name, old):
                return False
        late = await self._database.run(delivery_queue.expire, self.name, now, older_than=old, limit=MOST_EXPIRED)
        for message in late:
            await self._fail(message, message.last_error or "the channel has been down all the time")
        return len(late) == MOST_EXPIRED

    async def _put_back(self, batch: list[NotificationMessage]) -> None:
        again = datetime.now(UTC) + self._backoff.after(1)
        await self._finish(batch, status="pending", again_at=again, error=batch[0].last_error, untried=True)

    async def _finish(
        self,
        batch: list[NotificationMessage],
        *,
        status: str,
        again_at: datetime | None = None,
        error: str | None = None,
        detail: dict[str, object] | None = None,
        entry: bool = True,
        untried: bool = False,
        in_doubt: bool = False,
    ) -> None:
        """Note how it went, whatever it takes: a message that has left must not leave twice."""
        for message in batch:
            result = AttemptResult(
                key=message.key,
                channel=message.channel,
                request_id=message.request_id,
                hash=message.hash,
                lease=message.lease or "",
                status=status,
                again_at=again_at,
                error=error,
                detail={"to": f"user:{message.person}", **(detail or {})} if message.person else dict(detail or {}),
                entry=entry,
                untried=untried,
                in_doubt=in_doubt,
            )
            await self._submit(result)

    async def _submit(self, result: AttemptResult) -> None:
        while True:
            try:
                await self._commits.submit(result)
            except Unavailable as error:
                log.warning("%s will be noted as %s once the database is back: %s", result.key, result.status, error)
                await asyncio.sleep(DATABASE_AGAIN)
            else:
                return


def _take(
    connection: Connection, channel: str, now: datetime, *, limit: int, lease: timedelta
) -> tuple[list[NotificationMessage], list[NotificationMessage]]:
    """Take one person's digest, and what goes by itself."""
    digest = delivery_queue.take_digest(connection, channel, now, lease=lease)
    return digest, delivery_queue.take(connection, channel, now, limit=limit, lease=lease)


def _delete(connection: Connection, batch: list[NotificationMessage]) -> None:
    for message in batch:
        delivery_queue.delete_message(connection, message)


def message_id(message: NotificationMessage) -> str:
    """Return the id that a message has at every attempt, from the notice's key and its channel."""
    return hashlib.sha256(f"{message.key}|{message.hash}|{message.channel}".encode()).hexdigest()[:40]
