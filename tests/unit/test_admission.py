"""Admission: how many calls are at the engine at once, who comes next, and when a call is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.http.problems import problem_of
from placet.errors import Busy
from service.engine.admission import RETRY_AFTER, Admission


class Desk:
    """Calls that stay inside until they are told to go, and the order in which they came in."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.inside: list[str] = []
        self.came: list[str] = []
        self._go: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def call(self, name: str, caller: str = "ann", about: str | None = None) -> asyncio.Task[None]:
        """Start a call, and return once it is inside, waits, or was refused."""
        self._go[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._stay(name, caller, about or name))
        await _settled()
        return self._tasks[name]

    async def go(self, name: str) -> None:
        """Let a call leave."""
        self._go[name].set()
        await self._tasks[name]
        await _settled()

    async def _stay(self, name: str, caller: str, about: str) -> None:
        async with self.admission.turn(caller, about):
            self.inside.append(name)
            self.came.append(name)
            try:
                await self._go[name].wait()
            finally:
                self.inside.remove(name)


async def _settled() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def _desk(**bounds: float) -> AsyncIterator[Desk]:
    desk = Desk(Admission(**bounds))  # type: ignore[arg-type]  # one of them is no whole number
    try:
        yield desk
    finally:
        for task in desk._tasks.values():
            task.cancel()
        await asyncio.gather(*desk._tasks.values(), return_exceptions=True)
        assert (desk.admission.inside, desk.admission.waiting) == (0, 0)


async def test_as_many_as_are_allowed_are_inside_and_the_others_wait() -> None:
    async with _desk(at_once=2) as desk:
        for name in "abc":
            await desk.call(name)
        assert (desk.inside, desk.admission.waiting) == (["a", "b"], 1)
        await desk.go("a")
        assert (desk.inside, desk.admission.waiting) == (["b", "c"], 0)


async def test_callers_take_turns_however_many_calls_one_of_them_has() -> None:
    async with _desk(at_once=1) as desk:
        for name in ("a1", "a2", "a3"):
            await desk.call(name, "ann")
        for name in ("b1", "b2"):
            await desk.call(name, "bob")
        for name in ("a1", "a2", "b1", "a3", "b2"):
            await desk.go(name)
        assert desk.came == ["a1", "a2", "b1", "a3", "b2"]


async def test_calls_about_one_request_leave_room_for_those_about_others() -> None:
    async with _desk(at_once=3, at_one=1) as desk:
        await desk.call("first", about="stuck")
        await desk.call("second", about="stuck")
        await desk.call("other", about="well")
        assert desk.inside == ["first", "other"]
        await desk.go("first")
        assert desk.inside == ["other", "second"]


@pytest.mark.parametrize(
    ("bounds", "callers"),
    [
        ({"most_waiting": 2}, ("ann", "bob", "eve")),
        ({"most_of_one": 2}, ("ann", "ann", "ann")),
    ],
)
async def test_who_comes_to_a_queue_that_is_full_is_refused_at_once(
    bounds: dict[str, int], callers: tuple[str, ...]
) -> None:
    async with _desk(at_once=1, **bounds) as desk:
        await desk.call("inside", "zoe")
        waiting = [await desk.call(str(n), caller) for n, caller in enumerate(callers)]
        assert desk.admission.waiting == 2
        assert isinstance(waiting[2].exception(), Busy)


async def test_a_full_queue_of_one_caller_refuses_nobody_else() -> None:
    async with _desk(at_once=1, most_of_one=1) as desk:
        for name in ("inside", "waits"):
            await desk.call(name, "ann")
        await desk.call("bob's", "bob")
        assert desk.admission.waiting == 2


async def test_whoever_has_waited_too_long_is_told_so_and_no_outage() -> None:
    async with _desk(at_once=1, patience=0.0) as desk:
        await desk.call("inside")
        late = await desk.call("late")
        with pytest.raises(Busy) as refused:
            await late
        assert desk.came == ["inside"]
        assert problem_of(refused.value)["status"] == 429
        assert refused.value.retry_after == RETRY_AFTER


@pytest.mark.parametrize("when", ["it waits", "its turn has come"])
async def test_a_call_that_is_given_up_leaves_its_place_to_others(when: str) -> None:
    async with _desk(at_once=1) as desk:
        await desk.call("inside")
        gone = await desk.call("gone")
        await desk.call("next")
        if when == "it waits":
            gone.cancel()
        desk._go["inside"].set()
        await desk._tasks["inside"]  # its turn has come, and it has not run yet
        gone.cancel()
        await _settled()
        assert desk.inside == ["next"]


async def test_a_call_that_fails_leaves_as_any_other() -> None:
    admission = Admission(at_once=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with admission.turn("ann", "request"):
                raise ZeroDivisionError
    assert admission.inside == 0
