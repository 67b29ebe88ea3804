"""Notices: what was or is to be sent about a request, sending it again, and what each person wants."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from activities.notifications.preferences import Preferences, read
from activities.notifications.templates.template_set import DIGEST, LAYOUT, OTHER, defaults
from placet.audit.admin_acts import Act
from placet.errors import InputInvalid, NotFound, NotPermitted, Problem
from placet.json_pointer import pointer_to
from placet.sentences import sentence
from service.administration.acts import write_with_act
from service.administration.webhooks import require_active
from service.context import Context
from service.principal import Principal
from service.visibility import seen_request, sees_failures, sees_webhooks
from storage.queries.notifications import delivery_queue, webhooks
from storage.queries.notifications.webhooks import PREFIX
from storage.queries.people import people
from storage.tables.notifications import NotificationMessage

CHANNELS = ("mail", "chat", "slack", "teams", "sms")
_LONGEST_NAME = 100  # characters of a name, as a problem shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """The notifications of a request, and whether the caller may see why a delivery failed."""

    rows: list[NotificationMessage]
    with_error: bool


def events() -> list[str]:
    """Return the names of all events that people are told of, in order."""
    return sorted(defaults().keys() - {LAYOUT, DIGEST, OTHER})


def messages_of(connection: Connection, principal: Principal, request_id: str, now: datetime) -> Messages:
    """Return the notifications of a request that the caller may see; raises NotFound."""
    owner = seen_request(connection, principal, request_id, now).request.owner
    rows = [
        message
        for message in delivery_queue.messages(connection, request_id)
        if sees_webhooks(principal) or not is_webhook(message)
    ]
    return Messages(rows=rows, with_error=sees_failures(principal, owner))


async def send_again(
    context: Context, principal: Principal, key: str, *, channel: str | None = None
) -> tuple[int, list[NotificationMessage]]:
    """Send a notice again over the channels that failed, or over one that is named: over how many, and all of it.

    Raises NotFound for whom there is no such notice, NotPermitted for all but the process owner and admins,
    InputInvalid where it did not go over that channel, and Conflict where that is an endpoint that is switched off.
    """

    def read(connection: Connection) -> list[NotificationMessage]:
        found = _messages(connection, key)
        if not principal.admin:
            _need_owner(context, connection, principal, found)
        if channel is not None and channel.startswith(PREFIX):
            require_active(webhooks.get(connection, channel.removeprefix(PREFIX)))
        return found

    found = await context.database.read(read)
    if channel is not None and channel not in {message.channel for message in found}:
        there = ", ".join(message.channel for message in found)
        why = sentence(
            "the notification was not sent on the channel {channel!r}; its channels are {there}",
            channel=channel,
            there=there,
        )
        raise InputInvalid(sentence("/channel: {why}.", why=why), problems=(Problem(pointer="/channel", message=why),))
    now = context.now()

    def act(queued: int) -> Act | None:
        detail = {"request": found[0].request_id, "channel": channel, "queued": queued}
        return Act(kind="messages_resent", target=f"notice:{key}", detail=detail) if queued else None

    queued = await write_with_act(
        context.database, principal.acted_by, now, act, delivery_queue.send_again, key, now, channel=channel
    )
    return queued, await context.database.read(_messages, key)


async def choose_preferences(context: Context, principal: Principal, given: dict[str, Any]) -> Preferences:
    """Store what somebody chose about notices: what is left out is as without preferences. Raises InputInvalid."""
    _require_known_names(given)
    chosen = await asyncio.to_thread(read, given)  # a time zone is read from a file
    given = chosen.model_dump(mode="json", by_alias=True)
    await context.database.write(people.prefer, principal.person, given, context.now())
    return chosen


def is_webhook(message: NotificationMessage) -> bool:
    """Whether a message goes to a webhook's endpoint."""
    return message.channel.startswith(PREFIX)


def _require_known_names(given: dict[str, Any]) -> None:
    """Refuse names that nothing has, so that a misspelt one is found; raises InputInvalid."""
    told = events()
    places = [(pointer_to("", name[:_LONGEST_NAME]), name, tuple(Preferences.model_fields)) for name in given]
    for field, known in (("channels", CHANNELS), ("urgent", told), ("muted", told)):
        if isinstance(values := given.get(field), list):
            places += [(f"/{field}/{number}", name, tuple(known)) for number, name in enumerate(values)]
    if isinstance(addresses := given.get("addresses"), dict):
        places += [(pointer_to("/addresses", name[:_LONGEST_NAME]), name, CHANNELS) for name in addresses]
    problems = tuple(
        Problem(
            pointer=pointer,
            message=sentence(
                "{name!r} is unknown; write one of {known}", name=str(name)[:_LONGEST_NAME], known=", ".join(known)
            ),
        )
        for pointer, name, known in places
        if name not in known
    )
    if problems:
        raise InputInvalid("The preferences are wrong.", problems=problems)


def _messages(connection: Connection, key: str) -> list[NotificationMessage]:
    found = delivery_queue.messages_of_notice(connection, key)
    if not found:
        raise _no_notice(key)
    return found


def _no_notice(key: str) -> NotFound:
    return NotFound(sentence("No notice {key!r} has been given to a channel yet, or it is not yours to see.", key=key))


def _need_owner(
    context: Context, connection: Connection, principal: Principal, found: list[NotificationMessage]
) -> None:
    """Raise NotFound for whom the notice is none to see (one about no request is for admins), else NotPermitted."""
    try:
        stored = seen_request(connection, principal, found[0].request_id, context.now())
    except NotFound:
        raise _no_notice(found[0].key) from None
    if not principal.owns(stored.request.owner) or any(is_webhook(message) for message in found):
        raise NotPermitted("Only the process owner and admins send notices again, and only admins send webhooks.")
