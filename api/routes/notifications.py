"""Notifications: templates, deliveries, sending again, and preferences."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Body as Sent

from activities.notifications.preferences import read
from activities.notifications.templates.template_set import TemplateSource
from api.deps import Caller, Cursor, Here, Limit
from api.http.calls import PersonalRoute
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
)
from languages.catalogues import SOURCE, Language
from placet.json_text import with_floats
from service.administration import notification_templates
from service.administration.notifications import choose_preferences, messages_of, send_again
from service.visibility import seen_request
from storage.queries import cursor as cursors
from storage.queries.people import people
from storage.tables.notifications import NotificationMessage

router = APIRouter(prefix="/workflow", tags=["notifications"], route_class=PersonalRoute)

In = Annotated[Language, Query(description="The language of the templates.")]
PreferencesBody = Annotated[dict[str, Any], Sent(openapi_examples={"office hours": {"value": PREFERENCES}})]


@router.get("/notification-templates/")
async def list_notification_templates(
    context: Here, limit: Limit = 50, cursor: Cursor = None, language: In = SOURCE
) -> Listed[NoticeTemplateView]:
    """List the current notification templates of a language by name. For designers and admins."""
    after = cursors.read_names(cursor, 1)[0] if cursor is not None else ""
    sources = await notification_templates.templates(context.database, language)
    found = [source for source in sources if source.name > after]
    page = cursors.page(found, limit, lambda source: (source.name,))
    return Listed(items=[NoticeTemplateView(**_words(source)) for source in page.items], next_cursor=page.next_cursor)


@router.get("/notification-templates/{name}/")
async def read_notification_template(context: Here, name: str, language: In = SOURCE) -> NoticeTemplateWhole:
    """Show the current version of a template in a language, and all edited versions. For designers and admins."""
    versions = await notification_templates.versions(context.database, name, language)
    source = await notification_templates.in_force(context.database, name, language)
    return NoticeTemplateWhole(**_words(source), versions=[VersionView.of(row) for row in versions])


@router.put("/notification-templates/{name}/")
async def put_notification_template(
    context: Here, caller: Caller, name: str, body: TemplateEdit, language: In = SOURCE
) -> NoticeTemplateView:
    """Change the text of a template in a language, or restore an earlier version. For designers and admins.

    The text is rendered with a sample first; a broken template is refused. Workers use the new text within seconds.
    """
    if body.restore is not None:
        await notification_templates.restore(
            context.database, name, body.restore, language, by=caller.acted_by, now=context.now()
        )
    else:
        await notification_templates.edit(
            context.database,
            body.source(name, language),
            by=caller,
            now=context.now(),
            note=body.note,
            carry_out=partial(context.pool.run, by=caller.person),
        )
    return NoticeTemplateView(**_words(await notification_templates.in_force(context.database, name, language)))


@router.post("/notification-templates/{name}/preview/")
async def preview_notification_template(
    context: Here, caller: Caller, name: str, body: Preview | None = None, language: In = SOURCE
) -> Rendered:
    """Render a template with a sample, or with a request that the caller may see. Nothing is stored or sent."""
    body = body or Preview()
    if body.request_id is not None:
        await context.database.read(seen_request, caller, body.request_id, context.now())
    source = body.source(await notification_templates.in_force(context.database, name, language))
    words = await notification_templates.show(
        context.database,
        source,
        context.notify,
        request_id=body.request_id,
        carry_out=partial(context.pool.run, by=caller.person),
    )
    return Rendered(subject=words.subject, text=words.text, html=words.html)


@router.get("/requests/{request_id}/notifications/")
async def list_notifications(
    context: Here, caller: Caller, request_id: str, limit: Limit = 50, cursor: Cursor = None
) -> Listed[MessageView]:
    """List the notifications about a request, one item for each channel, in the order of the audit entries.

    The process owner, auditors and admins see why a delivery failed. Only auditors and admins see webhooks.
    """
    messages = await context.database.read(messages_of, caller, request_id, context.now())
    after = cursors.read_names(cursor, 3) if cursor is not None else None
    found = [message for message in messages.rows if after is None or _place(message) > after]
    page = cursors.page(sorted(found, key=_place), limit, _place)
    items = [MessageView.of(row, with_error=messages.with_error) for row in page.items]
    return Listed(items=items, next_cursor=page.next_cursor)


@router.post("/notifications/{key}/resend/")
async def resend_notification(context: Here, caller: Caller, key: str, body: Resend | None = None) -> Resent:
    """Send a notification again, on the channels that failed or on a given channel. For the process owner and admins.

    The message id stays the same, so receivers can recognise a message that they have already.
    """
    queued, messages = await send_again(context, caller, key, channel=body.channel if body else None)
    return Resent(queued=queued, messages=[MessageView.of(row, with_error=True) for row in messages])


@router.get("/people/me/preferences/")
async def read_preferences(context: Here, caller: Caller) -> PreferencesView:
    """Show the caller's notification preferences, with defaults for those that are not set."""
    return PreferencesView.of(read((await context.database.read(people.get, caller.person)).preferences))


@router.put("/people/me/preferences/")
async def put_preferences(context: Here, caller: Caller, body: PreferencesBody) -> PreferencesView:
    """Store preferences; a field left out gets its default. Times are in the caller's time zone."""
    return PreferencesView.of(await choose_preferences(context, caller, with_floats(body)))


def _place(message: NotificationMessage) -> tuple[str, str, str]:
    return f"{message.seq:010}", message.key, message.channel


def _words(source: TemplateSource) -> dict[str, Any]:
    return {
        "name": source.name,
        "version": source.version,
        "subject": source.subject,
        "text": source.text,
        "html": source.html,
    }
