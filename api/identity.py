"""Who is calling: a bearer token stands for one person, and that person's access says what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from placet.errors import NotPermitted
from placet.events import Actor

ACCESS = ("requester", "approver", "designer", "auditor", "admin")
"""What somebody may be in Placet. Everyone who is known may ask for approval and decide their own tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The authenticated person of a call."""

    person: str
    access: frozenset[str]

    @property
    def admin(self) -> bool:
        """Whether everything is theirs to do."""
        return "admin" in self.access

    @property
    def sees_all(self) -> bool:
        """Whether every request is theirs to see."""
        return bool(self.access & {"admin", "auditor"})

    @property
    def actor(self) -> Actor:
        """Return the person as the core's events carry them."""
        return Actor(person=self.person, admin=self.admin)

    def need(self, *access: str) -> None:
        """Raise NotPermitted unless one of these is theirs."""
        if not self.access & set(access):
            raise NotPermitted(f"This needs the access {' or '.join(access)}, which user:{self.person} does not have.")
