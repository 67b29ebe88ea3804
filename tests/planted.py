"""Histories with known truths in them, for miners: what is planted is to be found, and nothing else.

The process has three stages: people approve 82 of 100, waits are exponential, who
decides is drawn evenly, a stage of three needs two. Each truth changes one of these things in one stage.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from insight.mining.history import Case, History, Task

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
PEOPLE = [f"p{n}" for n in range(6)]
BOARD = ["ben", "cleo", "dora"]
FIELDS = ["amount", "department", "cost_center", "purpose"]
HOURS = 10.0  # that a task waits on average
RATES = {"approve": 0.82, "reject": 0.1, "request_changes": 0.08}

# What can be planted, as the kind and the stage that are to be found; None: nothing is to be found.
TRUTHS: dict[str, tuple[str, str] | None] = {
    "approved stage": ("auto_approval", "Finance"),
    "approved rule": ("auto_approval", "Manager"),
    "parallel": ("parallel_approval", "Manager"),
    "slow": ("performance", "Board"),
    "tight": ("sla_target", "Manager"),
    "loose": ("sla_target", "Finance"),
    "idle seat": ("quorum", "Board"),
    "overloaded person": ("workload", "Finance"),
    "growing queue": ("workload", "Finance"),
    "rework": ("rework", "Manager"),
    "same end": ("escalation", "Finance"),
    "service": None,
    "quick account": None,
}
# What is exactly at the edge of a criterion: the hardest case in which nothing is to be found.
EDGES = {"edge of approval", "edge of lateness", "edge of rework", "edge of escalation"}
ONE_STAGE = [
    # Truths that speak about the same thing of the same stage, of which a history has one.
    {"approved stage", "service", "quick account", "parallel"},
    {"approved rule", "rework", "parallel"},
    {"overloaded person", "growing queue", "service", "quick account"},
    {"slow", "growing queue", "overloaded person"},
    {"loose", "same end", "overloaded person", "growing queue", "service", "quick account"},
]


def some_truths(rng: random.Random) -> set[str]:
    """Draw truths that do not get in each other's way."""
    chosen: set[str] = set()
    for name in rng.sample(sorted(TRUTHS), len(TRUTHS)):
        if rng.random() < 0.5 and not any(name in group and group & chosen for group in ONE_STAGE):
            chosen.add(name)
    return chosen


def shifts(history: Planted, number: int, later: timedelta | None = None) -> Planted:
    """Return the same history again, of other requests and people and so much later; unless told, after the others."""
    later = timedelta(hours=number * len(history.cases)) if later is None else later

    def moved(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment + later

    cases = [
        replace(
            one,
            request_id=f"{one.request_id}-{number}",
            started_at=one.started_at + later,
            ended_at=moved(one.ended_at),
        )
        for one in history.cases
    ]
    tasks = [
        replace(
            one,
            request_id=f"{one.request_id}-{number}",
            assignee=f"{one.assignee}-{number % 50}",
            opened_at=one.opened_at + later,
            decided_at=moved(one.decided_at),
            due_at=moved(one.due_at),
        )
        for one in history.tasks
    ]
    return Planted(history.truths, cases, tasks)


def blueprint(truths: Set[str] = frozenset()) -> dict[str, Any]:
    """Return the process, with the settings that the truths are about."""
    finance: dict[str, Any] = {"stage_name": "Finance", "approvers": ["role:finance"], "escalation_to": "controller"}
    finance["sla_hours"] = 400 if "loose" in truths else 100 if truths & {"overloaded person", "growing queue"} else 24
    if "growing queue" in truths:
        finance["claim"] = True
    return {
        "name": "Planted",
        "version": "1.0.0",
        "owner": "user:olivia",
        "variables": [
            {"name": "amount", "type": "decimal", "required": True, "minimum": 0},
            {"name": "department", "type": "string", "enum": ["sales", "it", "hr"]},
            {"name": "cost_center", "type": "string"},
            {"name": "purpose", "type": "string", "required": True},
        ],
        "process_steps": [
            {"stage_name": "Manager", "sla_hours": _manager_hours(truths)},
            finance,
            {
                "stage_name": "Board",
                "approvers": [f"user:{name}" for name in BOARD],
                "quorum": {"at_least": 2},
                "rejection": "unreachable",
            },
        ],
    }


def _manager_hours(truths: Set[str]) -> float:
    if "edge of lateness" in truths:
        return HOURS * math.log(5)  # one of five waits longer
    return 8 if "tight" in truths else 24


@dataclass
class Planted:
    """A history as rows, of a process with these truths."""

    truths: frozenset[str]
    cases: list[Case]
    tasks: list[Task]

    @property
    def blueprint(self) -> dict[str, Any]:
        return blueprint(self.truths)

    @property
    def history(self) -> History:
        return History.of(self.cases, self.tasks)

    @property
    def expected(self) -> set[tuple[str, str]]:
        """Return the kinds and stages that are to be found."""
        return {found for name in self.truths if (found := TRUTHS.get(name)) is not None}


def planted(seed: int, truths: Set[str] = frozenset(), cases: int = 800) -> Planted:
    """Make a history of so many requests, one an hour."""
    rng = random.Random(seed)
    made = _Maker(rng, truths, cases)
    for number in range(cases):
        made.request(number)
    return Planted(frozenset(truths), made.cases, made.tasks)


def shuffled(history: Planted, seed: int) -> Planted:
    """Shuffle who decided what and how long it waited over all tasks, so that nothing depends on anything.

    What shuffling would keep, since it is the rate of one column alone, is as it is without truths: the settings, which
    field is changed, and a deadline at three times the average wait.
    """
    rng = random.Random(seed)
    average = sum(task.waited_seconds for task in history.tasks) / len(history.tasks)
    columns: list[list[Any]] = [
        [task.decision for task in history.tasks],
        [task.assignee for task in history.tasks],
        [task.waited_seconds for task in history.tasks],
        [task.actor_type for task in history.tasks],
    ]
    for column in columns:
        rng.shuffle(column)
    tasks = [
        replace(
            task,
            decision=decision,
            decided_at=None if decision is None else task.opened_at + timedelta(seconds=waited),
            due_at=None if task.due_at is None else task.opened_at + timedelta(seconds=3 * average),
            changed_fields=(rng.choice(FIELDS),) if decision == "request_changes" else (),
            assignee=person,
            waited_seconds=waited,
            actor_type=actor_type,
            escalations=0,
        )
        for task, decision, person, waited, actor_type in zip(history.tasks, *columns, strict=True)
    ]
    return Planted(frozenset(), history.cases, tasks)


class _Maker:
    def __init__(self, rng: random.Random, truths: Set[str], count: int) -> None:
        self.rng, self.truths, self.count = rng, truths, count
        self.cases: list[Case] = []
        self.tasks: list[Task] = []

    def request(self, number: int) -> None:
        rng, began = self.rng, START + timedelta(hours=number)
        values = {
            "amount": f"{rng.lognormvariate(6.5, 1):.2f}",
            "department": rng.choice(["sales", "it", "hr"]),
            "purpose": f"purpose {number}",
        }
        if rng.random() < 0.7:
            values["cost_center"] = rng.choice(["100", "200", "300"])
        case = Case(request_id=f"r{number}", template="Planted", version="1.0.0", started_at=began, values=values)
        outcome, now = "approved", began
        for stage in ("Manager", "Finance", "Board"):
            result, now = self._stage(case, number, stage, now)
            if result != "approve":
                outcome = result
                break
        self.cases.append(replace(case, ended_at=now, outcome=outcome))

    def _stage(self, case: Case, number: int, stage: str, opened: datetime) -> tuple[str, datetime]:
        """Let people decide a stage, in as many rounds as they return it, three at most."""
        for turn in range(1, 4):
            tasks = list(self._board(case, turn, opened) if stage == "Board" else self._one(case, stage, turn, opened))
            self.tasks += tasks
            decided = [task for task in tasks if task.decided_at is not None]
            opened = max(task.decided_at for task in decided if task.decided_at is not None)
            said = [task.decision for task in decided]
            if "request_changes" not in said:
                return ("reject" if said.count("reject") > len(tasks) / 2 else "approve"), opened
        return "request_changes", opened

    def _one(self, case: Case, stage: str, turn: int, opened: datetime) -> Iterator[Task]:
        rng, truths = self.rng, self.truths
        person = rng.choice(PEOPLE)
        wait = rng.expovariate(1 / HOURS)
        actor = "person"
        if stage == "Finance":
            if "overloaded person" in truths:
                person = "p0" if rng.random() < 0.5 else person
                wait *= 5 if person == "p0" else 1
            if "growing queue" in truths and opened > START + timedelta(hours=self.count / 2):
                wait *= 4
            if "quick account" in truths:
                wait = rng.uniform(0, 3) / 3600
            actor = "service" if "service" in truths else actor
        decision = self._decision(case, stage)
        sla = float(blueprint(truths)["process_steps"][0 if stage == "Manager" else 1]["sla_hours"])
        levels = 0
        if stage == "Finance" and wait > sla:
            levels = rng.choice([1, 2, 2])
            person = "dora" if "same end" in truths else rng.choice([*PEOPLE, *BOARD])
            if "edge of escalation" in truths:
                person = "dora" if rng.random() < 0.8 else rng.choice(PEOPLE)
        yield self._task(case, stage, turn, opened, person, wait, decision, actor, levels, sla)

    def _board(self, case: Case, turn: int, opened: datetime) -> Iterator[Task]:
        """Let a board of three decide, of which two have to approve; the third is then superseded."""
        order = self.rng.sample(BOARD, 3)
        if "idle seat" in self.truths:
            order = [*(name for name in order if name != "dora"), "dora"]
        waits = sorted(self.rng.expovariate(1 / HOURS) * (6 if "slow" in self.truths else 1) for _ in BOARD)
        said: list[str] = []
        for person, wait in zip(order, waits, strict=True):
            settled = "request_changes" in said or said.count("approve") == 2 or said.count("reject") == 2
            decision = None if settled else self._decision(case, "Board")
            if "idle seat" in self.truths and said and not settled:
                decision = said[0]  # the second always agrees with the first, so that the third is never needed
            said += [decision] if decision is not None else []
            yield self._task(case, "Board", turn, opened, person, wait, decision, "person", 0, None)

    def _decision(self, case: Case, stage: str) -> str:
        rng, truths = self.rng, self.truths
        rates = dict(RATES)
        if stage == "Finance" and truths & {"approved stage", "service", "quick account"}:
            rates = {"approve": 0.99, "reject": 0.01}
        if stage in {"Manager", "Finance"} and "parallel" in truths:
            rates = {"approve": 0.94, "reject": 0.03, "request_changes": 0.03}
        if stage == "Manager" and "approved rule" in truths and float(case.values["amount"]) <= 500:
            rates = {"approve": 0.995, "reject": 0.005}
        if stage == "Manager" and "rework" in truths:
            rates = {"approve": 0.6, "reject": 0.1, "request_changes": 0.3}
        if stage == "Finance" and "edge of approval" in truths:
            rates = {"approve": 0.95, "reject": 0.05}
        if stage == "Manager" and "edge of rework" in truths:
            rates = {"approve": 0.82, "reject": 0.08, "request_changes": 0.1}
        return rng.choices(list(rates), list(rates.values()))[0]

    def _task(
        self, case: Case, stage: str, turn: int, opened: datetime, person: str, wait: float,
        decision: str | None, actor: str, levels: int, sla: float | None,
    ) -> Task:  # fmt: skip
        changed: tuple[str, ...] = ()
        if decision == "request_changes":
            often = 0.8 if "rework" in self.truths else 0.5 if "edge of rework" in self.truths else 0.0
            usual = stage == "Manager" and self.rng.random() < often
            others = FIELDS if not often else [name for name in FIELDS if name != "cost_center"]
            changed = ("cost_center",) if usual else (self.rng.choice(others),)
        via = {"Manager": "manager_of(requester)", "Finance": "role:finance", "Board": "approver"}[stage]
        return Task(
            request_id=case.request_id,
            stage=stage,
            round=turn,
            assignee=person,
            assigned_via="escalation" if levels else via,
            actor_type=actor if decision is not None else "",
            opened_at=opened,
            decided_at=None if decision is None else opened + timedelta(hours=wait),
            due_at=None if sla is None else opened + timedelta(hours=sla),
            decision=decision,
            waited_seconds=wait * 3600,
            escalations=levels,
            changed_fields=changed,
        )
