"""Start a request: check what is asked, compile the plan, read the directory, and hand all of it to the engine."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from api import engine
from api.context import Context
from api.deps import Call
from api.identity import Principal
from api.plans import Plans
from api.schemas.requests import NewRequest
from api.seeing import present
from placet.audit.sealed import SECRET_BYTES
from placet.directory import Directory
from placet.engine.content import default_title
from placet.engine.events import Opening
from placet.engine.input import accept_input
from placet.errors import InputInvalid, NotFound, NotPermitted, Problem, Unavailable
from placet.json_pointer import pointer_to
from placet.plan.assignees import person_id
from placet.plan.plan import Plan
from storage.queries.definitions import definitions
from storage.queries.definitions.definitions import Named
from storage.queries.people import people
from storage.queries.requests import requests
from storage.queries.requests.requests import Stored
from workflows.approval import Start

# How long to wait between looks for the opening record: from, and up to, in seconds.
_FIRST_LOOK, _LONGEST_WAIT = 0.005, 0.1
# The same where a recorder of this process tells, so that looks find only what was recorded elsewhere.
_TOLD_LOOK, _LONGEST_TOLD = 0.1, 1.0


async def start_request(context: Context, principal: Principal, new: NewRequest, call: Call) -> Stored:
    """Start a request under the call's subject and return it once its opening record can be read.

    One that was started before is as it is. Raises InputInvalid, NotPermitted, Busy where nothing has happened for want
    of a turn, and Unavailable where the outcome is unknown.
    """
    async with context.admission.turn(principal.person, call.subject):
        return await _start(context, principal, new, call)


async def _start(context: Context, principal: Principal, new: NewRequest, call: Call) -> Stored:
    request_id, now = call.subject, datetime.now(UTC)
    end = asyncio.get_running_loop().time() + context.start_deadline.total_seconds()
    if not call.fresh and (stored := await context.database.read(_found, request_id)) is not None:
        return stored
    ready = await context.database.read(_at_once, principal, new, context.plans, now)
    if isinstance(ready, _Chosen):
        async with context.database.session() as session:
            plan = await context.plans.of(session, await definitions.get(session, ready.template_id), now)
        ready = await context.database.read(_filled, new, ready, plan)
    opening = Opening(
        request_id=request_id,
        requester=ready.requester,
        title=new.title or default_title(ready.plan, ready.given),
        input=ready.given,
        directory=ready.directory,
        directory_at=now,
        started_by=principal.person if principal.person != ready.requester else None,
        secret=secrets.token_hex(SECRET_BYTES),
        titled=new.title is not None,
    )
    with context.arrivals.expecting(request_id) as arrived:
        await engine.start(context, Start(plan=ready.plan, opening=opening, template_id=ready.template_id))
        return await _recorded(context, request_id, arrived, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """Which process it is, and who asks."""

    template_id: str
    digest: str
    requester: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """All that a request starts with."""

    template_id: str
    requester: str
    plan: Plan
    given: dict[str, Any]
    directory: Directory


def _at_once(
    connection: Connection, principal: Principal, new: NewRequest, plans: Plans, now: datetime
) -> _Ready | _Chosen:
    """Read all that a request starts with from one snapshot, or what is chosen where its plan is not at hand."""
    requester = _requester(connection, principal, new.requester)
    template = _template(connection, principal, new)
    chosen = _Chosen(template_id=template.id, digest=template.digest, requester=requester)
    plan = plans.known(chosen.digest, now)
    return chosen if plan is None else _filled(connection, new, chosen, plan)


def _filled(connection: Connection, new: NewRequest, chosen: _Chosen, plan: Plan) -> _Ready:
    given = accept_input(plan, new.input)
    directory = people.read_directory(connection, plan.names, also=[chosen.requester], given=given)
    require_known(plan.asked(given), lambda person: directory.get(person) is not None)
    return _Ready(
        template_id=chosen.template_id, requester=chosen.requester, plan=plan, given=given, directory=directory
    )


def require_known(asked: Mapping[str, Any], active: Callable[[str], bool], *, at: str = "/input") -> None:
    """Raise InputInvalid where values that name people name somebody who is not there, or has left.

    `asked` are the values by the field of what was sent, or by its JSON Pointer; `at` is where that stands.
    """
    places = []
    for name, value in asked.items():
        place = f"{at}{name}" if name.startswith("/") else pointer_to(at, name)
        if isinstance(value, list):
            places += [(pointer_to(place, str(index)), one) for index, one in enumerate(value)]
        else:
            places.append((place, value))
    problems = [
        Problem(pointer=place, message=f"there is no active person {one!r}; give the id of one")
        for place, one in places
        if isinstance(one, str) and not active(person_id(one))
    ]
    if problems:
        raise InputInvalid(f"{problems[0].pointer}: {problems[0].message}", problems=tuple(problems))


def _requester(connection: Connection, principal: Principal, named: str | None) -> str:
    if named is None or named == principal.person:
        return principal.person
    if not principal.admin:
        raise NotPermitted("Only an admin can start a request for somebody else; leave `requester` out.")
    if not people.is_active(connection, named):
        raise InputInvalid.at("/requester", f"there is no active person {named!r}; give the id of one")
    return named


def _template(connection: Connection, principal: Principal, new: NewRequest) -> Named:
    try:
        template = definitions.named(connection, new.template, new.version)
    except NotFound as error:
        place = "/template" if new.version is None else "/version"
        raise InputInvalid.at(place, f"{error.message}; publish it, or name another") from error
    if template.status == "draft" and not principal.designs:  # that there is one is not theirs to know
        message = f"There is no process template {new.template!r} in version {new.version!r}"
        raise InputInvalid.at("/version", f"{message}; publish it, or name another")
    if template.status != "published":
        raise InputInvalid.at(
            "/version", f"version {template.version} of {template.name!r} is {template.status}; name a published one"
        )
    return template


async def _recorded(context: Context, request_id: str, arrived: asyncio.Event, end: float) -> Stored:
    """Return the request once it is recorded: as soon as a recorder of this process tells, or when a look finds it."""
    wait, longest = (_TOLD_LOOK, _LONGEST_TOLD) if context.arrivals.told else (_FIRST_LOOK, _LONGEST_WAIT)
    now = asyncio.get_running_loop().time
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(arrived.wait(), max(0.0, min(wait, end - now())))
        arrived.clear()
        if (stored := await context.database.read(_found, request_id)) is not None:
            return stored
        if now() >= end:
            raise Unavailable(f"No worker has begun request {request_id} in time.")
        wait = min(2 * wait, longest)


def _found(connection: Connection, request_id: str) -> Stored | None:
    try:
        return present(connection, requests.read(connection, request_id))
    except NotFound:
        return None
