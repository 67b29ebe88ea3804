"""Recipients: whom the notifications of a recording go to, by the directory as it is when they are written.

The core names the people whom a request knows. Substitutes of people who are away now, members of a queue and admins
come from the store, and need not be in the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, String, cast, select
from sqlmodel import col

from placet.engine.recording import Recording
from placet.engine.run import ADMINS
from placet.engine.state import Notification
from storage.queries.requests import deciders as others
from storage.queries.requests import watches
from storage.tables.approvals import StoredPerson

# Notifications that ask somebody to act on a task: no longer needed once the task is closed.
ASKING = (
    "task_opened",
    "approver_added",
    "reminded",
    "sla_warning",
    "escalated_to",
    "delegated",
    "reassigned",
    "extended",
)
WATCHED_ENDED = "watched_ended"
"""The event of which watchers of a request are told: it has ended."""
_ENDINGS = ("completed", "withdrawn", "cancelled", "failed")
BEHALF = "on_behalf_of"
"""The key of the detail that names for whom this person gets it: a person who is away, a role or a group."""


def personal_notifications(
    connection: Connection, recordings: Sequence[tuple[Recording, Sequence[Notification]]], now: datetime
) -> list[list[Notification]]:
    """Return the notifications of each recording, each to one person."""
    asked = {n.to for _, notifications in recordings for n in notifications if n.event in ASKING and n.to != ADMINS}
    queues = {
        queue
        for recording, notifications in recordings
        for notification in notifications
        if notification.event in ASKING and (queue := _queue(recording, notification)) is not None
    }
    admins = (
        every_admin(connection) if any(n.to == ADMINS for _, notifications in recordings for n in notifications) else []
    )
    substitutes = others.deciding_substitutes(connection, asked, now) if asked else {}
    members = others.members(connection, queues, now)
    ended = {recording.request_id for recording, _ in recordings if recording.status != "pending"}
    watchers = watches.watchers_of_ended(connection, ended, now) if ended else {}
    found: list[list[Notification]] = []
    for recording, notifications in recordings:
        whole: dict[str, Notification] = {}
        for notification in notifications:
            for person, behalf in _people(recording, notification, admins, substitutes, members):
                key = f"{recording.request_id}:{notification.seq}:{notification.event}:{person}"
                detail = notification.detail | ({BEHALF: behalf} if behalf else {})
                whole.setdefault(key, replace(notification, key=key, to=person, detail=detail))
        if told := watchers.get(recording.request_id):
            knows = {notification.to for notification in whole.values() if notification.event in _ENDINGS}
            for notification in _of_the_end(recording, [person for person in told if person not in knows]):
                whole[notification.key] = notification
        found.append(list(whole.values()))
    return found


def _of_the_end(recording: Recording, people: Sequence[str]) -> Iterator[Notification]:
    """Yield what watchers are told of the end of a request."""
    seq = recording.entries[-1].seq
    for person in people:
        key = f"{recording.request_id}:{seq}:{WATCHED_ENDED}:{person}"
        detail = {"outcome": recording.outcome or recording.status}
        yield Notification(key=key, event=WATCHED_ENDED, to=person, seq=seq, detail=detail)


def _people(
    recording: Recording,
    notification: Notification,
    admins: list[str],
    substitutes: dict[str, list[str]],
    members: dict[str, dict[str, set[str]]],
) -> Iterator[tuple[str, str | None]]:
    """Yield each recipient of a notification, and whom they act for. Requesters never act on their own."""
    if notification.to == ADMINS:
        yield from ((admin, None) for admin in admins if admin != recording.requester)
        return
    queue = _queue(recording, notification) if notification.event in ASKING else None
    if queue is not None:
        own = recording.requester
        yield from ((person, queue) for person, behalf in members[queue].items() if person != own and behalf != {own})
        return
    yield notification.to, None
    if notification.event in ASKING:
        for person in substitutes.get(notification.to, ()):
            if person != recording.requester:
                yield person, notification.to


def _queue(recording: Recording, notification: Notification) -> str | None:
    """Return the queue in which the task of a notification waits, or None."""
    task = next((task for task in recording.tasks if task.id == notification.task_id), None)
    return task.queue if task is not None and task.status == "open" and task.assignee is None else None


def every_admin(connection: Connection) -> list[str]:
    """Return the ids of all active admins."""
    admin = cast(col(StoredPerson.access), String).contains('"admin"')
    return list(
        connection.scalars(
            select(col(StoredPerson.id)).where(col(StoredPerson.active), admin).order_by(col(StoredPerson.id))
        )
    )
