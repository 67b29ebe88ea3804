"""The parts of an installation as its page of operations shows them: how each is, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from storage.queries.notifications.backlog import UNPLANNED, Backlog
from web.languages import Wording
from web.views.words import marked

_SLOW: Final = timedelta(minutes=5)
"""A message that has waited for so long is worth a look; the alert comes after fifteen minutes."""
_PARTS: Final = {
    "engine": (
        marked("Workflow engine"),
        marked("Takes calls."),
        marked(
            "It does not answer. Start it, or check TEMPORAL_ADDRESS. "
            "No request is lost: each goes on once the engine is back."
        ),
    ),
    "database": (
        marked("Database"),
        marked("Takes calls."),
        marked("It does not answer. Start it, or check PLACET_DATABASE_URL."),
    ),
    "worker": (
        marked("Worker"),
        marked("Takes tasks."),
        marked(
            "None is running. Start one with the command placet worker. Requests wait until then, and none is lost."
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: its name, its state in a word and a tone, and what is so or what to do."""

    name: str
    word: str
    tone: str
    said: str


def parts_of(checks: Mapping[str, str], waiting: Mapping[str, Backlog], wording: Wording) -> list[Part]:
    """Return what was checked, and then the messages that wait for each channel."""
    say = wording.say
    found = []
    for part, (name, fine, act) in _PARTS.items():
        up = checks.get(part) == "ok"
        found.append(
            Part(
                name=say(name),
                word=say("Runs") if up else say("Down"),
                tone="good" if up else "bad",
                said=say(fine if up else act),
            )
        )
    return found + [_queue(channel, backlog, wording) for channel, backlog in sorted(waiting.items())]


def _queue(channel: str, backlog: Backlog, wording: Wording) -> Part:
    waited = backlog.waited(wording.now)
    slow = waited >= _SLOW
    said = wording.say_number(
        "{number} message waits, for {span}.", "{number} messages wait, the oldest for {span}.", backlog.number
    )
    said = said.format(number=wording.number(backlog.number), span=wording.span(waited))
    if slow:
        said += " " + wording.say(
            "Check that a worker for notifications is running, and that the server of this channel answers. "
            "Messages are tried again by themselves."
        )
    return Part(
        name=wording.say("Messages to plan")
        if channel == UNPLANNED
        else wording.say("Messages by {channel}").format(channel=channel),
        word=wording.say("Slow") if slow else wording.say("Under way"),
        tone="warn" if slow else "open",
        said=said,
    )
