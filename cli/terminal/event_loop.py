"""Run the asynchronous work of a command on an event loop, with its log on standard error or in a file."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

from cli.terminal.log_file import kept_in_time, log_file
from cli.terminal.logs import write_logs
from cli.terminal.output import errors_as_messages

if TYPE_CHECKING:
    from worker.settings import Settings

T = TypeVar("T")
# Net allocations between collections of the young generation, and how many of those make one of the older ones. An
# approval leaves about 300 objects in cycles, so a full collection comes after some thousand of them.
_COLLECT_AFTER = (5_000, 10, 5)
_TOLD = (signal.SIGINT, signal.SIGTERM)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Carry out a command's work and return its result; errors become a message and an exit code.

    The log goes to standard error, because scripts read the result from standard output.
    """
    with errors_as_messages():
        write_logs(_process())
        return uvloop.run(work)


def serve(work: Callable[[], Coroutine[Any, Any, None]], settings: Settings) -> None:
    """Carry out the work of a command that runs until it is told to stop; its log may go to a file."""

    async def logged() -> None:
        async with kept_in_time(file):
            await work()

    with errors_as_messages():
        file = log_file(settings)
        write_logs(_process(), file=file)
        uvloop.run(logged())


def _process() -> str:
    return sys.argv[1] if len(sys.argv) > 1 else "placet"


def watch_for_stop() -> asyncio.Event:
    """Handle SIGINT and SIGTERM from now on; return the event that they set. Call it before reporting readiness."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _TOLD:
        loop.add_signal_handler(number, stop.set)
    return stop


async def until_told_to_stop(stop: asyncio.Event) -> None:
    """Serve until the event of `watch_for_stop` is set.

    From then on a signal ends the process at once, because an orderly stop may hang.
    """
    keep_start_up_out_of_collections()
    await stop.wait()
    loop = asyncio.get_running_loop()
    for number in _TOLD:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)


def keep_start_up_out_of_collections() -> None:
    """Let the garbage collector skip what is there once a process is ready, and run less often.

    A quarter of a million objects of modules and routes live as long as the process. A full collection that looks at
    them stops every thread for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
