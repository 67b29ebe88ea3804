"""Words: what states, decisions, entries and reasons are called, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from placet.definition.assignees import AssigneeName, parse_assignee
from placet.errors import PlacetError
from web.languages import Wording, utc

Translate = Callable[[str], str]
Named = Callable[[str], str]
"""What a person is called, by id."""


def marked(text: str) -> str:
    """Mark a text for translation where it is declared; it is translated where it is shown."""
    return text


_ = marked

NOTICES = {
    "approve": _("Approved."),
    "reject": _("Rejected."),
    "request_changes": _("Sent back with your request for changes."),
    "abstain": _("You abstained."),
    "claim": _("The task is yours now."),
    "release": _("The task is back in its queue."),
    "delegate": _("Delegated."),
    "add": _("Added. Their approval is needed as well."),
    "reassign": _("Reassigned."),
    "undo": _("Undone. The task is open again."),
    "comment": _("Your comment was sent."),
    "ask": _("Your question was sent."),
    "answer": _("Your answer was sent."),
    "remind": _("They were reminded."),
    "watch": _("You watch this request now. Its end is told to you by mail."),
    "unwatch": _("You watch this request no longer."),
    "attach": _("The file was added."),
    "withdraw": _("The request was withdrawn."),
    "cancel": _("The request was cancelled."),
    "resubmit": _("Sent in again."),
    "start": _("Your request was sent in."),
    "cancel_simulation": _("The simulation was cancelled."),
    "cancel_simulation_late": _("Nothing was cancelled: the simulation had ended already."),
    "canary_begun": _("The canary has begun."),
    "canary_promoted": _("The new version is given to all."),
    "canary_reverted": _("The new version is out of use."),
    "saved": _("Saved."),
    "erased": _("Erased. What waits is shown below."),
    "drafted": _("Written. Read it before anybody uses it."),
    "resend": _("It is being sent again."),
    "resend_none": _("Nothing was sent: it had not failed, or is being sent again already."),
    "admin_changed": _("Changed."),
    "logged_out": _("They are logged out everywhere."),
    "logged_out_none": _("They were logged in nowhere."),
    "webhook_removed": _("The webhook was removed."),
    "token_revoked": _("The token is revoked."),
    "evidence": _("Ordered. The pack is being made."),
    "passkey_added": _("The passkey was added."),
    "passkey_removed": _("The passkey was removed."),
    "session_ended": _("The session has ended."),
    "sessions_ended": _("All your other sessions have ended."),
    "discarded": _("The draft was discarded."),
    "submitted": _("The draft was submitted. Somebody else can publish it now."),
    "suggestion_accepted": _("Accepted. This is the draft of the next version; publish it when it is right."),
    "suggestion_rejected": _("Rejected. It comes back only with other evidence."),
    "sla_added": _("The SLA was added. What has ended in its window counts already."),
    "sla_on": _("Switched on."),
    "sla_off": _("Switched off. Nothing is judged by it any more."),
    "sla_removed": _("The SLA was removed."),
    "breach_acknowledged": _("Acknowledged. Nobody is mailed about it any more."),
    "log_removed": _("The event log was deleted."),
    "published": _("Published. New requests begin with this version."),
}
"""What was just done, by the name that a page is opened with afterwards."""
FILE_GROUPS = {"image": _("images"), "text": _("texts"), "audio": _("sound"), "video": _("videos")}
"""Groups of media types, such as `image/*`."""
DECISIONS = {
    "approve": _("Approve"),
    "reject": _("Reject"),
    "request_changes": _("Request changes"),
    "abstain": _("Abstain"),
}
DECIDED = {
    "approve": _("Approved"),
    "reject": _("Rejected"),
    "request_changes": _("Changes requested"),
    "abstain": _("Abstained"),
}
STEPS = {
    "task_opened": _("assigned"),
    "claimed": _("claimed"),
    "released": _("released"),
    "reassigned": _("reassigned"),
    "delegated": _("delegated"),
    "escalated": _("escalated"),
}
"""The steps by which a task came to whoever decided it, on its receipt."""
CAME_BY = {
    "substitution": _("as the substitute of {person}"),
    "delegation": _("delegated by {person}"),
    "added": _("added by {person}"),
    "reassignment": _("reassigned by somebody"),
    "escalation": _("escalated, because nobody decided in time"),
    "succession": _("taken over from somebody who has left"),
    "claim": _("taken out of a queue"),
    "claimed": _("taken out of a queue"),
    "queue": _("from a queue"),
    "vacant": _("assigned by an admin, because nobody could be found"),
    "return": _("back after an absence"),
}
"""How a task came to somebody, where the process does not ask them itself."""
YOU = {
    "approve": _("You approved “{title}”."),
    "reject": _("You rejected “{title}”."),
    "request_changes": _("You requested changes to “{title}”."),
    "abstain": _("You abstained on “{title}”."),
}
"""What the reader has decided."""
OUTCOMES = {
    "approved": _("Approved"),
    "rejected": _("Rejected"),
    "expired": _("Expired"),
    "withdrawn": _("Withdrawn"),
    "cancelled": _("Cancelled"),
}
STATUSES = {
    "pending": _("In progress"),
    "completed": _("Completed"),
    "failed": _("Failed"),
    "cancelled": _("Cancelled"),
}
SLA = {
    "none": _("No deadline"),
    "ok": _("On time"),
    "warning": _("Due soon"),
    "breached": _("Overdue"),
}
LOG_INS = {"link": _("by a one-time address"), "token": _("by a token"), "oidc": _("at the identity provider")}
"""How somebody logged in."""
ACTOR_TYPES = {"person": _("Person"), "service": _("Service"), "agent": _("Agent")}
ACCESS = {
    "requester": _("Requester"),
    "approver": _("Approver"),
    "designer": _("Designer"),
    "auditor": _("Auditor"),
    "admin": _("Admin"),
}
"""What somebody may do here."""
TASKS = {
    "open": _("Open"),
    "decided": _("Decided"),
    "superseded": _("No longer needed"),
    "cancelled": _("Cancelled"),
}
PROOFS = {
    "oidc": _("a new log-in"),
    "passkey": _("a passkey"),
    "token": _("the signer's token"),
    "simulated": _("nothing, in a simulation"),
}
"""How a signer proved who they are."""
KINDS = {
    "started": _("{actor} started the request"),
    "task_opened": _("{stage}: a decision is asked of {who}"),
    "decided": _("{actor}: {decision}"),
    "changes_requested": _("{actor} requested changes"),
    "decision_undone": _("{actor} undid the decision"),
    "decision_stands": _("{stage}: the decision stands"),
    "resubmitted": _("{actor} sent the request in again"),
    "commented": _("{actor} commented"),
    "question_asked": _("{actor} asked a question"),
    "question_answered": _("{actor} answered a question"),
    "attached": _("{actor} attached {name}"),
    "reassigned": _("{stage}: reassigned from {before} to {after}"),
    "delegated": _("{stage}: {actor} delegated to {after}"),
    "approver_added": _("{stage}: {actor} added {to} as an approver"),
    "claimed": _("{actor} took the task out of the queue"),
    "claim_refused": _("{actor} was refused another action than the approved one"),
    "claim_expired": _("The approved action can no longer be claimed"),
    "released": _("{actor} put the task back into the queue"),
    "escalated": _("{stage}: escalated to {to}"),
    "reminded": _("Reminder sent to {to}"),
    "sla_warning": _("{stage} is due soon"),
    "sla_breached": _("{stage} is overdue"),
    "sla_critical": _("{stage} is critically overdue"),
    "routed": _("At {node}: goes on to {to}"),
    "stage_settled": _("{stage}: {result}"),
    "completed": _("The request ended: {outcome}"),
    "withdrawn": _("{actor} withdrew the request"),
    "cancelled": _("{actor} cancelled the request"),
    "failed": _("The request failed"),
    "notified": _("Message sent to {to}"),
    "notification_failed": _("A message to {to} could not be delivered"),
    "extended": _("{actor} extended the deadline"),
    "action_started": _("Action {action} began"),
    "action_run": _("Action {action} ran"),
    "approver_missing": _("{stage}: nobody could be asked"),
    "signal_refused": _("A signal was refused"),
    "taken_back": _("What was shown for a while had not happened, and is taken back"),
    "migrated": _("{actor} moved the request to another version"),
    "escalation_skipped": _("{stage}: a level of the escalation was skipped"),
    "escalation_ended": _("{stage}: the escalation ended"),
    "task_closed": _("{stage}: a task is no longer needed"),
    "informed": _("Message to {to}"),
    "forked": _("At {node}: goes on in several branches"),
    "joined": _("At {node}: branches came together"),
    "branch_ended": _("At {node}: the branch was broken off"),
    "waiting": _("At {node}: waits"),
    "waited": _("At {node}: the wait ended"),
    "event_received": _("The event {event} came from outside"),
    "action_failed": _("Action {action} failed"),
    "action_ignored": _("At {node}: the result of an action is no longer needed"),
    "action_kept": _("At {node}: the earlier result of action {action} is used"),
    "child_started": _("At {node}: a sub-process began"),
    "child_ended": _("At {node}: the sub-process ended: {outcome}"),
    "child_failed": _("At {node}: the sub-process failed"),
    "child_kept": _("At {node}: the earlier result of a sub-process is used"),
}
_ON_REQUESTS = {"claimed": _("{actor} claimed the approved action")}
"""Kinds whose entries say something else where they are of no task."""
_SECONDARY = {"decision_stands", "notified", "task_opened", "stage_settled", "reminded", "action_started"}


def actor(say: Translate, actor: str, named: Named, kind: object, principal: object = None) -> str:
    """Return who did something; of a service or an agent also that it is one, and of an agent whom it acts for."""
    if not actor.startswith("user:"):
        return say("Placet")
    if kind == "agent" and isinstance(principal, str):
        return say("{agent} (agent for {person})").format(agent=named(actor), person=named(principal))
    known = ACTOR_TYPES.get(kind) if isinstance(kind, str) and kind != "person" else None
    return f"{named(actor)} ({say(known)})" if known else named(actor)


def outcome(say: Translate, status: str, outcome: str | None) -> str:
    """Return what became of a request, or that it goes on; an outcome of the blueprint's own is shown as words."""
    if outcome is not None:
        return say(OUTCOMES[outcome]) if outcome in OUTCOMES else outcome.replace("_", " ").capitalize()
    return say(STATUSES.get(status, status))


def result(say: Translate, name: str | None) -> str:
    """Return the result of a stage in words."""
    return say(OUTCOMES.get(name or "", (name or "").replace("_", " ")))


def signature(wording: Wording, given: object) -> str | None:
    """Return a decision's signature in a sentence; None where there is none, or where it was erased."""
    if not isinstance(given, Mapping) or "name" not in given:
        return None
    proven, at = str(given.get("method")), utc(str(given.get("authenticated_at")))
    return wording.say("Signed by {name}: {reason} (confirmed by {method} at {time})").format(
        name=given["name"],
        reason=given.get("reason"),
        method=wording.say(PROOFS[proven]) if proven in PROOFS else proven,
        time=wording.moment(at) if at is not None else "…",
    )


def is_secondary(kind: str) -> bool:
    """Whether an entry of the timeline is a detail that most readers pass over."""
    return kind in _SECONDARY


def why_asked(say: Translate, via: str, named: Named) -> str:
    """Return in a sentence why somebody is asked, from how the task came to them."""
    how, _, whose = via.partition(":")
    match how:
        case "substitution":
            return say("You stand in for {person}, who is away.").format(person=named(whose))
        case "reassignment":
            return say("Somebody reassigned this task.")
        case "escalation":
            return say("Nobody decided in time, so it escalated.")
        case "succession":
            return say("Whoever had the task has left.")
        case "delegation":
            return say("The task was delegated by {person}.").format(person=named(whose))
        case "added":
            return say("{person} added you to this request.").format(person=named(whose))
        case "claim" | "claimed":
            return say("It was taken out of a queue.")
        case "queue":
            return say("It waits in a queue.")
        case "vacant":
            return say("Nobody could be found for this task; an admin has to assign it.")
        case "return":
            return say("It came back after an absence.")
        case _:
            try:
                return say("The process asks {names} here.").format(names=assignee(say, parse_assignee(via), named))
            except PlacetError:
                return say("The process asks {names} here.").format(names=via)


def came_by(say: Translate, via: str, named: Named) -> str:
    """Return how a task came to somebody, to be read by anybody."""
    how, _colon, whose = via.partition(":")
    if how in CAME_BY:
        return say(CAME_BY[how]).format(person=named(whose))
    try:
        names = assignee(say, parse_assignee(via), named)
    except PlacetError:
        names = via
    return say("as the process asks {names}").format(names=names)


def assignee(say: Translate, name: AssigneeName, named: Named) -> str:
    """Return in words whom a name of the process means."""
    match name.kind:
        case "user":
            return named(name.name)
        case "role":
            return say("everyone with the role {name}").format(name=name.name)
        case "group":
            return say("everyone in the group {name}").format(name=name.name)
        case "requester":
            return say("the requester")
        case "owner":
            return say("the process owner")
        case "input" | "inputs":
            return say("whom the request names in {name}").format(name=name.name)
        case "manager_of" if name.of is not None:
            return _manager(say, name.of, named)
        case _:
            return str(name)


def _manager(say: Translate, of: AssigneeName, named: Named) -> str:
    """Return in words whose manager is meant: a text of its own for each, since other languages inflect a person."""
    match of.kind:
        case "requester":
            return say("the manager of the requester")
        case "owner":
            return say("the manager of the process owner")
        case "input":
            return say("the manager of whom the request names in {name}").format(name=of.name)
        case "user":
            return say("the manager of {person}").format(person=named(of.name))
        case _:
            return say("the manager one level above: {person}").format(person=assignee(say, of, named))


def entry(say: Translate, kind: str, facts: Mapping[str, Any], *, of_task: bool = True) -> str:
    """Return a timeline entry as a sentence; a kind without one is shown by its name."""
    sentence = KINDS.get(kind) if of_task else _ON_REQUESTS.get(kind, KINDS.get(kind))
    if sentence is None:  # of a later version
        return kind.replace("_", " ").capitalize()
    return say(sentence).format_map(_Facts(facts))


class _Facts(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"
