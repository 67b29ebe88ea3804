"""A blueprint from an untrusted author: simulations of it read no file, call nobody, and stay within bounds.

Each attack is answered within its time, while the API goes on answering others and the process does not grow by much.
Time is that of the processor, so that other work on the machine makes no difference.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from storage.database import Database
from tests.acceptance.test_simulations import PATH, simulate
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.receiver import Receiver

VARIABLES = [{"name": "amount", "type": "decimal"}, {"name": "text", "type": "string"}]
GIVEN = {"amount": "1", "text": "x"}
ENDS = [{"id": "start", "type": "trigger"}, {"id": "yes", "type": "terminator", "outcome": "approved"}]

MOST_SECONDS = 30.0
MOST_PAUSE = 5.0  # for which nobody else is answered
MOST_GROWTH = 300  # megabytes


def process(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a process of these stages, decided by the CFO."""
    named = [{"stage_name": f"S{n}", "approvers": ["role:cfo"], **step} for n, step in enumerate(steps or ({},))]
    return {
        "name": "X",
        "version": "1.0.0",
        "owner": "user:olivia",
        "variables": VARIABLES,
        "process_steps": named,
    } | more


def deciding(condition: str) -> dict[str, Any]:
    """Return a process with one condition."""
    edges = [
        {"from": "start", "to": "d"},
        {"from": "d", "to": "yes", "condition": condition},
        {"from": "d", "to": "yes", "default": True},
    ]
    return process(graph_spec={"nodes": [*ENDS, {"id": "d", "type": "decision"}], "edges": edges})


def decisions(count: int) -> dict[str, Any]:
    """Return a process of decisions in a row, each with a way around: two to the power of `count` routes."""
    nodes: list[dict[str, Any]] = list(ENDS)
    edges: list[dict[str, Any]] = [{"from": "start", "to": "d0"}]
    for n in range(count):
        onward = f"d{n + 1}" if n < count - 1 else "yes"
        nodes += [{"id": f"d{n}", "type": "decision"}, {"id": f"w{n}", "type": "wait", "hours": 1}]
        edges += [
            {"from": f"d{n}", "to": f"w{n}", "condition": f"amount > {n * 10}"},
            {"from": f"d{n}", "to": onward, "default": True},
            {"from": f"w{n}", "to": onward},
        ]
    return process(graph_spec={"nodes": nodes, "edges": edges})


def forked(count: int) -> dict[str, Any]:
    """Return a process that asks in so many branches at once."""
    nodes: list[dict[str, Any]] = [*ENDS, {"id": "f", "type": "fork"}, {"id": "j", "type": "join"}]
    edges: list[dict[str, Any]] = [{"from": "start", "to": "f"}, {"from": "j", "to": "yes"}]
    for n in range(count):
        nodes.append({"id": f"p{n}", "type": "approval", "step": f"S{n}"})
        edges += [{"from": "f", "to": f"p{n}"}, {"from": f"p{n}", "to": "j"}]
    return process(*({"sla_hours": 1} for _ in range(count)), graph_spec={"nodes": nodes, "edges": edges})


def circling() -> dict[str, Any]:
    """Return a process that goes round for ever, every few seconds."""
    edges = [
        {"from": "start", "to": "w"},
        {"from": "w", "to": "d"},
        {"from": "d", "to": "yes", "condition": "amount > 5"},
        {"from": "d", "to": "w", "default": True},
    ]
    nodes = [*ENDS, {"id": "w", "type": "wait", "hours": 0.001}, {"id": "d", "type": "decision"}]
    return process(graph_spec={"nodes": nodes, "edges": edges})


def asking(form: dict[str, Any]) -> dict[str, Any]:
    """Return a process whose approver fills in a form."""
    return process({"form": form})


def wrapped(inner: dict[str, Any], *, items: int, levels: int) -> dict[str, Any]:
    """Return the schema of lists of so many lists."""
    for _ in range(levels):
        inner = {"type": "array", "minItems": items, "items": inner}
    return inner


FLOOD = process({"sla_hours": 1, "reminders": {"every_hours": 0.0003}})
POWER = "amount * amount * amount + amount * amount == 7919.0 * amount + 123457.0 && amount * amount > 3.7"
MATCHING = deciding('text.matches("(a+)+$")')
PATTERN = {"name": "t", "type": "string", "pattern": "(a|aa)+$" * 20}
REF = {"$ref": "#/$defs/a"}
NINE = {"type": "array", "minItems": 9, "items": REF}
MANY = {"type": "list", "min_length": 10**6, "max_length": 10**6, "items": {"type": "string"}}
SPEECH = [{"do": "comment", "by": "ann", "comment": "x", "at_hours": n} for n in range(1000)]
GROWTH = [{"op": "add", "path": "/process_steps/-", "value": {"stage_name": f"P{n}"}} for n in range(100)]
ATTACKS: dict[str, dict[str, Any]] = {
    "a huge condition": {"blueprint": deciding(" || ".join(f"amount > {n}" for n in range(300)))},
    "deep brackets": {"blueprint": deciding("(" * 1900 + "true" + ")" * 1900)},
    "a condition that is hard to solve": {"blueprint": deciding(POWER)},
    "a pattern that backtracks": {"blueprint": MATCHING, "input": GIVEN | {"text": "a" * 9999}},
    "a variable's pattern": {"blueprint": process(variables=[PATTERN])},
    "more routes than there is time": {"blueprint": decisions(60), "most_branches": 1000},
    "sixty stages": {"blueprint": process(*({} for _ in range(60))), "most_branches": 1000},
    "a fork of sixty": {"blueprint": forked(60), "most_branches": 1000},
    "an endless loop": {"blueprint": circling(), "input": GIVEN, "horizon_days": 3660},
    "a reminder each second for ten years": {"blueprint": FLOOD, "script": {"S0": "wait"}, "horizon_days": 3660},
    "a form of a billion items": {"blueprint": asking(wrapped({"type": "string"}, items=10**9, levels=1))},
    "a form of lists of lists": {"blueprint": asking(wrapped({"type": "string"}, items=1000, levels=7))},
    "a form with a text of a billion": {"blueprint": asking({"type": "string", "minLength": 10**9})},
    "a form within itself": {"blueprint": asking({"$defs": {"a": NINE}, **REF})},
    "a variable of lists of lists": {"blueprint": process(variables=[{"name": "l", **MANY, "items": MANY}])},
    "a decimal with a huge exponent": {"blueprint": process(), "input": GIVEN | {"amount": "1e999999999"}},
    "a decimal of many digits": {"blueprint": process(), "input": GIVEN | {"amount": "9" * 5000}},
    "a script of a thousand lines": {"blueprint": process(), "input": GIVEN, "script": SPEECH},
    "a patch that adds and adds": {"blueprint": process(), "patch": GROWTH},
    "names that are templates": {"blueprint": process({"stage_name": "{{ ''.__class__ }}"}, name="${jndi:ldap://x}")},
}  # fmt: skip


@pytest_asyncio.fixture
async def desk(sqlite_url: str) -> AsyncIterator[ApiDesk]:
    """Give the API without an engine."""
    database = Database(sqlite_url)
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened
    await database.close()


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_answered_in_time_and_holds_up_nobody_else(desk: ApiDesk, name: str) -> None:
    await desk.token("desi")
    before, begun = _megabytes(), time.process_time()
    pauses: list[float] = []
    watching = asyncio.create_task(_watch(pauses))
    answer = await desk.post(PATH, {"mode": "explore", **ATTACKS[name]}, as_="desi")
    watching.cancel()
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["status"] == ("failed" if told["validation_errors"] and not told["execution_path"] else "completed")
    assert len(told["branch_explorations"]) <= 1000
    assert time.process_time() - begun < MOST_SECONDS
    assert max(pauses, default=0) < MOST_PAUSE
    assert _megabytes() - before < MOST_GROWTH


async def test_a_form_can_refer_to_no_file_and_to_nobody(desk: ApiDesk, receiver: Receiver, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"const": "a secret word"}')
    for place in (secret.as_uri(), str(secret), receiver.url):
        for form in (
            {"$ref": place},
            {"$schema": place, "type": "object"},
            {"$id": place, "$dynamicRef": f"{place}#x"},
        ):
            found = await simulate(desk, mode="explore", blueprint=asking(form), input=GIVEN)
            assert "a secret word" not in str(found)
    assert receiver.got == []


@pytest.mark.parametrize("path", ["/name/x", "/process_steps/-1", "/process_steps/x", "", "~", "/~2", "/version/a/b"])
@pytest.mark.parametrize("op", ["add", "remove", "replace", "test"])
async def test_a_patch_that_does_not_fit_is_refused_by_its_place(desk: ApiDesk, path: str, op: str) -> None:
    order = {"mode": "explore", "blueprint": process(), "patch": [{"op": op, "path": path, "value": 3}]}
    answer = await desk.post(PATH, order, as_="desi")
    if answer.status_code == 201:
        assert [e["pointer"] for e in answer.json()["validation_errors"]] == [""]
    else:
        assert (answer.status_code, [p["pointer"] for p in answer.json()["errors"]]) == (422, ["/patch/0"])


async def _watch(pauses: list[float]) -> None:
    """Note for how long others were not answered."""
    while True:
        before = time.process_time()
        await asyncio.sleep(0)
        pauses.append(time.process_time() - before)
        await asyncio.sleep(0.01)


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
