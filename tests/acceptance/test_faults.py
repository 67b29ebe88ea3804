"""What breaks in the middle of an escalation or of a mail: nothing is lost or doubled, and the audit is in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tests.approvals import EXPENSE
from tests.mailbox import FaultyMailbox
from tests.postgresql import Server
from tests.processes import BIN, Installation, Parts, installation
from tests.waiting import PATIENCE, poll

T = TypeVar("T")
END_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
STAMPEDE = 1000
# Two cores start some 25 requests a second with so many in flight, and fewer with more.
IN_FLIGHT = 16
# So many are started first, to see how long the thousand may take on this machine.
SAMPLE = 100
# Longer than a writer waits for SQLite (15 s), than one attempt to record may take (30 s), and than most restarts.
AWAY_SECONDS = 60.0
MAIL = {
    "PLACET_SMTP_TLS": "none",
    "PLACET_NOTIFY_RETRY_FIRST": "0.2",
    "PLACET_NOTIFY_RETRY_MOST": "0.5",
    "PLACET_NOTIFY_POLL": "0.2",
    # A mail that is held up is not sent again, however busy the machine is.
    "PLACET_SMTP_TIMEOUT": "60",
    "PLACET_NOTIFY_LEASE": "900",
}


def escalation(seconds: float, *, again: float = 24 * 3600, name: str = EXPENSE["name"]) -> dict[str, Any]:
    """Return a process whose one task escalates after so many seconds, and `again` after each level."""
    step = EXPENSE["process_steps"][0] | {"sla_hours": seconds / 3600, "reminders": None}
    settings = {"warn_before_hours": 0, "re_escalate_after_hours": again / 3600}
    return EXPENSE | {"name": name, "process_steps": [step], "settings": settings}


def morning(opens: datetime) -> dict[str, Any]:
    """Return a process whose working time begins at a whole minute: whatever was asked before is due a second later."""
    step = EXPENSE["process_steps"][0] | {"sla_hours": 1 / 3600, "reminders": None}
    hours = {f"{opens:%a}".lower(): [f"{opens:%H:%M}-24:00"]}
    return EXPENSE | {"process_steps": [step], "settings": {"warn_before_hours": 0, "calendar": {"hours": hours}}}


class Faulty(Parts):
    """The parts, and what these tests look at."""

    def approve(self, request: dict[str, Any]) -> dict[str, Any]:
        """Approve a request's first task."""
        task = request["tasks"][0]["id"]
        return dict(self.caller("bob")("POST", f"tasks/{task}/decide/", {"decision": "approve"}))

    def wrong_clock(self, offset: str) -> None:
        """Run a worker whose clock is wrong."""
        self.worker = self.place.spawn(
            "worker", program=("faketime", "-f", offset, BIN), FAKETIME_DONT_FAKE_MONOTONIC="1", **self.there
        )

    def escalations(self, request_id: str) -> list[dict[str, Any]]:
        """List the escalations on record."""
        return [item for item in self.timeline(request_id) if item["kind"] == "escalated"]

    def in_order(self, request_id: str) -> list[str]:
        """Return the kinds of a request's chain, which has to be whole, rising in time, and verified."""
        self.verified(request_id)
        query = "SELECT seq, at, kind FROM audit_entry WHERE request_id = :sought ORDER BY seq"
        entries = self.place.rows(query, sought=request_id)
        assert [seq for seq, _, _ in entries] == list(range(1, len(entries) + 1))
        assert [at for _, at, _ in entries] == sorted(at for _, at, _ in entries)
        return [kind for _, _, kind in entries]

    def messages(self, request_id: str) -> list[dict[str, Any]]:
        """List what became of a request's notices."""
        return list(self.caller("olivia")("GET", f"requests/{request_id}/notifications/")["items"])

    def failures(self) -> float:
        """Read the failure counter."""
        return self.metric("workflow_escalation_failures_total")

    def metric(self, name: str) -> float:
        """Read a metric as Prometheus does."""
        text = httpx.get(f"{self.api_url}/api/v1/metrics/prometheus", trust_env=False, timeout=PATIENCE).text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


class Post:
    """A mail server on a thread of its own."""

    def __init__(self) -> None:
        self.box = FaultyMailbox()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.do(self.box.start())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the mail server do something."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def close(self) -> None:
        """End it."""
        self.do(self.box.release())
        self.do(self.box.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "home") as there:
        yield there


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    opened = Post()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """Run one installation for all tests of escalations that replace nothing but its worker."""
    with installation(tmp_path_factory.mktemp("parts") / "home") as there:
        yield Faulty(there)


@pytest.fixture
def parts(shared: Faulty) -> Faulty:
    """Give that installation with every part running."""
    shared.mend()
    return shared


@pytest.fixture(scope="module")
def mailing(post: Post, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """Run one installation for all tests about mail, which kill nothing."""
    server = {"PLACET_SMTP_HOST": post.box.host, "PLACET_SMTP_PORT": str(post.box.port)}
    with installation(tmp_path_factory.mktemp("mail") / "home", **MAIL, **server) as there:
        parts = Faulty(there)
        parts.publish(EXPENSE)
        yield parts


def test_worker_killed_between_timer_and_escalation_escalates_once_a_level(parts: Faulty) -> None:
    parts.publish(escalation(8, again=3, name="Escalated twice"))
    request = parts.ask("Escalated twice")
    parts.verified(request["id"])  # history holds the opening too, so that nothing but the escalation can be lost
    parts.worker.kill()
    parts.crashing_worker(on="escalated")  # it is stored, and history does not hold it yet
    parts.worker.wait()
    parts.restart_worker()
    ended = poll(lambda: parts.timeline(request["id"])[-1]["kind"] == "escalation_ended", what="the escalation's end")
    assert ended
    assert parts.in_order(request["id"]) == [
        "started",
        "task_opened",
        "sla_breached",
        "escalated",
        "escalated",
        "escalation_ended",
    ]
    levels = [(e["detail"]["level"], e["detail"]["after"]["assignee"]) for e in parts.escalations(request["id"])]
    assert levels == [(1, "user:dora"), (2, "user:carl")]
    # What the dying worker stored is what the next attempt computes, or is kept apart where history has another time.
    query = "SELECT kind FROM audit_superseded WHERE request_id = :sought ORDER BY seq"
    lost = [kind for (kind,) in parts.place.rows(query, sought=request["id"])]
    assert lost in ([], ["escalated"], ["sla_breached", "escalated"])
    parts.verified(request["id"])


def test_while_the_mail_server_is_down_processes_go_on_and_mails_arrive_afterwards(mailing: Faulty, post: Post) -> None:
    post.do(post.box.down())
    decided, waiting = mailing.ask(), mailing.ask()
    mailing.approve(decided)

    def tried() -> bool:
        return any(
            m["attempts"] >= 2 and m["status"] == "pending" and m["error"] for m in mailing.messages(waiting["id"])
        )

    poll(tried, what="retries that are to be seen")
    post.do(post.box.up())
    poll(lambda: _sent(mailing, waiting["id"], "bob") and _sent(mailing, decided["id"], "ann"), what="all mails")
    mails = [mail.message_id for mail in post.box.mails()]
    assert len(mails) == len(set(mails)), "each once"
    assert [m["person"] for m in mailing.messages(waiting["id"])] == ["user:bob"]
    mailing.verified(decided["id"])


def test_a_refused_address_is_on_record_counted_and_can_be_sent_again(mailing: Faulty, post: Post) -> None:
    before = mailing.failures()
    post.box.refused["bob@example.com"] = "550 No such user"
    request = mailing.ask()

    def failed() -> list[dict[str, Any]]:
        return [item for item in mailing.timeline(request["id"]) if item["kind"] == "notification_failed"]

    (entry,) = poll(failed, what="the failure's entry")
    post.box.refused.clear()
    assert "550" in json.dumps(entry["detail"])
    assert mailing.failures() == before + 1
    (message,) = mailing.messages(request["id"])
    assert message["status"] == "failed"
    assert mailing.caller("olivia")("POST", f"notifications/{message['key']}/resend/")["queued"] == 1
    poll(lambda: _sent(mailing, request["id"], "bob"), what="the mail")
    assert mailing.failures() == before + 1, "what has failed has failed"
    mailing.verified(request["id"])


def test_a_slow_mail_server_does_not_delay_decisions(mailing: Faulty, post: Post) -> None:
    tried = len(post.box.tried)
    post.do(post.box.hold())
    request = mailing.ask()
    poll(lambda: len(post.box.tried) > tried, what="a mail on its way")
    arrived = len(post.box.mails())
    assert mailing.approve(request)["outcome"] == "approved"
    assert len(post.box.mails()) == arrived, "the mail is still under way"
    post.do(post.box.release())
    poll(lambda: _sent(mailing, request["id"], "ann"), what="the mails, after all")


def test_a_database_that_is_locked_for_longer_than_anybody_waits_loses_nothing(place: Installation) -> None:
    @contextlib.contextmanager
    def locked() -> Iterator[None]:
        with contextlib.closing(
            sqlite3.connect(place.home / "placet.db", timeout=PATIENCE, isolation_level=None)
        ) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("COMMIT")

    _loses_nothing(place, locked)


def test_a_database_server_that_is_gone_for_a_minute_loses_nothing(
    postgresql: Server, postgresql_url: str, tmp_path: Path
) -> None:
    name = postgresql_url.rpartition("/")[2]

    @contextlib.contextmanager
    def gone() -> Iterator[None]:
        postgresql.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", END_CONNECTIONS.format(name=name))
        yield
        postgresql.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    with installation(tmp_path / "home", PLACET_DATABASE_URL=postgresql_url) as place:
        _loses_nothing(place, gone)


def _loses_nothing(place: Installation, away: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
    """Decide, and let something escalate, while the database is away; both are on record once afterwards."""
    parts = Faulty(place)
    parts.publish(EXPENSE | {"name": "Unhurried approval"})
    parts.publish(escalation(20))
    decided, escalating = parts.ask("Unhurried approval"), parts.ask()
    task = decided["tasks"][0]["id"]
    statuses = []
    with away():
        end = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < end:
            statuses.append(_try_to_decide(parts, task))
    assert set(statuses) == {503}
    poll(lambda: _try_to_decide(parts, task) == 200, what="the one answer")
    poll(lambda: parts.escalations(escalating["id"]), what="the escalation that fell due meanwhile")
    assert parts.in_order(escalating["id"]) == ["started", "task_opened", "sla_breached", "escalated"]
    assert Counter(parts.in_order(decided["id"]))["decided"] == 1


@pytest.mark.parametrize("offset", ["+1h", "-1h"])
def test_a_worker_whose_clock_is_wrong_escalates_at_the_right_moment(parts: Faulty, offset: str) -> None:
    parts.publish(escalation(5, name=f"By a clock that is wrong by {offset}"))
    parts.worker.kill()
    parts.wrong_clock(offset)
    request = parts.ask(f"By a clock that is wrong by {offset}")
    due = datetime.fromisoformat(request["tasks"][0]["due_at"])
    (escalated,) = poll(lambda: parts.escalations(request["id"]), what="the escalation")
    seen = datetime.now(UTC)
    assert due <= datetime.fromisoformat(escalated["at"]) <= seen
    assert seen - due < timedelta(minutes=30), "by the wrong clock it would be an hour"
    assert parts.in_order(request["id"]) == ["started", "task_opened", "sla_breached", "escalated"]


@pytest.mark.timeout(2400)
def test_a_thousand_that_fall_due_at_one_instant_of_an_outage_escalate_once_each(tmp_path: Path) -> None:
    # They have to be there before the instant. Where the machine got slower than its sample, it is given more time.
    for attempt, margin in enumerate((1.5, 4.0, 10.0)):
        post = Post()
        server = {"PLACET_SMTP_HOST": post.box.host, "PLACET_SMTP_PORT": str(post.box.port)}
        with contextlib.closing(post), installation(tmp_path / f"home{attempt}", **MAIL, **server) as place:
            parts = Faulty(place)
            for person in ("ann", "bob", "dora", "olivia"):  # so that the mails are those that are counted
                muted = {"muted": ["task_opened", "sla_breached", "escalated_from"]}
                parts.caller(person)("PUT", "people/me/preferences/", muted)
            if (stampede := _in_time(parts, margin)) is not None:
                _escalate_once_each(parts, post, *stampede)
                return
    raise AssertionError("this machine did not start a thousand requests in ten times as long as its sample foretold")


def _in_time(parts: Faulty, margin: float) -> tuple[datetime, list[dict[str, Any]]] | None:
    """Start a thousand that fall due at one instant, and return both; None where the instant came first."""
    parts.publish(EXPENSE | {"name": "Unhurried approval"})
    began = datetime.now(UTC)
    _ask_for_many(parts, "Unhurried approval", SAMPLE)
    took = datetime.now(UTC) - began
    opens = _whole_minute_after(datetime.now(UTC) + took * (margin * STAMPEDE / SAMPLE))
    parts.publish(morning(opens))
    requests = _ask_for_many(parts, EXPENSE["name"], STAMPEDE)
    if datetime.now(UTC) > opens:
        return None
    parts.worker.kill()
    return (opens + timedelta(seconds=1), requests) if datetime.now(UTC) < opens else None


def _escalate_once_each(parts: Faulty, post: Post, due: datetime, requests: list[dict[str, Any]]) -> None:
    place = parts.place
    assert {datetime.fromisoformat(request["tasks"][0]["due_at"]) for request in requests} == {due}
    poll(lambda: datetime.now(UTC) > due, seconds=900, what="the deadline of all of them")
    parts.restart_worker()
    poll(lambda: len(_escalated(place)) >= STAMPEDE, seconds=900, what="all escalations")
    assert Counter(_escalated(place)) == Counter(request["id"] for request in requests)
    report = json.loads(place.run("verify", "--json", **parts.there))
    held = [one["ok"] and one["engine_head"] == one["head"] for one in report["requests"]]
    assert held == [True] * (SAMPLE + STAMPEDE)
    assert _courses(place) == {
        ("started", "task_opened"): SAMPLE,
        ("started", "task_opened", "sla_breached", "escalated"): STAMPEDE,
    }
    poll(lambda: len(_told(post)) >= STAMPEDE, seconds=900, what="a mail about each escalation")
    assert len(_told(post)) == len(set(_told(post))) == STAMPEDE, "each once"
    assert parts.metric("workflow_tasks_escalated_total") == STAMPEDE
    assert parts.metric("workflow_escalation_duration_seconds_count") == STAMPEDE


def _ask_for_many(parts: Faulty, template: str, number: int) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        return list(pool.map(lambda _: parts.ask(template), range(number)))


def _sent(parts: Faulty, request_id: str, *people: str) -> bool:
    """Whether each of these people has been told of a request, and nothing about it is left to send.

    What asks for a decision that was made before it could be sent is dropped.
    """
    messages = parts.messages(request_id)
    told = {m["person"] for m in messages if m["status"] == "sent"}
    left = {m["status"] for m in messages} - {"sent", "dropped"}
    return told >= {f"user:{person}" for person in people} and not left


def _try_to_decide(parts: Faulty, task: str) -> int:
    return parts.caller("bob").send("POST", f"tasks/{task}/decide/", {"decision": "approve"}, key="k").status_code


def _escalated(place: Installation) -> list[str]:
    return [row[0] for row in place.rows("SELECT request_id FROM audit_entry WHERE kind = 'escalated'")]


def _courses(place: Installation) -> Counter[tuple[str, ...]]:
    """Count the requests by what happened to them, in the order of their chains, whose times have to rise."""
    chains: dict[str, list[Any]] = {}
    for row in place.rows("SELECT request_id, seq, at, kind FROM audit_entry ORDER BY request_id, seq"):
        chains.setdefault(row.request_id, []).append(row)
    for chain in chains.values():
        assert [row.seq for row in chain] == list(range(1, len(chain) + 1))
        assert [row.at for row in chain] == sorted(row.at for row in chain)
    return Counter(tuple(row.kind for row in chain) for chain in chains.values())


def _told(post: Post) -> list[str]:
    return [mail.message_id for mail in post.box.mails() if mail.subject.startswith("Escalated to you")]


def _whole_minute_after(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
