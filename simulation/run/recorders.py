"""Recorders: the activities of a rehearsal's workers. They answer and record, and have no effect outside."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.action_runner import carry_out
from activities.actions.internal import PURE
from activities.actions.secrets import SecretResolver
from activities.messages import (
    ActionRun,
    DirectoryQuery,
    DirectoryResult,
    SubprocessOutcome,
    SubprocessQuery,
    TokenCheck,
    TokenVerdict,
)
from activities.subprocesses import SubprocessResultSigner
from activities.workflow_tasks import task_of_activity
from placet.audit.chain import Entry, first_bad, genesis
from placet.audit.reasons import because
from placet.definition.assignees import parse_assignee
from placet.directory import Directory, people_reached
from placet.engine.events import ActionDone
from placet.engine.recording import Recording
from placet.engine.state import Notification, Task
from placet.errors import Problem
from simulation.run.driver import AppliedEvent
from simulation.world.world import SimulatedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class WithheldAction:
    """An action that was not run: its input, and the output or error that was returned instead.

    `breaches` are the places where input or output break its schemas.
    """

    request_id: str
    node: str
    action: str
    key: str
    side_effects: tuple[str, ...]
    input: dict[str, Any]
    output: dict[str, Any] | None
    error: str | None
    breaches: tuple[Problem, ...] = ()


@dataclass(kw_only=True)
class RequestLog:
    """What one rehearsed request recorded, and the notifications and actions that were withheld from it."""

    request_id: str
    entries: list[Entry] = field(default_factory=list)
    notifications: dict[str, Notification] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    actions: dict[str, WithheldAction] = field(default_factory=dict)
    started_at: datetime | None = None
    ended: bool = False
    claimable: bool = False  # it has ended for people, and waits for the claim of its action

    def __post_init__(self) -> None:
        self._changed = asyncio.Condition()
        self._simulated: asyncio.Future[SimulatedRun] = asyncio.get_running_loop().create_future()
        self._lost = False  # it differs from the simulated run: there is nothing to wait for

    @property
    def seq(self) -> int:
        """The number of entries."""
        return len(self.entries)

    async def until(self, met: Callable[[], bool], patience: timedelta) -> bool:
        """Wait until a condition on the log is met; returns False where it is not met in time."""
        try:
            async with asyncio.timeout(patience.total_seconds()), self._changed:
                await self._changed.wait_for(met)
        except TimeoutError:
            return False
        return True

    async def reached(self, seq: int, patience: timedelta) -> None:
        """Wait until that many entries are recorded, unless the request differs from the core already."""
        if not self._lost:
            self._lost = not await self.until(lambda: self.seq >= seq, patience)

    async def take(self, recording: Recording) -> None:
        """Keep a recording; its entries replace those with the same numbers, as in the store.

        Only the new entries are checked: checking the whole chain each time would take seconds for a year of reminders.
        """
        first = recording.entries[0].seq
        before = self.entries[: first - 1]
        known = before[-1].hash if before else genesis(self.request_id)
        if first_bad(known, recording.entries, after=len(before)) is not None:
            raise ApplicationError("the audit chain of the rehearsal is broken", non_retryable=True)
        async with self._changed:
            self.entries[first - 1 :] = recording.entries
            self.notifications.update((notification.key, notification) for notification in recording.notifications)
            self.tasks.update((task.id, task) for task in recording.tasks)
            self.started_at = recording.started_at
            self.ended = recording.status != "pending"
            self.claimable = recording.claim is not None and recording.claim.status == "open"
            self._changed.notify_all()

    def expect(self, simulated: SimulatedRun) -> None:
        """Set the simulated run of the request: its actions wait for it."""
        self._simulated.set_result(simulated)

    async def simulated(self) -> SimulatedRun:
        """Return the simulated run of the request, once it is known."""
        return await asyncio.shield(self._simulated)


class Recorders:
    """Answer all the activities of a rehearsal, with a log for each of its requests."""

    def __init__(self, people: Directory, patience: timedelta) -> None:
        """Answer from this directory; `patience` bounds the wait for what has to precede the end of an action."""
        self._people = people
        self._patience = patience
        self._logs: dict[str, RequestLog] = {}
        self._endings = SubprocessResultSigner(secrets.token_hex())
        self.lookups = 0

    def of(self, request_id: str) -> RequestLog:
        """Return the log of one request."""
        if request_id not in self._logs:
            self._logs[request_id] = RequestLog(request_id=request_id)
        return self._logs[request_id]

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """The activities that a worker for approvals registers."""
        return [
            self.record,
            self.stored_seq,
            self.look_up,
            self.verify_token,
            self.child_result,
            self._endings.sign,
            self._endings.verify,
        ]

    @property
    def withheld(self) -> list[WithheldAction]:
        """List the withheld actions, in the order in which they ended."""
        return [action for log in self._logs.values() for action in log.actions.values()]

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> bool:
        """Keep a recording instead of writing it to the store; return whether the engine suggests a new run."""
        task = task_of_activity()
        await self.of(recording.request_id).take(recording)
        return task is not None and task.suggests_new_run

    @activity.defn(name="stored_seq")
    async def stored_seq(self, request_id: str) -> int:
        """Return the number of the last entry of a request."""
        return len(self.of(request_id).entries)

    @activity.defn(name="look_up")
    async def look_up(self, lookup: DirectoryQuery) -> DirectoryResult:
        """Answer from the directory of the rehearsal."""
        self.lookups += 1
        people = self._people.people
        directory = people_reached(
            [parse_assignee(name) for name in lookup.names],
            find=people.get,
            holders=lambda role: [people[i] for i in self._people.holders(role)],
            members=lambda group: [people[i] for i in self._people.members(group)],
            also=lookup.people,
            given=lookup.given,
        )
        return DirectoryResult(directory=directory, at=lookup.at)

    @activity.defn(name="verify_token")
    async def verify_token(self, check: TokenCheck) -> TokenVerdict:
        """Refuse every token: a rehearsal takes no decisions from outside."""
        return TokenVerdict(
            person=None,
            round=None,
            reason=str(because("token_rehearsal")),
            at=check.at,
            code="token_rehearsal",
            hand_overs=None,
            revision=None,
        )

    @activity.defn(name="child_result")
    async def child_result(self, asked: SubprocessQuery) -> SubprocessOutcome:  # noqa: ARG002 - the signature of the real one
        """Leave it to the sub-process to report its end: polling would keep the engine from skipping time."""
        return SubprocessOutcome(outcome=None)

    @activity.defn(name="run_action")
    async def run_action(self, asked: ActionRun) -> dict[str, Any]:
        """Record an action, and return what `simulation.world.answers` gives, once its time has passed.

        Its time passes between two attempts: the engine skips that delay like any timer, but skips no time while an
        attempt runs. Whenever a workflow's clock is set, the engine makes the next attempt at once. An attempt that
        ended before the timers that are due had fired would make the engine skip these, so it waits for them.
        """
        spec, call, info = asked.spec, asked.call, activity.info()
        log = self.of(info.workflow_id or "")
        simulated = await log.simulated()
        answered = simulated.answers.action(call)
        if answered is None:
            raise ApplicationError("the action does not end in this simulation", non_retryable=True)
        span, done = answered
        left = info.scheduled_time + span - info.started_time
        before = _entries_before(simulated.trace.applied_events, call.key)
        if left > timedelta(0):
            due = simulated.trace.seq_at(info.started_time - (log.started_at or info.started_time))
            await log.reached(min(due, before), self._patience)
            raise ApplicationError(
                f"the action takes {span}",
                type="TakesTime",
                next_retry_delay=left,
                category=ApplicationErrorCategory.BENIGN,
            )
        # The engine may process events of the same time in any order: the simulated order is kept.
        await log.reached(before, self._patience)
        if simulated.answers.computes(call):
            done = await _computed(asked)
        log.actions[call.key] = WithheldAction(
            request_id=log.request_id,
            node=call.node,
            action=call.action,
            key=call.key,
            side_effects=spec.side_effects,
            input=call.input,
            output=done.output if done.ok else None,
            error=done.error,
            breaches=simulated.answers.breaches(call),
        )
        if not done.ok:
            raise ApplicationError(done.error or "the action failed", type="ActionFailed", non_retryable=True)
        return done.output


async def _computed(asked: ActionRun) -> ActionDone:
    """Run a pure action with the production executors, so that a rehearsal checks these against the core."""
    call = asked.call
    try:
        output = await carry_out(PURE, asked, SecretResolver({}))
    except ApplicationError as error:
        return ActionDone(node=call.node, visit=call.visit, key=call.key, ok=False, error=error.message)
    return ActionDone(node=call.node, visit=call.visit, key=call.key, ok=True, output=output)


def _entries_before(applied_events: tuple[AppliedEvent, ...], key: str) -> int:
    return next((applied.seq for applied in applied_events if getattr(applied.event, "key", None) == key), 0)
