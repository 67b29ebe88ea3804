"""`placet demo` as somebody runs it in a terminal: its agent, its addresses, and that nothing of it is left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.processes import BIN, descendants
from tests.waiting import PATIENCE, poll

ADDRESS = re.compile(r"^\s+(\w+), \S.*?(http://\S+/login/\S+)", re.MULTILINE)
LINE = re.compile(r"^ +(agent|max)  \S")
ASKED = {"Max": "max", "Rita": "rita", "Carla": "carla", "Olivia": "olivia"}
_PATIENCE = 3 * PATIENCE  # it starts an engine, and plays a story of seconds
_CTRL_C = b"\x03"
# How the agent's chapter goes, line by line: who, what they do, and what a line says.
AGENT = (
    ("agent", "ask_for_approval:", "PENDING. Nobody has decided yet"),
    ("agent", "claim_action:", "CLAIM REFUSED: the request is not approved."),
    ("max", "opens 'Pay invoice 4711' in his inbox", "amount 82000.00, invoice 4711"),
    ("max", "presses Approve", ""),
    ("agent", "wait_for_approval:", "APPROVED. Before you carry the action out, call claim_action"),
    ("agent", "claim_action (820,000 in place of 82,000):", "CLAIM REFUSED: people approved another action"),
    ("agent", "claim_action (exactly what was approved):", "CLAIMED. The approval of request"),
    ("agent", "claim_action (the same once more):", "CLAIM REFUSED: the approval was used before, and holds once."),
)


class Terminal:
    """A terminal in which the demo runs; what it has written is read as it comes."""

    def __init__(self, temporary: Path) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        self.said = ""
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("PLACET_", "TEMPORAL_")) or k == "PLACET_CACHE"
        }
        self.process = subprocess.Popen(
            [BIN, "demo", "--hour", "0.1"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=clean | {"TMPDIR": str(temporary), "TERM": "dumb", "COLUMNS": "200"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one system call
        )
        os.close(slave)

    def read(self) -> str:
        """Return everything that was written until now."""
        with suppress(BlockingIOError, OSError):  # nothing yet, or it has ended
            while part := os.read(self._master, 65536):
                self.said += part.decode(errors="replace").replace("\r\n", "\n")
        return self.said

    def until(self, text: str) -> str:
        """Return what was written once it holds this text; fails where the demo ends before."""

        def there() -> bool:
            assert text in self.read() or self.process.poll() is None, f"the demo has ended:\n{self.said[-4000:]}"
            return text in self.said

        poll(there, what=f"{text!r} in the demo's terminal", seconds=_PATIENCE)
        return self.said

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._master, key)

    def close(self) -> None:
        """End everything of it."""
        if self.process.poll() is None:
            for pid in {self.process.pid, *descendants(self.process.pid)}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    yield opened
    opened.close()


def gone(started: set[int]) -> None:
    """Wait until none of these processes runs."""

    def runs(pid: int) -> bool:
        try:
            return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False

    poll(lambda: not any(map(runs, started)), what="the end of what the demo started")


def ends(terminal: Terminal, told: Callable[[], None], temporary: Path) -> int:
    """Tell the demo to end, and return its exit code once no process and no file of it is left."""
    started = descendants(terminal.process.pid)
    assert len(started) > 3, "engine, API, worker and notifications run"
    told()
    poll(lambda: terminal.read() is not None and terminal.process.poll() is not None, what="the end of the demo")
    gone(started)
    assert list(temporary.glob("placet-demo-*")) == []
    return terminal.process.wait()


def test_the_demo_tells_of_an_agent_and_each_address_logs_its_person_in_once_and_ctrl_c_ends_everything(
    terminal: Terminal, tmp_path: Path
) -> None:
    said = terminal.until("Press Ctrl-C to stop.")
    addresses = dict(ADDRESS.findall(said))
    assert addresses.keys() == ASKED.keys(), said[-3000:]
    told = [line for line in said.partition("An agent asks through MCP")[2].splitlines() if LINE.match(line)]
    assert len(told) == len(AGENT), told
    for line, (who, what, says) in zip(told, AGENT, strict=True):
        assert line.strip().startswith(f"{who}  {what}"), line
        assert says in line
    assert "Pay invoice 4711: approved once, claimed once. The audit chain" in said
    for name, person in ASKED.items():
        with httpx.Client(trust_env=False, timeout=PATIENCE) as browser:
            opened = browser.get(addresses[name])
            assert (opened.status_code, opened.headers["location"]) == (302, "/"), opened.text
            me = browser.get(httpx.URL(addresses[name]).join("/api/v1/auth/me/")).json()
            assert me["id"] == person
            inbox = browser.get(httpx.URL(addresses[name]).join("/")).text
            assert ("Standing desks for the new office" in inbox) is (person == "max")
        with httpx.Client(trust_env=False, timeout=PATIENCE) as another:
            again = another.get(addresses[name])
            assert again.status_code == 410
            assert not another.cookies
    assert ends(terminal, lambda: terminal.press(_CTRL_C), tmp_path) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_ended_in_the_middle_of_its_story_leaves_no_process(
    terminal: Terminal, tmp_path: Path, number: signal.Signals
) -> None:
    terminal.until("Rita asks for approval")
    started = descendants(terminal.process.pid)
    assert started
    os.kill(terminal.process.pid, number)
    terminal.process.wait(PATIENCE)
    gone(started)
    left = list(tmp_path.glob("placet-demo-*"))
    assert (left == []) is (number is not signal.SIGKILL), "nobody clears up behind a process that is killed"
