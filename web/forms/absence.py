"""Absences on pages: the form of a new one, and those that a person has."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from sqlalchemy import Connection

from placet.definition.assignees import person_id
from placet.errors import InputInvalid
from service.administration.person_document import Away
from storage.queries.people import people, people_listing
from storage.tables.approvals import StoredPerson
from web.forms.fields import Field
from web.forms.reading import Entries
from web.languages import Wording, utc


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceLine:
    """A span in which somebody is away; `first` and `last` are its days as the reader's zone has them.

    `start` and `until` name it in a form that removes it.
    """

    start: str
    until: str
    first: str
    last: str
    substitute: str
    now: bool


def absence_fields(entries: Entries | None, wording: Wording, people: Sequence[tuple[str, str]]) -> tuple[Field, ...]:
    """Return the fields of a new absence, with what was entered; `people` are proposed as the substitute."""
    given: Callable[[str], str] = entries.text if entries is not None else lambda _: ""
    days = (
        Field(name=name, pointer=f"/{name}", label=label, widget="day", value=given(name), required=True)
        for name, label in (("first", wording.say("First day")), ("last", wording.say("Last day")))
    )
    substitute = Field(
        name="substitute",
        pointer="/substitute",
        label=wording.say("Substitute"),
        widget="text",
        value=given("substitute"),
        help=wording.say("Their id or their full name; empty for nobody."),
        proposals=tuple(people),
    )
    return (*days, substitute)


def at_its_field(error: InputInvalid | None) -> InputInvalid | None:
    """Return a refusal of an absence with its problems at the fields of the form; the document has them deeper."""
    if error is None:
        return None
    problems = (replace(one, pointer=re.sub(r"^/away/(\d+/)?", "/", one.pointer)) for one in error.problems)
    return InputInvalid(error.message, problems=tuple(problems))


def proposed(connection: Connection, but: str) -> list[tuple[str, str]]:
    """Return the ids and names of people that a form proposes as substitutes of somebody; the first of many."""
    return [one for one in people.colleagues(connection) if one[0] != but]


def read_absence(connection: Connection, entries: Entries, wording: Wording) -> Away:
    """Return the absence that was entered; raises InputInvalid with the field that is wrong.

    The substitute may be named by id, or by a name that one person alone has.
    """
    days = {}
    for name in ("first", "last"):
        try:
            days[name] = date.fromisoformat(entries.text(name))
        except ValueError as error:
            raise InputInvalid.at(f"/{name}", wording.say("Enter a day.")) from error
    if days["last"] < days["first"]:
        raise InputInvalid.at("/last", wording.say("The last day is before the first."))
    try:
        start = datetime.combine(days["first"], time(), wording.zone)
        until = datetime.combine(days["last"] + timedelta(days=1), time(), wording.zone)
        moments = {"from": start.isoformat(), "until": until.isoformat()}
        start.timestamp(), until.timestamp()
    except OverflowError as error:  # at the ends of the calendar
        raise InputInvalid.at("/last", wording.say("Enter a day.")) from error
    entered = entries.text("substitute")
    substitute = people_listing.named(connection, entered) if entered else None
    if entered and substitute is None:
        message = wording.say("No active person has this id, and none or several have this name.")
        raise InputInvalid.at("/substitute", message)
    if entries.text("move") and substitute is None:
        raise InputInvalid.at("/substitute", wording.say("Choose the substitute who gets your open tasks."))
    return Away.model_validate({**moments, "substitute": substitute})


def absence_lines(stored: StoredPerson, wording: Wording, names: Callable[[str | None], str]) -> list[AbsenceLine]:
    """Return the absences of a person that are not over."""
    found = []
    for span in stored.away:
        start, until = utc(str(span.get("from"))), utc(str(span.get("until")))
        if start is None or until is None or until <= wording.now:
            continue
        found.append(
            AbsenceLine(
                start=str(span["from"]),
                until=str(span["until"]),
                first=days_of(start, wording),
                last=days_of(until - timedelta(microseconds=1), wording),
                substitute=names(person_id(span["substitute"]) if span.get("substitute") else None),
                now=start <= wording.now,
            )
        )
    return found


def days_of(at: datetime, wording: Wording) -> str:
    """Write the day of a moment in the reader's time zone."""
    return wording.day(at.astimezone(wording.zone).date())
