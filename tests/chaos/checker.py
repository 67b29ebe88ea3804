"""What must hold after a run: read from what callers were told, the rows, the engine, and the mails that were taken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from placet.audit.chain import Entry
from tests.chaos.clients import Call
from tests.chaos.post import Taken
from tests.faults.promises import CLOSING, effects_of, escalated_again, message_id

_EVENTS = {"decide": "Decide", "comment": "Comment", "resubmit": "Resubmit", "withdraw": "Withdraw"}
MOST = 40  # findings of one kind that are listed


@dataclass(frozen=True, kw_only=True)
class StoredRequest:
    """A request as the store has it. `bad` says what does not verify; `engine_head` is None where nobody asked."""

    id: str
    title: str
    status: str
    outcome: str | None
    head: str | None
    entries: tuple[Entry, ...]
    engine_head: str | None = None
    bad: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredNotice:
    """A notification as the store has it, by its key REQUEST:SEQ:EVENT:PERSON."""

    key: str
    request_id: str
    seq: int
    hash: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that a run left behind. `excused(mail, before)` tells whether a mail may come again that came before then."""

    calls: Sequence[Call]
    requests: Sequence[StoredRequest]
    notices: Sequence[StoredNotice]
    taken: Sequence[Taken]
    excused: Callable[[Taken, float], bool]
    ended: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)


def violations(found: Found) -> list[str]:
    """List everything that was promised and does not hold."""
    by_id = {request.id: request for request in found.requests}
    said: list[str] = []
    for part in (
        _chains(found.requests),
        _starts(found.calls, found.requests, by_id),
        _calls(found.calls, by_id),
        _ends(found.ended, by_id),
        _notices(found.notices, by_id, {mail.id for mail in found.taken}),
        _mails(found, by_id),
    ):
        said += list(part)[:MOST]
    return said


def _chains(requests: Iterable[StoredRequest]) -> Iterable[str]:
    for one in requests:
        if one.bad is not None:
            yield f"{one.id} does not verify: {one.bad}"
        if one.engine_head is not None and one.engine_head != one.head:
            yield f"{one.id}: the engine's history has the head {one.engine_head}, the store {one.head}"
        if [e.at for e in one.entries] != sorted(e.at for e in one.entries):
            yield f"{one.id}: the times of its entries do not rise"
        if (again := escalated_again(one.entries)) is not None:
            yield f"{one.id}: {again}"
        if one.status == "pending":
            yield f"{one.id} is still open"


def _starts(
    calls: Iterable[Call], requests: Sequence[StoredRequest], by_id: Mapping[str, StoredRequest]
) -> Iterable[str]:
    titles = Counter(request.title for request in requests)
    asked = set()
    for call in calls:
        if call.kind != "start":
            continue
        title = call.body["title"]
        asked.add(title)
        if titles[title] > 1:
            yield f"{call.key} was asked for once, and {titles[title]} requests are there"
        for _, status, answer in call.told:
            if status == 201 and answer["id"] not in by_id:
                yield f"{call.key} was acknowledged as {answer['id']}, which is lost"
    for title in titles.keys() - asked:
        yield f"nobody asked for {title!r}"


def _calls(calls: Iterable[Call], by_id: Mapping[str, StoredRequest]) -> Iterable[str]:
    for call in calls:
        if call.kind == "start" or call.request_id not in by_id:
            continue
        entries = by_id[call.request_id].entries
        effects = effects_of(_EVENTS[call.kind], call.key, entries)
        if len(effects) > 1:
            yield f"{call.kind} {call.key} happened {len(effects)} times"
        if call.acknowledged and not effects:
            yield f"{call.kind} {call.key} was acknowledged, and is not in history"
        if call.refused and effects:
            yield f"{call.kind} {call.key} was refused, and happened"
        if not call.told:
            yield f"{call.kind} {call.key} was never answered"
        if call.kind == "decide" and call.acknowledged and effects:
            detail = effects[0].detail
            if effects[0].task_id != call.task_id or detail.get("decision", "request_changes") != call.body["decision"]:
                yield f"{call.key} decided {call.body['decision']} on {call.task_id}; history says {effects[0].detail}"
        conflict = any(status == 409 for _, status, _ in call.told)
        if (
            call.kind == "decide"
            and conflict
            and not any(e.kind in CLOSING and e.task_id == call.task_id for e in entries)
        ):
            yield f"{call.key} was refused since {call.task_id} is decided, and it is not"
    yield from _twice_decided(calls)


def _twice_decided(calls: Iterable[Call]) -> Iterable[str]:
    """Of several decisions on one task at most one was acknowledged."""
    told: defaultdict[str, list[str]] = defaultdict(list)
    for call in calls:
        if call.kind == "decide" and call.acknowledged and call.task_id is not None:
            told[call.task_id].append(call.key)
    for task_id, keys in told.items():
        if len(keys) > 1:
            yield f"{task_id} was decided by {', '.join(keys)}: each was acknowledged"


def _ends(ended: Mapping[str, tuple[str, str | None]], by_id: Mapping[str, StoredRequest]) -> Iterable[str]:
    for request_id, how in ended.items():
        one = by_id.get(request_id)
        if one is not None and (one.status, one.outcome) != how:
            yield f"somebody read that {request_id} is {how}; the store says {(one.status, one.outcome)}"


def _notices(notices: Iterable[StoredNotice], by_id: Mapping[str, StoredRequest], sent: set[str]) -> Iterable[str]:
    for notice in notices:
        entries = by_id[notice.request_id].entries if notice.request_id in by_id else ()
        if len(entries) < notice.seq or entries[notice.seq - 1].hash != notice.hash:
            yield f"the notification {notice.key} is about an entry that history does not hold"
        if notice.status not in {"sent", "dropped"}:
            yield f"the notification {notice.key} is {notice.status} at the end"
        if notice.status == "sent" and message_id(notice.key, notice.hash) not in sent:
            yield f"the notification {notice.key} counts as sent, and nobody got it"


def _mails(found: Found, by_id: Mapping[str, StoredRequest]) -> Iterable[str]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    held: dict[str, set[str]] = {}
    for mail in found.taken:
        key = f"{mail.request_id}/{mail.event}/{mail.person}"
        if key not in held:
            entries = by_id[mail.request_id].entries if mail.request_id in by_id else ()
            held[key] = {message_id(f"{mail.request_id}:{e.seq}:{mail.event}:{mail.person}", e.hash) for e in entries}
        if mail.id not in held[key]:
            yield f"{mail.person} was told {mail.event} of {mail.request_id}: history does not hold it"
        before = times[mail.id]
        if before and not found.excused(mail, before[-1]):
            yield f"{mail.person} was told {mail.event} of {mail.request_id} again, and nothing had gone wrong"
        before.append(mail.at)


def doubled(taken: Iterable[Taken]) -> int:
    """Count the mails that arrived more than once, for whatever reason."""
    return sum(times - 1 for times in Counter(mail.id for mail in taken).values())


def gists(calls: Iterable[Call]) -> list[dict[str, Any]]:
    """Return what was told, as it is kept beside the logs."""
    return [
        {
            "kind": c.kind,
            "key": c.key,
            "request": c.request_id,
            "task": c.task_id,
            "told": c.told,
            "again": c.unanswered,
        }
        for c in calls
    ]
