"""Attachments: the form that adds a file to one's own request."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.http.uploads import FIELD, upload_in
from placet.errors import InputInvalid, PlacetError
from service.attachments.attachments import attach
from web.routes.common import Here, done_key, fresh_key, record, see_other
from web.security import UploadPageRoute
from web.visitor import SignedIn

router = APIRouter(prefix="/requests", route_class=UploadPageRoute)


@router.post("/{request_id}/attachments")
async def add_file(
    request: Request, here: Here, visitor: SignedIn, request_id: Annotated[str, Path(max_length=200)]
) -> Response:
    """Add a file to a request."""
    form = await request.form()
    try:
        upload = await upload_in(form.get(FIELD))
    except InputInvalid as error:
        raise InputInvalid(visitor.wording.say("Choose a file first.")) from error
    key = form.get("key")
    try:
        await attach(
            here.context,
            visitor.principal,
            request_id,
            upload,
            key=done_key(visitor, f"{key}:{upload.sha256}" if isinstance(key, str) and key else fresh_key()),
        )
    except PlacetError as error:
        await record(here, visitor, "attach", error, request_id=request_id)
        raise
    return see_other(f"/requests/{request_id}#files", "attach")
