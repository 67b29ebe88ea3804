"""Step-up: a decision waits until its person has proven anew who they are, and is then taken with their signature.

What is kept says who decides what, about which task in which round and revision, and since which hand-over. A proof
counts for that alone; whatever has changed meanwhile, the core refuses.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import Connection

from placet.engine.events import Decide, Proof
from placet.engine.state import Decision, ProofMethod
from placet.errors import NotFound, NotPermitted, ProofRefused, ReauthenticationRequired
from placet.sentences import sentence
from service import commands, security_log
from service.context import Context
from service.identity import failures
from service.identity.oidc.verification import LEEWAY, authenticated_at
from service.principal import READ, SCIM, Principal
from service.visibility import see_task
from storage.queries.identity import passkeys, step_ups, tokens
from storage.queries.requests.requests import RequestWithTasks
from storage.tables.identity import StepUp

if TYPE_CHECKING:
    from service.identity.passkeys import Site

LASTS: Final = timedelta(minutes=30)
"""How long a decision waits to be signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How somebody may prove who they are here. A token does only where there is neither a provider nor a passkey."""

    provider: bool
    passkey: bool
    token: bool


async def begin(context: Context, principal: Principal, event: Decide) -> str:
    """Keep a decision until it is signed, and return its id; raises NotFound."""
    now = context.now()

    def store(connection: Connection) -> str:
        task = see_task(connection, principal, event.task_id, now)
        row = StepUp(
            id=secrets.token_urlsafe(24),
            person=principal.person,
            request_id=task.request_id,
            task_id=task.id,
            round=task.round,
            revision=event.revision if event.revision is not None else task.revision,
            hand_overs=task.hand_overs,
            decision=event.decision,
            reason=event.reason or "",
            comment=event.comment,
            form=event.form,
            begun_at=now,
            expires_at=now + LASTS,
        )
        step_ups.begin(connection, row)
        return row.id

    return await context.database.write(store)


def read(connection: Connection, principal: Principal, step_up_id: str, now: datetime) -> StepUp:
    """Return a decision that waits, or that was taken; raises NotFound, and NotPermitted for somebody else's."""
    row = step_ups.find(connection, step_up_id[:200].replace("\0", ""), now)
    if row is None:
        minutes = int(LASTS.total_seconds()) // 60
        raise NotFound(
            sentence(
                "There is nothing to sign at this address: it has expired, {minutes} minutes after it "
                "began, or was never there. Nothing was decided; open the task and decide it again",
                minutes=minutes,
            )
        )
    if row.person != principal.person:
        raise NotPermitted("This signature is asked of somebody else than who is logged in. Nothing was decided.")
    return row


def ways_of(connection: Connection, context: Context, person: str, site: Site | None) -> Ways:
    """Return how a person may prove who they are; `site` None: passkeys do not work at this address."""
    provider, has = context.identity.oidc is not None, passkeys.has_any(connection, person)
    return Ways(provider=provider, passkey=has and site is not None, token=not provider and not has)


async def prove_by_passkey(context: Context, principal: Principal, step_up_id: str, site: Site, answer: str) -> None:
    """Take the answer of a passkey as the proof; raises ProofRefused, and as `read`."""
    from service.identity.passkeys import require_answer

    with security_log.refusals("proof_failed", person=principal.person, way="passkey"):
        row = await _waiting(context, principal, step_up_id)
        await require_answer(context, principal, f"sign:{row.id}", site, answer)
    await _proven(context, row, "passkey", context.now())


async def prove_by_token(context: Context, principal: Principal, step_up_id: str, text: str, *, address: str) -> None:
    """Take a token of the person, which they enter anew, as the proof; raises ProofRefused, Busy, and as `read`."""
    row = await _waiting(context, principal, step_up_id)
    await failures.require(context, "token, to sign", address=address)

    def holder(connection: Connection) -> tuple[tokens.TokenHolder | None, Ways]:
        found = tokens.holder(connection, text, context.now())
        return found, ways_of(connection, context, principal.person, None)

    held, ways = await context.database.read(holder)
    if not ways.token:
        raise ProofRefused("A token alone does not sign here. Nothing was decided; confirm as this page offers it.")
    limited = held is not None and held.scopes is not None and bool(held.scopes & {READ, SCIM})
    if held is None or held.person != principal.person or limited:
        await failures.note(context, "token, to sign", address=address, status=403, person=principal.person)
        raise ProofRefused("This is no token of yours that may decide. Nothing was decided; enter your own token.")
    await _proven(context, row, "token", context.now())


async def prove_by_provider(
    context: Context,
    visitor: Principal | None,
    step_up_id: str,
    *,
    person: str,
    claims: Mapping[str, Any],
    begun_at: float,
) -> None:
    """Take a log-in at the identity provider as the proof: of who is logged in here, and after the step-up began."""
    if visitor is None:
        raise NotPermitted("You are not logged in here any more. Nothing was decided; log in, and decide again.")
    with security_log.refusals("proof_failed", person=visitor.person, way="oidc"):
        row = await _waiting(context, visitor, step_up_id)
        at = _asked_anew(context, visitor, person, claims, begun_at)
    await _proven(context, row, "oidc", min(at, context.now()))


def _asked_anew(
    context: Context, visitor: Principal, person: str, claims: Mapping[str, Any], begun_at: float
) -> datetime:
    """Return when the visitor has logged in at the identity provider since the step-up began; raises ProofRefused."""
    if person != visitor.person:
        raise ProofRefused(
            "You have logged in at the identity provider as somebody else than here. Nothing was decided; open the "
            "task, and confirm with your own account."
        )
    at = authenticated_at(claims)
    if at is None or at.timestamp() < begun_at - LEEWAY or at.timestamp() > context.now().timestamp() + LEEWAY:
        raise ProofRefused(
            "The identity provider has not asked you anew who you are (`auth_time`). Nothing was decided; try again, "
            "and enter your password there. If that does not help, the operator has the provider send `auth_time`."
        )
    return at


async def sign(context: Context, principal: Principal, step_up_id: str) -> RequestWithTasks:
    """Take the decision with the signature of who has proven who they are.

    Raises ReauthenticationRequired where nobody has, or too long ago, and as `commands.act_on_task`. A repeat gets the
    first answer.
    """
    row = await context.database.read(read, principal, step_up_id, context.now())
    at, method, now = row.authenticated_at, row.method, context.now()
    seconds, where = int(context.identity.sign_within.total_seconds()), f"/sign/{row.id}"
    if at is None or method is None:
        raise ReauthenticationRequired("Confirm first who you are. Nothing was decided.", where=where, max_age=seconds)
    if row.done_at is None and now - at > context.identity.sign_within:
        raise ReauthenticationRequired(
            sentence(
                "You confirmed who you are more than {seconds} seconds ago. Nothing was decided; confirm again.",
                seconds=seconds,
            ),
            where=where,
            max_age=seconds,
        )
    key = hashlib.sha256(f"sign:{row.id}".encode()).hexdigest()
    event = Decide(
        by=principal.actor,
        task_id=row.task_id,
        decision=cast(Decision, row.decision),
        comment=row.comment,
        form=row.form,
        round=row.round,
        revision=row.revision,
        hand_overs=row.hand_overs,
        key=key,
        reason=row.reason,
        proof=Proof(name=principal.name or principal.person, method=cast(ProofMethod, method), at=at),
    )
    stored = await commands.act_on_task(context, principal, row.task_id, event, key=key)
    await context.database.write(step_ups.finish, row.id, context.now())
    return stored


async def _waiting(context: Context, principal: Principal, step_up_id: str) -> StepUp:
    row = await context.database.read(read, principal, step_up_id, context.now())
    if row.done_at is not None:
        raise ProofRefused("This was signed already, and counts once. Open the task to see what stands.")
    if principal.actor_type != "person":
        raise ProofRefused("Only people sign; a service or an agent cannot. Nothing was decided.")
    return row


async def _proven(context: Context, row: StepUp, method: ProofMethod, at: datetime) -> None:
    await context.database.write(step_ups.prove, row.id, method=method, at=at)
    security_log.note("proof_given", person=row.person, way=method, task=row.task_id)
