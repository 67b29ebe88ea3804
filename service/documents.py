"""What the documents that people send have in common: strict shapes, moments, and references to people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from placet.definition.assignees import parse_assignee, person_id
from placet.errors import PlacetError

_NOBODY = {"system", "me"}  # what does something by itself, and whoever calls: ids of nobody in particular


class Document(BaseModel):
    """The base of what is sent: nothing unknown is taken, so that a misspelt name is found."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


Moment = Annotated[AwareDatetime, BeforeValidator(_text_only), AfterValidator(_in_utc)]
"""A moment that is sent: RFC 3339 with its offset; read in UTC."""
PersonRef = Annotated[str, Field(max_length=140), AfterValidator(_person)]
"""A person who is named, as `user:alice` or `alice`; read as the bare id."""
PersonOrMe = Annotated[
    str, Field(max_length=140), AfterValidator(lambda given: given if given == "me" else _person(given))
]
"""A person in an address; `me` is whoever calls."""
Words = Annotated[str, Field(max_length=10_000)]
"""A comment or a reason."""
