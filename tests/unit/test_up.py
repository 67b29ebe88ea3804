"""How `placet up` and its likes are told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine_host.process import fresh_log, shorten_log

STUCK = """
import asyncio
from cli.terminal.event_loop import until_told_to_stop, watch_for_stop

async def main():
    waiting = asyncio.ensure_future(until_told_to_stop(watch_for_stop()))
    await asyncio.sleep(0)
    print("waiting", flush=True)
    await waiting
    print("stopping", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


READY = """
import asyncio, gc, os, signal
from cli.terminal.event_loop import until_told_to_stop, watch_for_stop

async def main():
    asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
    await until_told_to_stop(watch_for_stop())

asyncio.run(main())
print(gc.isenabled(), gc.get_freeze_count() > 1000, gc.get_threshold()[0])
"""


def test_collections_skip_what_was_there_when_a_process_became_ready() -> None:
    done = subprocess.run([sys.executable, "-c", READY], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "True", "5000"]


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_what_is_stuck_while_it_stops(second: signal.Signals) -> None:
    command = [sys.executable, "-c", STUCK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"waiting\n"
            os.kill(process.pid, signal.SIGTERM)
            assert process.stdout.readline() == b"stopping\n"
            os.kill(process.pid, second)
            assert process.wait(60) == -second
        finally:
            process.kill()


def test_the_log_of_an_engine_is_emptied_where_it_is_too_long_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    with fresh_log(path) as log:
        log.write(b"x" * 100)
        log.flush()
        shorten_log(path, most=100)
        assert path.stat().st_size == 100
        log.write(b"y")
        log.flush()
        shorten_log(path, most=100)
        log.write(b"z")
    assert path.read_bytes() == b"z"
    assert (tmp_path / "server.log.previous").read_bytes() == b"x" * 100 + b"y"
