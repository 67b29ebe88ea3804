"""The delivery of one channel: lease what is due, send it, and store the result. Other channels do not wait for it."""

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

# Messages leased at once, per concurrent message, so that the channel does not wait for the database.
AHEAD = 4
MOST_EXPIRED = 100
DATABASE_AGAIN = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """The details of a delivery entry. They hold ids only, since the chain is permanent."""

    detail: dict[str, object]
    not_needed: frozenset[str] = frozenset()
    """Keys of the messages that a digest omitted because they are no longer needed."""


class NoLongerNeeded(Exception):
    """The message is no longer needed."""


class NotInHistory(Exception):
    """The message is about an audit entry that history does not hold."""


class Sender(Protocol):
    """Composes and sends the messages of one channel."""

    @property
    def concurrency(self) -> int:
        """How many messages it sends at the same time."""
        ...

    @property
    def records_sent(self) -> bool:
        """Whether sent messages, and not only failed ones, get an entry among the request's deliveries."""
        ...

    @property
    def timeout(self) -> float:
        """The most seconds that sending one message takes."""
        ...

    async def load(self, messages: Sequence[NotificationMessage]) -> None:
        """Read the data for these messages at once."""
        ...

    async def send(self, messages: Sequence[NotificationMessage]) -> SendResult:
        """Send one message, or several as one digest; raises NotDelivered, Pointless or Lost."""
        ...


class ChannelDelivery:
    """Sends the messages of one channel, one batch with each `step`."""

    def __init__(
        self,
        name: str,
        sender: Sender,
        database: Database,
        commits: GroupCommit[AttemptResult, None],
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
        # A channel that is down is checked more often than one message is retried.
        self._breaker = CircuitBreaker(
            Backoff(first=self._backoff.first, most=min(self._backoff.most, timedelta(minutes=1)))
        )

    @property
    def down(self) -> bool:
        """Whether the channel does not work at the moment."""
        return self._breaker.open_until is not None

    async def step(self) -> bool:
        """Send what is due; returns whether more may be due."""
        allowed = self._breaker.allows(time.monotonic())
        if allowed == 0:
            return await self._give_up_old()
        now = datetime.now(UTC)
        if not await self._database.read(delivery_queue.due, self.name, now):
            return False
        limit = self._sender.concurrency * AHEAD if allowed is None else allowed
        lease = self._settings.lease
        digest, singles = await self._database.write(_take, self.name, now, limit=limit, lease=lease)
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
            # A message whose lease may end while it is sent waits for the next round. So does one behind others that
            # found the channel down.
            if time.monotonic() > latest or self._breaker.allows(time.monotonic()) == 0:
                await self._put_back(batch)
                return
            try:
                sent = await self._sender.send(batch)
            except NoLongerNeeded:
                self._breaker.succeeded()
                await self._finish(batch, status="dropped")
            except NotInHistory:
                await self._database.write(_delete, batch)
            except NotDelivered as error:
                await self._not_delivered(batch, error)
            except Exception:
                log.exception("%s: a notification could not be composed; it will be retried", self.name)
                await self._not_delivered(
                    batch, NotDelivered("the notification could not be composed; see the worker's log")
                )
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
        """Give up messages that have waited too long for a channel that is down, since no other attempt would."""
        now = datetime.now(UTC)
        old = now - self._settings.give_up_after
        if not await self._database.read(delivery_queue.has_older, self.name, old):
            return False
        late = await self._database.write(delivery_queue.expire, self.name, now, older_than=old, limit=MOST_EXPIRED)
        for message in late:
            await self._fail(message, message.last_error or "the channel was down until the message was given up")
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
        """Store the result, and wait for the database if necessary, so that no sent message is sent again."""
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
                log.warning(
                    "%s is %s, which will be stored once the database answers: %s", result.key, result.status, error
                )
                await asyncio.sleep(DATABASE_AGAIN)
            else:
                return


def _take(
    connection: Connection, channel: str, now: datetime, *, limit: int, lease: timedelta
) -> tuple[list[NotificationMessage], list[NotificationMessage]]:
    """Lease the digest of one person, and single messages."""
    digest = delivery_queue.take_digest(connection, channel, now, lease=lease)
    return digest, delivery_queue.take(connection, channel, now, limit=limit, lease=lease)


def _delete(connection: Connection, batch: list[NotificationMessage]) -> None:
    for message in batch:
        delivery_queue.delete_message(connection, message)


def message_id(message: NotificationMessage) -> str:
    """Return the id of a message, the same in every attempt, from the notification's key and the channel."""
    return hashlib.sha256(f"{message.key}|{message.hash}|{message.channel}".encode()).hexdigest()[:40]
