"""Answers that are files."""

from __future__ import annotations

from fastapi.responses import StreamingResponse

from service.downloads import Download


def zip_file(found: Download) -> StreamingResponse:
    """Return the answer that hands an archive out; no cache keeps it."""
    headers = {
        "Content-Length": str(found.size),
        "Content-Disposition": f'attachment; filename="{found.name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(found.pieces, media_type="application/zip", headers=headers)
