"""People: who is in the organisation, stored one by one or from a list, and what each may change of themself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from placet.audit.admin_acts import OPERATOR, Act, ActedBy
from placet.errors import Conflict, InputInvalid, LastAdmin, NotPermitted, Problem, Unavailable
from placet.sentences import sentence
from service.administration.acts import write_with_act
from service.administration.person_document import MOST_ABSENCES, Away, PersonDocument, PersonFacts
from service.context import Context
from service.principal import Principal
from storage.database import Database
from storage.queries.identity import provisioning
from storage.queries.people import departures, erased, people, people_loading
from storage.queries.people.people_loading import LoadResult, PersonToLoad
from storage.recording import admin_acts
from storage.tables.approvals import StoredPerson

Tell = Callable[[str], Awaitable[bool]]
"""Have a request read the directory again, by its id; False where there is no need, as it has ended in the engine.

Raises Unavailable where the engine was not reached."""

_TOLD_AT_ONCE = 16
_ADMIN = "admin"
# What a person is known by, or what cannot be changed by whoever sends it.
_NOT_CHANGED = {"id", "away", "updated_at"}
# What an act of administration tells with the values: what a person may do, and whom they belong to. Of the rest, such
# as names and addresses, it tells only that it has changed.
_RIGHTS = {"access", "roles", "groups", "manager", "active", "actor_type", "principal"}
EDITED: Final = (
    "name",
    "email",
    "department",
    "manager",
    "access",
    "roles",
    "groups",
    "active",
    "actor_type",
    "principal",
)
"""What the page of a person changes of them."""
_SEALED = {"roles", "groups", "manager", "principal"}
"""What acts hold of a person's row until the person is erased; access and activity stay."""
_OVERTAKEN = "somebody else has changed this meanwhile; look at it, and send it again"
_OWN_AFFAIRS = {"away", "preferences"}
# Null means that it stays.
_AS_THEY_ARE = {"name", "preferences"}


async def create_person(context: Context, principal: Principal, given: PersonDocument) -> StoredPerson:
    """Store a new person; raises Conflict where there is one of that id, InputInvalid for whom it names."""
    now = context.now()

    def store(connection: Connection) -> StoredPerson:
        erased.require_not_erased(connection, given.id)
        if people.find(connection, given.id) is not None:
            raise Conflict(sentence("There is a person {id!r} already; PUT changes them.", id=given.id))
        _require_named(connection, given, given.id, now)
        return people.put(connection, given.row(given.id, now), keep_preferences=given.preferences is None)

    return await write_with_act(context.database, principal.acted_by, now, _added, store)


async def put_person(
    context: Context, principal: Principal, person: str, given: PersonFacts, *, named: str | None = None
) -> tuple[StoredPerson, bool]:
    """Store a person, new or changed, and say whether they are new; all but admins can change their own `away`.

    `named` is the id in what was sent, if there is one. Raises NotPermitted and InputInvalid.
    """
    if not principal.admin and person != principal.person:
        raise NotPermitted("Only an admin may change other people. You may change your own `away`.")
    if named not in {None, person}:
        message = sentence("the path says {person!r}; leave the id out, or send the same id", person=person)
        raise InputInvalid(
            sentence("/id: {message}", message=message), problems=(Problem(pointer="/id", message=message),)
        )
    now = context.now()

    def store(connection: Connection) -> tuple[StoredPerson, bool]:
        before = people.find(connection, person)
        known = None if before is None else before.model_dump()
        row = given.row(person, now)
        if principal.admin:
            _require_named(connection, given, person, now)
        else:
            assert before is not None, "whoever calls is there"  # noqa: S101
            _require_nothing_else(before, row, given)
            _require_named(connection, given.model_copy(update={"manager": None}), person, now)
            row = StoredPerson(**before.model_dump() | {"away": row.away, "updated_at": now})
        _require_an_admin(connection, row)
        stored = people.put(connection, row, keep_preferences=given.preferences is None)
        act = _added(stored) if known is None else _changed(principal, known, stored)
        if act is not None:
            admin_acts.record(connection, principal.acted_by, act, now)
        return stored, known is None

    return await context.database.write(store)


async def change_person(
    context: Context, principal: Principal, person: str, was: PersonFacts, given: PersonFacts
) -> StoredPerson:
    """Change what an admin has changed of a person since they looked; all else stays as it is now.

    `was` is what they saw, and `given` what they sent; both hold what EDITED names. Raises NotFound, NotPermitted, and
    InputInvalid for whom it names, and for what somebody else has changed meanwhile to something else.
    """
    if not principal.admin:
        raise NotPermitted("Only an admin may change other people.")
    wanted, seen = given.row(person, now := context.now()), was.row(person, now)
    changes = {name: getattr(wanted, name) for name in EDITED if getattr(wanted, name) != getattr(seen, name)}

    def store(connection: Connection) -> StoredPerson:
        before = people.get(connection, person).model_dump()
        overtaken = tuple(
            Problem(
                pointer=f"/{name}", message="somebody else has changed this meanwhile; look at it, and send it again"
            )
            for name, value in changes.items()
            if before[name] not in (value, getattr(seen, name))
        )
        if overtaken:
            raise InputInvalid("Somebody else has changed the same of this person meanwhile.", problems=overtaken)
        _require_named(connection, given.model_copy(update={"away": []}), person, now)
        row = StoredPerson(**before | changes | {"updated_at": now})
        _require_an_admin(connection, row)
        stored = people.put(connection, row, keep_preferences=True)
        if (act := _changed(principal, before, stored)) is not None:
            admin_acts.record(connection, principal.acted_by, act, now)
        return stored

    return await context.database.write(store)


async def add_absence(context: Context, principal: Principal, person: str, absence: Away) -> StoredPerson:
    """Add an absence to those of a person, one's own or as an admin; raises NotFound, NotPermitted and InputInvalid.

    Of more than a person can have, the ones that ended first go.
    """
    now = context.now()
    facts = PersonFacts(away=[absence])

    def add(connection: Connection, spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
        _require_named(connection, facts, person, now)
        kept = [span for span in spans if span != absence.stored]
        return [*sorted(kept, key=lambda span: str(span["until"]))[-(MOST_ABSENCES - 1) :], absence.stored]

    return await _change_absences(context, principal, person, add, now)


async def remove_absence(context: Context, principal: Principal, person: str, start: str, until: str) -> StoredPerson:
    """Remove an absence, named by its moments as they are stored; one that is gone already is ignored.

    Raises NotFound and NotPermitted.
    """

    def remove(_: Connection, spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [span for span in spans if (span.get("from"), span.get("until")) != (start, until)]

    return await _change_absences(context, principal, person, remove, context.now())


async def _change_absences(
    context: Context,
    principal: Principal,
    person: str,
    change: Callable[[Connection, list[dict[str, Any]]], list[dict[str, Any]]],
    now: datetime,
) -> StoredPerson:
    """Change the absences of a person as they are now, so that nothing is lost that somebody else changes meanwhile."""
    if not principal.admin and person != principal.person:
        raise NotPermitted("Only an admin may change the absences of other people.")

    def store(connection: Connection) -> StoredPerson:
        before = people.get(connection, person).model_dump()
        away = change(connection, [dict(span) for span in before["away"]])
        row = people.put(connection, StoredPerson(**before | {"away": away, "updated_at": now}), keep_preferences=True)
        if (act := _changed(principal, before, row)) is not None:
            admin_acts.record(connection, principal.acted_by, act, now)
        return row

    return await context.database.write(store)


async def name_outside(context: Context, principal: Principal, person: str, external_id: str | None) -> None:
    """Store what whoever provisions people calls a person."""
    now = context.now()

    def store(connection: Connection) -> None:
        before = people.get(connection, person).external_id
        provisioning.set_external_id(connection, person, external_id)
        if before != external_id:
            act = Act(kind="person_changed", target=f"person:{person}", detail={"changed": ["external_id"]})
            admin_acts.record(connection, principal.acted_by, act, now)

    await context.database.write(store)


async def load_people(
    database: Database,
    listed: Sequence[PersonDocument],
    now: datetime,
    *,
    complete: bool = False,
    without_admin: bool = False,
    by: ActedBy = OPERATOR,
) -> LoadResult:
    """Create or replace all people of a list, in batches; if one is invalid, none is stored.

    With `complete`, whoever is not in the list has left. What is stored like this already is not written, so a load
    that was interrupted is repeated. Raises InputInvalid that names each place that is wrong, and LastAdmin where the
    list takes that access from the last who has it, unless `without_admin`.
    """
    gone = await database.read(erased.among, [person.id for person in listed])
    wanted = _wanted(listed, await database.read(_elsewhere, listed), gone, now)
    return await people_loading.load(database, wanted, now, complete=complete, keep_admin=not without_admin, by=by)


async def tell_departures(database: Database, tell: Tell, now: datetime) -> None:
    """Tell the requests of everyone whose departure is due to be looked at, so that they move the tasks on.

    Where the engine is not reached, the departure is due again within seconds, however old it is.
    """
    for person in await database.read(departures.due, now):
        requests = await database.write(departures.take, person, now)
        if requests is None:
            continue
        turn = asyncio.Semaphore(_TOLD_AT_ONCE)

        async def one(request_id: str, turn: asyncio.Semaphore = turn) -> bool | None:
            async with turn:
                try:
                    return await tell(request_id)
                except Unavailable:
                    return None

        answers = await asyncio.gather(*(one(request_id) for request_id in requests))
        if None in answers:
            continue
        if not any(answers):
            await database.write(departures.settle, person, now)
        await database.write(departures.postpone, person, now)


def _added(person: StoredPerson) -> Act:
    return Act(kind="person_added", target=f"person:{person.id}", detail={"access": list(person.access)})


def _changed(principal: Principal, before: Mapping[str, Any], person: StoredPerson) -> Act | None:
    """Return the act of changing a person; None where nothing differs, or only what is one's own affair."""
    after = person.model_dump()
    names = sorted(name for name in after.keys() - {"updated_at"} if before[name] != after[name])
    if not names or (person.id == principal.person and set(names) <= _OWN_AFFAIRS):
        return None
    shown = {name: {"before": before[name], "after": after[name]} for name in names if name in _RIGHTS}
    sealed = tuple(name for name in names if name in _SEALED)
    return Act(kind="person_changed", target=f"person:{person.id}", detail={"changed": names, **shown}, sealed=sealed)


def _wanted(
    listed: Sequence[PersonDocument], elsewhere: Mapping[str, bool], gone: Collection[str], now: datetime
) -> list[PersonToLoad]:
    """Return a list of people as they shall be stored; raises InputInvalid that names each place that is wrong.

    `elsewhere` says of those whom they name, and who are not in the list, whether they are active; `gone` were erased.
    """
    problems: list[Problem] = []
    rows: dict[str, PersonToLoad] = {}
    known = {**elsewhere, **{person.id: person.active for person in listed}}
    for number, person in enumerate(listed):
        found = person.misnamed(person.id, known, now)
        problems += [replace(problem, pointer=f"/{number}{problem.pointer}") for problem in found]
        if person.id in gone:
            message = sentence("{id!r} was erased; leave them out of the list, or give another id", id=person.id)
            problems.append(Problem(pointer=f"/{number}/id", message=message))
        if person.id in rows:
            message = sentence("{id!r} is in the list already; name everybody once", id=person.id)
            problems.append(Problem(pointer=f"/{number}/id", message=message))
        rows[person.id] = PersonToLoad(person=person.row(person.id, now), keep_preferences=person.preferences is None)
    if problems:
        raise InputInvalid("The list of people is wrong; nobody was loaded.", problems=tuple(problems))
    return list(rows.values())


def _elsewhere(connection: Connection, listed: Sequence[PersonDocument]) -> dict[str, bool]:
    """Tell of everybody whom a list names and does not hold whether they are active."""
    return people.activity(connection, {name for person in listed for name in person.named} - {p.id for p in listed})


def _require_named(connection: Connection, facts: PersonFacts, person: str, now: datetime) -> None:
    """Raise InputInvalid where somebody is named who cannot be meant."""
    known = people.activity(connection, facts.named)
    problems = tuple(facts.misnamed(person, known, now))
    if problems:
        raise InputInvalid(
            sentence("{pointer}: {message}", pointer=problems[0].pointer, message=problems[0].message),
            problems=problems,
        )


def _require_an_admin(connection: Connection, person: StoredPerson) -> None:
    """Raise LastAdmin where nobody could administer any more once this person is stored."""
    before = people.find(connection, person.id)
    was = before is not None and before.active and _ADMIN in before.access
    gives_up = was and not (person.active and _ADMIN in person.access)
    if gives_up and not people.others_with(connection, _ADMIN, person.id):
        pointer = "/access" if person.active else "/active"
        raise LastAdmin.at(pointer, "nobody else is an admin; give somebody else this access first")


def _require_nothing_else(before: StoredPerson, after: StoredPerson, given: PersonFacts) -> None:
    """Raise NotPermitted where somebody would change more of themself than when they are away."""
    if "away" not in given.model_fields_set:
        raise NotPermitted("You can change only `away`; send it, or null.")
    changed = [
        name
        for name in sorted(given.model_fields_set - _NOT_CHANGED)
        if getattr(before, name) != getattr(after, name) and not (name in _AS_THEY_ARE and getattr(given, name) is None)
    ]
    if changed:
        problems = tuple(
            Problem(pointer=f"/{name}", message="an admin can change this; leave it out") for name in changed
        )
        raise NotPermitted("You can change only `away`; ask an admin for the rest.", problems=problems)
