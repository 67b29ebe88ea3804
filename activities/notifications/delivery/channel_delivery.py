"""The delivery of one channel: lease what is due, send it, and store the result. Other channels do not wait for it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from activities.notifications.channels.channel import NotDelivered
from activities.notifications.delivery.repeating import IDLE, Look
from activities.notifications.delivery.results import Results
from activities.notifications.delivery.retry import Backoff, CircuitBreaker
from activities.notifications.settings import NotifySettings
from storage.database import Database
from storage.queries.notifications import delivery_queue
from storage.queries.notifications.delivery_queue import AttemptResult
from storage.queries.notifications.rows import MessageRow
from storage.recording.group_commit import GroupCommit

log = logging.getLogger(__name__)

# Messages leased at once, per concurrent message: what is done once for a batch is most of the cost of a mail. Those of
# a worker that is killed wait for the end of their lease.
AHEAD = 8
MOST_EXPIRED = 100


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

    async def load(self, batches: Sequence[Sequence[MessageRow]]) -> None:
        """Read the data for these messages at once; a batch is what `send` is given."""
        ...

    def head_of(self, message: MessageRow, /) -> str | None:
        """Return the head of its request's chain as it was loaded; None where it is never dropped because of that."""
        ...

    async def send(self, messages: Sequence[MessageRow]) -> SendResult:
        """Send one message, or several as one digest; raises NotDelivered, NoLongerNeeded or NotInHistory."""
        ...


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a delivery has done so far, for people who look at it."""

    sent: int = 0
    failed: int = 0
    last_sent: datetime | None = None
    last_error: str | None = None


class ChannelDown(Exception):
    """The channel does not work: it failed so often in a row, for this reason, and is tested in so many seconds."""

    def __init__(self, reason: str, *, failures: int, again_in: float) -> None:
        super().__init__(reason)
        self.reason, self.failures, self.again_in = reason, failures, again_in


class ChannelDelivery:
    """Sends the messages of one channel, one batch with each `step`."""

    def __init__(
        self,
        name: str,
        sender: Sender,
        database: Database,
        commits: GroupCommit[AttemptResult, None],
        settings: NotifySettings,
        *,
        failures: int = 0,
    ) -> None:
        """`failures` is how often in a row the channel has failed before; after some, one message tests it."""
        self.name = name
        self.tally = Tally()
        self._sender = sender
        self._database = database
        self._commits = commits
        self._settings = settings
        self._backoff = Backoff(
            first=timedelta(seconds=settings.notify_retry_first), most=timedelta(seconds=settings.notify_retry_most)
        )
        # A channel that is down is checked more often than one message is retried.
        self._breaker = CircuitBreaker(
            Backoff(first=self._backoff.first, most=min(self._backoff.most, timedelta(minutes=1))), failures=failures
        )

    @property
    def works(self) -> bool:
        """Whether nothing is wrong with the channel, as far as its messages tell."""
        return self._breaker.open_until is None

    @property
    def down(self) -> ChannelDown | None:
        """Why the channel does not work, if it failed in this delivery's hands and has not worked since."""
        until = self._breaker.open_until
        if until is None or self.tally.last_error is None:
            return None
        again_in = max(0.0, until - time.monotonic())
        return ChannelDown(self.tally.last_error, failures=self._breaker.failures, again_in=again_in)

    def now(self) -> datetime:
        """Return the time by which messages are due."""
        return self._database.now()

    async def step(self, stopping: asyncio.Event) -> Look:
        """Send what is due. Once `stopping` is set, what was taken and is not being sent is put back."""
        allowed = self._breaker.allows(time.monotonic())
        if allowed == 0:
            again_in = timedelta(seconds=down.again_in if (down := self.down) else 0)
            return Look(worked=await self.give_up_old(), due=self.now() + again_in)
        now = self.now()
        waiting = await self._database.look_up(delivery_queue.waiting, self.name, now)
        if waiting.due is None or waiting.due > now:
            return Look(due=waiting.due)
        limit = self._sender.concurrency * AHEAD if allowed is None else allowed
        lease = self._settings.lease
        digest, singles = await self._database.write(
            _take, self.name, now, limit=limit, lease=lease, digest_of=waiting.digest_of
        )
        batches = [[message] for message in singles]
        if digest:
            batches.append(digest)
        if not batches:
            return IDLE
        await self._sender.load(batches)
        attempts = _Attempts(
            results=Results(self._commits),
            room=asyncio.Semaphore(self._sender.concurrency),
            latest=time.monotonic() + max(0.0, lease.total_seconds() - self._sender.timeout),
            stopping=stopping,
        )
        async with attempts.results, asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(self._attempt(batch, attempts))
        return Look(worked=True, full=len(singles) == limit and allowed is None)

    async def give_up_old(self) -> bool:
        """Give up messages that have waited too long for a channel that is down, since no other attempt would.

        Returns whether there were any.
        """
        now = self.now()
        old = now - self._settings.give_up_after
        if not await self._database.read(delivery_queue.has_older, self.name, old):
            return False
        late = await self._database.write(delivery_queue.expire, self.name, now, older_than=old, limit=MOST_EXPIRED)
        async with Results(self._commits) as results:
            for message in late:
                why = message.last_error or "the channel was down until the message was given up"
                self._fail(message, why, results)
        return bool(late)

    async def _attempt(self, batch: list[MessageRow], attempts: _Attempts) -> None:
        results = attempts.results
        async with attempts.room:
            # A message whose lease may end while it is sent waits for the next round. So does one behind others that
            # found the channel down. Where this worker stops, another takes it at once.
            if attempts.stopping.is_set():
                self._put_back(batch, results, after=timedelta())
                return
            if time.monotonic() > attempts.latest or self._breaker.allows(time.monotonic()) == 0:
                self._put_back(batch, results, after=self._backoff.after(1))
                return
            try:
                sent = await self._sender.send(batch)
            except NoLongerNeeded:
                self._breaker.succeeded()
                self._finish(batch, results, status="dropped")
            except NotInHistory:
                await self._database.write(_delete, batch)
            except NotDelivered as error:
                self._not_delivered(batch, error, results)
            except Exception:
                log.exception("%s: a notification could not be composed; it will be retried", self.name)
                unwritten = NotDelivered("the notification could not be composed; see the worker's log")
                self._not_delivered(batch, unwritten, results)
            else:
                self._breaker.succeeded()
                self.tally.sent += 1
                self.tally.last_sent = self.now()
                left = [message for message in batch if message.key not in sent.not_needed]
                self._finish(left, results, status="sent", detail=sent.detail, entry=self._sender.records_sent)
                self._finish([m for m in batch if m.key in sent.not_needed], results, status="dropped")

    def _not_delivered(self, batch: list[MessageRow], error: NotDelivered, results: Results) -> None:
        self.tally.last_error = error.message
        if error.channel_down:
            self._breaker.failed(time.monotonic())
        else:
            self._breaker.succeeded()
        now = self.now()
        for message in batch:
            tried_for = now - message.created_at
            if error.permanent or tried_for >= self._settings.give_up_after:
                self._fail(message, error.message, results)
                continue
            wait = self._backoff.after(message.attempts)
            log.warning("%s did not take %s: %s; again in %s", self.name, message.key, error.message, wait)
            self._finish(
                [message], results, status="pending", again_at=now + wait, error=error.message, in_doubt=error.in_doubt
            )

    def _fail(self, message: MessageRow, reason: str, results: Results) -> None:
        log.error("%s did not take %s, and it is given up: %s", self.name, message.key, reason)
        self.tally.failed += 1
        detail: dict[str, object] = {"channel": self.name, "message_id": message_id(message), "why": reason}
        if message.person:
            detail["to"] = f"user:{message.person}"
        self._finish([message], results, status="failed", error=reason, detail=detail)

    def _put_back(self, batch: list[MessageRow], results: Results, *, after: timedelta) -> None:
        again = self.now() + after
        self._finish(batch, results, status="pending", again_at=again, error=batch[0].last_error, untried=True)

    def _finish(
        self,
        batch: list[MessageRow],
        results: Results,
        *,
        status: str,
        again_at: datetime | None = None,
        error: str | None = None,
        detail: dict[str, object] | None = None,
        entry: bool = True,
        untried: bool = False,
        in_doubt: bool = False,
    ) -> None:
        """Have the result of each message stored."""
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
                as_of=self._sender.head_of(message) if status == "dropped" else None,
            )
            results.add(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempts:
    """What the attempts of one batch share. `latest` is the moment, of the monotonic clock, after which none begins."""

    results: Results
    room: asyncio.Semaphore
    latest: float
    stopping: asyncio.Event


def _take(
    connection: Connection, channel: str, now: datetime, *, limit: int, lease: timedelta, digest_of: str | None
) -> tuple[list[MessageRow], list[MessageRow]]:
    """Lease single messages, and the digest of one person if there is one."""
    digest: list[MessageRow] = []
    if digest_of is not None:
        digest = delivery_queue.take_digest(connection, channel, now, person=digest_of, lease=lease)
    return digest, delivery_queue.take(connection, channel, now, limit=limit, lease=lease)


def _delete(connection: Connection, batch: list[MessageRow]) -> None:
    for message in batch:
        delivery_queue.delete_message(connection, message)


def message_id(message: MessageRow) -> str:
    """Return the id of a message, the same in every attempt, from the notification's key and the channel."""
    return hashlib.sha256(f"{message.key}|{message.hash}|{message.channel}".encode()).hexdigest()[:40]
