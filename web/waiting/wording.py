"""The words of pages for what a request waits for: findings, what comes next, and why somebody is asked or not.

Reasons name nobody as their subject, so that the same sentence stands below "Why me?" and below somebody else's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from placet.audit.reasons import Reason
from placet.definition.assignees import parse_assignee
from placet.errors import PlacetError
from service.waiting.findings import Finding
from service.waiting.waits import NextAct, WaitsFor
from web.languages import Wording
from web.views import words
from web.views.people import Names
from web.views.words import marked

FINDINGS: Final[Mapping[str, tuple[str, str]]] = {
    "engine_away": (
        marked("The workflow engine does not answer, so nothing goes on."),
        marked("Nothing is lost. Tell an administrator, who starts it again."),
    ),
    "worker_away": (
        marked("No worker is running, so nothing goes on."),
        marked("Nothing is lost. Tell an administrator, who starts one."),
    ),
    "no_answer": (
        marked("The system was too slow to confirm this; it shows what was stored last."),
        marked("Load the page again in a moment."),
    ),
    "request_gone": (
        marked("The workflow engine no longer runs this request."),
        marked("Tell an administrator. It may have to be asked for again."),
    ),
    "timer_overdue": (
        marked("Something was due at {at} and has not happened."),
        marked("Tell an administrator, who looks whether a worker is running."),
    ),
    "returned": (
        marked("The request is with {people} for changes. Nothing else happens meanwhile."),
        marked("It goes on once it is sent in again. It can also be withdrawn."),
    ),
    "question_open": (
        marked("A question waits for an answer of {people}."),
        marked("It can be answered at the top of the page of the request."),
    ),
    "decision_held": (
        marked("{people} has decided, and can still undo that until {at}."),
        marked("Nothing has to be done: it takes effect by itself."),
    ),
    "queue_empty": (
        marked("Nobody is there who may claim the task."),
        marked("An administrator adds somebody to the queue, or gives the task to somebody."),
    ),
    "queue_unclaimed": (marked("Nobody has claimed the task since {since}."), marked("Ask one of them to claim it.")),
    "nobody_eligible": (
        marked("Nobody whom the process asks here may decide, and nobody could replace them."),
        marked("The process owner or an administrator gives the task to somebody."),
    ),
    "with_owner": (
        marked("Nobody whom the process asks here could be asked, so the process owner has the task."),
        marked("{people} decides, or gives the task to somebody."),
    ),
    "assignee_left": (
        marked("{people} has left and still has the task."),
        marked("It moves on within a minute. If it does not, an administrator gives it to somebody."),
    ),
    "away_without_substitute": (
        marked("{people} is away until {until}, and nobody stands in."),
        marked("Name a substitute for the absence, or ask the process owner to give the task to somebody."),
    ),
    "late": (
        marked("The task is overdue since {at}."),
        marked("Remind {people}, or ask the process owner to give the task to somebody."),
    ),
    "escalation_ended": (
        marked("The task is overdue, and there is nobody left whom it escalates to."),
        marked("Remind {people}, or ask the process owner to give the task to somebody."),
    ),
    "message_undelivered": (
        marked("No message about the task has reached {people}."),
        marked("Tell them yourself. An administrator can send it again."),
    ),
    "message_retried": (
        marked("No message about the task has reached {people} so far. It is tried again."),
        marked("Tell them yourself if it is urgent."),
    ),
    "event_awaited": (
        marked("The process waits for something outside: {event}."),
        marked("The process owner reports it once it has happened."),
    ),
    "subprocess_waits": (marked("Another request has to end first: {title}."), marked("See what that one waits for.")),
    "action_untaken": (
        marked("No worker carries the action out."),
        marked("Tell an administrator, who starts a worker for actions."),
    ),
    "action_retried": (
        marked("The action {action} has failed and is tried again."),
        marked("It goes on by itself once the other side works. If it does not, tell the process owner."),
    ),
}
"""What is so and what to do, by code; a test holds that every finding of the service is here."""
REASONS: Final[Mapping[str, str]] = {
    "asked_by_name": marked("The process asks {names} here."),
    "asked_for_absent": marked("In place of {person}, who is away."),
    "replaces": marked("Approvers are missing here, so the process asks {name} instead."),
    "asked_by_escalation": marked("Nobody decided in time, so the process asks {name}."),
    "added_by_escalation": marked("Nobody decided in time, so the process asks {name} as well."),
    "asked_after": marked("Whoever had the task can have it no longer, so the process asks {name}."),
    "has_it_back": marked("It came back after an absence."),
    "reassigned_by": marked("{by} reassigned the task."),
    "delegated_by": marked("{by} delegated the task."),
    "added_by": marked("{by} added this approval to the stage."),
    "took_it": marked("It was taken out of a queue."),
    "may_claim": marked("The task waits to be claimed by {queue}."),
    "still_decides": marked("Away, and may still decide. {substitute} has the task meanwhile."),
    "stands_in": marked("Stands in for {person}, who is away."),
    "own_request": marked("Nobody decides their own request."),
    "own_agent": marked("Their own agent asked, and this process forbids deciding for that."),
    "has_decided": marked("Has decided here already: {decision}."),
    "task_escalated": marked("Had the task until it escalated to {to}."),
    "task_given_away": marked("Had the task until {by} gave it to {to}."),
    "claimed_by": marked("{by} claimed the task first."),
    "comes_later": marked("Comes later: others of this stage decide first."),
    "has_seat": marked("Fills another seat of this stage, and one person fills at most one."),
    "not_there": marked("Has left, or is not in the directory."),
    "no_access": marked("Does not have the access to decide."),
    "decided_elsewhere": marked("Decided another stage of this request, and this process forbids deciding twice."),
    "away": marked("Was away when people were chosen, and had no substitute."),
    "away_in_a_circle": marked("Was away when people were chosen, and so was everybody who would stand in."),
    "stood_in_for": marked("Was away when people were chosen. {substitute} stood in."),
    "substitute_unfit": marked(
        "Was away when people were chosen, and {substitute}, who would stand in, could not: {cause}"
    ),
    "condition_not_met": marked("Is asked only under a condition, which did not hold."),
    "condition_failed": marked("Is asked only under a condition, which could not be computed."),
    "more_loaded": marked("Somebody with fewer open tasks was chosen."),
    "nearer_chosen": marked("Somebody nearer in the management chain was chosen."),
    "has_task": marked("Had the task already."),
    "had_task": marked("Had the task before."),
    "not_named": marked("No name, role or group that the process asks here fitted when people were chosen."),
    "not_listed": marked(
        "Not among the {listed} people on record. {unlisted} more were passed over, and only their number is on record."
    ),
    "not_on_record": marked("Not on record: the request began before such choices were recorded."),
}
"""Why somebody is asked or not, by code."""
ACTS: Final[Mapping[str, str]] = {
    "warning": marked("{stage} is marked as due soon"),
    "deadline": marked("{stage} is overdue, and people are told"),
    "critical": marked("{stage} is long overdue, and the process owner is told"),
    "escalation": marked("{stage} escalates: the process then asks {to}"),
    "reminder": marked("{stage}: people are reminded"),
    "wait_ends": marked("The waiting ends, and the process goes on"),
    "decision_stands": marked("{stage}: the decision takes effect"),
    "absence_ends": marked("An absence ends, and the task goes back"),
}
"""What the engine does by itself."""
FINALS: Final[Mapping[str, str]] = {
    "wait": marked("{stage}: the escalation ends, and people are reminded further on"),
    "approve": marked("{stage} is approved, because nobody decided"),
    "reject": marked("{stage} is rejected, because nobody decided"),
    "expire": marked("{stage} expires, because nobody decided"),
}
"""What the engine does where nobody is left to escalate to, by the final rule."""
WAITS: Final[Mapping[str, str]] = {
    "requester": marked("Changes are asked for"),
    "undo": marked("A decision can still be undone"),
    "action": marked("An action is running: {name}"),
    "subprocess": marked("Another request has to end first: {name}"),
    "event": marked("Something outside has to happen: {name}"),
    "time": marked("A time has to pass"),
    "engine": marked("The process is about to go on"),
}
"""What is waited for besides tasks."""


def reason(why: Reason, names: Names, wording: Wording) -> str:
    """Write why somebody is asked or not."""
    text = REASONS.get(why.code)
    if text is None:
        return str(why)
    return wording.say(text).format_map(_Facts(_parameters(why, names, wording)))


def considered_as(why: Reason, names: Names, wording: Wording) -> str | None:
    """Write by which name somebody who was passed over was considered; None where the reason does not say it."""
    name = why.parameters.get("name")
    if why.code in _SAYS_THE_NAME or not isinstance(name, str):
        return None
    return wording.say("Considered because the process asks {name}.").format(name=_asked(name, names, wording))


def people_in(why: Reason) -> set[str]:
    """Return the people whom a reason names."""
    found: set[str] = set()
    for value in why.parameters.values():
        if isinstance(value, Reason):
            found |= people_in(value)
        elif isinstance(value, str):
            root = _root(value)
            found |= {root} if root is not None else set()
    return found


def finding(one: Finding, names: Names, wording: Wording) -> tuple[str, str]:
    """Write a finding: what is so, and what to do."""
    said, advice = FINDINGS[one.code]
    values = {name: _value(value, names, wording) for name, value in one.parameters.items()}
    values["people"] = ", ".join(names(person) for person in one.people)
    facts = _Facts(values)
    return wording.say(said).format_map(facts), wording.say(advice).format_map(facts)


def act(one: NextAct, names: Names, wording: Wording) -> str:
    """Write what the engine does next by itself."""
    text = FINALS[one.final] if one.final is not None else ACTS[one.does]
    to = _asked(one.to, names, wording) if one.to is not None else ""
    return wording.say(text).format(stage=one.stage or "", to=to)


def wait(one: WaitsFor, wording: Wording) -> str:
    """Write what is waited for, where it is no task."""
    return wording.say(WAITS[one.kind]).format(name=one.name or "")


# Reasons whose sentence has the name in it.
_SAYS_THE_NAME = frozenset(
    {"asked_by_name", "replaces", "asked_by_escalation", "added_by_escalation", "asked_after", "stage_names_nobody"}
)


def _parameters(why: Reason, names: Names, wording: Wording) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in why.parameters.items():
        if name in {"name", "queue"} and isinstance(value, str):
            found[name] = found["names"] = _asked(value, names, wording)
        elif name == "decision":
            found[name] = wording.say(words.DECIDED.get(str(value), str(value)))
        else:
            found[name] = _value(value, names, wording)
    return found


def _value(value: Any, names: Names, wording: Wording) -> Any:
    if isinstance(value, Reason):
        return reason(value, names, wording)
    if isinstance(value, datetime):
        return wording.moment(value)
    if isinstance(value, str) and value.startswith("user:"):
        return names(value)
    if value == "system":
        return wording.say("The process")
    return value if value is not None else "…"


def _asked(name: str, names: Names, wording: Wording) -> str:
    """Write whom a name of the process means."""
    try:
        return words.assignee(wording.say, parse_assignee(name), names)
    except PlacetError:
        return name


def _root(value: str) -> str | None:
    try:
        root = parse_assignee(value).root
    except PlacetError:
        return None
    return root.name if root.kind == "user" else None


class _Facts(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "…"
