"""Run the activations of workflows on the worker's event loop where they are short, and on threads where they are not.

The SDK runs each activation on a thread, to notice one that never ends. An approval has five activations of less than a
millisecond; handing them to threads and back costs more than they do, since the threads compete for the interpreter.
docs/decisions/0020-cpu-of-an-approval.md has the figures.

An activation runs on a thread, where the SDK watches it, if it replays a history, if it brings much, if an earlier one
of its run took long, or if it is the first of its run shortly after any took long. One that takes longer than the SDK
allows is interrupted, and again until it ends; its task fails as it would on a thread, and the engine repeats it as a
replay. One that only waits for a processor of a busy machine is given more time. The activation that ends a run's tasks
is never interrupted: a task that it was about to wake up would never end, the run would keep its place in the worker's
cache for ever, and the SDK's core, which counts on that place, would leave the first task of another run waiting.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, thread_time
from typing import Any, TypeVar

from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from activities.workflow_tasks import TASKS

Result = TypeVar("Result")

_LONG = 0.05  # seconds; one decision with expressions of the usual size takes a hundredth of it
_WARY_SECONDS = 60.0  # how long first activations run on threads after a long one: others may be of the same process
_MOST_BYTES = 64_000  # of the messages that an activation brings
_DEADLOCK_SECONDS = 2.0  # as the SDK's own; of the processor by this thread, or `_BLOCKED` times as many by the clock
_BLOCKED = 10
_AGAIN = 0.1  # seconds until an interruption is repeated: callbacks of the collector and finalizers swallow it
_THREADS = 100  # as many as the SDK lets workflow tasks be under way


class _Interrupt(BaseException):
    """Stops an activation that does not end."""


class ActivationExecutor(ThreadPoolExecutor):
    """The executor of a worker's activations. It is used from the event loop of one thread."""

    def __init__(self, *, long: float = _LONG, deadlock: float = _DEADLOCK_SECONDS) -> None:
        super().__init__(_THREADS, thread_name_prefix="workflow")
        self._long_seconds = long
        self._deadlock_seconds = deadlock
        self._long_runs: set[str] = set()
        self._known_runs: set[str] = set()
        self._wary_until = 0.0

    def submit(  # type: ignore[override]  # the SDK submits a method and its activation, and nothing by name
        self, work: Callable[..., Result], /, *given: Any
    ) -> Future[Result]:
        """Run `work` once the loop is free if it is a short activation, or on a thread."""
        activation = given[0] if len(given) == 1 else None
        if not isinstance(activation, WorkflowActivation):
            return super().submit(work, *given)
        TASKS.note(activation)
        ends_tasks = any(job.HasField("remove_from_cache") for job in activation.jobs)
        if ends_tasks:
            self._known_runs.discard(activation.run_id)
            self._long_runs.discard(activation.run_id)
        elif not self._is_short(activation):
            return super().submit(work, *given)
        loop = asyncio.get_running_loop()
        done: Future[Result] = Future()
        # Not at once, because no task may be stepped within another; and in an empty context, as on a thread.
        allowed = 0 if ends_tasks else self._deadlock_seconds
        loop.call_soon(self._run, loop, done, work, activation, allowed, context=contextvars.Context())
        return done

    def _is_short(self, activation: WorkflowActivation) -> bool:
        run = activation.run_id
        new = run not in self._known_runs
        self._known_runs.add(run)
        return not (
            activation.is_replaying
            or run in self._long_runs
            or (new and monotonic() < self._wary_until)
            or threading.current_thread() is not threading.main_thread()  # only it can be interrupted
            or activation.ByteSize() > _MOST_BYTES
        )

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        done: Future[Result],
        work: Callable[[WorkflowActivation], Result],
        activation: WorkflowActivation,
        allowed: float,
    ) -> None:
        """Carry out an activation; it is interrupted after the seconds that are allowed, never where those are 0."""
        if not done.set_running_or_notify_cancel():
            return
        begun, used, here = monotonic(), thread_time(), threading.get_ident()
        under_way = True
        stuck = False
        # The activation is not to blame for the collector of garbage, in whose callbacks an interruption would be lost.
        collected, collecting = 0.0, False

        def collector(phase: str, _: dict[str, int]) -> None:
            nonlocal collected, collecting
            if threading.get_ident() == here:
                collecting = phase == "start"
                collected += -thread_time() if collecting else thread_time()

        def interrupt(*_: Any) -> None:
            nonlocal stuck
            if not under_way:  # it has just ended; nothing here would catch it
                return
            rest = _AGAIN if collecting else allowed + collected - (thread_time() - used)
            if rest > 0 and monotonic() - begun < _BLOCKED * allowed:
                signal.setitimer(signal.ITIMER_REAL, rest)
                return
            stuck = True
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            raise _Interrupt

        gc.callbacks.insert(0, collector)
        before = signal.signal(signal.SIGALRM, interrupt)
        left, _ = signal.setitimer(signal.ITIMER_REAL, allowed)  # of another's timer, if there is one
        result: Result | BaseException
        try:
            result = work(activation)
        except BaseException as error:  # the SDK reads it from the future, as from a thread
            result = error
        finally:
            under_way = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            signal.setitimer(signal.ITIMER_REAL, left)
            gc.callbacks.remove(collector)
            asyncio._set_running_loop(loop)  # a workflow is a loop of its own, and leaves none behind
        if stuck:  # also where the workflow has caught it
            done.set_exception(TimeoutError())  # which the SDK takes for its own
        elif isinstance(result, BaseException):
            done.set_exception(result)
        else:
            done.set_result(result)
        if (ended := monotonic()) - begun > self._long_seconds or stuck:
            if activation.run_id in self._known_runs:  # the end of a run's tasks is the last of it
                self._long_runs.add(activation.run_id)
            self._wary_until = ended + _WARY_SECONDS
