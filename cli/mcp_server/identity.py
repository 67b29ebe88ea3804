"""Who calls the MCP server over HTTP: bearer tokens of Placet, which Placet itself verifies, and scopes of tools.

The server is an OAuth resource server: its metadata (RFC 9728) names who issues tokens. A caller's token is used for
the calls to the API that its tools make, and for nothing else, so that a tool can do what its caller may do.
"""

from __future__ import annotations

from typing import Literal

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver.exceptions import ToolError

from placet.client import AsyncClient, Misconfigured, NotAuthenticated, Retries

Scope = Literal["placet:read", "placet:ask", "placet:claim"]
_PROMPT = Retries(seconds=10)


class PlacetTokens(TokenVerifier):
    """Verifies bearer tokens by asking Placet whose they are."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what a token permits; None for one that Placet does not know."""
        try:
            async with AsyncClient(self._url, token, retries=_PROMPT) as placet:
                me = await placet.me()
        except (NotAuthenticated, Misconfigured):
            return None
        scopes: list[Scope] = ["placet:read"]
        if {"requester", "admin"} & {*me.access}:
            scopes += ["placet:ask", "placet:claim"]
        return AccessToken(token=token, client_id=me.id, subject=me.id, scopes=[*scopes])


def auth_settings(*, resource: str, issuer: str) -> AuthSettings:
    """Return the settings of a resource server at this address whose tokens this issuer gives."""
    # As text: a URL that was read before has a slash at its end, which is another issuer.
    return AuthSettings.model_validate(
        {
            "issuer_url": issuer,
            "resource_server_url": resource,
            "required_scopes": ["placet:read"],
            "validate_token_resource": False,  # Placet verifies audiences itself, and its own tokens name none
        }
    )


def need(scope: Scope) -> None:
    """Raise ToolError unless the caller's token has a scope; without HTTP the token is the server's own."""
    held = get_access_token()
    if held is not None and scope not in held.scopes:
        raise ToolError(f"REFUSED: this tool needs the scope {scope!r}, which the token does not have.")
