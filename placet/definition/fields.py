"""The field types of blueprints: names, numbers and hours, each with its bounds."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from placet.definition.assignees import parse_assignee
from placet.definition.json_schema.forms import check_schema
from placet.errors import InputInvalid, PlacetError
from placet.json_values import check_json
from placet.sentences import sentence

_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_PRERELEASE = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRERELEASE}(?:\.{_PRERELEASE})*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
# Controls, invisible formatting, halves of surrogate pairs, line and paragraph breaks.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # without which some scripts cannot be written
_YEARS_50 = 50 * 366 * 24  # hours
_SHORTEST = 1e-3 / 3600  # hours: a millisecond, below which a clock would run at every moment


class Model(BaseModel):
    """The base of every part of a blueprint: frozen, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _who(text: str) -> str:
    try:
        parse_assignee(text)
    except PlacetError as error:
        raise ValueError(error.message) from error
    return text


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("write a number")  # noqa: TRY004 - pydantic turns ValueError into a finding
    return value


def _not_too_short(hours: float) -> float:
    if hours < _SHORTEST:
        raise ValueError("write a positive number of hours, at least a millisecond")
    return hours


def _schema(form: dict[str, Any]) -> dict[str, Any]:
    try:
        check_schema(form)
    except InputInvalid as error:
        raise ValueError(error.problems[0].message if error.problems else error.message) from error
    return form


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    try:
        check_json(given, "")
    except InputInvalid as error:
        raise ValueError(error.problems[0].message) from error
    return given


def _identifier(text: str) -> str:
    """Take any visible Unicode text; invisible characters would make two ids look the same."""
    unseen = next((char for char in text if unicodedata.category(char) in _UNSEEN and char not in _JOINERS), None)
    if unseen is not None:
        raise ValueError(
            sentence("U+{unseen:04X} cannot be seen, so it can be no part of an id; leave it out", unseen=ord(unseen))
        )
    if text != text.strip():
        raise ValueError("an id neither begins nor ends with a space; remove it")
    return text


def shape(value: Any) -> str:
    """Tell text from an object: the tag of what may be either, so that a fault is reported once."""
    return "text" if isinstance(value, str) else "object"


Number = BeforeValidator(_number)
AssigneeText = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_who)]
Hours = Annotated[float, Number, AfterValidator(_not_too_short), Field(le=_YEARS_50, allow_inf_nan=False)]
HoursFromZero = Annotated[float, Number, Field(ge=0, le=_YEARS_50, allow_inf_nan=False)]
Count = Annotated[int, Number, Field(ge=1, le=1000)]
Identifier = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_identifier)]
Outcome = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[a-z][a-z0-9_]*$")]
LONGEST_TITLE = 200
Title = Annotated[str, Field(min_length=1, max_length=LONGEST_TITLE)]
Condition = Annotated[str, Field(min_length=1, max_length=4000)]
FormSchema = Annotated[dict[str, Any], AfterValidator(_schema)]
PlainObject = Annotated[dict[str, Any], Field(max_length=100), AfterValidator(_plain)]
