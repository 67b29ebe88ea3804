"""Which activations run on the event loop, which on threads, and what becomes of one that does not end."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest
from temporalio.bridge.proto.workflow_activation import RemoveFromCache, WorkflowActivation, WorkflowActivationJob

from workflows import activation
from workflows.activation import ActivationExecutor


async def _thread(
    executor: ActivationExecutor, activation: WorkflowActivation, also: Callable[[], object] = lambda: None
) -> int:
    """Carry an activation out as the SDK does, and return the thread that it ran on."""

    def work(_: WorkflowActivation) -> int:
        also()
        asyncio._set_running_loop(None)  # as the SDK's workflows leave it
        return threading.get_ident()

    return await asyncio.get_running_loop().run_in_executor(executor, work, activation)


def _live(run: str = "run") -> WorkflowActivation:
    return WorkflowActivation(run_id=run)


def _busy(loops: int) -> Callable[[], object]:
    return lambda: sum(range(loops))


async def test_a_live_activation_runs_on_the_event_loop_and_leaves_it_running() -> None:
    here = threading.get_ident()
    executor = ActivationExecutor(long=60)
    assert await _thread(executor, _live()) == here
    assert asyncio.get_running_loop().is_running()


async def test_what_is_no_activation_runs_on_a_thread() -> None:
    executor = ActivationExecutor()
    assert await asyncio.get_running_loop().run_in_executor(executor, threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize(
    "activation",
    [
        WorkflowActivation(run_id="run", is_replaying=True),  # as long as its history
        WorkflowActivation(run_id="r" * 64_001),  # brings much
    ],
)
async def test_an_activation_that_may_take_long_runs_on_a_thread(activation: WorkflowActivation) -> None:
    assert await _thread(ActivationExecutor(), activation) != threading.get_ident()


async def test_after_a_long_activation_its_run_and_new_ones_run_on_threads_and_known_short_ones_do_not() -> None:
    here = threading.get_ident()
    executor = ActivationExecutor(long=0)
    assert await _thread(executor, _live("long"), _busy(1000)) == here
    assert await _thread(executor, _live("long")) != here
    assert await _thread(executor, _live("new")) != here
    assert await _thread(executor, _live("new")) == here, "its first one was on a thread, where nothing is told of it"


async def test_a_run_that_left_the_cache_is_forgotten() -> None:
    here = threading.get_ident()
    executor = ActivationExecutor(long=0)
    await _thread(executor, _live("long"), _busy(1000))
    removed = WorkflowActivation(run_id="long", jobs=[WorkflowActivationJob(remove_from_cache=RemoveFromCache())])
    assert await _thread(executor, removed) == here
    assert not executor._long_runs
    assert not executor._known_runs


async def test_an_activation_that_does_not_end_is_interrupted_as_one_on_a_thread_would_be() -> None:
    def stuck() -> None:
        while True:
            pass

    executor = ActivationExecutor(deadlock=0.01)
    with pytest.raises(TimeoutError):
        await _thread(executor, _live(), stuck)
    assert await _thread(executor, _live("other"), lambda: None) != threading.get_ident(), "others may be stuck too"


async def test_an_interruption_counts_also_where_the_workflow_catches_it() -> None:
    def stubborn() -> None:
        while True:
            try:
                while True:
                    pass
            except BaseException:
                return

    with pytest.raises(TimeoutError):
        await _thread(ActivationExecutor(deadlock=0.01), _live(), stubborn)


async def test_an_interruption_that_a_finalizer_swallows_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    swallowed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", swallowed.append)

    class Finalized:
        def __del__(self) -> None:
            while True:
                pass

    def stuck() -> None:
        Finalized()
        while True:
            pass

    with pytest.raises(TimeoutError):
        await _thread(ActivationExecutor(deadlock=0.01), _live(), stuck)
    assert len(swallowed) == 1


async def test_what_the_collector_takes_is_not_counted_and_its_callbacks_are_not_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swallowed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", swallowed.append)
    monkeypatch.setattr(activation, "_BLOCKED", 1000)  # how long a busy machine may take for it is no part of this

    class Node:
        itself: object

        def __del__(self) -> None:
            until = time.thread_time() + 0.3
            while time.thread_time() < until:
                pass

    def collect() -> None:
        node = Node()
        node.itself = node  # only the collector finds it
        del node
        gc.collect()

    gc.freeze()  # what the tests before have left would take long on a busy machine
    try:
        assert await _thread(ActivationExecutor(deadlock=0.2), _live(), collect) == threading.get_ident()
    finally:
        gc.unfreeze()
    assert swallowed == []


async def test_what_other_threads_of_the_process_compute_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "_BLOCKED", 1000)

    def busy() -> None:
        while time.thread_time() < 0.5:
            sum(range(1000))

    other = threading.Thread(target=busy)
    other.start()
    assert await _thread(ActivationExecutor(deadlock=0.2), _live(), other.join) == threading.get_ident()


async def test_one_that_is_kept_from_a_processor_is_given_more_time() -> None:
    executor = ActivationExecutor(deadlock=0.2)
    assert await _thread(executor, _live(), lambda: time.sleep(0.5)) == threading.get_ident()


async def test_one_that_neither_computes_nor_ends_is_interrupted() -> None:
    with pytest.raises(TimeoutError):
        await _thread(ActivationExecutor(deadlock=0.01), _live(), lambda: time.sleep(500))


async def test_what_ends_the_tasks_of_a_run_is_never_interrupted() -> None:
    # It would be tried again for ever: a task whose waking was interrupted never ends.
    def busy() -> None:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass

    removed = WorkflowActivation(run_id="run", jobs=[WorkflowActivationJob(remove_from_cache=RemoveFromCache())])
    assert await _thread(ActivationExecutor(deadlock=0.01), removed, busy) == threading.get_ident()


async def test_an_error_of_an_activation_is_told() -> None:
    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await _thread(ActivationExecutor(), _live(), fail)


async def test_a_timer_of_somebody_else_goes_on_afterwards() -> None:
    before = signal.setitimer(signal.ITIMER_REAL, 500)
    try:
        await _thread(ActivationExecutor(), _live())
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 500
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
