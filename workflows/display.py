"""What the Temporal Web UI shows of a request: search attributes, the summary, and the current details.

None of it holds what people wrote, such as a title: search attributes are never encrypted, and lists show summaries.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio.common import SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from activities.messages import ChannelTurnEnd
from placet.audit.chain import moment
from placet.engine.state import State, Task, Waiting
from placet.engine.timers import next_purpose
from placet.plan.plan import Plan
from workflows import search_attributes

_MOST_ASSIGNEES = 20
_LONGEST_KEYWORD = 200
# The API computes the first deadline milliseconds before the run does; so small a change is not worth an event.
_SAME_MOMENT = timedelta(seconds=5)
_WORST = {"ok": 0, "warning": 1, "breached": 2}


def opening_attributes(plan: Plan, state: State) -> TypedSearchAttributes:
    """Return the attributes to start a request with, so that its first transition need not write them."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(search_attributes.BLUEPRINT, plan.name[:_LONGEST_KEYWORD]),
        SearchAttributePair(search_attributes.VERSION, plan.version),
        SearchAttributePair(search_attributes.REQUESTER, state.requester),
    ]
    pairs += [SearchAttributePair(key, value) for key, value in _wanted(state).items() if value is not None]
    return TypedSearchAttributes(pairs)


def changes(plan: Plan, state: State, shown: TypedSearchAttributes) -> list[SearchAttributeUpdate[Any]]:
    """Return the updates of the attributes for this state; empty where they are up to date."""
    wanted = _wanted(state)
    if shown.get(search_attributes.VERSION) not in {
        None,
        plan.version,
    }:  # the request was moved to another version
        wanted[search_attributes.VERSION] = plan.version
    if all(_same(shown.get(key), value) for key, value in wanted.items()):
        return []
    return [key.value_unset() if value is None else key.value_set(value) for key, value in wanted.items()]


def summary(plan: Plan) -> str:
    """Return the one line by which a request is listed."""
    return f"{plan.name} {plan.version}"[:_LONGEST_KEYWORD]


def timer(state: State, armed: datetime) -> str:
    """Return the purpose of the timer, which the Web UI shows beside it."""
    return f"{next_purpose(state)}, due {armed:%Y-%m-%d %H:%M:%S} UTC"[:_LONGEST_KEYWORD]


def details(plan: Plan, state: State) -> str:
    """Return the current state of a request as Markdown."""
    lines = [f"**{plan.name}** {plan.version}, requested by `{state.requester}`", ""]
    if state.status != "pending":
        lines.append(f"Ended: **{state.outcome or state.status}**")
        if state.claimable and state.action is not None:
            lines.append(f"- its action can be claimed until {moment(state.action.expires_at)[:16]}Z")
        return "\n".join(lines)
    if any(s.returned_at for s in state.stages):
        lines.append("Waiting for the requester to change it.")
    lines += [_line(task) for task in state.open_tasks[:_MOST_ASSIGNEES]]
    lines += [f"- runs `{call.action}` at {call.node}" for call in state.actions]
    lines += [f"- waits for request `{call.request_id}` at {call.node}" for call in state.children]
    lines += [f"- waits at {wait.node}{_until(wait)}" for wait in state.waits]
    return "\n".join(lines)


def channel_summary(channel: str) -> str:
    """Return the one line by which the workflow of a channel, and its activity, are listed."""
    return _CHANNELS.get(channel, f"Notifications: sends {channel}")


def channel_details(channel: str, last: ChannelTurnEnd | None) -> str:
    """Return the current state of a channel as Markdown. What fails now is shown with the pending activity."""
    lines = [f"**{channel_summary(channel)}**", "", "The pending activity tells what is sent, and why it fails."]
    if last is not None:
        lines += ["", f"Since {moment(last.at)[:16]}Z: {_TURN_ENDS[last.why]}"]
    return "\n".join(lines)


_CHANNELS = {
    "planning": "Notifications: confirms them and chooses their channels",
    "mail": "Notifications: sends mails",
    "chat": "Notifications: sends chat messages",
    "sms": "Notifications: sends short messages",
    "webhook": "Notifications: sends events to webhooks",
}
_TURN_ENDS = {
    "stopping": "the worker before was stopped, and another one goes on.",
    "recovered": "a failure is over; the history names it.",
    "not_set_up": "the channel is not set up.",
}


def _line(task: Task) -> str:
    who = task.assignee or "queue of " + ", ".join(task.candidates[:5])
    due = f", due {moment(task.due_at)[:16]}Z" if task.due_at else ""
    level = f", escalation level {task.level}" if task.level else ""
    return f"- {task.stage}: `{who}` ({task.sla_state}{due}{level})"


def _until(wait: Waiting) -> str:
    event = f" for `{wait.event}`" if wait.event else ""
    return event + (f" until {moment(wait.until)[:16]}Z" if wait.until else "")


def _wanted(state: State) -> dict[Any, Any]:
    tasks = state.open_tasks
    people = sorted({p for t in tasks for p in ((t.assignee, *t.delegates) if t.assignee else t.candidates) if p})
    due = [t.due_at for t in tasks if t.due_at is not None]
    stage = state.stage
    return {
        search_attributes.ASSIGNEES: people[:_MOST_ASSIGNEES] or None,
        search_attributes.STAGE: stage[:_LONGEST_KEYWORD] if stage else None,
        search_attributes.SLA_STATE: max((t.sla_state for t in tasks), key=_WORST.__getitem__, default=None),
        search_attributes.DUE_TIME: min(due, default=None),
        search_attributes.OUTCOME: (state.outcome or state.status) if state.status != "pending" else None,
    }


def _same(shown: Any, wanted: Any) -> bool:
    if isinstance(shown, datetime) and isinstance(wanted, datetime):
        return abs(shown - wanted) < _SAME_MOMENT
    if isinstance(wanted, list):
        return list(shown or []) == wanted
    return bool(shown == wanted)
