"""The models of retention."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.common import Body, Shown, View, shown
from service.documents import Words
from service.retention.rules import MOST_DAYS
from storage.tables.retention import RetentionRule

_RULE: dict[str, Any] = {"template": "Expense approval", "content_days": 730}


class RetentionRuleBody(Body):
    """For how many days after their end the contents of a process's requests are kept; null keeps them for good."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RULE]})

    template: Annotated[Words, Field(max_length=200)]
    content_days: Annotated[int, Field(ge=1, le=MOST_DAYS, strict=True)] | None


class RetentionRuleView(View):
    """A rule; `content_days` null keeps contents for good."""

    id: str
    template: str
    content_days: int | None
    set_by: str | None
    set_at: Shown

    @classmethod
    def of(cls, row: RetentionRule) -> RetentionRuleView:
        """Show a rule."""
        return cls(
            id=row.id,
            template=row.template,
            content_days=row.content_days,
            set_by=shown(row.set_by),
            set_at=row.set_at,
        )
