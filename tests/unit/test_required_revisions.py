"""Processes whose decisions have to name the revision are simulated as any other."""

from __future__ import annotations

from typing import Any

from placet.engine.events import Actor, Decide
from simulation.modes.consequences import Bound, Consequence, consequences
from simulation.modes.explore import explore
from simulation.modes.replay import HistoryCheck, what_if
from simulation.report.comparison import differences, lines_of
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from tests.unit.core import START, Case, blueprint, office, plan_of
from tests.unit.test_backtest import again, case, put, run

NOTE = {"name": "note", "type": "string"}
CHANGED: list[dict[str, Any]] = [
    {"on": "Manager", "decision": "request_changes", "after_hours": 1},
    {"do": "resubmit", "input": {"note": "new"}, "after_hours": 1},
    {"on": "Manager", "decision": "approve", "after_hours": 1},
]


def process(**more: Any) -> dict[str, Any]:
    return blueprint({"stage_name": "Manager"}, **{"settings": {"require_revision": True}, "variables": [NOTE], **more})


def ask(raw: dict[str, Any], *script: dict[str, Any]) -> Scenario:
    return Scenario(
        blueprint=raw,
        people=office(),
        requester="rita",
        start=START,
        given={},
        script=parse_script(list(script)),
        request_id="r",
    )


def test_people_without_a_script_decide() -> None:
    found = explore(ask(process()))
    assert (found.outcome, found.refused) == ("approved", ())
    assert {one.outcome for one in found.branch_explorations} == {"approved", "rejected"}


def test_people_with_a_script_decide_on_each_revision() -> None:
    found = explore(ask(process(), *CHANGED))
    assert (found.outcome, found.refused) == ("approved", ())


def test_a_past_request_goes_as_it_went() -> None:
    past = run(process(), *CHANGED)
    assert past.state.revision == 2
    (row,) = put(process(), case(past))
    assert (row.unknown, row.changed) == (None, ())
    same = again(process(), past)
    assert differences(lines_of(past.entries, START), lines_of(same.entries, START)) == ()
    checked = HistoryCheck(ok=None, why="none")
    replayed = what_if(ask(process()), case(past), history_check=checked, now=START, unchanged=True)
    assert (replayed.extra["after"]["outcome"], replayed.extra["assumed"]) == ("approved", [])


def test_people_decide_as_recorded_also_on_a_revision_that_there_was_not() -> None:
    raw = process()
    raw["process_steps"].append({"stage_name": "Board", "approvers": ["role:cfo"]})
    past = run(raw, {"decision": "approve", "after_hours": 1})
    assert past.state.revision == 1
    checked = HistoryCheck(ok=None, why="none")
    replayed = what_if(ask(raw, *CHANGED), case(past), history_check=checked, now=START, unchanged=False)
    assert (replayed.extra["after"]["outcome"], replayed.extra["assumed"]) == ("approved", [])
    (board,) = [one for one in replayed.approval_chain if one.stage == "Board"]
    assert (board.decision, board.assignee) == ("approve", "user:cfo")


def test_each_decision_leads_somewhere() -> None:
    request = Case(plan=plan_of(process()), org=office())
    (task,) = request.state.open_tasks
    found = consequences(
        request.plan,
        request.state,
        Decide(by=Actor(person=task.people[0]), task_id=task.id, decision="approve"),
        now=request.now,
        directory=request.org,
        usual={},
        bound=Bound(),
    )
    assert all(isinstance(one, Consequence) for one in found.values()), found
