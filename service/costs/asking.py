"""Read what somebody asks of costs: moments, time zones and groupings, as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from insight.costs.ledger import GROUPINGS, Grouping
from placet.errors import InputInvalid, Problem
from placet.sentences import sentence
from service.costs.report import CostOrder, usual_period
from simulation.report.costs import Prices, parse_prices

_LONGEST_ZONE: Final = 64
_MONTH: Final = len("2026-03")


def order_of(
    now: datetime,
    *,
    since: str | None,
    until: str | None,
    zone: str,
    group_by: str,
    template: str | None,
    prices: Mapping[str, Any],
) -> CostOrder:
    """Return what is asked for; raises InputInvalid with the place of what cannot be read.

    `since` and `until` are moments with their offset, days, or months (the beginning of each, in the time zone);
    `prices` are those that are given, by name.
    """
    there = _zone(zone)
    first, last = usual_period(now, there)
    return CostOrder(
        since=_moment(since, there, "/from") if since else first,
        until=_moment(until, there, "/to") if until else last,
        zone=there,
        group_by=_grouping(group_by),
        template=template or None,
        prices=_prices(prices),
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name[:_LONGEST_ZONE])
    except (LookupError, ValueError, OSError):
        raise InputInvalid.at(
            "/timezone", sentence("there is no time zone {name!r}; write one such as Europe/Berlin", name=name)
        ) from None


def _moment(text: str, zone: ZoneInfo, pointer: str) -> datetime:
    try:
        if len(text) == _MONTH:
            text += "-01"
        if len(text) == len("2026-03-01"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InputInvalid.at(pointer, sentence("write a month (2026-03), a day (2026-03-31), or a moment with its offset"))


def _grouping(text: str) -> tuple[Grouping, ...]:
    asked = [one.strip() for one in text.split(",")]
    if unknown := [one for one in asked if one not in GROUPINGS]:
        raise InputInvalid.at(
            "/group_by",
            sentence(
                "{name!r} is no grouping; write one or more of {names}",
                name=unknown[0][:50],
                names=", ".join(GROUPINGS),
            ),
        )
    return tuple(one for one in GROUPINGS if one in asked)


def _prices(given: Mapping[str, Any]) -> Prices:
    known = {name: value for name, value in given.items() if value is not None and value != ""}
    try:
        return parse_prices(known)
    except InputInvalid as error:
        problems = tuple(
            Problem(pointer=one.pointer.removeprefix("/prices"), message=one.message) for one in error.problems
        )
        raise InputInvalid(error.message, problems=problems) from None
