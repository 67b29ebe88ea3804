"""Visibility: the rules of which requests a person may see, and which tasks wait for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    Select,
    SQLColumnExpression,
    String,
    any_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from placet.engine.state import TaskStatus
from storage.prepared import Prepared, among
from storage.queries.ordering import OPEN, Search, hidden
from storage.tables.approvals import ApprovalRequest, ApprovalTask, Participant, TaskCandidate

# Named once: each name of a table costs as much to make as several conditions.
_WAITING = aliased(ApprovalTask)  # apart from a task that is asked for itself
_ASKER = aliased(ApprovalRequest)
_OF_ITS_ASKER = exists().where(col(_ASKER.id) == col(ApprovalTask.request_id)).correlate(ApprovalTask)

FEW = 1_000  # requests that are looked up one by one for a list
_MOST_APART = 30  # queues, or people that somebody stands in for


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """Whose view it is, by id.

    `queues` are the roles and groups that they have, as `role:r` and `group:g`; `absent` are the people who are away
    now and for whom they stand in, and `delegated` the open tasks of which one of those is a delegate, each with its
    request.
    """

    person: str
    queues: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    delegated: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """What the text of a query for somebody depends on: how many queues, absent people and delegated tasks there are.

    Building a query takes longer than carrying it out. What every page asks is therefore prepared, once for a shape.
    """

    queues: int
    absent: int
    delegated: int

    @classmethod
    def of(cls, visibility: Visibility) -> Shape:
        """Return the shape of what is asked for somebody."""
        return cls(len(visibility.queues), len(visibility.absent), len(visibility.delegated))

    @property
    def anybody(self) -> Visibility:
        """Somebody of this shape, with parameters in place of their ids: see `values_of`."""
        named: Any = Visibility  # its fields are values elsewhere
        somebody: Visibility = named(
            person=_text("person"),
            queues=tuple(_text(f"queue{number}") for number in range(self.queues)),
            absent=tuple(_text(f"absent{number}") for number in range(self.absent)),
            delegated=tuple((_text(f"task{number}"), "") for number in range(self.delegated)),
        )
        return somebody


def values_of(visibility: Visibility) -> dict[str, str]:
    """Return the values of the parameters that stand for somebody in a prepared query."""
    values = {"person": visibility.person}
    values |= {f"queue{number}": one for number, one in enumerate(visibility.queues)}
    values |= {f"absent{number}": one for number, one in enumerate(visibility.absent)}
    return values | {f"task{number}": task for number, (task, _) in enumerate(visibility.delegated)}


def _text(name: str) -> BindParameter[str]:
    return bindparam(name, type_=String())


def queues_of(roles: Iterable[str], groups: Iterable[str]) -> tuple[str, ...]:
    """Name the queues of somebody with these roles and groups."""
    return (*(f"role:{role}" for role in roles), *(f"group:{group}" for group in groups))


def visible(viewer: str | BindParameter[str]) -> ColumnElement[bool]:
    """Build the permanent rule for requests: requester, owner, and everyone who has or had a task in it see it."""
    takes_part = exists().where(
        col(Participant.request_id) == col(ApprovalRequest.id), col(Participant.person) == viewer
    )
    return or_(col(ApprovalRequest.requester) == viewer, col(ApprovalRequest.owner) == viewer, takes_part)


def visible_now(visibility: Visibility) -> ColumnElement[bool]:
    """Build the rule for requests now: also owners by role or group, members of a queue, and substitutes see it."""
    rules = [visible(visibility.person)]
    if visibility.queues:
        rules.append(col(ApprovalRequest.owner).in_(visibility.queues))
    if visibility.queues or visibility.absent:
        theirs = or_(
            col(_WAITING.queue).in_(visibility.queues),  # also once somebody of the queue has claimed or decided it
            (col(_WAITING.status) == "open") & col(_WAITING.assignee).in_(visibility.absent),
        )
        # Asked of each request that is looked at: for an EXISTS, PostgreSQL first reads all such tasks.
        one = select(col(_WAITING.id)).where(col(_WAITING.request_id) == col(ApprovalRequest.id), theirs).limit(1)
        rules.append(one.correlate(ApprovalRequest).scalar_subquery().is_not(None))
    if visibility.delegated:
        rules.append(col(ApprovalRequest.id).in_(sorted({request for _, request in visibility.delegated})))
    return or_(*rules)


def seen_in_lists(
    connection: Connection, visibility: Visibility, request_id: SQLColumnExpression[str]
) -> tuple[ColumnElement[bool], bool]:
    """Build the rule `visible_now` for a list of rows with this `request_id`; returns also whether they are few.

    A list is read in its order until a page is full. For somebody who sees few of very many requests that would be
    nearly all of them, so theirs are found first. Who sees many has a page of them soon.
    """
    ids = _seen_by(connection, visibility, most=FEW)
    if ids is None:
        return visible_now(visibility), False
    if connection.dialect.name == "postgresql":  # as one value: it reads a thousand parameters for as long as the rows
        return request_id == any_(literal(ids, ARRAY(String()))), True
    return request_id.in_(ids), True


def _seen_by(connection: Connection, visibility: Visibility, *, most: int) -> list[str] | None:
    """Return the requests that somebody sees now, or None where they are more; each way to see one has its index."""
    values = {
        "person": visibility.person,
        "owners": (visibility.person, *visibility.queues),
        "queues": visibility.queues,
        "absent": visibility.absent,
    }
    found = {request for _, request in visibility.delegated}
    for way in (*_WAYS, *([_IN_QUEUES] if visibility.queues else []), *([_OF_ABSENT] if visibility.absent else [])):
        # One more than there may be tells that there are more.
        found.update(ident for (ident,) in way.raw(connection, most=most + 1, **values))
        if len(found) > most:
            return None
    return sorted(found)


MOST: BindParameter[int] = bindparam("most", type_=Integer())
"""How many rows a prepared query returns at most."""


def counting(found: Select[Any] | CompoundSelect[Any]) -> Prepared:
    """Prepare the count of what a query finds, up to `most`."""
    return Prepared(select(func.count().label("found")).select_from(found.limit(MOST).subquery()))


_WAYS = (
    Prepared(select(col(Participant.request_id)).where(col(Participant.person) == _text("person")).limit(MOST)),
    Prepared(select(col(ApprovalRequest.id)).where(col(ApprovalRequest.requester) == _text("person")).limit(MOST)),
    Prepared(
        lambda dialect: (
            select(col(ApprovalRequest.id)).where(among(dialect, col(ApprovalRequest.owner), "owners")).limit(MOST)
        )
    ),
)
_THEIR_TASKS = select(col(ApprovalTask.request_id)).distinct().limit(MOST)
_IN_QUEUES = Prepared(lambda dialect: _THEIR_TASKS.where(among(dialect, col(ApprovalTask.queue), "queues")))
_OF_ABSENT = Prepared(
    lambda dialect: _THEIR_TASKS.where(
        col(ApprovalTask.status) == OPEN, among(dialect, col(ApprovalTask.assignee), "absent")
    )
)


def waiting_for(visibility: Visibility) -> ColumnElement[bool]:
    """Build the rule of whom a task waits for now: see `searches_for`."""
    tasks = select(col(ApprovalTask.id)).correlate(None)
    return col(ApprovalTask.id).in_(union_all(*(search.query for search in searches_for(visibility, tasks))))


def searches_for(
    visibility: Visibility,
    tasks: Select[Any],
    *,
    status: str | None = None,
    claimed: bool | None = None,
    rare: bool = False,
) -> list[Search]:
    """Narrow a query of tasks to those that wait for somebody now, as one search for each way in which they do.

    A task waits for whoever has it, for its delegates, for who stands in for one of them, and for the people of its
    queue, but for who asked. Each of the searches finds its rows by an index of its own, which has them in the orders
    of lists; one condition with `OR` makes the databases look at all tasks that are open. A task may be found twice.
    `status` None stands for any status, `claimed` False for tasks that nobody has yet.
    `rare` says that the query finds few tasks by itself, so that none of these indexes is to be used.
    """
    person = visibility.person
    found: list[Search] = []

    def find(*rules: ColumnElement[bool], few: bool = False) -> None:
        found.append(Search(query=tasks.where(*rules), few=few or rare))

    def by(column: Any) -> Any:
        return hidden(col(column)) if rare else col(column)

    def having(one: str) -> ColumnElement[bool]:
        return hidden(col(ApprovalTask.status)) == one if rare else in_status(one)

    if claimed is not False:
        for one in get_args(TaskStatus) if status is None else (status,):
            find(by(ApprovalTask.assignee) == person, having(one))
    candidate = select(col(TaskCandidate.task_id)).where(col(TaskCandidate.person) == person).correlate(None)
    theirs = [col(ApprovalTask.id).in_(candidate), *claimed_rules(claimed, few=True)]
    find(*theirs, *([] if status is None else [hidden(col(ApprovalTask.status)) == status]), few=True)
    if status not in {None, "open"}:  # what is settled waits for nobody, and stays with those whose it was
        return found
    others = ~_OF_ITS_ASKER.where(col(_ASKER.requester) == person)
    if claimed is not True:
        for some in _apart(visibility.queues):
            find(having("open"), by(ApprovalTask.assignee).is_(None), _among(by(ApprovalTask.queue), some), others)
    if claimed is not False:
        for some in _apart(visibility.absent):
            find(having("open"), _among(by(ApprovalTask.assignee), some), others)
    if visibility.delegated:
        theirs = [
            col(ApprovalTask.id).in_([task for task, _ in visibility.delegated]),
            *claimed_rules(claimed, few=True),
        ]
        find(*theirs, hidden(col(ApprovalTask.status)) == OPEN, others, few=True)
    return found


def claimed_rules(claimed: bool | None, *, few: bool = False) -> tuple[ColumnElement[bool], ...]:
    """Build the rules for tasks that somebody has, or that nobody has yet; None: none."""
    if claimed is None:
        return ()
    assignee = hidden(col(ApprovalTask.assignee)) if few else col(ApprovalTask.assignee)
    return (assignee.is_not(None) if claimed else assignee.is_(None),)


def in_status(status: str) -> ColumnElement[bool]:
    """Build the rule for tasks of this status, such that partial indexes of open tasks are known."""
    return col(ApprovalTask.status) == (OPEN if status == "open" else status)


def _apart(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return names such that each is looked for by itself, in the order of the list; together where they are many."""
    return [(name,) for name in names] if len(names) <= _MOST_APART else [names]


def _among(column: SQLColumnExpression[Any], names: tuple[str, ...]) -> ColumnElement[bool]:
    return column == names[0] if len(names) == 1 else column.in_(names)
