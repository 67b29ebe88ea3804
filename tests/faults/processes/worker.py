"""A worker process: the SDK's own workflow instances around ApprovalWorkflow, and the real local activities.

It does what the SDK's core does between the engine and them: replay, local activities with retries, and the split of
tasks that take long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio import workflow
from temporalio.api.common.v1 import Payloads
from temporalio.bridge.proto.activity_result import ActivityResolution, Success
from temporalio.bridge.proto.activity_result import Failure as Failed
from temporalio.bridge.proto.workflow_activation import (
    CancelWorkflow,
    DoUpdate,
    FireTimer,
    InitializeWorkflow,
    NotifyHasPatch,
    QueryWorkflow,
    RemoveFromCache,
    ResolveActivity,
    SignalWorkflow,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.common import Priority, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails

from activities.audit import Recorder, StoredSequence, time_marker
from activities.decision_tokens import DecisionTokens, TokenVerifier
from activities.directory import DirectoryReader
from activities.due_moment import due_moment
from activities.workflow_tasks import WorkflowTask
from placet.errors import PlacetError
from tests.clocks import machine_time
from tests.faults.engine import Came, Run, Task, Update
from tests.faults.processes.by_reference import FAILURES
from tests.faults.processes.database import ProcessDatabase
from tests.faults.virtual_time import START
from workflows.approval import ApprovalWorkflow
from workflows.local_activities import LOCAL_RETRIES

if TYPE_CHECKING:
    from tests.faults.world import World

SECRET = "a secret for the simulator alone"
_DEFINITION = workflow._Definition.must_from_class(ApprovalWorkflow)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0  # seconds, as in workflows.local_activities


_ATTEMPT: ContextVar[Attempt] = ContextVar("attempt")  # that a local activity belongs to


def _task_of_attempt() -> WorkflowTask | None:
    """Return what `activities.workflow_tasks` knows of the task that a local activity belongs to."""
    attempt = _ATTEMPT.get()
    task = attempt.task
    if task is None:
        return None
    return WorkflowTask(
        length=8 * len(attempt.run.history), began=attempt.began, suggests_new_run=task.continue_as_new_suggested
    )


class Violation(AssertionError):
    """What must hold does not."""


@dataclass(eq=False)
class Attempt:
    """A workflow that a worker holds: its instance, and what it has emitted since history was last extended."""

    run: Run
    instance: WorkflowInstance
    applied: int = 0  # tasks of the history that the instance has seen
    task: Task | None = None  # that is going on
    began: datetime = START  # of the latest task with which something came: others bring the worker no activation
    fetching: int | None = None  # how long history was as the task was given out, while the worker still fetches it
    waiting: dict[int, tuple[str, Any]] = field(default_factory=dict)  # local activities that were scheduled
    results: list[tuple[int, Any]] = field(default_factory=list)  # that the instance has not been given

    def end(self) -> None:
        """Let nothing of it go on."""
        self.task = None
        self.waiting.clear()
        self.results.clear()
        job = WorkflowActivationJob(remove_from_cache=RemoveFromCache())
        self.instance.activate(WorkflowActivation(run_id=self.run.run_id, jobs=[job]))


class Worker:
    """One process. What it holds is gone when it is killed; its transactions may have been stored nevertheless."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.alive = True
        self._world = world
        self._runner = UnsandboxedWorkflowRunner()
        self.attempts: dict[str, Attempt] = {}  # by run id
        database: Any = ProcessDatabase(world.store, lambda what, writes: world.pause(self, what, writes))
        self._activities: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "record": Recorder(database, _task_of_attempt).record,
            "look_up": DirectoryReader(database).look_up,
            "moment": time_marker,
            "due_moment": due_moment,
            "stored_seq": StoredSequence(database).stored_seq,
            "verify_token": TokenVerifier(DecisionTokens(SECRET, machine_time), database).verify,
        }

    def begin(self, run: Run) -> None:
        """Take a task of a run, and give it to an instance."""
        attempt = self.attempts.get(run.run_id)
        if attempt is None or attempt.applied != len(run.history):
            if self._world.fetches_late(self, run):
                self._take_and_fetch(run)
                return
            attempt = self.replay(run)
            self.attempts[run.run_id] = attempt
            self._go_on(attempt)
        self._start(attempt)

    def _go_on(self, attempt: Attempt) -> None:
        """Begin again with the local activities that were underway when a task was split."""
        for seq, (name, value) in attempt.waiting.items():
            self._world.loop.create_task(self._execute(attempt, seq, name, value))

    def _take_and_fetch(self, run: Run) -> None:
        """Take a task whose history the worker has to fetch first, and may find it changed."""
        self.attempts[run.run_id] = attempt = self._new_attempt(run)
        attempt.fetching = len(run.history)
        attempt.task = self._world.engine.begin_task(run, attempt, suggest=self._world.suggests(run))
        self._watch(attempt, attempt.task)

    def fetched(self, attempt: Attempt) -> None:
        """Carry out a task once its history has come.

        Where it was lost meanwhile and another one given out in its place, history holds that one's beginning and what
        came for it, and the updates are those of the lost one.
        """
        run, task, length = attempt.run, attempt.task, attempt.fetching
        assert task is not None
        there, attempt.fetching = run.task, None
        if there is None or len(run.history) != length:
            self.evict(attempt)
            return
        self.replay(run, attempt)
        task.at, task.came = there.at, there.came
        self._go_on(attempt)
        self._carry_out(attempt, task)

    def _start(self, attempt: Attempt) -> None:
        attempt.task = task = self._world.engine.begin_task(
            attempt.run, attempt, suggest=self._world.suggests(attempt.run)
        )
        self._watch(attempt, task)
        self._carry_out(attempt, task)

    def _carry_out(self, attempt: Attempt, task: Task) -> None:
        if task.first:
            attempt.instance = self._instance(attempt.run, task.at)
        jobs = self._jobs(attempt.run, task, task.updates)
        if jobs:
            attempt.began = task.at
        self._activate(attempt, task, jobs, at=task.at)

    def replay(self, run: Run, attempt: Attempt | None = None) -> Attempt:
        """Build an instance from history, or give one the part that it has not seen, which comes to the same.

        Raises Violation where it does something else than history says.
        """
        attempt = attempt or self._new_attempt(run)
        for number, held in enumerate(run.history[attempt.applied :], attempt.applied):
            again = Task(at=held.at, came=held.came, updates=held.accepted, first=held.first)
            again.continue_as_new_suggested = held.continue_as_new_suggested
            jobs = [WorkflowActivationJob(notify_has_patch=NotifyHasPatch(patch_id=p)) for p in held.patches]
            came = self._jobs(run, held, held.accepted, replaying=True)
            if came:
                attempt.began = held.at
            jobs += came
            at, left = held.at, list(held.results)
            self._activate(attempt, again, jobs, at=at, replaying=True)
            while left and left[0][0] in attempt.waiting:
                jobs = []
                at = self._again(attempt, jobs, left, at)
                self._activate(attempt, again, jobs, at=at, replaying=True)
            if left:
                raise Violation(f"a replay of task {number + 1} of {run.run_id} does not ask for activity {left[0][0]}")
            if again.commands != held.commands:
                raise Violation(
                    f"a replay of task {number + 1} of {run.run_id} differs: {again.commands}, not {held.commands}"
                )
        attempt.applied = len(run.history)
        if run.history:
            timeline = self._ask(attempt, "timeline")
            self._world.checker.replayed(run, timeline.entries)
        return attempt

    def _new_attempt(self, run: Run) -> Attempt:
        started = run.history[0].at if run.history else self._world.loop.now
        return Attempt(run=run, instance=self._instance(run, started))

    def _again(
        self, attempt: Attempt, jobs: list[WorkflowActivationJob], left: list[tuple[int, Any, datetime]], at: datetime
    ) -> datetime:
        """Add the next result that history holds to the jobs of a replay, and return the time of that."""
        seq, value, moment = left.pop(0)
        del attempt.waiting[seq]
        jobs.append(self._resolution(value, seq))
        return max(at, moment)

    def resolve(self, attempt: Attempt) -> None:
        """Give an instance the results of its local activities."""
        task = attempt.task
        assert task is not None
        now = self._world.loop.now
        jobs = []
        for seq, value in attempt.results:
            del attempt.waiting[seq]
            task.results.append((seq, value, now))
            jobs.append(self._resolution(value, seq))
        attempt.results.clear()
        self._activate(attempt, task, jobs, at=now)

    def _resolution(self, value: Any, seq: int) -> WorkflowActivationJob:
        if isinstance(value, ApplicationError):
            failed = Failed()
            FAILURES().to_failure(value, self._world.converter, failed.failure)
            result = ActivityResolution(failed=failed)
        else:
            result = ActivityResolution(completed=Success(result=self._world.payload(value)))
        return WorkflowActivationJob(resolve_activity=ResolveActivity(seq=seq, result=result, is_local=True))

    def complete(self, attempt: Attempt) -> None:
        """Report a task as done; where the engine refuses that, the instance is dropped."""
        run, task = attempt.run, attempt.task
        assert task is not None
        attempt.task = None
        if run.holder is not attempt:
            self._world.note(f"{self.name} reports a task of {run.run_id} that it no longer has")
            self.evict(attempt)
        elif not self._world.engine.complete_task(run, attempt):
            self._world.note(f"{run.run_id}: its end was refused, since something has come meanwhile")
            self.evict(attempt)
        else:
            attempt.applied = len(run.history)
            if run.end is not None:
                self.evict(attempt)

    def split(self, attempt: Attempt) -> None:
        """Report that a task takes long, so that the engine does not give it to another worker."""
        run, task = attempt.run, attempt.task
        assert task is not None
        engine = self._world.engine
        new = run.came or any(update.state == "admitted" for update in run.updates.values())
        if not (new or task.commands or task.results):
            task.at, task.parts = self._world.loop.now, task.parts + 1
            self._watch(attempt, task)
            return
        if not engine.complete_task(run, attempt):
            self.evict(attempt)
            return
        attempt.applied = len(run.history)
        run.wanted = True
        self._start(attempt)

    def evict(self, attempt: Attempt) -> None:
        """Drop an instance, as the cache of a worker does."""
        if self.attempts.get(attempt.run.run_id) is attempt:
            del self.attempts[attempt.run.run_id]
        attempt.end()

    def kill(self) -> None:
        """End the process; nothing of it goes on."""
        self.alive = False
        for attempt in list(self.attempts.values()):
            self.evict(attempt)

    def query(self, run: Run, name: str) -> Any:
        """Ask a run; one that is not at hand is replayed, from where it was when it was replayed for the last question.

        Nothing must be going on.
        """
        attempt = self.attempts.get(run.run_id)
        if attempt is None or attempt.applied != len(run.history) or attempt.task is not None:
            replayed = self._world.replayed.pop(run.run_id, None)
            if replayed is None or replayed.applied != len(run.history):
                replayed = self.replay(run, replayed)
            attempt = self._world.replayed[run.run_id] = replayed
        return self._ask(attempt, name)

    def _ask(self, attempt: Attempt, name: str) -> Any:
        job = WorkflowActivationJob(query_workflow=QueryWorkflow(query_id="q", query_type=name))
        now = _stamp(self._world.loop.now)
        done = attempt.instance.activate(WorkflowActivation(run_id=attempt.run.run_id, timestamp=now, jobs=[job]))
        return self._world.value(done.successful.commands[0].respond_to_query.succeeded.response)

    def _watch(self, attempt: Attempt, task: Task) -> None:
        self._world.loop.call_later(self._world.patience, self._world.takes_long, self, attempt, task, task.parts)

    def _instance(self, run: Run, started: datetime) -> WorkflowInstance:
        info = workflow.Info(
            attempt=1,
            continued_run_id=None,
            cron_schedule=None,
            execution_timeout=None,
            first_execution_run_id=run.run_id,
            headers={},
            namespace="default",
            original_execution_run_id=run.run_id,
            parent=None,
            root=None,
            priority=Priority.default,
            raw_memo={},
            retry_policy=None,
            run_id=run.run_id,
            run_timeout=None,
            search_attributes={},
            start_time=started,
            task_queue="approvals",
            task_timeout=timedelta(seconds=10),
            typed_search_attributes=TypedSearchAttributes([]),
            workflow_id=run.workflow_id,
            workflow_start_time=run.began,
            workflow_type="ApprovalWorkflow",
        )
        details = WorkflowInstanceDetails(
            payload_converter_factory=lambda: self._world.converter,
            failure_converter_class=FAILURES,
            interceptor_classes=[],
            defn=_DEFINITION,
            info=info,
            randomness_seed=1,
            extern_functions={"__temporal_assert_local_activity_valid": lambda _: None},
            disable_eager_activity_execution=True,
            worker_level_failure_exception_types=[],
            patch_activation_callback=None,
            last_completion_result=Payloads(),
            last_failure=None,
        )
        with self._world.loop.running():
            return self._runner.create_instance(details)

    def _jobs(
        self, run: Run, task: Task, updates: list[Update], *, replaying: bool = False
    ) -> list[WorkflowActivationJob]:
        jobs = []
        if task.first:
            jobs.append(
                WorkflowActivationJob(
                    initialize_workflow=InitializeWorkflow(
                        workflow_type="ApprovalWorkflow",
                        workflow_id=run.workflow_id,
                        arguments=[self._world.payload(run.start)],
                        randomness_seed=1,
                    )
                )
            )
        jobs += [self._job(one) for one in task.came]
        for update in updates:
            jobs.append(
                WorkflowActivationJob(
                    do_update=DoUpdate(
                        id=update.id,
                        protocol_instance_id=update.protocol,
                        name=update.name,
                        input=[self._world.payload(update.event)],
                        run_validator=not replaying,
                    )
                )
            )
        return jobs

    def _job(self, one: Came) -> WorkflowActivationJob:
        if one.kind == "timer":
            return WorkflowActivationJob(fire_timer=FireTimer(seq=one.value))
        if one.kind == "cancel":
            return WorkflowActivationJob(cancel_workflow=CancelWorkflow(reason="asked for"))
        given = [] if one.value is None else [self._world.payload(one.value)]
        return WorkflowActivationJob(
            signal_workflow=SignalWorkflow(signal_name=one.name, input=given, originating_event_id=1)
        )

    def _activate(
        self,
        attempt: Attempt,
        task: Task,
        jobs: list[WorkflowActivationJob],
        *,
        at: datetime,
        replaying: bool = False,
    ) -> None:
        done = attempt.instance.activate(
            WorkflowActivation(
                run_id=attempt.run.run_id,
                timestamp=_stamp(at),
                is_replaying=replaying,
                jobs=jobs,
                history_length=8 * len(attempt.run.history),
                continue_as_new_suggested=task.continue_as_new_suggested,
            )
        )
        if done.HasField("failed"):
            raise Violation(f"a workflow task of {attempt.run.run_id} failed: {done.failed.failure.message}")
        for command in done.successful.commands:
            self._take(attempt, task, command, replaying=replaying)

    def _take(self, attempt: Attempt, task: Task, command: Any, *, replaying: bool) -> None:
        what = command.WhichOneof("variant")
        given = getattr(command, what)
        if what == "schedule_local_activity":
            value = self._world.value(given.arguments[0])
            attempt.waiting[given.seq] = (given.activity_type, value)
            if not replaying:
                self._world.loop.create_task(self._execute(attempt, given.seq, given.activity_type, value))
                if given.activity_type == "record":
                    task.recordings.append((given.seq, value))
            return
        match what:
            case "start_timer":
                seconds = _seconds(given.start_to_fire_timeout)
                task.timers.append(("start", given.seq, seconds))
                task.commands.append((what, given.seq))
            case "cancel_timer" if ("start_timer", given.seq) in task.commands:  # neither is ever reported
                task.commands.remove(("start_timer", given.seq))
                task.timers.remove(next(t for t in task.timers if t[:2] == ("start", given.seq)))
            case "cancel_timer":
                task.timers.append(("cancel", given.seq, 0.0))
                task.commands.append((what, given.seq))
            case "update_response":
                kind = given.WhichOneof("response")
                value = None
                if kind == "completed":
                    value = self._world.value(given.completed)
                elif kind == "rejected":
                    value = FAILURES().from_failure(given.rejected, self._world.converter)
                accepted = any(p == given.protocol_instance_id and k == "accepted" for p, k, _ in task.responses)
                task.responses.append((given.protocol_instance_id, kind, value))
                if kind != "rejected" or accepted or given.protocol_instance_id in _accepted_before(attempt):
                    task.commands.append((f"update {kind}", given.protocol_instance_id))
            case "set_patch_marker":
                task.patches.append(given.patch_id)
                task.commands.append((what, given.patch_id))
            case "upsert_workflow_search_attributes":
                task.commands.append((what, ""))
            case "complete_workflow_execution":
                task.end = ("completed", self._world.value(given.result))
                task.commands.append((what, ""))
            case "continue_as_new_workflow_execution":
                task.end = ("continued", self._world.value(given.arguments[0]))
                task.commands.append((what, ""))
            case _:
                raise Violation(f"{attempt.run.run_id} emits {what}: {given}")

    async def _execute(self, attempt: Attempt, seq: int, name: str, value: Any) -> None:
        """Run a local activity until it succeeds or its attempts are over, as `workflows.local_activities` asks for."""
        _ATTEMPT.set(attempt)
        pause, left = _FIRST_PAUSE, LOCAL_RETRIES.maximum_attempts
        while self.alive and attempt.waiting.get(seq, (None, None))[1] is value:
            try:
                result = await self._activities[name](value)
            except PlacetError as error:
                self._world.note(f"{self.name}: {name} of {attempt.run.run_id} failed: {error.message[:90]}")
                left -= 1
                if left:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                result = ApplicationError(error.message, type=type(error).__name__)
            except ApplicationError as error:  # which is not retried
                result = error
            if self.alive and seq in attempt.waiting:
                attempt.results.append((seq, result))
            return


def _accepted_before(attempt: Attempt) -> set[str]:
    return {protocol for task in attempt.run.history for protocol, what, _ in task.responses if what == "accepted"}


@lru_cache(maxsize=64)
def _stamp(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def _seconds(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds()
