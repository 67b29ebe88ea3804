"""The static types of the expression language, and what an expression may read besides variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["string", "int", "decimal", "bool", "date", "timestamp", "null", "list", "object"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Type:
    """Describe what a value is. `optional`: it may be absent, which is no part of what it is when it is there."""

    kind: Kind
    item: Type | None = None  # of a list
    fields: tuple[tuple[str, Type], ...] = ()  # of an object, sorted by name
    optional: bool = False

    @property
    def present(self) -> Type:
        """Return the type of the value when it is there."""
        return replace(self, optional=False) if self.optional else self

    @property
    def number(self) -> bool:
        """Say whether this is one of the two kinds of numbers."""
        return self.kind in {"int", "decimal"}

    def field(self, name: str) -> Type | None:
        """Return the type of an object's field, None where it has no such field."""
        return dict(self.fields).get(name)

    def described(self) -> Any:
        """Return plain JSON: a kind's name, `{"list": T}`, `{"object": {name: T}}` or `{"optional": T}`."""
        if self.optional:
            return {"optional": self.present.described()}
        if self.kind == "list" and self.item is not None:
            return {"list": self.item.described()}
        if self.kind == "object":
            return {"object": {name: of.described() for name, of in self.fields}}
        return self.kind

    def __str__(self) -> str:
        """Name the type as an author would."""
        if self.kind == "list" and self.item is not None:
            return f"list({self.item})"
        if self.kind == "object":
            return f"object({', '.join(name for name, _ in self.fields)})"
        return self.kind


Scope: TypeAlias = Mapping[str, Type]

STRING = Type(kind="string")
INT = Type(kind="int")
DECIMAL = Type(kind="decimal")
BOOL = Type(kind="bool")
DATE = Type(kind="date")
TIMESTAMP = Type(kind="timestamp")
NULL = Type(kind="null")

_SCALARS = {of.kind: of for of in (STRING, INT, DECIMAL, BOOL, DATE, TIMESTAMP, NULL)}


def list_of(item: Type) -> Type:
    """Return the type of lists of `item`."""
    return Type(kind="list", item=item.present)


def object_of(fields: Mapping[str, Type]) -> Type:
    """Return the type of objects with these fields; the optional ones may be absent."""
    return Type(kind="object", fields=tuple(sorted(fields.items())))


def type_from(described: Any) -> Type:
    """Read back what `Type.described` wrote. Raises KeyError or ValueError for anything else."""
    if isinstance(described, str):
        return _SCALARS[described]  # type: ignore[index]  # another word is the KeyError that is promised
    [(word, inner)] = described.items()
    if word == "optional":
        return replace(type_from(inner), optional=True)
    if word == "list":
        return list_of(type_from(inner))
    if word == "object":
        return object_of({name: type_from(of) for name, of in inner.items()})
    raise ValueError(word)


# What an expression may read besides variables: the moment, the time zone, and facts about the requester. Among the
# values that an expression is evaluated with, each stands under a name that no variable can have.
NOW = "$now"  # the moment at which the node was entered: a datetime in UTC
ZONE = "$zone"  # the process's time zone (placet.expressions.moments.Offsets); without it, UTC
REQUESTER = "$requester"  # a mapping, of the fields below
NAMES = (NOW, REQUESTER)

REQUESTER_WORD = "requester"
_OPTIONAL_STRING = Type(kind="string", optional=True)
REQUESTER_TYPE = object_of(
    {
        "id": STRING,
        "department": _OPTIONAL_STRING,
        "manager": _OPTIONAL_STRING,  # their id
        "managers": INT,  # how many there are above them
        "groups": list_of(STRING),
        "roles": list_of(STRING),
    }
)
