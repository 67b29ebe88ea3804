"""Plan notifications: confirm that history holds what they are about, and choose the channels of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from activities.notifications.delivery.confirmation import MOST_ASKED, HistoryConfirmation
from activities.notifications.delivery.message_sender import preferences_of
from activities.notifications.delivery.repeating import Look
from activities.notifications.settings import NotifySettings
from storage.database import Database
from storage.queries.notifications import delivery_queue, facts
from storage.queries.notifications.rows import OutboxRow, PersonRow
from storage.recording import outbox
from storage.recording.record import stored_seqs

MOST_PLANNED = 100


class Planner:
    """Takes notifications from held to queued on their channels, in two steps that repeat side by side."""

    def __init__(
        self,
        database: Database,
        confirmation: HistoryConfirmation,
        settings: NotifySettings,
        channels: Collection[str],
    ) -> None:
        """`channels` are the names of those that are set up."""
        self.planned = 0
        self._database = database
        self._confirmation = confirmation
        self._confirm_after = timedelta(seconds=settings.notify_confirm_after)
        self._channels = channels

    async def confirm(self) -> Look:
        """Ask the engine about notifications that were not confirmed in time, once for each request."""
        waiting, following = await self._database.look_up(self._held, self._database.now())
        answers = await self._confirmation.ask(waiting)
        if not answers:
            return Look(due=following)
        await self._database.write(outbox.confirm_all, answers)
        still, following = await self._database.look_up(self._held, self._database.now())
        for answer in answers:
            self._confirmation.note_answer(answer.request_id, confirmed=answer.request_id not in still)
        await self._tell_those_ahead([answer for answer in answers if answer.request_id in still])
        confirmed = any(answer.request_id not in still for answer in answers)
        return Look(worked=confirmed, full=len(answers) >= MOST_ASKED, due=following)

    async def _tell_those_ahead(self, unconfirmed: Sequence[outbox.Confirmation]) -> None:
        """Tell requests of which more is stored than history holds, for longer than a lost event takes to return."""
        held = {one.request_id: one.seq for one in unconfirmed}
        if long := [request_id for request_id in held if self._confirmation.unconfirmed_for_long(request_id)]:
            stored = await self._database.read(stored_seqs, long)
            await self._confirmation.tell([request_id for request_id, seq in stored.items() if seq > held[request_id]])

    async def plan(self) -> Look:
        """Choose the channels of each notification, and when to send it."""
        now = self._database.now()
        rows, people, following = await self._database.look_up(_plannable, now)
        if not rows:
            return Look(due=following)
        plans = [(row, preferences_of(people.get(row.person)).routes(row.event, self._channels, now)) for row in rows]
        await self._database.write(delivery_queue.plan, plans, now)
        self.planned += len(rows)
        return Look(worked=True, full=len(rows) == MOST_PLANNED)

    def _held(self, connection: Connection, now: datetime) -> tuple[list[str], datetime | None]:
        """Return the requests about which the engine is to be asked, and when there may be another."""
        before = now - self._confirm_after
        waiting = outbox.held(connection, before=before, limit=MOST_ASKED + self._confirmation.unconfirmed)
        newer = outbox.next_held(connection, after=before)
        asked_again = self._confirmation.seconds_until_next()
        moments = [moment + self._confirm_after for moment in (newer,) if moment is not None]
        moments += [now + timedelta(seconds=seconds) for seconds in (asked_again,) if seconds is not None]
        return waiting, min(moments, default=None)


def _plannable(connection: Connection, now: datetime) -> tuple[list[OutboxRow], dict[str, PersonRow], datetime | None]:
    """Return notifications to plan, the people whom they are for, and without any when the next one is to be planned.

    One that is ready has no later moment than its recording, unless it was planned already.
    """
    rows = delivery_queue.plannable(connection, now, limit=MOST_PLANNED)
    if not rows:
        return [], {}, outbox.next_due(connection)
    return rows, facts.people(connection, (row.person for row in rows)), None
