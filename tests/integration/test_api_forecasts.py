"""Forecasts over HTTP and on the page of a request: from stored past requests, for whoever sees the request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select
from sqlmodel import col
from temporalio.client import Client

from insight.forecast.forecaster import LEAST_CASES
from placet.directory import Person
from placet.engine.state import State
from storage.database import Database
from storage.queries.requests.past import MOST_ENDED, past_of
from storage.tables.approvals import ApprovalRequest, ApprovalTask
from tests.api_desk import STAFF, ApiDesk, working_desk
from tests.approvals import EXPENSE
from tests.pages import browser_of
from tests.past import ran, row_of, truth
from tests.stored import reading, writing
from tests.unit.core import people, plan_of

TRUTH = truth({"Manager Approval": (6, 1.0)}, {"approve": 0.9, "reject": 0.1})
OFFICE = people(*(Person(id=one["id"], manager=one.get("manager"), roles=tuple(one.get("roles", ()))) for one in STAFF))


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client) as opened:
        yield opened


def store(database: Database, states: list[State], beside: str) -> None:
    """Store past requests of the version of a stored request."""
    with writing(database) as session:
        one = session.get(ApprovalRequest, beside)
        assert one is not None
        for state in states:
            row = row_of(state)
            request = {"id": f"{beside}-{row.id}", "input": {"amount": "10"}, "seq": state.seq, "head": state.head}
            session.add(
                ApprovalRequest(
                    **request,
                    template_id=one.template_id,
                    template=one.template,
                    version=one.version,
                    title=row.title,
                    requester="ann",
                    status=row.status,
                    outcome=state.outcome,
                    started_at=row.started_at,
                    ended_at=row.ended_at,
                )
            )
            for position, task in enumerate(row.tasks, 1):
                session.add(
                    ApprovalTask(
                        id=f"{beside}-{task.id}",
                        request_id=f"{beside}-{row.id}",
                        position=position,
                        stage=task.stage,
                        round=task.round,
                        assignee=task.assignee,
                        candidates=[],
                        delegates=[],
                        assigned_via="",
                        status=task.status,
                        opened_at=task.opened_at,
                        sla_state="ok",
                        decision=task.decision,
                        decided_by=task.decided_by,
                        decided_at=task.decided_at,
                    )
                )


def past(count: int) -> list[State]:
    """Return finished requests of the last weeks."""
    now = datetime.now(UTC)
    starts: list[tuple[str, datetime, dict[str, Any]]] = [
        (f"p{n}", now - timedelta(days=30) + n * timedelta(hours=1), {"amount": "10"}) for n in range(count)
    ]
    return ran(plan_of(EXPENSE), OFFICE, TRUTH, starts, now + timedelta(days=90), requester="ann")


async def test_a_forecast_comes_from_the_past_of_the_version_and_for_who_sees_the_request(desk: ApiDesk) -> None:
    name = await desk.publish(EXPENSE)
    request = await desk.start(name, amount="10")
    path = f"/workflow/requests/{request['id']}/forecast/"
    store(desk.database, past(LEAST_CASES + 20), request["id"])
    answer = await desk.get(path)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["state"] == "ok"
    finish = said["finish"]
    assert request["started_at"] < finish["low"] < finish["expected"] < finish["high"]
    assert finish["coverage"] == 0.8
    assert said["deadline"] == request["tasks"][0]["due_at"]
    assert said["task_id"] == request["tasks"][0]["id"]
    assert 0 < said["miss_probability"] < 0.5, "24 hours are four times the median"
    assert said["cases"] == LEAST_CASES + 20
    assert said["draws"] == 100
    assert said["held_out"]["cases"] >= 15
    assert 0.5 <= said["held_out"]["coverage"] <= 1
    seen_by = {who: (await desk.get(path, as_=who)).status_code for who in ("bob", "audrey", "zoe", "nil")}
    assert seen_by == {"bob": 200, "audrey": 200, "zoe": 404, "nil": 403}
    page = (await (await browser_of(desk, "ann")).get(f"/requests/{request['id']}/forecast")).text
    assert "as likely earlier as later" in page
    assert "Brier score" in page
    german = await (await browser_of(desk, "ann")).get(
        f"/requests/{request['id']}/forecast", headers={"Accept-Language": "de"}
    )
    assert "Wann er fertig sein kann" in german.text
    whole = (await (await browser_of(desk, "ann")).get(f"/requests/{request['id']}")).text
    assert f'href="/requests/{request["id"]}/forecast"' in whole
    task = request["tasks"][0]["id"]
    assert (await desk.post(f"/workflow/tasks/{task}/decide/", {"decision": "approve"}, as_="bob")).status_code == 200
    assert (await desk.get(path)).status_code == 409
    ended = await (await browser_of(desk, "ann")).get(f"/requests/{request['id']}/forecast")
    assert "The request has ended." in ended.text


async def test_with_too_few_finished_requests_it_says_so_and_nothing_else(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    store(desk.database, past(LEAST_CASES - 1), request["id"])
    answer = await desk.get(f"/workflow/requests/{request['id']}/forecast/")
    assert answer.json() == {"state": "too_few"}
    page = (await (await browser_of(desk, "bob")).get(f"/requests/{request['id']}/forecast")).text
    assert "Too few requests of this version have finished to say: 100 are needed." in page
    assert (await (await browser_of(desk, "zoe")).get(f"/requests/{request['id']}/forecast")).status_code == 404


async def test_the_past_is_read_anew_after_a_while(desk: ApiDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    path = f"/workflow/requests/{request['id']}/forecast/"
    assert (await desk.get(path)).json() == {"state": "too_few"}
    store(desk.database, past(LEAST_CASES + 20), request["id"])
    assert (await desk.get(path)).json() == {"state": "too_few"}, "what was read is kept"
    monkeypatch.setattr("service.forecasts.forecasts.REFRESH", timedelta(0))
    assert (await desk.get(path)).json()["state"] == "ok"


async def test_no_more_than_the_latest_requests_are_read(desk: ApiDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.queries.requests.past.MOST_ENDED", 5)
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    states = past(20)
    store(desk.database, states, request["id"])
    with reading(desk.database) as session:
        one = session.get(ApprovalRequest, request["id"])
        assert one is not None
        found = past_of(session.connection(), one.template_id)
        count = session.execute(select(func.count(col(ApprovalRequest.id)))).scalar_one()
    assert count > 5
    assert MOST_ENDED <= 1_000
    latest = sorted(states, key=lambda state: str(state.ended_at))[-5:]
    assert {row.id for row in found} == {request["id"], *(f"{request['id']}-{state.request_id}" for state in latest)}
    assert all(row.tasks for row in found)
