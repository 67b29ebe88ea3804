"""Erasing a person: what goes from tables and engine, what waits, and what does it again after a restore."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import String, cast, select
from sqlmodel import SQLModel
from temporalio.client import Client

import storage
from cli.commands.people import load
from placet.audit.admin_acts import OPERATOR
from placet.errors import Conflict, InputInvalid
from service.erasure.erasing import Eraser, missing, reapply
from service.erasure.ledger import FILE, read_ledger
from service.verification import verify_many
from storage.database import Database
from storage.queries.people import people
from storage.recording import admin_acts
from storage.retention.person_rules import (
    BY_ITSELF,
    BY_REQUEST,
    COLUMNS_OF_CONTENT,
    COLUMNS_THAT_STAY,
    EMPTIED,
    GONE,
    NOBODY,
    STAYS,
)
from storage.retention.person_texts import waits_for
from storage.tables.suggestions import WorkflowSuggestion
from tests.api_desk import ApiDesk, api_desk, context_of, no_engine, working_desk
from tests.approvals import person, store_people
from tests.pages import browser_of, send
from tests.stored import reading, writing
from tests.waiting import until
from worker.settings import Settings

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MARK = "Quastenflosser"
VERA = {"id": "vera", "name": f"Vera {MARK}", "email": f"{MARK}@example.com", "manager": "bob"}
PDF = f"%PDF-1.7\n{MARK}\n".encode()


@pytest_asyncio.fixture
async def desk(database: Database, client: Client, tmp_path: Path) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client, attachments=str(tmp_path / "files")) as opened:
        with writing(database) as session:
            people.put(session.connection(), person(**VERA, preferences={"note": MARK}))
            ann = people.get(session.connection(), "ann").model_dump()
            people.put(session.connection(), person(**{**ann, "manager": "vera"}))
        yield opened


def tables() -> dict[str, Any]:
    """Return every table of the schema by its name."""
    for module in pkgutil.walk_packages(storage.__path__, "storage."):
        if "migrations" not in module.name:
            importlib.import_module(module.name)
    return dict(SQLModel.metadata.tables)


def holding(database: Database, mark: str = MARK) -> set[str]:
    """Return the columns of all tables with a value that has a text in it, in any case."""
    found: set[str] = set()
    with reading(database) as session:
        for name, table in tables().items():
            for column in table.columns:
                values = session.scalars(select(cast(column, String)).where(column.is_not(None)))
                if any(mark.lower() in str(value).lower() for value in values):
                    found.add(f"{name}.{column.name}")
    return found


def test_every_table_and_column_is_erased_or_says_why_not() -> None:
    every = tables()
    gone = {rows.table.name for rows in GONE}
    emptied = {rows.table.name for rows in EMPTIED}
    groups = (gone, emptied, BY_REQUEST.keys(), BY_ITSELF.keys(), STAYS.keys())
    named = [name for group in groups for name in group]
    assert len(named) == len({*named}), "each table once"
    assert {*named} == every.keys()
    assert COLUMNS_OF_CONTENT.keys() == BY_REQUEST.keys()
    for name in {*emptied, *BY_REQUEST, "person"}:
        goes = {column for rows in EMPTIED if rows.table.name == name for column in rows.emptied or ()}
        goes |= {*COLUMNS_OF_CONTENT.get(name, "").split()} | ({*NOBODY} if name == "person" else set())
        stays = {*COLUMNS_THAT_STAY[name].split()}
        assert not goes & stays, name
        assert goes | stays == {column.name for column in every[name].columns}, name


async def asked(desk: ApiDesk, template: str, who: str, title: str) -> dict[str, Any]:
    body = {"template": template, "title": title, "input": {"amount": "100", "note": title}}
    request: dict[str, Any] = (await desk.post("/workflow/requests/", body, as_=who)).json()
    return request


async def story(desk: ApiDesk) -> tuple[list[str], str]:
    """Have vera ask with a file and decide for ann; return those requests, and one of ann's that still runs."""
    variables = [{"name": "amount", "type": "decimal"}, {"name": "note", "type": "string"}]
    template = await desk.publish(variables=variables)
    known = (await desk.get("/workflow/people/vera/", as_="adam")).json()
    changed = {**known, "roles": [MARK], "groups": [f"group{MARK}"], "department": MARK}
    assert (await desk.call("PUT", "/workflow/people/vera/", as_="adam", body=changed)).is_success
    mine = await asked(desk, template, "vera", f"Trip with {MARK}")
    token = await desk.token("vera")
    sent = {"file": (f"{MARK}.pdf", PDF, "application/pdf")}
    address = f"/api/v1/workflow/requests/{mine['id']}/attachments/"
    answer = await desk.http.post(address, files=sent, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 201, answer.text
    await desk.post(f"/workflow/requests/{mine['id']}/withdraw/", {"reason": f"says {MARK}"}, as_="vera")
    anns = [await asked(desk, template, "ann", title) for title in ("A chair", "A table")]
    for request in anns:
        path = f"/workflow/requests/{request['id']}"
        for act, body in (("comments", {"text": f"Of {MARK}"}), ("questions", {"text": f"Why, asks {MARK}"})):
            assert (await desk.post(f"{path}/{act}/", body, as_="vera")).is_success
    decision = {"decision": "reject", "comment": f"No, says {MARK}"}
    assert (await desk.post(f"/workflow/tasks/{anns[0]['tasks'][0]['id']}/decide/", decision, as_="vera")).is_success
    return [mine["id"], anns[0]["id"]], anns[1]["id"]


async def test_no_table_and_no_history_holds_a_person_and_what_runs_is_done_when_it_ends(
    desk: ApiDesk, client: Client
) -> None:
    ended, running = await story(desk)
    with writing(desk.database) as session:
        session.add(
            WorkflowSuggestion(
                id="s1", template="T", version="1", suggestion_type="sla", source="person", subject=["a"],
                subject_id="x", title=MARK, description=MARK, words={"title": MARK}, patch=[], blueprint={},
                confidence=1.0, supporting_data={}, findings=[], created_by="vera", created_at=NOW, updated_at=NOW,
                reviewed_by="bob", review_notes="of bob",
            )
        )  # fmt: skip
    assert {
        "person.name",
        "admin_act.detail",
        "audit_entry.detail",
        "approval_task.comment",
        "outbox.detail",
    } <= holding(desk.database)
    path = "/workflow/people/vera/erasure/"
    assert (await desk.get(path, as_="adam")).status_code == 404
    assert (await desk.post(path, {"person": "bob"}, as_="adam")).status_code == 422
    assert (await desk.post(path, {"person": "vera"}, as_="bob")).status_code == 403

    async def only_one_is_left() -> bool:  # a call goes on for some seconds, and the same call again after that
        state = (await desk.post(path, {"person": "vera"}, as_="adam")).json()
        assert state["completed_at"] is None
        return [one["name"] for one in state["waiting"] if one["in_database"]] == [running]

    await until(only_one_is_left, what="the erasure of what has ended")
    assert (await desk.post(f"/workflow/requests/{running}/cancel/", {"reason": "x"}, as_="adam")).is_success
    eraser = context_of(desk).eraser

    async def done() -> bool:
        await eraser.carry_on("vera", again=True)
        return (await eraser.state("vera")).completed_at is not None

    await until(done, what="the end of the erasure")
    for request_id in (*ended, running):
        runs = [one async for one in client.list_workflows(f"WorkflowId = '{request_id}'")]
        assert runs == [], "its history is deleted"
    assert holding(desk.database) == set()
    found = await verify_many(desk.database, client)
    assert [request_id for request_id, one in found.found if not one["ok"]] == []
    assert (await desk.database.read(admin_acts.verify))["ok"]
    timeline = (await desk.get(f"/workflow/requests/{ended[1]}/timeline/", as_="ann")).json()["items"]
    assert [entry["actor"] for entry in timeline if entry["kind"] == "commented"] == ["user:vera"]
    acts = (await desk.get("/workflow/admin-acts/?kind=person_erased", as_="audrey")).json()["items"]
    assert [(act["target"], act["actor"], act["detail"]) for act in acts] == [("person:vera", "user:adam", {})]


async def test_whoever_has_requests_that_run_or_an_address_as_id_is_erased_only_when_told(desk: ApiDesk) -> None:
    template = await desk.publish()
    mine = await desk.start(template, as_="vera", amount="1")
    path = "/workflow/people/vera/erasure/"
    refused = await desk.post(path, {"person": "vera"}, as_="adam")
    assert (refused.status_code, mine["id"] in refused.json()["detail"]) == (409, True)
    assert (await desk.post("/workflow/people/adam/erasure/", {"person": "adam"}, as_="adam")).status_code == 403
    given = {"id": "zoe@example.com", "name": "Zoe"}
    assert (await desk.post("/workflow/people/", given, as_="adam")).is_success
    zoe = "/workflow/people/zoe@example.com/erasure/"
    assert (await desk.post(zoe, {"person": "zoe@example.com"}, as_="adam")).status_code == 409
    told = await desk.post(zoe, {"person": "zoe@example.com", "id_stays": True}, as_="adam")
    assert told.json()["completed_at"] is not None
    again = await desk.post(zoe, {"person": "zoe@example.com"}, as_="adam")
    assert again.json()["erased_at"] == told.json()["erased_at"], "a repeat changes nothing"
    for answer in (
        await desk.post("/workflow/people/", given, as_="adam"),
        await desk.call("PUT", "/workflow/people/zoe@example.com/", as_="adam", body={"name": "Zoe"}),
    ):
        assert (answer.status_code, "was erased on" in answer.json()["detail"]) == (409, True)


async def test_an_erasure_that_was_interrupted_goes_on(desk: ApiDesk, client: Client, tmp_path: Path) -> None:
    ended, running = await story(desk)
    assert (await desk.post(f"/workflow/requests/{running}/cancel/", {"reason": "x"}, as_="adam")).is_success

    async def ended_all() -> bool:  # what still runs when it is looked at is looked at again by the next hourly run
        return not [name for name in (*ended, running) if await desk.database.read(waits_for, name)]

    await until(ended_all, what="the end of all requests")
    context = context_of(desk)
    away = replace(context.eraser, client=await no_engine(), home=tmp_path / "home")
    state = await away.erase("vera", OPERATOR, typed="vera")
    assert state.completed_at is None
    assert not any(one.in_database for one in state.waiting if one.name in ended)
    there = replace(away, client=client)

    async def done() -> bool:
        await there.look()
        return (await there.state("vera")).completed_at is not None

    await until(done, what="the end of the erasure")
    assert [entry.person for entry in read_ledger(tmp_path / "home")] == ["vera"]


async def test_a_restored_database_is_erased_again_by_the_ledger(sqlite_url: str, tmp_path: Path) -> None:
    database, home = Database(sqlite_url), tmp_path / "home"
    await store_people(database)
    (home / FILE).parent.mkdir()
    (home / FILE).write_text('{"person": "ann", "erased_at": "2026-03-02T09:00:00.000000Z"}\n{"person": "cut')
    entries = read_ledger(home)
    assert [entry.person for entry in await missing(database, entries)] == ["ann"]
    assert await reapply(database, entries, NOW) == ["ann"]
    assert await missing(database, entries) == []
    row = await database.read(people.get, "ann")
    assert (row.name, row.email, row.active) == ("(erased)", None, False)
    with pytest.raises(Conflict, match="was erased"):
        await database.write(people.put, person(id="ann"))
    await database.close()
    (home / FILE).write_text("nonsense\n")
    with pytest.raises(InputInvalid, match="line 1"):
        read_ledger(home)


async def test_a_list_of_people_with_somebody_erased_is_refused_with_the_place(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    await store_people(database)
    context = Eraser(
        database=database, files=None, client=None, rehearsals="", home=None, clock=lambda: datetime.now(UTC)
    )  # type: ignore[arg-type]  # it has no files
    assert (await context.erase("ann", OPERATOR, typed="ann")).completed_at is not None
    await database.close()
    file = tmp_path / "people.json"
    file.write_text(json.dumps([{"id": "bob"}, {"id": "ann"}]))
    with pytest.raises(InputInvalid) as refused:
        await load(Settings(home=tmp_path, database_url=sqlite_url), file, without_admin=True)
    assert [problem.pointer for problem in refused.value.problems] == ["/1/id"]


async def test_an_admin_erases_somebody_on_a_page_after_typing_the_id(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        adam, path = await browser_of(desk, "adam"), "/operations/people/ann/erase"
        assert path in (await adam.get("/operations/people/ann")).text
        assert "Type the id ann to confirm" in (await adam.get(path)).text
        wrong = await send(adam, path, person="bob")
        assert (wrong.status_code, "type the id" in wrong.text) == (422, True)
        assert (await send(adam, path, person="ann")).headers["location"] == f"{path}?done=erased"
        assert "ann was erased" in (await adam.get(path)).text
        assert "(erased)" in (await adam.get("/operations/people/ann")).text
    await database.close()
