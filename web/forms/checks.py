"""Checks of fields: what a browser can tell of an entry as one types, and what a form says about it.

The words are made here, for the browser and for what the rules of the process refuse after sending, so that both say
the same. The browser asks for nothing that the rules do not ask for: where it cannot tell, it leaves the entry to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from placet.audit.reasons import WORDS
from placet.definition.json_schema.validation import FAULTS
from placet.definition.variables.shapes import MAX_ITEMS, MAX_LENGTH, Shape
from placet.expressions.number import DIGITS
from placet.expressions.patterns import PatternInvalid, compile_pattern
from web.forms.reading import uncertain
from web.languages import Wording, utc
from web.views.words import marked as _

Kind = Literal["text", "number", "whole", "day", "moment", "choice", "choices", "lines", "rows", "group", "json"]

_LINES: Final[dict[str, Kind]] = {"string": "text", "decimal": "number", "integer": "whole", "date": "day"}
_THOUSANDTHS = 3  # digits after the point
_MOST_STATES = 300  # of a pattern that is matched while somebody types
_EXAMPLES: Final = {"number": Decimal("1234.56"), "whole": Decimal(12)}
_SAYS: Final[dict[str, str]] = {
    "required": _("Fill this in."),
    "choose": _("Choose something."),
    "number": _("Enter a number, such as {example}."),
    "whole": _("Enter a whole number, such as {example}."),
    "day": _("Enter a day."),
    "moment": _("Enter a day and a time."),
    "uncertain": _("{text} can be read as two numbers. Write {whole}, or {fraction}."),
    "uncertain_whole": _("{text} can be read as two numbers. Write {whole} if that is meant."),
    "digits": _("Enter at most {digits} digits."),
    "large": _("This number is too large."),
    "scale": _("Enter at most {scale} digits after the decimal point."),
    "minimum": _("Enter at least {minimum}."),
    "maximum": _("Enter at most {maximum}."),
    "above": _("Enter more than {minimum}."),
    "below": _("Enter less than {maximum}."),
    "earliest": _("Enter {minimum} or a later one."),
    "latest": _("Enter {maximum} or an earlier one."),
    "multiple": _("Enter a multiple of {multiple}."),
    "shortest": _("Enter at least {least} characters (now {count})."),
    "longest": _("Enter at most {most} characters (now {count})."),
    "fewest": _("At least {least} are needed (now {count})."),
    "most": _("At most {most} are allowed (now {count})."),
    "pattern": _("This does not have the form that is needed: {pattern}"),
    "entry": _("Entry {number}: {said}"),
}
# Which of a check's words a refusal comes to, by the source of its sentence.
_MEANT: Final[dict[str, str]] = {
    **{
        WORDS[code]: key
        for code, key in {
            "value_required": "required",
            "wrong_kind": "kind",
            "whole_number_needed": "kind",
            "no_decimal": "kind",
            "no_finite_number": "kind",
            "no_date": "kind",
            "no_such_day": "kind",
            "no_timestamp": "kind",
            "no_such_moment": "kind",
            "whole_number_too_large": "large",
            "too_many_digits": "digits",
            "too_fine": "scale",
            "below_minimum": "minimum",
            "above_maximum": "maximum",
            "too_few": "shortest",
            "too_many": "longest",
            "not_matching": "pattern",
        }.items()
    },
    **{
        FAULTS[keyword]: key
        for keyword, key in {
            "required": "required",
            "type": "kind",
            "format": "kind",
            "minimum": "minimum",
            "maximum": "maximum",
            "exclusiveMinimum": "above",
            "exclusiveMaximum": "below",
            "multipleOf": "multiple",
            "minLength": "shortest",
            "maxLength": "longest",
            "minItems": "shortest",
            "maxItems": "longest",
            "pattern": "pattern",
        }.items()
    },
}
MISSING: Final = FAULTS["required"]
"""The source of the sentence that a JSON Schema's `required` comes to; it is about the object, and names the member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What is asked of one field. Bounds are text, as numbers and ISO days write them; moments are local to the reader.

    `exact` is false where bounds compare as floating-point numbers do. `sign` is what the reader's language has before
    the fraction of a number. `pattern` is an automaton (placet.expressions.patterns), and `item` what is asked of each
    line. `says` has the words for each fault; `{count}` in them is how much was entered.
    """

    kind: Kind
    says: Mapping[str, str] = field(default_factory=dict)
    required: bool = False
    exact: bool = True
    sign: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    above: str | None = None
    below: str | None = None
    multiple: str | None = None
    scale: int | None = None
    shortest: int | None = None
    longest: int | None = None
    pattern: Mapping[str, Any] | None = None
    item: Check | None = None

    @property
    def document(self) -> dict[str, Any]:
        """Return the check as JSON for the browser, without what is not asked."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        found["item"] = self.item.document if self.item is not None else None
        return {name: value for name, value in found.items() if value is not None}

    def said(self, message: str, count: int, entry: int | None = None, entered: str = "") -> str:
        """Return the words for what the rules of the process refuse; their own where the field has none.

        `count` is how many characters or items were `entered`; `entry` is the number of the line that is meant, from 1.
        """
        check = self.item if entry is not None and self.item is not None else self
        key = _MEANT.get(getattr(message, "source", message))
        text = check.says.get(key) if key is not None else None
        if key == "kind" and check.sign is not None and (both := uncertain(entered, check.sign)) is not None:
            text = check.says["uncertain"].replace("{text}", entered)
            text = text.replace("{whole}", both[0]).replace("{fraction}", both[1])
        if text is None:
            return message
        values: Mapping[str, Any] = getattr(message, "values", {})
        text = text.replace("{count}", str(values.get("count", count)))
        return self.says["entry"].replace("{number}", str(entry)).replace("{said}", text) if check is not self else text


def of_shape(shape: Shape, kind: Kind, wording: Wording, *, required: bool) -> Check:
    """Return the check of a variable's field, or of a part of it."""
    many = kind in {"lines", "choices", "rows"}
    longest = shape.max_length if shape.max_length is not None else MAX_ITEMS if many else MAX_LENGTH
    asked: dict[str, Any] = {"required": required}
    if kind in {"number", "whole"}:
        asked |= {"minimum": _text(shape.minimum), "maximum": _text(shape.maximum), "scale": shape.scale}
    elif kind == "day":
        asked |= {"minimum": _text(shape.minimum), "maximum": _text(shape.maximum)}
    elif kind == "moment":
        asked |= {"minimum": _local(shape.minimum, wording), "maximum": _local(shape.maximum, wording)}
    elif many or kind == "text":
        asked |= {"shortest": shape.min_length or None, "longest": longest}
    if kind == "text" and shape.pattern is not None:
        asked["pattern"] = _automaton(shape.pattern)
    if kind == "lines" and shape.items is not None:
        inner = _LINES.get(shape.items.type)
        if inner is not None and shape.items.enum is None:
            asked["item"] = of_shape(shape.items, inner, wording, required=False)
    return _with_words(kind, asked, wording, pattern=shape.pattern, currency=shape.currency)


def of_schema(schema: Mapping[str, Any], kind: Kind, wording: Wording, *, required: bool) -> Check:
    """Return the check of a property of a decision form."""
    asked: dict[str, Any] = {"required": required, "exact": False}
    if kind in {"number", "whole"}:
        bounds = {"minimum": "minimum", "maximum": "maximum", "above": "exclusiveMinimum", "below": "exclusiveMaximum"}
        asked |= {name: _number(schema.get(keyword)) for name, keyword in bounds.items()}
        asked["multiple"] = _number(schema.get("multipleOf"))
    elif kind in {"text", "choices"}:
        least, most = ("minLength", "maxLength") if kind == "text" else ("minItems", "maxItems")
        asked |= {"shortest": _count(schema.get(least)), "longest": _count(schema.get(most))}
    pattern = schema.get("pattern") if kind == "text" else None
    if isinstance(pattern, str) and "\\s" not in pattern.lower():  # spaces are more in a schema than in a variable
        asked["pattern"] = _automaton(pattern)
    return _with_words(kind, asked, wording, pattern=pattern if isinstance(pattern, str) else None)


def required_only(kind: Kind, wording: Wording, *, required: bool) -> Check:
    """Return the check of a field that is asked nothing but to be filled in."""
    return _with_words(kind, {"required": required}, wording)


def _with_words(
    kind: Kind, asked: dict[str, Any], wording: Wording, *, pattern: str | None = None, currency: str | None = None
) -> Check:
    numbers, items = kind in {"number", "whole"}, kind in {"lines", "choices", "rows"}

    def word(key: str, **values: Any) -> str:
        return wording.say(_SAYS[key]).format(**values)

    says = {"required": word("choose" if kind in {"choice", "choices"} else "required")}
    if kind in {"number", "whole", "day", "moment"}:
        example = wording.number(_EXAMPLES[kind]) if numbers else ""
        says["kind"] = word(kind, example=example)
    if numbers:
        asked["sign"] = wording.decimal_sign
        # Three digits after the point are no choice where the field takes fewer.
        fine = kind != "whole" and (asked.get("scale") is None or asked["scale"] >= _THOUSANDTHS)
        both = {"text": "{text}", "whole": "{whole}", "fraction": "{fraction}"}
        says["uncertain"] = word("uncertain" if fine else "uncertain_whole", **both)
        says |= {"digits": word("digits", digits=DIGITS), "large": word("large")}
    if asked.get("scale") is not None:
        says["scale"] = word("scale", scale=asked["scale"]) if asked["scale"] else word("whole", example="12")
    named = {"minimum": "earliest", "maximum": "latest"} if kind in {"day", "moment"} else {}
    for key, place in {"minimum": "minimum", "maximum": "maximum", "above": "minimum", "below": "maximum"}.items():
        if asked.get(key) is not None:
            says[key] = word(named.get(key, key), **{place: _shown(kind, asked[key], currency, wording)})
    if asked.get("multiple") is not None:
        says["multiple"] = word("multiple", multiple=_shown(kind, asked["multiple"], None, wording))
    if asked.get("shortest") is not None:
        says["shortest"] = word("fewest" if items else "shortest", least=asked["shortest"], count="{count}")
    if asked.get("longest") is not None:
        says["longest"] = word("most" if items else "longest", most=asked["longest"], count="{count}")
    if pattern is not None:
        says["pattern"] = word("pattern", pattern=pattern)
    if asked.get("item") is not None:
        says["entry"] = word("entry", number="{number}", said="{said}")
    return Check(kind=kind, says=says, **asked)


def _shown(kind: Kind, bound: str, currency: str | None, wording: Wording) -> str:
    if kind == "day":
        return wording.day(date.fromisoformat(bound))
    if kind == "moment":
        return bound.replace("T", " ")
    number = Decimal(bound)
    return wording.money(number, currency) if currency is not None else wording.number(number)


def _text(bound: Any) -> str | None:
    """Return a bound that a blueprint states as the number or the day that it means."""
    return None if bound is None else str(bound)


def _number(bound: Any) -> str | None:
    usable = isinstance(bound, int | float) and not isinstance(bound, bool)
    return str(bound) if usable else None


def _count(bound: Any) -> int | None:
    return bound if isinstance(bound, int) and not isinstance(bound, bool) else None


def _local(bound: Any, wording: Wording) -> str | None:
    """Return a bound of moments on the reader's clock; None around a change of the clock, where it would not be one."""
    at = utc(str(bound)) if bound is not None else None
    if at is None:
        return None
    day = timedelta(days=1)
    try:
        local = at.astimezone(wording.zone)
        around = {(at + change).astimezone(wording.zone).utcoffset() for change in (-day, day)}
    except OverflowError:
        return None
    return local.replace(tzinfo=None).isoformat(timespec="seconds") if around == {local.utcoffset()} else None


def _automaton(pattern: str) -> dict[str, Any] | None:
    try:
        compiled = compile_pattern(pattern)
    except PatternInvalid:
        return None
    return compiled.automaton if compiled.size <= _MOST_STATES else None
