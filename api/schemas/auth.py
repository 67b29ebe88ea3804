"""Bodies and answers about who calls, and their tokens."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from api.schemas.common import Body, Shown, View, with_examples
from placet.engine.events import ActorType
from service.documents import Moment
from service.principal import SCOPES, Principal
from storage.queries.identity.tokens import id_of
from storage.tables.approvals import ApiToken
from storage.tables.identity import BrowserSession

Scope = Literal["requester", "approver", "designer", "auditor", "admin", "read", "scim"]
assert get_args(Scope) == SCOPES  # noqa: S101 - a type cannot be made of names that are elsewhere
_TOKEN: dict[str, Any] = {"name": "reporting", "scopes": ["read"], "expires_at": "2100-01-01T00:00:00Z"}


class Me(View):
    """Who calls: their id, name and type, and their access."""

    id: str
    name: str
    actor_type: ActorType
    principal: str | None = Field(description="Whom an agent acts for; null for everybody else.")
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
            principal=None if principal.principal is None else f"user:{principal.principal}",
            access=sorted(principal.access),
            csrf_token=csrf_token,
        )


class TokenBody(Body):
    """A token to make. Without `scopes` it may do whatever you may, without `expires_at` it does not expire."""

    model_config = with_examples(_TOKEN)

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))] | None = None
    expires_at: Moment | None = None


class TokenView(View):
    """A token, without its text. `last_used_at` is to the minute."""

    id: str
    person: str
    name: str | None
    scopes: list[str] | None
    created_at: Shown
    expires_at: Shown | None
    revoked_at: Shown | None
    last_used_at: Shown | None

    @classmethod
    def of(cls, row: ApiToken) -> TokenView:
        """Show a stored token."""
        return cls(**_token(row))


class TokenMade(TokenView):
    """A new token with its text, which only this answer shows."""

    token: str

    @classmethod
    def made(cls, row: ApiToken, text: str) -> TokenMade:
        """Show a token with its text."""
        return cls(**_token(row), token=text)


class SessionView(View):
    """A browser session, without its cookie. `seen_at` is to the minute; `method` is how its person logged in."""

    method: str  # link, token, oidc
    user_agent: str
    created_at: Shown
    seen_at: Shown
    expires_at: Shown

    @classmethod
    def of(cls, row: BrowserSession) -> SessionView:
        """Show a stored session."""
        return cls(
            method=row.method,
            user_agent=row.user_agent,
            created_at=row.created_at,
            seen_at=row.seen_at,
            expires_at=row.expires_at,
        )


class SessionsEnded(View):
    """How many browser sessions of a person were ended."""

    ended: int


def _token(row: ApiToken) -> dict[str, Any]:
    return {"id": id_of(row.digest), **row.model_dump(exclude={"digest"})}
