"""How long it takes to work out what each decision leads to, on each open task that the gallery's stories come to, and
on processes that come to the bound.

`measure` is a section of `python -m tests.bench`.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from time import process_time

from placet.definition.model import parse_definition
from placet.directory import Person
from placet.engine.events import Actor, Decide
from placet.plan.compiler import compile_plan
from service.consequences import SECONDS
from simulation.modes.consequences import MOST_WORK, SLOW, Bound, Consequence, Unavailable, consequences
from tests.gallery import ACTIONS, STORIES, children, people, raw, tell
from tests.unit.core import START, Case, blueprint, graph, office, plan_of, spec

_TIMES = 7  # each is worked out so often

MANAGER = {"stage_name": "Manager", "approvers": ["manager_of(requester)"], "sla_hours": 10}
BOARD = {"stage_name": "Board", "approvers": ["role:cfo"], "sla_hours": 20}

Asked = tuple[str, str]  # a process and a stage


def worked_out(case: Case, person: str, task_id: str, now: datetime) -> tuple[int, bool]:
    """Work out what a person's decisions lead to; the work that it took, and whether something is known of each."""
    bound = Bound()
    decision = Decide(by=Actor(person=person), task_id=task_id, decision="approve")
    found = consequences(case.plan, case.state, decision, now=now, directory=case.org, usual={}, bound=bound)
    return MOST_WORK - bound.work, all(isinstance(one, Consequence) for one in found.values())


def stories(times: int = _TIMES) -> dict[Asked, tuple[list[float], int, bool]]:
    """Work out each open task of each story: seconds of processor time, the most work, and whether all is known."""
    figures: dict[Asked, tuple[list[float], int, bool]] = {}
    for name, given, story, _ in STORIES:
        plan = compile_plan(parse_definition(raw(name)), start=START, actions=ACTIONS, children=children(START))
        case = Case(plan=plan, org=people(), input=given)
        for line in [*story, None]:
            for task in case.state.open_tasks if case.state.status == "pending" else ():
                if task.assignee is None:
                    continue  # nobody decides it before it is claimed
                took, most, known = figures.get((plan.name, task.stage), ([], 0, True))
                for _ in range(times):
                    begun = process_time()
                    work, whole = worked_out(case, task.assignee, task.id, case.now)
                    took.append(process_time() - begun)
                figures[plan.name, task.stage] = took, max(most, work), known and whole
            if line is not None:
                tell(case, line)
    return figures


def in_a_row(actions: int) -> Case:
    """Return a request whose approval starts so many actions, one after the other, before the board is asked."""
    names = [f"a{n}" for n in range(actions)]
    ways = [f"{one} -> {other} on done" for one, other in pairwise([*names, "board"])]
    raw = blueprint(
        MANAGER,
        BOARD,
        graph_spec=graph(
            "start -> manager",
            "manager -> a0 on approved",
            "manager -> rejected on rejected",
            *ways,
            *(f"{one} -> rejected on failed" for one in names),
            "board -> approved on approved",
            "board -> rejected on rejected",
            nodes={
                "manager": {"step": "Manager"},
                "board": {"step": "Board"},
                **{one: {"type": "action", "action": "book"} for one in names},
            },
        ),
    )
    return Case(plan=plan_of(raw, actions={"book": spec("book")}), org=office())


def large() -> dict[str, Case]:
    """Return requests whose consequences are more work than any in the gallery."""
    everybody = {f"p{number}": Person(id=f"p{number}") for number in range(200)}
    crowd = {"stage_name": "Crowd", "approvers": [f"user:{one}" for one in everybody], "quorum": "all"}
    stages = [{"stage_name": f"Stage {n}", "approvers": ["user:ann"]} for n in range(150)]
    return {
        "200 people decide in one stage": Case(plan=plan_of(blueprint(crowd)), org=office(**everybody)),
        "150 stages, one after the other": Case(plan=plan_of(blueprint(*stages)), org=office()),
        "100 actions, one after the other": in_a_row(100),
    }


def bounded() -> list[str]:
    """Work the large ones out, bounded by the work alone, and return a line of the table for each."""
    lines = []
    for name, case in large().items():
        task, took, work, absent = case.state.open_tasks[0], [], 0, 0
        decision = Decide(by=Actor(person=task.people[0]), task_id=task.id, decision="approve")
        for _ in range(_TIMES):
            bound, begun = Bound(), process_time()
            found = consequences(
                case.plan, case.state, decision, now=case.now, directory=case.org, usual={}, bound=bound
            )
            took.append(process_time() - begun)
            work = MOST_WORK - max(0, bound.work)
            absent = sum(one == Unavailable(reason=SLOW) for one in found.values())
        lines.append(f"| {name} | {_at(took, 0.5)} | {_at(took, 0.99)} | {work} | {absent} of {len(found)} |")
    return lines


def _at(times: list[float], share: float) -> str:
    return f"{sorted(times)[min(len(times) - 1, int(share * len(times)))] * 1000:.1f} ms"


def _figures() -> str:
    found = stories()
    lines = ["| process | stage | median | p99 | work | |", "| --- | --- | ---: | ---: | ---: | --- |"]
    for (name, stage), (took, work, known) in sorted(found.items()):
        rest = "" if known else "depends on a form for one decision"
        lines.append(f"| {name} | {stage} | {_at(took, 0.5)} | {_at(took, 0.99)} | {work} | {rest} |")
    every = [one for took, *_ in found.values() for one in took]
    lines.append(f"| all | {len(found)} stages | {_at(every, 0.5)} | {_at(every, 0.99)} | | |")
    milliseconds = round(SECONDS * 1000)
    bound = (
        f"What takes more work than {MOST_WORK}, or more than {milliseconds} ms of processor time, is absent, and the "
        "page says so. These come to the bound of work; each is worked out as often, and the time is that until it is "
        "given up:"
    )
    table = ["| request | median | p99 | work | decisions absent |", "| --- | ---: | ---: | ---: | ---: |", *bounded()]
    return "\n".join([*lines, "", bound, "", *table])


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    return await asyncio.to_thread(_figures)
