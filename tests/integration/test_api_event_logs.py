"""Event logs over HTTP and on the command line: previewed, imported, listed, made into a blueprint, deleted."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select
from temporalio.client import Client
from typer.testing import CliRunner

from cli.main import app
from service.event_logs.jobs import HELD, EventLogJobs
from service.event_logs.stored import row_of
from service.pool.pool import ProcessPool
from storage.database import Database
from storage.queries import event_logs
from storage.tables.event_logs import EventLog, EventLogPart
from tests.api_desk import BASE, ApiDesk, pointers, working_desk
from tests.event_logs import CSV_MAP, XES_MAP, as_csv, as_xes, expense_rows
from tests.stored import reading, writing
from tests.waiting import until

LOGS = "/workflow/event-logs/"
MAPPED = CSV_MAP | {"attributes": ["amount", "department"]}


@pytest_asyncio.fixture
async def desk(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client, event_log_bytes=500_000) as opened:
        yield opened


async def send(
    desk: ApiDesk, content: bytes, *, as_: str = "desi", key: str = "", name: str | None = "Expenses", **form: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await desk.token(as_)}"} | ({"Idempotency-Key": key} if key else {})
    texts = {part: value if isinstance(value, str) else json.dumps(value) for part, value in form.items()}
    data = texts | ({} if name is None else {"name": name})
    return await desk.http.post(
        f"{BASE}{LOGS}", files={"file": ("expenses.csv", content, "text/csv")}, data=data, headers=headers
    )


async def imported(desk: ApiDesk, content: bytes, **form: Any) -> dict[str, Any]:
    answer = await send(desk, content, **form)
    assert answer.status_code == 201, answer.text

    async def ended() -> dict[str, Any] | None:
        log = (await desk.get(f"{LOGS}{answer.json()['id']}/", as_="desi")).json()
        return dict(log) if log["status"] != "running" else None

    return await until(ended, what="the log was read")


def stored(database: Database, model: type[Any]) -> int:
    with reading(database) as session:
        return int(session.execute(select(func.count()).select_from(model)).scalar_one())


@pytest.mark.parametrize("kind", ["csv", "xes", "xes.gz"])
async def test_a_log_is_imported_and_becomes_a_blueprint_that_is_published(desk: ApiDesk, kind: str) -> None:
    rows = expense_rows(300)
    content = {"csv": as_csv(rows), "xes": as_xes(rows), "xes.gz": gzip.compress(as_xes(rows))}[kind]
    mapped = MAPPED if kind == "csv" else XES_MAP | {"attributes": ["amount", "department"]}
    log = await imported(desk, content[:] if len(content) < 500_000 else gzip.compress(content), map=mapped)
    assert log["status"] == "completed", log["error"]
    assert (log["name"], log["cases"], log["events"], log["map"]) == ("Expenses", 300, len(rows), mapped)
    assert log["people"] == len({row["user"] for row in rows})
    assert log["activities"] == len({row["activity"] for row in rows})
    manager = next(stage for stage in log["stages"] if stage["stage"] == "Manager")
    assert manager["decisions"] == sum("Manager" in row["activity"] for row in rows)
    assert manager["approved"] == sum(row["activity"] == "Approved by Manager" for row in rows)

    answer = await desk.post(f"{LOGS}{log['id']}/suggest/", {"min_occurrences": 10}, as_="desi")
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert found["fit"]["cases"] == found["fit"]["reproduced"] == 90
    assert found["rules"] == [
        {"stage": "CFO", "condition": "amount > 5000", "variable": None, "predicts_later": 1.0}
        | {name: found["rules"][0][name] for name in ("asked", "of")}
    ]
    trials = f"{LOGS}{log['id']}/"
    said = await desk.post(f"{trials}forecasts/", {"min_occurrences": 10}, as_="desi")
    assert said.status_code == 200, said.text
    assert (said.json()["state"], len(said.json()["scores"])) == ("ok", 3)
    patch = [{"op": "replace", "path": "/process_steps/0/sla", "value": {"target_hours": 0.05}}]
    tried = await desk.post(f"{trials}backtest/", {"patch": patch}, as_="desi")
    assert tried.status_code == 200, tried.text
    assert tried.json()["totals"]["breached"]["after"] > tried.json()["totals"]["breached"]["before"]
    tried = await desk.post(f"{trials}backtest/", {"blueprint": found["blueprint"]}, as_="desi")
    assert tried.json()["totals"]["changed"]["count"] == 0
    assert pointers(await desk.post(f"{trials}backtest/", {}, as_="desi")) == ["/patch"]
    name = f"Expenses {log['id'][:8]}"
    made = await desk.post("/workflow/process-templates/", found["blueprint"] | {"name": name}, as_="desi")
    assert made.status_code == 201, made.text
    done = await desk.post(f"/workflow/process-templates/{made.json()['id']}/publish/", as_="desi")
    assert done.status_code == 200, done.text


async def test_a_preview_stores_nothing(desk: ApiDesk) -> None:
    before = stored(desk.database, EventLog), stored(desk.database, EventLogPart)
    answer = await send(desk, as_csv(expense_rows(20)), preview="true")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["proposed_map"] == told["map"] == MAPPED
    assert [column["name"] for column in told["columns"]] == ["case", "activity", "at", "user", "amount", "department"]
    assert (told["cases"], told["whole"], len(told["first_cases"])) == (20, True, 5)
    assert (stored(desk.database, EventLog), stored(desk.database, EventLogPart)) == before


@pytest.mark.parametrize(
    ("content", "form", "pointer", "words"),
    [
        (as_csv(expense_rows(5)), {"map": MAPPED | {"case": "caes"}}, "/map/case", "did you mean 'case'?"),
        (as_csv(expense_rows(5)), {"map": "{"}, "/map", "not JSON"),
        (as_csv(expense_rows(5)), {"map": MAPPED, "name": "  "}, "/name", "write a name"),
        (as_csv(expense_rows(5)), {"map": MAPPED, "name": "Expenses\0"}, "/name", "NUL"),
        (as_csv(expense_rows(5)), {"map": MAPPED | {"case": "a\0"}}, "/map/case", "U+0000"),
        (as_csv(expense_rows(5)), {"map": '{"case": "a", "case": "b"}'}, "/map/case", "given twice"),
        (as_csv(expense_rows(5)), {"map": MAPPED, "preview": "perhaps"}, "/preview", "true or false"),
        (b"a,b,c\n1,2,3\n", {}, "/map", "name it in the map: a, b, c"),
        (as_csv(expense_rows(5)).replace(b"2025-01-06T09", b"on monday"), {"map": MAPPED}, "/file", "line 2"),
        (b"<!DOCTYPE log [<!ENTITY a 'b'>]><log>&a;</log>", {"map": XES_MAP}, "/file", "document type"),
    ],
    ids=["column", "map", "name", "no text", "no text in the map", "twice", "preview", "no map", "time", "entities"],
)
async def test_what_is_wrong_is_refused_with_its_place_and_nothing_is_stored(
    desk: ApiDesk, content: bytes, form: dict[str, Any], pointer: str, words: str
) -> None:
    before = stored(desk.database, EventLog)
    for preview in ("false", "true") if pointer.startswith(("/map/", "/file")) else ("false",):
        answer = await send(desk, content, **({"preview": preview} | form))
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer
        assert words in answer.json()["detail"]
    assert stored(desk.database, EventLog) == before


async def test_a_file_name_that_no_database_can_store_is_refused_at_the_file(desk: ApiDesk) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a\0.csv"\r\n\r\n'
    headers = {
        "Authorization": f"Bearer {await desk.token('desi')}",
        "Content-Type": "multipart/form-data; boundary=x",
    }
    sent = head + as_csv(expense_rows(5)) + b"\r\n--x--\r\n"
    answer = await desk.http.post(f"{BASE}{LOGS}", content=sent, headers=headers)
    assert (answer.status_code, pointers(answer)) == (422, ["/file"]), answer.text


async def test_a_fault_beyond_the_head_fails_the_log_with_its_line(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**row, "department": ""} for row in expense_rows(7_000)]
    rows[-1]["at"] = "never"
    assert len(rows) > 20_001
    log = await imported(desk, gzip.compress(as_csv(rows)), map=MAPPED)
    assert log["status"] == "failed"
    assert f"line {len(rows) + 1}: 'never' in 'at' is no time" in log["error"]
    assert (await desk.post(f"{LOGS}{log['id']}/suggest/", as_="desi")).status_code == 409


async def test_what_is_larger_than_a_log_may_be_is_refused(desk: ApiDesk) -> None:
    answer = await send(desk, b"case,activity,at,user\n" + b"x" * 700_000, map=MAPPED)
    assert answer.status_code == 413, answer.text


async def test_the_same_key_is_the_same_log(desk: ApiDesk) -> None:
    content = as_csv(expense_rows(20))
    first = await send(desk, content, map=MAPPED, key="log-1")
    again = await send(desk, content, map=MAPPED, key="log-1")
    assert first.json()["id"] == again.json()["id"]
    other = await send(desk, content, map=MAPPED | {"attributes": []}, key="log-1")
    assert other.status_code == 422, "the same key with another map"


async def test_logs_are_for_designers_and_are_read_by_auditors(desk: ApiDesk) -> None:
    content = as_csv(expense_rows(20))
    log = await imported(desk, content, map=MAPPED)
    assert (await send(desk, content, map=MAPPED, as_="ann")).status_code == 403
    assert (await send(desk, content, map=MAPPED, as_="audrey")).status_code == 403
    for person, status in (("ann", 403), ("audrey", 200), ("adam", 200)):
        assert (await desk.get(LOGS, as_=person)).status_code == status
        assert (await desk.get(f"{LOGS}{log['id']}/", as_=person)).status_code == status
    for person in ("ann", "audrey"):
        assert (await desk.call("DELETE", f"{LOGS}{log['id']}/", as_=person)).status_code == 403
        assert (await desk.post(f"{LOGS}{log['id']}/suggest/", as_=person)).status_code == 403


async def test_logs_are_listed_in_pages_and_deleted_with_their_cases(desk: ApiDesk) -> None:
    ids = [(await imported(desk, as_csv(expense_rows(20)), map=MAPPED))["id"] for _ in range(3)]
    first = (await desk.get(f"{LOGS}?limit=2", as_="desi")).json()
    rest = (await desk.get(f"{LOGS}?limit=500&cursor={first['next_cursor']}", as_="desi")).json()
    listed = [one["id"] for one in [*first["items"], *rest["items"]]]
    assert [one for one in listed if one in ids] == ids[::-1]
    parts = stored(desk.database, EventLogPart)
    last = (await desk.get(f"{LOGS}{ids[0]}/", as_="desi")).json()
    deleted, again = [await desk.call("DELETE", f"{LOGS}{ids[0]}/", as_="desi", key="gone") for _ in range(2)]
    assert (deleted.status_code, deleted.json()) == (again.status_code, again.json()) == (200, last)
    assert (await desk.get(f"{LOGS}{ids[0]}/", as_="desi")).status_code == 404
    assert stored(desk.database, EventLogPart) == parts - 1
    acts = (await desk.get("/workflow/admin-acts/?limit=500", as_="audrey")).json()["items"]
    kinds = [(act["kind"], act["target"]) for act in acts if act["target"] == f"event_log:{ids[0]}"]
    assert sorted(kinds) == [(f"event_log_{what}", f"event_log:{ids[0]}") for what in ("deleted", "imported")]


async def test_a_log_whose_process_died_has_failed_and_leaves_no_cases(database: Database) -> None:
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    row = row_of(log_id="dead", name="L", file_name="l", size=1, sha256="", mapped={}, by="desi", at=now)
    row.held_until = now + HELD
    with writing(database) as session:
        event_logs.store(session.connection(), row)
        event_logs.add_parts(session.connection(), "dead", 0, [(1, 1, b"x")])
    pool = ProcessPool()
    jobs = EventLogJobs(database, pool, clock=lambda: now + HELD)
    await jobs.look()
    assert (await database.read(event_logs.get, "dead")).status == "running", "its lease has not ended"
    late = EventLogJobs(database, pool, clock=lambda: now + HELD + timedelta(seconds=1))
    await late.look()
    found = await database.read(event_logs.get, "dead")
    assert (found.status, found.error) == ("failed", "The process that read it has ended; import it again.")
    assert await database.read(event_logs.parts, "dead") == []
    await pool.close()


async def test_the_command_line_previews_and_imports(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACET_DATABASE_URL", database_url)
    monkeypatch.setenv("PLACET_HOME", str(tmp_path / "home"))
    file = tmp_path / "expenses.csv"
    file.write_bytes(as_csv(expense_rows(50)))

    def command(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["import-log", *arguments])
        return done.exit_code, done.output

    before = stored(database, EventLog)
    code, output = await asyncio.to_thread(command, str(file), "--preview")
    assert code == 0, output
    assert '"case": "case"' in output
    assert "Approved by CFO" in output
    assert stored(database, EventLog) == before
    code, output = await asyncio.to_thread(command, str(file), "--map", json.dumps(MAPPED), "--json")
    assert code == 0, output
    told = json.loads(output)
    assert (told["status"], told["cases"], told["name"]) == ("completed", 50, "expenses.csv")
    row = await database.read(event_logs.get, told["id"])
    assert (row.status, row.created_by.startswith("command line")) == ("completed", True)
    assert sum(1 for _ in await database.read(event_logs.parts, told["id"])) == 1
    for arguments, words in (
        (["forecast-log", told["id"]], "Too few cases"),
        (
            ["backtest-log", told["id"], "--patch", '[{"op": "replace", "path": "/version", "value": "2.0.0"}]'],
            "15 of 15",
        ),
    ):
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        assert done.exit_code == 0, done.output
        assert words in done.output
    code, output = await asyncio.to_thread(command, str(file), "--map", '{"case": "caze"}')
    assert code == 2
    assert "/map/activity" in output
