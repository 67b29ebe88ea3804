"""The settings of identity: how long sessions last, and how often people may try."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from placet.errors import NotFound

CODE_SECONDS = 300
"""How long a one-time address to log in can be used."""


@dataclass(frozen=True, kw_only=True)
class OidcSettings:
    """The organisation's identity provider, and how its claims are read."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    """None: a public client, which PKCE alone protects."""
    scopes: str = "openid profile email"
    person_claim: str = "sub"
    """The claim that holds a person's id, or `email`."""
    access_claim: str | None = None
    """The claim that grants access; None: the directory says it."""
    access_prefix: str = ""
    """What a value of that claim begins with, before the name of an access."""
    audience: str | None = None
    """The audience of bearer JWTs; None: the API takes none."""
    service_claim: str = "client_id"
    """The claim that holds the id of a service or an agent, in tokens without the person claim."""
    scope_prefix: str = "placet:"
    """What a scope of a bearer JWT begins with that is one of ours, before its name."""
    scope_required: bool = False
    """Whether a bearer JWT has to have a scope of ours; else one without any may do whatever its person may."""


@dataclass(frozen=True, kw_only=True)
class IdentitySettings:
    """How people log in. Rates are written as `20/minute`."""

    session_idle: timedelta = timedelta(hours=8)
    """A session without a call for this long has ended."""
    session_longest: timedelta = timedelta(hours=24)
    """A session ends after this time, however much it is used."""
    login_rate: str = "30/minute"
    """How many failed log-ins one address has."""
    login_rate_person: str = "60/minute"
    """How many log-ins one person has."""
    decision_rate: str = "6000/minute"
    """How many decisions one person sends to one API process."""
    sign_within: timedelta = timedelta(minutes=5)
    """How long before a signed decision its person may have proven who they are."""
    passkey_origin: str | None = None
    """Where browsers reach Placet, as `https://placet.example.com`; None: at its public address."""
    oidc: OidcSettings | None = None
    """Where people log in; None: with tokens and one-time addresses alone."""

    @property
    def sign_minutes(self) -> int:
        """`sign_within` in whole minutes, as texts tell it."""
        return int(self.sign_within.total_seconds()) // 60


def settings_of(identity: IdentitySettings) -> OidcSettings:
    """Return the settings of the identity provider; raises NotFound where there is none."""
    if identity.oidc is None:
        raise NotFound("No identity provider is set up here. Log in with a token or a one-time address.")
    return identity.oidc
