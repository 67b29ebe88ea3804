"""Links that decide: whom a link from a notification stands for, whether it still holds, and the decision by it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from activities.decision_tokens import LinkClaims, LinkTokens
from placet.definition.steps import DecisionLinks, decision_links_by_stage, signing_stages, strictest
from placet.engine.events import Decide, Undo
from placet.errors import LinkRefused, NotFound, Refused
from service import commands
from service.context import Context
from service.principal import Principal, principal_of
from service.visibility import see_request, see_task
from storage.queries.definitions import definitions
from storage.queries.identity import sessions
from storage.queries.people import people
from storage.queries.requests.requests import RequestWithTasks, TaskRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLink:
    """A link that was signed here and has not expired; `principal` is its person, with the access they have now."""

    token: str
    claims: LinkClaims
    principal: Principal
    preferences: Mapping[str, Any]
    task: TaskRow
    request: RequestWithTasks
    needs: DecisionLinks
    signs: bool  # whether the decision needs a signature, which a link is none for

    @property
    def spent(self) -> str | None:
        """The code of why it decides nothing any more, whoever uses it; None where it may decide."""
        task, claims = self.task, self.claims
        if task.status == "decided":
            own = (task.decided_by, task.decision) == (claims.person, claims.decision)
            # What is signed was decided elsewhere: a link signs nothing, and undoes nothing that was signed.
            return "used" if own and not self.signs and task.signature is None else "decided"
        if task.status != "open" or task.round != claims.round:
            return "closed"
        if self.request.request.returned:
            return "returned"
        if claims.hand_overs is not None and task.hand_overs != claims.hand_overs:
            return "handed_over"
        if self.request.request.revision > claims.revision:
            return "changed"
        return "sign" if self.signs else None


async def read_link(context: Context, token: str, *, secret: str, address: str) -> DecisionLink:
    """Return a link by its token; raises LinkRefused, and Busy where an address sends many that are not ours.

    Nothing is looked up for a token without our signature, so that the time of the answer tells nothing.
    """
    claims = LinkTokens(secret, context.now).read(token)
    if claims is None:
        await context.rate_limits.unreadable_links.count(address)
        raise LinkRefused("unreadable")
    return await open_link(context, token, claims)


async def open_link(context: Context, token: str, claims: LinkClaims) -> DecisionLink:
    """Return a link, or a button, that was signed here, by what it stands for; raises LinkRefused."""
    now = context.now()
    if now - claims.signed_at >= context.notify.decision_links_last:
        raise LinkRefused("expired")
    link = await context.database.read(_found, token, claims, context.notify.decision_links, now)
    if link.needs == "off":
        raise LinkRefused("off")
    return link


def who_decides(link: DecisionLink, logged_in: Principal | None) -> Principal:
    """Return who decides by a link, where `logged_in` opens it; raises LinkRefused.

    Somebody else who is logged in has got it from its person, and decides nothing, also where it needs no session.
    """
    if logged_in is not None and logged_in.person != link.principal.person:
        raise LinkRefused("other_person", person=link.principal.name or link.principal.person)
    if logged_in is None and link.needs != "bearer":
        raise LinkRefused("log_in")
    return logged_in or link.principal


async def decide_by_link(
    context: Context,
    principal: Principal,
    link: DecisionLink,
    *,
    comment: str | None,
    form: dict[str, Any] | None,
    key: str,
    via: str = "link",
) -> RequestWithTasks:
    """Take the decision of a link, as its page showed it; raises as `act_on_task`.

    The same link with the same `key` counts once and gets the first answer again. `via` is how it came, on record.
    """
    claims = link.claims
    own = hashlib.sha256(f"{via}:{link.token}:{key}".encode()).hexdigest()
    event = Decide(
        by=principal.actor,
        task_id=claims.task_id,
        decision=claims.decision,
        comment=comment,
        form=form,
        round=claims.round,
        revision=claims.revision,
        hand_overs=claims.hand_overs,
        key=own,
        via=via,
    )
    return await commands.act_on_task(context, principal, claims.task_id, event, key=own)


async def undo_by_link(context: Context, principal: Principal, link: DecisionLink) -> RequestWithTasks:
    """Undo the decision of a link while that is possible; raises as `act_on_task`.

    It undoes its own decision alone, once: the link ends with it.
    """
    if link.spent != "used":
        raise Refused("This link has decided nothing that could be undone.")
    own = hashlib.sha256(f"undo:{link.token}".encode()).hexdigest()
    event = Undo(by=principal.actor, task_id=link.claims.task_id, key=own)
    return await commands.act_on_task(context, principal, link.claims.task_id, event, key=own)


def _found(
    connection: Connection, token: str, claims: LinkClaims, installation: DecisionLinks, now: datetime
) -> DecisionLink:
    holder = sessions.person_holder(connection, claims.person)
    if holder is None or holder.actor_type != "person":
        raise LinkRefused("left")
    principal = principal_of(holder)
    try:
        task = see_task(connection, principal, claims.task_id, now)
        request = see_request(connection, principal, task.request_id, now)
    except NotFound:
        raise LinkRefused("unknown") from None
    blueprint = definitions.get(connection, request.request.template_id).blueprint
    person = people.find(connection, claims.person)
    return DecisionLink(
        token=token,
        claims=claims,
        principal=principal,
        preferences=(person.preferences if person is not None else None) or {},
        task=task,
        request=request,
        needs=strictest(installation, decision_links_by_stage(blueprint).get(task.stage)),
        signs=task.stage in signing_stages(blueprint),
    )
