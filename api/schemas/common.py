"""The base classes of bodies and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, GetJsonSchemaHandler, PlainSerializer
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from placet.audit.chain import moment
from placet.json_pointer import parts_of, pointer_of
from service.documents import Document

Item = TypeVar("Item")


def with_examples(*examples: Any) -> ConfigDict:
    """Return the configuration of a body whose schema shows these examples."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": list(examples)})


class Body(Document):
    """The base of request bodies. A field may have several names; the schema lists all of them."""

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
        """Add the other names of fields to the schema, which forbids unknown fields."""
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
    """Base class of response models."""

    model_config = ConfigDict(frozen=True)


Shown = Annotated[datetime, PlainSerializer(moment, return_type=str)]
"""A moment in an answer: RFC 3339 in UTC."""


class Listed(View, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None


class FieldProblem(View):
    """One error, with the JSON Pointer of the field."""

    pointer: str
    message: str


class ProblemDocument(View):
    """An error (RFC 9457). `errors` has the JSON Pointer and the message of each fault."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem]


def shown(person: str | None) -> str | None:
    """Return a person's id in the form of answers: `user:ID`."""
    return None if person is None else f"user:{person}"
