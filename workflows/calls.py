"""The calls of a run: catalog actions on their own task queue, and sub-processes as child workflows.

A sub-process sends its result to its parent by a signed signal, which reaches the parent also after that has continued
as new; a child's result does not. Where no signal comes (the sub-process was terminated, or its worker does not sign),
the run that started it sees the child's result. Later runs look it up by an activity, which fails and is retried while
the sub-process runs, since retries cost no event and no worker time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, FailureError
from temporalio.workflow import ParentClosePolicy

from activities.messages import ActionRun, SubprocessOutcome, SubprocessQuery, SubprocessResult
from placet.audit.sealed import secret_of
from placet.definition.action_spec import ActionCall, ActionSpec, LatencyClass
from placet.directory import NEVER, Directory
from placet.engine import machine
from placet.engine.events import ActionDone, ChildEnded, Event, Opening
from placet.engine.state import ChildCall, State, Transition
from placet.plan.plan import Plan
from workflows import display
from workflows.interface import Parent, Start
from workflows.local_activities import local
from workflows.signals import SignedSubprocessResult

Deliver = Callable[[Event], Coroutine[Any, Any, None]]
Waits = Callable[[ChildCall], bool]

# The timeout of one attempt, and its heartbeat timeout; None: no heartbeats.
_TIMES: dict[LatencyClass, tuple[timedelta, timedelta | None]] = {
    "instant": (timedelta(seconds=5), None),
    "fast": (timedelta(seconds=30), None),
    "medium": (timedelta(minutes=5), timedelta(seconds=60)),
    "slow": (timedelta(hours=1), timedelta(seconds=60)),
    "very_slow": (timedelta(hours=24), timedelta(minutes=5)),
}
# Actions that may be repeated are retried for about a quarter of an hour; all others are sent once.
_AGAIN = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5), maximum_attempts=10)
_ONCE = RetryPolicy(maximum_attempts=1)
# Timeout and retries of the look-up of a sub-process's end, which is the exception: most send a signal.
_LOOK_TIMEOUT = timedelta(seconds=30)
_LOOKS = RetryPolicy(initial_interval=timedelta(seconds=10), maximum_interval=timedelta(minutes=5))


class Calls:
    """Runs the calls that transitions request, and delivers their results as events."""

    def __init__(self, plan: Plan, deliver: Deliver, waits: Waits) -> None:
        """`deliver` applies an event to the request; `waits` tells whether a sub-process is still awaited."""
        self._plan = plan
        self._deliver = deliver
        self._waits = waits
        self._wanted: list[Transition] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._underway: set[asyncio.Task[None]] = set()  # those of them that the run's end has to wait for
        self._started: dict[str, asyncio.Task[None]] = {}  # by the child's request id

    @property
    def idle(self) -> bool:
        """Whether no call is running whose result only this run can take."""
        return not self._underway

    def go_on(self, plan: Plan) -> None:
        """Use another plan for later calls."""
        self._plan = plan

    def want(self, step: Transition) -> None:
        """Keep the calls of a transition until it is recorded."""
        if step.actions or step.children or step.ended_children:
            self._wanted.append(step)

    def begin(self, state: State) -> None:
        """Begin the calls of recorded transitions."""
        steps, self._wanted = self._wanted, []
        for step in steps:
            for action in step.actions:
                self._spawn(self._run_action(action), self._underway)
            for child in step.children:
                self._started[child.request_id] = self._spawn(self._run_child(child, state), self._underway)
            for request_id in step.ended_children:
                self._spawn(self._cancel_child(request_id), self._underway)

    def resume(self, state: State) -> None:
        """Watch the sub-processes that an earlier run started, since their handles ended with that run."""
        if state.children and workflow.patched("look-after-children"):
            for call in state.children:
                self._spawn(self._find_out(call), self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None], group: set[asyncio.Task[None]]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        group.add(task)
        task.add_done_callback(group.discard)
        return task

    async def _run_action(self, call: ActionCall) -> None:
        spec = self._plan.actions[call.action]
        limit, silence = _TIMES[spec.latency_class]
        try:
            output = await workflow.execute_activity(
                "run_action",
                ActionRun(spec=spec, call=call),
                result_type=dict[str, Any],
                task_queue=f"{workflow.info().task_queue}-actions",
                start_to_close_timeout=limit,
                heartbeat_timeout=silence,
                retry_policy=retries(spec),
                summary=f"{call.action} at {call.node}"[:200],
            )
        except ActivityError as error:
            done = ActionDone(node=call.node, visit=call.visit, key=call.key, ok=False, error=_reason(error))
        else:
            done = ActionDone(node=call.node, visit=call.visit, key=call.key, ok=True, output=output)
        await self._deliver(done)

    async def _run_child(self, call: ChildCall, state: State) -> None:
        child = self._plan.children[call.child]
        opening = Opening(
            request_id=call.request_id,
            requester=state.requester,
            title=call.title,
            input=call.input,
            directory=Directory(),
            directory_at=NEVER,
            parent=state.request_id,
            secret=secret_of(state.secret, call.request_id) if state.secret else "",
            titled=True,
        )
        parent = Parent(request_id=state.request_id, node=call.node, visit=call.visit)
        try:
            handle = await workflow.start_child_workflow(
                "ApprovalWorkflow",
                Start(plan=child.plan, opening=opening, template_id=child.template_id, parent=parent),
                id=call.request_id,
                # The engine applies other policies also when the parent continues as new, so the run cancels it itself.
                parent_close_policy=ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=display.opening_attributes(
                    child.plan, machine.opening_state(child.plan, opening, workflow.now())
                ),
                static_summary=display.summary(child.plan),
            )
        except FailureError as error:
            await self._child_failed(call, error)
            return
        self._spawn(self._watch_child(call, handle), self._tasks)

    async def _watch_child(self, call: ChildCall, handle: workflow.ChildWorkflowHandle[Any, Any]) -> None:
        """Take the result of a child that sent no valid signal, for example because it was terminated."""
        try:
            await handle
        except ChildWorkflowError as error:
            await self._child_failed(call, error)
            return
        # It sent its signal before it ended, so that is applied now or in a moment, unless the signature is invalid.
        if self._waits(call) and workflow.patched(f"find-out-{call.request_id}"):
            await workflow.wait_condition(workflow.all_handlers_finished)
            if self._waits(call):
                await self._find_out(call)

    async def _find_out(self, call: ChildCall) -> None:
        """Wait by an activity until a child has ended, and take its result."""
        found = await workflow.execute_activity(
            "child_result",
            SubprocessQuery(child=call.request_id),
            result_type=SubprocessOutcome,
            start_to_close_timeout=_LOOK_TIMEOUT,
            retry_policy=_LOOKS,
            summary=f"whether {call.request_id} has ended"[:200],
        )
        if found.outcome is not None:
            await self._ended(call, found.outcome, found.output)

    async def _child_failed(self, call: ChildCall, error: FailureError) -> None:
        workflow.logger.warning("sub-process %s failed: %s", call.request_id, error)
        await self._ended(call, "failed")

    async def _ended(self, call: ChildCall, outcome: str, output: dict[str, Any] | None = None) -> None:
        """Deliver the result of a child. Where the request ends with it, it is recorded before the run ends."""
        ended = ChildEnded(node=call.node, visit=call.visit, outcome=outcome, output=output or {})
        group = self._underway if workflow.patched("record-how-children-end") else self._tasks
        await self._spawn(self._deliver(ended), group)

    async def _cancel_child(self, request_id: str) -> None:
        if (started := self._started.get(request_id)) is not None:
            await started
        try:
            await workflow.get_external_workflow_handle(request_id).cancel()
        except FailureError as error:  # it has already ended
            workflow.logger.info("sub-process %s has already ended: %s", request_id, error)


async def tell_parent(parent: Parent, state: State) -> None:
    """Send the result to the parent by a signed signal; a parent that has ended is skipped."""
    signed = SignedSubprocessResult(
        node=parent.node, visit=parent.visit, outcome=state.outcome or "failed", output=state.input, signature=""
    )
    if workflow.patched("sign-endings"):
        ending = result_to_sign(signed, parent=parent.request_id, child=state.request_id)
        signed = replace(signed, signature=await local("sign_ending", ending, str))
    try:
        await workflow.get_external_workflow_handle(parent.request_id).signal("child_ended", signed)
    except FailureError as error:
        workflow.logger.info(
            "parent %s has ended and does not wait for sub-process %s: %s", parent.request_id, state.request_id, error
        )


def result_to_sign(signed: SignedSubprocessResult, *, parent: str, child: str) -> SubprocessResult:
    """Return what the signature of a result covers."""
    return SubprocessResult(
        parent=parent, node=signed.node, visit=signed.visit, child=child, outcome=signed.outcome, output=signed.output
    )


def retries(spec: ActionSpec) -> RetryPolicy:
    """Return the retry policy of an action: retries only where a repeat has no second effect."""
    return _AGAIN if spec.is_idempotent or spec.accepts_key else _ONCE


def _reason(error: ActivityError) -> str:
    cause: BaseException | None = error.cause
    if isinstance(cause, ApplicationError):
        return cause.message
    return f"it did not end in time ({cause})" if cause is not None else str(error)
