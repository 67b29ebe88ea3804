"""What commands write into pipes arrives whole, however slowly it is read and however the pipe is set."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import struct
import subprocess
import termios
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from storage.database import Database
from storage.migrate import migrate
from tests.dispatching import write
from tests.integration.recordings import Story
from tests.processes import BIN, installation
from tests.waiting import PATIENCE, poll

ROOT = Path(__file__).parents[2]
PIPE = 65_536  # bytes; what a pipe holds on Linux
MANY = 400  # requests whose verification is longer than that

pytestmark = pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "unbuffered"])
blocking = pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "not blocking"])


def _read_late(
    command: Sequence[str | Path], env: dict[str, str], *, buffered: bool, blocking: bool, expect: int = 0
) -> bytes:
    """Run a command, and read what it writes not before the pipe is full."""
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    env = {k: v for k, v in env.items() if k != "PYTHONUNBUFFERED"} | ({} if buffered else {"PYTHONUNBUFFERED": "1"})
    with subprocess.Popen([str(part) for part in command], env=env, stdout=writing, stderr=subprocess.PIPE) as running:
        os.close(writing)
        poll(lambda: running.poll() is not None or _held(reading) == PIPE, what="a full pipe")
        with os.fdopen(reading, "rb") as file:
            written = file.read()
        assert running.stderr is not None
        said = running.stderr.read().decode()
        assert running.wait(PATIENCE) == expect, said
    return written


def _held(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])


@blocking
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("openapi",), 0),
        (("check", "--json", *[str(ROOT / "tests" / "broken" / "no-name.json")] * 300), 1),
    ],
    ids=["openapi", "check"],
)
def test_a_long_answer_arrives_whole(
    command: Sequence[str], code: int, tmp_path: Path, buffered: bool, blocking: bool
) -> None:
    with installation(tmp_path / "home") as place:
        written = _read_late([BIN, *command], place.env, buffered=buffered, blocking=blocking, expect=code)
    assert len(written) > PIPE
    json.loads(written)


@blocking
def test_a_verification_of_many_requests_arrives_whole(tmp_path: Path, buffered: bool, blocking: bool) -> None:
    home = tmp_path / "home"
    home.mkdir()
    url = f"sqlite:///{home / 'placet.db'}"

    async def fill() -> None:
        await migrate(url)
        database = Database(url)
        stories = [Story(request_id=f"request-{number}").open("bob") for number in range(MANY)]
        await write(database, *[replace(story).recording() for story in stories])
        await database.close()

    asyncio.run(fill())
    with installation(home, TEMPORAL_ADDRESS="127.0.0.1:9") as place:
        written = _read_late([BIN, "verify", "--json"], place.env, buffered=buffered, blocking=blocking)
    assert len(written) > PIPE
    assert len(json.loads(written)["requests"]) == MANY
