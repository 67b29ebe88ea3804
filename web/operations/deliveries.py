"""What messages are called on the page of those that failed: their events and channels, in the reader's language."""

from __future__ import annotations

from typing import Final

from web.audit.kinds import NAMES
from web.views.words import Translate
from web.views.words import marked as _

EVENTS: Final = {
    "escalated_to": _("Escalated to this person"),
    "escalated_from": _("Escalated to somebody else"),
    "task_taken_over": _("Task given to somebody else"),
    "mentioned": _("Mentioned"),
    "watched_ended": _("End of a watched request"),
    "superseded": _("No longer needed"),
    "canary_reverted": _("Canary reverted"),
    "slo_breached": _("Service level missed"),
    "slo_warning": _("Service level at risk"),
}
"""What a message is about, by its event, where that is no kind of entry."""
CHANNELS: Final = {
    "mail": _("mail"),
    "chat": _("chat"),
    "slack": _("Slack"),
    "teams": _("Teams"),
    "sms": _("SMS"),
    "webhook": _("webhook"),
}


def event(say: Translate, name: str) -> str:
    """Return what an event is called; one that is not known, by its own name."""
    word = EVENTS.get(name) or NAMES.get(name)
    return say(word) if word is not None else name.replace("_", " ")


def channel(say: Translate, name: str) -> str:
    """Return what a channel is called; `webhook:ID` is one of the webhooks."""
    kind = name.partition(":")[0]
    return say(CHANNELS[kind]) if kind in CHANNELS else name
