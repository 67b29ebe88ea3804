"""The facts of notifications that are about to be sent: their request, task, audit entry and people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, bindparam, exists, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col

from placet.audit.reasons import why_of
from placet.definition.steps import DecisionLinks, decision_links_by_stage
from placet.sentences import Say
from storage.prepared import Prepared, among
from storage.queries.notifications.rows import MessageRow, OutboxRow, PersonRow, columns
from storage.queries.requests.list_fields import PublishedFact
from storage.recording.recipients import ASKING, BEHALF
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry, Outbox, StoredPerson
from storage.tables.columns import Moment
from storage.tables.notifications import NotificationMessage

REMINDED = "reminded"
# A reminder is sent within seconds, unless quiet hours, a digest or a channel that is down delay it.
LATE = timedelta(minutes=1)


class EntryRow(NamedTuple):
    """What delivery needs of an audit entry (storage.tables.approvals.AuditEntry)."""

    at: datetime
    actor: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFacts:
    """One notification and its facts. `request` and `entry` are None where it is not about a request."""

    outbox: OutboxRow
    entry: EntryRow | None
    request: dict[str, Any] | None
    task: dict[str, Any] | None
    decision_links: DecisionLinks | None = None  # what the stage of the task says about links that decide

    @property
    def no_longer_needed(self) -> bool:
        """Whether it is no longer needed: its task is done, or belongs to somebody else by now."""
        if self.outbox.status == "dropped":
            return True
        task = self.task
        if task is None:
            return False
        person = self.outbox.person
        if self.outbox.event == "sla_breached":  # requester and owner get it in any case
            return bool(person == task["decided_by"])
        if self.outbox.event not in ASKING:
            return False
        return task["status"] != "open" or not (self.for_information or self._concerned(task, person))

    def _concerned(self, task: dict[str, Any], person: str) -> bool:
        """Whether this person may decide or claim the task, also as a substitute. A vacant task concerns operators."""
        holders = ({task["assignee"]} if task["assignee"] else set(task["candidates"])) | set(task["delegates"])
        queue = task["queue"] if not task["assignee"] else None
        behalf = self.outbox.detail.get(BEHALF)
        return not (holders or queue) or person in holders or (behalf is not None and behalf in holders | {queue})

    @property
    def for_information(self) -> bool:
        """Whether an escalation only informs this person and does not assign the task to them."""
        if self.outbox.event != "escalated_to" or self.entry is None:
            return False
        return bool(json.loads(self.entry.detail).get("action") == "notify")

    def people(self) -> set[str]:
        """Return the ids of all people whom the text may name."""
        found = {self.outbox.person}
        by = self.outbox.detail.get("by")
        actor = self.entry.actor if self.entry else None
        found |= {who.removeprefix("user:") for who in (by, actor) if isinstance(who, str)}
        if self.request is not None:
            found.add(self.request["requester"])
        if self.task is not None and self.task["assignee"]:
            found.add(self.task["assignee"])
        return found

    def why(self, say: Say) -> str | None:
        """Return the reason of the audit entry, if there is one, translated by `say`."""
        if self.entry is None:
            return None
        return why_of(json.loads(self.entry.detail), say)


def facts_of(connection: Connection, messages: Sequence[MessageRow]) -> dict[str, NotificationFacts]:
    """Return what the notifications are about, by key.

    One is missing where its entry is not (or no longer) history's.
    """
    keys = {message.key: message.hash for message in messages}
    found = _facts(connection, keys)
    return {key: one for key, one in found.items() if one.outbox.hash == keys[key]}


def outdated_reminders(connection: Connection, reminders: Sequence[MessageRow], now: datetime) -> set[str]:
    """Return the keys of late reminders for which there is a newer reminder of the same task.

    Reminders accumulate in quiet hours, for a digest, or while a channel is down. A reminder that is sent again by hand
    is not outdated.
    """
    if not reminders:
        return set()
    keys = [message.key for message in reminders]
    rows = _OUTDATED.rows(connection, channel=reminders[0].channel, keys=keys, late=now - LATE)
    return {row.key for row in rows}


def facts_of_one(connection: Connection, key: str) -> NotificationFacts | None:
    """Return the facts of one notification."""
    return _facts(connection, [key]).get(key)


def latest(connection: Connection, request_id: str, event: str) -> NotificationFacts | None:
    """Return the newest notification of an event about a request, for the preview of a template."""
    newest = (
        select(col(Outbox.key))
        .where(col(Outbox.request_id) == request_id, col(Outbox.event) == event)
        .order_by(col(Outbox.seq).desc())
        .limit(1)
    )
    key = connection.scalar(newest)
    return facts_of_one(connection, key) if key else None


def people(connection: Connection, ids: Iterable[str]) -> dict[str, PersonRow]:
    """Return those of these people who are stored, by id."""
    return {row.id: PersonRow(*row) for row in _PEOPLE.rows(connection, ids=sorted(set(ids)))}


def _facts(connection: Connection, keys: Iterable[str]) -> dict[str, NotificationFacts]:
    rows = _FACTS.rows(connection, keys=list(keys))
    published = _PUBLISHED.of(connection, {row.request_template_id for row in rows if row.request_id is not None})
    found: dict[str, NotificationFacts] = {}
    for row in rows:
        entry, request, task = (_part(row, place) for place in _PLACES[1:])
        process = None if request is None else published.get(request["template_id"])
        if request is not None:
            if entry is None:
                continue  # its entry is not in history
            request["timezone"] = None if process is None else process.timezone
            request["variables"] = {} if process is None else process.variables
        outbox = OutboxRow(*row[_PLACES[0].columns])
        found[outbox.key] = NotificationFacts(
            outbox=outbox,
            entry=None if entry is None else EntryRow(**entry),
            request=request,
            task=task,
            decision_links=None if process is None or task is None else process.decision_links.get(task["stage"]),
        )
    return found


class _Place(NamedTuple):
    """Where the columns of a table are in a row of the facts. The first of them is not null in a row that is there."""

    columns: slice
    names: tuple[str, ...]


def _part(row: Sequence[Any], place: _Place) -> dict[str, Any] | None:
    """Return the columns of one table by their names, or None where there is no such row."""
    values = row[place.columns]
    return None if values[0] is None else dict(zip(place.names, values, strict=True))


class Declared(NamedTuple):
    """How a variable is declared, as far as its values are written by it."""

    type: str
    currency: str | None = None
    title: str | None = None


class _Process(NamedTuple):
    """What a message needs of the version of its request; `decision_links` are by stage."""

    timezone: str | None
    variables: dict[str, Declared]
    decision_links: dict[str, DecisionLinks]


def _process(blueprint: Mapping[str, Any]) -> _Process:
    settings = blueprint.get("settings")
    zone = settings.get("timezone") if isinstance(settings, dict) else None
    variables = {
        one["name"]: Declared(one["type"], one.get("currency"), one.get("title"))
        for one in blueprint.get("variables") or ()
    }
    return _Process(zone if isinstance(zone, str) else None, variables, decision_links_by_stage(blueprint))


_PUBLISHED: PublishedFact[_Process] = PublishedFact(_process)
# What texts may name (activities.notifications.templates.values), and what decides whether they are needed.
_REQUEST = (
    *("id", "template_id", "template", "version", "title", "input", "requester", "status", "outcome", "stage"),
    *("round", "started_at", "head"),
)
_TASK = (
    *("id", "stage", "round", "assignee", "candidates", "delegates", "queue", "status", "opened_at", "due_at"),
    *("sla_state", "escalation_level", "decided_by", "hand_overs", "revision"),
)
_PARTS: tuple[tuple[str, type[SQLModel], tuple[str, ...]], ...] = (
    ("outbox", Outbox, OutboxRow._fields),
    ("entry", AuditEntry, EntryRow._fields),
    ("request", ApprovalRequest, _REQUEST),
    ("task", ApprovalTask, _TASK),
)


def _places() -> tuple[_Place, ...]:
    found, first = [], 0
    for _, _, names in _PARTS:
        found.append(_Place(slice(first, first + len(names)), names))
        first += len(names)
    return tuple(found)


_PLACES = _places()


def _selecting(dialect: str) -> Select[Any]:
    wanted: list[Any] = [
        col(getattr(model, name)).label(f"{part}_{name}") for part, model, names in _PARTS for name in names
    ]
    return (
        select(*wanted)
        .select_from(Outbox)
        .outerjoin(
            AuditEntry,
            and_(
                col(AuditEntry.request_id) == col(Outbox.request_id),
                col(AuditEntry.seq) == col(Outbox.seq),
                col(AuditEntry.hash) == col(Outbox.hash),
            ),
        )
        .outerjoin(ApprovalRequest, col(ApprovalRequest.id) == col(Outbox.request_id))
        .outerjoin(ApprovalTask, col(ApprovalTask.id) == col(Outbox.task_id))
        .where(among(dialect, col(Outbox.key), "keys"))
    )


def _outdated(dialect: str) -> Select[Any]:
    newer, its_outbox = aliased(NotificationMessage), aliased(Outbox)
    behind = (
        exists()
        .where(col(newer.request_id) == col(NotificationMessage.request_id), col(newer.event) == REMINDED)
        .where(col(newer.channel) == col(NotificationMessage.channel))
        .where(col(newer.person) == col(NotificationMessage.person))
        .where(col(newer.seq) > col(NotificationMessage.seq))
        .where(
            or_(
                col(newer.status) == "pending",
                and_(col(newer.status) == "sent", col(newer.finished_at) >= col(NotificationMessage.created_at)),
            )
        )
        .where(col(its_outbox.key) == col(newer.key), col(its_outbox.task_id) == col(Outbox.task_id))
    )
    return (
        select(col(NotificationMessage.key))
        .join(Outbox, col(Outbox.key) == col(NotificationMessage.key))
        .where(
            col(NotificationMessage.channel) == bindparam("channel"),
            among(dialect, col(NotificationMessage.key), "keys"),
            col(Outbox.created_at) <= bindparam("late", type_=Moment()),
            behind,
        )
    )


_FACTS, _OUTDATED = Prepared(_selecting), Prepared(_outdated)
_PEOPLE = Prepared(
    lambda dialect: select(*columns(StoredPerson, PersonRow)).where(among(dialect, col(StoredPerson.id), "ids"))
)
