"""The words of findings, as the API says them: what is so, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from placet.audit.chain import moment
from service.waiting.findings import Finding

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "engine_away": (
        "The workflow engine does not answer, so nothing goes on.",
        "An operator starts the engine again. Nothing is lost.",
    ),
    "worker_away": ("No worker takes tasks, so nothing goes on.", "An operator starts `placet worker`."),
    "no_answer": ("A worker is there and did not answer in time.", "Ask again in a moment."),
    "request_gone": (
        "The engine no longer runs this request: it was terminated there, or its history is gone.",
        "An admin looks it up in the engine; the requester may have to ask again.",
    ),
    "timer_overdue": (
        "Something was due at {at} and has not happened.",
        "An operator looks whether a worker runs and what its log says about this request.",
    ),
    "returned": ("The request is with {people} for changes.", "They send it in again, or withdraw it."),
    "question_open": ("{count} questions wait for an answer of {people}.", "They answer on the request's page."),
    "decision_held": (
        "The decision of {people} can still be undone, and has no effect before {at}.",
        "Nothing; it takes effect by itself.",
    ),
    "queue_empty": (
        "Nobody is in the queue {queue} who may claim the task.",
        "An admin adds somebody to it, or the process owner or an admin reassigns the task.",
    ),
    "queue_unclaimed": (
        "{count} people may claim the task since {since}, and nobody has.",
        "Ask one of them to claim it.",
    ),
    "nobody_eligible": (
        "Nobody whom the stage asks may decide, and nobody could replace them.",
        "The process owner or an admin reassigns the task to somebody.",
    ),
    "with_owner": (
        "Nobody whom the stage asks could be asked, so the task is with the process owner, {people}.",
        "The owner decides, or reassigns it.",
    ),
    "assignee_left": (
        "{people} has left and still has the task.",
        "It moves on within a minute; else an admin reassigns it.",
    ),
    "away_without_substitute": (
        "{people} is away until {until}, and nobody stands in.",
        "{people} or an admin names a substitute, or the process owner or an admin reassigns the task.",
    ),
    "late": ("The task is late since {at}.", "Remind {people}, or have the process owner reassign it."),
    "escalation_ended": (
        "The task is late, and its escalation has come to an end.",
        "Remind {people}, or have the process owner reassign it.",
    ),
    "message_undelivered": (
        "No message about the task reached {people} by {channel}.",
        "Tell them yourself; the process owner or an admin sends it again once the channel works.",
    ),
    "message_retried": (
        "No message about the task has reached {people} by {channel} so far; it is tried again.",
        "Tell them yourself where it is urgent.",
    ),
    "event_awaited": (
        "The process waits for the event {event} since {since}.",
        "The process owner or an admin sends the event once it has happened.",
    ),
    "subprocess_waits": ("The request waits for the request {request_id}.", "See what that one waits for."),
    "action_untaken": (
        "No worker has taken the action {action} since {since}.",
        "An operator starts a worker for actions.",
    ),
    "action_retried": (
        "The action {action} has failed {failures} times and is tried again.",
        "Nothing, if the other side comes back; else the process owner looks at the error.",
    ),
}
"""What is so and what to do, by code; a test holds that every finding has words here and on the pages."""


_NEXT = " The next attempt is at {next_at}."


def says(finding: Finding) -> str:
    """Say what is so."""
    more = _NEXT if finding.parameters.get("next_at") is not None else ""
    return (WORDS[finding.code][0] + more).format_map(_Shown(_values(finding)))


def advice(finding: Finding) -> str:
    """Say what to do about it."""
    return WORDS[finding.code][1].format_map(_Shown(_values(finding)))


def parameters_of(finding: Finding) -> dict[str, Any]:
    """Return the parameters as JSON has them: those that are known, with moments as RFC 3339."""
    return {
        name: moment(one) if isinstance(one, datetime) else one
        for name, one in finding.parameters.items()
        if one is not None
    }


def _values(finding: Finding) -> dict[str, Any]:
    return {**parameters_of(finding), "people": ", ".join(f"user:{person}" for person in finding.people)}


class _Shown(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "?"
