"""How long it takes to work out what each decision leads to, on each open task that the gallery's stories come to.

`measure` is a section of `python -m tests.bench`.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from time import process_time

from placet.definition.model import parse_definition
from placet.engine.events import Actor, Decide
from placet.plan.compiler import compile_plan
from simulation.modes.consequences import MOST_WORK, Bound, Consequence, consequences
from tests.gallery import ACTIONS, STORIES, children, people, raw, tell
from tests.unit.core import START, Case

_TIMES = 7  # each is worked out so often

Asked = tuple[str, str]  # a process and a stage


def worked_out(case: Case, person: str, task_id: str, now: datetime) -> tuple[int, bool]:
    """Work out what a person's decisions lead to; the work that it took, and whether something is known of each."""
    bound = Bound()
    decision = Decide(by=Actor(person=person), task_id=task_id, decision="approve")
    found = consequences(case.plan, case.state, decision, now=now, directory=case.org, usual={}, bound=bound)
    return MOST_WORK - bound.work, all(isinstance(one, Consequence) for one in found.values())


def stories() -> dict[Asked, tuple[list[float], int, bool]]:
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
                for _ in range(_TIMES):
                    begun = process_time()
                    work, whole = worked_out(case, task.assignee, task.id, case.now)
                    took.append(process_time() - begun)
                figures[plan.name, task.stage] = took, max(most, work), known and whole
            if line is not None:
                tell(case, line)
    return figures


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
    return "\n".join(lines) + f"\n\nWhat takes more work than {MOST_WORK} is absent, and the page says so."


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    return await asyncio.to_thread(_figures)
