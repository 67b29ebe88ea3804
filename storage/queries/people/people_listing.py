"""People as they are searched and listed, what waits for each, the groups and roles they hold, and who is away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal

from sqlalchemy import Connection, String, TableValuedAlias, cast, func, select
from sqlmodel import col

from storage.queries import cursor as cursors
from storage.queries.people.people import LOADS
from storage.queries.requests.titles import fold
from storage.tables.approvals import ApprovalTask, StoredPerson
from storage.tables.identity import DirectoryGroup

_AT_ONCE = 500  # rows that a search reads ahead
Kind = Literal["group", "role"]
_HELD: Final[dict[Kind, Any]] = {"group": col(StoredPerson.groups), "role": col(StoredPerson.roles)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleFilter:
    """Which people are listed: `active` None for those who have left as well.

    Each word of `text` stands in the name, the id, the address (where `private`) or the department, in any case.
    """

    text: str = ""
    group: str | None = None
    role: str | None = None
    active: bool | None = None
    private: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether more is asked than the database tells exactly."""
        return bool(self.text.strip()) or self.group is not None or self.role is not None


@dataclass(slots=True, kw_only=True)
class HeldName:
    """A group or a role: how many active people hold it, the first of them by name, and the open tasks in its queue."""

    kind: Kind
    name: str
    members: int = 0
    first: list[str] = field(default_factory=list)
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaySpan:
    """One absence of an active person that is not over."""

    person: str
    name: str
    start: datetime
    until: datetime
    substitute: str | None


def page(
    connection: Connection,
    chosen: PeopleFilter,
    *,
    limit: int,
    cursor: str | None = None,
    sort: Literal["id", "name"] = "id",
) -> cursors.Page[StoredPerson]:
    """List people by id or by name, `limit` at a time; raises InputInvalid for an invalid cursor.

    Databases fold the case of letters in different ways, so a text is compared here. Reading ends with the page.
    """
    ident = col(StoredPerson.id)
    place = ident if sort == "id" else func.lower(col(StoredPerson.name))
    columns: list[Any] = [
        ident,
        place.label("place"),
        col(StoredPerson.name),
        col(StoredPerson.email),
        col(StoredPerson.department),
    ]
    # Lists are JSON, and reading them takes longer than the rest of a row.
    columns += [col(StoredPerson.groups)] if chosen.group is not None else []
    columns += [col(StoredPerson.roles)] if chosen.role is not None else []
    query: Any = select(*columns).order_by(place, ident)
    if chosen.active is not None:
        query = query.where(col(StoredPerson.active) == chosen.active)
    for column, name in ((StoredPerson.groups, chosen.group), (StoredPerson.roles, chosen.role)):
        if name is not None:  # finds too many at most, as storage.queries.people.people says
            query = query.where(cast(col(column), String).contains(f'"{name}"', autoescape=True))
    if cursor is not None:
        *before, last = cursors.read_names(cursor, 1 if sort == "id" else 2)
        after = ident > last
        query = query.where((place > before[0]) | ((place == before[0]) & after) if before else after)
    if not chosen.narrowed:
        query = query.limit(limit + 1)
    with connection.execute(query.execution_options(yield_per=_AT_ONCE)) as rows:
        found = list(islice(_matching(rows, chosen), limit + 1))
    listed = cursors.page(found, limit, lambda row: (row.id,) if sort == "id" else (row.place, row.id))
    stored = by_id(connection, [row.id for row in listed.items])
    return cursors.Page(items=tuple(stored[row.id] for row in listed.items), next_cursor=listed.next_cursor)


def by_id(connection: Connection, ids: list[str]) -> dict[str, StoredPerson]:
    """Return these people by id; those who are not stored are left out."""
    query = select(StoredPerson.__table__).where(col(StoredPerson.id).in_(ids))  # type: ignore[attr-defined]  # SQLModel adds it
    return {row["id"]: StoredPerson(**row) for row in connection.execute(query).mappings()}


def named(connection: Connection, text: str) -> str | None:
    """Return the id of the active person whom a text names by id, or alone of all by name; None for nobody."""
    rows = connection.execute(select(col(StoredPerson.id), col(StoredPerson.name)).where(col(StoredPerson.active)))
    sought, found = fold(text.removeprefix("user:").strip()), []
    for row in rows:
        if row.id == text.removeprefix("user:").strip():
            return str(row.id)
        if fold(row.name) == sought:
            found.append(str(row.id))
    return found[0] if len(found) == 1 else None


def open_tasks(connection: Connection, people: Iterable[str]) -> dict[str, int]:
    """Count the open tasks of each of these people; one who has none is left out."""
    wanted = sorted(set(people))
    return {row.assignee: row.open for row in LOADS.rows(connection, people=wanted)} if wanted else {}


def held_names(connection: Connection) -> list[HeldName]:
    """List every group and role that an active person holds, or that is provisioned; by name.

    Who the `first` of each are is left out: `first_of` reads them for those that are shown.
    """
    found: dict[tuple[str, str], HeldName] = {}

    def of(kind: Kind, name: str) -> HeldName:
        if (kind, name) not in found:
            found[kind, name] = HeldName(kind=kind, name=name)
        return found[kind, name]

    for name in connection.scalars(select(col(DirectoryGroup.name))):
        of("group", name)
    for kind in _HELD:
        held = _each(connection, kind).c.value
        query = select(held, func.count()).select_from(StoredPerson).where(col(StoredPerson.active)).group_by(held)
        for name, number in connection.execute(query):
            of(kind, name).members = number
    queue = col(ApprovalTask.queue)
    waiting = select(queue, func.count()).where(
        col(ApprovalTask.status) == "open", queue.is_not(None), col(ApprovalTask.assignee).is_(None)
    )
    for name_of_queue, number in connection.execute(waiting.group_by(queue)).all():
        prefix, _, name = str(name_of_queue).partition(":")
        of("role" if prefix == "role" else "group", name).waiting = number
    return sorted(found.values(), key=lambda one: (one.kind, fold(one.name)))


def first_of(connection: Connection, shown: Iterable[HeldName], *, most: int = 5) -> None:
    """Fill in the first members of these groups and roles."""
    by_name = {(one.kind, one.name): one for one in shown if one.members}
    for kind in _HELD:
        held = _each(connection, kind).c.value
        by = (func.lower(col(StoredPerson.name)), col(StoredPerson.id))
        ranked = (
            select(
                held.label("held"),
                col(StoredPerson.name),
                func.row_number().over(partition_by=held, order_by=by).label("place"),
            )
            .select_from(StoredPerson)
            .where(col(StoredPerson.active), held.in_([name for of, name in by_name if of == kind]))
            .subquery()
        )
        query = select(ranked.c.held, ranked.c.name).where(ranked.c.place <= most)
        for name, person in connection.execute(query.order_by(ranked.c.held, ranked.c.place)):
            by_name[kind, name].first.append(person)


def _each(connection: Connection, kind: Kind) -> TableValuedAlias:
    """Return the names that people hold as rows of a `value`, for whoever is selected beside them."""
    each = func.json_each if connection.dialect.name == "sqlite" else func.json_array_elements_text
    return each(_HELD[kind]).table_valued("value", joins_implicitly=True)


def away(connection: Connection, now: datetime) -> list[AwaySpan]:
    """List the absences of active people that are not over, those that began first first."""
    spans = col(StoredPerson.away)
    query = select(col(StoredPerson.id), col(StoredPerson.name), spans).where(
        col(StoredPerson.active), cast(spans, String) != "[]"
    )
    found = [
        AwaySpan(
            person=row.id,
            name=row.name,
            start=datetime.fromisoformat(span["from"]),
            until=datetime.fromisoformat(span["until"]),
            substitute=(span.get("substitute") or "").removeprefix("user:") or None,
        )
        for row in connection.execute(query)
        for span in row.away
    ]
    return sorted((one for one in found if one.until > now), key=lambda one: (one.start, fold(one.name), one.person))


def _matching(rows: Iterable[Any], chosen: PeopleFilter) -> Iterator[Any]:
    words = fold(chosen.text).split()
    for row in rows:
        if chosen.group is not None and chosen.group not in row.groups:
            continue
        if chosen.role is not None and chosen.role not in row.roles:
            continue
        if words:
            said = (row.id, row.name, row.department or "", (row.email or "") if chosen.private else "")
            text = fold(" ".join(said))
            if not all(word in text for word in words):
                continue
        yield row
