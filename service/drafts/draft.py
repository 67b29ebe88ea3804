"""A draft, as the use cases hand it out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from service.drafts.merge import FieldChange
from storage.tables.drafts import BlueprintDraft

Status = Literal["open", "submitted", "published", "discarded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A blueprint that is being written: its content is any JSON object within the bounds, sound or not.

    `process` is the name in its content, or where there is none, the last one that was. `based_on` is the version of
    the process that it began as. `revision` rises by one with each save. `authors` are all who have saved.
    `template_id` is the version as which it was submitted.
    """

    id: str
    process: str
    based_on: str | None
    content: dict[str, Any]
    revision: int
    status: Status
    authors: tuple[str, ...]
    created_by: str
    created_at: datetime
    updated_by: str
    updated_at: datetime
    submitted_by: str | None = None
    submitted_at: datetime | None = None
    template_id: str | None = None

    @property
    def name(self) -> str:
        """What the draft is called: its process."""
        return self.process

    @property
    def version(self) -> str | None:
        """The version that its content says it will be; None where that is no text."""
        version = self.content.get("version")
        return version if isinstance(version, str) else None

    @classmethod
    def of(cls, row: BlueprintDraft) -> Draft:
        """Return a stored draft."""
        return cls(
            id=row.id,
            process=row.process,
            based_on=row.based_on,
            content=row.content,
            revision=row.revision,
            status=cast(Status, row.status),
            authors=tuple(row.authors),
            created_by=row.created_by,
            created_at=row.created_at,
            updated_by=row.updated_by,
            updated_at=row.updated_at,
            submitted_by=row.submitted_by,
            submitted_at=row.submitted_at,
            template_id=row.template_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A draft as it was saved. `merged` is what others had changed since it was read, and is in it as well.

    `merged_by` is who had saved last before; None where nobody had.
    """

    draft: Draft
    merged: tuple[FieldChange, ...] = ()
    merged_by: str | None = None
