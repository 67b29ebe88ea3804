"""The pages of simulations without scripts: what one takes, its stream after an interruption, and cancelling late."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from service.simulations.jobs import SimulationJob
from simulation.modes.backtest import BacktestRow, RequestSummary, totals_of
from simulation.report.result import json_value
from storage.database import Database
from storage.queries.simulations import simulation_rows, simulations
from storage.tables.simulations import WorkflowSimulation
from tests.api_desk import ApiDesk, api_desk, context_of, no_engine
from tests.pages import browser_of, send
from tests.stored import reading, writing
from tests.unit.core import blueprint


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        yield desk


async def published(desk: ApiDesk) -> tuple[str, str]:
    """Publish a process; return its name, and the id of its version."""
    name = await desk.publish(blueprint({"stage_name": "Board", "approvers": ["user:bob"]}), owner="user:desi")
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    return name, next(one["id"] for one in listed if one["name"] == name)


def store(desk: ApiDesk, ident: str, **more: Any) -> None:
    """Store a simulation of desi's that runs."""
    facts: dict[str, Any] = {"mode": "explore", "status": "running", "question": {}, "created_by": "desi"}
    with writing(desk.database) as session:
        row = WorkflowSimulation(id=ident, **facts | {"created_at": datetime.now(UTC)} | more)
        simulations.insert(session.connection(), row)


def takes(page: str) -> list[str]:
    """Return the sentences that say what a simulation takes."""
    listed = re.search(r"<ul data-effort[^>]*>(.*?)</ul>", page)
    assert listed is not None
    return re.findall(r"<li>(.*?)</li>", listed[1])


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("explore", ["at most 200 branches", "usually takes less than a second", "ten seconds at most"]),
        ("rehearse", ["one request on the engine", "usually takes seconds", "1,000 points in time, or 20 rounds"]),
        ("replay", ["one real request", "usually takes less than a second", "20,000 entries"]),
        ("backtest", ["compares 0 requests, of 0", "about one second, by what a request", "after five minutes"]),
        ("shadow", ["0 requests that run now", "next 7 days as well, 1,000 in all", "only reads", "10 can run"]),
    ],
)
async def test_what_a_simulation_takes_stands_on_its_form(desk: ApiDesk, mode: str, told: list[str]) -> None:
    _, ident = await published(desk)
    browser = await browser_of(desk, "desi")
    found = takes((await browser.get(f"/simulations/new/{ident}?mode={mode}")).text)
    assert len(found) == len(told)
    for sentence, part in zip(found, told, strict=True):
        assert part in sentence


async def test_how_long_one_takes_is_told_from_the_latest_of_its_kind(desk: ApiDesk) -> None:
    name, ident = await published(desk)
    begun = datetime(2026, 3, 2, 9, tzinfo=UTC)
    for number, seconds in enumerate((10, 20, 60)):
        facts = {"mode": "backtest", "status": "completed", "template": name, "result": {}, "created_at": begun}
        store(desk, f"past{number}", **facts, finished_at=begun.replace(minute=seconds // 60, second=seconds % 60))
        with writing(desk.database) as session:
            rows = [(place, {"request_id": f"r{place}", "changed": False}) for place in range(1, 3)]
            simulation_rows.put(session.connection(), f"past{number}", rows, revision=0)
    context = context_of(desk)
    timed = await context.database.read(simulations.took, name, "backtest")
    assert sorted(timed) == [(10.0, 2), (20.0, 2), (60.0, 2)]
    facts = {"mode": "explore", "status": "completed", "template": name, "result": {}, "created_at": begun}
    store(desk, "explored", **facts, finished_at=begun.replace(second=42))
    browser = await browser_of(desk, "desi")
    page = (await browser.get(f"/simulations/new/{ident}?mode=explore")).text
    assert "It takes about 42 secs, as the latest simulations" in takes(page)[1]
    checked = await send(browser, f"/simulations/new/{ident}", mode="explore", step="check", most_branches="7")
    assert "at most 7 branches" in takes(checked.text)[0]


async def test_a_stream_goes_on_where_it_broke_off_and_tells_nothing_twice(desk: ApiDesk) -> None:
    store(desk, "runs")
    job = SimulationJob(by="desi")
    branch = {"outcomes": [], "route": ["start", "end"], "outcome": "approved", "stopped": None, "witness": {},
              "path_condition": "true", "predicted_duration_ms": 1}  # fmt: skip
    for number in range(1, 4):
        job.tell({"branch": {**branch, "id": f"branch-{number}"}})
    job.tell({"done": 2, "of": 4})
    job.ended = True
    context_of(desk).jobs._running["runs"] = job
    browser = await browser_of(desk, "desi")
    whole = (await browser.get("/simulations/runs/events")).text
    assert re.findall(r"^id: (\d+)$", whole, re.MULTILINE) == ["1", "2", "3", "4"]
    assert whole.count("event: branch") == 3
    rest = (await browser.get("/simulations/runs/events", headers={"Last-Event-ID": "2"})).text
    assert re.findall(r"^id: (\d+)$", rest, re.MULTILINE) == ["3", "4"]
    assert "3 branches found" in rest  # of all, not of those that are told again
    assert whole.endswith(rest)
    after = (await browser.get("/simulations/runs/events", headers={"Last-Event-ID": "4"})).text
    assert after == "event: ended\ndata: {}\n\n"
    assert (await browser.get("/simulations/runs/events", headers={"Last-Event-ID": "-1"})).status_code == 422


async def test_who_cancels_too_late_reads_that_it_had_ended(desk: ApiDesk) -> None:
    store(desk, "over")
    browser = await browser_of(desk, "desi")
    for done in ("cancel_simulation", "cancel_simulation_late"):
        answer = await send(browser, "/simulations/over/cancel")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/simulations/over?done={done}")
    assert "the simulation had ended already" in (await browser.get(answer.headers["location"])).text


async def test_faults_stand_under_what_they_are_about(desk: ApiDesk) -> None:
    faults = [{"pointer": pointer, "message": f"about {pointer}"} for pointer in
              ("/process_steps/0", "/input/amount", "/script/0/on", "/input")]  # fmt: skip
    store(desk, "wrong", status="failed", result={"validation_errors": faults})
    browser = await browser_of(desk, "desi")
    page = (await browser.get("/simulations/wrong")).text
    parts = [page.split(f"<h2>{heading}</h2>", 1)[1].split("</section>", 1)[0] for heading in
             ("Faults of the input", "Faults of the script", "Faults of the process")]  # fmt: skip
    assert [re.findall(r"about (\S+?)<", part) for part in parts] == [
        ["/input/amount", "/input"],
        ["/script/0/on"],
        ["/process_steps/0"],
    ]


async def test_a_number_beyond_its_bounds_is_refused_in_the_readers_language_in_the_units_of_the_form(
    desk: ApiDesk,
) -> None:
    _, ident = await published(desk)
    browser = await browser_of(desk, "desi")
    browser.headers["Accept-Language"] = "de"
    form = {"mode": "explore", "horizon_days": "9999", "sample.approve": "180", "sample.seed": "1"}
    page = unescape((await send(browser, f"/simulations/new/{ident}", **form)).text)
    assert "schreiben Sie eine Zahl von höchstens 3660" in page
    assert "Schreiben Sie einen Prozentsatz von 0 bis 100." in page
    assert "Input should" not in page


async def test_an_action_is_ordered_exactly_and_stands_on_the_form_of_who_orders_it_again(desk: ApiDesk) -> None:
    _, template = await published(desk)
    browser = await browser_of(desk, "desi")
    address = f"/simulations/new/{template}"
    action = '{"type": "payment", "target": "ERP", "parameters": {"amount": 82000.10}}'
    for wrong, reason in (('{"type": "payment"', "action"), ('{"type": "payment"}', "target")):
        refused = await send(browser, address, mode="explore", bound_action=wrong)
        assert refused.status_code == 422
        assert reason in refused.text
        assert wrong in unescape(refused.text), "what was typed is kept"
    ordered = await send(browser, address, mode="explore", bound_action=action)
    simulation = ordered.headers["location"].rpartition("/")[2]
    with reading(desk.database) as session:
        stored = simulations.get(session.connection(), simulation, viewer=None).question["action"]
    assert json.dumps(stored["parameters"]) == '{"amount": 82000.1}'
    again = (await browser.get(f"{address}?from={simulation}")).text
    assert "82000.1" in again.split('name="bound_action"', 1)[1].split("</textarea>")[0]


async def test_the_rows_of_each_filter_are_counted_once_as_the_store_counts_them(desk: ApiDesk) -> None:
    before = RequestSummary(
        route=(), approvers=("bob",), outcome="approved", duration_ms=1000, sla_state="ok", cost=Decimal(1)
    )
    after = {"same": before, "later": replace(before, duration_ms=9000), "earlier": replace(before, duration_ms=1)}
    rows = [
        BacktestRow(request_id=f"r{number}", before=before, after=after.get(kind), unknown=unknown, changed=changed)
        for number, (kind, unknown, changed) in enumerate(
            [
                ("same", None, ()),
                ("same", None, ("outcome", "approvers", "route")),
                ("later", None, ("duration", "sla_state")),
                ("earlier", None, ("duration", "cost")),
                ("later", "it still runs", ("duration",)),  # of a shadow
                ("none", "what bob does is not known", ()),
            ]
        )
    ]
    totals = json_value(totals_of(rows))
    store(desk, "rows", mode="backtest", status="completed", result={"totals": totals})
    with writing(desk.database) as session:
        simulation_rows.put(session.connection(), "rows", enumerate(json_value(rows), 1), revision=0)
    counted = await desk.database.read(simulation_rows.counts, "rows")
    assert totals["shown"] == {name: number for name, number in counted.items() if number}
    browser = await browser_of(desk, "desi")
    page = (await browser.get("/simulations/rows")).text
    assert dict(re.findall(r'>([A-Z][a-z ]+) <span class="count">(\d+)', page))["Ends later"] == "2"
    assert "Would end differently" in page


async def test_of_requests_none_of_which_is_known_it_is_not_told_how_many_would_change(desk: ApiDesk) -> None:
    before = RequestSummary(
        route=(), approvers=("bob",), outcome="approved", duration_ms=1000, sla_state="ok", cost=Decimal(1)
    )
    rows = [BacktestRow(request_id="r1", before=before, after=None, unknown="what bob does is not known", changed=())]
    store(desk, "none", mode="backtest", status="completed", result={"totals": json_value(totals_of(rows))})
    page = (await (await browser_of(desk, "desi")).get("/simulations/none")).text
    assert "Requests compared" in page
    assert "of 1; the record does not tell" in page
    for word in ("Would change", "Would end differently", "Overdue, before"):
        assert word not in page
