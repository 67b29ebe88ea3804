"""Files of a request that is not sent in yet: chosen with its form, kept with it, and part of its first revision.

A form is known by its key. The id of the request is made of the key and the person, so that the files are in the store
under that id from the beginning: whoever sends the same form again, after whatever has ended in between, starts the
same request with the same files, once. Nobody is asked to decide before the files are on the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import uuid4

from placet.definition.steps import AttachmentSettings
from placet.engine.events import OpeningFile
from placet.engine.revisions import check_file
from placet.errors import Conflict, NotFound, Refused, Unavailable
from placet.sentences import sentence
from service.attachments.attachments import Upload, require_size, type_of
from service.attachments.types import require_allowed
from service.context import Context
from service.principal import Principal
from storage.queries.requests import draft_files
from storage.tables.request_drafts import DraftFile

GRACE: Final = timedelta(hours=1)
"""How long a file stays in the store after it was dropped: a form that is being sent in just then still finds it."""
_EVERY: Final = 600.0  # seconds between looks for files that have to go


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestForm:
    """A form of a new request: its key, the process, and the id that the request will have."""

    key: str
    template: str
    request_id: str


async def add(
    context: Context, principal: Principal, form: RequestForm, settings: AttachmentSettings, upload: Upload
) -> DraftFile:
    """Keep a file with a form.

    Raises TooLarge, TypeNotAllowed, InputInvalid for one with malware, Refused for one file too many, Conflict where
    the form was sent in, Unavailable.
    """
    media_type = type_of(upload, settings, context.attachment_bytes)
    file = OpeningFile(name=upload.name, media_type=media_type, size=upload.size, sha256=upload.sha256)
    check_file(file, "")
    await context.scanner.require_clean(upload.name, upload.file, principal)
    now = context.now()
    row = DraftFile(
        id=uuid4().hex,
        request_id=form.request_id,
        person=principal.person,
        template=form.template,
        form_key=form.key,
        name=file.name,
        media_type=file.media_type,
        size=file.size,
        sha256=file.sha256,
        uploaded_at=now,
        touched_at=now,
    )
    # On record before it is stored, so that a file whose upload was cut off is found and deleted.
    kept = await context.database.write(draft_files.add, row, settings.max_files)
    try:
        await context.files.put(form.request_id, upload.sha256, upload.file)
    except BaseException:
        if kept.id == row.id:
            with suppress(Unavailable):
                await asyncio.shield(remove(context, principal, form, row.id))
        raise
    return kept


async def remove(context: Context, principal: Principal, form: RequestForm, file_id: str | None = None) -> None:
    """Take a file out of a form, or all of them. One that is not there is no error."""
    await context.database.write(draft_files.drop, principal.person, form.request_id, context.now(), only=file_id)


async def taken(
    context: Context, principal: Principal, form: RequestForm, settings: AttachmentSettings, shown: Sequence[str]
) -> tuple[DraftFile, ...]:
    """Return the files that a form was sent in with: those that it showed, for `opening_files`.

    Raises NotFound where one of them is not there any more, and what `add` raises where the process takes others now.
    """
    rows = {one.id: one for one in await context.database.read(draft_files.of_form, principal.person, form.request_id)}
    if any(one not in rows for one in shown):
        raise NotFound("A file that the form showed is not there any more.")
    chosen = [one for one in rows.values() if one.id in shown]
    if len(chosen) > settings.max_files:
        raise Refused(sentence("A request of this process may have {max_files} files.", max_files=settings.max_files))
    for one in chosen:
        require_allowed(one.media_type, settings.types)
        require_size(one.name, one.size, settings, context.attachment_bytes)
    there = await context.database.write(draft_files.touch, [one.id for one in chosen], context.now()) if chosen else 0
    if there < len(chosen):
        raise NotFound("A file that the form showed is not there any more.")
    held = await asyncio.gather(*(context.files.holds(form.request_id, one.sha256, one.size) for one in chosen))
    if not all(held):
        raise Conflict("A file that the form showed has not arrived yet.")
    return tuple(chosen)


def opening_files(chosen: Sequence[DraftFile]) -> tuple[OpeningFile, ...]:
    """Return files as a request begins with them."""
    return tuple(
        OpeningFile(name=one.name, media_type=one.media_type, size=one.size, sha256=one.sha256) for one in chosen
    )


async def watch(context: Context) -> None:
    """Delete the files of forms that nobody has sent in, again and again until cancelled."""
    while True:
        with suppress(Unavailable):
            await clean_up(context)
        await asyncio.sleep(_EVERY)


async def clean_up(context: Context) -> None:
    """Drop the files of forms that were not used for some days, and delete what was dropped."""
    now = context.now()
    old = now - timedelta(days=context.unsent_files_days)
    while await context.database.write(draft_files.drop_old, old, now) == draft_files.BATCH:
        pass
    while rows := await context.database.read(draft_files.dropped, now - GRACE):
        for row in rows:
            if not await context.database.read(draft_files.needed, row):
                await context.files.delete(row.request_id, row.sha256)
        await context.database.write(draft_files.forget, [row.id for row in rows])
