"""Shapes of values: what a variable, a list's item or an object's property may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, NoReturn, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from placet.audit.reasons import InvalidValue, Reason, because, words
from placet.errors import Problem
from placet.expressions import moments
from placet.expressions.number import DIGITS, INT_MAX, INT_MIN, bounded, read_decimal, write_decimal
from placet.expressions.patterns import compile_pattern
from placet.json_pointer import pointer_to
from placet.sentences import sentence

MAX_LENGTH = 10_000  # characters of a string that states no length of its own
MAX_ITEMS = 1_000  # items of a list that states no length of its own
MAX_DEPTH = 8  # of lists and objects inside each other
MAX_PROBLEMS = 100  # of one input; who sends more than this has sent something else
_MAX_WORK = 400_000  # characters times states of a pattern: some milliseconds at the very worst
MOST_WORK = 2_000_000  # of all patterns and texts of one input together

# The reserved words of CEL: none can be a name in a condition.
RESERVED = frozenset(
    {
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "null",
    }
    | {"namespace", "package", "return", "true", "var", "void", "while"}
)

ShapeType: TypeAlias = Literal["string", "integer", "decimal", "boolean", "date", "datetime", "list", "object"]
Bound: TypeAlias = StrictInt | StrictFloat | StrictStr
Scalar: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr

_ORDERED = {"integer", "decimal", "date", "datetime"}
_SCALAR = _ORDERED | {"string"}
# Which types each further fact belongs to.
_APPLIES: dict[str, set[str]] = {
    "minimum": _ORDERED,
    "maximum": _ORDERED,
    "enum": _SCALAR,
    "pattern": {"string"},
    "min_length": {"string", "list"},
    "max_length": {"string", "list"},
    "items": {"list"},
    "properties": {"object"},
    "currency": {"decimal"},
    "scale": {"decimal"},
}


def _usable_name(name: str) -> str:
    if name in RESERVED:
        raise ValueError(
            sentence("{name!r} is a reserved word of the expression language; choose another name", name=name)
        )
    return name


Name: TypeAlias = Annotated[str, Field(pattern=r"\A[A-Za-z_][A-Za-z0-9_]{0,63}\z"), AfterValidator(_usable_name)]


class Shape(BaseModel):
    """Describe one value. What is stated here (bounds, default) is kept as its author wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: ShapeType
    required: bool = False  # of a variable or a property; a list's items are always there
    default: Any = None
    title: str | None = None
    description: str | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None
    enum: tuple[Scalar, ...] | None = Field(default=None, min_length=1, max_length=1_000)
    pattern: str | None = None  # see placet.expressions.patterns; anywhere in the text, as in JSON Schema
    min_length: int | None = Field(default=None, ge=0, le=1_000_000)  # characters or items
    max_length: int | None = Field(default=None, ge=0, le=1_000_000)
    items: Shape | None = None
    properties: dict[Name, Shape] | None = Field(default=None, max_length=100)
    currency: str | None = Field(default=None, pattern=r"\A[A-Z]{3}\z")  # ISO 4217
    scale: int | None = Field(default=None, ge=0, le=12)  # digits after the point; more are refused, never rounded

    @property
    def optional(self) -> bool:
        """Say whether the value may be absent once defaults are filled in."""
        return not self.required and self.default is None

    @property
    def depth(self) -> int:
        """Return how many lists and objects are inside each other."""
        inner = [*([self.items] if self.items else []), *(self.properties or {}).values()]
        return 1 + max((shape.depth for shape in inner), default=0)

    @cached_property
    def patterned(self) -> bool:
        """Say whether it or anything in it has a pattern."""
        inner = [*([self.items] if self.items else []), *(self.properties or {}).values()]
        return self.pattern is not None or any(shape.patterned for shape in inner)

    @cached_property
    def lowest(self) -> Any:
        """Return the minimum as a Python value, None where there is none."""
        return self._stated("minimum", self.minimum)

    @cached_property
    def highest(self) -> Any:
        """Return the maximum as a Python value, None where there is none."""
        return self._stated("maximum", self.maximum)

    @cached_property
    def choices(self) -> frozenset[Any]:
        """Return what `enum` allows, in canonical form."""
        return frozenset(_READ[self.type](self, choice) for choice in self.enum or ())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for fact, types in _APPLIES.items():
            if getattr(self, fact) is not None and self.type not in types:
                raise ValueError(
                    sentence(
                        "{fact} does not apply to {type}; only to {names}",
                        fact=fact,
                        type=self.type,
                        names=", ".join(sorted(types)),
                    )
                )
        if self.type == "list" and self.items is None:
            raise ValueError('a list needs items: the shape of its entries, such as {"type": "string"}')
        if self.type == "object" and not self.properties:
            raise ValueError('an object needs properties, such as {"price": {"type": "decimal"}}')
        if self.depth > MAX_DEPTH:
            raise ValueError(sentence("more than {max_depth} lists and objects inside each other", max_depth=MAX_DEPTH))
        if self.pattern is not None:
            compile_pattern(self.pattern)
        self._stated_values_fit()
        return self

    def _stated(self, fact: str, bound: Bound | None) -> Any:
        try:
            return None if bound is None else typed(self, _READ[self.type](self, bound))
        except ValueError as error:
            raise ValueError(sentence("{fact}: {error}", fact=fact, error=error.args[0])) from None

    def _stated_values_fit(self) -> None:
        if None not in (self.lowest, self.highest) and self.lowest > self.highest:
            raise ValueError("minimum is above maximum")
        if self.min_length is not None and self.max_length is not None and self.min_length > self.max_length:
            raise ValueError("min_length is above max_length")
        if self.enum is not None and len(self.choices) < len(self.enum):
            raise ValueError("enum names a value twice")
        problems: list[Problem] = []
        for number, choice in enumerate(self.enum or ()):
            read(self, choice, f"enum/{number}", problems)
        if self.default is not None:
            read(self, self.default, "default", problems)
        if problems:
            raise ValueError(sentence("{pointer}: {message}", pointer=problems[0].pointer, message=problems[0].message))


def matching_work(shape: Shape, raw: object) -> int:
    """Count what matching a value's texts with their patterns takes at worst, in characters times states."""
    if not shape.patterned:
        return 0
    if isinstance(raw, str):
        return len(raw) * compile_pattern(shape.pattern).size if shape.pattern is not None else 0
    if isinstance(raw, Mapping):
        inner = ((shape.properties or {}).get(name) for name in raw)
        return sum(matching_work(one, raw[name]) for name, one in zip(raw, inner, strict=True) if one is not None)
    if isinstance(raw, list | tuple) and shape.items is not None:
        return sum(matching_work(shape.items, item) for item in raw)
    return 0


def read(shape: Shape, raw: object, pointer: str, problems: list[Problem]) -> Any:
    """Return the canonical, JSON-safe form of a value; where it does not fit, add to `problems` and return None."""
    try:
        if shape.type == "list":
            return _read_list(shape, raw, pointer, problems)
        if shape.type == "object":
            if not isinstance(raw, Mapping):
                _refuse("an object", raw)
            return read_members(shape.properties or {}, raw, pointer, problems)
        value = _READ[shape.type](shape, raw)
        _within(shape, value)
    except ValueError as error:
        reason = error.reason if isinstance(error, InvalidValue) else None
        message = str(error) if reason is None else words(reason)
        problems.append(Problem(pointer=pointer, message=message, reason=reason))
        return None
    return value


def read_members(shapes: Mapping[str, Shape], raw: Mapping[Any, object], pointer: str, problems: list[Problem]) -> Any:
    """Return the canonical form of an object: defaults filled in, absent optional members left out."""
    # A stray member is worth a sentence of its own; which names there are is in every one of them.
    for key in raw:
        if key not in shapes and len(problems) < MAX_PROBLEMS:
            known = list(shapes)[:20] or "none"
            problems.append(_problem(pointer_to(pointer, _printable(key)), because("unknown_name", known=known)))
    members: dict[str, Any] = {}
    for name, shape in shapes.items():
        value = raw.get(name)
        if value is None:
            value = shape.default
        if value is not None:
            members[name] = read(shape, value, pointer_to(pointer, name), problems)
        elif shape.required:
            problems.append(_problem(pointer_to(pointer, name), because("value_required", type=shape.type)))
    return members


def typed(shape: Shape, canonical: Any) -> Any:
    """Return the Python value of a canonical one: Decimal, date, datetime (UTC), int, bool, str, list, dict."""
    if shape.type == "decimal":
        return Decimal(canonical)
    if shape.type == "date":
        return moments.read_date(canonical)
    if shape.type == "datetime":
        return moments.read_timestamp(canonical)
    if shape.type == "list" and shape.items is not None:
        return [typed(shape.items, item) for item in canonical]
    if shape.type == "object" and shape.properties is not None:
        return {name: typed(shape.properties[name], value) for name, value in canonical.items()}
    return canonical


def _problem(pointer: str, reason: Reason) -> Problem:
    return Problem(pointer=pointer, message=words(reason), reason=reason)


def _printable(key: object) -> str:
    return str(key)[:100].encode("utf-8", "replace").decode()


def _kind(raw: object) -> str:
    kinds = {bool: "a boolean", int: "a number", float: "a number", Decimal: "a number", str: "a string"}
    return kinds.get(type(raw), "null" if raw is None else "a list" if isinstance(raw, list | tuple) else "an object")


def _refuse(needed: str, raw: object) -> NoReturn:
    raise InvalidValue("wrong_kind", needed=needed, found=_kind(raw))


def _read_list(shape: Shape, raw: object, pointer: str, problems: list[Problem]) -> Any:
    if not isinstance(raw, list | tuple) or shape.items is None:
        _refuse("a list", raw)
    _length(shape, len(raw), "items", MAX_ITEMS)
    items = []
    for number, item in enumerate(raw):
        if len(problems) >= MAX_PROBLEMS:
            break
        items.append(read(shape.items, item, pointer_to(pointer, number), problems))
    return items


def _length(shape: Shape, length: int, what: str, most: int) -> None:
    least, most = shape.min_length or 0, most if shape.max_length is None else shape.max_length
    if length < least:
        raise InvalidValue("too_few", least=least, what=what, count=length)
    if length > most:
        raise InvalidValue("too_many", most=most, what=what, count=length)


def _read_string(shape: Shape, raw: object) -> str:
    if not isinstance(raw, str):
        _refuse("a string", raw)
    _length(shape, len(raw), "characters", MAX_LENGTH)
    # Neither can be stored: PostgreSQL refuses U+0000, UTF-8 the halves of a surrogate pair.
    if "\0" in raw or any("\ud800" <= char <= "\udfff" for char in raw):
        raise InvalidValue("no_text")
    if shape.pattern is not None:
        pattern = compile_pattern(shape.pattern)
        if len(raw) * pattern.size > _MAX_WORK:
            raise InvalidValue("too_long_for_pattern")
        if not pattern.search(raw):
            raise InvalidValue("not_matching", pattern=shape.pattern)
    return raw


def _read_integer(_: Shape, raw: object) -> int:
    if isinstance(raw, float | Decimal):
        # 5.0 is a whole number to JSON. Beyond 2^53 a float no longer says which one.
        if not math.isfinite(raw) or raw != int(raw) or abs(int(raw)) >= 2**53:
            raise InvalidValue("whole_number_needed")
        raw = int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        _refuse("a whole number", raw)
    if not INT_MIN <= raw <= INT_MAX:
        raise InvalidValue("whole_number_too_large")
    return raw


def _read_decimal(shape: Shape, raw: object) -> str:
    if isinstance(raw, str):
        number = read_decimal(raw)
    elif isinstance(raw, float):
        number = bounded(Decimal(repr(raw)))  # the shortest text of the float is what the sender wrote
    elif isinstance(raw, Decimal) or (isinstance(raw, int) and not isinstance(raw, bool)):
        if isinstance(raw, int) and raw.bit_length() > 4 * DIGITS:
            raise InvalidValue("too_many_digits", digits=DIGITS)
        number = bounded(Decimal(raw))
    else:
        _refuse("a decimal number", raw)
    text = write_decimal(number)
    if shape.scale is None:
        return text
    whole, _, fraction = text.partition(".")
    if len(fraction) > shape.scale:
        raise InvalidValue("too_fine", scale=shape.scale)
    return f"{whole}.{fraction.ljust(shape.scale, '0')}" if shape.scale else whole


def _read_boolean(_: Shape, raw: object) -> bool:
    if not isinstance(raw, bool):
        _refuse("true or false", raw)
    return raw


def _read_date(_: Shape, raw: object) -> str:
    if not isinstance(raw, str):
        _refuse("a date such as 2026-01-31", raw)
    return moments.write(moments.read_date(raw))


def _read_datetime(_: Shape, raw: object) -> str:
    if not isinstance(raw, str):
        _refuse("a moment such as 2026-01-31T09:00:00Z", raw)
    return moments.write(moments.read_timestamp(raw))


_READ: dict[str, Callable[[Shape, object], Any]] = {
    "string": _read_string,
    "integer": _read_integer,
    "decimal": _read_decimal,
    "boolean": _read_boolean,
    "date": _read_date,
    "datetime": _read_datetime,
}


def _within(shape: Shape, value: Any) -> None:
    if shape.minimum is not None and typed(shape, value) < shape.lowest:
        raise InvalidValue("below_minimum", minimum=shape.minimum)
    if shape.maximum is not None and typed(shape, value) > shape.highest:
        raise InvalidValue("above_maximum", maximum=shape.maximum)
    if shape.enum is not None and value not in shape.choices:
        raise InvalidValue("not_a_choice", choices=[str(choice) for choice in shape.enum[:20]])
