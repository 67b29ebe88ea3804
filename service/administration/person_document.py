"""A person as a document describes them: over HTTP, and in the file that the command line loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, ValidationError, WrapValidator, model_validator
from pydantic_core import InitErrorDetails

from placet.audit.chain import moment
from placet.engine.events import ActorType
from placet.errors import Problem
from placet.json_text import with_floats
from placet.sentences import sentence
from service.documents import Document, Moment, PersonRef
from service.principal import ACCESS, DEFAULT_ACCESS
from storage.tables.approvals import StoredPerson

MOST_ABSENCES: Final = 100


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


class Away(Document):
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
        return OneSpan(read([value]))
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
_DEFAULT: tuple[Access, ...] = DEFAULT_ACCESS
assert get_args(Access) == ACCESS  # noqa: S101 - a type cannot be made of names that are elsewhere


class OneSpan(list[Away]):
    """The spans of somebody for whom one was sent, and no list."""


class PersonFacts(Document):
    """A person without the id, for calls that name it in their path."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    email: Annotated[str, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    manager: PersonRef | None = None
    department: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    groups: Names = Field(default_factory=list)
    roles: Names = Field(default_factory=list)
    access: Annotated[list[Access], AfterValidator(_each_once)] = Field(default_factory=lambda: list(_DEFAULT))
    away: Annotated[
        list[Away],
        Field(max_length=MOST_ABSENCES),
        WrapValidator(_one_or_many, json_schema_input_type=Away | list[Away] | None),
    ] = Field(default_factory=list)
    preferences: dict[str, Any] | None = None
    actor_type: ActorType = "person"
    principal: PersonRef | None = None  # of an agent: the person whom it acts for
    active: StrictBool = True
    updated_at: Any = None  # not to be set; taken so that what was read can be changed and sent back

    @property
    def named(self) -> frozenset[str]:
        """Return the ids of the people whom this names: the manager, an agent's principal, and substitutes."""
        substitutes = (span.substitute for span in self.away)
        return frozenset(name for name in (self.manager, self.principal, *substitutes) if name)

    def misnamed(self, person: str, known: Mapping[str, bool], now: datetime) -> Iterator[Problem]:
        """Yield each place where this names somebody who cannot be meant.

        `known` says of the people whom this names whether they are active. A manager may have left, for those above
        take what would be theirs, and so may the substitute of an absence that is over.
        """
        if self.manager == person:
            yield Problem(pointer="/manager", message="nobody is their own manager; name another, or null for nobody")
        elif self.manager is not None and self.manager not in known:
            yield Problem(
                pointer="/manager",
                message=sentence("there is no person {manager!r}; add them first", manager=self.manager),
            )
        if self.principal is not None and self.actor_type != "agent":
            yield Problem(pointer="/principal", message="only an agent acts for somebody; leave it out")
        elif self.principal is not None and (self.principal == person or self.principal not in known):
            message = sentence(
                "there is no other person {principal!r}; name whom the agent acts for", principal=self.principal
            )
            yield Problem(pointer="/principal", message=message)
        for index, span in enumerate(self.away):
            place = "/away/substitute" if isinstance(self.away, OneSpan) else f"/away/{index}/substitute"
            if span.substitute == person:
                yield Problem(pointer=place, message="nobody stands in for themself; name another, or null for nobody")
            elif span.substitute is not None and span.until > now and not known.get(span.substitute):
                message = sentence(
                    "there is no active person {substitute!r}; give the id of one", substitute=span.substitute
                )
                yield Problem(pointer=place, message=message)

    def row(self, person: str, now: datetime) -> StoredPerson:
        """Return the person as they are stored under this id."""
        return StoredPerson(
            id=person,
            name=self.name or person,
            email=self.email,
            manager=self.manager,
            department=self.department,
            roles=self.roles,
            groups=self.groups,
            access=list(self.access),
            away=[span.stored for span in self.away],
            preferences=with_floats(self.preferences or {}),
            active=self.active,
            actor_type=self.actor_type,
            principal=self.principal,
            updated_at=now,
        )


class PersonDocument(PersonFacts):
    """A person as the organisation knows them; `roles` are the organisation's, `access` is Placet's."""

    id: PersonRef
