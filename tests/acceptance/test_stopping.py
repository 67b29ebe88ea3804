"""SIGTERM: calls in flight end as they would or say to come again, and nothing that was begun is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.approvals import EXPENSE
from tests.processes import STAFF, Caller, installation
from tests.waiting import PATIENCE

IN_FLIGHT = 64


async def test_calls_in_flight_at_sigterm_are_answered_or_told_to_come_again(tmp_path: Path) -> None:
    with installation(tmp_path / "home") as place:
        tokens = await asyncio.to_thread(place.load, STAFF)
        process, where = await asyncio.to_thread(place.up)
        olivia = Caller(where["api"], tokens["olivia"])
        template = olivia("POST", "process-templates/", EXPENSE, expect=201)
        olivia("POST", f"process-templates/{template['id']}/publish/")
        answered = asyncio.Event()
        async with httpx.AsyncClient(base_url=where["api"], timeout=PATIENCE, trust_env=False) as http:

            async def ask(number: int) -> httpx.Response:
                headers = {"Authorization": f"Bearer {tokens['ann']}", "Idempotency-Key": str(number)}
                body = {"template": EXPENSE["name"], "input": {"amount": number}}
                answer = await http.post("/api/v1/workflow/requests/", json=body, headers=headers)
                answered.set()
                return answer

            calls = [asyncio.create_task(ask(number)) for number in range(IN_FLIGHT)]
            await answered.wait()
            os.kill(process.pid, signal.SIGTERM)
            answers = await asyncio.gather(*calls)
        assert await asyncio.to_thread(process.wait) == 0

        assert {answer.status_code for answer in answers} == {201, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["content-type"] == "application/problem+json"
                assert int(answer.headers["retry-after"]) > 0

        _, where = await asyncio.to_thread(place.up)
        ann = Caller(where["api"], tokens["ann"])
        for number, answer in enumerate(answers):
            body = {"template": EXPENSE["name"], "input": {"amount": number}}
            again = await asyncio.to_thread(ann, "POST", "requests/", body, expect=201, key=str(number))
            assert answer.status_code == 503 or again["id"] == answer.json()["id"]
        assert place.rows("SELECT count(*) FROM approval_request")[0][0] == IN_FLIGHT


def test_an_engine_obeys_a_signal_that_comes_as_soon_as_it_has_said_its_address(tmp_path: Path) -> None:
    with installation(tmp_path / "home") as place:
        process = place.spawn("engine")
        server = json.loads(process.line())["pid"]
        assert process.stop() == 0, process.log.read_text()[-3000:]
        with pytest.raises(ProcessLookupError):
            os.kill(server, 0)
