"""Read a request's body: bounded, and only where it says that it is JSON."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request


async def read_bytes(request: Request, most: int) -> bytes:
    """Return the body; raises a 413 once it is longer than `most` bytes, whatever its headers said."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise HTTPException(413, f"The body is longer than {most} bytes; send less.", {"Connection": "close"})
        chunks.append(chunk)
    return b"".join(chunks)


def check_media_type(content_type: str | None) -> None:
    """Raise a 415 where a body says that it is something else than JSON."""
    kind = (content_type or "application/json").split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(415, f"A body of {kind[:100]} cannot be read; send Content-Type: application/json.")
