"""A simulation parses and compiles a blueprint once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pickle import dumps, loads
from typing import Any, cast

import pytest

from placet.definition.model import parse_definition
from placet.plan.compiler import compile_plan
from service.pool.pool import ProcessPool
from service.simulations.simulator import Simulator
from simulation.scenario.spec import parse_spec
from storage.database import Database
from tests.approvals import EXPENSE
from tests.integration.recordings import NOW, Story, write
from tests.stored import writing

Calls = Counter[str]


class Here:
    """A pool that carries work out in this process; what goes in and comes out is pickled as in others."""

    async def run(self, work: Callable[..., Any], *arguments: Any, tell: Any = None, **_: Any) -> Any:
        """Carry work out."""
        sent, given = loads(dumps((work, arguments)))
        told = {} if tell is None else {"tell": tell}
        return loads(dumps(sent(*given, **told)))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Count who reads and who compiles a blueprint, wherever."""
    counted: Calls = Counter()
    for real in (parse_definition, compile_plan):

        @wraps(real)  # so that it is pickled by the name under which it stands
        def spy(*arguments: Any, _real: Callable[..., Any] = real, **named: Any) -> Any:
            counted[_real.__name__] += 1
            return _real(*arguments, **named)

        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").split(".")[0] in {"placet", "service", "simulation", "storage"}:
                for name, value in list(vars(module).items()):
                    if value is real:
                        monkeypatch.setattr(module, name, spy)
    return counted


def service(database: Database) -> Simulator:
    return Simulator(database=database, pool=cast(ProcessPool, Here()))


async def carried_out(database: Database, **spec: Any) -> dict[str, Any]:
    return await service(database).carry_out(
        parse_spec(spec), requester="rita", viewer=None, simulation_id="one", now=NOW
    )


async def test_an_exploration_with_its_proofs_reads_and_compiles_once(database: Database, calls: Calls) -> None:
    told = await carried_out(database, mode="explore", blueprint=EXPENSE)
    assert told["outcome"] == "approved"
    assert told["branch_explorations"]
    assert calls == {parse_definition.__name__: 1, compile_plan.__name__: 1}


async def test_the_proofs_of_an_exploration_still_find_what_is_wrong(database: Database) -> None:
    unstaffed = {**EXPENSE, "process_steps": [{"stage_name": "One", "approvers": ["role:nobody"]}]}
    told = await carried_out(database, mode="explore", blueprint=unstaffed)
    assert told["warnings"]
    broken = await carried_out(database, mode="explore", blueprint={**EXPENSE, "settings": {"timezone": "Mars"}})
    assert broken["validation_errors"]
    assert not broken["execution_path"]


async def test_a_backtest_reads_once_and_compiles_once_for_each_year(database: Database, calls: Calls) -> None:
    with writing(database) as session:
        for number, ago in enumerate((0, 0, 400)):
            story = Story(request_id=f"r{number}", at=NOW - timedelta(days=ago)).open("bob")
            for told in (story, story := story.decide()):
                write(session, told.recording(started_at=NOW - timedelta(days=ago)), NOW)
    name = story.recording().template
    told = await carried_out(database, mode="backtest", blueprint={**EXPENSE, "name": name})
    assert told["totals"]["requests"] == 3
    assert calls == {parse_definition.__name__: 1, compile_plan.__name__: 2}
