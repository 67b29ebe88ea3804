"""What is asked often finds its rows by an index, with production-like numbers of rows on both databases."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, event, insert, text

from insight.costs import stored as course_store
from insight.mining import stored
from insight.mining.history import History
from placet.audit.evidence import DECISIONS
from storage.database import Database
from storage.queries import cursor, suggestions
from storage.queries.evidence.population import entries_of_kinds
from storage.queries.notifications import delivery_queue
from storage.queries.requests import escalations, inbox, processes, requests, timelines, visibility, waiting_pages
from storage.queries.requests.visibility import Visibility
from storage.queries.slas import breaches, definitions, executions
from storage.queries.slas.breaches import Chosen
from storage.queries.slas.gauges import slo_gauges
from storage.recording import metrics, outbox
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, Outbox, Participant, TaskCandidate
from storage.tables.notifications import NotificationMessage
from storage.tables.slas import SlaBreach, SlaExecution, WorkflowSla
from storage.tables.suggestions import WorkflowSuggestion
from tests.databases import DIALECTS
from tests.stored import reading

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
REQUESTS = 20_000  # enough that reading a table whole costs more than asking for a page of it by its index
PEOPLE = 200
LARGE = (
    "approval_request",
    "approval_task",
    "participant",
    "task_candidate",
    "audit_entry",
    "outbox",
    "notification_message",
    "sla_execution",
    "sla_breach",
    "workflow_suggestion",
)

P7 = Visibility(person="p7")
SEES = Visibility(person="p7", queues=("role:cfo", "group:finance"), absent=("p8", "p9"))

Ask = Callable[[Connection], Any]
ASKED: dict[str, Ask] = {
    "somebody's inbox": lambda s: requests.task_page(s, limit=50, waits_for=P7, status="open", viewer=P7),
    "the inbox of somebody with queues, who stands in": lambda s: requests.task_page(
        s, limit=50, waits_for=SEES, status="open", viewer=SEES
    ),
    "the next page of an inbox": lambda s: requests.task_page(
        s, limit=2, waits_for=P7, status="open", cursor=cursor.write(NOW, "r9-1")
    ),
    "all tasks, newest first": lambda s: requests.task_page(s, limit=50),
    "all tasks, oldest first": lambda s: requests.task_page(s, limit=50, sort="age"),
    "the tasks of a request": lambda s: requests.task_page(s, limit=50, request_id="r77"),
    "breached tasks": lambda s: requests.task_page(s, limit=50, status="open", sla_state="breached"),
    "one request": lambda s: requests.read(s, "r77", viewer="p77"),
    "all requests, newest first": lambda s: requests.page(s, limit=50),
    "a timeline": lambda s: timelines.of_request(s, "r77"),
    "a scrape": metrics.totals,
    "open tasks by stage": escalations.by_stage,
    "how late escalations were": escalations.lateness,
    "what failed last": escalations.failures,
    "notices to confirm": lambda s: outbox.held(s, before=NOW, limit=50),
    "notices to plan": lambda s: delivery_queue.plannable(s, NOW, limit=50),
    "mails that are due": lambda s: delivery_queue.waiting(s, "mail", NOW),
}


KINDS = {1: "started", 2: "task_opened", 3: "decided"}


def _fill_courses(connection: Connection, began: dict[int, datetime], running: dict[int, bool]) -> None:
    """Write the task and the entries of each request."""
    connection.execute(
        insert(ApprovalTask),
        [
            {
                "id": f"r{n}-1", "request_id": f"r{n}", "position": 1, "stage": "Manager", "round": 1,
                "assignee": f"p{(n + 7) % PEOPLE}", "candidates": [], "delegates": [], "assigned_via": "approver",
                "status": "open" if running[n] else "decided", "opened_at": began[n], "escalation_level": 0,
                "sla_state": "breached" if n % 4000 == 0 else "ok",
            }
            for n in began
        ],
    )  # fmt: skip
    connection.execute(
        insert(AuditEntry),
        [
            {
                "request_id": f"r{n}", "seq": seq, "at": began[n], "kind": KINDS[seq], "actor": "system",
                "detail": "{}", "hash": f"{n}-{seq}", "recorded_at": began[n],
            }
            for n in began
            for seq in KINDS
        ],
    )  # fmt: skip


def _fill(connection: Connection) -> None:
    """Write requests of months: one in 400 still has an open task, the rest has ended and its notices are sent."""
    numbers = range(REQUESTS)
    began = {n: NOW - timedelta(minutes=n * 8) for n in numbers}
    running = {n: n % 400 == 0 for n in numbers}
    base: dict[str, Any] = {"template_id": "t1", "template": "Expense", "version": "1.0.0", "title": "A", "input": {}}
    connection.execute(
        insert(ApprovalRequest),
        [
            base
            | {
                "id": f"r{n}", "requester": f"p{n % PEOPLE}", "owner": "p0", "round": 1, "returned": False, "seq": 3,
                "status": "pending" if running[n] else "completed", "head": "h", "started_at": began[n],
            }
            for n in numbers
        ],
    )  # fmt: skip
    _fill_courses(connection, began, running)
    connection.execute(
        insert(TaskCandidate),
        [{"person": f"p{n % PEOPLE}", "task_id": f"r{n}-1"} for n in numbers],
    )
    connection.execute(
        insert(Participant), [{"request_id": f"r{n}", "person": f"p{(n + 7) % PEOPLE}"} for n in numbers]
    )
    notices = [
        {
            "key": f"r{n}:{seq}", "request_id": f"r{n}", "seq": seq, "hash": f"{n}-{seq}", "event": KINDS[seq],
            "person": f"p{n % PEOPLE}", "created_at": began[n], "next_attempt_at": began[n], "attempts": 1,
        }
        for n in numbers
        for seq in (2, 3)
    ]  # fmt: skip
    connection.execute(
        insert(Outbox), [row | {"detail": {}, "status": "held" if n < 20 else "sent"} for n, row in enumerate(notices)]
    )
    connection.execute(
        insert(NotificationMessage),
        [
            row | {"channel": "mail", "digest": False, "status": "pending" if n < 20 else "sent"}
            for n, row in enumerate(notices)
        ],
    )


@asynccontextmanager
async def filled_with(fill: Callable[[Connection], None], url: str) -> AsyncIterator[Database]:
    """Give a database that is filled once for all tests that read it."""
    database = Database(url)
    await database.write(fill)
    if database.dialect == "postgresql":  # as its own upkeep does; nobody does it to SQLite
        await database.write(lambda connection: connection.execute(text("ANALYZE")))
    yield database
    await database.close()


@pytest_asyncio.fixture(scope="module", params=DIALECTS)
async def filled(request: pytest.FixtureRequest, databases_of_module: Callable[[str], str]) -> AsyncIterator[Database]:
    """Give a database with the requests of months."""
    async with filled_with(_fill, databases_of_module(request.param)) as database:
        yield database


@pytest_asyncio.fixture(scope="module", params=DIALECTS)
async def inboxes(request: pytest.FixtureRequest, databases_of_module: Callable[[str], str]) -> AsyncIterator[Database]:
    """Give a database in which ten thousand tasks wait for one person, and few for others."""
    async with filled_with(_fill_inboxes, databases_of_module(request.param)) as database:
        yield database


async def plans(database: Database, ask: Ask) -> list[str]:
    """Return the lines of the plans of all that is asked."""
    said: list[tuple[str, Any]] = []
    engine = database._reader

    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, tuple(parameters) if isinstance(parameters, list) else parameters))

    event.listen(engine, "before_cursor_execute", keep)
    await database.read(ask)
    event.remove(engine, "before_cursor_execute", keep)
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    lines: list[str] = []

    def explained(connection: Connection) -> None:
        for statement, parameters in said:
            if statement.lstrip().upper().startswith(("SELECT", "WITH")):
                rows = connection.exec_driver_sql(explain + statement, parameters)
                lines.extend(str(row[-1]) for row in rows)

    await database.read(explained)
    return lines


def scanned(dialect: str, lines: list[str]) -> list[str]:
    """Return the lines that read a large table from its beginning to its end."""
    tables = "|".join(LARGE)
    pattern = rf"^SCAN ({tables})$" if dialect == "sqlite" else rf"Seq Scan on ({tables})\b"
    return [line for line in lines if re.search(pattern, line.strip())]


async def test_what_is_asked_often_finds_its_rows_by_an_index(filled: Database) -> None:
    found = {what: await plans(filled, ask) for what, ask in ASKED.items()}
    assert all(found.values()), "everything asks something"
    assert {what: lines for what, lines in found.items() if scanned(filled.dialect, lines)} == {}
    scan: Ask = lambda s: s.execute(text("SELECT * FROM approval_task WHERE stage = 'None'"))  # noqa: E731
    assert scanned(filled.dialect, await plans(filled, scan)) != [], "a scan would be seen"


WALKS = {"ix_approval_request_started", "ix_approval_task_opened"}  # from the newest to the oldest of all


@pytest.mark.parametrize("viewer", [P7, SEES, Visibility(person="nobody")])
async def test_a_list_costs_what_its_reader_sees_and_shows_the_same_to_who_sees_much(
    filled: Database, monkeypatch: pytest.MonkeyPatch, viewer: Visibility
) -> None:
    lists: tuple[Ask, ...] = (
        lambda s: requests.page(s, limit=20, viewer=viewer),
        lambda s: requests.task_page(s, limit=20, viewer=viewer),
        lambda s: requests.task_page(s, limit=20, viewer=viewer, status="open"),
    )
    for ask in lists:
        lines = await plans(filled, ask)
        assert [line for line in lines if any(index in line for index in WALKS)] == [], lines
        if filled.dialect == "sqlite":  # PostgreSQL may rather read a table of this size whole
            assert scanned(filled.dialect, lines) == [], lines
        theirs = await filled.read(ask)
        with monkeypatch.context() as patch:
            patch.setattr(visibility, "FEW", -1)
            assert await filled.read(ask) == theirs


MANY = 10_000  # tasks that wait for one person; few wait for others
# What finds the tasks of somebody: their own, those of their queues, and by id those that they are candidates of.
THEIRS = {
    "ix_approval_task_assignee", "ix_approval_task_assignee_due", "ix_approval_task_assignee_amount",
    "ix_approval_task_queue", "ix_approval_task_queue_due", "ix_approval_task_queue_opened",
    "ix_approval_task_queue_amount", "approval_task_pkey", "sqlite_autoindex_approval_task_1",
    "ix_approval_task_request",
}  # fmt: skip
FEW = Visibility(person="few", queues=("role:rare",), absent=("away",))


def _fill_inboxes(connection: Connection) -> None:
    """Let ten thousand tasks wait for one person, and a handful for another in each way that there is."""
    whose: list[dict[str, Any]] = [{"assignee": "boss"}] * MANY
    whose += [{"assignee": "few"}, {"assignee": "away"}, {"queue": "role:rare"}, {"assignee": "boss"}]
    base: dict[str, Any] = {"template_id": "t1", "template": "Expense", "version": "1.0.0", "title": "A", "input": {}}
    base |= {"requester": "rita", "owner": "p0", "round": 1, "returned": False, "seq": 3, "status": "pending"}
    began = [NOW - timedelta(minutes=n) for n, _ in enumerate(whose)]
    # Half of them have no amount, and half of the tasks no deadline.
    amounts = [None if n % 2 else float(n) for n, _ in enumerate(whose)]
    requests_of = [
        base
        | {"id": f"r{n}", "head": "h", "started_at": at, "amount": amounts[n]}
        | ({} if n % 500 else {"template": "Rare"})
        for n, at in enumerate(began)
    ]
    connection.execute(insert(ApprovalRequest), requests_of)
    task: dict[str, Any] = {"position": 1, "stage": "Manager", "round": 1, "candidates": [], "delegates": []}
    task |= {"assigned_via": "approver", "status": "open", "escalation_level": 0, "sla_state": "ok"}
    blank: dict[str, Any] = {"assignee": None, "queue": None}
    connection.execute(
        insert(ApprovalTask),
        [
            task
            | blank
            | its
            | {"id": f"r{n}-1", "request_id": f"r{n}", "opened_at": began[n], "amount": amounts[n]}
            | {"due_at": None if n % 2 else began[n] + timedelta(days=2)}
            for n, its in enumerate(whose)
        ],
    )
    connection.execute(insert(TaskCandidate), [{"person": "few", "task_id": f"r{len(whose) - 1}-1"}])
    sees = [{"request_id": f"r{n}", "person": its["assignee"]} for n, its in enumerate(whose) if "assignee" in its]
    connection.execute(insert(Participant), [*sees, {"request_id": f"r{len(whose) - 1}", "person": "few"}])


def read_by(lines: list[str]) -> set[str]:
    """Return the indexes that tasks are read by; `all` where they are read from the first to the last."""
    found: set[str] = set()
    for line in lines:
        if re.search(r"SCAN approval_task\b|Seq Scan on approval_task\b", line):
            found.add("all")
        for index in re.findall(r"(?:INDEX|Scan using|Bitmap Index Scan on) (\S+)", line):
            if "approval_task" in index:
                found.add(index)
    return found


async def test_an_inbox_costs_what_is_in_it_however_many_tasks_wait_for_others(inboxes: Database) -> None:
    for sort in (None, "due", "age"):
        inbox: Ask = lambda s, by=sort: requests.task_page(  # type: ignore[misc]  # noqa: E731
            s, limit=50, waits_for=FEW, status="open", viewer=FEW, sort=by
        )
        lines = await plans(inboxes, inbox)
        assert read_by(lines) <= THEIRS, lines
        with reading(inboxes) as session:
            found = inbox(session.connection())
        assert {row.id for row in found.items} == {f"r{MANY + n}-1" for n in range(4)}
    boss = Visibility(person="boss")
    many: Ask = lambda s: requests.task_page(s, limit=50, waits_for=boss, status="open", viewer=boss)  # noqa: E731
    lines = await plans(inboxes, many)
    # In the order of the page, so that it ends with the page: where nearly all are theirs, also by that order alone.
    assert read_by(lines) <= THEIRS, lines
    with reading(inboxes) as session:
        page = many(session.connection())
    assert [row.id for row in page.items] == [f"r{n}-1" for n in range(50)]


BOSS = Visibility(person="boss")
# Lists of who has or sees very many, each with the indexes that have them in their order.
ORDERED: dict[str, tuple[Ask, set[str]]] = {
    "theirs by due": (
        lambda s: requests.task_page(s, limit=50, waits_for=BOSS, status="open", claimed=True, sort="due"),
        {"ix_approval_task_assignee_due", "ix_approval_task_due"},
    ),
    "theirs by amount": (
        lambda s: requests.task_page(s, limit=50, waits_for=BOSS, status="open", claimed=True, sort="amount"),
        {"ix_approval_task_assignee_amount", "ix_approval_task_amount"},
    ),
    "theirs in any status by due": (
        lambda s: requests.task_page(s, limit=50, waits_for=BOSS, sort="due"),
        {"ix_approval_task_assignee_due", "ix_approval_task_due"},
    ),
    "all by due": (lambda s: requests.task_page(s, limit=50, sort="due"), {"ix_approval_task_due"}),
    "all open by amount": (
        lambda s: requests.task_page(s, limit=50, status="open", sort="amount"),
        {"ix_approval_task_amount"},
    ),
    "all open by age": (
        lambda s: requests.task_page(s, limit=50, status="open", sort="age"),
        {"ix_approval_task_opened"},
    ),
    "requests by amount": (lambda s: requests.page(s, limit=50, sort="amount"), {"ix_approval_request_amount"}),
    "requests by their end": (lambda s: requests.page(s, limit=50, sort="ended"), {"ix_approval_request_ended"}),
    "requests by their first deadline": (lambda s: requests.page(s, limit=50, sort="due"), {"ix_approval_task_due"}),
}


async def test_a_page_of_very_many_is_read_in_its_order_by_as_many_statements_as_one_of_few(inboxes: Database) -> None:
    for what, (ask, indexes) in ORDERED.items():
        lines = await plans(inboxes, ask)
        assert any(index in line for line in lines for index in indexes), (what, lines)
        # PostgreSQL plans by its statistics, also for parts that turn out empty and are then not carried out.
        if inboxes.dialect == "sqlite":
            assert scanned(inboxes.dialect, lines) == [], (what, lines)
    asked: list[str] = []
    many: list[int] = []
    keep = lambda _c, _cursor, statement, *_: asked.append(statement)  # noqa: E731
    event.listen(inboxes._reader, "before_cursor_execute", keep)
    for reader in (FEW, FEW, BOSS):  # the first also reads what is then kept of blueprints
        asked.clear()
        await inboxes.read(requests.task_page, limit=50, waits_for=reader, status="open", sort="due")
        many.append(len(asked))
    # Ids with a deadline, those without, the rows, and two facts of a blueprint, which is not stored here.
    assert many[2] <= many[1] <= 5, asked
    event.remove(inboxes._reader, "before_cursor_execute", keep)


@pytest.mark.parametrize(
    "whose", [{"waits_for": BOSS}, {"waits_for": BOSS, "sla_state": "ok"}, {"assignee": "boss"}, {"viewer": BOSS}]
)
@pytest.mark.parametrize("sort", [None, "due"])
async def test_tasks_of_a_process_are_found_by_it_where_it_has_few(
    inboxes: Database, monkeypatch: pytest.MonkeyPatch, whose: dict[str, Any], sort: str | None
) -> None:
    ask = lambda s, of: requests.task_page(s, limit=20, status="open", template=of, sort=sort, **whose)  # noqa: E731
    lines = {of: await plans(inboxes, partial(ask, of=of)) for of in ("Rare", "Expense")}
    if inboxes.dialect == "sqlite":  # PostgreSQL knows by its statistics
        pages = {of: [line for line in its if "ix_approval_request_process" in line] for of, its in lines.items()}
        assert len(pages["Rare"]) > len(pages["Expense"]) == 1, "all ask how many there are"
    theirs = await inboxes.read(ask, of="Rare")
    assert len(theirs.items) == 20
    assert all(int(row.id[1:-2]) % 500 == 0 for row in theirs.items)
    monkeypatch.setattr(processes, "_FEW", -1)
    assert await inboxes.read(ask, of="Rare") == theirs


@pytest.mark.parametrize("filled", ["postgresql"], indirect=True)
async def test_statistics_take_few_titles_apart_for_their_index(filled: Database) -> None:
    def analyzed(connection: Connection) -> tuple[int, int]:
        connection.execute(text("SET LOCAL track_functions = 'all'"))
        of = text("SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions WHERE funcname = 'placet_parts'")
        with connection.begin_nested() as titles:  # others read these tables without them
            made = "INSERT INTO request_title (request_id, folded) SELECT id, 'order ' || id FROM approval_request"
            rows = connection.execute(text(made)).rowcount
            before = connection.scalar(of) or 0
            connection.execute(text("ANALYZE request_title"))
            calls = (connection.scalar(of) or 0) - before
            titles.rollback()
        return rows, int(calls)

    rows, calls = await filled.write(analyzed)
    assert rows > 3000
    assert 0 < calls <= 1500


@pytest.mark.parametrize("inboxes", ["postgresql"], indirect=True)
async def test_what_waits_is_counted_by_an_index_however_many_the_statistics_expect(inboxes: Database) -> None:
    asked: dict[str, Ask] = {
        "count_waiting": lambda s: waiting_pages.count_waiting(s, Visibility(person="few"), claimed=True, most=1001),
        "templates_waiting": lambda s: inbox.templates_waiting(s, Visibility(person="few")),
        "are_few": lambda s: processes.are_few(s, "Rare", pending=False),
    }

    def read_whole(connection: Connection) -> dict[str, int]:
        connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        seen = "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relname ~ '^approval_(task|request)$'"
        scans = {}
        for what, ask in asked.items():
            before = connection.scalar(text(seen)) or 0
            for _ in range(10):  # a plan for whatever is asked is made once the driver has prepared the statement
                ask(connection)
            scans[what] = (connection.scalar(text(seen)) or 0) - before
        return scans

    assert await inboxes.read(read_whole) == dict.fromkeys(asked, 0)


@pytest.mark.parametrize("sort", ["due", "amount"])
async def test_pages_in_an_order_hold_each_task_once_with_those_without_a_value_last(
    inboxes: Database, sort: str
) -> None:
    found: list[Any] = []
    cursor_ = None
    for _ in range(MANY // 500 + 1):
        page = await inboxes.read(
            requests.task_page, limit=500, waits_for=BOSS, status="open", sort=sort, cursor=cursor_
        )
        found += page.items
        cursor_ = page.next_cursor
    assert cursor_ is None
    assert len({row.id for row in found}) == len(found) == MANY + 1
    valued = [row for row in found if int(row.id[1:-2]) % 2 == 0]
    assert found[: len(valued)] == valued
    numbers = [int(row.id[1:-2]) for row in valued]
    assert numbers == sorted(numbers, reverse=True)


JUDGED = 10_000  # executions, breaches and suggestions
PROCESSES = 40
SLA = WorkflowSla(
    id="sla-1",
    name="Within a day",
    template="Expense 1",
    target_duration_seconds=3600,
    critical_threshold_seconds=7200,
    slo_window_hours=24,
    slo_target_percentage=99,
    since=NOW - timedelta(days=90),
    judged_until=NOW,
    created_by="desi",
    created_at=NOW,
    updated_by="desi",
    updated_at=NOW,
)
STAGE_SLA = SLA.model_copy(update={"id": "sla-2", "stage": "Manager"})
DEEP = cursor.write(NOW - timedelta(minutes=8 * 9_000), "b9000")


def _fill_insight(connection: Connection) -> None:
    """Write what SLAs have judged for two months, and the suggestions of years."""
    numbers = range(JUDGED)
    at = {n: NOW - timedelta(minutes=8 * n) for n in numbers}
    for sla in (SLA, STAGE_SLA):
        definitions.add(connection, sla.model_copy())
    of: dict[str, Any] = {"template_id": "t1", "version": "1.0.0", "title": "A", "input": {}, "requester": "rita"}
    of |= {"owner": "p0", "round": 1, "returned": False, "seq": 3, "status": "completed", "head": "h"}
    connection.execute(
        insert(ApprovalRequest),
        [
            of | {"id": f"r{n}", "template": f"Expense {n % PROCESSES}", "started_at": at[n], "ended_at": at[n]}
            for n in numbers
        ],
    )
    _fill_courses(connection, at, dict.fromkeys(numbers, False))
    began: dict[str, Any] = {"visit": 1, "end_seq": 3, "actual_seconds": 9e3, "warned": True, "head": "h"}
    connection.execute(
        insert(SlaExecution),
        [
            began
            | {"sla_id": f"sla-{n % PROCESSES}", "request_id": f"r{n}", "began_at": at[n], "ended_at": at[n]}
            | {"breached": True, "known_at": at[n]}
            for n in numbers
        ],
    )
    late: dict[str, Any] = {"sla_name": "Within a day", "visit": 1, "threshold_seconds": 3600, "reminders": 5}
    late |= {"target_duration_seconds": 3600, "actual_duration_seconds": 9e3, "severity": "warning"}
    connection.execute(
        insert(SlaBreach),
        [
            late
            | {"id": f"b{n}", "sla_id": f"sla-{n % PROCESSES}", "request_id": f"r{n}", "owner": f"p{n % PROCESSES}"}
            | {"template": f"Expense {n % PROCESSES}", "breached_at": at[n], "recorded_at": at[n]}
            | {"acknowledged_by": "p0", "acknowledged_at": None if n % 100 == 0 else at[n]}
            for n in numbers
        ],
    )
    made: dict[str, Any] = {"version": "1.0.0", "suggestion_type": "performance", "source": "rule", "subject": []}
    made |= {"title": "A", "description": "", "patch": [], "blueprint": {"name": "x" * 400}, "confidence": 0.9}
    made |= {"supporting_data": {"count": 1}, "findings": [], "stored_format": 2}
    connection.execute(
        insert(WorkflowSuggestion),
        [
            made
            | {"id": f"b{n}", "template": f"Expense {n % PROCESSES}", "subject_id": str(n), "created_at": at[n]}
            | {"updated_at": at[n], "status": "pending" if n % 100 == 0 else "rejected"}
            | {"reviewed_at": None if n % 100 == 0 else at[n]}
            for n in numbers
        ],
    )
    if connection.dialect.name == "postgresql":
        connection.execute(text("ANALYZE"))


IDS = [f"r{n}" for n in range(0, 400, 40)]
# What is asked of suggestions and SLAs, each with the columns that an index has to begin with to find it.
INSIGHT: dict[str, tuple[Ask, str]] = {
    "suggestions, newest first": (lambda s: suggestions.page(s, limit=50), "ix_workflow_suggestion_created"),
    "a late page of them": (lambda s: suggestions.page(s, limit=50, cursor=DEEP), "created_at"),
    "suggestions to be decided": (
        lambda s: suggestions.page(s, limit=50, equal={"status": "pending"}),
        "ix_workflow_suggestion_status",
    ),
    "suggestions for a process": (
        lambda s: suggestions.page(s, limit=50, equal={"template": "Expense 7"}),
        "ix_workflow_suggestion_template",
    ),
    "what was suggested about a subject": (lambda s: suggestions.latest(s, "Expense 7", "47"), "subject_id"),
    "how many wait": (lambda s: suggestions.pending_count(s, "Expense 0"), "ix_workflow_suggestion"),
    "the processes with suggestions": (suggestions.processes, "ix_workflow_suggestion"),
    "what a scorer learns from": (lambda s: suggestions.reviewed(s, limit=50), "ix_workflow_suggestion_reviewed"),
    "breaches, newest first": (lambda s: breaches.page(s, limit=50), "ix_sla_breach_at"),
    "a late page of breaches": (lambda s: breaches.page(s, limit=50, cursor=DEEP), "breached_at"),
    "unacknowledged breaches": (
        lambda s: breaches.page(s, limit=50, chosen=Chosen(acknowledged=False)),
        "ix_sla_breach_waits",
    ),
    "breaches of an SLA": (lambda s: breaches.page(s, limit=50, chosen=Chosen(sla_id="sla-7")), "ix_sla_breach_sla"),
    "breaches of a process": (
        lambda s: breaches.page(s, limit=50, chosen=Chosen(template="Expense 7")),
        "ix_sla_breach_template",
    ),
    "breaches of an owner": (
        lambda s: breaches.page(s, limit=50, chosen=Chosen(owners=frozenset({"p7", "user:p7"}))),
        "ix_sla_breach_owned",
    ),
    "breaches to be mailed again": (lambda s: breaches.any_to_remind(s, NOW), "ix_sla_breach_remind"),
    "breaches of requests": (lambda s: breaches.of_requests(s, "sla-0", IDS), "request_id"),
    "a window": (lambda s: definitions.counts(s, "sla-1", NOW - timedelta(days=1), NOW), "ix_sla_execution_known"),
    "the gauges": (lambda s: slo_gauges(s, NOW), "ix_sla_execution_known"),
    "the visits of requests, for costs": (lambda s: course_store._visits(s, IDS), "sqlite_autoindex_audit_entry"),
    "the decisions of requests, for costs": (lambda s: course_store._decided(s, IDS), "ix_approval_task_request"),
    "what requests held first": (lambda s: stored._revised(s, IDS), "sqlite_autoindex_audit_entry"),
    "entries of some kinds": (lambda s: list(entries_of_kinds(s, IDS, DECISIONS)), "sqlite_autoindex_audit_entry"),
    "the course of requests": (
        lambda s: list(executions.facts(s, IDS, kinds=DECISIONS)),
        "sqlite_autoindex_audit_entry",
    ),
    "what was judged of requests": (lambda s: executions.judged(s, "sla-0", IDS), "request_id"),
    "what an SLA has to look at": (
        lambda s: executions.to_look_at(s, SLA, NOW, since=NOW, stage_ends=("stage_settled",), limit=200),
        "sla_execution",
    ),
    "what an SLA of a stage has to look at": (
        lambda s: executions.to_look_at(s, STAGE_SLA, NOW, since=NOW, stage_ends=("stage_settled",), limit=200),
        "sla_execution",
    ),
    "the past that is mined": (
        lambda s: stored._add_page(
            s, History(), "Expense 7", since=NOW - timedelta(days=1), now=NOW, after=stored._NEWEST, machines={}
        ),
        "ix_approval_request",
    ),
}


async def test_suggestions_breaches_and_executions_are_found_by_indexes(database: Database) -> None:
    await database.write(_fill_insight)
    for what, (ask, index) in INSIGHT.items():
        lines = await plans(database, ask)
        assert scanned(database.dialect, lines) == [], (what, lines)
        if database.dialect == "sqlite":  # PostgreSQL chooses among indexes by its statistics
            assert any(index in line for line in lines), (what, lines)
    # A late page begins where the one before ended, and does not read all that is newer.
    began = "(breached_at<?)" if database.dialect == "sqlite" else "Index Cond: (breached_at <="
    lines = await plans(database, INSIGHT["a late page of breaches"][0])
    assert any(began in line for line in lines), lines
    for page in (breaches.page, suggestions.page):
        seen, after = [], None
        while True:
            found: Any = await database.read(page, limit=500, cursor=after)
            seen += [row.id for row in found.items]
            after = found.next_cursor
            if after is None:
                break
        assert seen == [f"b{n}" for n in range(JUDGED)]
