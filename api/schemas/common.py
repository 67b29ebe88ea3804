"""What the bodies and answers have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from placet.audit.chain import moment
from placet.errors import PlacetError
from placet.json_pointer import parts_of, pointer_of
from placet.plan.assignees import parse_assignee, person_id

Item = TypeVar("Item")

_NOBODY = {"system", "me"}  # what does something by itself, and whoever calls: ids of nobody in particular


class Body(BaseModel):
    """The base of what is sent: nothing unknown is taken, so that a misspelt name is found.

    A field may be sent under one of several names; the schema lists them all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    # What else of the body a field of the core's may come from, by that field's name.
    stands_for: ClassVar[dict[str, tuple[str, ...]]] = {}

    @classmethod
    def names(cls) -> dict[str, tuple[str, ...]]:
        """Return the names under which each field may be sent, the usual one first."""
        found = {name: _names_of(name, field) for name, field in cls.model_fields.items()}
        return {names[0]: names for names in found.values()}

    @classmethod
    def as_sent(cls, pointer: str, raw: object) -> str:
        """Return a pointer to a field by the name under which the field was sent."""
        if not isinstance(raw, dict) or not (parts := parts_of(pointer)) or parts[0] in raw:
            return pointer
        first, *rest = parts
        others = [first, *cls.stands_for.get(first, ())]
        names = cls.names()
        sent = next((name for one in others for name in names.get(one, ()) if name in raw), first)
        return pointer_of([sent, *rest])

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Write the other names of fields into the schema, which would forbid them otherwise."""
        schema = handler.resolve_ref_schema(handler(core))
        properties, required = schema.get("properties", {}), schema.get("required", [])
        for first, *others in cls.names().values():
            if not others or first not in properties:
                continue
            for other in others:
                properties[other] = {**properties[first], "description": f"The same as `{first}`."}
            if first in required:
                required.remove(first)
                schema.setdefault("allOf", []).append({"oneOf": [{"required": [name]} for name in (first, *others)]})
        if not required:
            schema.pop("required", None)
        return schema


def _names_of(name: str, field: FieldInfo) -> tuple[str, ...]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(choice for choice in alias.choices if isinstance(choice, str))
    return (alias if isinstance(alias, str) else name,)


class View(BaseModel):
    """The base of what is shown."""

    model_config = ConfigDict(frozen=True)


def _text_only(value: Any) -> Any:
    if isinstance(value, str | datetime):
        return value
    raise ValueError("write a moment as text, such as 2026-01-31T09:00:00Z")


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC this lies outside of the years 1 to 9999; write another moment") from None


def _person(reference: str) -> str:
    bare = person_id(reference)
    try:
        who = parse_assignee(f"user:{bare}")
    except PlacetError as error:
        raise ValueError("write a person's id: letters, digits and . _ @ + -, at most 128") from error
    if bare in _NOBODY or who.kind != "user":
        raise ValueError(f"{bare!r} is no person's id; choose another")
    return bare


Shown = Annotated[datetime, PlainSerializer(moment, return_type=str)]
"""A moment in an answer: RFC 3339 in UTC."""
Moment = Annotated[AwareDatetime, BeforeValidator(_text_only), AfterValidator(_in_utc)]
"""A moment in a body: RFC 3339 with its offset; read in UTC."""
PersonRef = Annotated[str, Field(max_length=140), AfterValidator(_person)]
"""A person in a body, as `user:alice` or `alice`; read as the bare id."""
PersonOrMe = Annotated[
    str, Field(max_length=140), AfterValidator(lambda given: given if given == "me" else _person(given))
]
"""A person in an address; `me` is whoever calls."""
Words = Annotated[str, Field(max_length=10_000)]
"""A comment or a reason."""


class Listed(View, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None


class FieldProblem(View):
    """What is wrong at one place of what was sent."""

    pointer: str
    message: str


class ProblemDocument(View):
    """An error as RFC 9457 has it, with a pointer for every place that is wrong."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem]


def shown(person: str | None) -> str | None:
    """Write a person's id as answers do."""
    return None if person is None else f"user:{person}"
