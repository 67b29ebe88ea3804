"""Costs of what is on record: read on both databases, by whom they may be seen, with which prices, and in every way."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy import text, update
from sqlmodel import col
from typer.testing import CliRunner

from api.routes.examples import EXPENSE_APPROVAL
from cli.main import app
from insight.costs import stored
from placet.errors import TooMuchWork
from service.costs.report import CostOrder, cost_report
from simulation.report.costs import Prices
from storage.database import Database
from storage.tables.approvals import ApprovalRequest, StoredPerson
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from tests.pages import browser_of
from tests.stored import writing
from tests.stored_past import store_past

COSTS = "/workflow/costs/"
SIMULATIONS = "/workflow/workflow-simulations/"
START = datetime(2026, 1, 30, 12, tzinfo=UTC)
WHEN = "from=2026-01&to=2026-04"
PRICES = "approver_hour=60&delay_hour=0.5"


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=60) as opened:
        yield opened


async def past(desk: ApiDesk, count: int = 4, *, prefix: str = "past") -> str:
    """Publish a process of manager and CFO, in which each stage takes two hours and some minutes."""
    name = await desk.publish(EXPENSE_APPROVAL)
    given = [{"amount": "6000", "department": "it"}] * count
    await store_past(desk.database, name, given, start=START, every=timedelta(hours=12), prefix=prefix)
    return name


async def costs(desk: ApiDesk, query: str, as_: str = "audrey", *, expect: int = 200) -> dict[str, Any]:
    answer = await desk.get(f"{COSTS}?{query}", as_=as_)
    assert answer.status_code == expect, answer.text
    return dict(answer.json())


async def told(desk: ApiDesk, template: str, person: str) -> tuple[Any, Any, Any]:
    """Return what somebody is told of the costs of a process."""
    found = await costs(desk, f"template={template}&{WHEN}", person)
    return found["rows"], found["totals"], found["prices"]


async def simulate(desk: ApiDesk, template: str, prices: dict[str, Any], as_: str) -> str:
    body = {"mode": "explore", "template": template, "prices": prices, "requester": "user:ann"}
    if as_ == "rex":
        body.pop("requester")
    answer = await desk.post(SIMULATIONS, body, as_=as_)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def together(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(str(row[name] or 0)) for row in rows), Decimal(0))


async def test_costs_by_process_stage_and_month_add_up_to_those_of_the_single_requests(desk: ApiDesk) -> None:
    name = await past(desk)
    ids = [f"past-{number}-{name}" for number in range(4)]
    single = [(await desk.get(f"/workflow/requests/{one}/cost/?{PRICES}", as_="adam")).json() for one in ids]
    for group_by in ("template", "stage", "month", "template,stage,month"):
        found = await costs(desk, f"template={name}&{WHEN}&{PRICES}&group_by={group_by}")
        (total,) = found["totals"]
        assert (total["requests"], total["decisions"], total["currency"]) == (4, 8, "EUR")
        assert Decimal(total["people_cost"]) == together(single, "approvers") == Decimal(80)
        assert abs(Decimal(total["delay_cost"]) - together(single, "delay")) <= Decimal("0.05")
        for part in ("people_cost", "delay_cost", "total_cost", "people_hours", "delay_hours", "decisions"):
            assert together(found["rows"], part) == Decimal(str(total[part])), (group_by, part)
    whole = await costs(desk, f"template={name}&{WHEN}&{PRICES}&group_by=template,stage,month")
    assert {row["month"] for row in whole["rows"]} == {"2026-01", "2026-02"}
    assert {row["stage"] for row in whole["rows"]} >= {"Manager Approval", "CFO Approval"}
    assert all(row["no_price"] == [] for row in whole["rows"])


async def test_without_a_price_there_is_no_amount_and_never_a_zero(desk: ApiDesk) -> None:
    name = await past(desk, 2)
    found = await costs(desk, f"template={name}&{WHEN}")
    (row,) = found["rows"]
    assert (row["people_cost"], row["delay_cost"], row["total_cost"], row["currency"]) == (None,) * 4
    assert row["no_price"] == ["people", "delay"]
    assert (row["decisions"], row["decisions_without_price"]) == (4, 4)
    assert round(Decimal(row["people_hours"]), 2) == Decimal("0.67")
    half = await costs(desk, f"template={name}&{WHEN}&delay_hour=1")
    assert half["rows"][0]["no_price"] == ["people"]
    assert half["rows"][0]["people_cost"] is None
    assert half["rows"][0]["total_cost"] == half["rows"][0]["delay_cost"]


async def test_prices_come_from_the_newest_simulation_of_somebody_who_designs(desk: ApiDesk) -> None:
    name = await past(desk, 2)
    trusted = await simulate(desk, name, {"currency": "CHF", "approver_hour": "90", "minutes_per_decision": 20}, "adam")
    await simulate(desk, name, {"currency": "USD", "approver_hour": "1"}, "rex")  # whom nobody asked for prices
    await simulate(desk, name, {}, "adam")
    found = await costs(desk, f"template={name}&{WHEN}")
    (prices,) = found["prices"]
    assert (prices["simulation_id"], prices["simulated_by"]) == (trusted, "user:adam")
    assert (prices["currency"], prices["approver_hour"], prices["delay_hour"]) == ("CHF", "90", None)
    assert (found["totals"][0]["people_cost"], found["totals"][0]["no_price"]) == ("120.00", ["delay"])
    given = await costs(desk, f"template={name}&{WHEN}&approver_hour=30")
    assert (given["totals"][0]["people_cost"], given["prices"][0]["simulation_id"]) == ("20.00", None)
    shorter = await costs(desk, f"template={name}&{WHEN}&minutes_per_decision=10")
    assert shorter["totals"][0]["people_cost"] == "60.00"
    # Who may not see that simulation has none of its prices.
    assert (await costs(desk, f"template={name}&{WHEN}", "desi"))["prices"][0]["currency"] is None


async def test_owners_see_what_is_theirs_and_others_nothing(desk: ApiDesk) -> None:
    name = await past(desk, 2)
    other = await past(desk, 1, prefix="other")
    with writing(desk.database) as session:
        mine = col(ApprovalRequest.template) == name
        session.execute(update(ApprovalRequest).where(mine).values(owner="user:ava"))
        session.execute(update(ApprovalRequest).where(~mine).values(owner=None))
    for person in ("audrey", "adam", "desi"):
        found = await costs(desk, WHEN, person)
        assert {row["template"] for row in found["rows"]} == {name, other}, person
    assert [row["template"] for row in (await costs(desk, WHEN, "ava"))["rows"]] == [name]
    assert (await costs(desk, WHEN, "rex"))["rows"] == []
    for person in ("ava", "rex"):
        assert await told(desk, other, person) == await told(desk, "Nothing", person) == ([], [], [])
    assert await told(desk, "Nothing", "adam") == ([], [], [])


async def test_what_is_open_is_counted_to_now_and_what_machines_decided_is_no_work(desk: ApiDesk) -> None:
    name = await past(desk, 2)
    request_id = f"past-0-{name}"
    began = datetime.now(UTC) - timedelta(hours=3)
    with writing(desk.database) as session:
        session.execute(
            update(ApprovalRequest)
            .where(col(ApprovalRequest.id) == request_id)
            .values(started_at=began, ended_at=None, status="pending")
        )
        session.execute(update(StoredPerson).where(col(StoredPerson.id) == "carl").values(actor_type="service"))
    found = await costs(desk, f"template={name}&from={began:%Y-%m-%d}&to={began + timedelta(days=9):%Y-%m-%d}&{PRICES}")
    (row,) = found["rows"]
    assert (row["requests"], row["open_requests"]) == (1, 1)
    assert Decimal(3) <= Decimal(row["delay_hours"]) < Decimal("3.5")
    (row,) = (await costs(desk, f"template={name}&{WHEN}&{PRICES}"))["rows"]
    assert (row["decisions"], row["automatic_decisions"]) == (1, 1)


async def test_requests_are_read_page_by_page_and_each_counts_once(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_AT_ONCE", 3)
    name = await past(desk, 8)
    with writing(desk.database) as session:  # all end at one moment, so that only ids tell pages apart
        session.execute(update(ApprovalRequest).where(col(ApprovalRequest.template) == name).values(ended_at=START))
        session.execute(
            update(ApprovalRequest)
            .where(col(ApprovalRequest.id).in_([f"past-{n}-{name}" for n in range(4)]))
            .values(ended_at=None, started_at=START)
        )
    (row,) = (await costs(desk, f"template={name}&{WHEN}"))["rows"]
    assert (row["requests"], row["open_requests"]) == (8, 4)
    monkeypatch.setattr(stored, "MOST_REQUESTS", 4)
    refused = await desk.get(f"{COSTS}?template={name}&{WHEN}", as_="adam")
    assert (refused.status_code, "choose a shorter one" in refused.json()["detail"]) == (422, True)


async def test_what_takes_too_long_to_read_for_an_answer_is_refused(desk: ApiDesk) -> None:
    name = await past(desk, 2)
    order = CostOrder(
        since=START, until=START + timedelta(days=9), zone=ZoneInfo("UTC"), prices=Prices(), template=name
    )
    with pytest.raises(TooMuchWork, match="choose a shorter period"):
        await cost_report(desk.database, None, order, clock=lambda: datetime.now(UTC), seconds=-1)
    assert (await cost_report(desk.database, None, order, clock=lambda: datetime.now(UTC), seconds=None)).rows


async def test_what_was_open_in_a_period_is_found_by_an_index(sqlite_url: str) -> None:
    database = Database(sqlite_url)  # PostgreSQL reads so small a table as a whole
    with writing(database) as session:
        plans = [
            str(session.execute(text(f"EXPLAIN QUERY PLAN {query}"), {"t": "x", "at": "2026-01-01"}).all())
            for query in (
                "SELECT id FROM approval_request WHERE template = :t AND ended_at >= :at ORDER BY ended_at, id LIMIT 9",
                "SELECT id FROM approval_request WHERE template = :t AND ended_at IS NULL ORDER BY id LIMIT 9",
            )
        ]
    assert all("ix_approval_request_process" in plan and "TEMP B-TREE" not in plan for plan in plans), plans
    await database.close()


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("from=yesterday", "/from"),
        ("to=2026-13", "/to"),
        ("from=2026-01-01T00:00:00", "/from"),  # without its offset
        ("from=2026-02&to=2026-01", "/to"),
        ("from=2010-01&to=2026-01", "/to"),
        ("from=1800-01&to=1800-02", "/from"),
        ("group_by=owner", "/group_by"),
        ("timezone=Mars/Olympus", "/timezone"),
        ("timezone=../../etc/passwd", "/timezone"),
        ("approver_hour=-1", "/approver_hour"),
        ("currency=euro", "/currency"),
        ("groupby=month", "/groupby"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_its_place(desk: ApiDesk, query: str, pointer: str) -> None:
    answer = await desk.get(f"{COSTS}?{query}", as_="adam")
    assert (answer.status_code, pointers(answer)) == (422, [pointer])


async def test_the_page_shows_a_chart_and_the_table_behind_it(desk: ApiDesk) -> None:
    name = await past(desk)
    browser = await browser_of(desk, "audrey")
    address = f"/costs?since=2026-01&until=2026-03&process={name}&group_by=template,stage"
    without = html.unescape((await browser.get(address)).text)
    assert ">no price<" in without
    assert "No process here has a price" in without
    answer = await browser.get(f"{address}&approver_hour=60&delay_hour=0,5&currency=EUR")
    page = html.unescape(answer.text)
    assert answer.status_code == 200
    assert "€80.00" in page
    assert ">no price<" not in page
    assert page.count('<li><span class="bar-name">') == page.count("</tr>") - 2  # without head and total
    assert "outside of stages" in page or "CFO Approval" in page
    wrong = await browser.get("/costs?since=soon")
    assert (wrong.status_code, "This could not be worked out" in wrong.text) == (422, True)
    none = await browser.get("/costs?process=Nothing")
    assert (none.status_code, "No request was open in these months" in none.text) == (200, True)
    nobody = await browser_of(desk, "rex")
    assert "No request was open in these months" in (await nobody.get("/costs")).text


def test_the_command_prints_the_table_and_the_document(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACET_HOME", str(tmp_path))
    monkeypatch.setenv("PLACET_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("COLUMNS", "200")

    async def prepared() -> str:
        database = Database(sqlite_url)
        try:
            async with api_desk(database, await no_engine(), seconds=60) as desk:
                return await past(desk, 2)
        finally:
            await database.close()

    name = asyncio.run(prepared())
    period = ["costs", "--from", "2026-01", "--to", "2026-04", "--template", name]
    shown = CliRunner().invoke(app, period)
    assert shown.exit_code == 0, shown.output
    unpriced = CliRunner().invoke(app, [*period, "--json"])
    assert json.loads(unpriced.stdout)["totals"][0]["people_cost"] is None, "without a price it is never 0"
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"approver_hour": 60, "people": {"carl": "120"}, "delay_hour": "0.5"}))
    found = CliRunner().invoke(app, [*period, "--prices", str(prices), "--group-by", "month", "--json"])
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert document["group_by"] == ["month"]
    assert document["totals"][0]["people_cost"] == "60.00"  # two decisions at 10, two at 20
    prices.write_text("[]")
    assert CliRunner().invoke(app, [*period, "--prices", str(prices)]).exit_code == 2
    assert CliRunner().invoke(app, ["costs", "--from", "soon"]).exit_code == 2
