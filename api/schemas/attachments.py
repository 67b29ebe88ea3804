"""The models of attachments."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from api.schemas.common import Shown, View
from placet.engine.content import Attachment

_EXAMPLE: dict[str, Any] = {
    "n": 1,
    "name": "offer.pdf",
    "media_type": "application/pdf",
    "size": 48213,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "uploaded_by": "user:rita",
    "uploaded_at": "2026-03-02T09:05:00.000000Z",
    "revision": 2,
}


class AttachmentView(View):
    """A file on a request; `size` is in bytes, and `revision` is the one that it made."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    n: int
    name: str
    media_type: str
    size: int
    sha256: str
    uploaded_by: str
    uploaded_at: Shown
    revision: int

    @classmethod
    def of(cls, found: Attachment) -> AttachmentView:
        """Show an attachment."""
        return cls.model_construct(
            n=found.n,
            name=found.name,
            media_type=found.media_type,
            size=found.size,
            sha256=found.sha256,
            uploaded_by=f"user:{found.uploaded_by}",
            uploaded_at=found.uploaded_at,
            revision=found.revision,
        )
