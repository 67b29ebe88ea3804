"""The form of a new endpoint, and of another secret: its fields, and what was entered."""

from __future__ import annotations

from collections.abc import Callable

from activities.notifications.channels.webhook_secrets import ENV_PREFIX
from placet.audit.chain import KINDS
from placet.errors import InputInvalid
from service.administration.webhooks import Endpoint
from web.audit.kinds import name_of
from web.forms.fields import Field
from web.forms.reading import Entries
from web.languages import Wording

LONGEST_URL, LONGEST_DESCRIPTION, LONGEST_REFERENCE = 2000, 500, 200


def endpoint_fields(entries: Entries | None, wording: Wording) -> tuple[Field, ...]:
    """Return the fields of a new endpoint, with what was entered."""
    say = wording.say
    given: Callable[[str], str] = entries.text if entries is not None else lambda _: ""
    return (
        Field(
            name="url",
            pointer="/url",
            label=say("Address"),
            widget="text",
            value=given("url"),
            required=True,
            longest=LONGEST_URL,
            help=say("Where events are sent, such as https://hooks.example.com/placet."),
        ),
        Field(
            name="description",
            pointer="/description",
            label=say("What it is called"),
            widget="text",
            value=given("description"),
            longest=LONGEST_DESCRIPTION,
        ),
        secret_field(entries, wording),
        Field(
            name="events",
            pointer="/events",
            label=say("Events"),
            widget="choices",
            options=tuple(sorted(((kind, name_of(say, kind)) for kind in KINDS), key=lambda one: one[1].casefold())),
            values=tuple(entries.texts("events")) if entries is not None else (),
            help=say("Tick what it shall get; nothing ticked is every event."),
        ),
    )


def secret_field(entries: Entries | None, wording: Wording) -> Field:
    """Return the field for a secret of one's own."""
    return Field(
        name="secret_ref",
        pointer="/secret_ref",
        label=wording.say("Your own secret"),
        widget="text",
        value=entries.text("secret_ref") if entries is not None else "",
        longest=LONGEST_REFERENCE,
        help=wording.say(
            "Empty: Placet makes one, and shows it once. Else where it stands: {variable}, or file: and a name."
        ).format(variable=f"env:{ENV_PREFIX}NAME"),
    )


def read_endpoint_form(entries: Entries, wording: Wording) -> Endpoint:
    """Return the endpoint that was entered; raises InputInvalid with the field that is wrong."""
    say, url = wording.say, entries.text("url")
    if not 1 <= len(url) <= LONGEST_URL:
        raise InputInvalid.at("/url", say("Enter the address that events are sent to."))
    if len(entries.text("description")) > LONGEST_DESCRIPTION:
        raise InputInvalid.at("/description", say("Enter at most {most} characters.").format(most=LONGEST_DESCRIPTION))
    events = tuple(one for one in entries.texts("events") if one in KINDS)
    reference = entries.text("secret_ref")[:LONGEST_REFERENCE]
    chosen = {"secret_ref": reference} if reference else {}
    return Endpoint(url=url, events=events, description=entries.text("description"), **chosen)
