"""The principal: the authenticated person, and what their access permits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, cast

from placet.audit.admin_acts import ActedBy, Way
from placet.engine.events import Actor, ActorType
from placet.errors import NotPermitted
from placet.sentences import either, sentence
from storage.queries.identity import tokens

ACCESS: Final = ("requester", "approver", "designer", "auditor", "admin")
"""The access roles of Placet. A person without any may do nothing."""
DEFAULT_ACCESS: Final[tuple[Literal["requester"], Literal["approver"]]] = ("requester", "approver")
"""The access of a person for whom none is given."""
READ: Final = "read"
"""The scope of a token that reads what its person may see, and changes nothing."""
SCIM: Final = "scim"
"""The scope of a token that provisions people by SCIM."""
SCOPES: Final = (*ACCESS, READ, SCIM)
"""The scopes of tokens: an access that the token has of its person's, reading alone, or SCIM."""
SEE_ALL = frozenset({"admin", "auditor"})
"""Who sees every request."""


Channel = Literal["token", "session", "jwt"]
"""What a principal is known by: an API token, a browser session, or a JWT of the identity provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The authenticated person who acts; `queues` are the person's roles and groups, as `role:r`, `group:g`.

    `access` is what both the person and the token or session have; `scopes` are the token's, None where it has none.
    `provisions` says whether the token is an admin's with the scope of SCIM. `authenticated_at` is when a JWT says that
    its person has logged in. `way` is how the call came in. `principal` is whom an
    agent acts for: it may do what both may.
    """

    person: str
    access: frozenset[str]
    queues: frozenset[str] = frozenset()
    name: str = ""
    actor_type: ActorType = "person"
    scopes: frozenset[str] | None = None
    provisions: bool = False
    channel: Channel = "token"
    authenticated_at: datetime | None = None
    way: Way = "api"
    principal: str | None = None

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
        return Actor(person=self.person, admin=self.admin, type=self.actor_type, principal=self.principal)

    @property
    def acted_by(self) -> ActedBy:
        """Return the person as administrative acts carry them."""
        return ActedBy(actor=f"user:{self.person}", actor_type=self.actor_type, way=self.way)

    @property
    def names(self) -> frozenset[str]:
        """How the owner of a process is stored where it is this person: by id, by role, or by group."""
        roles = (name.removeprefix("role:") for name in self.queues if name.startswith("role:"))
        return frozenset({self.person, f"user:{self.person}", *self.queues, *roles})

    def owns(self, owner: str | None) -> bool:
        """Whether an owner as it is stored is this person."""
        return owner in self.names

    @property
    def only_reads(self) -> bool:
        """Whether the token or session may change nothing."""
        return self.scopes is not None and READ in self.scopes

    def need_to_change(self) -> None:
        """Raise NotPermitted for a token or session that only reads."""
        if self.only_reads:
            raise NotPermitted("This token has the scope `read`, and changes nothing; use another token.")

    def need(self, access: frozenset[str]) -> None:
        """Raise NotPermitted unless one of these is theirs."""
        if not self.access & access:
            wanted = either(sorted(access))
            whose = f"user:{self.person} does" if self.scopes is None else "this token's scopes do"
            raise NotPermitted(
                sentence("This needs the access {wanted}, which {whose} not have.", wanted=wanted, whose=whose)
            )


def principal_of(held: tokens.TokenHolder, *, granted: Sequence[str] | None = None) -> Principal:
    """Return the principal that the holder of a token or a session is; `granted` replaces the directory's access."""
    queues = {f"role:{role}" for role in held.roles} | {f"group:{group}" for group in held.groups}
    access = held.access if granted is None else frozenset(granted)
    if held.scopes is not None and READ not in held.scopes:
        access = _both(held.scopes, access)
    if held.principal_access is not None:
        access = _both(access, held.principal_access) | _both(held.principal_access, access)
    return Principal(
        person=held.person,
        access=access,
        queues=frozenset(queues),
        name=held.name,
        actor_type=cast(ActorType, held.actor_type),
        scopes=held.scopes,
        provisions=held.scopes is not None
        and SCIM in held.scopes
        and "admin" in held.access
        and (held.principal_access is None or "admin" in held.principal_access),
        principal=held.principal,
    )


def _both(wanted: frozenset[str], access: frozenset[str]) -> frozenset[str]:
    """Return what is wanted of an access; an admin may do what each of the others may."""
    return wanted & (frozenset(ACCESS) if "admin" in access else access)
