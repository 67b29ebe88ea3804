"""People: what is sent to store one, and what is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from api.body import with_floats
from api.identity import Principal
from api.schemas.common import Body, Moment, PersonRef, Shown, View
from placet.audit import moment
from placet.errors import InputInvalid, Problem
from storage.people_loading import Wanted
from storage.tables import Person

_EXAMPLE: dict[str, Any] = {
    "id": "mia",
    "name": "Mia Manager",
    "email": "mia@example.com",
    "manager": "dora",
    "groups": ["sales"],
    "roles": ["department_head"],
    "access": ["approver"],
    "away": {"from": "2026-08-03T00:00:00Z", "until": "2026-08-17T00:00:00Z", "substitute": "dora"},
    "preferences": {},
    "active": True,
}


def _day(days: int) -> Callable[[Any], Any]:
    """Read a plain date as the midnight (UTC) at its beginning, `days` later; leave all else to who comes next."""

    def read(value: Any) -> Any:
        try:
            day = date.fromisoformat(value) if isinstance(value, str) and len(value) == len("2026-01-31") else None
        except ValueError:
            day = None
        if day is None:
            return value
        try:
            return datetime.combine(day, time(), UTC) + timedelta(days=days)
        except OverflowError:  # the end of all days
            return datetime.max.replace(tzinfo=UTC)

    return read


class Away(Body):
    """A span in which somebody is away: from its first moment up to `until`; of plain dates, the last one is in it."""

    start: Annotated[Moment, BeforeValidator(_day(0), json_schema_input_type=datetime | date), Field(alias="from")]
    until: Annotated[Moment, BeforeValidator(_day(1), json_schema_input_type=datetime | date)]
    substitute: PersonRef | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Away:
        if self.until <= self.start:
            raise ValueError('"until" must come after "from"')
        return self

    @property
    def stored(self) -> dict[str, Any]:
        """Return the span as it is stored."""
        return {"from": moment(self.start), "until": moment(self.until), "substitute": self.substitute}


def _one_or_many(value: Any, read: Callable[[Any], list[Away]]) -> list[Away]:
    """Read null, a span or a list of spans; the places of faults are those of what was sent."""
    if value is None or (isinstance(value, dict) and all(part is None for part in value.values())):
        return []
    if isinstance(value, list):
        return read(value)
    try:
        return read([value])
    except ValidationError as error:
        faults = [
            InitErrorDetails(type=e["type"], loc=e["loc"][1:], input=e["input"], ctx=e.get("ctx", {}))
            for e in error.errors(include_url=False)
        ]
        raise ValidationError.from_exception_data(error.title, faults) from error


def _each_once(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}$")]
Names = Annotated[list[Name], Field(max_length=200), AfterValidator(_each_once)]
Access = Literal["requester", "approver", "designer", "auditor", "admin"]


class PersonFacts(Body):
    """A person without the id, for calls that name it in their path."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    email: Annotated[str, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    manager: PersonRef | None = None
    groups: Names = Field(default_factory=list)
    roles: Names = Field(default_factory=list)
    access: Annotated[list[Access], AfterValidator(_each_once)] = Field(default_factory=list)
    away: Annotated[
        list[Away],
        Field(max_length=100),
        WrapValidator(_one_or_many, json_schema_input_type=Away | list[Away] | None),
    ] = Field(default_factory=list)
    preferences: dict[str, Any] | None = None
    active: StrictBool = True
    updated_at: Any = None  # not to be set; taken so that what was read can be changed and sent back

    def row(self, person: str, now: datetime) -> Person:
        """Return the person as they are stored under this id; raises InputInvalid."""
        if self.manager == person:
            message = "nobody is their own manager; name another, or null for nobody"
            raise InputInvalid(f"/manager: {message}", problems=(Problem(pointer="/manager", message=message),))
        return Person(
            id=person,
            name=self.name or person,
            email=self.email,
            manager=self.manager,
            roles=self.roles,
            groups=self.groups,
            access=list(self.access),
            away=[span.stored for span in self.away],
            preferences=with_floats(self.preferences or {}),
            active=self.active,
            updated_at=now,
        )


class PersonBody(PersonFacts):
    """A person as the organisation knows them; `roles` are the organisation's, `access` is Placet's."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    id: PersonRef


def wanted(people: Sequence[PersonBody], now: datetime) -> list[Wanted]:
    """Return a list of people as they shall be stored; raises InputInvalid that names each place that is wrong."""
    problems: list[Problem] = []
    rows: dict[str, Wanted] = {}
    for number, person in enumerate(people):
        try:
            row = person.row(person.id, now)
        except InputInvalid as error:
            problems += [replace(problem, pointer=f"/{number}{problem.pointer}") for problem in error.problems]
            continue
        if person.id in rows:
            message = f"{person.id!r} is in the list already; name everybody once"
            problems.append(Problem(pointer=f"/{number}/id", message=message))
        rows[person.id] = Wanted(person=row, keep_preferences=person.preferences is None)
    if problems:
        raise InputInvalid("The list of people is wrong; nobody was loaded.", problems=tuple(problems))
    return list(rows.values())


class PersonPut(PersonFacts):
    """A person under the id of the path; an `id` in the body has to be the same."""

    model_config = PersonBody.model_config

    id: PersonRef | None = None


class PersonView(View):
    """One person; `away` is null, one span, or a list where there are several. `preferences` are not for everybody."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    name: str
    email: str | None
    manager: str | None
    groups: list[str]
    roles: list[str]
    access: list[str]
    away: dict[str, Any] | list[dict[str, Any]] | None
    preferences: dict[str, Any] | None
    active: bool
    updated_at: Shown

    @classmethod
    def of(cls, row: Person, viewer: Principal) -> PersonView:
        """Show a stored person; their preferences, which hold private addresses, to them and to admins."""
        away = row.away
        return cls.model_construct(
            id=row.id,
            name=row.name,
            email=row.email,
            manager=row.manager,
            groups=row.groups,
            roles=row.roles,
            access=row.access,
            away=None if not away else away[0] if len(away) == 1 else away,
            preferences=row.preferences if viewer.admin or viewer.person == row.id else None,
            active=row.active,
            updated_at=row.updated_at,
        )
