"""People as their pages show them to admins: searched, and one with everything that is theirs; groups and absences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from storage.queries import cursor as cursors
from storage.queries.identity import sessions, tokens
from storage.queries.identity.tokens import TokenFilter
from storage.queries.people import people, people_listing
from storage.queries.people.people_listing import AwaySpan, HeldName, PeopleFilter
from storage.queries.requests import deciders, requests
from storage.queries.requests.requests import ListedTask
from storage.tables.approvals import StoredPerson
from storage.tables.identity import BrowserSession
from web.forms.absence import AbsenceLine, absence_lines, days_of, proposed
from web.languages import Wording
from web.operations.tokens import TokenLine, token_lines
from web.paging import LINES, PAGE, address_of
from web.views import words
from web.views.people import names_of
from web.views.words import ACTOR_TYPES

_SOON: Final = timedelta(days=30)
_MOST_TASKS: Final = 10
_MOST_TOKENS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleChoice:
    """Which people are shown; it is in the address of the page. `left` also shows those who have left."""

    q: str = ""
    group: str = ""
    role: str = ""
    left: bool = False

    @classmethod
    def of(cls, given: Mapping[str, str]) -> PeopleChoice:
        """Return what an address chooses."""

        def text(name: str) -> str:
            return given.get(name, "").replace("\0", "")[:200].strip()

        return cls(q=text("q"), group=text("group"), role=text("role"), left=given.get("left") == "1")

    def address(self, **changes: str) -> str:
        """Return the address of these people with some changes."""
        given = {"q": self.q, "group": self.group, "role": self.role, "left": "1" if self.left else ""} | changes
        return address_of("/operations/people", **given)

    @property
    def filter(self) -> PeopleFilter:
        """Return the same as the store takes it."""
        return PeopleFilter(
            text=self.q,
            group=self.group or None,
            role=self.role or None,
            active=None if self.left else True,
            private=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLine:
    """One person of a list, with how many tasks are open for them and whether they are away now."""

    row: StoredPerson
    manager: str
    kind: str | None  # what they are, where they are no person
    open: int
    away: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplePage:
    """A page of people."""

    lines: tuple[PersonLine, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """An open task of a person."""

    row: ListedTask
    sla: str
    sla_word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonPage:
    """One person with what is theirs. `open` counts every task; `tasks` are the first of them, due first."""

    row: StoredPerson
    manager: str
    kind: str
    principal: str  # whom an agent acts for
    access: tuple[str, ...]
    absences: list[AbsenceLine]
    open: int
    tasks: tuple[TaskLine, ...]
    sessions: list[BrowserSession]
    tokens: list[TokenLine]
    more_tokens: bool
    people: list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwayLine:
    """One absence: whose, its days, and who stands in, by name."""

    person: str
    name: str
    begun: bool
    first: str
    last: str
    stands_in: str
    how: str
    tone: str
    open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AwayPage:
    """Who is away now, those for whom nobody stands in first, and who will be within 30 days; a page of both.

    `uncovered` counts those for whom nobody stands in, on every page; `first` says whether this is the first.
    """

    now: list[AwayLine]
    soon: list[AwayLine]
    uncovered: int
    first: bool
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsPage:
    """A page of groups and roles, the groups first."""

    groups: list[HeldName]
    roles: list[HeldName]
    first: bool
    next_cursor: str | None


def read_people(connection: Connection, chosen: PeopleChoice, wording: Wording, cursor: str | None) -> PeoplePage:
    """Read a page of people by name; raises InputInvalid for an invalid cursor."""
    page = people_listing.page(connection, chosen.filter, limit=PAGE, cursor=cursor, sort="name")
    names = names_of(connection, (row.manager for row in page.items))
    counts = people_listing.open_tasks(connection, (row.id for row in page.items))
    lines = tuple(
        PersonLine(
            row=row,
            manager=names(row.manager),
            kind=None if row.actor_type == "person" else wording.say(ACTOR_TYPES[row.actor_type]),
            open=counts.get(row.id, 0),
            away=any(line.now for line in absence_lines(row, wording, lambda _: "")),
        )
        for row in page.items
    )
    return PeoplePage(lines=lines, next_cursor=page.next_cursor)


def read_person(connection: Connection, person: str, wording: Wording, idle: timedelta) -> PersonPage:
    """Read one person with what is theirs; raises NotFound."""
    row = people.get(connection, person)
    names = names_of(connection, [row.manager, row.principal, *(span.get("substitute") for span in row.away)])
    first = requests.task_page(connection, limit=_MOST_TASKS, assignee=person, status="open", sort="due")
    held = tokens.page(connection, TokenFilter(person=person), wording.now, limit=_MOST_TOKENS)
    return PersonPage(
        row=row,
        manager=names(row.manager),
        kind=wording.say(ACTOR_TYPES[row.actor_type]),
        principal=names(row.principal),
        access=tuple(wording.say(word) for name, word in words.ACCESS.items() if name in row.access),
        absences=absence_lines(row, wording, names),
        open=people_listing.open_tasks(connection, [person]).get(person, 0),
        tasks=tuple(_task(one, wording) for one in first.items),
        sessions=sessions.listed(connection, person, wording.now, idle),
        tokens=token_lines(connection, held.items, wording),
        more_tokens=held.next_cursor is not None,
        people=proposed(connection, person),
    )


def read_groups(connection: Connection, cursor: str | None) -> GroupsPage:
    """Read a page of the groups and roles with their members; raises InputInvalid for an invalid cursor."""
    page = cursors.part(people_listing.held_names(connection), LINES, cursor)
    people_listing.first_of(connection, page.items)
    groups, roles = ([one for one in page.items if one.kind == kind] for kind in ("group", "role"))
    return GroupsPage(groups=groups, roles=roles, first=cursor is None, next_cursor=page.next_cursor)


def read_absences(connection: Connection, wording: Wording, cursor: str | None) -> AwayPage:
    """Read a page of who is away now and within 30 days, and who stands in; InputInvalid for an invalid cursor.

    All absences are ordered, and only those of the page are put into words: that takes longer than reading them.
    """
    now = wording.now
    spans = [one for one in people_listing.away(connection, now) if one.start <= now + _SOON]
    absent = {one.person for one in spans if one.start <= now}
    counts = people_listing.open_tasks(connection, (one.person for one in spans))
    waited_for = absent & counts.keys()
    standing = _standing_in(connection, waited_for, absent, now)
    alone = waited_for - standing.keys()
    # Sorting is stable: the others stay in the order of their begin.
    ordered = sorted(spans, key=lambda one: one.start > now or one.person not in alone)
    page = cursors.part(ordered, LINES, cursor)
    others = {one.person for one in page.items if one.start <= now} - waited_for
    standing |= _standing_in(connection, others, absent, now)
    active = people.activity(connection, {one.substitute for one in page.items if one.substitute and one.start > now})

    def there(one: AwaySpan) -> str | None:
        if one.start <= now:
            return standing.get(one.person)
        return one.substitute if one.substitute and active.get(one.substitute) else None

    names = names_of(connection, map(there, page.items))
    lines = [_away(one, names(there(one)), counts.get(one.person, 0), wording) for one in page.items]
    return AwayPage(
        now=[line for line in lines if line.begun],
        soon=[line for line in lines if not line.begun],
        uncovered=sum(one.start <= now and one.person in alone for one in spans),
        first=cursor is None,
        next_cursor=page.next_cursor,
    )


def _standing_in(connection: Connection, people: Iterable[str], absent: Set[str], now: datetime) -> dict[str, str]:
    """Return who stands in now for each of these people and is there; those for whom nobody does are left out."""
    found = deciders.deciding_substitutes(connection, people, now)
    there = {person: next((one for one in others if one not in absent), None) for person, others in found.items()}
    return {person: one for person, one in there.items() if one is not None}


def _away(one: AwaySpan, stands_in: str, open_tasks: int, wording: Wording) -> AwayLine:
    if stands_in:
        how, tone = wording.say("Covered"), "good"
    elif open_tasks:
        how, tone = wording.say("Nobody substitutes"), "bad"
    else:
        how, tone = wording.say("No substitute"), "plain"
    return AwayLine(
        person=one.person,
        name=one.name,
        begun=one.start <= wording.now,
        first=days_of(one.start, wording),
        last=days_of(one.until - timedelta(microseconds=1), wording),
        stands_in=stands_in,
        how=how,
        tone=tone,
        open=open_tasks,
    )


def _task(row: ListedTask, wording: Wording) -> TaskLine:
    sla = "none" if row.due_at is None else row.sla_state
    return TaskLine(row=row, sla=sla, sla_word=wording.say(words.SLA[sla]))
