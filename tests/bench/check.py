"""How long a check takes, by the size of the process and of the organisation, and what bounds it.

`measure` is a section of `python -m tests.bench`.
"""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from time import process_time
from typing import Any

from placet.directory import Directory, Person
from placet.proofs import check
from tests.unit.core import office

VARIABLES: list[dict[str, Any]] = [
    {"name": "amount", "type": "decimal", "required": True, "minimum": 0, "maximum": 10_000_000, "scale": 2},
    {"name": "country", "type": "string", "required": True, "enum": ["DE", "FR", "IT", "US"]},
    {"name": "risk", "type": "integer", "required": True, "minimum": 0, "maximum": 10},
    {"name": "personal_data", "type": "boolean", "required": True},
    {"name": "seats", "type": "integer", "required": True, "minimum": 1, "maximum": 100_000},
    {"name": "starts", "type": "date", "required": True},
    {"name": "urgent", "type": "boolean", "default": False},
]
# Three ways that approve, then two stages at the same time, then one that closes the part.
PART = 9  # nodes


def process(count: int, *, rounds: int = 5) -> dict[str, Any]:
    """Return a process of `count` nodes: parts with a decision, six stages, a fork and a join, one after the other.

    In 1 round nobody can change the input on the way, so that the conditions of every part add up.
    """
    parts, rest = divmod(count - 3, PART)
    entrances = [*(f"choose{n}" for n in range(parts)), *(f"last{n}" for n in range(rest)), "yes"]
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "trigger"},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
        {"id": "no", "type": "terminator", "outcome": "rejected"},
    ]
    edges: list[dict[str, Any]] = [{"from": "start", "to": entrances[0]}]
    stages: list[tuple[str, str, str]] = []  # (node, approver, where it leads)
    for n in range(parts):
        choose, fork, join = f"choose{n}", f"fork{n}", f"join{n}"
        nodes += [{"id": choose, "type": "decision"}, {"id": fork, "type": "fork"}, {"id": join, "type": "join"}]
        stages += [
            (f"large{n}", "role:cfo", fork),
            (f"middle{n}", "group:finance", fork),
            (f"small{n}", "manager_of(requester)", fork),
            (f"legal{n}", "user:ann", join),
            (f"finance{n}", "user:ben", join),
            (f"close{n}", "user:ceo", entrances[n + 1]),
        ]
        large, middle = _conditions(n)
        edges += [
            {"from": choose, "to": f"large{n}", "condition": large},
            {"from": choose, "to": f"middle{n}", "condition": middle},
            {"from": choose, "to": f"small{n}", "default": True},
            {"from": fork, "to": f"legal{n}"},
            {"from": fork, "to": f"finance{n}"},
            {"from": join, "to": f"close{n}"},
        ]
    stages += [(f"last{n}", "role:cfo", entrances[parts + n + 1]) for n in range(rest)]
    for name, _, target in stages:
        nodes.append({"id": name, "type": "approval", "step": name})
        edges += [
            {"from": name, "to": target, "on": "approved"},
            {"from": name, "to": "no", "on": "rejected"},
            {"from": name, "to": "no", "on": "expired"},
        ]
    facts = {"sla_hours": 24, "escalation_to": "department_head", "final": "expire"}
    return {
        "name": f"Process of {count} nodes",
        "version": "1.0.0",
        "owner": "user:olivia",
        "variables": VARIABLES,
        "settings": {"max_rounds": rounds},
        "process_steps": [{"stage_name": name, "approvers": [who], **facts} for name, who, _ in stages],
        "graph_spec": {"nodes": nodes, "edges": edges},
    }


def _conditions(number: int) -> tuple[str, str]:
    """Return two conditions that exclude each other, of another kind and with other limits in each part."""
    limit, risk, year = 1000 * (number + 1), 3 + number % 6, 2027 + number % 9
    kinds = [
        (f"amount > {limit}", f"amount > {limit // 2} && amount <= {limit}"),
        ('country == "DE"', 'country in ["FR", "IT"]'),
        (f"risk >= {risk} && personal_data", f"risk >= {risk} && !personal_data"),
        (f"seats * 120 > {limit} && !urgent", "urgent"),
        (f'starts < date("{year}-01-01")', f'starts >= date("{year}-01-01") && amount > {limit}'),
    ]
    return kinds[number % len(kinds)]


def organisation(size: int) -> Directory:
    """Return the tests' organisation with more people in it: so many in all."""
    people = dict(office().people)
    for n in range(size - len(people)):
        person = Person(
            id=f"p{n}",
            manager=("mo", "dh", "cfo")[n % 3],
            roles=("cfo",) if n % 50 == 0 else (),
            groups=("finance",) if n % 20 == 0 else (),
        )
        people[person.id] = person
    return Directory(people=people)


def checking(raw: dict[str, Any], directory: Directory, times: int = 5) -> float:
    """Check a process; the median run's seconds of processor time. Everything has to be proven."""
    took: list[float] = []
    for _ in range(times):
        begun = process_time()
        told = check(raw, directory=directory)
        took.append(process_time() - begun)
        assert told.ok, told.findings
        assert told.certificate is not None
        assert told.certificate.complete, told.findings
    return statistics.median(took)


def _figures() -> str:
    few, many = organisation(9), organisation(100)
    begun = process_time()
    check(process(12), directory=few)
    first = process_time() - begun
    rows = (
        ("nodes", "decisions", "stages", "people", "check", "bound by"),
        ("---:", "---:", "---:", "---:", "---:", "---"),
        _row(12, few, "the solver, about which inputs come where"),
        _row(50, few, "the solver"),
        _row(200, few, "the solver, and who fills the seats"),
        _row(200, few, "the same, with conditions that add up from part to part", rounds=1),
        _row(200, many, "who fills the seats, for everyone who may ask and with each of them away"),
    )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\nThe first check of a process also loads the solver: {first * 1000:.0f} ms with 12 nodes."


def _row(count: int, directory: Directory, bound: str, *, rounds: int = 5) -> tuple[str, ...]:
    raw = process(count, rounds=rounds)
    types = [node["type"] for node in raw["graph_spec"]["nodes"]]
    assert len(types) == count
    took = f"{checking(raw, directory) * 1000:.0f} ms"
    return (
        f"{count}",
        f"{types.count('decision')}",
        f"{types.count('approval')}",
        f"{len(directory.people)}",
        took,
        bound,
    )


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    return await asyncio.to_thread(_figures)
