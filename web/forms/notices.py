"""The form of what a reader wants to be told, how and when: the preferences of their notices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from activities.notifications.preferences import Preferences
from service.administration.notifications import CHANNELS, events
from web.forms.fields import Field
from web.forms.reading import Entries
from web.operations.deliveries import channel, event
from web.views.words import Translate
from web.views.words import marked as _

_DAYS: Final = {
    "mon": _("Monday"),
    "tue": _("Tuesday"),
    "wed": _("Wednesday"),
    "thu": _("Thursday"),
    "fri": _("Friday"),
    "sat": _("Saturday"),
    "sun": _("Sunday"),
}
_ADDRESSES: Final = tuple(name for name in CHANNELS if name != "mail")
"""Channels that need an address of their own; mail goes to the one that is stored of the person."""
_MIDNIGHT: Final = "00:00"


def notice_fields(stored: Preferences, entries: Entries | None, say: Translate) -> tuple[Field, ...]:
    """Return the fields, with what is in force, or with what was entered."""
    quiet, digest = stored.quiet_hours, stored.digest
    in_force: dict[str, tuple[str, ...]] = {
        "channels": stored.channels,
        "quiet_from": (f"{quiet.start:%H:%M}",) if quiet is not None else (),
        "quiet_until": (f"{quiet.until:%H:%M}",) if quiet is not None else (),
        "quiet_days": quiet.days if quiet is not None else (),
        "digest": (", ".join(f"{at:%H:%M}" for at in digest.at),) if digest is not None else (),
        "urgent": stored.urgent,
        "muted": stored.muted,
        **{f"address_{name}": (stored.addresses.get(name, ""),) for name in _ADDRESSES},
    }

    def chosen(name: str) -> tuple[str, ...]:
        return tuple(entries.texts(name)) if entries is not None else in_force[name]

    def several(name: str, pointer: str, label: str, options: Mapping[str, str], **more: Any) -> Field:
        listed = tuple(options.items())
        return Field(
            name=name, pointer=pointer, label=label, widget="choices", values=chosen(name), options=listed, **more
        )

    def one(name: str, pointer: str, label: str, **more: Any) -> Field:
        value = next(iter(chosen(name)), "")
        return Field(name=name, pointer=pointer, label=label, value=value, **{"widget": "text", **more})

    channels = {name: channel(say, name) for name in CHANNELS}
    days = {name: say(word) for name, word in _DAYS.items()}
    told = dict(sorted(((name, event(say, name)) for name in events()), key=lambda pair: pair[1].casefold()))
    return (
        several(
            "channels",
            "/channels",
            say("Where you are told"),
            channels,
            help=say("What is not set up in this installation is left out; where nothing is left, mail is used."),
        ),
        *(
            one(f"address_{name}", f"/addresses/{name}", say("Your address: {channel}").format(channel=channels[name]))
            for name in _ADDRESSES
        ),
        one("quiet_from", "/quiet_hours/from", say("Quiet from"), widget="time"),
        one("quiet_until", "/quiet_hours/until", say("Quiet until"), widget="time"),
        several("quiet_days", "/quiet_hours/days", say("Quiet all day"), days),
        one(
            "digest",
            "/digest/at",
            say("One mail for all at"),
            help=say("Times of the day, such as 09:00, 15:00. Empty: a mail for each."),
        ),
        several(
            "urgent",
            "/urgent",
            say("Told at once"),
            told,
            help=say("Also in quiet hours, and by a mail of its own."),
        ),
        several("muted", "/muted", say("Not told at all"), told),
    )


def read_notices(entries: Entries) -> dict[str, Any]:
    """Return the preferences that the form sent, as the API takes them."""
    days = entries.texts("quiet_days")
    hours = {"from": entries.text("quiet_from"), "until": entries.text("quiet_until")}
    quiet: dict[str, Any] | None = None
    if any(hours.values()):
        quiet = {name: at for name, at in hours.items() if at} | {"days": days}
    elif days:  # no hours of the others
        quiet = {"from": _MIDNIGHT, "until": _MIDNIGHT, "days": days}
    times = [at.strip() for at in entries.text("digest").split(",") if at.strip()]
    addresses = {name: at for name in _ADDRESSES if (at := entries.text(f"address_{name}"))}
    return {
        "channels": entries.texts("channels"),
        "addresses": addresses,
        "quiet_hours": quiet,
        "digest": {"at": times} if times else None,
        "urgent": entries.texts("urgent"),
        "muted": entries.texts("muted"),
    }
