"""The settings of identity: how long sessions last, and how often people may try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

CODE_SECONDS = 300
"""How long a one-time address to log in can be used."""


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
