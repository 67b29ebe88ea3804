"""Attach files to requests and hand them out; who may see a request may see its files."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import IO

from sqlalchemy import Connection

from placet.definition.model import parse_or_none
from placet.definition.steps import AttachmentSettings
from placet.engine.content import Attachment
from placet.engine.events import Attach
from placet.errors import NotFound, NotPermitted, PlacetError, Refused, TooLarge, Unavailable
from placet.sentences import sentence
from service.attachments.store import FileStore
from service.attachments.types import HEAD, media_type_of, require_allowed
from service.commands import act_on_request
from service.context import Context
from service.principal import Principal
from service.visibility import see_request
from storage.queries.definitions import definitions
from storage.queries.requests.attachments import attachments_of

_CHUNK = 256 * 1024  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file as it was sent, and its SHA-256; `declared` is the type that the sender gives it."""

    name: str
    declared: str | None
    size: int
    sha256: str
    file: IO[bytes]

    @classmethod
    def of(cls, name: str, declared: str | None, file: IO[bytes]) -> Upload:
        """Read a file through, for its size and hash. Blocks."""
        digest, size = hashlib.sha256(), 0
        file.seek(0)
        while piece := file.read(_CHUNK):
            digest.update(piece)
            size += len(piece)
        file.seek(0)
        return cls(name=name, declared=declared, size=size, sha256=digest.hexdigest(), file=file)


async def attach(context: Context, principal: Principal, request_id: str, upload: Upload, *, key: str) -> Attachment:
    """Add a file to a request, and return it as it is on record.

    Raises TooLarge, TypeNotAllowed, InputInvalid for one with malware, NotPermitted for all but the requester, Refused
    after the first decision unless the request is returned, and what `act_on_request` raises.
    """

    def read(connection: Connection) -> tuple[AttachmentSettings, tuple[Attachment, ...]]:
        stored = see_request(connection, principal, request_id, context.now()).request
        if stored.requester != principal.person:
            raise NotPermitted("Only the requester can attach files to the request.")
        blueprint = parse_or_none(definitions.get(connection, stored.template_id).blueprint)
        settings = blueprint.settings.attachments if blueprint is not None else AttachmentSettings()
        return settings, attachments_of(connection, request_id)

    settings, before = await context.database.read(read)
    if len(before) >= settings.max_files:
        raise Refused(sentence("A request of this process may have {max_files} files.", max_files=settings.max_files))
    media_type = type_of(upload, settings, context.attachment_bytes)
    await context.scanner.require_clean(upload.name, upload.file, principal)
    # Stored before it is on record: a record without its file would be a promise that nobody can keep.
    await context.files.put(request_id, upload.sha256, upload.file)
    event = Attach(
        by=principal.actor,
        name=upload.name,
        media_type=media_type,
        size=upload.size,
        sha256=upload.sha256,
        key=key,
    )
    try:
        await act_on_request(context, principal, request_id, event, key=key)
    except Unavailable:
        raise  # it may be on record
    except PlacetError:
        if all(one.sha256 != upload.sha256 for one in before):
            await context.files.delete(request_id, upload.sha256)
        raise
    after = await context.database.read(attachments_of, request_id)
    return next(one for one in reversed(after) if one.sha256 == upload.sha256 and one.name == upload.name)


def type_of(upload: Upload, settings: AttachmentSettings, most: int) -> str:
    """Return the type of a file; raises TooLarge and TypeNotAllowed where a process does not take it.

    `most` is how many bytes a file of this installation may have.
    """
    require_size(upload.name, upload.size, settings, most)
    head = upload.file.read(HEAD)
    upload.file.seek(0)
    media_type = media_type_of(upload.name, upload.declared, head)
    require_allowed(media_type, settings.types)
    return media_type


def require_size(name: str, size: int, settings: AttachmentSettings, most: int) -> None:
    """Raise TooLarge unless a process takes files of this size; `most` is the installation's limit."""
    largest = min(settings.max_bytes or most, most)
    if size > largest:
        raise TooLarge(
            sentence(
                "{name!r} has {size:,} bytes, and a file may have {largest:,}.", name=name, size=size, largest=largest
            )
        )


async def listed(context: Context, principal: Principal, request_id: str) -> tuple[Attachment, ...]:
    """Return the attachments of a request; raises NotFound where the caller may see no such request."""

    def read(connection: Connection) -> tuple[Attachment, ...]:
        see_request(connection, principal, request_id, context.now())
        return attachments_of(connection, request_id)

    return await context.database.read(read)


async def opened(
    context: Context, principal: Principal, request_id: str, n: int
) -> tuple[Attachment, AsyncIterator[bytes]]:
    """Return an attachment and its bytes; raises NotFound where there is none, or its file is missing."""
    found = next((one for one in await listed(context, principal, request_id) if one.n == n), None)
    if found is None:
        raise NotFound(sentence("The request has no attachment {n}.", n=n))
    return found, await context.files.get(request_id, found.sha256)


async def missing(files: FileStore, request_id: str, attachments: Sequence[Attachment]) -> list[int]:
    """Return the numbers of those attachments whose file is not in the store, or has another size."""
    held = await asyncio.gather(*(files.holds(request_id, one.sha256, one.size) for one in attachments))
    return [one.n for one, there in zip(attachments, held, strict=True) if not there]
