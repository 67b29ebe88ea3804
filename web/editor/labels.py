"""What the properties of a blueprint are called in its forms, and what they are for.

A property without a line here is called by its name, so that a new one can be edited at once. Words that a property may
hold have a line under `=word`; where there is none, the word itself is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from web.views.values import label_of as by_name
from web.views.words import Translate, marked

_ = marked

_LABELS = {
    "id": _("Short name"),
    "name": _("Name"),
    "type": _("Type"),
    "step": _("Stage"),
    "stage_name": _("Name of the stage"),
    "approvers": _("Who approves"),
    "quorum": _("How many must approve"),
    "at_least": _("At least so many"),
    "percent": _("Percent of them"),
    "weight": _("Weight"),
    "rejection": _("When it is rejected"),
    "order": _("Asked"),
    "claim": _("Has to be taken first"),
    "ad_hoc": _("Approvers may be added"),
    "assign": _("Assigned to"),
    "sla_hours": _("Hours until the deadline"),
    "sla": _("Service level"),
    "target_hours": _("Hours until the deadline"),
    "critical_hours": _("Hours until it is critical"),
    "warn_before_hours": _("Hours of warning before it"),
    "re_escalate_after_hours": _("Hours until it escalates again"),
    "escalation_enabled": _("Escalates when overdue"),
    "escalation_to": _("Escalates to"),
    "escalation": _("Levels of escalation"),
    "after_hours": _("Hours after the deadline"),
    "final": _("When nobody decides in the end"),
    "reminders": _("Reminders"),
    "every_hours": _("Every so many hours"),
    "before_hours": _("So many hours before the deadline"),
    "form": _("Form of the decision"),
    "undo_seconds": _("Seconds to undo a decision"),
    "comment_required": _("A comment is needed to"),
    "separation_of_duties": _("Separation of duties"),
    "repeat": _("The same person in two stages"),
    "agent_principal": _("Whom the asking agent acts for"),
    "description": _("Description"),
    "decision_links": _("Links that decide"),
    "who": _("Who"),
    "kind": _("Kind"),
    "fields": _("Fields"),
    "more": _("More, as JSON"),
    "expr": _("Expression"),
    "output": _("What it sets"),
    "input": _("What it is given"),
    "table": _("Decision table"),
    "hit_policy": _("When several rules fit"),
    "inputs": _("Inputs"),
    "rules": _("Rules"),
    "default": _("Default"),
    "action": _("Action"),
    "rerun": _("Runs again after a change"),
    "template": _("Process"),
    "version": _("Version"),
    "need": _("Goes on after"),
    "hours": _("Hours"),
    "until": _("Until"),
    "event": _("Outside event"),
    "timeout_hours": _("Hours until it gives up"),
    "to": _("To"),
    "message": _("Message"),
    "outcome": _("Outcome"),
    "on": _("On the result"),
    "condition": _("Condition"),
    "required": _("Has to be filled in"),
    "title": _("Title"),
    "minimum": _("Smallest value"),
    "maximum": _("Largest value"),
    "enum": _("Values to choose from"),
    "pattern": _("Pattern"),
    "min_length": _("Shortest length"),
    "max_length": _("Longest length"),
    "items": _("Items"),
    "properties": _("Properties"),
    "currency": _("Currency"),
    "scale": _("Digits after the point"),
    "timezone": _("Time zone"),
    "calendar": _("Working hours"),
    "holidays": _("Holidays"),
    "country": _("Country"),
    "region": _("Region"),
    "dates": _("Days off"),
    "half_days": _("Half days"),
    "max_rounds": _("Rounds of changes"),
    "jitter_seconds": _("Seconds that deadlines are spread over"),
    "on_change": _("When the request is changed"),
    "immaterial": _("Changes that void no approval"),
    "require_revision": _("Decisions name the revision"),
    "attachments": _("Files"),
    "max_files": _("Files of a request"),
    "max_bytes": _("Bytes of a file"),
    "types": _("Types of files"),
    "amount": _("The amount is in"),
    "summary": _("Shown in lists"),
    "owner": _("Owner"),
    "template_type": _("Kind of process"),
    "format": _("Format"),
    "settings": _("Settings"),
    "variables": _("Variables"),
    "process_steps": _("Stages"),
    "graph_spec": _("Graph"),
    "nodes": _("Steps"),
    "edges": _("Ways"),
    "from": _("From"),
    "=any": _("any one"),
    "=all": _("all"),
    "=every": _("all, also those that have ended"),
    "=parallel": _("all at once"),
    "=sequential": _("one after the other"),
    "=each": _("everybody"),
    "=least_loaded": _("whoever has the fewest tasks"),
    "=unreachable": _("once enough approvals cannot come any more"),
    "=wait": _("go on waiting"),
    "=approve": _("approve"),
    "=reject": _("reject"),
    "=expire": _("let it expire"),
    "=request_changes": _("request changes"),
    "=abstain": _("abstain"),
    "=reassign": _("hand it over"),
    "=add": _("add them"),
    "=notify": _("tell them"),
    "=allow": _("may decide both"),
    "=carry": _("their first decision counts for both"),
    "=forbid": _("may decide only one"),
    "=off": _("decide nothing"),
    "=session": _("decide for whoever is logged in"),
    "=bearer": _("decide by themselves"),
    "=first": _("the first one counts"),
    "=unique": _("only one may fit"),
    "=restart": _("approvals begin anew"),
    "=stage": _("the stage begins anew"),
    "=string": _("text"),
    "=integer": _("whole number"),
    "=decimal": _("number or amount"),
    "=boolean": _("yes or no"),
    "=date": _("day"),
    "=datetime": _("moment"),
    "=list": _("list"),
    "=object": _("group of values"),
    "=person": _("person or rule"),
    "=expression": _("expression"),
    "=json": _("JSON"),
    "=number": _("number"),
    "=several": _("several of a list"),
    "=other": _("what the JSON says"),
    "=24x7": _("around the clock"),
    "Quorum": _("a number"),
    "AtLeast": _("a number"),
    "ComputedText": _("computed"),
    "WorkingHours": _("own hours"),
}
_HELP = {
    "id": _("Edges name the step by it."),
    "approvers": _(
        "For example user:max, role:cfo, manager_of(requester). A weight counts where a weight has to be reached."
    ),
    "condition": _('For example: amount > 5000 && department == "it".'),
    "output": _("Written as: variable = field."),
    "input": _('A value, or {"expr": "amount"} for what is computed.'),
    "escalation_to": _("For example department_head or user:olivia."),
    "to": _("Where it goes on, or who is told."),
    "until": _("An expression that is a day or a moment."),
    "form": _("What the approver fills in. A row without a name is left out."),
    "version": _("Such as 1.2.0. It has to rise with what changes."),
    "owner": _("For example user:olivia."),
    "minimum": _("Nothing is said: any."),
    "timezone": _("For example Europe/Berlin."),
}


_DIGITS = 10  # of a place in a list; what is longer is a name


def label_of(name: str, say: Translate) -> str:
    """Return what a property is called, or what a word that it may hold means (`=word`)."""
    if name in _LABELS:
        return say(_LABELS[name])
    return name[1:] if name.startswith("=") else by_name(name)


def place_of(path: Sequence[str], say: Translate) -> str:
    """Return what a place within a part is called: properties by their labels, unknown ones as they are written."""
    return " · ".join(
        str(int(one) + 1) if one.isdecimal() and len(one) < _DIGITS else say(_LABELS[one]) if one in _LABELS else one
        for one in path
    )


def help_of(name: str, say: Translate) -> str | None:
    """Return what a property is for, where that is said."""
    text = _HELP.get(name)
    return None if text is None else say(text)
