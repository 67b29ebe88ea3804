"""Verification finds every hand in the rows, and says where, whatever was written into them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from placet.audit.chain import canonical_json, link
from placet.definition.model import canonical, parse_definition
from placet.engine.events import Actor, AnswerQuestion, AskQuestion, Delegate
from placet.engine.recording import recording_of
from storage.database import Database
from storage.recording.outbox import delivery_genesis
from storage.recording.verify import VerifiedRows, verify_rows
from storage.tables.approvals import DefinitionVersion, Delivery
from tests.integration.recordings import NOW, Story, write
from tests.stored import reading, writing
from tests.unit.core import Case, blueprint, office, plan_of


async def _store(database: Database) -> Story:
    opened = Story(request_id="r1").open("bob")
    decided = opened.decide()
    with writing(database) as session:
        write(session, opened.recording(), NOW)
        write(session, decided.recording(), NOW)
        previous = delivery_genesis("r1")
        for seq in (1, 2):
            sent = link(
                previous, seq=seq, at=NOW, kind="notified", actor="system", stage=None, task_id=None, detail={"n": seq}
            )
            previous = sent.hash
            facts = {"at": sent.at, "kind": sent.kind, "hash": sent.hash, "outbox_key": "k"}
            detail = canonical_json(sent.detail).decode()
            session.add(Delivery(request_id="r1", seq=seq, detail=detail, **facts))
    return decided


async def _verdict(database: Database, *edits: str) -> VerifiedRows:
    for edit in edits:
        with writing(database) as session:
            session.execute(text(edit))
    with reading(database) as session:
        return verify_rows(session.connection(), "r1")


async def test_rows_as_they_were_written_hold(database: Database) -> None:
    story = await _store(database)
    assert await _verdict(database) == {
        "ok": True,
        "entries": 4,
        "head": story.head,
        "first_bad_seq": None,
        "deliveries": 2,
        "first_bad_delivery": None,
        "differs": [],
    }


ENTRY = "UPDATE audit_entry SET {} WHERE request_id = 'r1' AND seq = 3"


@pytest.mark.parametrize(
    ("edit", "seq"),
    [
        (ENTRY.format("actor = 'user:mallory'"), 3),
        (ENTRY.format("kind = 'commented'"), 3),
        (ENTRY.format("stage = NULL"), 3),
        (ENTRY.format("task_id = 'r1.2'"), 3),
        (ENTRY.format("at = '2025-03-03 09:01:00.123457'"), 3),  # a microsecond
        (ENTRY.format("detail = '{}'"), 3),
        (ENTRY.format("detail = 'nonsense'"), 3),
        (ENTRY.format("detail = ''"), 3),
        (ENTRY.format("detail = '[1]'"), 3),
        (ENTRY.format("detail = '{\"n\": NaN}'"), 3),
        (ENTRY.format("detail = '{\"n\": 123456789012345678901234567890}'"), 3),
        (ENTRY.format("detail = '" + "[" * 50_000 + "'"), 3),
        (ENTRY.format('detail = \'{"n": "\\ud800"}\''), 3),
        (ENTRY.format("hash = ''"), 3),
        (ENTRY.format("seq = 9"), 3),  # a gap, and a row beyond the end
        (ENTRY.format("request_id = 'r2'"), 3),
        ("DELETE FROM audit_entry WHERE seq = 1", 1),
        ("DELETE FROM audit_entry WHERE seq = 4", 4),  # the end is cut off
        ("DELETE FROM audit_entry", 1),
        ("DELETE FROM approval_request", 5),
        ("UPDATE approval_request SET head = ''", 4),
        ("UPDATE approval_request SET seq = 3", 5),
        ("UPDATE approval_request SET outcome = 'rejected'", 4),
        ("UPDATE approval_request SET status = 'pending'", 4),
        ("UPDATE approval_request SET requester = 'mallory'", 1),
        ("UPDATE approval_request SET title = 'Car'", 1),
        ("UPDATE approval_task SET decision = 'reject'", 3),
        ("UPDATE approval_task SET decision = NULL", 3),
        ("DELETE FROM approval_task", 2),
    ],
)
async def test_an_edited_row_is_found_at_its_place(database: Database, edit: str, seq: int) -> None:
    await _store(database)
    verdict = await _verdict(database, edit)
    assert (verdict["ok"], verdict["first_bad_seq"]) == (False, seq)


@pytest.mark.parametrize("at", ["'infinity'", "'10000-01-01'", "'0001-01-01 BC'"])
async def test_moments_that_python_has_no_word_for_are_found_on_postgresql(postgresql_url: str, at: str) -> None:
    database = Database(postgresql_url)
    await _store(database)
    assert (await _verdict(database, ENTRY.format(f"at = {at}")))["first_bad_seq"] == 3
    await database.close()


@pytest.mark.parametrize(
    "change",
    [
        "detail = x'ff00fe'",
        "at = 'yesterday'",
        "at = 17",
        "at = x'ff'",
        "hash = x'ff'",
        "seq = 'three'",
        "actor = x'80'",
    ],
)
async def test_bytes_that_are_no_text_are_found_on_sqlite(sqlite_url: str, change: str) -> None:
    database = Database(sqlite_url)
    await _store(database)
    verdict = await _verdict(database, ENTRY.format(change))
    assert (verdict["ok"], verdict["first_bad_seq"]) == (False, 3)
    await database.close()


@pytest.mark.parametrize("edit", ["UPDATE delivery SET kind = 'x' WHERE seq = 2", "DELETE FROM delivery WHERE seq = 1"])
async def test_deliveries_have_a_chain_too(database: Database, edit: str) -> None:
    await _store(database)
    verdict = await _verdict(database, edit)
    assert (verdict["ok"], verdict["first_bad_seq"], verdict["deliveries"] > 0) == (False, None, True)
    assert verdict["first_bad_delivery"] == (2 if "UPDATE" in edit else 1)


async def test_an_unknown_request_does_not_hold(database: Database) -> None:
    verdict = await _verdict(database)
    assert (verdict["ok"], verdict["entries"], verdict["head"]) == (False, 0, None)


PAST = "'2020-01-01 00:00:00.000000'"
TOLD = [
    ("approval_request", 'input = \'{"amount": "99999"}\'', "request.input"),
    ("approval_request", "input = '[]'", "request.input"),
    ("approval_request", "template = 'Another'", "request.template"),
    ("approval_request", "owner = 'mallory'", "request.owner"),
    ("approval_request", "started_by = 'mallory'", "request.started_by"),
    ("approval_request", "stage = 'Another'", "request.stage"),
    ("approval_request", "round = 2", "request.round"),
    ("approval_request", "revision = 7", "request.revision"),
    ("approval_request", "content_digest = '0'", "request.content_digest"),
    ("approval_request", f"started_at = {PAST}", "request.started_at"),
    ("approval_request", f"ended_at = {PAST}", "request.ended_at"),
    ("approval_request", "ended_at = NULL", "request.ended_at"),
    ("approval_request", f"claimed_at = {PAST}", "request.claimed_at"),
    ("approval_request", "questions = NULL", "request.questions"),
    ("approval_request", 'questions = \'[{"n": 1, "text": "Another?"}]\'', "request.questions"),
    ("approval_task", "stage = 'Another'", "tasks.r.1.stage"),
    ("approval_task", "round = 2", "tasks.r.1.round"),
    ("approval_task", "assignee = 'mallory'", "tasks.r.1.assignee"),
    ("approval_task", "status = 'open'", "tasks.r.1.status"),
    ("approval_task", f"opened_at = {PAST}", "tasks.r.1.opened_at"),
    ("approval_task", "decided_by = 'mallory'", "tasks.r.1.decided_by"),
    ("approval_task", f"decided_at = {PAST}", "tasks.r.1.decided_at"),
    ("approval_task", "comment = 'Another'", "tasks.r.1.comment"),
    ("approval_task", "comment = NULL", "tasks.r.1.comment"),
    ("approval_task", 'form = \'{"paid": "1"}\'', "tasks.r.1.form"),
    ("approval_task", "on_behalf_of = 'mallory'", "tasks.r.1.on_behalf_of"),
    ("approval_task", 'signature = \'{"name": "Mallory"}\'', "tasks.r.1.signature"),
    ("approval_task", "revision = 7", "tasks.r.1.revision"),
    ("approval_task", "content_digest = '0'", "tasks.r.1.content_digest"),
    ("approval_task", "id = 'r.9'", "tasks.r.9"),
]


def _process() -> dict[str, Any]:
    """Return a process with a form that sets a variable."""
    stage = {
        "approvers": ["user:mo"],
        "form": {"type": "object", "properties": {"paid": {"type": "number"}}, "required": ["paid"]},
    }
    nodes = [
        {"id": "start", "type": "trigger"},
        {"id": "ask", "type": "approval", "step": "Stage 1", "output": {"amount": "paid"}},
        {"id": "yes", "type": "terminator", "outcome": "approved"},
        {"id": "no", "type": "terminator", "outcome": "rejected"},
    ]
    edges = [
        {"from": "start", "to": "ask"},
        {"from": "ask", "to": "yes", "on": "approved"},
        {"from": "ask", "to": "no", "on": "rejected"},
    ]
    variables = [{"name": "amount", "type": "decimal"}, {"name": "many", "type": "integer"}]
    return blueprint(stage, variables=variables, graph_spec={"nodes": nodes, "edges": edges})


def _course() -> Case:
    """Return a request that was asked about, handed over, and approved with a form that sets a variable."""
    request = Case(plan=plan_of(_process()), org=office(), input={"amount": "10", "many": 2**60})
    request.do(AskQuestion(by=Actor(person="mo"), text="Which one?"))
    request.do(AnswerQuestion(by=Actor(person="rita"), n=1, text="The other."))
    request.do(Delegate(by=Actor(person="mo"), task_id="r.1", to="user:ann"))
    request.decide("ann", comment="Fine", form={"paid": 12.5})
    assert (request.state.outcome, request.state.input["amount"]) == ("approved", "12.5")
    return request


def _write(database: Database, request: Case) -> None:
    document = canonical(parse_definition(_process()))
    with writing(database) as session:
        session.add(
            DefinitionVersion(
                id="tpl",
                name=request.plan.name,
                version=request.plan.version,
                template_type="approval",
                status="published",
                digest=request.plan.digest,
                blueprint=document,
                created_by="desi",
                created_at=NOW,
            )
        )
        write(session, recording_of(request.plan, "tpl", request.state, request.entries, (), stored={}), NOW)


@pytest.mark.parametrize(("table", "edit", "differs"), TOLD)
async def test_a_column_that_the_entries_tell_of_is_found_where_it_was_edited(
    database: Database, table: str, edit: str, differs: str
) -> None:
    _write(database, _course())
    with reading(database) as session:
        assert verify_rows(session.connection(), "r")["ok"]
    with writing(database) as session:
        session.execute(text(f"UPDATE {table} SET {edit}"))
    with reading(database) as session:
        verdict = verify_rows(session.connection(), "r")
    assert verdict["ok"] is False
    assert differs in verdict["differs"]
