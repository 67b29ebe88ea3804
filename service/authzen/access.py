"""Evaluations, access requests and their tasks, on requests with an action: people approve it, and it counts once.

An evaluation denies, and says whether people can be asked. The approval that they give is claimed by the evaluation
that presents it, for exactly what was requested, once.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection

from placet.audit.chain import moment
from placet.engine.bound_action import BoundAction, bound_action
from placet.engine.events import Withdraw
from placet.errors import (
    AccessRequestLate,
    AccessRequestRefused,
    AccessRequestTaken,
    AccessRequestUnknown,
    ClaimRefused,
    Ended,
    InputInvalid,
    NotFound,
    NotPermitted,
    Refused,
)
from placet.json_text import with_floats
from service.authzen.binding import binding_hash, principal_of, relevant, relevant_members
from service.authzen.settings import AuthzenSettings
from service.authzen.tokens import BindingTokens, Denial, written
from service.claims import claim_action
from service.commands import act_on_request
from service.context import Context
from service.principal import Principal
from service.requests import RequestDraft, start_request
from service.visibility import seen_request
from storage.queries.definitions import definitions
from storage.queries.identity import sessions
from storage.queries.requests.requests import RequestRow, RequestWithTasks

Status = Literal["pending", "approved", "denied", "expired", "cancelled", "failed"]
SKEW: Final = timedelta(seconds=30)
"""By how much clocks may differ."""
_LONGEST_TITLE = 200
_OUTCOMES: Final[dict[str, Status]] = {
    "approved": "approved",
    "rejected": "denied",
    "expired": "expired",
    "withdrawn": "cancelled",
    "cancelled": "cancelled",
}
_OURS = ("subject", "resource", "action", "context", "binding_context_members", "evaluation_id")
"""The parameters of the actions of access requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What somebody wants to do: subject, resource, action and context, as AuthZEN has them."""

    subject: Mapping[str, Any]
    resource: Mapping[str, Any]
    action: Mapping[str, Any]
    context: Mapping[str, Any] = field(default_factory=dict)

    def hash(self, members: tuple[str, ...]) -> str:
        """Return the binding hash over these members of the context; raises InputInvalid."""
        return binding_hash(
            subject=self.subject, resource=self.resource, action=self.action, context=self.context, members=members
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An access request as it was sent: what was denied, the denial, and what is asked for beside it."""

    access: Access
    denial: Mapping[str, Any]
    requested_access: Mapping[str, Any] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An access request, as its task shows it."""

    id: str
    status: Status
    expires_at: datetime
    stage: str | None
    title: str
    approved_at: datetime | None


class Authzen:
    """What the profile asks of a decision point and of a service for access requests, which are one here."""

    def __init__(self, context: Context, settings: AuthzenSettings, secret: str) -> None:
        self._context = context
        self._settings = settings
        self.tokens = BindingTokens(secret, context.notify.public_url or "urn:placet")

    async def evaluate(self, principal: Principal, access: Access, *, endpoint: str, key: str) -> dict[str, Any]:
        """Return a decision and its context; the same evaluation under the same `key` has the same one.

        `endpoint` is where access requests go. Raises InputInvalid, Busy and Unavailable.
        """
        approval = access.context.get("approval")
        if approval is None:
            return await self._denied(principal, access, endpoint, "approval_required")
        stored = await self._approval(principal, approval)
        if stored is None:
            return _no("approval_unverifiable", next_action="none")
        request = stored.request
        action = _action_of(request)
        members = tuple(action.parameters["binding_context_members"])
        if access.hash(members) != _bound(action, members):
            return await self._denied(principal, access, endpoint, "out_of_scope", again=True)
        try:
            await claim_action(self._context, principal, request.id, action, key=key)
        except ClaimRefused as error:
            if error.failure == "not_approved":
                return _no("approval_unverifiable", next_action="none")
            return await self._denied(principal, access, endpoint, "approval_expired", again=True)
        except Ended:
            return await self._denied(principal, access, endpoint, "approval_expired", again=True)
        until = written(action.expires_at)
        return {"decision": True, "context": {"approval": {"id": request.id, "approved_until": until}}}

    async def submit(self, principal: Principal, submission: Submission) -> Task:
        """Ask people for what was denied, and return the task; the same denial is asked for once.

        Raises AccessRequestRefused, NotPermitted, InputInvalid, Busy and Unavailable.
        """
        denial = self._verified(principal, submission)
        now, access = self._context.now(), submission.access
        requester = await self._requester(principal, access.subject)
        if requester is None:
            raise NotPermitted("The subject is somebody whom the caller may not ask for.")
        _require_known_actor(principal, submission.client)
        action = bound_action(
            kind=str(access.action["name"]),
            target=f"{access.resource['type']}:{access.resource['id']}",
            parameters={
                "subject": principal_of(access.subject),
                "resource": dict(access.resource),
                "action": dict(access.action),
                "context": relevant(access.context, denial.members),
                "binding_context_members": list(denial.members),
                "evaluation_id": denial.evaluation_id,
            },
            expires_at=self._until(submission.requested_access, now),
            at="",
        )
        draft = RequestDraft(
            template=denial.template,
            title=f"{action.type} {action.target}"[:_LONGEST_TITLE],
            input=await self._input(denial.template, submission),
            action=action,
        )
        stored = await start_request(
            self._context,
            principal,
            draft,
            request_id=hashlib.sha256(f"access request {denial.evaluation_id}".encode()).hexdigest()[:32],
            requester=None if requester == principal.person else requester,
            fresh=False,
        )
        return await self.task(principal, stored.request.id)

    async def task(self, principal: Principal, task_id: str) -> Task:
        """Return the task of an access request; raises AccessRequestUnknown, and AccessRequestLate after its end."""
        stored = await self._own(principal, task_id)
        if stored is None:
            raise AccessRequestUnknown("There is no such task, or it is not yours to see.", code="unknown_task")
        return self._shown(stored.request)

    async def cancel(self, principal: Principal, task_id: str, *, comment: str | None, key: str) -> Task:
        """Take an access request back; raises as `task`, and AccessRequestTaken where it has ended."""
        await self.task(principal, task_id)
        stored = await self._own(principal, task_id)
        mine = stored is not None and stored.request.requester == principal.person
        event = Withdraw(by=principal.actor, how="withdrawn" if mine else "cancelled", reason=comment, key=key)
        try:
            done = await act_on_request(self._context, principal, task_id, event, key=key)
        except NotPermitted:
            raise
        except Refused as error:
            raise AccessRequestTaken(error.message, code="invalid_task_state") from error
        return self._shown(done.request)

    def _shown(self, row: RequestRow) -> Task:
        action = _action_of(row)
        if self._context.now() >= action.expires_at:
            raise AccessRequestLate("The task has expired; evaluate again, and request again.", code="task_expired")
        return Task(
            id=row.id,
            status=status_of(row),
            expires_at=action.expires_at,
            stage=row.stage,
            title=row.title,
            approved_at=row.ended_at if row.outcome == "approved" else None,
        )

    async def _denied(
        self, principal: Principal, access: Access, endpoint: str, reason: str, *, again: bool = False
    ) -> dict[str, Any]:
        """Return a denial; where people can be asked, with what a request needs. `again`: an approval was presented."""
        template = self._settings.template_for(str(access.resource["type"]), str(access.action["name"]))
        if template is None or await self._requester(principal, access.subject) is None:
            return _no(reason if again else "not_requestable", **({"next_action": "none"} if again else {}))
        now = self._context.now()
        members = relevant_members(access.context)
        denial = Denial(
            evaluation_id=f"eval_{uuid.uuid4().hex}",
            expires_at=now + self._settings.denial_lasts,
            template=template,
            client=principal.person,
            binding_hash=access.hash(members),
            members=members,
        )
        asked = {
            "endpoint": endpoint,
            "template": template,
            "expires_at": written(denial.expires_at),
            "binding_token": self.tokens.issue(denial, now),
        }
        found = _no(reason, **({"next_action": "request"} if again else {}))
        found["context"] |= {
            "evaluation_id": denial.evaluation_id,
            "evaluated_at": moment(now),
            "access_request": asked,
        }
        return found

    def _verified(self, principal: Principal, submission: Submission) -> Denial:
        """Return the denial that a submission rests on; raises AccessRequestRefused."""
        given = submission.denial
        token = given.get("binding_token")
        if not isinstance(token, str):
            raise AccessRequestRefused(
                "The denial has no binding_token; send the one of context.access_request as it is.",
                code="invalid_denial_binding",
            )
        denial = self.tokens.read(token)
        if given.get("expires_at") != written(denial.expires_at):
            raise AccessRequestRefused(
                "denial.expires_at is not what the denial said; send it as it is.", code="invalid_denial_binding"
            )
        if given.get("evaluation_id", denial.evaluation_id) != denial.evaluation_id:
            raise AccessRequestRefused("The token is of another evaluation.", code="invalid_denial_binding")
        if denial.client != principal.person:
            raise AccessRequestRefused("Somebody else was denied this.", code="invalid_denial_binding")
        if submission.access.hash(denial.members) != denial.binding_hash:
            raise AccessRequestRefused(
                "This is not what was denied: subject, resource, action, or a bound part of the context differs.",
                code="invalid_denial_binding",
            )
        if self._context.now() >= denial.expires_at + SKEW:
            raise AccessRequestLate("The denial has expired; evaluate again.", code="expired_denial")
        return denial

    async def _requester(self, principal: Principal, subject: Mapping[str, Any]) -> str | None:
        """Return for whom a caller may ask who is this subject; None where they may not, or nobody is known by it.

        An agent asks by itself for whom it acts for.
        """
        person = await self._context.database.read(_person_of, str(subject["id"]))
        if person is None:
            return None
        if person == principal.person or principal.admin:
            return person
        return principal.person if person == principal.principal else None

    async def _own(self, principal: Principal, request_id: str) -> RequestWithTasks | None:
        """Return an access request of the caller's, or one that they entered; None for any other."""
        try:
            stored = await self._context.database.read(seen_request, principal, request_id, self._context.now())
        except NotFound:
            return None
        row = stored.request
        ours = row.action is not None and set(_OURS) <= set(row.action["parameters"])
        return stored if ours and principal.person in {row.requester, row.started_by} else None

    async def _approval(self, principal: Principal, approval: Any) -> RequestWithTasks | None:
        given = approval.get("id") if isinstance(approval, Mapping) else None
        return await self._own(principal, given) if isinstance(given, str) and given.isalnum() else None

    def _until(self, requested: Mapping[str, Any], now: datetime) -> datetime:
        latest = now + self._settings.approval_lasts
        asked = requested.get("requested_until")
        if asked is None:
            return latest.replace(microsecond=0)
        try:
            until = datetime.fromisoformat(asked)
            until = until if until.tzinfo is not None else until.replace(tzinfo=now.tzinfo)
        except (TypeError, ValueError) as error:
            raise InputInvalid.at("/requested_access/requested_until", "write a moment") from error
        if until <= now:
            message = "give a moment in the future, and at most 100 years from now"
            raise InputInvalid.at("/requested_access/requested_until", message)
        return min(until, latest).replace(microsecond=0)

    async def _input(self, template: str, submission: Submission) -> dict[str, Any]:
        """Return the variables of a process that a submission has values for, by their names."""
        access = submission.access
        offered: dict[str, Any] = {
            "subject": access.subject["id"],
            "resource": access.resource["id"],
            "resource_type": access.resource["type"],
            "action": access.action["name"],
            "justification": access.context.get("business_justification"),
            **access.context,
            **submission.requested_access,
        }
        names = await self._context.database.read(_variables, template)
        return {name: offered[name] for name in names if offered.get(name) is not None}


def status_of(row: RequestRow) -> Status:
    """Return the status of a request as the profile has it; an outcome of a process's own is no approval."""
    if row.status == "pending":
        return "pending"
    if row.status == "failed":
        return "failed"
    if row.status == "cancelled":
        return "cancelled"
    return _OUTCOMES.get(row.outcome or "", "denied")


def _action_of(row: RequestRow) -> BoundAction:
    document = row.action or {}
    return BoundAction(
        type=document["type"],
        target=document["target"],
        parameters=with_floats(document["parameters"]),
        expires_at=datetime.fromisoformat(document["expires_at"]),
    )


def _bound(action: BoundAction, members: tuple[str, ...]) -> str:
    parts = action.parameters
    access = Access(
        subject=parts["subject"], resource=parts["resource"], action=parts["action"], context=parts["context"]
    )
    return access.hash(members)


def _no(reason: str, **more: Any) -> dict[str, Any]:
    return {"decision": False, "context": {"reason": reason, **more}}


def _person_of(connection: Connection, name: str) -> str | None:
    """Return the active person of an id, or of a mail address that one alone has."""
    found = sessions.person_holder(connection, name.removeprefix("user:")) or sessions.person_by_email(connection, name)
    return None if found is None else found.person


def _variables(connection: Connection, template: str) -> list[str]:
    try:
        header = definitions.named(connection, template)
    except NotFound as error:
        raise AccessRequestRefused(error.message, code="not_requestable") from error
    blueprint = definitions.get(connection, header.id).blueprint
    return [str(one["name"]) for one in blueprint.get("variables") or ()]


def _require_known_actor(principal: Principal, client: Mapping[str, Any]) -> None:
    """Raise NotPermitted for an actor, or a chain of them, for which the caller's own token does not vouch."""
    actor = client.get("actor")
    if actor is None:
        return
    links: list[str] = []
    while isinstance(actor, Mapping) and len(links) < 3:
        links.append(str(actor.get("id", actor.get("sub", ""))).removeprefix("user:"))
        actor = actor.get("act")
    vouched = [principal.person, principal.principal]
    if actor is not None or len(links) > 2 or links != vouched[: len(links)]:
        raise NotPermitted("client.actor names somebody for whom the caller's token does not vouch.")
