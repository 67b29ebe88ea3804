"""What `record` writes: once, in one piece, and as history has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import SQLModel, col

from placet.engine.recording import Recording
from placet.engine.state import ActionClaim
from placet.errors import Conflict
from storage.database import Database
from storage.queries.notifications.delivery_queue import PLAN_AGAIN_AFTER, plannable
from storage.queries.requests import requests, timelines
from storage.recording import record
from storage.recording.new_part import Overtaken
from storage.recording.outbox import Confirmation, confirm_all
from storage.recording.verify import verify_rows
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, AuditSuperseded, Outbox, Participant
from storage.tables.notifications import NotificationMessage
from tests.integration.recordings import NOW, Story, write
from tests.stored import reading, writing

STORED = (ApprovalRequest, AuditEntry, AuditSuperseded, ApprovalTask, Participant, Outbox)


async def _write(database: Database, *recordings: Recording) -> None:
    for one in recordings:
        with writing(database) as session:
            write(session, one, NOW)


async def _rows(database: Database, model: type[SQLModel]) -> list[dict[str, Any]]:
    with reading(database) as session:
        found = [row.model_dump() for row in session.scalars(select(model))]
    return sorted(found, key=lambda row: (row.get("seq", 0), repr(row)))


async def _everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    return {model.__name__: await _rows(database, model) for model in STORED}


async def _verify(database: Database, request_id: str = "r1") -> bool:
    with reading(database) as session:
        return verify_rows(session.connection(), request_id)["ok"]


async def test_a_request_reads_as_it_was_recorded(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    decided = opened.decide()
    await _write(database, opened.recording(), decided.recording())

    with reading(database) as session:
        stored = requests.read(session.connection(), "r1")
        timeline = timelines.of_request(session.connection(), "r1")
    request = stored.request
    assert (request.status, request.outcome, request.seq, request.head) == ("completed", "approved", 4, decided.head)
    assert (request.owner, request.input) == ("olivia", {"amount": "12.50", "note": "Grüße"})
    assert [(t.id, t.assignee, t.status, t.decision) for t in stored.tasks] == [("r1.1", "bob", "decided", "approve")]
    assert [(h.seq, h.kind) for h in timeline] == [(1, "started"), (2, "task_opened"), (3, "decided"), (4, "completed")]
    assert timeline[0].at == NOW
    assert timeline[0].detail == {"requester": "user:rita", "title": "Grüße 😀"}
    assert await _verify(database)


async def test_the_same_recording_again_changes_nothing(database: Database) -> None:
    story = Story(request_id="r1").open("bob")
    await _write(database, story.recording())
    before = await _everything(database)
    await _write(database, story.recording())
    assert await _everything(database) == before


async def test_an_older_recording_again_does_not_take_the_request_back(database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carol")
    one = opened.decide(1, end=False)
    two = one.decide(2)
    await _write(database, opened.recording(), one.recording(), two.recording())
    before = await _everything(database)
    await _write(database, one.recording(), opened.recording())
    assert await _everything(database) == before


async def test_history_wins_over_rows_that_it_never_held(database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carol")
    lost = opened.decide(1, "reject")  # an update whose workflow task was lost after the commit
    also_lost = lost.comment("too bad")
    held = opened.moved(timedelta(seconds=30)).decide(2, "approve", end=False)
    await _write(database, opened.recording(), lost.recording(), also_lost.recording())
    await _write(database, held.recording(in_history=True))

    everything = await _everything(database)
    assert [row["hash"] for row in everything["AuditEntry"]] == [e.hash for e in held.entries]
    superseded = everything["AuditSuperseded"]
    assert [row["hash"] for row in superseded] == [e.hash for e in also_lost.entries[opened.seq :]]
    with reading(database) as session:
        stored = requests.read(session.connection(), "r1")
    assert (stored.request.status, stored.request.head) == ("pending", held.head)
    assert [(t.status, t.decision) for t in stored.tasks] == [("open", None), ("decided", "approve")]
    # The requester is not told of a rejection that never was.
    assert {row["event"] for row in everything["Outbox"]} == {"task_opened"}
    assert await _verify(database)
    # What history wins once, it keeps: the retry of its recording is a repeat.
    await _write(database, held.recording(in_history=True))
    assert await _everything(database) == everything


async def test_people_are_asked_nevertheless_where_the_decision_never_was(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    lost = opened.decide(1)
    held = opened.moved(timedelta(seconds=30)).comment("which never were")
    await _write(database, opened.recording())
    with writing(database) as session:
        session.execute(update(Outbox).values(next_attempt_at=NOW + PLAN_AGAIN_AFTER))  # as planning leaves it
    await _write(database, lost.recording())
    asked = {row["key"]: row["status"] for row in await _rows(database, Outbox) if row["event"] == "task_opened"}
    assert asked == {"r1:2:task_opened:bob": "dropped"}
    with writing(database) as session:
        [row] = [one for one in session.scalars(select(Outbox)) if one.event == "task_opened"]
        message = NotificationMessage(
            key=row.key,
            channel="mail",
            request_id="r1",
            seq=row.seq,
            hash=row.hash,
            event=row.event,
            person="bob",
            status="dropped",
            created_at=NOW,
            next_attempt_at=NOW,
        )
        session.add(message)

    await _write(database, held.recording(in_history=True))

    asked = {row["key"]: row["status"] for row in await _rows(database, Outbox) if row["event"] == "task_opened"}
    assert asked == {"r1:2:task_opened:bob": "held"}
    assert await _rows(database, NotificationMessage) == [], "it is planned again"
    with writing(database) as session:
        confirm_all(session.connection(), [Confirmation(request_id="r1", seq=held.seq, head=held.head)])
        planned = plannable(session.connection(), held.at, limit=10)
    assert "r1:2:task_opened:bob" in {row.key for row in planned}, "at once, and not two weeks later"


async def test_tasks_and_people_that_never_were_are_gone(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    lost, held = opened.ask("mallory"), opened.comment("hello")
    await _write(database, opened.recording(), lost.recording(), held.recording(in_history=True))
    assert [row["id"] for row in await _rows(database, ApprovalTask)] == ["r1.1"]
    assert [row["person"] for row in await _rows(database, Participant)] == ["bob"]


async def test_only_the_tasks_that_changed_are_written(database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carol")
    await _write(database, opened.recording())
    with writing(database) as session:
        session.execute(update(ApprovalTask).values(comment="as it is"))
    decided = replace(opened.decide(1, end=False).recording(), opened=2, changed=("r1.1",))
    await _write(database, decided)
    assert {row["id"]: row["comment"] for row in await _rows(database, ApprovalTask)} == {
        "r1.1": None,
        "r1.2": "as it is",
    }


async def test_history_that_no_longer_keeps_old_tasks_takes_back_only_what_it_never_held(database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carol", "dave")
    one = opened.decide(1, end=False)
    await _write(database, opened.recording(), one.recording())
    lost, true = one.decide(3, end=False), one.moved(timedelta(minutes=1)).decide(2, end=False)
    kept = true.recording().tasks[1:]  # the first was closed before, and is no longer kept
    await _write(database, lost.recording())
    await _write(database, true.recording(tasks=kept, opened=3, changed=("r1.2",), in_history=True))
    found = {row["id"]: row["status"] for row in await _rows(database, ApprovalTask)}
    assert found == {"r1.1": "decided", "r1.2": "decided", "r1.3": "open"}
    assert {row["person"] for row in await _rows(database, Participant)} == {"bob", "carol", "dave"}
    assert await _verify(database)


async def test_history_wins_from_the_first_entry_that_differs(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    reminded = opened.remind()
    lost = reminded.comment("lost")
    both = replace(reminded.comment("held"), first=reminded.first)  # one recording: the reminder again, then the rest
    await _write(database, opened.recording(), lost_first := reminded.recording(), lost.recording())
    await _write(database, both.recording(in_history=True))
    everything = await _everything(database)
    assert [row["seq"] for row in everything["AuditSuperseded"]] == [lost.seq]
    assert sum(row["event"] == "reminded" for row in everything["Outbox"]) == len(lost_first.notifications) == 1
    assert await _verify(database)


async def test_notices_that_left_keep_their_rows_and_the_true_ones_are_sent_too(database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carol")
    lost = opened.decide(1, "reject")
    held = opened.moved(timedelta(seconds=30)).decide(2, "approve")
    await _write(database, opened.recording(), lost.recording())
    with writing(database) as session:
        session.execute(update(Outbox).where(col(Outbox.event) == "completed").values(status="sent"))
    await _write(database, held.recording(in_history=True))
    told = {(row["hash"], row["status"]) for row in await _rows(database, Outbox) if row["event"] == "completed"}
    assert told == {(lost.head, "sent"), (held.head, "held")}


async def test_a_recording_beyond_what_is_stored_is_refused_until_the_rest_is_there(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    reminded = opened.remind()
    with pytest.raises(Conflict, match="Entries 1 to 2 of r1 are missing"):
        await _write(database, reminded.recording())
    await _write(database, opened.recording(), reminded.recording())
    assert await _verify(database)


async def test_a_task_that_was_given_up_records_nothing_more_however_late_it_is(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    held, late = opened.comment("held"), opened.moved(timedelta(hours=1)).comment("of a worker that stood still")
    after = held.moved(timedelta(hours=1)).comment("of the same worker")
    later = NOW + timedelta(seconds=10)
    await _write(database, opened.recording(task_began=NOW), held.recording(task_began=later))
    before = await _everything(database)
    for lost in (late, after):
        with pytest.raises(Conflict, match="recorded by a later workflow task"):
            await _write(database, lost.recording(task_began=NOW))
        assert await _everything(database) == before
    await _write(database, held.recording(task_began=NOW))  # what is stored already needs no writing
    assert await _everything(database) == before
    await _write(database, after.recording(task_began=later + timedelta(minutes=1)))
    assert await _verify(database)


async def test_a_notification_waits_for_no_clock_of_the_worker_that_recorded_it(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    with writing(database) as session:
        write(session, opened.recording(), NOW + timedelta(hours=2))  # a worker whose clock is ahead
    assert {(row["created_at"], row["next_attempt_at"]) for row in await _rows(database, Outbox)} == {(NOW, NOW)}


async def test_what_a_later_task_has_recorded_again_is_its_own(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    again = opened.comment("of a worker that stood still")
    await _write(database, opened.recording(task_began=NOW), opened.recording(task_began=NOW + timedelta(seconds=10)))
    before = await _everything(database)
    with pytest.raises(Conflict, match="recorded by a later workflow task"):
        await _write(database, again.recording(task_began=NOW))
    assert await _everything(database) == before


async def test_what_follows_an_entry_that_history_lost_is_refused(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    lost = opened.comment("lost")
    late = lost.moved(timedelta(hours=1)).comment("of the same worker, much later")
    held = opened.moved(timedelta(seconds=10)).comment("held")
    await _write(database, opened.recording(), lost.recording(), held.recording(in_history=True))
    for late_one in (late, late.comment("and another")):
        before = await _everything(database)
        with pytest.raises(Conflict, match="Entry 4 of r1 does not follow the stored entry 3"):
            await _write(database, replace(late_one, first=late.first).recording())
        assert await _everything(database) == before
        await _write(database, held.comment("what follows what is stored").recording())  # then 4 is there, too
    assert await _verify(database)


async def test_a_request_from_before_content_was_sealed_goes_on_and_verify_tells_where_it_breaks(
    database: Database,
) -> None:
    opened = Story(request_id="r1").open("bob")
    stored, replayed = opened.comment("a time"), opened.moved(timedelta(seconds=1)).comment("another time")
    await _write(database, opened.recording(), stored.recording(), replayed.decide().recording(sealed=False))
    with reading(database) as session:
        assert verify_rows(session.connection(), "r1")["first_bad_seq"] == 4


async def test_entries_that_are_no_chain_are_refused(database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carol")
    one, two, three = opened.entries
    for entries, bad in (
        ((one, replace(two, detail={"x": 1}), three), 2),
        ((replace(one, hash="0" * 64), two, three), 1),
        ((one, two, replace(three, salts={"/title": "00"})), 3),
    ):
        with pytest.raises(Conflict, match=f"Entry {bad} of r1"):
            await _write(database, opened.recording(entries=entries))
    with pytest.raises(Conflict, match="Entry 1 of r2"):  # a chain belongs to its request
        await _write(database, opened.recording(request_id="r2"))
    assert await _rows(database, AuditEntry) == []


async def test_a_task_that_failed_records_nothing_over_the_next_one_however_soon_that_began(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    held, lost = opened.comment("held"), opened.moved(timedelta(milliseconds=1)).comment("lost")
    soon = NOW + timedelta(milliseconds=1)
    await _write(database, opened.recording(), held.recording(task_began=soon))
    with pytest.raises(Conflict, match="this recording is of a lost one"):
        await _write(database, lost.recording(task_began=NOW))
    assert [row["hash"] for row in await _rows(database, AuditEntry)] == [e.hash for e in held.entries]


@pytest.mark.parametrize("seconds", [-10, 0, 10])
async def test_what_contradicts_a_stored_entry_is_taken_only_once_history_holds_it_whenever_its_task_began(
    database: Database, seconds: int
) -> None:
    opened = Story(request_id="r1").open("bob")
    first = opened.moved(timedelta(seconds=10)).comment("of the one")
    second = opened.moved(timedelta(seconds=10 + seconds)).comment("of the other")
    began = NOW + timedelta(seconds=10)
    await _write(database, opened.recording(task_began=NOW), first.recording(task_began=began))
    before = await _everything(database)
    with pytest.raises(Overtaken):
        await _write(database, second.recording(task_began=began + timedelta(seconds=seconds)))
    assert await _everything(database) == before
    await _write(database, first.recording(task_began=began), first.comment("next").recording(task_began=began))
    later = began + timedelta(minutes=1)
    await _write(database, second.recording(task_began=later, in_history=True))
    assert [row["hash"] for row in await _rows(database, AuditEntry)] == [e.hash for e in second.entries]
    assert await _verify(database)


async def test_a_claim_is_taken_from_the_call_that_has_it_only_once_history_gives_it_to_another(
    database: Database,
) -> None:
    opened = Story(request_id="r1").open("bob")
    made = opened.decide()
    of_one, of_other = (ActionClaim(status="claimed", by="rita", at=NOW, key=key) for key in ("one", "other"))
    await _write(database, opened.recording(task_began=NOW), made.recording(task_began=NOW, claim=of_one))
    for seconds in (0, 10):
        with pytest.raises(Overtaken, match="as the claim of r1"):
            await _write(database, made.recording(task_began=NOW + timedelta(seconds=seconds), claim=of_other))
    assert [row["claim_key"] for row in await _rows(database, ApprovalRequest)] == ["one"]
    later = NOW + timedelta(minutes=1)
    await _write(database, made.recording(task_began=later, claim=of_other, in_history=True))
    assert [row["claim_key"] for row in await _rows(database, ApprovalRequest)] == ["other"]


async def test_a_host_of_the_engine_whose_clock_is_behind_stops_history_until_it_has_come_so_far(
    database: Database,
) -> None:
    opened = Story(request_id="r1").open("bob")
    lost, held = opened.moved(timedelta(seconds=1)).comment("lost"), opened.comment("held")
    ahead = NOW + timedelta(seconds=1)
    await _write(database, opened.recording(), lost.recording(task_began=ahead))
    with pytest.raises(Conflict, match="this recording is of a lost one"):
        await _write(database, held.recording(task_began=NOW, in_history=True))
    later = NOW + timedelta(seconds=8)
    await _write(database, held.recording(task_began=later, in_history=True))
    assert [row["hash"] for row in await _rows(database, AuditEntry)] == [e.hash for e in held.entries]


async def test_a_recording_that_contradicts_itself_is_refused(database: Database) -> None:
    story = Story(request_id="r1").open("bob")
    for wrong in (story.recording(head="0" * 64), story.recording(seq=9), story.recording(entries=())):
        with pytest.raises(Conflict, match="does not end with entry"):
            await _write(database, wrong)
    assert await _rows(database, AuditEntry) == []


async def test_what_asks_to_decide_is_dropped_with_the_decision_and_news_are_not(database: Database) -> None:
    opened = Story(request_id="r1").open("bob", "carol")
    reminded = opened.remind(1)
    breached = reminded.breach(1)
    decided = breached.decide(1, end=False)
    await _write(database, *(story.recording() for story in (opened, reminded, breached, decided)))
    rows = {(row["event"], row["person"]): row["status"] for row in await _rows(database, Outbox)}
    assert rows == {
        ("task_opened", "bob"): "dropped",
        ("task_opened", "carol"): "held",
        ("reminded", "bob"): "dropped",
        ("sla_breached", "rita"): "held",
    }


async def test_a_failed_write_leaves_nothing(database: Database) -> None:
    opened = Story(request_id="r1").open("bob")
    odd = replace(opened.notifications[0], detail={"odd": object()})  # no database takes it
    with pytest.raises(Exception, match="not JSON serializable"):
        await _write(database, opened.recording(notifications=(odd,)))
    assert all(rows == [] for rows in (await _everything(database)).values())


async def test_writing_many_leaves_out_only_those_that_do_not_fit(database: Database) -> None:
    good, bad = Story(request_id="a").open("bob"), Story(request_id="b").open("bob").remind()
    outcomes = await database.write(record.write_all, [bad.recording(), good.recording()], NOW)
    assert [type(o) for o in outcomes] == [Conflict, type(None)]
    with reading(database) as session:
        assert list(session.scalars(select(col(ApprovalRequest.id)))) == ["a"]
