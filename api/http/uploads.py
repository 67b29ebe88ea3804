"""Uploads: calls whose body is a form with one file."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.types import Message, Receive

from api.context import ApiContext
from api.http.calls import PersonalRoute
from placet.errors import InputInvalid, TooLarge
from placet.json_values import UNSTORABLE, storable
from service.attachments.attachments import Upload

FIELD = "file"
_FRAME_BYTES = 100_000  # of a form beside its file
_MOST_FIELDS = 20


class UploadRoute(PersonalRoute):
    """A route that takes a form with a file, as `multipart/form-data`; the file is in `request.state.upload`.

    The form's texts are in `request.state.texts`, those of the names in `texts`.
    """

    texts: tuple[str, ...] = ()

    def most_bytes(self, context: ApiContext) -> int:
        """Return how large the file may be."""
        return context.attachment_bytes

    async def _received(self, context: ApiContext, request: Request) -> tuple[Request, Any]:
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise HTTPException(415, f"Send a form (multipart/form-data) with the file as {FIELD!r}.")
        bounded = bounded_by(request, self.most_bytes(context) + _FRAME_BYTES)
        try:
            form = await bounded.form(max_files=1, max_fields=_MOST_FIELDS)
        except MultiPartException as error:
            raise InputInvalid.at(f"/{FIELD}", f"the form cannot be read: {error.message}") from error
        try:
            upload = await upload_in(form.get(FIELD))
            texts = {name: _text(name, form.get(name)) for name in self.texts if name in form}
        except InputInvalid:
            await bounded.close()
            raise
        request.state.upload, request.state.texts = upload, texts
        return bounded, {"name": upload.name, "sha256": upload.sha256, **texts}


def _text(name: str, sent: Any) -> str:
    if not isinstance(sent, str):
        raise InputInvalid.at(f"/{name}", "send this part as a text, without a file name")
    if not storable(sent):
        raise InputInvalid.at(f"/{name}", UNSTORABLE)
    return sent


async def upload_in(sent: Any) -> Upload:
    """Return the file that a form carries; raises InputInvalid where it carries none."""
    if not isinstance(sent, UploadFile) or not sent.filename:
        raise InputInvalid.at(f"/{FIELD}", "send the file as a part of this name, with its file name")
    # Browsers of old sent whole paths.
    name = sent.filename.replace("\\", "/").rpartition("/")[2]
    if not storable(name):
        raise InputInvalid.at(f"/{FIELD}", UNSTORABLE)
    return await asyncio.to_thread(Upload.of, name, sent.content_type, sent.file)


def bounded_by(request: Request, most: int) -> Request:
    """Return the call with a body that ends with TooLarge where it is longer than `most` bytes."""
    return Request(request.scope, _Bounded(request.receive, most).receive)


class _Bounded:
    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._size = 0

    async def receive(self) -> Message:
        """Receive the next part."""
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self._most:
            raise TooLarge(f"More than {self._most:,} bytes were sent, which is the limit.")
        return message
