"""Who may decide now: the substitutes of people who are away, the members of queues, and holders of decision tokens.

All of it follows from the people as they are stored now. Whether a task may be decided by somebody in a round, the core
says (placet.tasks.permissions).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, String, bindparam, cast, or_, select, text
from sqlmodel import col

from storage.prepared import Prepared, among
from storage.queries.people.people import activity, approves, as_directory_person
from storage.queries.requests.requests import TaskRow, owner_of
from storage.queries.requests.visibility import Visibility, queues_of
from storage.tables.approvals import ApprovalRequest, ApprovalTask, StoredPerson, TaskCandidate

Shown = TypeVar("Shown", bound=TaskRow)


def visibility_of(connection: Connection, person: str, now: datetime) -> Visibility:
    """Return what a person may see now."""
    row = _HELD.first(connection, person=person)
    queues = () if row is None else queues_of(row.roles, row.groups)
    absent = tuple(_covered(connection, person, now))
    return Visibility(person=person, queues=queues, absent=absent, delegated=tuple(_delegated(connection, absent)))


def substitutes_of(connection: Connection, people: Iterable[str], now: datetime) -> dict[str, list[str]]:
    """Return the active substitutes of each person who is away now, including the substitutes of absent substitutes."""
    chains = {person: [person] for person in people}
    growing = set(chains)
    while growing:
        ends = sorted({chains[person][-1] for person in growing})
        substitutes = {row.id: found for row in _away(connection, ends) if (found := _substitute(row, now)) is not None}
        growing = {
            person
            for person in growing
            if (following := substitutes.get(chains[person][-1])) is not None and following not in chains[person]
        }
        for person in growing:
            chains[person].append(substitutes[chains[person][-1]])
    there = activity(connection, {one for chain in chains.values() for one in chain[1:]})
    active = {person: [one for one in chain[1:] if there.get(one)] for person, chain in chains.items()}
    return {person: others for person, others in active.items() if others}


def deciding_substitutes(connection: Connection, people: Iterable[str], now: datetime) -> dict[str, list[str]]:
    """Return those substitutes of each person who is away now that may be asked for decisions."""
    stand_ins = substitutes_of(connection, people, now)
    decide = _deciding(connection, {one for others in stand_ins.values() for one in others})
    active = {person: [one for one in others if one in decide] for person, others in stand_ins.items()}
    return {person: others for person, others in active.items() if others}


def members(connection: Connection, queues: Iterable[str], now: datetime) -> dict[str, dict[str, set[str]]]:
    """Return by queue who may claim from it now, and for whom: themselves, or members of the queue who are away.

    Both the claimant and the member need the access to decide.
    """
    wanted = sorted(set(queues))
    if not wanted:
        return {}
    rows = [row for row in _people_of(tuple(wanted)).rows(connection) if approves(row.access, row.actor_type)]
    stand_ins = deciding_substitutes(connection, [row.id for row in rows], now)
    found: dict[str, dict[str, set[str]]] = {queue: {} for queue in wanted}
    for row in rows:
        for queue in set(queues_of(row.roles, row.groups)) & found.keys():
            for one in (row.id, *stand_ins.get(row.id, ())):
                found[queue].setdefault(one, set()).add(row.id)
    return found


@lru_cache(maxsize=256)
def _people_of(queues: tuple[str, ...]) -> Prepared:
    """Return the query for the active people of these queues; the same queues are asked for again and again."""
    named = []
    for queue in queues:
        kind, _, name = queue.partition(":")
        column = StoredPerson.roles if kind == "role" else StoredPerson.groups
        named.append(cast(col(column), String).contains(f'"{name}"', autoescape=True))
    facts = (StoredPerson.roles, StoredPerson.groups, StoredPerson.access, StoredPerson.actor_type)
    query = select(col(StoredPerson.id), *(col(fact) for fact in facts))
    return Prepared(query.where(col(StoredPerson.active), or_(*named)).order_by(col(StoredPerson.id)))


def with_candidates(connection: Connection, tasks: Sequence[Shown], now: datetime) -> list[Shown]:
    """Return the tasks. Those that wait in a queue have the people who may claim them now as candidates."""
    waiting = [t for t in tasks if t.queue is not None and t.assignee is None and t.status == "open"]
    if not waiting:
        return list(tasks)
    found = members(connection, (t.queue for t in waiting if t.queue), now)
    ids = sorted({task.request_id for task in waiting})
    requester = {row.id: row.requester for row in _REQUESTERS.rows(connection, requests=ids)}
    live = {
        task.id: [
            person
            for person, behalf in found[task.queue or ""].items()
            if person != (own := requester.get(task.request_id)) and behalf != {own}
        ]
        for task in waiting
    }
    return [replace(task, candidates=live[task.id]) if task.id in live else task for task in tasks]


def _deciding(connection: Connection, people: set[str]) -> set[str]:
    """Return who of these people may be asked for decisions."""
    ids = sorted(people)
    found: set[str] = set()
    for first in range(0, len(ids), _MOST_AT_ONCE):
        some = col(StoredPerson.id).in_(ids[first : first + _MOST_AT_ONCE])
        facts = (col(StoredPerson.id), col(StoredPerson.access), col(StoredPerson.actor_type))
        rows = connection.execute(select(*facts).where(some))
        found.update(row.id for row in rows if approves(row.access, row.actor_type))
    return found


def _delegated(connection: Connection, people: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Generate the open tasks of which one of these people is a delegate, with their requests; the newest ones of many.

    Where nobody has claimed a task from a list of people, these are listed with it and are no delegates.
    """
    if people:
        for row in connection.execute(_DELEGATED, {"people": people}):
            yield row.id, row.request_id


_HELD = Prepared(
    select(col(StoredPerson.roles), col(StoredPerson.groups)).where(col(StoredPerson.id) == bindparam("person"))
)
# The expression of the partial index on people with absences. With the value beside the statement SQLite would plan
# each call anew.
_SOMETIMES_AWAY = cast(col(StoredPerson.away), String) != text("'[]'")
_SPANS = select(
    col(StoredPerson.id),
    col(StoredPerson.manager),
    col(StoredPerson.roles),
    col(StoredPerson.groups),
    col(StoredPerson.away),
    col(StoredPerson.active),
    col(StoredPerson.access),
    col(StoredPerson.department),
    col(StoredPerson.actor_type),
).where(_SOMETIMES_AWAY, col(StoredPerson.active))
_SPANS_OF = Prepared(lambda dialect: _SPANS.where(among(dialect, col(StoredPerson.id), "people")))
_SPANS_NAMING = Prepared(
    _SPANS.where(cast(col(StoredPerson.away), String).like(bindparam("named", type_=String()), escape="/"))
)
_MOST_AT_ONCE = 10_000  # ids in a query: databases bound its parameters
_DELEGATED = (
    select(col(ApprovalTask.id), col(ApprovalTask.request_id))
    .join(TaskCandidate, col(TaskCandidate.task_id) == col(ApprovalTask.id))
    .where(col(TaskCandidate.person).in_(bindparam("people", expanding=True)), col(ApprovalTask.status) == "open")
    .where(or_(col(ApprovalTask.assignee).is_not(None), col(ApprovalTask.queue).is_not(None)))
    .order_by(col(ApprovalTask.opened_at).desc())
    .limit(_MOST_AT_ONCE)
)


def _away(connection: Connection, people: list[str]) -> Iterator[Any]:
    yield from _SPANS_OF.rows(connection, people=people)


def _covered(connection: Connection, person: str, now: datetime) -> list[str]:
    """List the absent people whose substitute this person is now, also through other absent substitutes."""
    found: list[str] = []
    pending = [person]
    while pending:
        name = pending.pop()
        for row in _SPANS_NAMING.rows(connection, named=f'%"{_escaped(name)}"%'):
            if _substitute(row, now) == name and row.id not in found and row.id != person:
                found.append(row.id)
                pending.append(row.id)
    return found


def _escaped(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _substitute(row: Any, now: datetime) -> str | None:
    """Return the substitute of a person who is away now, from their row."""
    seen = as_directory_person(row)
    absence = next((span for span in seen.away if span.start <= now < span.until), None)
    return absence.substitute if absence is not None else None


_REQUESTERS = Prepared(
    lambda dialect: select(col(ApprovalRequest.id), col(ApprovalRequest.requester)).where(
        among(dialect, col(ApprovalRequest.id), "requests")
    )
)
_APPROVE = frozenset({"approver", "admin"})
_CHANGE = _APPROVE | {"requester", "designer"}  # auditors change nothing

_DECIDER = Prepared(
    select(col(StoredPerson.active), col(StoredPerson.access), col(StoredPerson.roles), col(StoredPerson.groups)).where(
        col(StoredPerson.id) == bindparam("person")
    )
)


def refusal_of_token(
    connection: Connection, person: str, task_id: str
) -> Literal["token_left", "token_without_access"] | None:
    """Return the code of why a person with a decision token may not decide this task; None where they may.

    It is asked for decisions by signal. The API asks the same of whoever calls it (api.access, service.commands).
    """
    row = _DECIDER.first(connection, person=person)
    if row is None or not row.active:
        return "token_left"
    access = frozenset(row.access)
    if access & _APPROVE:
        return None
    names = {person, f"user:{person}", *row.roles}
    names |= {f"role:{role}" for role in row.roles} | {f"group:{group}" for group in row.groups}
    return None if access & _CHANGE and owner_of(connection, task_id) in names else "token_without_access"
