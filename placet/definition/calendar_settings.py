"""Calendar settings: the working hours and holidays that a blueprint states.

`placet.plan.calendar_compiler` checks what is written in them and freezes them into a calendar.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError


def _iso(value: Any) -> Any:
    """Take a date as YAML reads it for what was written."""
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


Day = Annotated[str, BeforeValidator(_iso)]  # "YYYY-MM-DD"; `calendar_problems` checks it
Hours = tuple[str, ...]  # "HH:MM-HH:MM"; `calendar_problems` checks them


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WeeklyHours(_Settings):
    """List each weekday's hours as "HH:MM-HH:MM"; "22:00-06:00" ends on the next day, "00:00-24:00" is a whole day."""

    mon: Hours = ()
    tue: Hours = ()
    wed: Hours = ()
    thu: Hours = ()
    fri: Hours = ()
    sat: Hours = ()
    sun: Hours = ()


class Holidays(_Settings):
    """Name the days without work: a country's public holidays, own dates, and days with hours of their own."""

    country: str | None = Field(default=None, description="ISO 3166 code, as DE", examples=["DE"])
    region: str | None = Field(default=None, description="Subdivision of the country, as BE", examples=["BE"])
    dates: tuple[Day, ...] = Field(default=(), description="Days off, as YYYY-MM-DD")
    half_days: dict[Day, Hours] = Field(
        default_factory=dict,
        description="Hours that replace the weekday's and win over a public holiday, by YYYY-MM-DD",
    )


class WorkingHours(_Settings):
    """Describe a week of working hours and its exceptions."""

    hours: WeeklyHours
    holidays: Holidays = Holidays()


def _choose(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Report an object's mistakes as those of WorkingHours, so that their places carry no names of union members."""
    if isinstance(value, dict):
        return WorkingHours.model_validate(value)
    if value == "24x7" or isinstance(value, WorkingHours):
        return handler(value)
    raise PydanticCustomError("calendar", 'Give "24x7" or an object with the working hours.')


CalendarSettings = Annotated[Literal["24x7"] | WorkingHours, WrapValidator(_choose)]
