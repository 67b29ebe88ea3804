"""The chaos checker finds what a run may leave behind: a lost update, a doubled mail, a broken chain, and others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from placet.audit.chain import Entry, first_bad, genesis, link
from tests.chaos.checker import Found, StoredNotice, StoredRequest, violations
from tests.chaos.clients import Call
from tests.chaos.plan import LINKS, PROCESSES, plan_of
from tests.chaos.post import Taken
from tests.faults.promises import message_id

ID = "r"
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY = f"{ID}:2:task_opened:bob"


def chain(*kinds: str) -> tuple[Entry, ...]:
    """Make the entries of a request, each of whose decisions and comments carries the key `k`."""
    entries: list[Entry] = []
    for seq, kind in enumerate(kinds, 1):
        entries.append(
            link(
                entries[-1].hash if entries else genesis(ID),
                seq=seq,
                at=AT + timedelta(seconds=seq),
                kind=kind,
                actor="user:bob",
                stage=None,
                task_id="r.1" if kind in {"decided", "task_opened", "escalated"} else None,
                detail={"decided": {"decision": "approve", "comment": "dkx"}, "commented": {"text": "ckx"}}.get(
                    kind, {"level": 1} if kind == "escalated" else {}
                ),
            )
        )
    return tuple(entries)


ENTRIES = chain("started", "task_opened", "commented", "decided", "completed")
DONE = {"id": ID, "status": "completed", "outcome": "approved"}


def call(kind: str, key: str, status: int = 200) -> Call:
    task = "r.1" if kind == "decide" else None
    body = {"decision": "approve"} if kind == "decide" else {"title": "Request skx"} if kind == "start" else {}
    made = Call(kind, key, "bob", None if kind == "start" else ID, body, "path", task_id=task)
    made.told.append((1.0, status, DONE))
    return made


def stored(entries: tuple[Entry, ...] = ENTRIES) -> StoredRequest:
    bad = first_bad(genesis(ID), entries)
    return StoredRequest(
        id=ID,
        title="Request skx",
        status="completed",
        outcome="approved",
        head=entries[-1].hash,
        engine_head=entries[-1].hash,
        entries=entries,
        bad=None if bad is None else f"entry {bad}",
    )


def mail(at: float = 1.0, *, about: str | None = None) -> Taken:
    return Taken(id=about or message_id(KEY, ENTRIES[1].hash), request_id=ID, event="task_opened", person="bob", at=at)


NOTICE = StoredNotice(key=KEY, request_id=ID, seq=2, hash=ENTRIES[1].hash, status="sent")
CALLS = (call("start", "skx", 201), call("decide", "dkx"), call("comment", "ckx"))
HELD = Found(
    calls=CALLS,
    requests=[stored()],
    notices=[NOTICE],
    taken=[mail()],
    excused=lambda _mail, _before: False,
    ended={ID: ("completed", "approved")},
)


def test_nothing_is_found_where_everything_holds() -> None:
    assert violations(HELD) == []


def _without(kind: str) -> tuple[Entry, ...]:
    return chain(*(entry.kind for entry in ENTRIES if entry.kind != kind))


def _edited(entries: Sequence[Entry], seq: int) -> tuple[Entry, ...]:
    return tuple(replace(entry, actor="user:mallory") if entry.seq == seq else entry for entry in entries)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda: {"requests": [stored(_without("commented"))], "notices": [], "taken": []}, "is not in history"),
        (lambda: {"requests": []}, "which is lost"),
        (lambda: {"requests": [stored(), replace(stored(), id="other")]}, "2 requests are there"),
        (lambda: {"calls": CALLS[1:]}, "nobody asked for"),
        (lambda: {"taken": [mail(1.0), mail(2.0)]}, "again, and nothing had gone wrong"),
        (lambda: {"taken": [mail(), mail(about="another")]}, "history does not hold it"),
        (lambda: {"taken": []}, "nobody got it"),
        (lambda: {"notices": [replace(NOTICE, status="held")]}, "is held at the end"),
        (lambda: {"notices": [replace(NOTICE, hash="another")]}, "about an entry that history does not hold"),
        (lambda: {"requests": [stored(_edited(ENTRIES, 4))]}, "does not verify: entry 4"),
        (lambda: {"requests": [replace(stored(), engine_head="another")]}, "the engine's history has the head"),
        (lambda: {"requests": [replace(stored(), status="pending")]}, "is still open"),
        (
            lambda: {"requests": [stored(chain("started", "task_opened", "escalated", "escalated", "decided"))]},
            "has escalated 2 times to level 1",
        ),
        (
            lambda: {"requests": [stored(chain("started", "task_opened", "commented", "decided", "decided"))]},
            "happened 2 times",
        ),
        (
            lambda: {"calls": [call("decide", "dzx", 409)], "requests": [stored(_without("decided"))]},
            "it is not",
        ),
        (lambda: {"calls": [CALLS[0], CALLS[1], call("comment", "ckx", 409)]}, "was refused, and happened"),
        (lambda: {"calls": [*CALLS, call("decide", "dkx")]}, "each was acknowledged"),
        (lambda: {"ended": {ID: ("completed", "rejected")}}, "somebody read"),
    ],
)
def test_what_does_not_hold_is_found(change: Callable[[], dict[str, object]], says: str) -> None:
    found = violations(replace(HELD, **change()))
    assert any(says in one for one in found), found


def test_a_mail_that_goes_out_again_after_its_sender_had_died_is_no_violation() -> None:
    assert violations(replace(HELD, taken=[mail(1.0), mail(2.0)], excused=lambda _mail, _before: True)) == []


def test_a_seed_repeats_the_plan_of_faults_and_every_kind_is_in_it() -> None:
    assert plan_of(7, 40) == plan_of(7, 40)
    assert plan_of(7, 40) != plan_of(8, 40)
    assert {fault.kind for fault in plan_of(7, 40)} == {fault.kind for fault in plan_of(1, 1400)}
    many = plan_of(1, 1600)
    assert len(many) >= 500
    assert {fault.target for fault in many} >= {*PROCESSES, *LINKS}
