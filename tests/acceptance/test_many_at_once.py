"""Many calls at once: each is carried out in its turn, and hardly any is told to repeat itself, on a slow machine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType

from tests.approvals import EXPENSE
from tests.processes import STAFF, Caller, Installation, installation
from tests.waiting import PATIENCE, until
from worker.connect import EngineSettings, connect

STARTS, IN_FLIGHT, DECISIONS = 300, 64, 200
# A call has ten seconds, and so has a task of a workflow: a machine that does much else exceeds them now and then.
FEW = STARTS // 20
LOST = {EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("many") / "home") as there:
        yield there


@pytest.fixture(scope="module")
def tokens(place: Installation) -> dict[str, str]:
    return place.load(STAFF)


@pytest.fixture(scope="module")
def where(place: Installation, tokens: dict[str, str]) -> dict[str, Any]:
    _, where = place.up()
    olivia = Caller(where["api"], tokens["olivia"])
    template = olivia("POST", "process-templates/", EXPENSE, expect=201)
    olivia("POST", f"process-templates/{template['id']}/publish/")
    return where


@pytest.fixture
async def http(where: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=DECISIONS)
    base = f"{where['api']}/api/v1/workflow/"
    async with httpx.AsyncClient(base_url=base, timeout=PATIENCE, limits=limits, trust_env=False) as http:
        yield http


async def _send(
    http: httpx.AsyncClient, token: str, path: str, body: dict[str, Any], *, key: str | None = None
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
    return await http.post(path, json=body, headers=headers)


async def test_of_three_hundred_starts_each_begins_one_request_and_hardly_a_first_task_is_lost(
    where: dict[str, Any], tokens: dict[str, str], http: httpx.AsyncClient
) -> None:
    left = iter(range(STARTS))
    answers: list[httpx.Response] = []
    late: list[httpx.Response] = []  # in doubt after the ten seconds that a start has

    async def client() -> None:
        for number in left:
            body = {"template": EXPENSE["name"], "input": {"amount": number}}

            async def known(body: dict[str, Any] = body, key: str = f"start-{number}") -> httpx.Response | None:
                got = await _send(http, tokens["ann"], "requests/", body, key=key)
                if got.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return got
                late.append(got)
                return None

            answer = await until(known, what="a start")
            assert answer is not None
            answers.append(answer)

    await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
    assert Counter(answer.status_code for answer in answers) == {201: STARTS}
    assert len({answer.json()["id"] for answer in answers}) == STARTS
    assert len(late) <= FEW, "calls that wait in a queue are told that something is away"

    engine = await connect(EngineSettings(address=where["temporal"]))
    lost = 0
    for answer in answers:
        history = await engine.get_workflow_handle(answer.json()["id"]).fetch_history()
        lost += bool(LOST & {event.event_type for event in history.events})
    assert lost <= FEW, "first tasks are given to a worker that does not carry them out"


async def test_of_two_hundred_decisions_at_once_one_counts_and_the_others_learn_which(
    tokens: dict[str, str], http: httpx.AsyncClient
) -> None:
    started = await _send(http, tokens["ann"], "requests/", {"template": EXPENSE["name"], "input": {"amount": 1}})
    path = f"tasks/{started.json()['tasks'][0]['id']}/decide/"
    body = {"decision": "approve"}
    answers = await asyncio.gather(*(_send(http, tokens["bob"], path, body) for _ in range(DECISIONS)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: DECISIONS - 1}
    assert {a.json()["standing"]["decided_by"] for a in answers if a.status_code == 409} == {"user:bob"}
