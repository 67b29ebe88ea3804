"""Administrative acts as their page shows them: in words, with the people by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from storage.queries import act_targets
from storage.queries.act_targets import TargetName
from storage.recording.admin_acts import Chosen
from storage.tables.admin_acts import AdminAct
from web.languages import Wording
from web.views.people import Names, names_of
from web.views.words import marked

WORDS: Final = {
    "action_added": marked("Action added to the catalogue"),
    "action_changed": marked("Action of the catalogue changed"),
    "canary_begun": marked("Canary begun"),
    "canary_promoted": marked("Canary promoted"),
    "canary_reverted": marked("Canary reverted"),
    "contents_erased": marked("Contents of requests erased"),
    "chat_linked": marked("Member of a chat linked to a person"),
    "chat_unlinked": marked("Link to a member of a chat removed"),
    "draft_created": marked("Draft begun"),
    "draft_discarded": marked("Draft discarded"),
    "draft_published": marked("Draft published"),
    "draft_reopened": marked("Draft reopened"),
    "draft_saved": marked("Draft saved"),
    "draft_submitted": marked("Draft submitted"),
    "event_log_deleted": marked("Event log deleted"),
    "event_log_imported": marked("Event log imported"),
    "evidence_ordered": marked("Evidence pack ordered"),
    "group_changed": marked("Group changed"),
    "group_removed": marked("Group removed"),
    "key_rotated": marked("Key of receipts rotated"),
    "login_link_made": marked("Log-in address made"),
    "messages_resent": marked("Messages sent again"),
    "notification_template_changed": marked("Text of a notification changed"),
    "notification_template_restored": marked("Earlier text of a notification restored"),
    "people_loaded": marked("People loaded from a file"),
    "person_added": marked("Person added"),
    "person_changed": marked("Person changed"),
    "person_erased": marked("Person erased"),
    "person_exported": marked("Data of a person exported"),
    "requests_cancelled": marked("Several requests cancelled"),
    "requests_extended": marked("Several deadlines extended"),
    "requests_moved": marked("Requests moved to another version"),
    "retention_removed": marked("Rule of retention removed"),
    "retention_set": marked("Rule of retention set"),
    "sessions_ended": marked("Sessions ended"),
    "sla_added": marked("SLA added"),
    "sla_breach_acknowledged": marked("Breach of an SLA acknowledged"),
    "sla_changed": marked("SLA changed"),
    "sla_removed": marked("SLA removed"),
    "suggestion_accepted": marked("Suggestion accepted"),
    "suggestion_added": marked("Suggestion made"),
    "suggestion_rejected": marked("Suggestion rejected"),
    "suggestions_generated": marked("Suggestions generated"),
    "tasks_reassigned": marked("Several tasks reassigned"),
    "token_made": marked("API token made"),
    "token_revoked": marked("API token revoked"),
    "version_changed": marked("Version of a process changed"),
    "version_created": marked("Version of a process stored"),
    "version_deprecated": marked("Version of a process taken out of use"),
    "version_published": marked("Version of a process published"),
    "webhook_added": marked("Webhook added"),
    "webhook_changed": marked("Webhook changed"),
    "webhook_removed": marked("Webhook removed"),
    "webhook_replayed": marked("Deliveries of a webhook sent again"),
}
"""What each kind of act is called."""
WAYS: Final = {
    "api": marked("by the API"),
    "page": marked("on a page"),
    "command line": marked("on the command line"),
    "scim": marked("by SCIM"),
    "system": marked("by itself"),
}
_OUTCOMES: Final = {
    "begun": (marked("Begun"), "open"),
    "partly": (marked("Partly done"), "warn"),
    "nothing": (marked("Nothing done"), "bad"),
}
WHOLE: Final = {"people": marked("People"), "requests": marked("Requests")}
"""What acts are called that were done to many."""
_PERSON = "person:"
_NOBODY: Final = {"operator": marked("Operator"), "system": marked("Placet")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActLine:
    """An act as the list shows it; `outcome` is a word and a tone, None where it was simply done."""

    row: AdminAct
    word: str
    by: str
    way: str
    target: str
    outcome: tuple[str, str] | None
    details: tuple[tuple[str, str], ...]


def lines_of(connection: Connection, rows: Sequence[AdminAct], wording: Wording) -> list[ActLine]:
    """Return acts in words, with what they were done to by its name where it still has one."""
    targets = act_targets.names(connection, (row.target for row in rows))
    people = [row.target.removeprefix(_PERSON) for row in rows if row.target.startswith(_PERSON)]
    actors = [row.actor.removeprefix("user:") for row in rows if row.actor not in _NOBODY]
    names = names_of(connection, [*people, *actors, *(one.person for one in targets.values())])
    return [_line(row, targets.get(row.target), names, wording) for row in rows]


def _line(row: AdminAct, named: TargetName | None, names: Names, wording: Wording) -> ActLine:
    say = wording.say
    outcome = _OUTCOMES.get(row.outcome)
    if row.target.startswith(_PERSON):
        target = names(row.target.removeprefix(_PERSON))
    elif named is not None:
        target = ", ".join(text for text in (named.text, names(named.person)) if text)
    elif row.target in WHOLE:
        target = say(WHOLE[row.target])
    else:
        target = row.target.partition(":")[2] or row.target
    return ActLine(
        row=row,
        word=say(WORDS[row.kind]) if row.kind in WORDS else row.kind,
        by=say(_NOBODY[row.actor]) if row.actor in _NOBODY else names(row.actor),
        way=say(WAYS[row.way]) if row.way in WAYS else row.way,
        target=target,
        outcome=None if outcome is None else (say(outcome[0]), outcome[1]),
        details=(
            *((name, _plain(value)) for name, value in sorted(row.detail.items()) if value not in _EMPTY),
            ("target", row.target),
        ),
    )


def chosen_of(given: Mapping[str, str], wording: Wording) -> Chosen:
    """Return which acts an address asks for; what cannot be read in it is left out. The days are the reader's."""
    first, last = _day(given.get("since", "")), _day(given.get("until", ""))
    kind, actor = given.get("kind", ""), given.get("actor", "").replace("\0", "").strip()[:200]
    if actor and actor not in _NOBODY:
        actor = f"user:{actor.removeprefix('user:')}"
    return Chosen(
        actor=actor or None,
        kind=kind if kind in WORDS else None,
        since=None if first is None else datetime.combine(first, time(), wording.zone),
        until=None if last is None else datetime.combine(last + timedelta(days=1), time(), wording.zone),
    )


_EMPTY: Final[tuple[Any, ...]] = (None, [], {})


def _plain(value: Any) -> str:
    """Write a value of a detail in one line."""
    if isinstance(value, dict):
        if value.keys() == {"before", "after"}:
            return f"{_plain(value['before'])} → {_plain(value['after'])}"
        return "; ".join(f"{name}: {_plain(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value) or "-"
    return "-" if value is None else str(value)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
        day + timedelta(days=1)  # the last day that there is has none after it
    except (ValueError, OverflowError):
        return None
    return day
