"""How the tests are spread over the processes of a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.distribution import _GROUPS, LONGEST, ByFile

ROOT = Path(__file__).parents[2]


class Node:
    """A process of a run, which keeps what it is told to run."""

    shutting_down = False

    def __init__(self) -> None:
        self.got: list[int] = []
        self.gateway = SimpleNamespace(id="gw0")

    def send_runtest_some(self, indices: list[int]) -> None:
        """Keep them."""
        self.got += indices

    def shutdown(self) -> None:
        """End nothing."""


def test_the_longest_files_are_there() -> None:
    assert [one for one in LONGEST if one not in _GROUPS and not (ROOT / one).exists()] == []


def test_files_stay_together_and_the_longest_come_first() -> None:
    tests = [
        "tests/unit/test_short.py::test_a",
        "tests/unit/test_longer.py::test_a",
        "tests/unit/test_longer.py::test_b[x::y]",
        "tests/acceptance/test_browser.py::test_a",
        "tests/acceptance/test_faults.py::test_a",
        "tests/acceptance/test_contract.py::test_a",
        "tests/acceptance/test_client.py::test_a",
        "tests/acceptance/test_mcp.py::test_a",
    ]
    option = SimpleNamespace(loadscopereorder=True, tx=["popen"], maxprocesses=None, numprocesses=None)
    config = cast(Any, SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name)))
    scheduler, node = ByFile(config), cast(Any, Node())
    scheduler.add_node(node)
    scheduler.add_node_collection(node, tests)
    scheduler.schedule()
    done = 0
    while done < len(node.got):
        scheduler.mark_test_complete(node, node.got[done])
        done += 1
    assert [tests[index].rpartition("/")[2] for index in node.got] == [
        "test_browser.py::test_a",
        "test_faults.py::test_a",
        "test_contract.py::test_a",
        "test_client.py::test_a",
        "test_mcp.py::test_a",
        "test_longer.py::test_a",
        "test_longer.py::test_b[x::y]",
        "test_short.py::test_a",
    ]
