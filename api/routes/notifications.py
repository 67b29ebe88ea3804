"""Notifications: their templates, what became of them, sending them again, and what each person wants."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter
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
from placet.json_text import with_floats
from service.administration import notice_templates
from service.administration.notifications import choose_preferences, messages_of, send_again
from service.visibility import seen_request
from storage.queries import cursor as cursors
from storage.queries.people import people
from storage.tables.notifications import NotificationMessage

router = APIRouter(prefix="/workflow", tags=["notifications"], route_class=PersonalRoute)

PreferencesBody = Annotated[dict[str, Any], Sent(openapi_examples={"office hours": {"value": PREFERENCES}})]


@router.get("/notification-templates/")
async def list_notification_templates(
    context: Here, limit: Limit = 50, cursor: Cursor = None
) -> Listed[NoticeTemplateView]:
    """List the templates of notices as they are in force, by name; designers and admins can."""
    after = cursors.read_names(cursor, 1)[0] if cursor is not None else ""
    found = [source for source in await notice_templates.templates(context.database) if source.name > after]
    page = cursors.page(found, limit, lambda source: (source.name,))
    return Listed(items=[NoticeTemplateView(**_words(source)) for source in page.items], next_cursor=page.next_cursor)


@router.get("/notification-templates/{name}/")
async def read_notification_template(context: Here, name: str) -> NoticeTemplateWhole:
    """Show a template as it is in force, with all of its edited versions; designers and admins can."""
    versions = await notice_templates.versions(context.database, name)
    source = await notice_templates.in_force(context.database, name)
    return NoticeTemplateWhole(**_words(source), versions=[VersionView.of(row) for row in versions])


@router.put("/notification-templates/{name}/")
async def put_notification_template(context: Here, caller: Caller, name: str, body: TemplateEdit) -> NoticeTemplateView:
    """Put new words in force, or restore an earlier version; designers and admins can.

    The words are tried out first; those that break are refused. Workers use the new ones within seconds.
    """
    if body.restore is not None:
        await notice_templates.restore(context.database, name, body.restore)
    else:
        await notice_templates.edit(
            context.database,
            body.source(name),
            by=caller.person,
            now=context.now(),
            note=body.note,
            carry_out=partial(context.pool.run, by=caller.person),
        )
    return NoticeTemplateView(**_words(await notice_templates.in_force(context.database, name)))


@router.post("/notification-templates/{name}/preview/")
async def preview_notification_template(
    context: Here, caller: Caller, name: str, body: Preview | None = None
) -> Rendered:
    """Render a template, with a sample or with a real request that the caller may see; nothing is stored or sent."""
    body = body or Preview()
    if body.request_id is not None:
        await context.database.read(seen_request, caller, body.request_id, context.now())
    source = body.source(await notice_templates.in_force(context.database, name))
    words = await notice_templates.show(
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
    """List what was or is to be sent about a request, one item for each channel, in the order of the entries.

    Why a delivery failed is shown to the process owner, auditors and admins; webhooks to auditors and admins.
    """
    messages = await context.database.read(messages_of, caller, request_id, context.now())
    after = cursors.read_names(cursor, 3) if cursor is not None else None
    found = [message for message in messages.rows if after is None or _place(message) > after]
    page = cursors.page(sorted(found, key=_place), limit, _place)
    items = [MessageView.of(row, with_error=messages.with_error) for row in page.items]
    return Listed(items=items, next_cursor=page.next_cursor)


@router.post("/notifications/{key}/resend/")
async def resend_notification(context: Here, caller: Caller, key: str, body: Resend | None = None) -> Resent:
    """Send a notice again over the channels that failed, or over one that is named; process owner and admins can.

    Receivers get the same message id, so that what did arrive can be told apart.
    """
    queued, messages = await send_again(context, caller, key, channel=body.channel if body else None)
    return Resent(queued=queued, messages=[MessageView.of(row, with_error=True) for row in messages])


@router.get("/people/me/preferences/")
async def read_preferences(context: Here, caller: Caller) -> PreferencesView:
    """Show what the caller chose about notices, and the defaults for the rest."""
    return PreferencesView.of(read((await context.database.read(people.get, caller.person)).preferences))


@router.put("/people/me/preferences/")
async def put_preferences(context: Here, caller: Caller, body: PreferencesBody) -> PreferencesView:
    """Store what the caller chose: what is left out is as without preferences. Times are in the person's time zone."""
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
