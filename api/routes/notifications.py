"""Notifications: their templates, what became of them, sending them again, and what each person wants."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Body as Sent
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.notifications import operations
from activities.notifications.preferences import Preferences, read
from activities.notifications.templates.texts import DIGEST, LAYOUT, OTHER, Source, defaults
from api.calls import PersonalRoute
from api.deps import Caller, Cursor, Here, Limit, Reading
from api.identity import Principal
from api.schemas.common import Listed
from api.schemas.notifications import (
    PREFERENCES,
    MessageView,
    NoticeTemplateView,
    NoticeTemplateWhole,
    PreferencesView,
    Preview,
    Rendered,
    Resend,
    Resent,
    TemplateEdit,
    VersionView,
    is_webhook,
)
from api.seeing import seen_request
from placet.errors import InputInvalid, NotFound, NotPermitted, Problem
from placet.json_pointer import pointer_to
from placet.json_text import with_floats
from storage.queries import cursor as cursors
from storage.queries.notifications import notifications
from storage.queries.people import people
from storage.tables.notifications import NotificationMessage

router = APIRouter(prefix="/workflow", tags=["notifications"], route_class=PersonalRoute)

CHANNELS = ("mail", "chat", "sms")

PreferencesBody = Annotated[dict[str, Any], Sent(openapi_examples={"office hours": {"value": PREFERENCES}})]


@router.get("/notification-templates/")
async def list_notification_templates(
    context: Here, limit: Limit = 50, cursor: Cursor = None
) -> Listed[NoticeTemplateView]:
    """List the templates of notices as they are in force, by name; designers and admins can."""
    after = cursors.read_names(cursor, 1)[0] if cursor is not None else ""
    found = [source for source in await operations.templates(context.database) if source.name > after]
    page = cursors.page(found, limit, lambda source: (source.name,))
    return Listed(items=[NoticeTemplateView(**_words(source)) for source in page.items], next_cursor=page.next_cursor)


@router.get("/notification-templates/{name}/")
async def read_notification_template(context: Here, name: str) -> NoticeTemplateWhole:
    """Show a template as it is in force, with all of its edited versions; designers and admins can."""
    versions = await operations.versions(context.database, name)
    source = await _in_force(context, name)
    return NoticeTemplateWhole(**_words(source), versions=[VersionView.of(row) for row in versions])


@router.put("/notification-templates/{name}/")
async def put_notification_template(context: Here, caller: Caller, name: str, body: TemplateEdit) -> NoticeTemplateView:
    """Put new words in force, or restore an earlier version; designers and admins can.

    The words are tried out first; those that break are refused. Workers use the new ones within seconds.
    """
    if body.restore is not None:
        await operations.restore(context.database, name, body.restore)
    else:
        await operations.edit(
            context.database,
            body.source(name),
            by=caller.person,
            now=datetime.now(UTC),
            note=body.note,
            carry_out=partial(context.pool.run, by=caller.person),
        )
    return NoticeTemplateView(**_words(await _in_force(context, name)))


@router.post("/notification-templates/{name}/preview/")
async def preview_notification_template(
    context: Here, caller: Caller, name: str, body: Preview | None = None
) -> Rendered:
    """Render a template, with a sample or with a real request that the caller may see; nothing is stored or sent."""
    body = body or Preview()
    if body.request_id is not None:
        async with context.database.session() as session:
            await seen_request(session, caller, body.request_id)
    source = body.source(await _in_force(context, name))
    words = await operations.show(
        context.database,
        source,
        context.notify,
        request_id=body.request_id,
        carry_out=partial(context.pool.run, by=caller.person),
    )
    return Rendered(subject=words.subject, text=words.text, html=words.html)


@router.get("/requests/{request_id}/notifications/")
async def list_notifications(
    session: Reading, caller: Caller, request_id: str, limit: Limit = 50, cursor: Cursor = None
) -> Listed[MessageView]:
    """List what was or is to be sent about a request, one item for each channel, in the order of the entries.

    Why a delivery failed is shown to the process owner, auditors and admins; webhooks to auditors and admins.
    """
    owner = (await seen_request(session, caller, request_id)).request.owner
    after = cursors.read_names(cursor, 3) if cursor is not None else None
    found = [
        message
        for message in await notifications.messages(session, request_id)
        if (caller.sees_all or not is_webhook(message)) and (after is None or _place(message) > after)
    ]
    page = cursors.page(sorted(found, key=_place), limit, _place)
    knows = caller.sees_all or caller.owns(owner)
    return Listed(items=[MessageView.of(row, with_error=knows) for row in page.items], next_cursor=page.next_cursor)


@router.post("/notifications/{key}/resend/")
async def resend_notification(context: Here, caller: Caller, key: str, body: Resend | None = None) -> Resent:
    """Send a notice again over the channels that failed, or over one that is named; process owner and admins can.

    Receivers get the same message id, so that what did arrive can be told apart.
    """
    channel = body.channel if body else None
    async with context.database.session() as session:
        found = await _messages(session, key)
        if not caller.admin:
            await _need_owner(session, caller, found)
    if channel is not None and channel not in {message.channel for message in found}:
        there = ", ".join(message.channel for message in found)
        why = f"the notice did not go over {channel!r}; it has {there}"
        raise InputInvalid(f"/channel: {why}.", problems=(Problem(pointer="/channel", message=why),))
    queued = await operations.send_again(context.database, key, now=datetime.now(UTC), channel=channel)
    async with context.database.session() as session:
        messages = await _messages(session, key)
    return Resent(queued=queued, messages=[MessageView.of(row, with_error=True) for row in messages])


@router.get("/people/me/preferences/")
async def read_preferences(session: Reading, caller: Caller) -> PreferencesView:
    """Show what the caller chose about notices, and the defaults for the rest."""
    return PreferencesView.of(read((await people.get(session, caller.person)).preferences))


@router.put("/people/me/preferences/")
async def put_preferences(context: Here, caller: Caller, body: PreferencesBody) -> PreferencesView:
    """Store what the caller chose: what is left out is as without preferences. Times are in the person's time zone."""
    given = with_floats(body)
    _known_names(given)
    chosen = await asyncio.to_thread(read, given)  # a time zone is read from a file
    async with context.database.begin() as session:
        person = await people.get(session, caller.person)
        # What is not about notices belongs to whoever stored the person.
        others = {name: value for name, value in person.preferences.items() if name not in Preferences.model_fields}
        person.preferences = others | chosen.model_dump(mode="json", by_alias=True)
        person.updated_at = datetime.now(UTC)
    return PreferencesView.of(chosen)


def _known_names(given: dict[str, Any]) -> None:
    """Refuse names that nothing has, so that a misspelt one is found; raises InputInvalid."""
    events = sorted(defaults().keys() - {LAYOUT, DIGEST, OTHER})
    places = [(pointer_to("", name[:100]), name, tuple(Preferences.model_fields)) for name in given]
    for field, known in (("channels", CHANNELS), ("urgent", events), ("muted", events)):
        if isinstance(values := given.get(field), list):
            places += [(f"/{field}/{number}", name, tuple(known)) for number, name in enumerate(values)]
    if isinstance(addresses := given.get("addresses"), dict):
        places += [(pointer_to("/addresses", name[:100]), name, CHANNELS) for name in addresses]
    problems = tuple(
        Problem(pointer=pointer, message=f"{str(name)[:100]!r} is unknown; write one of {', '.join(known)}")
        for pointer, name, known in places
        if name not in known
    )
    if problems:
        raise InputInvalid("The preferences are wrong.", problems=problems)


async def _in_force(context: Here, name: str) -> Source:
    for source in await operations.templates(context.database):
        if source.name == name:
            return source
    raise NotFound(f"There is no template {name!r}; there are {', '.join(sorted(defaults()))}.")


async def _messages(session: AsyncSession, key: str) -> list[NotificationMessage]:
    query = select(NotificationMessage).where(col(NotificationMessage.key) == key)
    found = list(await session.scalars(query.order_by(col(NotificationMessage.channel))))
    if not found:
        raise _no_notice(key)
    return found


def _no_notice(key: str) -> NotFound:
    return NotFound(f"No notice {key!r} has been given to a channel yet, or it is not yours to see.")


async def _need_owner(session: AsyncSession, caller: Principal, found: list[NotificationMessage]) -> None:
    """Raise NotFound for whom the notice is none to see (one about no request is for admins), else NotPermitted."""
    try:
        owner = (await seen_request(session, caller, found[0].request_id)).request.owner
    except NotFound:
        raise _no_notice(found[0].key) from None
    if not caller.owns(owner) or any(is_webhook(message) for message in found):
        raise NotPermitted("Only the process owner and admins send notices again, and only admins send webhooks.")


def _place(message: NotificationMessage) -> tuple[str, str, str]:
    return f"{message.seq:010}", message.key, message.channel


def _words(source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "version": source.version,
        "subject": source.subject,
        "text": source.text,
        "html": source.html,
    }
