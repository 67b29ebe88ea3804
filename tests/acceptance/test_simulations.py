"""Simulations over HTTP, on the real engine and both databases; and that none of them changes anything else."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from temporalio.client import Client

from simulation.scenario.spec import parse_spec
from storage.database import Database
from storage.queries.simulations import simulations
from storage.tables.approvals import IdempotentCall, StoredPerson
from storage.tables.simulations import WorkflowSimulation
from tests.api_desk import ApiDesk, api_desk, context_of, no_engine, pointers
from tests.approvals import EXPENSE, worker
from tests.stored import writing
from tests.waiting import until
from worker.catalog import seed_catalog

PATH = "/workflow/workflow-simulations/"
W3 = {
    "execution_path",
    "branch_explorations",
    "approval_chain",
    "predicted_duration_ms",
    "validation_errors",
    "warnings",
}
TWO_STAGES: dict[str, Any] = {
    **EXPENSE,
    "process_steps": [
        {"stage_name": "Manager Approval", "approvers": ["manager_of(requester)"], "sla_hours": 24},
        {"stage_name": "CFO Approval", "approvers": ["role:cfo"], "sla_hours": 48},
    ],
}


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    """Give the API with a worker on the real engine."""
    queue = f"api-{uuid.uuid4().hex[:8]}"
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue) as opened:
        yield opened


@pytest_asyncio.fixture
async def alone(sqlite_url: str) -> AsyncIterator[ApiDesk]:
    """Give the API without an engine."""
    database = Database(sqlite_url)
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened
    await database.close()


async def simulate(desk: ApiDesk, *, as_: str = "desi", **spec: Any) -> dict[str, Any]:
    """Simulate, and wait for the answer."""
    made = await desk.post(PATH, spec, as_=as_)
    assert made.status_code == 201, made.text

    async def ended() -> dict[str, Any] | None:
        found = (await desk.get(f"{PATH}{made.json()['id']}/", as_=as_)).json()
        return dict(found) if found["status"] != "running" else None

    return await until(ended) or {}


async def decide(
    desk: ApiDesk, request: dict[str, Any], person: str, decision: str = "approve", **more: Any
) -> dict[str, Any]:
    """Decide the open task of a request."""
    task = next(t for t in request["tasks"] if t["status"] == "open")
    answer = await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": decision, **more}, as_=person)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def give_access(desk: ApiDesk, person: str, *access: str) -> None:
    """Give somebody other access than they had."""
    with writing(desk.database) as session:
        session.get_one(StoredPerson, person).access = list(access)


async def test_exploring_answers_completed_with_everything(alone: ApiDesk) -> None:
    made = await alone.post(PATH, {"mode": "explore", "blueprint": TWO_STAGES, "input": {"amount": "12.50"}})
    assert made.status_code == 201
    found = made.json()
    assert found["status"] == "completed"
    assert found.keys() >= W3 | {"id", "cost", "predicted_duration"}
    assert len(found["branch_explorations"]) == 3
    assert [link["assignee"] for link in found["approval_chain"]] == ["user:bob", "user:carl"]
    assert found["input"] == {"amount": "12.5"}
    assert (await alone.get(f"{PATH}{found['id']}/")).json() == found


async def test_a_stored_template_is_simulated_by_its_name(alone: ApiDesk) -> None:
    name = await alone.publish(TWO_STAGES)
    found = await simulate(alone, mode="explore", template=name, input={"amount": "1"}, as_="ann")
    assert (found["template"], found["version"], found["outcome"]) == (name, "1.0.0", "approved")


async def test_a_real_request_gives_the_process_and_the_input_to_explore(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    request = await desk.start(name, amount="77")
    found = await simulate(desk, mode="explore", request_id=request["id"], as_="ann")
    assert (found["template"], found["input"], found["requester"]) == (name, {"amount": "77"}, "ann")
    other = await desk.post(PATH, {"mode": "explore", "request_id": request["id"]}, as_="zoe")
    assert other.status_code == 404


async def test_a_backtest_needs_no_more_than_a_name(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    requests = [await decide(desk, await desk.start(name, amount="7"), "bob", "reject") for _ in range(2)]
    for spec in (
        {"template": name},
        {"blueprint": {**TWO_STAGES, "name": name}},
        {"template": name, "candidate": TWO_STAGES},
    ):
        found = await simulate(desk, as_="audrey", mode="backtest", **spec)
        assert (found["totals"]["requests"], found["totals"]["changed"]["count"]) == (2, 0), spec
    one = await simulate(desk, as_="audrey", mode="backtest", template=name, request_ids=[requests[0]["id"]])
    assert [row["request_id"] for row in one["rows"]] == [requests[0]["id"]]


async def test_what_is_wrong_with_a_blueprint_is_told_and_counted_as_failed(alone: ApiDesk) -> None:
    found = await simulate(alone, mode="explore", blueprint={**TWO_STAGES, "process_steps": [{"stage_name": ""}]})
    assert found["status"] == "failed"
    assert [e["pointer"] for e in found["validation_errors"]] == ["/process_steps/0/stage_name"]
    empty = await simulate(alone, mode="explore", blueprint={})
    assert {e["pointer"] for e in empty["validation_errors"]} == {"/name", "/version"}
    metrics = (await alone.get("/metrics/prometheus", as_="adam")).text
    assert 'workflow_simulation_total{status="failed"} 2' in metrics


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"mode": "guess", "template": "x"}, "/mode"),
        ({"mode": "explore"}, ""),
        ({"mode": "replay"}, "/request_id"),
        ({"mode": "explore", "blueprint": EXPENSE, "script": [{"on": "A"}]}, "/script/0"),
        (
            {"mode": "explore", "blueprint": EXPENSE, "script": [{"stage": "A", "decision": "maybe"}]},
            "/script/0/decision",
        ),
        ({"mode": "explore", "blueprint": EXPENSE, "colour": "red"}, "/colour"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_by_its_place(
    alone: ApiDesk, spec: dict[str, Any], pointer: str
) -> None:
    answer = await alone.post(PATH, spec)
    assert answer.status_code == 422
    assert pointers(answer) == [pointer]


async def test_simulations_are_paged_and_seen_by_their_author_and_by_auditors(alone: ApiDesk) -> None:
    ids = [(await simulate(alone, mode="explore", blueprint=EXPENSE, as_="ann"))["id"] for _ in range(3)]
    first = (await alone.get(f"{PATH}?limit=2", as_="audrey")).json()
    rest = (await alone.get(f"{PATH}?limit=2&cursor={first['next_cursor']}", as_="audrey")).json()
    assert [row["id"] for row in first["items"] + rest["items"]] == ids[::-1]
    assert (await alone.get(PATH, as_="bob")).json()["items"] == []
    assert (await alone.get(f"{PATH}{ids[0]}/", as_="bob")).status_code == 404


async def test_the_past_of_others_is_not_for_everybody(alone: ApiDesk) -> None:
    spec = {"mode": "backtest", "template": "Expense approval", "blueprint": EXPENSE}
    assert (await alone.post(PATH, spec, as_="ann")).status_code == 403
    other = {"mode": "explore", "blueprint": EXPENSE, "requester": "user:bob"}
    assert (await alone.post(PATH, other, as_="ann")).status_code == 403


async def test_progress_is_streamed_and_ends_with_the_answer(alone: ApiDesk) -> None:
    spec = {"mode": "explore", "blueprint": TWO_STAGES}
    made = await alone.call("POST", PATH, as_="ann", body=spec, headers={"Prefer": "respond-async"})
    stream = await alone.get(f"{PATH}{made.json()['id']}/events/")
    assert stream.headers["content-type"].startswith("text/event-stream")
    events = [block.split("\n") for block in stream.text.split("\n\n") if block.startswith("event")]
    assert [event[0] for event in events] == [*["event: branch"] * 3, "event: completed"]
    assert json.loads(events[-1][1].removeprefix("data: "))["outcome"] == "approved"
    again = await alone.get(f"{PATH}{made.json()['id']}/events/")  # it has ended for certain now
    assert again.text == stream.text


async def test_a_simulation_that_runs_can_be_cancelled_once(alone: ApiDesk) -> None:
    row = WorkflowSimulation(
        id="s1", mode="backtest", status="running", question={}, created_by="ann", created_at=datetime.now(UTC)
    )
    with writing(alone.database) as session:
        simulations.insert(session.connection(), row)
    assert (await alone.post(f"{PATH}s1/cancel/")).json()["status"] == "cancelled"
    assert (await alone.post(f"{PATH}s1/cancel/")).status_code == 409


async def test_simulations_of_a_process_that_is_gone_are_given_up_and_those_of_one_that_is_there_are_not(
    alone: ApiDesk,
) -> None:
    now = datetime.now(UTC)
    rows = [("gone", now - timedelta(seconds=1), "explore"), ("here", now + timedelta(minutes=1), "explore"),
            ("stands", now - timedelta(seconds=1), "shadow")]  # fmt: skip
    with writing(alone.database) as session:
        for ident, until_then, mode in rows:
            simulations.insert(
                session.connection(),
                WorkflowSimulation(
                    id=ident, mode=mode, status="running", question={}, created_by="ann", created_at=now,
                    followed_until=until_then,
                ),
            )  # fmt: skip
    watching = asyncio.create_task(context_of(alone).jobs.watch())

    async def given_up() -> bool:
        return bool((await alone.get(f"{PATH}gone/")).json()["status"] == "failed")

    await until(given_up)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert (await alone.get(f"{PATH}gone/")).json()[
        "error"
    ] == "the process that ran the simulation has ended; start it again"
    assert [(await alone.get(f"{PATH}{one}/")).json()["status"] for one in ("here", "stands")] == ["running"] * 2


async def test_a_process_that_stops_says_so_of_what_it_ran(alone: ApiDesk) -> None:
    jobs = context_of(alone).jobs
    watching = asyncio.create_task(jobs.watch())
    await asyncio.sleep(0)
    row = WorkflowSimulation(
        id="s2", mode="explore", status="running", question={}, created_by="ann", created_at=datetime.now(UTC)
    )
    with writing(alone.database) as session:
        simulations.insert(session.connection(), row)
    spec = parse_spec({"blueprint": TWO_STAGES})
    jobs.start(row, spec, requester="ann", viewer="ann")
    await asyncio.sleep(0)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    found = (await alone.get(f"{PATH}s2/")).json()
    error = "the process that ran the simulation was stopped; start the simulation again"
    assert (found["status"], found["error"]) == ("failed", error)


async def test_the_report_is_a_page_that_loads_nothing(alone: ApiDesk) -> None:
    name = "<script>alert(1)</script>"
    found = await simulate(alone, mode="explore", blueprint={**TWO_STAGES, "name": name})
    page = (await alone.get(f"{PATH}{found['id']}/report/", as_="desi")).text
    assert "<svg" in page
    assert "All routes" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


async def test_a_rehearsal_links_to_its_history(desk: ApiDesk) -> None:
    found = await simulate(desk, mode="rehearse", blueprint=TWO_STAGES, input={"amount": "1"})
    assert (found["status"], found["outcome"]) == ("completed", "approved")
    assert found["agrees_with_explore"], found["differences"]
    assert "/namespaces/placet-rehearsal/workflows/rehearsal-" in found["links"]["temporal_ui"]


async def test_a_payload_that_breaks_its_schema_is_told_and_the_rehearsal_is_complete(desk: ApiDesk) -> None:
    nodes = [
        {"id": "start", "type": "trigger"},
        {
            "id": "tell",
            "type": "action",
            "action": "send_mail",
            "input": {"to": "a@example.org", "subject": 7, "text": "x"},
        },
        {"id": "end", "type": "terminator", "outcome": "told"},
    ]
    edges = [
        {"from": "start", "to": "tell"},
        {"from": "tell", "to": "end"},
        {"from": "tell", "to": "end", "on": "failed"},
    ]
    drawn = {"nodes": nodes, "edges": edges}
    raw = {"name": "Tell", "version": "1.0.0", "owner": "user:olivia", "process_steps": [], "graph_spec": drawn}
    await seed_catalog(desk.database)
    for mode in ("explore", "rehearse"):
        found = await simulate(desk, mode=mode, blueprint=raw)
        assert (found["status"], found["outcome"]) == ("completed", "told"), found["validation_errors"]
        assert [e["pointer"] for e in found["validation_errors"]] == ["/graph_spec/nodes/1/input/subject"]


async def test_a_real_request_replays_and_differs_only_where_something_is_changed(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    request = await desk.start(name, amount="7")
    await decide(desk, await decide(desk, request, "bob"), "carl")
    same = await simulate(desk, as_="audrey", mode="replay", request_id=request["id"])
    assert same["history"]["ok"] is True, same["history"]
    assert (same["timelines_differ"], same["assumed"], same["unchanged_blueprint"]) == (0, [], True)
    shorter = [{"op": "remove", "path": "/process_steps/1"}]
    changed = await simulate(desk, as_="audrey", mode="replay", request_id=request["id"], patch=shorter)
    assert changed["before"]["deciders"] == ["user:bob", "user:carl"]
    assert changed["after"]["deciders"] == ["user:bob"]
    rejected = await simulate(
        desk,
        as_="audrey",
        mode="replay",
        request_id=request["id"],
        script=[{"on": "CFO Approval", "decision": "reject"}],
    )
    assert (rejected["before"]["outcome"], rejected["after"]["outcome"]) == ("approved", "rejected")


async def test_a_past_request_with_numbers_that_its_record_holds_as_text_goes_as_it_went(desk: ApiDesk) -> None:
    form = {"type": "object", "properties": {"value": {"type": "number"}}, "required": ["value"]}
    first, second = TWO_STAGES["process_steps"]
    variables = [*TWO_STAGES["variables"], {"name": "count", "type": "integer"}]
    name = await desk.publish({**TWO_STAGES, "variables": variables, "process_steps": [first | {"form": form}, second]})
    request = await decide(desk, await desk.start(name, amount="7", count=2**53 + 1), "bob", form={"value": 150.5})
    await decide(desk, request, "carl", "reject")
    same = await simulate(desk, as_="audrey", mode="replay", request_id=request["id"])
    assert (same["timelines_differ"], same["assumed"], same["after"]["outcome"]) == (0, [], "rejected"), same
    past = await simulate(desk, as_="audrey", mode="backtest", template=name)
    assert (past["totals"]["known"], past["totals"]["changed"]["count"]) == (1, 0), past["totals"]


async def test_a_running_request_is_forecast_from_where_it_stands(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    request = await decide(desk, await desk.start(name, amount="7"), "bob")
    found = await simulate(desk, as_="audrey", mode="replay", request_id=request["id"])
    assert (found["forecast"], found["before"]["status"], found["after"]["outcome"]) == (True, "pending", "approved")
    assert found["assumed"] == [{"stage": "CFO Approval", "person": "user:carl"}]
    assert found["predicted_duration_ms"] == pytest.approx(24 * 3_600_000, rel=0.01)


async def test_a_backtest_shows_what_each_past_request_would_have_been(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    for decision in ("approve", "reject"):
        request = await decide(desk, await desk.start(name, amount="7"), "bob", decision)
        if decision == "approve":
            await decide(desk, request, "carl")
    spec = {"mode": "backtest", "template": name, "patch": [{"op": "remove", "path": "/process_steps/1"}]}
    found = await simulate(desk, as_="audrey", **spec)
    assert (found["totals"]["requests"], found["totals"]["known"], found["totals"]["changed"]["count"]) == (2, 2, 1)
    assert "approvers" in found["rows"][0]["changed"]
    other = [{"op": "replace", "path": "/process_steps/0/approvers", "value": ["user:gus"]}]
    unknown = await simulate(desk, as_="audrey", mode="backtest", template=name, patch=other)
    assert unknown["totals"]["unknown_reasons"] == {"what gus does in Manager Approval is not known": 2}


async def test_all_rows_of_a_backtest_are_paged_and_those_that_change_something_come_first(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    for decision in ("reject", "approve", "approve"):
        request = await decide(desk, await desk.start(name, amount="7"), "bob", decision)
        if decision == "approve":
            await decide(desk, request, "carl")
    spec = {"mode": "backtest", "template": name, "patch": [{"op": "remove", "path": "/process_steps/1"}]}
    found = await simulate(desk, as_="audrey", **spec)
    path = f"{PATH}{found['id']}/rows/"
    first = (await desk.get(f"{path}?limit=2", as_="audrey")).json()
    rest = (await desk.get(f"{path}?limit=2&cursor={first['next_cursor']}", as_="audrey")).json()
    assert first["items"] + rest["items"] == found["rows"]
    assert (rest["next_cursor"], found["rows_left_out"]) == (None, 0)
    assert [bool(row["changed"]) for row in found["rows"]] == [True, True, False]
    same = (await desk.get(f"{path}?changed=false", as_="audrey")).json()["items"]
    assert same == found["rows"][2:]
    assert (await desk.get(f"{path}?cursor=WyJ4Il0", as_="audrey")).status_code == 422
    assert (await desk.get(path, as_="zoe")).status_code == 404


async def test_a_backtest_tells_nobody_of_requests_that_are_not_theirs_to_see(desk: ApiDesk) -> None:
    """A designer could else guess the amount of a request, one threshold after the other."""
    name = await desk.publish(TWO_STAGES)
    secret = await decide(desk, await desk.start(name, amount="4711"), "bob", "reject")
    await give_access(desk, "desi", "designer", "requester")
    own = await decide(desk, await desk.start(name, as_="desi", amount="7"), "olivia", "reject")
    guess: dict[str, Any] = {"variables": [{"name": "amount", "type": "decimal", "required": True, "maximum": 4700}]}
    spec: dict[str, Any] = {"mode": "backtest", "template": name, "blueprint": {**TWO_STAGES, **guess}}
    found = await simulate(desk, **spec)
    assert ([row["request_id"] for row in found["rows"]], found["left_out"]) == ([own["id"]], 1)
    assert found["totals"]["requests"] == 1
    assert any(
        warning.startswith("1 requests are left out because you may not see them") for warning in found["warnings"]
    )
    assert "4711" not in str(found)
    # Whether a named one exists is not told either.
    for request_id in (secret["id"], "no-such-request"):
        named = await simulate(desk, **spec, request_ids=[request_id, own["id"]])
        assert (len(named["rows"]), named["left_out"]) == (1, 1)
    for who in ("audrey", "adam"):
        everything = await simulate(desk, as_=who, **spec)
        assert (everything["totals"]["requests"], everything["left_out"]) == (2, 0)
    once = await simulate(desk, mode="shadow", for_hours=0, template=name)
    assert once["rows"] == []


async def test_a_candidate_that_is_no_blueprint_is_told_by_its_places(desk: ApiDesk) -> None:
    name = await desk.publish(TWO_STAGES)
    found = await simulate(desk, mode="backtest", template=name, blueprint={**TWO_STAGES, "version": "new"})
    assert (found["status"], [e["pointer"] for e in found["validation_errors"]]) == ("failed", ["/version"])


TYPE_ERROR = {
    "variables": [{"name": "amount", "type": "decimal", "required": True}],
    "graph_spec": {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "d", "type": "decision"},
            {"id": "s1", "type": "approval", "step": TWO_STAGES["process_steps"][0]["stage_name"]},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
        ],
        "edges": [
            {"from": "start", "to": "d"},
            {"from": "d", "to": "s1", "condition": 'amount > "5"'},
            {"from": "d", "to": "yes", "default": True},
            {"from": "s1", "to": "yes"},
        ],
    },
}


@pytest.mark.parametrize("mode", ["explore", "rehearse", "backtest", "shadow", "replay"])
@pytest.mark.parametrize("with_past", [False, True])
async def test_a_candidate_with_a_type_error_is_told_by_its_place(desk: ApiDesk, mode: str, with_past: bool) -> None:
    name = await desk.publish(TWO_STAGES)
    more: dict[str, Any] = {}
    if with_past or mode == "replay":
        request = await desk.start(name, amount="100")
        assert (await desk.post(f"/workflow/requests/{request['id']}/withdraw/", {})).status_code == 200
        more = {"request_id": request["id"]} if mode == "replay" else {}
    found = await simulate(desk, mode=mode, blueprint={**TWO_STAGES, **TYPE_ERROR, "name": name}, as_="adam", **more)
    assert found["status"] == "failed"
    assert [e["pointer"] for e in found["validation_errors"]] == ["/graph_spec/edges/1/condition"]


@pytest.mark.parametrize("mode", ["explore", "rehearse", "backtest", "shadow"])
async def test_a_repeated_key_gets_the_one_simulation_whether_or_not_the_first_was_answered(
    desk: ApiDesk, mode: str
) -> None:
    name = await desk.publish(TWO_STAGES)
    spec = {"mode": mode, "template": name} | ({"input": {"amount": "7"}} if mode in {"explore", "rehearse"} else {})
    at_once = await asyncio.gather(*(desk.post(PATH, spec, as_="desi", key="k") for _ in range(3)))
    assert [answer.status_code for answer in at_once] == [201] * 3
    (first,) = {answer.json()["id"] for answer in at_once}
    later = await desk.post(PATH, spec, as_="desi", key="k")
    assert later.json() == at_once[0].json()
    # As where the process ended between storing the simulation and keeping the answer.
    with writing(desk.database) as session:
        session.execute(update(IdempotentCall).values(status_code=None, answer=None))
    again = await desk.post(PATH, spec, as_="desi", key="k")
    assert (again.status_code, again.json()["id"]) == (201, first)
    listed = (await desk.get(PATH, as_="desi")).json()["items"]
    assert [item["id"] for item in listed if item["template"] == name] == [first]
    if mode == "shadow":
        await desk.post(f"{PATH}{first}/cancel/", as_="desi")


COMPUTED: dict[str, Any] = {
    "name": "Computed",
    "version": "1.0.0",
    "owner": "user:olivia",
    "variables": [
        {"name": "amount", "type": "decimal", "required": True},
        {"name": "total", "type": "decimal"},
    ],
    "process_steps": [],
    "graph_spec": {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {
                "id": "s",
                "type": "action",
                "action": "set_variables",
                "input": {"total": {"expr": "amount * 2.0"}},
                "output": {"total": "total"},
            },
            {"id": "d", "type": "decision"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "s"},
            {"from": "s", "to": "d"},
            {"from": "d", "to": "yes", "condition": "total > 100"},
            {"from": "d", "to": "no", "default": True},
        ],
    },
}


@pytest.mark.parametrize("mode", ["explore", "rehearse"])
async def test_what_an_action_only_computes_is_the_same_as_in_production(desk: ApiDesk, mode: str) -> None:
    await seed_catalog(desk.database)
    found = await simulate(desk, mode=mode, blueprint=COMPUTED, input={"amount": "60"})
    assert (found["status"], found["outcome"]) == ("completed", "approved")
    assert not [warning for warning in found["warnings"] if "assumed" in warning]
    assert found.get("agrees_with_explore", True) is True
