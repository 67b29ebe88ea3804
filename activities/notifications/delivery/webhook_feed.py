"""The feed of webhook endpoints: find events that history holds, and queue each once for every subscribed endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from activities.http_client.client import NotAnswered, locate
from activities.notifications.channels.webhook import WebhookSender
from activities.notifications.channels.webhook_secrets import WebhookSecrets
from activities.notifications.delivery.channel_delivery import ChannelDelivery
from activities.notifications.delivery.confirmation import HistoryConfirmation
from activities.notifications.delivery.repeating import Look, end_all, first_of, repeat
from activities.notifications.settings import NotifySettings
from placet.errors import InputInvalid, Problem
from storage.announcements.announce import queue_topic
from storage.announcements.listener import Subscriptions
from storage.database import Database
from storage.queries.notifications import webhooks
from storage.queries.notifications.delivery_queue import AttemptResult
from storage.queries.notifications.webhooks import PREFIX, WebhookEntry
from storage.recording.group_commit import GroupCommit
from storage.tables.notifications import WebhookEndpoint

MOST_QUEUED = 200
WEBHOOK_TIMEOUT = "PLACET_WEBHOOK_TIMEOUT"  # the variable of that setting
# An entry that history has not confirmed for so long no longer holds up the mark, since its engine is gone.
IN_DOUBT = timedelta(hours=1)


class WebhookFeed:
    """Queues events for the endpoints, and keeps one delivery for each endpoint."""

    def __init__(
        self,
        database: Database,
        confirmation: HistoryConfirmation,
        commits: GroupCommit[AttemptResult, None],
        secrets: WebhookSecrets,
        settings: NotifySettings,
    ) -> None:
        self._database = database
        self._confirmation = confirmation
        self._commits = commits
        self._secrets = secrets
        self._settings = settings
        self._deliveries: dict[tuple[str, str, str], ChannelDelivery] = {}
        self._changed = asyncio.Event()

    @property
    def deliveries(self) -> list[ChannelDelivery]:
        """The deliveries of the active endpoints."""
        return list(self._deliveries.values())

    async def step(self) -> Look:
        """Queue new events for every endpoint."""
        endpoints = await self._database.look_up(webhooks.every, active=True)
        self._follow(endpoints)
        queued = [await self._queue(endpoint) for endpoint in endpoints]
        return Look(worked=any(queued), full=MOST_QUEUED in queued)

    def now(self) -> datetime:
        """Return the time by which events are due."""
        return self._database.now()

    async def deliver(self, subscriptions: Subscriptions, stopping: asyncio.Event) -> None:
        """Run one delivery for each endpoint, as endpoints are added and removed, until `stopping` is set.

        An endpoint that is down delays no other.
        """
        poll = self._settings.notify_poll
        running: dict[ChannelDelivery, tuple[asyncio.Event, asyncio.Task[None]]] = {}
        ending: list[asyncio.Task[None]] = []
        while not stopping.is_set():
            wanted = self.deliveries
            for delivery in [delivery for delivery in running if delivery not in wanted]:
                ended, task = running.pop(delivery)
                ended.set()
                ending.append(task)  # the last step may finish, since its results have to be stored
            for delivery in wanted:
                if delivery not in running:
                    ended = asyncio.Event()
                    step = partial(delivery.step, ended)
                    task = asyncio.create_task(
                        repeat(step, queue_topic(delivery.name), subscriptions, ended, clock=self.now, poll=poll)
                    )
                    task.add_done_callback(lambda _task: self._changed.set())
                    running[delivery] = ended, task
            self._changed.clear()
            await first_of(self._changed.wait(), stopping.wait())
            if any(task.done() for _, task in running.values()):  # it failed, and all of the turn with it
                break
            ending = [task for task in ending if not task.done()]
        for ended, _ in running.values():
            ended.set()
        await end_all([*ending, *(task for _, task in running.values())])

    def _follow(self, endpoints: Sequence[WebhookEndpoint]) -> None:
        wanted = {(e.id, e.url, e.secret_ref): e for e in endpoints}
        if wanted.keys() == self._deliveries.keys():
            return
        self._deliveries = {
            key: self._deliveries.get(key) or self._new_delivery(endpoint) for key, endpoint in wanted.items()
        }
        self._changed.set()

    def _new_delivery(self, endpoint: WebhookEndpoint) -> ChannelDelivery:
        sender = WebhookSender(endpoint, self._database, self._secrets, self._settings)
        return ChannelDelivery(PREFIX + endpoint.id, sender, self._database, self._commits, self._settings)

    async def _queue(self, endpoint: WebhookEndpoint) -> int:
        """Queue events for an endpoint, and return how many.

        A request that is in doubt has earlier events that history holds. Where it has none, it is skipped, so that many
        such requests do not keep those of others back.
        """
        queued = await self._queue_but(endpoint, [])
        doubted = self._confirmation.postponed()
        return queued or (await self._queue_but(endpoint, doubted) if doubted else 0)

    async def _queue_but(self, endpoint: WebhookEndpoint, doubted: list[str]) -> int:
        found, known = await self._database.read(_unseen, endpoint, doubted)
        if not found:
            return 0
        unknown = {e.request_id for e in found if e.seq > known.get(e.request_id, 0) and self._is_old(e)}
        for answer in await self._confirmation.ask(sorted(unknown)):
            same = await self._database.read(webhooks.holds, answer.request_id, answer.seq, answer.head)
            self._confirmation.note_answer(answer.request_id, confirmed=same)
            if same:
                known[answer.request_id] = max(answer.seq, known.get(answer.request_id, 0))
        going = [e for e in found if e.seq <= known.get(e.request_id, 0)]
        if not going:
            return 0
        # The mark stays before entries that are unconfirmed, now or in an earlier step.
        doubtful = [e.recorded_at for e in found if e.seq > known.get(e.request_id, 0)]
        mark = min([going[-1].recorded_at, *doubtful])
        if doubted:
            mark = min(mark, max(endpoint.seen_at, self.now() - IN_DOUBT))
        await self._database.write(webhooks.queue, endpoint.id, going, mark, self.now())
        return len(going)

    def _is_old(self, entry: WebhookEntry) -> bool:
        """Tell whether the API has had its time to confirm an entry."""
        return self.now() - entry.recorded_at >= timedelta(seconds=self._settings.notify_confirm_after)


async def check_endpoint(
    url: str, secret_ref: str, endpoint_id: str, secrets: WebhookSecrets, settings: NotifySettings
) -> None:
    """Check a new endpoint; raises InputInvalid that names the invalid field or setting."""
    settings.leased_longer_than(settings.webhook_timeout, WEBHOOK_TIMEOUT)
    secrets.get(secret_ref, endpoint_id)
    try:
        await locate(url, settings.webhook_policy)
    except NotAnswered as error:
        raise InputInvalid(
            "Webhooks cannot be sent to this address.", problems=(Problem(pointer="/url", message=error.message),)
        ) from error


def _unseen(
    connection: Connection, endpoint: WebhookEndpoint, doubted: Sequence[str]
) -> tuple[list[WebhookEntry], dict[str, int]]:
    """Return what is new for an endpoint, and up to which entry history is known to hold each of these requests."""
    found = webhooks.unseen(connection, endpoint, limit=MOST_QUEUED, but=doubted)
    return found, webhooks.confirmed(connection, list({entry.request_id for entry in found})) if found else {}
