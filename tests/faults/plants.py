"""Planted bugs: each takes one safeguard out of the driver, the recorder, the core or the notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch
from zlib import crc32

from sqlalchemy import update
from sqlmodel import col
from temporalio import workflow

from activities.notifications.delivery import message_sender
from activities.notifications.delivery.channel_delivery import NoLongerNeeded
from placet.engine import claims, machine, timers
from placet.engine.events import Comment, Decide, Event
from placet.engine.state import State, Transition
from placet.errors import ClaimFailure, Conflict
from placet.plan.plan import Plan
from placet.tasks import decisions
from storage.queries.notifications import delivery_queue
from storage.recording import new_part, outbox, record
from storage.tables.approvals import Outbox
from workflows import approval
from workflows.approval import ApprovalWorkflow


@dataclass(frozen=True)
class Plant:
    """A bug: where it is, what is wrong, and how to put it in."""

    where: str
    what: str
    patches: Callable[[], list[Any]]
    seed: int = 0  # that has found it

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Have the bug inside."""
        patches = self.patches()
        for one in patches:
            one.start()
        try:
            yield
        finally:
            for one in reversed(patches):
                one.stop()


def _answers_before_recording() -> list[Any]:
    async def step(self: Any, work: Any, at: Any) -> None:
        transition = work(self._now(at))
        while transition.needs_directory:
            at = await self._read_directory(given=transition.given)
            transition = work(self._now(at))
        self._take(transition)
        if self._state.status == "pending" and len(self._entries) > 4:
            return  # it is recorded with the next event
        await self._record()

    return [patch.object(ApprovalWorkflow, "_step", step)]


def _keys_are_lost_when_continued() -> list[Any]:
    async def continue_as_new(self: Any) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._state.status == "pending" and self._calls.idle:
            workflow.continue_as_new(replace(self._start, state=replace(self._state, answered={})))

    return [patch.object(ApprovalWorkflow, "_continue_as_new", continue_as_new)]


def _first_write_wins() -> list[Any]:
    original = record.new_part

    def fresh(connection: Any, recording: Any, stored: Any) -> Any:
        if recording.entries and recording.entries[-1].seq <= stored.seq:
            return None  # it is there already
        return original(connection, recording, stored)

    return [patch.object(record, "new_part", fresh)]


def _gaps_are_taken() -> list[Any]:
    original = record.new_part

    def fresh(connection: Any, recording: Any, stored: Any) -> Any:
        try:
            return original(connection, recording, stored)
        except Conflict:
            return record.NewPart(
                recording=recording,
                entries=recording.entries,
                notifications=recording.notifications,
                contradicted=False,
            )

    return [patch.object(record, "new_part", fresh)]


def _recording_without_notifications() -> list[Any]:
    original = record.new_part

    def fresh(*given: Any) -> Any:
        part = original(*given)
        return replace(part, notifications=()) if part is not None and part.contradicted else part

    return [patch.object(record, "new_part", fresh)]


def _answers_are_forgotten() -> list[Any]:
    original = machine.apply

    def apply(plan: Plan, state: State, event: Event, now: Any) -> Transition:
        return original(plan, replace(state, answered={}), event, now)

    return [patch.object(machine, "apply", apply)]


def _escalates_again() -> list[Any]:
    original = timers.carry_out_due

    def carry_out(run: Any, settle: Any) -> Any:
        result = original(run, settle)
        for task in list(run.tasks.values()):
            if task.status == "open" and task.level == 1:
                run.record("escalated", task=task, due=run.now, level=task.level, action="add")
        return result

    return [patch.object(machine, "carry_out_due", carry_out)]


def _dropped_for_good() -> list[Any]:
    return [patch.object(record, "_ask_again", lambda *_: None)]


def _asked_again_late() -> list[Any]:
    original = record._ask_again

    def ask_again(connection: Any, recording: Any) -> None:
        original(connection, recording)
        held = (col(Outbox.request_id) == recording.request_id, col(Outbox.status) == "held")
        later = recording.started_at + delivery_queue.PLAN_AGAIN_AFTER
        connection.execute(update(Outbox).where(*held).values(next_attempt_at=later))

    return [patch.object(record, "_ask_again", ask_again)]


def _ready_at_once() -> list[Any]:
    original = record._notifications

    def notifications(*given: Any) -> Any:
        return [{**row, "status": "ready"} for row in original(*given)]

    return [patch.object(record, "_notifications", notifications)]


def _confirms_whatever_is_there() -> list[Any]:
    def confirm_all(connection: Any, confirmations: Any, _now: Any = None) -> list[None]:
        for one in confirmations:
            held = (col(Outbox.request_id) == one.request_id, col(Outbox.status) == "held")
            connection.execute(update(Outbox).where(*held).values(status="ready"))
        return [None] * len(confirmations)

    return [patch.object(outbox, "confirm_all", confirm_all)]


def _leases_are_not_kept() -> list[Any]:
    original = delivery_queue._lease

    def lease(now: Any, span: Any) -> Any:
        return original(now, span * 0)

    return [patch.object(delivery_queue, "_lease", lease)]


def _results_are_dropped() -> list[Any]:
    original = delivery_queue._is_ours
    return [patch.object(delivery_queue, "_is_ours", lambda row, item: original(row, item) and item.status != "sent")]


def _ends_are_not_told() -> list[Any]:
    original = message_sender.MessageSender._compose

    def compose(self: Any, messages: Any) -> Any:
        if all(self._facts[one.key].outbox.event == "completed" for one in messages if one.key in self._facts):
            raise NoLongerNeeded
        return original(self, messages)

    return [patch.object(message_sender.MessageSender, "_compose", compose)]


def _decisions_stand_early() -> list[Any]:
    def next_to_stand(run: Any) -> Any:
        return next((task for task in run.tasks.values() if task.provisional), None)

    return [patch.object(decisions, "next_to_stand", next_to_stand)]


def _claims_in_spite_of(*ignored: ClaimFailure) -> Callable[[], list[Any]]:
    original = claims.claim_failure

    def claim_failure(**given: Any) -> ClaimFailure | None:
        failure = original(**given)
        return None if failure in ignored else failure

    return lambda: [patch.object(claims, "claim_failure", claim_failure)]


def _loses_updates() -> list[Any]:
    original = machine.apply

    def apply(plan: Plan, state: State, event: Event, now: Any) -> Transition:
        if isinstance(event, Comment | Decide) and event.key and crc32(event.key.encode()) % 4 == 0:
            return Transition(state=state)  # it is answered like any other
        return original(plan, state, event, now)

    return [patch.object(machine, "apply", apply)]


def _sends_twice() -> list[Any]:
    original = message_sender.MessageSender.send

    async def send(self: Any, messages: Any) -> Any:
        composed = self._compose(messages)
        self._composed[messages[0].key] = composed
        await original(self, messages)
        self._composed[messages[0].key] = composed
        return await original(self, messages)

    return [patch.object(message_sender.MessageSender, "send", send)]


def _chains_are_broken() -> list[Any]:
    original = record._entry

    def entry(request_id: str, one: Any, now: Any) -> dict[str, Any]:
        row = original(request_id, one, now)
        return row | {"actor": "user:nobody"} if one.kind == "decided" and one.seq % 2 else row

    return [patch.object(record, "_entry", entry)]


def _takes_times_that_history_lacks() -> list[Any]:
    async def moment() -> Any:
        return workflow.now()

    async def due_moment(due: Any) -> Any:
        return max(due, workflow.now())

    return [patch.object(approval, "moment", moment), patch.object(approval, "due_moment", due_moment)]


def _keeps_superseded_rows() -> list[Any]:
    return [patch.object(record, "_supersede", lambda *_: ())]


def _leaves_tasks_as_they_were() -> list[Any]:
    original = record._task

    def task(recording: Any, one: Any, named: Any) -> dict[str, Any]:
        row = original(recording, one, named)
        return row | {"status": "open"} if one.status not in {"open", "decided"} else row

    return [patch.object(record, "_task", task)]


def _keeps_claims_of_lost_tasks() -> list[Any]:
    return [patch.object(record, "_take_over", lambda *_: None)]


def _supersedes_before_history_tells() -> list[Any]:
    return [patch.object(new_part, "may_contradict", lambda *_: True)]


PLANTS: dict[str, Plant] = {
    "answer-before-record": Plant(
        "driver", "an update is answered before it is recorded", _answers_before_recording, 2
    ),
    "keys-lost": Plant(
        "driver", "continue-as-new forgets which calls were answered", _keys_are_lost_when_continued, 37
    ),
    "first-write-wins": Plant(
        "recorder", "rows of a lost task stay, and history's are not written", _first_write_wins, 9
    ),
    "gaps": Plant("recorder", "a recording that does not follow the stored one is written", _gaps_are_taken, 13),
    "no-notifications": Plant(
        "recorder", "what supersedes a lost task has no notifications", _recording_without_notifications, 16
    ),
    "repeats": Plant("core", "a repeated call is carried out again", _answers_are_forgotten, 37),
    "escalates-again": Plant("core", "a level of an escalation is recorded twice", _escalates_again, 2),
    "stands-early": Plant("core", "a decision stands with the next event, before its time", _decisions_stand_early, 2),
    "claims-twice": Plant(
        "core", "an action is claimed again before the request closes", _claims_in_spite_of("already_claimed"), 299
    ),
    "claims-other": Plant(
        "core", "an action is claimed that nobody has approved", _claims_in_spite_of("digest_mismatch"), 47
    ),
    "clock": Plant("driver", "an event has a time that history does not hold", _takes_times_that_history_lacks, 25),
    "lost-update": Plant("core", "a decision or a comment is answered and not carried out", _loses_updates, 2),
    "broken-chain": Plant("recorder", "an entry is stored otherwise than it was hashed", _chains_are_broken, 2),
    "rows-stay": Plant("recorder", "what history does not hold is not superseded", _keeps_superseded_rows, 9),
    "claims-lost": Plant(
        "recorder",
        "a claim stays that of the call which a lost workflow task gave it to",
        _keeps_claims_of_lost_tasks,
        11371,
    ),
    "contradicts": Plant(
        "recorder",
        "what contradicts a stored entry supersedes it before history holds it",
        _supersedes_before_history_tells,
        1132,
    ),
    "tasks-stay": Plant("recorder", "a task that was closed stays open in the store", _leaves_tasks_as_they_were),
    "doubled-mail": Plant("notices", "a message is handed over twice", _sends_twice),
    "dropped-for-good": Plant(
        "recorder", "what a lost task made needless is not sent when its rows are superseded", _dropped_for_good, 59
    ),
    "asked-late": Plant(
        "recorder", "what is held again waits until its planning would have been in vain", _asked_again_late, 59
    ),
    "ready-at-once": Plant("notices", "notifications are not held until history is known", _ready_at_once, 4),
    "confirms-all": Plant(
        "notices", "what is beyond the confirmed entry is released too", _confirms_whatever_is_there, 16
    ),
    "no-lease": Plant("notices", "a message that is being sent can be taken by another process", _leases_are_not_kept),
    "unfinished": Plant("notices", "that a message was sent is not stored", _results_are_dropped, 1),
    "never-told": Plant("notices", "how a request ended is not told", _ends_are_not_told),
}
