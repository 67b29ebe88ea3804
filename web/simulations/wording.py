"""What the modes, states and filters of simulations are called, and how spans of virtual time are written."""

from __future__ import annotations

from typing import Any, Final

from babel.units import format_unit

from web.languages import Wording
from web.views import words
from web.views.words import Translate, marked

MODES: Final = {
    "explore": marked("Explore"),
    "rehearse": marked("Rehearse"),
    "replay": marked("Replay"),
    "backtest": marked("Backtest"),
    "shadow": marked("Shadow"),
}
ABOUT: Final = {
    "explore": marked("Finds every way a request can go, with an input that takes it. Takes seconds."),
    "rehearse": marked(
        "Runs the process as it would really run, with a script of what people do. Nothing is sent, nobody is asked."
    ),
    "replay": marked("Takes one real request and shows what another version, or other decisions, would have led to."),
    "backtest": marked("Sends past requests through a version of the process, and lists what would have changed."),
    "shadow": marked("Watches requests as they run, and compares each with what a version would have done so far."),
}
STATUSES: Final = {
    "running": marked("Running"),
    "completed": marked("Completed"),
    "failed": marked("Failed"),
    "cancelled": marked("Cancelled"),
}
TONES: Final = {"running": "open", "completed": "good", "failed": "bad", "cancelled": "warn"}
STOPPED: Final = {
    "waiting": marked("Waits forever: nobody decides"),
    "horizon": marked("Still open at the end of the simulated time"),
    "entries": marked("Too long, and stopped"),
    "loop": marked("Goes in a circle, and was stopped"),
    "moments": marked("Too long, and stopped"),
    "unknown": marked("Unknown"),
}
SHOWN: Final = {
    "changed": marked("Changed"),
    "outcome": marked("Other outcome"),
    "later": marked("Ends later"),
    "earlier": marked("Ends earlier"),
    "approvers": marked("Other approvers"),
    "route": marked("Other way"),
    "sla_state": marked("Other deadline state"),
    "cost": marked("Other cost"),
    "unknown": marked("Unknown"),
    "same": marked("The same"),
}
"""The filters of a backtest's rows, as storage.queries.simulations.simulation_rows has them."""
ASPECTS: Final = {
    "outcome": marked("other outcome"),
    "approvers": marked("other approvers"),
    "route": marked("other way"),
    "sla_state": marked("other deadline state"),
    "cost": marked("other cost"),
}
DETAILS: Final = {
    "due_at": marked("deadline"),
    "due": marked("deadline"),
    "critical_at": marked("deadline"),
    "until": marked("deadline"),
    "undo_until": marked("how long it can be undone"),
    "version": marked("version"),
    "digest": marked("content of the version"),
    "blueprint": marked("process"),
    "requester": marked("requester"),
    "input": marked("input"),
    "changes": marked("input"),
    "revision": marked("revision"),
    "round": marked("round"),
    "form": marked("form"),
    "why": marked("reason"),
    "signature": marked("signature"),
    "assigned_via": marked("why they are asked"),
    "chosen_by": marked("why they are asked"),
    "assignee": marked("whom it is asked of"),
    "candidates": marked("whom it is asked of"),
    "added": marked("whom it is asked of"),
    "to": marked("whom it is asked of"),
    "delegates": marked("who may also decide"),
    "on_behalf_of": marked("for whom they decide"),
    "decision": marked("decision"),
    "outcome": marked("outcome"),
    "result": marked("result"),
    "output": marked("result"),
    "payload": marked("result"),
    "condition": marked("condition"),
    "edge": marked("the way on"),
    "level": marked("level of the escalation"),
    "before": marked("what was before"),
    "after": marked("what is afterwards"),
}
"""Details of entries by which two of them can differ, for people; the others are not named."""
_UNITS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000))


def span(milliseconds: int | None, wording: Wording) -> str:
    """Write a span in its two largest units, such as `1 day 6 hrs`; that it is unknown where it is."""
    if milliseconds is None:
        return wording.say("unknown")
    left, parts = abs(milliseconds), []
    for unit, length in _UNITS:
        number, left = divmod(left, length)
        if number:
            parts.append(str(format_unit(number, f"duration-{unit}", "short", locale=wording.locale)))
    return " ".join(parts[:2]) or str(format_unit(0, "duration-second", "short", locale=wording.locale))


def ending(say: Translate, outcome: str | None, stopped: str | None) -> str:
    """Write how a simulated request ends, or why it does not."""
    if outcome is not None:
        return words.outcome(say, "completed", outcome)
    return say(STOPPED.get(stopped or "", marked("Did not end")))


def tone_of(outcome: str | None) -> str:
    """Return the tone of an outcome; shapes and words say it as well."""
    return {"approved": "good", "rejected": "bad", "expired": "warn", None: "warn"}.get(outcome, "open")


def plain(value: Any) -> str:
    """Write a value of an input as text."""
    if value is None:
        return "–"  # noqa: RUF001 - the dash of an empty value, as on the other pages
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
