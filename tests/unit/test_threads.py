"""Threads: what is carried out on them, in which order, and what becomes of those who give up."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from storage.threads import Threads


class Held:
    """Something that work refers to."""


async def test_results_and_errors_come_back_to_who_waits() -> None:
    threads = Threads(2, "test")
    assert await asyncio.gather(*(threads.run(lambda n=n: n * n) for n in range(100))) == [n * n for n in range(100)]  # type: ignore[misc]  # a default binds the number
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    assert await threads.run(lambda: threading.current_thread().name) in {"test_0", "test_1"}
    await asyncio.to_thread(threads.shutdown)


async def test_there_are_never_more_threads_than_allowed_and_each_takes_what_waits_longest() -> None:
    threads, order = Threads(1, "test"), list[int]()
    await asyncio.gather(*(threads.run(lambda n=n: order.append(n)) for n in range(50)))  # type: ignore[misc]  # as above
    assert order == list(range(50))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("test_")] == ["test_0"]
    await asyncio.to_thread(threads.shutdown)


async def test_work_that_is_given_up_while_it_waits_is_not_begun_and_what_has_begun_ends() -> None:
    threads, go_on, begun, done = Threads(1, "test"), threading.Event(), threading.Event(), list[str]()

    def slow() -> None:
        begun.set()
        go_on.wait(60)
        done.append("slow")

    running, waiting = threads.run(slow), threads.run(lambda: done.append("waiting"))
    await asyncio.to_thread(begun.wait, 60)
    running.cancel()
    waiting.cancel()
    following = threads.run(lambda: done.append("following"))
    go_on.set()
    await following
    assert done == ["slow", "following"]
    await asyncio.to_thread(threads.shutdown)


async def test_shutdown_carries_out_what_waits_and_refuses_more() -> None:
    threads, done = Threads(2, "test"), list[int]()
    futures = [threads.run(lambda n=n: done.append(n)) for n in range(20)]  # type: ignore[misc]  # as above
    await asyncio.to_thread(threads.shutdown)
    assert sorted(done) == list(range(20))
    await asyncio.gather(*futures)
    with pytest.raises(RuntimeError, match="shut down"):
        threads.run(lambda: None)


async def test_idle_threads_keep_nothing_of_the_last_work() -> None:
    threads, held = Threads(1, "test"), Held()
    gone = weakref.ref(held)

    def work(held: Held = held) -> Held:
        return held

    await threads.run(work)
    del held, work
    await threads.run(lambda: None)
    gc.collect()
    assert gone() is None
    await asyncio.to_thread(threads.shutdown)


def test_a_loop_that_was_closed_meanwhile_harms_no_thread() -> None:
    threads, go_on = Threads(1, "test"), threading.Event()

    async def give_up() -> None:
        threads.run(lambda: go_on.wait(60))

    asyncio.run(give_up())
    go_on.set()

    async def again() -> str:
        return await threads.run(lambda: "well")

    assert asyncio.run(again()) == "well"
    threads.shutdown()
