"""What a simulation takes before it is ordered, in words: how many requests, about how long, and where it stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from sqlalchemy import Connection

from service.simulations.jobs import AT_ONCE
from service.simulations.shadows import MOST as MOST_SHADOWS
from simulation.modes.backtest import MOST_SECONDS
from simulation.run.bounds import MOST_MOMENTS, MOST_ROUNDS
from simulation.run.driver import MOST_ENTRIES
from storage.queries.simulations import shadows, simulations
from web.languages import Wording
from web.simulations.wording import span

_USUAL: Final = {"most_branches": (200, 1_000), "limit": (1_000, 50_000), "for_hours": (168, 8_784)}
"""What counts where a field is empty or holds no number, and the largest number that it takes."""
_A_REQUEST = 0.002  # seconds for which a backtest works on a request where none has been timed yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the store knows before a simulation is ordered."""

    requests: int  # that a backtest or a shadow can compare now
    shadows: int  # that run now
    took: tuple[tuple[float, int], ...]  # the seconds of the latest simulations of this kind, and the rows of each


def read_past(connection: Connection, template: str, mode: str, *, viewer: str | None) -> Past:
    """Read what the effort of a simulation is told from; of others' requests nothing is counted."""
    compares = mode in {"backtest", "shadow"}
    running = mode == "shadow"
    return Past(
        requests=simulations.count_requests(connection, template, viewer=viewer, running=running) if compares else 0,
        shadows=shadows.count(connection) if running else 0,
        took=() if running else tuple(simulations.took(connection, template, mode)),
    )


def effort(mode: str, past: Past, given: Mapping[str, Any], waiting: int, wording: Wording) -> tuple[str, ...]:
    """Return what a simulation takes as sentences; `waiting` simulations run or wait in this process."""
    match mode:
        case "backtest":
            found = _of_backtest(past, given, wording)
        case "shadow":
            found = _of_shadow(past, given, wording)
        case _:
            found = _of_one_request(mode, past, given, wording)
    if waiting >= AT_ONCE and mode != "shadow":
        text = wording.say("{number} simulations run or wait now. Two run at the same time, so this one waits first.")
        found.append(text.format(number=wording.number(waiting)))
    return tuple(found)


def _of_one_request(mode: str, past: Past, given: Mapping[str, Any], wording: Wording) -> list[str]:
    say, number = wording.say, wording.number
    took = _took([seconds for seconds, _ in past.took], wording)
    if mode == "explore":
        branches = number(int(_number(given, "most_branches")))
        return [
            say("It simulates one request, and finds at most {number} branches.").format(number=branches),
            took or say("It usually takes less than a second."),
            say("It searches for ten seconds at most; the result says what it left out."),
        ]
    if mode == "rehearse":
        bound = say("It stops after {moments} points in time, or {rounds} rounds of a loop that does not end.")
        return [
            say("It runs one request on the engine, apart from the real ones."),
            took or say("It usually takes seconds: about ten for a year of daily reminders."),
            bound.format(moments=number(MOST_MOMENTS), rounds=number(MOST_ROUNDS)),
        ]
    return [
        say("It reads one real request, and simulates it once more. The real one stays as it is."),
        took or say("It usually takes less than a second."),
        say("It stops after {number} entries.").format(number=number(MOST_ENTRIES)),
    ]


def _of_backtest(past: Past, given: Mapping[str, Any], wording: Wording) -> list[str]:
    say = wording.say
    chosen = min(past.requests, int(_number(given, "limit")))
    rates = [seconds / rows for seconds, rows in past.took if rows]
    seconds = min(chosen * (median(rates) if rates else _A_REQUEST), MOST_SECONDS)
    many = wording.say_number(
        "It compares {number} request, of {all} that have ended and that you may see.",
        "It compares {number} requests, of {all} that have ended and that you may see.",
        chosen,
    )
    basis = say("as the latest backtests of this process did") if rates else say("by what a request usually takes")
    about = say("It takes about {span}, {basis}.").format(span=_about(seconds, wording), basis=basis)
    bound = say("It stops after five minutes; the result says how many requests it left out.")
    return [many.format(number=wording.number(chosen), all=wording.number(past.requests)), about, bound]


def _of_shadow(past: Past, given: Mapping[str, Any], wording: Wording) -> list[str]:
    say, number = wording.say, wording.number
    most, hours = int(_number(given, "limit")), _number(given, "for_hours")
    chosen = min(past.requests, most)
    now = wording.say_number(
        "It compares {number} request that runs now.", "It compares {number} requests that run now.", chosen
    ).format(number=number(chosen))
    if not hours:
        return [now, say("It compares once, and ends.")]
    more = say("It follows each that starts in the next {span} as well, {number} in all at most.")
    room = say("{number} shadows run now; {most} can run at the same time.")
    return [
        now,
        more.format(span=span(round(hours * 3_600_000), wording), number=number(most)),
        say("It only reads. You can cancel it at any time, and keep what it has seen."),
        room.format(number=number(past.shadows), most=number(MOST_SHADOWS)),
    ]


def _took(seconds: Sequence[float], wording: Wording) -> str:
    """Say how long the latest simulations of this kind took; nothing where there are none."""
    if not seconds:
        return ""
    text = wording.say("It takes about {span}, as the latest simulations of this process did.")
    return text.format(span=_about(median(seconds), wording))


def _about(seconds: float, wording: Wording) -> str:
    return wording.say("one second") if seconds <= 1 else span(round(seconds) * 1000, wording)


def _number(given: Mapping[str, Any], name: str) -> float:
    """Return a number of the form within its bounds; the usual one where it is none."""
    usual, most = _USUAL[name]
    value = given.get(name, usual)
    return max(0.0, min(float(most), value)) if isinstance(value, int | float) else usual
