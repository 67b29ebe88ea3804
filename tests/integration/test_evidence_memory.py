"""A pack of ten thousand requests is made and verified in bounded memory, and the command line writes one to a file."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from cli.commands.people import load
from cli.main import app
from placet.audit.chain import genesis, link
from placet.audit.receipts import ReceiptKey
from placet.definition.model import parse_definition
from placet.plan.compiler import digest
from service.evidence.building import Order, build
from service.evidence.verifying import verify_evidence
from service.receipts import signing_key
from storage.database import Database
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, DefinitionVersion
from tests.approvals import EXPENSE
from tests.stored import writing
from worker.settings import Settings

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DIGEST = digest(parse_definition(EXPENSE))
ORDER = Order(process=EXPENSE["name"], since=NOW, until=NOW + timedelta(days=30), sample=25, seed="s")


def publish(database: Database) -> None:
    with writing(database) as session:
        session.add(
            DefinitionVersion(
                id="d1",
                name=EXPENSE["name"],
                version="1.0.0",
                template_type="approval",
                status="published",
                digest=DIGEST,
                blueprint=EXPENSE,
                created_by="olivia",
                created_at=NOW,
            )
        )


def store(database: Database, first: int, end: int) -> None:
    """Store requests that bob has approved, each an hour late and with a reason of some length."""
    for begin in range(first, end, 1000):
        rows: dict[type[Any], list[dict[str, Any]]] = {ApprovalRequest: [], ApprovalTask: [], AuditEntry: []}
        for number in range(begin, min(begin + 1000, end)):
            _add(rows, f"r{number:06}")
        with writing(database) as session:
            for table, values in rows.items():
                session.execute(insert(table), values)


def _add(rows: dict[type[Any], list[dict[str, Any]]], ident: str) -> None:
    task, head, at = f"{ident}.1", genesis(ident), NOW
    decided = {"decision": "approve", "why": "well " * 100, "via": "api", "revision": 1, "round": 1}
    entries = [
        ("started", "user:ann", None, {"version": "1.0.0", "digest": DIGEST, "input": {"amount": "10"}}),
        ("task_opened", "system", task, {"assigned_via": "manager_of(requester)"}),
        ("sla_breached", "system", task, {}),
        ("decided", "user:bob", task, decided),
        ("completed", "system", None, {"outcome": "approved"}),
    ]
    for seq, (kind, actor, task_id, detail) in enumerate(entries, 1):
        at = NOW + timedelta(hours=seq)
        stage = None if task_id is None else "Manager Approval"
        made = link(head, seq=seq, at=at, kind=kind, actor=actor, stage=stage, task_id=task_id, detail=detail)
        head = made.hash
        rows[AuditEntry].append(
            {
                "request_id": ident,
                "seq": seq,
                "at": at,
                "kind": kind,
                "actor": actor,
                "stage": stage,
                "task_id": task_id,
                "detail": json.dumps(detail),
                "hash": head,
                "recorded_at": at,
            }
        )
    rows[ApprovalRequest].append(
        {
            "id": ident,
            "template_id": "d1",
            "template": EXPENSE["name"],
            "version": "1.0.0",
            "title": "A trip",
            "input": {"amount": "10"},
            "requester": "ann",
            "owner": "user:olivia",
            "status": "completed",
            "outcome": "approved",
            "seq": len(entries),
            "head": head,
            "started_at": NOW + timedelta(hours=1),
            "ended_at": at,
        }
    )
    rows[ApprovalTask].append(
        {
            "id": task,
            "request_id": ident,
            "position": 0,
            "stage": "Manager Approval",
            "round": 1,
            "candidates": [],
            "delegates": [],
            "assigned_via": "manager_of(requester)",
            "status": "decided",
            "opened_at": NOW,
            "sla_state": "breached",
            "decision": "approve",
            "decided_by": "bob",
            "decided_at": at,
        }
    )


async def peak_of(database: Database) -> tuple[int, int]:
    """Make and verify a pack; return how many requests it has, and the most that was allocated meanwhile, in bytes."""
    key = await signing_key(database, "a secret for the tests alone", NOW)
    with TemporaryFile() as file:
        tracemalloc.start()
        try:
            made = await build(database, None, key, ORDER, file, by="user:audrey", now=NOW)
            verdict = await asyncio.to_thread(verify_evidence, file, key.id)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert verdict.faults == ()
    assert verdict.body is not None
    assert made.exceptions == made.population
    return made.population, peak


async def test_the_memory_that_a_pack_takes_does_not_grow_with_its_population(database: Database) -> None:
    await asyncio.to_thread(publish, database)
    await asyncio.to_thread(store, database, 0, 1000)
    await peak_of(database)  # what is loaded and compiled once
    few, peak_of_few = await peak_of(database)
    await asyncio.to_thread(store, database, 1000, 10_000)
    many, peak_of_many = await peak_of(database)
    assert (few, many) == (1000, 10_000)
    # 9,000 more ids would take a megabyte, their lines three, and their entries six.
    assert peak_of_many < peak_of_few + 500_000, (peak_of_few, peak_of_many)


async def test_the_time_that_a_pack_takes_does_not_grow_faster_than_its_population(database: Database) -> None:
    await asyncio.to_thread(publish, database)
    await asyncio.to_thread(store, database, 0, 4000)
    with TemporaryFile() as file:
        begun = time.process_time()
        await build(database, None, ReceiptKey("a secret"), ORDER, file, by="user:audrey", now=NOW)
        assert time.process_time() - begun < 5  # 0.4 s where each decision is looked for in its own request


def test_the_command_writes_a_pack_that_verifies_and_keeps_a_record_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACET_HOME", str(tmp_path))
    settings = Settings(home=tmp_path)
    asyncio.run(load(settings, Path("blueprints/people.json")))
    database = Database(settings.database)
    publish(database)
    store(database, 0, 30)
    file = tmp_path / "pack.zip"
    called = ["evidence", EXPENSE["name"], "--from", "2026-03-01", "--until", "2026-04-01", "--sample", "5"]
    written = CliRunner().invoke(app, [*called, "--seed", "s", "--out", str(file), "--json"])
    assert written.exit_code == 0, written.output
    made = json.loads(written.stdout)
    assert (made["population"], made["sampled"]) == (30, 5)
    assert file.stat().st_mode & 0o777 == 0o600
    verified = CliRunner().invoke(app, ["verify", "--evidence", str(file), "--key", made["key_id"]])
    assert verified.exit_code == 0, verified.output
    again = CliRunner().invoke(app, [*called, "--seed", "s", "--out", str(file)])
    assert (again.exit_code != 0, "is there already" in again.output) == (True, True)
    unknown = CliRunner().invoke(app, ["evidence", "Nothing", *called[2:], "--seed", "s", "--out", f"{file}.2"])
    assert (unknown.exit_code != 0, Path(f"{file}.2").exists()) == (True, False)
    file.write_bytes(file.read_bytes().replace(b'"outcome":"approved"', b'"outcome":"rejected"', 1))
    refused = CliRunner().invoke(app, ["verify", "--evidence", str(file)])
    assert refused.exit_code == 1
    assert "population.ndjson: Its bytes were altered" in refused.output
    asyncio.run(database.close())
