"""Templates of notices, as operators keep them: look at them, try them out, and edit them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from activities.notifications.decision_links import sample_links
from activities.notifications.delivery.message_sender import OFFERS_LINKS, template_context
from activities.notifications.settings import NotifySettings
from activities.notifications.templates.template_set import (
    DIGEST,
    LAYOUT,
    RenderedText,
    TemplateSource,
    default,
    defaults,
    preview,
    source_of,
)
from activities.notifications.templates.values import sample, values
from languages.catalogues import SOURCE, Language
from placet.audit.admin_acts import Act, ActedBy
from placet.errors import NotFound
from placet.sentences import sentence
from service.administration.acts import write_with_act
from service.principal import Principal
from storage.database import Database
from storage.queries.notifications import facts, notification_templates
from storage.tables.notifications import NotificationTemplate


async def templates(database: Database, language: Language = SOURCE) -> list[TemplateSource]:
    """List the templates of a language that are in force, by name; version 0 is the default."""
    rows = await database.read(notification_templates.in_force)
    edited = {row.name: source_of(row) for row in rows if row.language == language}
    return [edited.get(name, source) for name, source in sorted(defaults(language).items())]


async def in_force(database: Database, name: str, language: Language = SOURCE) -> TemplateSource:
    """Return the template of this name and language that is in force; raises NotFound."""
    for source in await templates(database, language):
        if source.name == name:
            return source
    raise NotFound(
        sentence("There is no template {name!r}; there are {names}.", name=name, names=", ".join(sorted(defaults())))
    )


CarryOut = Callable[..., Awaitable[RenderedText]]
"""Where a template is rendered: as `asyncio.to_thread`, which calls a function with what follows it."""


async def versions(database: Database, name: str, language: Language = SOURCE) -> list[NotificationTemplate]:
    """List the edited versions of a template, newest first; raises NotFound for a name that no notice has."""
    default(name)
    return await database.read(notification_templates.versions, name, language)


async def edit(
    database: Database,
    source: TemplateSource,
    *,
    by: Principal,
    now: datetime,
    note: str | None = None,
    carry_out: CarryOut = asyncio.to_thread,
) -> TemplateSource:
    """Put a template in force, checked and tried out; raises TemplateBroken or NotFound.

    The version in `source` is not looked at; the new one is returned. Workers use it within seconds. `carry_out`
    says where it is tried.
    """
    default(source.name)
    await carry_out(preview, source, _sample_values(source.name, None, source.language))

    def act(row: NotificationTemplate) -> Act:
        target = f"notification template:{row.name}"
        return Act(
            kind="notification_template_changed",
            target=target,
            detail={"version": row.version, "language": row.language},
        )

    row = await write_with_act(
        database,
        by.acted_by,
        now,
        act,
        notification_templates.edit,
        name=source.name,
        language=source.language,
        subject=source.subject,
        text=source.text,
        html=source.html,
        by=by.person,
        now=now,
        note=note,
    )
    return source_of(row)


async def restore(
    database: Database, name: str, version: int, language: Language = SOURCE, *, by: ActedBy, now: datetime
) -> None:
    """Put an earlier version of a language back in force, 0 for the default; raises NotFound."""
    default(name)
    target = f"notification template:{name}"
    detail = {"version": version, "language": language}
    act = Act(kind="notification_template_restored", target=target, detail=detail)
    await write_with_act(database, by, now, act, notification_templates.restore, name, version, language)


async def show(
    database: Database,
    source: TemplateSource,
    settings: NotifySettings,
    *,
    request_id: str | None = None,
    carry_out: CarryOut = asyncio.to_thread,
) -> RenderedText:
    """Render a template that need not be in force: with a real request's newest such notice, or with a sample.

    Raises TemplateBroken, and NotFound where the request has no notice of that kind. Who may see the request is the
    caller's to check.
    """
    default(source.name)
    if request_id is None:
        return await carry_out(preview, source, _sample_values(source.name, settings.public_url, source.language))
    told = await database.read(facts.latest, request_id, source.name)
    if told is None:
        raise NotFound(
            sentence(
                "Nobody has been told of {name!r} in request {request_id!r}.", name=source.name, request_id=request_id
            )
        )
    people = await database.read(facts.people, told.people())
    context = template_context(told, people, source.language)
    return await carry_out(preview, source, values(context, public_url=settings.public_url, language=source.language))


def _sample_values(name: str, public_url: str | None, language: Language) -> dict[str, Any]:
    event = "task_opened" if name in {LAYOUT, DIGEST} else name
    links = sample_links(public_url) if event in OFFERS_LINKS else {}
    given = values(sample(event), public_url=public_url, links=links, language=language)
    if name == DIGEST:
        notice = {"subject": "A notice", "text": "What it says.", "url": public_url, "at": given["at"]}
        notice |= {"request": given["request"]["id"], "links": given["links"]}
        given |= {"request": None, "task": None, "notices": [notice, notice]}
    return given
