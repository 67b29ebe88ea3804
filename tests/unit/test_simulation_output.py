"""What the terminal shows of a simulation: the tree of ways, bars of tasks, and both sides of a comparison."""

from __future__ import annotations

from typing import Any

import pytest

from cli.commands.simulate import spec_of
from cli.terminal import simulation_output
from placet.errors import InputInvalid
from simulation.modes.backtest import Candidate, backtest
from simulation.modes.explore import explore
from simulation.modes.replay import HistoryCheck, what_if
from simulation.report.result import json_value
from tests.unit.core import START, blueprint, office
from tests.unit.test_backtest import SLOW, case, run
from tests.unit.test_explore import EXPENSE, ask


def shown(result: dict[str, Any], capsys: pytest.CaptureFixture[str], *, well: bool = True) -> list[str]:
    """Return the lines that are printed for an answer."""
    assert simulation_output.show(result) is well
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_ways_are_a_tree_that_says_what_leads_where(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(explore(ask(EXPENSE, given={"amount": "7200", "department": "it"})).described(), capsys)
    tree = [line.strip("│├└─ ") for line in lines]
    first = tree.index("4 routes")
    assert tree[first + 1 : first + 5] == ["start", "manager", "large approved", "cfo if amount > 5000"]
    assert "yes otherwise" in tree
    assert "rejected after 1 d 12 h amount = 7200, department = it" in tree
    assert any("Manager Approval  mo" in line and "━" in line and line.endswith("approve") for line in lines)


def test_a_backtest_shows_shares_ways_and_requests(capsys: pytest.CaptureFixture[str]) -> None:
    two = blueprint({}, {"approvers": ["role:cfo"]})
    found = backtest(Candidate.of(blueprint({}), office()), [case(run(two, {"decision": "approve", "after_hours": 3}))])
    lines = shown({"mode": "backtest", "template": "Test", **json_value(found.described())}, capsys)
    assert any(line.split() == ["changed", "1", "(100%,", "95", "%", "from", "21%", "to", "100%)"] for line in lines)
    assert any("approved after 6 h" in line and "approved after 3 h" in line for line in lines)


def test_a_replay_shows_where_the_timelines_differ(capsys: pytest.CaptureFixture[str]) -> None:
    past = case(run(SLOW, {"decision": "approve", "after_hours": 3}))
    checked = HistoryCheck(ok=True)
    same = what_if(ask(SLOW), past, history_check=checked, now=START, unchanged=True).described()
    assert {"Both timelines are the same.", "History: replays on today's code"} <= set(shown(same, capsys))
    other = what_if(
        ask(blueprint({"sla_hours": 1})), past, history_check=checked, now=START, unchanged=False
    ).described()
    assert any("sla breached Stage 1" in line for line in shown(other, capsys))


def test_what_cannot_be_simulated_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(explore(ask(blueprint({"sla_hours": -1}))).described(), capsys, well=False)
    assert any(line.startswith("  /process_steps/0/sla_hours") for line in lines)


def test_a_command_line_is_an_order_like_any_other() -> None:
    more = {"template": "T", "version": None, "limit": 5}
    spec = spec_of(None, mode="shadow", given=None, requester=None, script=None, more=more)
    assert (spec.template, spec.version, spec.limit, spec.for_hours) == ("T", None, 5, 0)
    with pytest.raises(InputInvalid, match="name the process to simulate"):
        spec_of(None, mode="explore", given=None, requester=None, script=None)
