"""People: the directory that approvers are found in."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.calls import PersonalRoute
from api.deps import Caller, Cursor, Here, Limit, Reading
from api.schemas.common import Listed, PersonOrMe
from api.schemas.people import PersonBody, PersonFacts, PersonPut, PersonView
from placet.errors import Conflict, InputInvalid, NotPermitted, Problem
from storage.queries.people import people
from storage.tables.approvals import Person

router = APIRouter(prefix="/workflow/people", tags=["people"], route_class=PersonalRoute)

# What a person is known by, or what cannot be changed by whoever sends it.
_NOT_CHANGED = {"id", "away", "updated_at"}
# Null means that it stays.
_AS_THEY_ARE = {"name", "preferences"}


@router.get("/")
async def list_people(
    session: Reading, caller: Caller, limit: Limit = 50, cursor: Cursor = None, active: bool | None = None
) -> Listed[PersonView]:
    """List people by id. Addresses are shown to admins only."""
    page = await people.page(session, limit=limit, cursor=cursor, active=active)
    return Listed(items=[PersonView.of(row, caller) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{person_id}/")
async def read_person(session: Reading, caller: Caller, person_id: PersonOrMe) -> PersonView:
    """Show one person; `me` is the caller."""
    return PersonView.of(await people.get(session, caller.person if person_id == "me" else person_id), caller)


@router.post("/", status_code=201)
async def create_person(context: Here, caller: Caller, body: PersonBody) -> PersonView:
    """Store a new person; admins can."""
    now = datetime.now(UTC)
    async with context.database.begin() as session:
        if await people.find(session, body.id) is not None:
            raise Conflict(f"There is a person {body.id!r} already; PUT changes them.")
        await _require_named(session, body, body.id, now)
        row = body.row(body.id, now)
        return PersonView.of(await people.put(session, row, keep_preferences=body.preferences is None), caller)


@router.put("/{person_id}/")
async def put_person(
    context: Here, caller: Caller, person_id: PersonOrMe, body: PersonPut, response: Response
) -> PersonView:
    """Store a person, new or changed; admins can, and everybody can change their own `away`.

    The open tasks of one who becomes inactive move on; while one is away their substitute may decide.
    """
    person = caller.person if person_id == "me" else person_id
    if not caller.admin and person != caller.person:
        raise NotPermitted("Only an admin changes other people; of yourself you can change `away`.")
    if body.id not in {None, person}:
        message = f"the path says {person!r}; leave the id out or write the same"
        raise InputInvalid(f"/id: {message}", problems=(Problem(pointer="/id", message=message),))
    now = datetime.now(UTC)
    async with context.database.begin() as session:
        before = await people.find(session, person)
        row = body.row(person, now)
        if caller.admin:
            await _require_named(session, body, person, now)
        else:
            assert before is not None, "whoever calls is there"  # noqa: S101
            _require_nothing_else(before, row, body)
            await _require_named(session, body.model_copy(update={"manager": None}), person, now)
            row = Person(**before.model_dump() | {"away": row.away, "updated_at": now})
        if before is None:
            response.status_code = 201
        stored = await people.put(session, row, keep_preferences=body.preferences is None)
    return PersonView.of(stored, caller)


async def _require_named(session: AsyncSession, facts: PersonFacts, person: str, now: datetime) -> None:
    """Raise InputInvalid where somebody is named who cannot be meant."""
    known = await session.run_sync(lambda sync: people.activity(sync.connection(), facts.named))
    problems = tuple(facts.misnamed(person, known, now))
    if problems:
        raise InputInvalid(f"{problems[0].pointer}: {problems[0].message}", problems=problems)


def _require_nothing_else(before: Person, after: Person, body: PersonPut) -> None:
    """Raise NotPermitted where somebody would change more of themself than when they are away."""
    if "away" not in body.model_fields_set:
        raise NotPermitted("Of yourself you can change `away`; send it, or null.")
    changed = [
        name
        for name in sorted(body.model_fields_set - _NOT_CHANGED)
        if getattr(before, name) != getattr(after, name) and not (name in _AS_THEY_ARE and getattr(body, name) is None)
    ]
    if changed:
        problems = tuple(
            Problem(pointer=f"/{name}", message="an admin can change this; leave it out") for name in changed
        )
        raise NotPermitted("Of yourself you can change `away`; the rest is for an admin.", problems=problems)
