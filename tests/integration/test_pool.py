"""The pool of processes: work ends within its limits, and whatever becomes of it, the service goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from placet.errors import Busy, InputInvalid, TooMuchWork, Unavailable
from service.pool.pool import LONGEST_ANSWER, Limits, ProcessPool, WorkFailed, processes
from tests import pool_work as work
from tests.waiting import until

LIMITS = Limits(processes=1, megabytes=256, seconds=2, waiting=4)


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[ProcessPool]:
    async with processes(LIMITS) as opened:
        yield opened


async def test_work_is_carried_out_elsewhere_and_its_process_is_kept(pool: ProcessPool) -> None:
    assert pool.pids == ()
    assert await pool.run(work.add, 1, 2) == 3
    (first,) = pool.pids
    assert first != os.getpid()
    assert await pool.run(work.add, 3, 4) == 7
    assert pool.pids == (first,)
    assert await pool.run(work.proof)


@pytest.mark.parametrize(
    ("broken", "arguments", "bound"),
    [
        (work.spin, (), "2 seconds of processor time"),
        (work.eat, (), "256 MB of memory"),
        (work.eat_in_bits, (), "256 MB of memory"),
        (work.die, (signal.SIGSEGV,), "256 MB of memory, or nesting"),
        (work.die, (signal.SIGABRT,), "256 MB of memory, or nesting"),  # how native code ends without memory
        (work.die, (signal.SIGKILL,), "256 MB of memory, or nesting"),  # how the kernel ends who takes too much
        (work.long_answer, (LONGEST_ANSWER + 1,), "64 MB for its answer"),
    ],
)
async def test_work_that_exceeds_its_limits_is_given_up_and_the_next_is_carried_out(
    pool: ProcessPool, broken: object, arguments: tuple[int, ...], bound: str
) -> None:
    with pytest.raises(TooMuchWork, match=bound):
        await pool.run(broken, *arguments)  # type: ignore[arg-type]  # a table of functions
    assert await pool.run(work.add, 1, 2) == 3


async def test_a_refusal_arrives_as_it_was_raised_and_a_fault_with_its_trace(pool: ProcessPool) -> None:
    with pytest.raises(InputInvalid, match="not this") as caught:
        await pool.run(work.refuse)
    assert [problem.pointer for problem in caught.value.problems] == ["/a"]
    with pytest.raises(WorkFailed, match="our own fault"):
        await pool.run(work.break_off)
    with pytest.raises(WorkFailed, match="odd"):
        await pool.run(work.lack)


async def test_what_work_tells_is_heard_while_it_goes_on(pool: ProcessPool) -> None:
    heard: list[int] = []
    assert await pool.run(work.count, 5, tell=heard.append) == 5
    await holds(lambda: len(heard) == 5)
    assert heard == [0, 1, 2, 3, 4]


async def test_whoever_goes_away_takes_the_process_along(pool: ProcessPool) -> None:
    going = asyncio.create_task(pool.run(work.sleep))
    await holds(lambda: any(pool.pids))
    (pid,) = pool.pids
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert not _lives(pid)
    assert await pool.run(work.add, 1, 2) == 3


async def test_so_many_wait_and_the_next_is_told_to_come_again(pool: ProcessPool) -> None:
    first = asyncio.create_task(pool.run(work.sleep, by="ann"))
    await holds(lambda: any(pool.pids))
    anns = [asyncio.create_task(pool.run(work.add, 1, 2, by="ann")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy) as caught:  # half of the places are for others
        await pool.run(work.add, 1, 2, by="ann")
    assert caught.value.retry_after > 0
    others = [asyncio.create_task(pool.run(work.add, 1, 2, by=name)) for name in ("bob", "carl")]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await pool.run(work.add, 1, 2, by="dora")
    first.cancel()
    assert await asyncio.gather(*anns, *others) == [3] * 4
    await asyncio.gather(first, return_exceptions=True)
    assert await pool.run(work.add, 1, 2, by="dora") == 3


async def test_work_that_nobody_waits_for_leaves_a_process_to_the_others() -> None:
    async with processes(Limits(processes=2)) as two:
        behind = [asyncio.create_task(two.run(work.sleep, background=True)) for _ in range(40)]
        await holds(lambda: any(two.pids))
        assert await two.run(work.add, 1, 2) == 3
        for task in behind:
            task.cancel()
        await asyncio.gather(*behind, return_exceptions=True)


async def test_a_process_that_holds_much_or_is_not_needed_is_ended() -> None:
    async with processes(Limits(processes=1, megabytes=1000)) as one:
        assert await one.run(work.hold, 10) == 10
        assert len(one.pids) == 1
        assert await one.run(work.hold, 400) == 400
        assert one.pids == ()
    async with processes(Limits(processes=1, megabytes=1000, idle_seconds=0.01)) as one:
        assert await one.run(work.add, 1, 2) == 3
        await holds(lambda: one.pids == ())


async def test_a_closed_pool_leaves_nothing_behind() -> None:
    pool = ProcessPool(LIMITS)
    going = asyncio.create_task(pool.run(work.sleep))
    await holds(lambda: any(pool.pids))
    (pid,) = pool.pids
    await pool.close()
    with pytest.raises(Unavailable):
        await going
    assert not _lives(pid)
    with pytest.raises(Unavailable):
        await pool.run(work.add, 1, 2)


async def test_a_process_knows_no_secret(monkeypatch: pytest.MonkeyPatch, pool: ProcessPool) -> None:
    monkeypatch.setenv("PLACET_SECRET_KEY", "a secret of the service")
    assert "a secret of the service" not in (await pool.run(work.environment)).values()


PARENT = """
import asyncio, os, signal, sys
sys.path.insert(0, os.getcwd())
from tests import pool_work as work
from service.pool.pool import Limits, ProcessPool

async def main():
    pool = ProcessPool(Limits(processes=1))
    if {idle}:
        await pool.run(work.add, 1, 2)
    else:
        asyncio.create_task(pool.run(work.spin))
        while not any(pool.pids):
            await asyncio.sleep(0.01)
    print(pool.pids[0], flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.mark.parametrize("idle", [True, False])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_no_process_outlives_its_parent(how: signal.Signals, idle: bool) -> None:
    root = Path(__file__).parents[2]
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT.format(idle=idle), cwd=root, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.send_signal(how)
    await parent.wait()
    await holds(lambda: not _lives(pid))


async def holds(question: Callable[[], bool]) -> None:
    async def asked() -> bool:
        return question()

    await until(asked)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
