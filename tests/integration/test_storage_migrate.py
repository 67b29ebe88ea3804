"""The migrations make what the tables say, on both databases, and can be run by anybody at any time."""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
import re
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, insert, inspect, select, text
from sqlmodel import SQLModel

import storage
from placet.definition.model import parse_definition
from placet.errors import NewerSchema
from placet.plan.compiler import digest as blueprint_digest
from storage.database import Database
from storage.migrate import configuration, migrate, newest
from storage.queries.requests import requests
from storage.tables.approvals import ApprovalRequest

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    # The step makes them by hand: the tables of a full-text index of SQLite, and an index of a function of PostgreSQL.
    return [one for one in compare_metadata(context, SQLModel.metadata) if not _of_search(one)]


def _of_search(difference: Any) -> bool:
    kind, what = difference[0], difference[1]
    return kind in {"remove_table", "remove_index"} and re.match(r"request_title_(parts|terms)", what.name) is not None


async def test_migrations_and_tables_agree(database: Database) -> None:
    for module in pkgutil.walk_packages(storage.__path__, "storage."):
        if not module.name.startswith("storage.migrations"):
            importlib.import_module(module.name)  # those that have tables make them known
    assert ApprovalRequest.__tablename__ in SQLModel.metadata.tables
    assert await database.write(_differences) == []


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    await migrate(database_url)
    database = Database(database_url)
    script = ScriptDirectory.from_config(await database.write(configuration))
    assert newest() == script.get_current_head()
    versions = text("SELECT version_num FROM alembic_version")
    assert await database.write(lambda connection: connection.execute(versions).all()) == [(newest(),)]
    await database.close()


async def test_a_release_leaves_a_database_alone_that_a_newer_one_has_migrated(empty_database_url: str) -> None:
    await migrate(empty_database_url)
    database = Database(empty_database_url)

    def as_a_newer_release(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9001'"))
        connection.execute(text("ALTER TABLE person ADD COLUMN of_a_newer_release VARCHAR"))

    await database.write(as_a_newer_release)
    with pytest.raises(NewerSchema, match=rf"schema 9001, .* up to {newest()}: .* newer release"):
        await migrate(empty_database_url)
    await database.read(lambda c: c.execute(text("SELECT of_a_newer_release FROM person")).all())
    versions = text("SELECT version_num FROM alembic_version")
    assert await database.read(lambda connection: connection.execute(versions).all()) == [("9001",)]
    await database.close()


async def test_processes_that_migrate_at_once_all_succeed(empty_database_url: str) -> None:
    program = "import asyncio, sys; from storage.migrate import migrate; asyncio.run(migrate(sys.argv[1]))"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, empty_database_url, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in processes:
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode()
    database = Database(empty_database_url)
    tables = await database.write(lambda connection: inspect(connection).get_table_names())
    await database.close()
    assert set(tables) >= set(SQLModel.metadata.tables)


def _tasks_from_before_hand_overs_were_counted(connection: Connection) -> dict[str, int]:
    command.downgrade(configuration(connection), "0013")
    known = MetaData()
    task, entry = (Table(name, known, autoload_with=connection) for name in ("approval_task", "audit_entry"))
    full = {"position": 1, "stage": "S", "round": 1, "candidates": [], "delegates": [], "assigned_via": "approver"}
    full |= {"opened_at": NOW, "sla_state": "ok", "escalation_level": 0, "request_id": "r"}
    rows = {"r.1": "open", "r.2": "decided", "r.3": "open"}
    connection.execute(insert(task), [{**full, "id": name, "status": status} for name, status in rows.items()])
    told = [
        ("r.1", "reassigned", {"before": {"assignee": "user:bob"}, "after": {"assignee": "user:eve"}}),
        ("r.1", "delegated", {"keep": True, "before": {"delegates": []}, "after": {"delegates": ["user:dan"]}}),
        ("r.1", "released", {"before": {"assignee": "user:eve"}, "after": {"assignee": None}}),
        ("r.1", "escalated", {"before": {"assignee": None}, "after": {"assignee": None, "to": ["user:bob"]}}),
        ("r.1", "approver_missing", {"before": {"assignee": "user:bob"}}),
        ("r.2", "reassigned", {"before": {"assignee": "user:bob"}, "after": {"assignee": "user:eve"}}),
        ("r.3", "approver_missing", {}),
    ]
    common = {"request_id": "r", "at": NOW, "actor": "system", "hash": "", "recorded_at": NOW}
    connection.execute(
        insert(entry),
        [
            {**common, "seq": seq, "task_id": name, "kind": kind, "detail": json.dumps(detail)}
            for seq, (name, kind, detail) in enumerate(told, 1)
        ],
    )
    command.upgrade(configuration(connection), "head")
    return {row.id: row.hand_overs for row in connection.execute(text("SELECT id, hand_overs FROM approval_task"))}


def _tasks_from_before_candidates_were_listed(connection: Connection) -> list[tuple[str, str]]:
    command.downgrade(configuration(connection), "0016")
    task = Table("approval_task", MetaData(), autoload_with=connection)
    full = {"position": 1, "stage": "S", "round": 1, "assigned_via": "approver", "status": "open", "queue": None}
    full |= {"opened_at": NOW, "sla_state": "ok", "escalation_level": 0, "request_id": "r"}
    lists: list[tuple[str | None, str | None, list[str], list[str]]] = [
        ("bob", None, ["ann", "bob"], ["dan"]),  # claimed out of a list, and delegated
        (None, None, ["ann", 'x"y'], []),  # a list of candidates, as requests of the first rules have them
        (None, "role:cfo", ["ann"], ["eve"]),  # a queue: whose it is, is asked when somebody looks
        ("bob", None, [], []),
    ]
    rows = [
        {**full, "id": f"r.{n}", "assignee": assignee, "queue": queue, "candidates": listed, "delegates": delegates}
        for n, (assignee, queue, listed, delegates) in enumerate(lists, 1)
    ]
    connection.execute(insert(task), rows)
    command.upgrade(configuration(connection), "head")
    found = connection.execute(text("SELECT task_id, person FROM task_candidate ORDER BY task_id, person"))
    return [(row.task_id, row.person) for row in found]


async def test_tasks_of_before_are_found_by_their_delegates_and_by_who_may_claim_them(database: Database) -> None:
    found = await database.write(_tasks_from_before_candidates_were_listed)
    assert found == [("r.1", "dan"), ("r.2", "ann"), ("r.2", 'x"y'), ("r.3", "eve")]


async def test_tasks_that_are_open_get_the_count_of_their_hand_overs(database: Database) -> None:
    counted = await database.write(_tasks_from_before_hand_overs_were_counted)
    assert counted == {"r.1": 3, "r.2": 0, "r.3": 0}


def _blueprints_from_before_there_were_formats(connection: Connection) -> tuple[dict[str, Any], dict[str, Any]]:
    command.downgrade(configuration(connection), "0010")
    known = MetaData()
    names = ("process_template", "workflow_simulation")
    template, simulation = (Table(name, known, autoload_with=connection) for name in names)
    raw = {"name": "P", "version": "1.0.0", "process_steps": [{"stage_name": "One"}, {"stage_name": "Two"}]}
    row = {"id": "t", "name": "P", "version": "1.0.0", "template_type": "approval", "status": "published"}
    digest = blueprint_digest(parse_definition({**raw, "format": 1}))
    row |= {"digest": digest, "created_by": "o"}
    connection.execute(insert(template), [{**row, "blueprint": raw, "created_at": NOW}])
    shadow = {"id": "s", "mode": "shadow", "status": "running", "question": {"blueprint": raw}, "created_by": "o"}
    connection.execute(insert(simulation), [{**shadow, "created_at": NOW}])
    command.upgrade(configuration(connection), "head")
    stored = connection.execute(select(template.c.digest, template.c.blueprint)).one()
    assert blueprint_digest(parse_definition(stored.blueprint)) == stored.digest, "a version keeps its identity"
    return stored.blueprint, connection.execute(select(simulation.c.question)).scalar_one()["blueprint"]


async def test_blueprints_that_were_stored_before_there_were_formats_keep_their_meaning(database: Database) -> None:
    for document in await database.write(_blueprints_from_before_there_were_formats):
        assert document["format"] == 1
        assert parse_definition(document).on_change == "stage"


async def test_titles_of_before_are_found_by_their_parts(database: Database) -> None:
    def of_before(connection: Connection) -> None:
        command.downgrade(configuration(connection), "0031")
        request = Table("approval_request", MetaData(), autoload_with=connection)
        full = {"template_id": "t", "template": "E", "version": "1.0.0", "input": {}, "requester": "ann"}
        full |= {"status": "pending", "round": 1, "returned": False, "seq": 1, "head": "h", "started_at": NOW}
        connection.execute(
            insert(request), [{**full, "id": f"r{n:05}", "title": f"Übersicht {n}"} for n in range(5_001)]
        )
        command.upgrade(configuration(connection), "head")

    await database.write(of_before)
    page = await database.read(requests.page, limit=5, title="ÜBERSICHT 5000")
    assert [row.request.id for row in page.items] == ["r05000"]
    page = await database.read(requests.page, limit=5, title="übersicht")
    assert len(page.items) == 5
