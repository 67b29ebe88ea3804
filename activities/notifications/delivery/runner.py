"""The activity that sends notifications: one execution is a turn on one channel, for as long as its worker lives.

The engine gives the channel to one worker at a time. It learns by heartbeats that the worker lives, and gives the turn
to another one where they stay away. A channel that fails as a whole fails the attempt, which the engine tries again
with growing pauses without end; a single message that fails does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import ChannelTurn, ChannelTurnEnd
from activities.notifications.channels.channel import Channel, UnconfiguredChannel
from activities.notifications.channels.webhook_secrets import WebhookSecrets
from activities.notifications.decision_links import DecisionLinkWriter
from activities.notifications.delivery.channel_delivery import ChannelDelivery, ChannelDown
from activities.notifications.delivery.confirmation import Confirm, HistoryConfirmation, Tell
from activities.notifications.delivery.message_sender import MessageSender
from activities.notifications.delivery.planning import Planner
from activities.notifications.delivery.turn import PlanningTurn, SendingTurn, Turn, WebhookTurn
from activities.notifications.delivery.webhook_feed import WebhookFeed
from activities.notifications.preferences import MAIL
from activities.notifications.settings import NotifySettings
from placet.errors import Unavailable
from storage.announcements.listener import Subscriptions
from storage.database import Database
from storage.queries.notifications import delivery_queue
from storage.queries.notifications.delivery_queue import AttemptResult
from storage.recording.group_commit import GroupCommit

PLANNING, WEBHOOKS = "planning", "webhook"
"""The turns that are not on a channel to people: planning for all of them, and all endpoints of webhooks."""
# Seconds between heartbeats; the workflow's HEARTBEAT_TIMEOUT is some of them.
HEARTBEAT_EVERY = 4.0
DATABASE_AGAIN = 1.0  # seconds
SHORTEST_PAUSE = 0.001  # seconds; the engine takes a pause of zero for none that was asked for
_FAILURES = "failures in a row"  # in the heartbeat of a channel that is down, for whoever tests it next


class NotificationRunner:
    """Works on the channels that are set up, a turn at a time. Any number of processes may share one database."""

    def __init__(
        self,
        database: Database,
        channels: Sequence[Channel],
        confirm: Confirm,
        settings: NotifySettings,
        *,
        tell: Tell,
        links: DecisionLinkWriter | None = None,
        secrets: WebhookSecrets | None = None,
        subscriptions: Subscriptions | None = None,
    ) -> None:
        """`channels` are those that are set up; `confirm` and `tell` reach requests in the engine.

        `links` writes the links of messages that ask for a decision. With `secrets`, webhooks are sent as well.
        Without `subscriptions`, it looks for what is due.
        """
        self._database = database
        self._confirmation = HistoryConfirmation(confirm, tell)
        self._settings = settings
        self._links = links
        self._secrets = secrets
        self._subscriptions = Subscriptions() if subscriptions is None else subscriptions
        self._channels = {channel.name: channel for channel in channels}
        self._channels.setdefault(MAIL, UnconfiguredChannel(MAIL, "set PLACET_SMTP_HOST"))
        self._commits: GroupCommit[AttemptResult, None] = GroupCommit(
            database, delivery_queue.finish_all, key=lambda finish: (finish.key, finish.channel)
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that turns are to be taken on; `planning` and `webhook` count as channels."""
        return (PLANNING, *self._channels, *(() if self._secrets is None else (WEBHOOKS,)))

    @activity.defn(name="send_notifications")
    async def run(self, given: ChannelTurn) -> ChannelTurnEnd:
        """Take a turn; raises ApplicationError that says why the channel failed as a whole."""
        if given.channel not in self.channels:
            return ChannelTurnEnd(why="not_set_up", at=self._database.now())
        turn = self._turn(given.channel, failures=_earlier_failures())
        stopping = asyncio.Event()
        aside = [asyncio.create_task(_beat(turn)), asyncio.create_task(_stop_with_worker(stopping))]
        if activity.info().attempt > 1:
            aside.append(asyncio.create_task(_stop_once_proven(turn, stopping)))
        work = asyncio.create_task(turn.run(stopping))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:  # by people, or because the engine has given the turn to another worker
            stopping.set()
            await work
            raise
        except ChannelDown as down:
            activity.heartbeat({**turn.pulse(), "state": "down", _FAILURES: down.failures})
            raise _failure(f"{given.channel} is down: {down.reason}", "ChannelDown", down.again_in) from None
        except Unavailable as error:
            raise _failure(error.message, "Unavailable", DATABASE_AGAIN) from None
        finally:
            for task in aside:
                task.cancel()
            await asyncio.gather(*aside, return_exceptions=True)
            if (channel := self._channels.get(given.channel)) is not None:
                await channel.close()
        worker_stops = activity.is_worker_shutdown()
        return ChannelTurnEnd(why="stopping" if worker_stops else "recovered", at=self._database.now())

    def _turn(self, channel: str, *, failures: int) -> Turn:
        if channel == PLANNING:
            planner = Planner(self._database, self._confirmation, self._settings, self._channels)
            return PlanningTurn(planner, self._database, self._subscriptions, self._settings)
        if channel == WEBHOOKS and self._secrets is not None:
            feed = WebhookFeed(self._database, self._confirmation, self._commits, self._secrets, self._settings)
            return WebhookTurn(feed, self._subscriptions, self._settings)
        sender = MessageSender(self._channels[channel], self._database, self._settings, links=self._links)
        delivery = ChannelDelivery(channel, sender, self._database, self._commits, self._settings, failures=failures)
        return SendingTurn(delivery, self._subscriptions, self._settings)


def _earlier_failures() -> int:
    """Return how often in a row the channel had failed when the attempt before this one ended."""
    told = activity.info().heartbeat_details
    last = told[-1] if told else None
    return int(last.get(_FAILURES, 0)) if isinstance(last, dict) else 0


def _failure(message: str, kind: str, again_in: float) -> ApplicationError:
    return ApplicationError(message, type=kind, next_retry_delay=timedelta(seconds=max(again_in, SHORTEST_PAUSE)))


async def _beat(turn: Turn) -> None:
    while True:
        activity.heartbeat(turn.pulse())
        await asyncio.sleep(HEARTBEAT_EVERY)


async def _stop_with_worker(stopping: asyncio.Event) -> None:
    await activity.wait_for_worker_shutdown()
    stopping.set()


async def _stop_once_proven(turn: Turn, stopping: asyncio.Event) -> None:
    """End the turn once what failed works: its failure stays on show until then, and a new turn has none."""
    await turn.proven.wait()
    stopping.set()
