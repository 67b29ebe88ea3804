"""Requests are started in one way, whoever asks: the API, an action of another request, or a caller of the use case."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from activities.actions.executor import ActionFailed, ActionJob, Executor
from placet.errors import Busy, InputInvalid, NotFound, Unavailable, Unseen
from service.context import Context
from service.engine import client as engine
from service.engine.admission import Admission
from service.principal import Principal
from service.requests import RequestDraft, start_request
from service.simulations.simulator import Simulator
from service.visibility import see_request
from simulation.scenario.spec import parse_spec
from storage.database import Database
from storage.queries.people import people
from storage.tables.approvals import ApprovalRequest
from tests.api_desk import ApiDesk, api_desk, context_of, no_engine
from tests.approvals import EXPENSE, person
from tests.integration.recordings import Story, write
from tests.stored import writing
from worker import actions as action_worker
from workflows.interface import Start

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANN = Principal(person="ann", access=frozenset({"requester"}))
NAMING: dict[str, Any] = {
    **EXPENSE,
    "variables": [*EXPENSE["variables"], {"name": "approver", "type": "string"}],
    "process_steps": [{"stage_name": "Chosen", "approvers": ["input:approver"]}],
}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.05) as opened:
        yield opened


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Start]:
    """Return what reaches the engine, which is not there."""
    found: list[Start] = []

    async def keep(_context: Context, start: Start) -> None:
        found.append(start)

    monkeypatch.setattr(engine, "start", keep)
    return found


def create_request(monkeypatch: pytest.MonkeyPatch, context: Context) -> Executor:
    """Return the executor that the worker for actions registers."""
    made: dict[str, Executor] = {}

    class Kept:
        def __init__(self, _client: object, **_settings: Any) -> None:
            pass

    real = action_worker.executors

    def kept(*given: Any) -> dict[str, Executor]:
        made.update(real(*given))
        return made

    monkeypatch.setattr(action_worker, "executors", kept)
    monkeypatch.setattr(action_worker, "Worker", Kept)
    action_worker.action_worker(context.client, context.database, task_queue=context.task_queue)
    return made["create_request"]


def job(parent: str, **given: Any) -> ActionJob:
    return ActionJob(
        action="create_request", request_id=parent, node="do", key="k", attempt=1, seconds=60, config={}, input=given
    )


async def parent(database: Database) -> str:
    """Record a request of ann's, and return its id."""
    with writing(database) as session:
        write(session, Story(request_id="r1").open("bob").recording(), NOW)
        session.get_one(ApprovalRequest, "r1").requester = "ann"
    return "r1"


async def test_the_api_an_action_and_the_use_case_hand_the_same_to_the_engine(
    desk: ApiDesk, started: list[Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, context = await desk.publish(), context_of(desk)
    body = {"template": name, "title": "Chairs", "input": {"amount": "12.50"}}
    assert (await desk.post("/workflow/requests/", body)).status_code == 503  # nobody records it
    with pytest.raises(Unavailable, match="No worker has begun"):
        await start_request(context, ANN, RequestDraft(**body), request_id="r2")
    await create_request(monkeypatch, context).run(job(await parent(desk.database), **body))
    by_api, by_use_case, by_action = started
    assert by_use_case.opening.request_id == "r2"
    assert [start.opening.created_from for start in started] == [None, None, "r1"]
    for start in (by_use_case, by_action):
        assert (start.plan, start.template_id) == (by_api.plan, by_api.template_id)
        for fact in ("requester", "title", "titled", "input", "started_by"):
            assert getattr(start.opening, fact) == getattr(by_api.opening, fact), fact
        assert start.opening.directory.people.keys() == by_api.opening.directory.people.keys()
    assert len({start.opening.secret for start in started}) == 3


async def test_a_request_that_an_action_starts_is_named_after_its_process_and_the_other_request(
    desk: ApiDesk, started: list[Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await desk.publish()
    executor = create_request(monkeypatch, context_of(desk))
    await executor.run(job(await parent(desk.database), template=name, input={"amount": "1"}))
    assert (started[0].opening.title, started[0].opening.titled) == (f"{name} (Grüße 😀)", True)


async def test_an_action_is_held_to_the_people_and_versions_that_there_are_as_everybody_is(
    desk: ApiDesk, started: list[Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await desk.publish(NAMING)
    executor = create_request(monkeypatch, context_of(desk))
    above = await parent(desk.database)
    for given, said in (
        ({"template": name, "input": {"amount": "1", "approver": "gone"}}, "there is no active person 'gone'"),
        ({"template": name, "version": "9.0.0", "input": {"amount": "1"}}, "publish it, or name another"),
        ({"template": name, "input": {"amount": "-1"}}, "/input/amount"),
    ):
        with pytest.raises(ActionFailed, match=said) as caught:
            await executor.run(job(above, **given))
        assert caught.value.permanent
        with pytest.raises(InputInvalid, match=said):
            await start_request(context_of(desk), ANN, RequestDraft(**given), request_id="r2")
    assert started == []


async def test_an_action_that_finds_no_turn_at_the_engine_is_tried_again(
    desk: ApiDesk, started: list[Start], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_many(*_: object) -> None:
        raise Busy("too many wait", retry_after=1)

    monkeypatch.setattr(Admission, "_enter", too_many)
    executor = create_request(monkeypatch, context_of(desk))
    with pytest.raises(ActionFailed, match="too many wait") as caught:
        await executor.run(job("r1", template="any", input={}))
    assert not caught.value.permanent
    assert started == []


async def test_the_use_case_takes_the_time_from_its_context(database: Database, started: list[Start]) -> None:
    later = NOW + timedelta(days=400)
    async with api_desk(database, await no_engine(), seconds=0.05, clock=lambda: later) as desk:
        draft = RequestDraft(template=await desk.publish(), input={"amount": "1"})
        with pytest.raises(Unavailable):
            await start_request(context_of(desk), ANN, draft, request_id="r2")
    assert started[0].opening.directory_at == later


async def test_whoever_stands_in_sees_a_request_while_the_absence_lasts(database: Database) -> None:
    away = [{"from": "2026-03-01T00:00:00Z", "until": "2026-03-28T00:00:00Z", "substitute": "zoe"}]
    with writing(database) as session:
        for row in ({"id": "ann"}, {"id": "bob", "away": away}, {"id": "zoe"}):
            people.put(session.connection(), person(**row))
    above, zoe = await parent(database), Principal(person="zoe", access=frozenset({"approver"}))
    assert (await database.read(see_request, zoe, above, NOW)).request.id == above
    with pytest.raises(Unseen):
        await database.read(see_request, zoe, above, NOW + timedelta(days=30))
    with pytest.raises(NotFound) as caught:
        await database.read(see_request, zoe, "none", NOW)
    assert type(caught.value) is NotFound  # nothing that somebody might have seen


async def test_a_simulation_takes_the_time_from_the_clock_of_its_context(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    later, given = NOW + timedelta(days=400), []

    async def carry_out(_self: Simulator, _spec: object, **facts: Any) -> dict[str, Any]:
        given.append(facts["now"])
        return {}

    monkeypatch.setattr(Simulator, "carry_out", carry_out)
    async with api_desk(database, await no_engine(), seconds=0.05, clock=lambda: later) as desk:
        spec = parse_spec({"template": "T"})
        await context_of(desk).jobs.answered(spec, requester="ann", viewer=None, simulation_id="s1")
    assert given == [later]
