"""Answers about who calls."""

from __future__ import annotations

from pydantic import Field

from api.schemas.common import View
from service.principal import ActorType, Principal


class Me(View):
    """Who calls: their id, name and type, and their access."""

    id: str
    name: str
    actor_type: ActorType
    access: list[str]
    csrf_token: str | None = Field(
        description="What calls with the session's cookie send as X-CSRF-Token when they change something; null for a "
        "call with a bearer token, which needs none."
    )

    @classmethod
    def of(cls, principal: Principal, csrf_token: str | None) -> Me:
        """Show a principal."""
        return cls(
            id=principal.person,
            name=principal.name or principal.person,
            actor_type=principal.actor_type,
            access=sorted(principal.access),
            csrf_token=csrf_token,
        )
