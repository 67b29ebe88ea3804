"""The workflow of one channel of notifications: it keeps one long activity running, which does the work.

The activity takes what is due from the outbox, so no message is in the history. Its attempts add no events either: the
engine gives it to another worker when heartbeats stay away, and shows why its last attempt failed. Events are added
when a turn ends: a worker was stopped, or a failure is over. After many of them the workflow continues as new.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.messages import ChannelTurn, ChannelTurnEnd
from workflows import display

# The activity heartbeats every four seconds; one that is silent for so long is given to another worker.
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
# The engine asks for one. An attempt that really lasts so long is followed by another.
LONGEST_ATTEMPT = timedelta(days=365)
# Of attempts without a pause of their own, such as those whose worker died. They never end.
RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(minutes=1))
MOST_EVENTS = 300  # of one run: some fifty turns


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationChannel:
    """The input of a run: the channel, and the last turn that ended, if any."""

    channel: str
    last: ChannelTurnEnd | None = None


@workflow.defn
class NotificationWorkflow:
    """Keeps one channel served for as long as it is set up."""

    @workflow.run
    async def run(self, given: NotificationChannel) -> ChannelTurnEnd:
        """Have turns taken, one after the other; returns the end of the last one once the channel is not set up."""
        while True:
            workflow.set_current_details(display.channel_details(given.channel, given.last))
            end: ChannelTurnEnd = await workflow.execute_activity(
                "send_notifications",
                ChannelTurn(channel=given.channel),
                result_type=ChannelTurnEnd,
                start_to_close_timeout=LONGEST_ATTEMPT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=RETRIES,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=display.channel_summary(given.channel),
            )
            given = replace(given, last=end)
            if end.why == "not_set_up":
                return end
            if workflow.info().get_current_history_length() >= MOST_EVENTS:
                workflow.continue_as_new(given)
