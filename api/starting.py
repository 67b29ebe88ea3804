"""Start a request: check what is asked, compile the plan, read the directory, and hand all of it to the engine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, NoReturn

from sqlalchemy.ext.asyncio import AsyncSession

from activities.directory import directory_for
from api import engine
from api.context import Context
from api.identity import Principal
from api.schemas.requests import NewRequest
from placet.errors import InputInvalid, NotFound, NotPermitted, Problem, Unavailable
from placet.events import Opening
from placet.plan import Plan
from placet.variables import normalise_input
from storage import people, requests, templates
from storage.requests import Stored
from storage.tables import ProcessTemplate
from workflows.approval import Start

_LONGEST_TITLE = 200
_FIRST_LOOK = 0.005  # seconds
_LONGEST_WAIT = 0.1


async def start_request(context: Context, principal: Principal, new: NewRequest, *, request_id: str) -> Stored:
    """Start a request under this id and return it once its opening record can be read; started before, it is as it is.

    Raises InputInvalid, NotPermitted, and Unavailable where the outcome is unknown.
    """
    now = datetime.now(UTC)
    end = asyncio.get_running_loop().time() + context.start_deadline.total_seconds()
    async with context.database.session() as session:
        if (stored := await _found(session, request_id)) is not None:
            return stored
        requester = await _requester(session, principal, new.requester)
        template = await _template(session, new)
        plan = await context.plans.of(session, template, now)
        given = normalise_input(plan.variables, new.input)
        names = [str(name) for name in plan.names()]
        directory = await directory_for(session, names, [requester], given)
    opening = Opening(
        request_id=request_id,
        requester=requester,
        title=new.title or default_title(plan, given),
        input=given,
        directory=directory,
        directory_at=now,
        started_by=principal.person if principal.person != requester else None,
    )
    await engine.start(context, Start(plan=plan, opening=opening, template_id=template.id))
    return await _recorded(context, request_id, end)


def default_title(plan: Plan, given: dict[str, Any]) -> str:
    """Return a title out of the process's name and the first things that were given."""
    facts = [f"{v.name} {given[v.name]}" for v in plan.variables if isinstance(given.get(v.name), str | int)]
    return (f"{plan.name}: {', '.join(facts[:3])}" if facts else plan.name)[:_LONGEST_TITLE]


async def _requester(session: AsyncSession, principal: Principal, named: str | None) -> str:
    if named is None or named == principal.person:
        return principal.person
    if not principal.admin:
        raise NotPermitted("Only an admin can start a request for somebody else; leave `requester` out.")
    try:
        known = (await people.get(session, named)).active
    except NotFound:
        known = False
    if not known:
        _refuse("/requester", f"there is no active person {named!r}; give the id of one")
    return named


async def _template(session: AsyncSession, new: NewRequest) -> ProcessTemplate:
    try:
        template = await templates.find(session, new.template, new.version)
    except NotFound as error:
        _refuse("/template" if new.version is None else "/version", f"{error.message}; publish it, or name another")
    if template.status != "published":
        _refuse(
            "/version", f"version {template.version} of {template.name!r} is {template.status}; name a published one"
        )
    return template


async def _recorded(context: Context, request_id: str, end: float) -> Stored:
    wait = _FIRST_LOOK
    while True:
        async with context.database.session() as session:
            if (stored := await _found(session, request_id)) is not None:
                return stored
        if asyncio.get_running_loop().time() + wait > end:
            raise Unavailable(f"No worker has begun request {request_id} in time.")
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


async def _found(session: AsyncSession, request_id: str) -> Stored | None:
    try:
        return await requests.get(session, request_id)
    except NotFound:
        return None


def _refuse(pointer: str, message: str) -> NoReturn:
    raise InputInvalid(f"{pointer}: {message}", problems=(Problem(pointer=pointer, message=message),))
