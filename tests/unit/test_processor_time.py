"""The benchmark's figures of processor time: named by command line, and complete though processes end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.bench import processor_time

BURN = "import time\nwhile time.process_time() < 0.3: pass"
PYTHON = "/opt/venv/bin/python"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([PYTHON, "/opt/venv/bin/placet", "up", "--port", "0"], "up"),
        ([PYTHON, "/opt/venv/bin/placet", "worker", "--only", "approvals"], "worker approvals"),
        ([PYTHON, "-m", "cli.main", "worker", "--only=notifications"], "worker notifications"),
        ([PYTHON, "-P", "-m", "service.pool.process", "7"], "pool"),
        ([PYTHON, "-m", "tests.bench.bare"], "bare"),
        ([PYTHON, "-I", "/src/engine_host/guard.py", "17", "--", "/cache/temporal-server", "start"], "engine"),
        (["/cache/temporal-server", "--allow-no-auth", "start"], "engine"),
        (["postgres: placet placet 127.0.0.1(5000) idle"], "database"),
    ],
)
def test_a_process_is_named_by_its_command_line(words: list[str], name: str) -> None:
    assert processor_time.name_of(words) == name


def test_what_a_child_used_is_counted_after_it_has_ended() -> None:
    before = processor_time.of_trees([os.getpid()])
    subprocess.run([sys.executable, "-c", BURN], check=True)
    used = processor_time.difference(processor_time.of_trees([os.getpid()]), before)
    assert used.total() >= 0.25  # the kernel counts in hundredths, and rounds down
