"""What decisions lead to, over HTTP and on the task page: what the running workflow's own state says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client

from simulation.modes.consequences import SLOW
from storage.database import Database
from tests.api_desk import ApiDesk, working_desk
from tests.approvals import EXPENSE
from tests.pages import browser_of

TWO = {
    **EXPENSE,
    "process_steps": [
        {"stage_name": "Manager Approval", "sla_hours": 24},
        {"stage_name": "CFO Approval", "approvers": ["role:cfo"], "sla_hours": 48, "comment_required": ["reject"]},
    ],
}


@pytest_asyncio.fixture
async def desk(database: Database, client: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiDesk]:
    monkeypatch.setattr("service.consequences.SECONDS", 60.0)  # machines do other work
    monkeypatch.setattr("service.consequences.SECONDS_OF_ENGINE", 60.0)
    async with working_desk(database, client) as opened:
        yield opened


async def test_each_decision_says_what_it_leads_to_and_taking_it_leads_there(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(TWO), amount="10")
    (task,) = request["tasks"]
    path = f"/workflow/tasks/{task['id']}"
    answer = await desk.get(f"{path}/consequences/", as_="bob")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["revision"] == 1
    assert said["approve"]["settles"] is True
    assert said["approve"]["next"] == [{"stage": "CFO Approval", "people": ["user:carl"]}]
    assert said["approve"]["outcome"] is None
    assert said["approve"]["forecast_end"] > request["started_at"]
    assert said["approve"]["side_effects"] == []
    assert said["reject"]["outcome"] == "rejected"
    assert said["request_changes"] | {"forecast_end": None, "next": []} == said["request_changes"]
    page = (await (await browser_of(desk, "bob")).get(f"/tasks/{task['id']}/consequences")).text
    assert "CFO Approval" in page
    after = (await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="bob")).json()
    assert [one["stage"] for one in after["tasks"] if one["status"] == "open"] == ["CFO Approval"]
    last = after["tasks"][-1]["id"]
    said = (await desk.get(f"/workflow/tasks/{last}/consequences/", as_="carl")).json()
    assert said["approve"]["outcome"] == "approved"
    assert said["reject"]["outcome"] == "rejected", "a comment that a rejection needs is no reason to say nothing"


async def test_each_button_of_the_task_page_says_what_it_leads_to(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    (task,) = request["tasks"]
    browser = await browser_of(desk, "bob")
    offered = set(re.findall(r'data-decision="(\w+)"', (await browser.get(f"/tasks/{task['id']}")).text))
    said = (await desk.get(f"/workflow/tasks/{task['id']}/consequences/", as_="bob")).json()
    assert said.keys() == {"revision", *offered} == {"revision", "approve", "reject", "request_changes", "abstain"}
    assert said["abstain"]["outcome"] == "rejected", "nobody else can approve"
    page = (await browser.get(f"/tasks/{task['id']}/consequences")).text
    assert re.search(r"<dt>Abstain</dt><dd><p>The request ends: Rejected\.</p>", page), page
    after = (await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "abstain"}, as_="bob")).json()
    assert after["outcome"] == "rejected"


@pytest.mark.parametrize(("person", "status"), [("ann", 403), ("zoe", 404), ("audrey", 403), ("olivia", 403)])
async def test_only_who_may_decide_is_told(desk: ApiDesk, person: str, status: int) -> None:
    request = await desk.start(await desk.publish(TWO), amount="10")
    answer = await desk.get(f"/workflow/tasks/{request['tasks'][0]['id']}/consequences/", as_=person)
    assert answer.status_code == status, answer.text


async def test_a_decided_task_has_no_consequences_any_more(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    path = f"/workflow/tasks/{request['tasks'][0]['id']}"
    await desk.post(f"{path}/decide/", {"decision": "approve"}, as_="bob")
    answer = await desk.get(f"{path}/consequences/", as_="bob")
    assert answer.status_code == 409, answer.text


async def test_the_process_of_a_request_leads_to_the_engines_own_page_for_whoever_sees_all(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(TWO), amount="10")
    shown = [
        "http://temporal.test" in (await (await browser_of(desk, who)).get(f"/requests/{request['id']}/process")).text
        for who in ("audrey", "bob")
    ]
    assert shown == [True, False]


async def test_the_audit_page_verifies_the_request_and_lists_its_entries_by_kind(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(TWO), amount="10")
    browser = await browser_of(desk, "bob")
    path = f"/requests/{request['id']}/audit"
    page = (await browser.get(path)).text
    assert "does not hold" not in page
    assert page.count(">holds<") == 4
    assert '<strong title="started">Request started</strong>' in page
    some = (await browser.get(f"{path}?kind=task_opened")).text
    assert '<strong title="task_opened">Decision asked</strong>' in some
    assert '<strong title="started">' not in some
    assert "There is no such entry" in (await browser.get(f"{path}?page=9")).text
    assert (await (await browser_of(desk, "zoe")).get(path)).status_code == 404


async def test_in_the_only_round_the_other_decisions_say_what_they_lead_to(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish({**EXPENSE, "settings": {"max_rounds": 1}}), amount="10")
    path = f"/workflow/tasks/{request['tasks'][0]['id']}/consequences/"
    said = (await desk.get(path, as_="bob")).json()
    assert said["request_changes"].keys() == {"unavailable"}
    assert [said[one]["outcome"] for one in ("approve", "reject")] == ["approved", "rejected"]
    browser = await browser_of(desk, "bob")
    address = f"/tasks/{request['tasks'][0]['id']}/consequences"
    german = (await browser.get(address, headers={"accept-language": "de"})).text
    assert "seine erste Runde ist die einzige" in german


async def test_what_takes_longer_than_it_may_is_absent_with_the_reason(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.consequences.SECONDS", 0.0)
    request = await desk.start(await desk.publish(TWO), amount="10")
    (task,) = request["tasks"]
    said = (await desk.get(f"/workflow/tasks/{task['id']}/consequences/", as_="bob")).json()
    assert [said[one]["unavailable"] for one in ("approve", "reject", "request_changes", "abstain")] == [SLOW] * 4
    page = (await (await browser_of(desk, "bob")).get(f"/tasks/{task['id']}/consequences")).text
    assert page.count(SLOW) == 4
