"""Temporal: a workflow that carries something out once people have approved it, for which it may wait for weeks.

`TransferWorkflow` has `ActionApproval` as a child, which asks, waits and claims. It waits by `WaitForDecision`, a child
whose id is made of the request's, so that a webhook's receiver can tell it by a signal (temporal_webhook.py). Where no
signal comes the engine looks by itself: attempts of an activity add nothing to the history and need no worker between.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from examples.approvals.temporal_activities import Approvals, Asked, Granted

_ATTEMPT = timedelta(minutes=2)
_GIVE_UP_WITHDRAWING = timedelta(days=1)
LOOKS = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))


def waiting_id(request_id: str) -> str:
    """Return the id of the workflow that waits for the decision about a request."""
    return f"placet-{request_id}"


@workflow.defn
class WaitForDecision:
    """Wait until a request is approved; fails with what came of it instead."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self, request_id: str, seconds: float) -> None:
        """Wait for so many seconds at most; then it fails as StillPending."""
        end = workflow.now() + timedelta(seconds=seconds)
        while True:
            self._told = False
            look = workflow.start_activity_method(
                Approvals.look, request_id, start_to_close_timeout=_ATTEMPT, retry_policy=LOOKS
            )
            try:
                await workflow.wait_condition(
                    lambda look=look: self._told or look.done(),
                    timeout=max(end - workflow.now(), timedelta()),
                )
            except TimeoutError:
                said = f"Nobody has decided request {request_id} in {seconds:.0f} seconds."
                raise ApplicationError(said, type="StillPending", non_retryable=True) from None
            if look.done():
                await look
                return
            look.cancel()  # it pauses between two attempts, and this is the moment to look

    @workflow.signal
    def told(self) -> None:
        """Look now. Whoever sends this says nothing about the outcome, so that a forged signal has no effect."""
        self._told = True


@workflow.defn
class ActionApproval:
    """Ask, wait and claim; a cancellation, or the end of the patience, withdraws the request."""

    @workflow.run
    async def run(self, asked: Asked) -> Granted:
        """Return the claimed approval, or fail with an ApplicationError whose type is the client's error."""
        key = workflow.info().first_execution_run_id  # the same after a reset, another one in the next execution
        seconds = (datetime.fromisoformat(asked.expires_at) - workflow.now()).total_seconds()
        seconds = max(0.0, seconds if asked.patience is None else min(asked.patience, seconds))
        try:
            request_id = await self._ask(asked, f"ask {key}", seconds)
        except FailureError as error:
            raise _innermost(error) from None
        try:
            await workflow.execute_child_workflow(
                WaitForDecision.run, args=[request_id, seconds], id=waiting_id(request_id)
            )
            return await workflow.execute_activity_method(
                Approvals.claim,
                args=[request_id, asked, f"claim {key}"],
                start_to_close_timeout=_ATTEMPT,
                schedule_to_close_timeout=timedelta(seconds=max(seconds, 1)),
            )
        except (asyncio.CancelledError, FailureError) as error:
            await self._withdraw(request_id)
            if is_cancelled_exception(error):
                raise
            raise _innermost(error) from None

    async def _ask(self, asked: Asked, key: str, seconds: float) -> str:
        ask = workflow.start_activity_method(
            Approvals.ask,
            args=[asked, key],
            start_to_close_timeout=_ATTEMPT,
            schedule_to_close_timeout=timedelta(seconds=max(seconds, 1)),
        )
        try:
            return await asyncio.shield(ask)
        except asyncio.CancelledError:  # people may have been asked already
            await self._withdraw(await ask)
            raise

    async def _withdraw(self, request_id: str) -> None:
        await workflow.execute_activity_method(
            Approvals.withdraw,
            request_id,
            start_to_close_timeout=_ATTEMPT,
            schedule_to_close_timeout=_GIVE_UP_WITHDRAWING,
        )


def _innermost(error: BaseException) -> BaseException:
    """Return what went wrong at the bottom, without the layers of workflow and activity around it."""
    while isinstance(error, FailureError) and isinstance(error.cause, FailureError):
        error = error.cause
    return error


@activity.defn
async def transfer(target: str, parameters: dict[str, Any]) -> str:
    """Carry the transfer out."""
    await asyncio.sleep(0)
    return f"{parameters['amount']} EUR were sent to {target}."


@workflow.defn
class TransferWorkflow:
    """Have the transfer approved by a child workflow, and carry it out."""

    @workflow.run
    async def run(self, asked: Asked) -> str:
        """Return what was done; the workflow fails where people do not approve it."""
        await workflow.execute_child_workflow(
            ActionApproval.run,
            asked,
            id=f"{workflow.info().workflow_id}-approval",
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,  # it withdraws, also where this is terminated
        )
        return await carry_out(asked)


async def carry_out(asked: Asked) -> str:
    """Run the activity that does what was approved."""
    return await workflow.execute_activity(
        transfer,
        args=[asked.target, asked.parameters],
        start_to_close_timeout=_ATTEMPT,
        retry_policy=RetryPolicy(maximum_attempts=1),  # an approval is for one attempt
    )
