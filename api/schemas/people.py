"""The models of people."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from api.schemas.common import Shown, View, with_examples
from service.administration.person_document import PersonDocument, PersonFacts
from service.documents import PersonRef
from service.principal import Principal
from service.visibility import sees_private
from storage.tables.approvals import StoredPerson

_EXAMPLE: dict[str, Any] = {
    "id": "mia",
    "name": "Mia Manager",
    "email": "mia@example.com",
    "manager": "dora",
    "department": "sales",
    "groups": ["sales"],
    "roles": ["department_head"],
    "access": ["approver"],
    "away": {"from": "2026-08-03T00:00:00Z", "until": "2026-08-17T00:00:00Z", "substitute": "dora"},
    "preferences": {},
    "active": True,
    "actor_type": "person",
    "principal": None,
}


class PersonBody(PersonDocument):
    """A person of the organisation. `roles` are roles of the organisation; `access` is what they may do in Placet."""

    model_config = with_examples(_EXAMPLE)


class PersonPut(PersonFacts):
    """The person with the id of the path. An `id` in the body has to be the same."""

    model_config = PersonBody.model_config

    id: PersonRef | None = None


class PersonView(View):
    """One person. `away` is null, one span of absence, or a list of several.

    `email` and `preferences` are shown to the person and to admins only.
    """

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    name: str
    email: str | None
    manager: str | None
    department: str | None
    groups: list[str]
    roles: list[str]
    access: list[str]
    away: dict[str, Any] | list[dict[str, Any]] | None
    preferences: dict[str, Any] | None
    active: bool
    actor_type: str
    principal: str | None
    updated_at: Shown

    @classmethod
    def of(cls, row: StoredPerson, viewer: Principal) -> PersonView:
        """Show a stored person; address and preferences only to the person and to admins."""
        away, private = row.away, sees_private(viewer, row.id)
        return cls.model_construct(
            id=row.id,
            name=row.name,
            email=row.email if private else None,
            manager=row.manager,
            groups=row.groups,
            department=row.department,
            roles=row.roles,
            access=row.access,
            away=None if not away else away[0] if len(away) == 1 else away,
            preferences=row.preferences if private else None,
            active=row.active,
            actor_type=row.actor_type,
            principal=row.principal,
            updated_at=row.updated_at,
        )
