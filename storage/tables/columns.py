"""The types of columns that all tables share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field


class Moment(TypeDecorator[datetime]):
    """A UTC time with microseconds. It is timezone-aware in Python on every database; naive times are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def moment_column(*, nullable: bool = False) -> Any:
    """Return the field of a time."""
    return Field(default=None, sa_column=Column(Moment, nullable=nullable))


def json_column(*, nullable: bool = False) -> Any:
    """Return the field of a JSON value; None is stored as NULL, not as JSON's null."""
    return Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=nullable))
