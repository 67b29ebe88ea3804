"""Everything about a person as one archive: what is in it and what is not, who may take it, and what it costs."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import pkgutil
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from zipfile import ZipFile

import pytest_asyncio
from sqlalchemy import insert, select
from sqlmodel import SQLModel
from temporalio.client import Client
from typer.testing import CliRunner

import storage
from cli.main import app
from placet.audit.admin_acts import OPERATOR
from service.administration.person_export import export_person
from service.attachments.store import FileStore
from storage.database import Database
from storage.migrate import migrate
from storage.queries.people.personal_data import NOT_PERSONAL, PARTS
from storage.tables.admin_acts import AdminAct
from storage.tables.approvals import Refusal
from tests.api_desk import ApiDesk, context_of, working_desk
from tests.approvals import store_people
from tests.pages import browser_of
from tests.stored import reading, writing
from web.admin.tables import TABLES

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
# Columns by whose names people are named; every table that has one is in the archive, or says why not.
NAMES = {
    "person", "actor", "principal", "requester", "owner", "assignee", "decided_by", "created_by", "updated_by",
    "set_by", "ordered_by", "reviewed_by", "began_by", "ended_by", "acknowledged_by", "by", "started_by", "claimed_by",
}  # fmt: skip


@pytest_asyncio.fixture
async def desk(database: Database, client: Client, tmp_path: Path) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client, attachments=str(tmp_path / "files")) as opened:
        yield opened


def parts_of(content: bytes) -> dict[str, Any]:
    """Return the members of an archive: rows of each list, bytes of files."""
    with ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        found: dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
    return {
        name: [json.loads(line) for line in body.splitlines()] if name.endswith(".ndjson") else body
        for name, body in found.items()
    }


async def story(desk: ApiDesk) -> str:
    """Have ann ask with a file and bob decide; return the request's id."""
    template = await desk.publish()
    body = {"template": template, "title": "Trip to Zanzibar", "input": {"amount": "100"}}
    request = (await desk.post("/workflow/requests/", body)).json()
    token = await desk.token("ann")
    sent = {"file": ("a.pdf", PDF, "application/pdf")}
    address = f"/api/v1/workflow/requests/{request['id']}/attachments/"
    answer = await desk.http.post(address, files=sent, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 201, answer.text
    await desk.post(f"/workflow/requests/{request['id']}/comments/", {"text": "It is warm there"})
    task = request["tasks"][0]["id"]
    decided = await desk.post(f"/workflow/tasks/{task}/decide/", {"decision": "reject", "comment": "no"}, as_="bob")
    assert decided.is_success
    return str(request["id"])


async def test_the_archive_has_all_rows_that_name_a_person_and_their_files_and_no_secret(desk: ApiDesk) -> None:
    request = await story(desk)
    answer = await desk.get("/workflow/people/ann/export/", as_="adam")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="person-ann.zip"'
    found = parts_of(answer.content)
    assert [row["id"] for row in found["person.ndjson"]] == ["ann"]
    assert found["person.ndjson"][0]["email"] == "ann@example.com"
    assert [(row["id"], row["title"]) for row in found["approval_request.ndjson"]] == [(request, "Trip to Zanzibar")]
    kinds = [row["kind"] for row in found["audit_entry.ndjson"]]
    assert {"started", "attached", "commented"} <= {*kinds}
    assert any("It is warm there" in row["detail"] for row in found["audit_entry.ndjson"])
    assert found[f"files/{request}/{hashlib.sha256(PDF).hexdigest()}"] == PDF
    assert [row["person"] for row in found["api_token.ndjson"]] == ["ann"]
    manifest = json.loads(found["manifest.json"])
    assert (manifest["person"], manifest["made_by"], manifest["files"], manifest["missing_files"]) == (
        "ann",
        "user:adam",
        1,
        0,
    )
    rows = {name.removesuffix(".ndjson"): len(part) for name, part in found.items() if name.endswith(".ndjson")}
    assert manifest["rows"] == rows
    token = await desk.token("ann")
    everything = json.dumps({name: part for name, part in found.items() if name.endswith(".ndjson")})
    for secret in (token, hashlib.sha256(token.encode()).hexdigest(), "salts", "csrf_token", "bob@example.com"):
        assert secret not in everything, secret
    others = parts_of((await desk.get("/workflow/people/bob/export/", as_="adam")).content)
    assert [row["decision"] for row in others["approval_task.ndjson"]] == ["reject"]
    assert "approval_request.ndjson" not in others  # it is ann's
    assert [row["id"] for row in others["person_of_others.ndjson"]] == ["ann"]


async def test_admins_take_it_by_api_and_page_and_it_stays_on_record_who_did(desk: ApiDesk) -> None:
    for person, status in (("ann", 403), ("audrey", 403), ("desi", 403), ("adam", 200)):
        assert (await desk.get("/workflow/people/ann/export/", as_=person)).status_code == status
    assert (await desk.get("/workflow/people/nobody/export/", as_="adam")).status_code == 404
    adam = await browser_of(desk, "adam")
    assert "/operations/people/ann/export" in (await adam.get("/operations/people/ann")).text
    taken = await adam.get("/operations/people/ann/export")
    assert (taken.status_code, taken.headers["cache-control"]) == (200, "no-store")
    assert json.loads(parts_of(taken.content)["manifest.json"])["person"] == "ann"
    with reading(desk.database) as session:
        query = select(AdminAct).where(AdminAct.kind == "person_exported")  # type: ignore[arg-type]  # a column
        acts = session.scalars(query.order_by(AdminAct.seq)).all()  # type: ignore[arg-type]  # a column
    assert [(act.actor, act.way, act.target) for act in acts] == [
        ("user:adam", "api", "person:ann"),
        ("user:adam", "page", "person:ann"),
    ]


async def test_a_second_archive_at_the_same_time_is_refused_and_a_missing_file_is_counted(
    desk: ApiDesk, tmp_path: Path
) -> None:
    request = await story(desk)
    (tmp_path / "files" / request / hashlib.sha256(PDF).hexdigest()).unlink()
    async with context_of(desk).archives:
        busy = await desk.get("/workflow/people/ann/export/", as_="adam")
    assert busy.status_code == 429
    assert "retry-after" in busy.headers
    manifest = json.loads(
        parts_of((await desk.get("/workflow/people/ann/export/", as_="adam")).content)["manifest.json"]
    )
    assert (manifest["files"], manifest["missing_files"]) == (0, 1)


async def test_memory_does_not_grow_with_what_there_is(database: Database) -> None:
    await store_people(database)
    row = Refusal(at=NOW, principal="ann", action="decide", status_code=403, reason="x" * 1000).model_dump(
        exclude={"id"}
    )
    with writing(database) as session:
        for _ in range(40):
            session.execute(insert(Refusal), [row] * 1000)
    with TemporaryFile() as file:
        tracemalloc.start()
        try:
            made = await export_person(database, FileStore(""), "ann", file, by=OPERATOR, now=NOW)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert made.rows["refusal"] == 40_000
    assert most < 12_000_000  # bytes; all rows are more than 40 MB


def test_every_table_is_in_the_archive_or_says_why_not_and_hides_what_pages_hide() -> None:
    for module in pkgutil.walk_packages(storage.__path__, "storage."):
        if "migrations" not in module.name:
            importlib.import_module(module.name)
    tables = SQLModel.metadata.tables
    held = {part.model.__tablename__ for part in PARTS}
    assert held | NOT_PERSONAL.keys() == tables.keys()
    assert not held & NOT_PERSONAL.keys()
    for part in PARTS:
        columns = {column.name for column in part.table.columns}
        assert {*part.named, *part.mentioned, *part.hidden, *part.without, *part.told} <= columns, part.name
    for name, table in tables.items():
        naming = {column.name for column in table.columns} & NAMES
        looked_at = {one for part in PARTS if part.model.__tablename__ == name for one in part.named}
        assert name in NOT_PERSONAL or naming <= looked_at, (name, naming - looked_at)
    hidden = {one.table.name: one.hidden for group in TABLES.values() for one in group}
    for part in PARTS:
        secret = hidden.get(part.table.name, frozenset())
        answers = {"answer"} if part.table.name == "idempotent_call" else set()  # what the person was told
        assert not {*part.columns} & (secret - answers), part.name


def test_the_command_writes_a_file_that_was_not_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    url = f"sqlite:///{home / 'placet.db'}"

    async def prepared() -> None:
        await migrate(url)
        database = Database(url)
        await store_people(database)
        await database.close()

    asyncio.run(prepared())
    to, env = tmp_path / "ann.zip", {"PLACET_HOME": str(home)}
    done = CliRunner().invoke(app, ["people", "export", "ann", "--out", str(to), "--json"], env=env)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"]["person"] == 1
    assert parts_of(to.read_bytes())["person.ndjson"][0]["id"] == "ann"
    assert to.stat().st_mode & 0o077 == 0
    again = CliRunner().invoke(app, ["people", "export", "ann", "--out", str(to)], env=env)
    assert again.exit_code == 2
    unknown = CliRunner().invoke(app, ["people", "export", "nobody", "--out", str(tmp_path / "x.zip")], env=env)
    assert unknown.exit_code == 2
    assert not (tmp_path / "x.zip").exists()
