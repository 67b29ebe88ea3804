"""Another Temporal workflow that waits for an approval, for days if it has to, and survives every restart.

Three activities call Placet. Each may be carried out again by the engine: the request has the workflow's id as its key,
the wait is a heartbeating long poll, and the claim has the run as its key, so that only this run gets its answer again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from placet.client import Action, AsyncClient, ClaimRefused, NotGranted, StillPending, require_approved

_SHORT = timedelta(minutes=2)
_FOR_EVER = RetryPolicy(maximum_interval=timedelta(minutes=1), non_retryable_error_types=["NotGranted", "ClaimRefused"])


@dataclass
class Asked:
    """What shall be done, and by which process people decide."""

    process: str
    title: str
    type: str
    target: str
    parameters: dict[str, Any]
    expires_at: str  # RFC 3339; text, as workflows decode it without the clock that their sandbox keeps from them

    @property
    def action(self) -> Action:
        """Return the action that people approve."""
        return Action(
            type=self.type,
            target=self.target,
            parameters=self.parameters,
            expires_at=datetime.fromisoformat(self.expires_at),
        )


class Approvals:
    """The activities; the worker that runs them has the client."""

    def __init__(self, placet: AsyncClient) -> None:
        self._placet = placet

    @activity.defn
    async def ask(self, asked: Asked) -> str:
        """Ask for approval and return the id of the request; the same one when it is carried out again."""
        key = f"ask {activity.info().workflow_id}"
        return (await self._placet.start(asked.process, title=asked.title, action=asked.action, key=key)).id

    @activity.defn
    async def wait(self, request_id: str) -> None:
        """Wait until people have approved; raises what is no approval, so that the engine does not try again."""
        while True:
            activity.heartbeat()
            try:
                require_approved(await self._placet.wait(request_id, timeout=20))
            except StillPending:
                continue
            except NotGranted as error:
                raise ApplicationError(error.message, type="NotGranted", non_retryable=True) from error
            return

    @activity.defn
    async def claim(self, request_id: str, asked: Asked) -> None:
        """Claim the action; carried out again after an answer was lost, it gets the same answer."""
        key = f"claim {activity.info().workflow_run_id}"
        try:
            await self._placet.claim(request_id, asked.action, key=key)
        except ClaimRefused as error:
            raise ApplicationError(error.message, type="ClaimRefused", non_retryable=True) from error


@activity.defn
async def transfer(target: str, parameters: dict[str, Any]) -> str:
    """Carry the transfer out."""
    await asyncio.sleep(0)
    return f"{parameters['amount']} EUR were sent to {target}."


@workflow.defn
class TransferWorkflow:
    """Ask, wait, claim, and carry out."""

    @workflow.run
    async def run(self, asked: Asked) -> str:
        """Return what was done; the workflow fails where people do not approve it."""
        request_id = await workflow.execute_activity_method(Approvals.ask, asked, start_to_close_timeout=_SHORT)
        await workflow.execute_activity_method(
            Approvals.wait,
            request_id,
            start_to_close_timeout=timedelta(days=30),
            heartbeat_timeout=_SHORT,
            retry_policy=_FOR_EVER,
        )
        await workflow.execute_activity_method(Approvals.claim, args=[request_id, asked], start_to_close_timeout=_SHORT)
        return await workflow.execute_activity(
            transfer,
            args=[asked.target, asked.parameters],
            start_to_close_timeout=_SHORT,
            retry_policy=RetryPolicy(maximum_attempts=1),  # an approval is for one attempt
        )
