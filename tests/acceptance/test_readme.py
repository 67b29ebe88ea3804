"""The README's tour, as it is written there, in a home that is new."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.processes import BIN, installation
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "examples" / "tour.sh"
README = (ROOT / "README.md").read_text()
_PATIENCE = 6 * PATIENCE  # it starts an engine, and plays every kind of simulation
# `placet up &` goes on in the README; here it ends with the tour.
_ENDING = "set -e\ntrap 'kill $(jobs -p); wait' EXIT\n"


def test_the_readme_shows_the_tour_that_it_runs() -> None:
    assert f"```sh\n{TOUR.read_text()}```\n" in README


@pytest.fixture
def port() -> int:
    """Give a port that is free."""
    return free_port()


def test_the_tour_runs_as_the_readme_says_it_in_a_new_home(tmp_path: Path, port: int) -> None:
    [commands] = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "\nexamples/tour.sh" in block]
    commands = commands.replace(". .venv/bin/activate", f". {BIN.parent}/activate").replace("8420", str(port))
    with installation(tmp_path / "home", API=f"http://127.0.0.1:{port}/api/v1") as place:
        log = tmp_path / "log"
        with log.open("wb") as out:
            shell = subprocess.Popen(
                ["bash", "-c", _ENDING + commands],
                cwd=ROOT,
                env=place.env,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
            try:
                code = shell.wait(_PATIENCE)
            finally:
                if shell.poll() is None:
                    os.killpg(shell.pid, signal.SIGKILL)
    said = log.read_text()
    assert code == 0, said
    parts = dict(re.findall(r"^== (\w+)[^\n]*\n(.*?)(?=^== |\Z)", said, re.DOTALL | re.MULTILINE))
    assert 'outcome: "approved"' in parts["Max"], "Carla has decided too"
    assert "ok: true" in parts["What"]
    assert "agrees_with_explore: true" in parts["Rehearse"]
    assert 'outcome: "rejected"' in parts["Replay"]
    assert '"requests": 1, "known": 1' in parts["Backtest"]
    assert 'status: "cancelled"' in parts["Shadow"]
