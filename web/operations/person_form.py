"""The form in which an admin edits a person: its fields, and what was entered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection

from placet.definition.assignees import person_id
from placet.errors import InputInvalid, Problem
from service.administration.people import EDITED
from service.administration.person_document import PersonFacts
from service.principal import ACCESS
from storage.queries.people import people_listing
from storage.tables.approvals import StoredPerson
from web.forms.fields import Field
from web.forms.reading import Entries
from web.languages import Wording
from web.views.words import ACTOR_TYPES, marked

_LABELS: Final = {
    "name": marked("Name"),
    "email": marked("Mail"),
    "department": marked("Department"),
    "manager": marked("Manager"),
    "access": marked("Access"),
    "roles": marked("Roles"),
    "groups": marked("Groups"),
    "active": marked("Works here"),
    "actor_type": marked("Kind"),
    "principal": marked("Acts for"),
}
_HELP: Final = {
    "manager": marked("Their id or their full name; empty for nobody."),
    "access": marked("Nothing ticked: they may do nothing here."),
    "principal": marked(
        "Of an agent: the id or the full name of the person whom it acts for. It may do what both may."
    ),
    "active": marked("Whoever has left decides nothing any more, and what is open for them goes to others."),
}
ACCESS_WORDS: Final = {
    "requester": marked("Requester: asks for approval"),
    "approver": marked("Approver: decides"),
    "designer": marked("Designer: writes processes"),
    "auditor": marked("Auditor: reads everything"),
    "admin": marked("Admin: administers people, processes and requests"),
}
_WRONG: Final = {
    "name": marked("Enter 1 to 200 characters."),
    "email": marked("Enter an address such as anna@example.com."),
    "department": marked("Enter at most 200 characters."),
    "manager": marked("No active person has this id, and none or several have this name."),
    "principal": marked("No active person has this id, and none or several have this name."),
    "roles": marked("Write names of letters, digits and . _ @ + -, without spaces, one on each line."),
    "groups": marked("Write names of letters, digits and . _ @ + -, without spaces, one on each line."),
}
_PEOPLE: Final = ("manager", "principal")  # who are named by their ids or their full names
_TRUTHS: Final = (("true", marked("Yes")), ("false", marked("No, they have left")))


def facts_of(row: StoredPerson) -> PersonFacts:
    """Return what the form shows of a stored person."""
    return PersonFacts.model_construct(**{name: getattr(row, name) for name in EDITED})


def as_text(facts: PersonFacts) -> str:
    """Write what was shown, for the form to send back."""
    return json.dumps({name: getattr(facts, name) for name in EDITED}, ensure_ascii=False)


def read_shown(text: str, otherwise: PersonFacts) -> PersonFacts:
    """Read what the form had shown; where that cannot be read, the person counts as shown as they are now."""
    try:
        return PersonFacts.model_validate(json.loads(text))
    except (ValueError, RecursionError):  # pydantic's errors are ValueErrors
        return otherwise


def person_fields(
    facts: PersonFacts, entries: Entries | None, wording: Wording, people: Sequence[tuple[str, str]]
) -> tuple[Field, ...]:
    """Return the fields, with what was entered, else with what there is; `people` are proposed where one is named."""
    say = wording.say
    shown: dict[str, Any] = {name: getattr(facts, name) for name in EDITED}
    shown |= {name: person_id(named) if (named := getattr(facts, name)) else "" for name in _PEOPLE}
    shown["active"] = "true" if facts.active else "false"
    fields = []
    for name in EDITED:
        more: dict[str, Any] = {"widget": "text", "longest": 320, "required": name == "name"}
        value = shown[name]
        if name == "access":
            options = tuple((one, say(ACCESS_WORDS[one])) for one in ACCESS)
            ticked = entries.texts(name) if entries is not None else value
            more = {"widget": "choices", "options": options, "values": tuple(ticked)}
        elif name in _PEOPLE:
            more["proposals"] = tuple(people)
        elif name in {"roles", "groups"}:
            more = {"widget": "lines"}
            value = "\n".join(value)
        elif name == "active":
            more = {"widget": "choice", "options": tuple((one, say(word)) for one, word in _TRUTHS), "required": True}
        elif name == "actor_type":
            kinds = tuple((one, say(word)) for one, word in ACTOR_TYPES.items())
            more = {"widget": "choice", "options": kinds, "required": True}
        if name != "access":
            more["value"] = entries.text(name) if entries is not None else value or ""
        fields.append(
            Field(
                name=name,
                pointer=f"/{name}",
                label=say(_LABELS[name]),
                help=say(_HELP[name]) if name in _HELP else None,
                **more,
            )
        )
    return tuple(fields)


def read_person_form(connection: Connection, entries: Entries, shown: PersonFacts, wording: Wording) -> PersonFacts:
    """Return the person as they were entered; raises InputInvalid with each field that is wrong."""
    wrong: dict[str, str] = {}
    sent: dict[str, Any] = {name: entries.text(name) or None for name in ("name", "email", "department")}
    if not sent["name"]:
        wrong["name"] = _WRONG["name"]
    for name in _PEOPLE:
        before, entered = getattr(shown, name), entries.text(name)
        if entered == (person_id(before) if before else ""):
            sent[name] = before  # who may have left
        else:
            sent[name] = people_listing.named(connection, entered)
            if sent[name] is None and entered:
                wrong[name] = _WRONG[name]
    sent |= {name: entries.text(name).split() for name in ("roles", "groups")}
    sent["access"] = [one for one in ACCESS if one in entries.texts("access")]
    sent["active"] = entries.text("active") != "false"
    sent["actor_type"] = entries.text("actor_type") if entries.text("actor_type") in ACTOR_TYPES else shown.actor_type
    try:
        facts = PersonFacts.model_validate(_as_they_were(sent, shown))
    except ValidationError as error:
        places = {str(fault["loc"][0]) for fault in error.errors(include_url=False)}
        wrong |= {place: _WRONG[place] for place in places if place in _WRONG}
        if not wrong:
            raise
    if wrong:
        problems = tuple(Problem(pointer=f"/{name}", message=wording.say(text)) for name, text in sorted(wrong.items()))
        raise InputInvalid(problems[0].message, problems=problems)
    return facts


def _as_they_were(sent: Mapping[str, Any], shown: PersonFacts) -> dict[str, Any]:
    """Return lists that hold the same as before in the order in which they were, so that they are no change."""

    def same(name: str, value: Any) -> Any:
        before = getattr(shown, name)
        return before if isinstance(value, list) and sorted(value) == sorted(before) else value

    return {name: same(name, value) for name, value in sent.items()}
