"""Members of chats: which person each is, by a link of an admin or by the mail address that Slack has verified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from sqlalchemy import Connection

from activities.notifications.channels.slack_client import SlackClient, SlackRefused
from placet.audit.admin_acts import Act
from placet.errors import InputInvalid, Unavailable
from placet.sentences import sentence
from service.context import Context
from service.principal import Principal
from storage.queries.identity import sessions
from storage.queries.people import chat_links, people
from storage.recording import admin_acts
from storage.tables.chat import ChatLink

ChatService = Literal["slack", "teams"]
_SECONDS = 2.0  # for Slack to say who somebody is: it waits three seconds for our answer
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a chat's workspace, as the chat itself has signed it."""

    service: ChatService
    workspace: str
    id: str

    @property
    def name(self) -> str:
        """What refusals are recorded under where nobody knows which person it is."""
        return f"{self.service}:{self.workspace}:{self.id}"


async def person_of(context: Context, member: Member) -> str | None:
    """Return the id of the person that a member is; None: nobody's. Raises Unavailable where Slack does not answer.

    A link counts alone. Without one, a full member of Slack is the one active person with their verified address.
    """
    linked = await context.database.read(
        chat_links.person_of, service=member.service, workspace=member.workspace, member=member.id
    )
    if linked is not None or member.service != "slack":
        return linked
    settings = context.notify
    if not settings.slack_match_mail or settings.slack_bot_token is None:
        return None
    try:
        said = await SlackClient(settings, seconds=_SECONDS).get("users.info", user=member.id)
    except SlackRefused as error:
        _log.warning("slack_member_unknown", reason=error.message)
        if not error.answered:
            raise Unavailable(error.message) from error
        return None
    address = verified_address(said.get("user"), member)
    if address is None:
        return None
    found = await context.database.read(sessions.person_by_email, address)
    return None if found is None or found.actor_type != "person" else found.person


def verified_address(user: Any, member: Member) -> str | None:
    """Return the address that Slack has verified for a full member of the workspace; None: it vouches for none.

    `user` is as `users.info` has it. Guests, bots, and people of other organisations are linked by an admin.
    """
    if not isinstance(user, dict) or user.get("id") != member.id or user.get("team_id") != member.workspace:
        return None
    if user.get("is_email_confirmed") is not True:
        return None
    others = ("deleted", "is_bot", "is_app_user", "is_restricted", "is_ultra_restricted", "is_stranger")
    if any(user.get(name) for name in others):
        return None
    address = (user.get("profile") or {}).get("email")
    return address if isinstance(address, str) and "@" in address else None


async def link_member(context: Context, principal: Principal, member: Member, person: str) -> ChatLink:
    """Link a member of a chat to a person; the same link again is the same. Raises InputInvalid, and Conflict."""
    row = ChatLink(
        id="cl_" + hashlib.sha256(member.name.encode()).hexdigest()[:24],
        service=member.service,
        workspace=member.workspace,
        member=member.id,
        person=person,
        linked_by=principal.person,
        linked_at=context.now(),
    )

    def store(connection: Connection) -> ChatLink:
        found = people.find(connection, person)
        if found is None or not found.active or found.actor_type != "person":
            raise InputInvalid.at(
                "/person", sentence("there is no active person {one!r}; give the id of one", one=person)
            )
        if chat_links.add(connection, row):
            act = Act(kind="chat_linked", target=f"person:{person}", detail={"service": member.service, "link": row.id})
            admin_acts.record(connection, principal.acted_by, act, context.now())
        return chat_links.get(connection, row.id)

    return await context.database.write(store)


async def unlink_member(context: Context, principal: Principal, link_id: str) -> ChatLink:
    """Remove a link and return it; raises NotFound."""

    def remove(connection: Connection) -> ChatLink:
        row = chat_links.remove(connection, link_id)
        act = Act(kind="chat_unlinked", target=f"person:{row.person}", detail={"service": row.service, "link": link_id})
        admin_acts.record(connection, principal.acted_by, act, context.now())
        return row

    return await context.database.write(remove)
