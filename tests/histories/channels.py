"""The history of a channel of notifications: turns that end in each way, one of them after attempts that failed."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.messages import ChannelTurn, ChannelTurnEnd
from tests.histories import FOLDER
from workflows.notifications import NotificationChannel, NotificationWorkflow
from workflows.registration import NOTIFICATION_WORKFLOWS, workflow_runner

HISTORIES = FOLDER / "channels"


def recorded() -> list[Path]:
    """List the recorded histories of channels, those of every version."""
    return sorted(HISTORIES.glob("*/*.json"))


class Turns:
    """Ends each turn at once: a worker stops, a failure is over, and the channel is no longer set up."""

    def __init__(self) -> None:
        self._turns = 0

    @activity.defn(name="send_notifications")
    async def run(self, _given: ChannelTurn) -> ChannelTurnEnd:
        """Take a turn."""
        if activity.info().attempt == 1 and self._turns == 1:
            raise ApplicationError(
                "mail is down: nobody answers", type="ChannelDown", next_retry_delay=timedelta(milliseconds=1)
            )
        self._turns += 1
        why: Any = ("stopping", "recovered", "not_set_up")[self._turns - 1]
        return ChannelTurnEnd(why=why, at=datetime.now(UTC))


async def turns(client: Client) -> WorkflowHandle[NotificationWorkflow, ChannelTurnEnd]:
    """Run a channel to its end."""
    queue = f"turns-{uuid.uuid4().hex[:8]}"
    worker = Worker(
        client,
        task_queue=queue,
        workflows=NOTIFICATION_WORKFLOWS,
        activities=[Turns().run],
        workflow_runner=workflow_runner(),
    )
    async with worker:
        given = NotificationChannel(channel="mail")
        handle = await client.start_workflow(NotificationWorkflow.run, given, id=f"{queue}-mail", task_queue=queue)
        await handle.result()
    return handle
