"""Searching titles finds the same as a plain scan, on both databases, by an index that follows what is stored."""

from __future__ import annotations

import random
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, insert, text
from sqlmodel import col

from storage.database import Database
from storage.queries.requests import requests, titles, visibility
from storage.queries.requests.visibility import Visibility
from storage.retention.erasure import TITLE, _erase_projection
from storage.tables.approvals import ApprovalRequest, ApprovalTask, Participant
from storage.tables.reading import RequestTitle
from tests.stored import reading, writing

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LETTERS = "aAbBäÄßsS ÖöéE\u0301%_\\\"'*^-€İi😀ø"
BOB = Visibility(person="bob")


def fill(connection: Connection, named: dict[str, str]) -> None:
    base: dict[str, Any] = {"template_id": "t", "template": "E", "version": "1.0.0", "input": {}, "requester": "ann"}
    base |= {"status": "pending", "seq": 1, "head": "h"}
    task: dict[str, Any] = {"position": 1, "stage": "S", "round": 1, "candidates": [], "delegates": []}
    task |= {"assigned_via": "approver", "assignee": "bob", "status": "open", "sla_state": "ok"}
    rows = [
        base | {"id": ident, "title": title, "started_at": NOW - timedelta(minutes=n)}
        for n, (ident, title) in enumerate(named.items())
    ]
    connection.execute(insert(ApprovalRequest), rows)
    connection.execute(
        insert(ApprovalTask),
        [task | {"id": f"{row['id']}.1", "request_id": row["id"], "opened_at": row["started_at"]} for row in rows],
    )
    connection.execute(insert(Participant), [{"request_id": row["id"], "person": "bob"} for row in rows])
    titles.put(connection, rows)


def scanned(named: dict[str, str], part: str) -> set[str]:
    """Find by looking at every title."""

    def same(given: str) -> str:
        return unicodedata.normalize("NFC", given.casefold())

    return {ident for ident, title in named.items() if same(part) in same(title)}


def found(connection: Connection, part: str) -> tuple[set[str], set[str]]:
    """Return the requests of the list of requests, and of the inbox."""
    listed = requests.page(connection, limit=500, title=part)
    inbox = requests.task_page(connection, limit=500, waits_for=BOB, viewer=BOB, status="open", title=part, sort="due")
    return {row.request.id for row in listed.items}, {row.request_id for row in inbox.items}


@pytest.mark.parametrize("few", [1_000, 3], ids=["by the index", "mostly in the list's order"])
async def test_search_finds_what_a_plain_scan_finds(
    database: Database, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(titles, "FEW", few)
    drawn = random.Random(7)
    named = {f"r{n}": "".join(drawn.choices(LETTERS, k=drawn.randint(1, 14))) for n in range(300)}
    await database.write(fill, named)
    parts = list(dict.fromkeys(LETTERS))
    for title in drawn.sample(sorted(named.values()), 60):
        begin = drawn.randrange(len(title))
        part = title[begin : begin + drawn.randint(1, 6)]
        parts += [part, part.upper(), part.lower(), part + drawn.choice(LETTERS)]
    parts += ["%", "_", "100%", "\\", '"', "strasse", "zz", "😀", "\n", "\n\n", "\ud7ff", "x" * 200]
    with reading(database) as session:
        for part in parts:
            if not part.strip(" "):
                continue
            expected = scanned(named, part)
            assert found(session.connection(), part) == (expected, expected), part


async def test_the_index_follows_changes_erasure_and_deletion(database: Database) -> None:
    await database.write(fill, {"r1": "Stühle für Köln", "r2": "Ein Tisch"})

    def ids(part: str) -> set[str]:
        with reading(database) as session:
            by_list, by_inbox = found(session.connection(), part)
        assert by_list == by_inbox
        return by_list

    assert (ids("STÜHLE"), ids("tisch")) == ({"r1"}, {"r2"})
    with writing(database) as session:
        titles.put(session.connection(), [{"id": "r2", "title": "Zwei Lampen"}])
    assert (ids("tisch"), ids("lampen"), ids("pe")) == (set(), {"r2"}, {"r2"})
    with writing(database) as session:
        one = session.get_one(ApprovalRequest, "r1")
        _erase_projection(session.connection(), one, NOW)
    assert (ids("stühle"), ids("kö"), ids(TITLE)) == (set(), set(), {"r1"})
    with writing(database) as session:
        session.execute(delete(ApprovalRequest).where(col(ApprovalRequest.id) == "r2"))
    with reading(database) as session:
        assert session.query(RequestTitle).count() == 1
        if database.dialect == "sqlite":
            terms = session.scalars(text("SELECT term FROM request_title_terms")).all()
            assert not [term for term in terms if term in {"lam", "tis", "stü"}], "nothing of what is gone is kept"


async def test_what_few_titles_have_is_not_looked_for_among_all_tasks(database: Database) -> None:
    named = {f"r{n:05}": f"A laptop for number {n}" for n in range(8_000)} | {"rare": "Ein Kran für Kraków"}
    await database.write(fill, named)
    if database.dialect == "postgresql":
        await database.write(lambda connection: connection.execute(text("ANALYZE")))
    assert len(named) > visibility.FEW
    for part, few in (("krak", True), ("nowhere", True), ("kr", True), ("qx", True), ("laptop", False), ("a", False)):
        with reading(database) as session:
            _, rare = titles.with_part(session.connection(), part, col(ApprovalTask.request_id))
            assert rare is few, part
            listed, inbox = found(session.connection(), part)
            assert listed == inbox
            assert len(listed) == min(500, len(scanned(named, part)))


async def test_postgresql_does_not_count_what_many_of_the_newest_titles_have(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    await database.write(fill, {f"r{n:05}": f"A laptop for number {n}" for n in range(3_000)} | {"rare": "Ein Kran"})
    await database.write(lambda connection: connection.execute(text("ANALYZE")))
    for part, counted in (("laptop", False), ("a", False), ("kran", True), ("nowhere", True)):
        asked: list[str] = []
        with reading(database) as session:
            connection = session.connection()
            event.listen(connection, "before_cursor_execute", lambda *given, to=asked: to.append(given[2]))
            titles.with_part(connection, part, col(ApprovalTask.request_id))
            assert any("placet_parts" in statement for statement in asked) is counted, part
            plan = "\n".join(
                connection.scalars(
                    text("EXPLAIN SELECT 1 FROM request_title WHERE placet_parts(folded) @> '{kra,ran}' LIMIT 1001")
                )
            )
            assert "Seq Scan" not in plan, plan
    await database.close()
