"""Attachments: files on a request."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.http.uploads import FIELD, UploadRoute
from api.schemas.attachments import AttachmentView
from api.schemas.common import Listed
from service.attachments import attachments
from service.attachments.types import INLINE
from storage.queries.cursor import part

router = APIRouter(prefix="/workflow/requests/{request_id}/attachments", tags=["requests"], route_class=PersonalRoute)
uploads = APIRouter(prefix="/workflow/requests/{request_id}/attachments", tags=["requests"], route_class=UploadRoute)

_FILE: dict[str, Any] = {
    "type": "object",
    "required": [FIELD],
    "properties": {FIELD: {"type": "string", "format": "binary"}},
}
_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
# Browsers refuse to show a document in their viewer in a sandbox; the viewer has one of its own.
_VIEWER = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"


@uploads.post(
    "/",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FILE}}}},
)
async def attach(context: Here, caller: Caller, call: ThisCall, request: Request, request_id: str) -> AttachmentView:
    """Add a file to a request, before the first decision or while it is returned. It makes a new revision."""
    found = await attachments.attach(context, caller, request_id, request.state.upload, key=call.key)
    return AttachmentView.of(found)


@router.get("/")
async def list_attachments(
    context: Here, caller: Caller, request_id: str, limit: Limit = 50, cursor: Cursor = None
) -> Listed[AttachmentView]:
    """List the files of a request, oldest first."""
    found = await attachments.listed(context, caller, request_id)
    page = part(found, limit, cursor)
    return Listed(items=[AttachmentView.of(one) for one in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{n}/",
    response_class=StreamingResponse,
    responses={200: {"content": {one: {} for one in ("application/octet-stream", *sorted(INLINE))}}},
)
async def download(
    context: Here,
    caller: Caller,
    request_id: str,
    n: int,
    view: bool = Query(default=False, description="Show it in the browser, where its type is safe to show."),
) -> StreamingResponse:
    """Return the bytes of a file. Nothing in it can run: it is a download, or is shown in a sandbox."""
    found, pieces = await attachments.opened(context, caller, request_id, n)
    inline = view and found.media_type in INLINE
    how = "inline" if inline else "attachment"
    headers = {
        "Content-Length": str(found.size),
        "Content-Disposition": f"{how}; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Security-Policy": _VIEWER if inline and found.media_type == "application/pdf" else _SANDBOX,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "ETag": f'"{found.sha256}"',
    }
    # A script or a page that was uploaded is text to whoever downloads it.
    shown = found.media_type if found.media_type in INLINE else "application/octet-stream"
    return StreamingResponse(pieces, media_type=shown, headers=headers)
