"""Whom the claims of a token stand for, and what access they grant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from placet.errors import NotPermitted
from placet.sentences import either, sentence
from service.identity.settings import OidcSettings
from service.principal import ACCESS, SCOPES
from storage.queries.identity import sessions
from storage.queries.identity.tokens import TokenHolder

_SCOPE_CLAIMS = "scope", "scp"  # of RFC 9068, and of some providers
_LONGEST = 200  # characters of a claim, as a problem shows it


def holder_of(
    connection: Connection, settings: OidcSettings, claims: Mapping[str, Any], *, services: bool = False
) -> TokenHolder:
    """Return the active person of a token; with `services`, also the service or agent. Raises NotPermitted.

    A claim that names a service names nobody else: a program cannot be given a person's id at the provider.
    """
    value = claims.get(settings.person_claim)
    if isinstance(value, str) and value:
        if settings.person_claim == "email" and claims.get("email_verified") is not True:
            raise NotPermitted("The identity provider has not verified your mail address. Verify it there first.")
        found = (
            sessions.person_by_email(connection, value)
            if settings.person_claim == "email"
            else sessions.person_holder(connection, value)
        )
        if found is not None:
            return found
        raise _unknown(settings.person_claim, value)
    program = claims.get(settings.service_claim)
    if services and isinstance(program, str) and program:
        found = sessions.person_holder(connection, program)
        if found is not None and found.actor_type != "person":
            return found
        raise _unknown(settings.service_claim, program)
    raise NotPermitted(
        sentence(
            "The identity provider's token has no claim {person_claim!r}, by which Placet knows "
            "people. The operator sets PLACET_OIDC_PERSON_CLAIM, or has the provider send it.",
            person_claim=settings.person_claim,
        )
    )


def access_of(settings: OidcSettings, claims: Mapping[str, Any]) -> list[str] | None:
    """Return the access that the claims grant; None where the directory says it."""
    if settings.access_claim is None:
        return None
    given = claims.get(settings.access_claim)
    prefix = settings.access_prefix
    granted = {name.removeprefix(prefix) for name in _names(given, prefix)}
    return [access for access in ACCESS if access in granted]


def scopes_of(settings: OidcSettings, claims: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the scopes that a bearer JWT is limited to, as those of our tokens; None where it is not limited.

    A scope of ours that is not known limits as well: it allows nothing. Raises NotPermitted for a token that lacks a
    scope which it has to have, and for one that is limited in a way that Placet does not read.
    """
    if claims.get("authorization_details"):
        raise NotPermitted("The token is limited by `authorization_details`, which Placet does not read.")
    prefix = settings.scope_prefix
    ours = {name.removeprefix(prefix) for claim in _SCOPE_CLAIMS for name in _names(claims.get(claim), prefix)}
    if not ours and settings.scope_required:
        wanted = either([f"{prefix}{name}" for name in SCOPES])
        raise NotPermitted(sentence("The token has no scope for Placet; it needs {wanted}.", wanted=wanted))
    return frozenset(ours) & frozenset(SCOPES) if ours else None


def _names(given: Any, prefix: str) -> list[str]:
    named = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
    return [str(name) for name in named if str(name).startswith(prefix)]


def _unknown(claim: str, value: str) -> NotPermitted:
    return NotPermitted(
        sentence(
            "The identity provider knows you as {value!r} ({claim}), and no active person in Placet "
            "is known by that. Ask an admin to add you, or to make you active.",
            value=value[:_LONGEST],
            claim=claim,
        )
    )
