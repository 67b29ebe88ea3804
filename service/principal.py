"""The principal: the authenticated person, and what their access permits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from placet.engine.events import Actor
from placet.errors import NotPermitted
from storage.queries.people import tokens

ACCESS: Final = ("requester", "approver", "designer", "auditor", "admin")
"""The access roles of Placet. A person without any may do nothing."""
DEFAULT_ACCESS: Final[tuple[Literal["requester"], Literal["approver"]]] = ("requester", "approver")
"""The access of a person for whom none is given."""
SEE_ALL = frozenset({"admin", "auditor"})
"""Who sees every request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The authenticated person who acts; `queues` are the person's roles and groups, as `role:r`, `group:g`."""

    person: str
    access: frozenset[str]
    queues: frozenset[str] = frozenset()

    @property
    def admin(self) -> bool:
        """Whether the person is an admin; an admin still cannot operate their own requests."""
        return "admin" in self.access

    @property
    def approves(self) -> bool:
        """Whether the person can be asked for a decision."""
        return bool(self.access & {"approver", "admin"})

    @property
    def designs(self) -> bool:
        """Whether the person may see drafts of every process."""
        return bool(self.access & {"designer", "auditor", "admin"})

    @property
    def sees_all(self) -> bool:
        """Whether the person may see every request."""
        return bool(self.access & SEE_ALL)

    @property
    def actor(self) -> Actor:
        """Return the person as the core's events carry them."""
        return Actor(person=self.person, admin=self.admin)

    @property
    def names(self) -> frozenset[str]:
        """How the owner of a process is stored where it is this person: by id, by role, or by group."""
        roles = (name.removeprefix("role:") for name in self.queues if name.startswith("role:"))
        return frozenset({self.person, f"user:{self.person}", *self.queues, *roles})

    def owns(self, owner: str | None) -> bool:
        """Whether an owner as it is stored is this person."""
        return owner in self.names

    def need(self, access: frozenset[str]) -> None:
        """Raise NotPermitted unless one of these is theirs."""
        if not self.access & access:
            wanted = " or ".join(sorted(access))
            raise NotPermitted(f"This needs the access {wanted}, which user:{self.person} does not have.")


def principal_of(connection: Connection, token: str, now: datetime) -> Principal | None:
    """Return whom an API token stands for; None: it is unknown, expired or revoked, or its person has left."""
    held = tokens.holder(connection, token, now)
    if held is None:
        return None
    queues = {f"role:{role}" for role in held.roles} | {f"group:{group}" for group in held.groups}
    return Principal(person=held.person, access=held.access, queues=frozenset(queues))
