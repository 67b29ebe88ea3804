"""Process templates: what is shown of a version of a blueprint."""

from __future__ import annotations

from typing import Any, Literal, Self, cast

from pydantic import ConfigDict

from api.schemas.common import Shown, View
from storage.tables import ProcessTemplate


class TemplateView(View):
    """One version of a blueprint."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    version: str
    status: Literal["draft", "published", "deprecated"]
    template_type: str
    owner: str | None
    digest: str
    created_by: str
    created_at: Shown
    published_by: str | None
    published_at: Shown | None

    @classmethod
    def of(cls, row: ProcessTemplate, **more: Any) -> Self:
        """Show a stored version."""
        return cls.model_construct(
            id=row.id,
            name=row.name,
            version=row.version,
            status=cast(Any, row.status),
            template_type=row.template_type,
            owner=row.owner,
            digest=row.digest,
            created_by=f"user:{row.created_by}",
            created_at=row.created_at,
            published_by=f"user:{row.published_by}" if row.published_by else None,
            published_at=row.published_at,
            **more,
        )


class TemplateWhole(TemplateView):
    """One version of a blueprint, with the blueprint."""

    blueprint: dict[str, Any]
