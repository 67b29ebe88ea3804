"""For which denials people may be asked, and how long denials and approvals hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthzenSettings:
    """`templates` has the process for each `RESOURCE_TYPE:ACTION`; either part may be `*`. Without any, all is off."""

    templates: Mapping[str, str] = field(default_factory=dict)
    denial_lasts: timedelta = timedelta(minutes=10)
    """How long a request may follow a denial."""
    approval_lasts: timedelta = timedelta(hours=24)
    """How long an approval holds from the request on, unless that asks for less."""

    def template_for(self, resource_type: str, action: str) -> str | None:
        """Return the process that is asked for an action on a type of resource; the closest rule counts."""
        for key in (f"{resource_type}:{action}", f"{resource_type}:{ANY}", f"{ANY}:{action}", f"{ANY}:{ANY}"):
            if key in self.templates:
                return self.templates[key]
        return None
