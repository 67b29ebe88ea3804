"""Forecasts in lists: one line for each open request, worked out after the page was sent, and kept for a minute."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from babel.numbers import format_percent
from sqlalchemy import Connection

from insight.forecast.forecaster import Forecast
from placet.errors import Busy, Ended, NotFound, TooMuchWork, Unavailable
from service.context import Context
from service.forecasts.forecasts import forecast_of
from service.principal import Principal
from service.visibility import see_request
from web.languages import Wording

MOST: Final = 50
"""Requests whose forecasts one page asks for."""
_KEPT_FOR: Final = timedelta(minutes=1)
_MOST_KEPT: Final = 5_000
_AT_ONCE: Final = 2  # pages for which a process works forecasts out; the others wait, so that they do not slow it down
_PATIENCE: Final = 20.0  # seconds, with the wait; what is not worked out by then keeps its link

Found = Forecast | Literal["too_few"]


@dataclass(frozen=True, kw_only=True)
class ForecastLines:
    """The forecasts that lists of this process have shown last."""

    _kept: OrderedDict[str, tuple[datetime, Found]] = field(default_factory=OrderedDict)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def of(self, context: Context, principal: Principal, ids: Sequence[str], wording: Wording) -> dict[str, str]:
        """Return the lines of those of these requests that go on, and that somebody may see, by id.

        What takes too long is left out.
        """
        seen = await context.database.read(_seen, principal, ids, context.now())
        found: dict[str, Found] = {}
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._work_out(context, principal, seen, found)
        except TimeoutError:
            pass
        return {request_id: line_of(one, wording) for request_id, one in found.items()}

    async def _work_out(
        self, context: Context, principal: Principal, ids: Sequence[str], found: dict[str, Found]
    ) -> None:
        missing = []
        for request_id in ids:
            kept = self._kept.get(request_id)
            if kept is not None and context.now() - kept[0] < _KEPT_FOR:
                found[request_id] = kept[1]
            else:
                missing.append(request_id)
        if not missing:
            return
        async with self._turn:
            for request_id in missing:
                try:
                    one = await forecast_of(context, principal, request_id)
                except (Ended, NotFound, TooMuchWork):
                    continue
                except (Busy, Unavailable):  # so are the others
                    return
                found[request_id] = one
                self._kept[request_id] = (context.now(), one)
                self._kept.move_to_end(request_id)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)


def line_of(found: Found, wording: Wording) -> str:
    """Return a forecast in one line."""
    say = wording.say
    if found == "too_few":
        return say("too few past requests for a forecast")
    parts = []
    if found.finish is not None:
        finish = found.finish
        told = {
            "expected": _short(finish.expected, wording),
            "share": _share(finish.coverage, wording),
            "low": _short(finish.low, wording),
        }
        if finish.high is None:
            parts.append(say("finished about {expected} ({share} after {low})").format(**told))
        else:
            text = say("finished about {expected} ({share} from {low} to {high})")
            parts.append(text.format(**told, high=_short(finish.high, wording)))
    if found.miss_probability is not None:
        text = say("{share} to miss its deadline")
        parts.append(text.format(share=_share(found.miss_probability, wording)))
    return "; ".join(parts) or say("its end depends on something whose end is not known")


def _seen(connection: Connection, principal: Principal, ids: Sequence[str], now: datetime) -> list[str]:
    """Return those of these requests that go on, and that somebody may see."""
    found = []
    for request_id in dict.fromkeys(ids):
        try:
            stored = see_request(connection, principal, request_id, now)
        except NotFound:
            continue
        if stored.request.status == "pending":
            found.append(request_id)
    return found


def _short(at: datetime, wording: Wording) -> str:
    return wording.short_day(at, year=False, clock=True)


def _share(share: float, wording: Wording) -> str:
    return str(format_percent(share, format="#,##0 %", locale=wording.locale))
