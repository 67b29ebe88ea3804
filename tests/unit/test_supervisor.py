"""The supervisor of `placet up`: order, restarts, logs, and that no child is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import poll


class Supervised:
    """A running `tests.supervised`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        command = [sys.executable, "-m", "tests.supervised", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def until(self, pattern: str) -> re.Match[str]:
        """Read lines until one matches."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := re.fullmatch(pattern, self.lines[-1]):
                return found
        raise AssertionError(f"no line {pattern!r} among {self.lines}")

    def pids(self) -> dict[str, int]:
        """Return the ids of the children, once they are told."""
        told = self.until(r"told (.*)")[1]
        return {name: int(pid) for name, pid in (pair.split("=") for pair in told.split())}


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    running = Supervised(tmp_path)
    yield running
    if running.process.poll() is None:
        os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait(60)
    if running.process.stdout is not None:
        running.process.stdout.close()


def _gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_children_stop_in_order_and_their_lines_bear_their_names(supervised: Supervised) -> None:
    pids = supervised.pids()
    assert set(pids) == {"base", "one", "two"}
    assert {"base | hello from base", "one | and its second line"} <= set(supervised.lines)
    os.kill(supervised.process.pid, signal.SIGTERM)
    assert supervised.process.wait(60) == 0
    stopped = (supervised.folder / "stopped").read_text().split()
    assert (set(stopped[:2]), stopped[2]) == ({"one", "two"}, "base")
    assert all(map(_gone, pids.values()))


def test_ctrl_c_reaches_the_whole_group_and_stops_in_the_same_order(supervised: Supervised) -> None:
    supervised.pids()
    os.killpg(supervised.process.pid, signal.SIGINT)
    assert supervised.process.wait(60) == 0
    assert (supervised.folder / "stopped").read_text().split()[2] == "base"


@pytest.mark.parametrize("name", ["base", "one", "two"])
def test_a_child_that_is_killed_is_started_again_and_the_others_run_on(supervised: Supervised, name: str) -> None:
    before = supervised.pids()
    os.kill(before[name], signal.SIGKILL)
    supervised.until(rf"{name} \| has ended \(killed by SIGKILL\); it is started again in 0.2 s")
    after = supervised.pids()
    assert [other for other in before if before[other] != after[other]] == [name]


def test_a_child_that_ends_again_and_again_is_started_after_growing_pauses(supervised: Supervised) -> None:
    pids = supervised.pids()
    (supervised.folder / "one.fails").write_text("exits")
    os.kill(pids["one"], signal.SIGKILL)
    for code, pause in (("killed by SIGKILL", "0.2"), ("exit code 7", "0.4"), ("exit code 7", "0.8")):
        supervised.until(rf"one \| has ended \({code}\); it is started again in {re.escape(pause)} s")
    (supervised.folder / "one.fails").write_text("refused")
    supervised.until(r"one \| has ended \(one cannot start\); .*")
    (supervised.folder / "one.fails").unlink()
    assert supervised.pids()["two"] == pids["two"]


@pytest.mark.parametrize(("how", "said"), [("refused", "one cannot start"), ("exits", "one ended before .*")])
def test_a_child_that_cannot_start_at_first_ends_all(tmp_path: Path, how: str, said: str) -> None:
    (tmp_path / "one.fails").write_text(how)
    running = Supervised(tmp_path)
    running.until(f"error {said}")
    assert running.process.wait(60) == 0
    assert "base" in (tmp_path / "stopped").read_text().split()
    assert running.process.stdout is not None
    running.process.stdout.close()


def test_killing_the_supervisor_alone_leaves_no_child(supervised: Supervised) -> None:
    pids = supervised.pids()
    os.kill(supervised.process.pid, signal.SIGKILL)
    poll(lambda: all(map(_gone, pids.values())), what="the end of the children")


def test_a_second_signal_ends_all_at_once(supervised: Supervised) -> None:
    pids = supervised.pids()
    os.kill(pids["two"], signal.SIGSTOP)  # so that it does not end in order
    os.kill(supervised.process.pid, signal.SIGTERM)
    poll(lambda: _gone(pids["one"]), what="the end of the child that can end")
    os.kill(supervised.process.pid, signal.SIGTERM)
    assert supervised.process.wait(60) == -signal.SIGTERM
    poll(lambda: all(map(_gone, pids.values())), what="the end of the children")
