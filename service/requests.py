"""Start a request: check what is asked, compile the plan, read the directory, and hand all of it to the engine.

There is one way to start a request, whoever asks: a person through the API, or a request's action through its worker.
They differ in where the request comes from (`Origin`), and in whether they wait for its opening record.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from activities.actions.internal import SubRequest
from placet.audit.sealed import SECRET_BYTES
from placet.definition.assignees import person_id
from placet.directory import Directory
from placet.engine.bound_action import BoundAction, check_action
from placet.engine.content import default_title
from placet.engine.events import ActorType, Opening, OpeningFile
from placet.engine.input import accept_input
from placet.errors import Conflict, InputInvalid, NotFound, NotPermitted, Problem, Unavailable
from placet.json_pointer import pointer_to
from placet.plan.plan import Plan
from placet.sentences import sentence
from service.canaries.picking import Assignment, pick
from service.context import Context
from service.engine import client as engine
from service.engine.plans import Plans
from service.principal import Principal
from service.visibility import present
from storage.announcements.announce import request_topic
from storage.queries import canaries
from storage.queries.definitions import definitions
from storage.queries.definitions.definitions import VersionHeader
from storage.queries.people import people
from storage.queries.requests import requests
from storage.queries.requests.requests import RequestWithTasks
from workflows.interface import Start

MOST_GENERATIONS = 8
"""How often requests may start each other, one after the other: a circle of processes would go on for ever."""

# How long to wait between looks for the opening record: from, and up to, in seconds.
_FIRST_LOOK, _LONGEST_WAIT = 0.005, 0.1
# The same where it is announced. These looks find it if the announcement was lost.
_ANNOUNCED_LOOK, _LONGEST_ANNOUNCED = 0.1, 1.0
_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDraft:
    """What is asked for: a process by its name, and the input.

    Without a `version` it is the newest published one, unless a canary picks.

    `files` are in the store already, under the id of the request.
    """

    template: str
    version: str | None = None
    title: str | None = None
    input: dict[str, Any] = field(default_factory=dict)
    files: tuple[OpeningFile, ...] = ()
    action: BoundAction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose request it is, and where it comes from.

    `started_by` is who entered it, where that is somebody else. `parent` is the request whose action starts it, and
    `parent_title` that one's title.
    `actor_type` is of whoever entered it, and `principal` whom it acts for, where it is an agent. `sees_drafts` says
    whether it may be told that a version is there and a draft.
    """

    requester: str
    started_by: str | None = None
    parent: str | None = None
    parent_title: str | None = None
    sees_drafts: bool = False
    actor_type: ActorType = "person"
    principal: str | None = None


async def start_request(
    context: Context,
    principal: Principal,
    draft: RequestDraft,
    *,
    request_id: str,
    requester: str | None = None,
    fresh: bool = True,
) -> RequestWithTasks:
    """Start a request for a person, and return it once its opening record can be read.

    `requester` is for whom, where that is not the caller. A request that was started before under this id (`fresh` says
    that there can be none) is as it is. Raises InputInvalid, NotPermitted, Busy where nothing has happened for want of
    a turn, and Unavailable where the outcome is unknown.
    """

    def origin(connection: Connection) -> Origin:
        return _of_person(connection, principal, requester)

    async with context.admission.turn(principal.person, request_id):
        end = asyncio.get_running_loop().time() + context.start_deadline.total_seconds()
        if not fresh and (stored := await context.database.read(_found, request_id, context.now())) is not None:
            return stored
        with context.subscriptions.subscribe(request_topic(request_id)) as arrived:
            await _start(context, request_id, draft, origin)
            return await _recorded(context, request_id, arrived, end)


async def start_sub_request(context: Context, child: SubRequest) -> None:
    """Start the request that an action of another one asks for, for that one's requester.

    One that was started before under its id stays as it is. Raises InputInvalid, Conflict where requests have started
    each other too often, Busy, and Unavailable.
    """
    draft = RequestDraft(template=child.template, version=child.version, title=child.title, input=child.input)

    def origin(connection: Connection) -> Origin:
        return _of_parent(connection, child.parent)

    async with context.admission.turn(child.parent, child.request_id):
        await _start(context, child.request_id, draft, origin)


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
        Problem(pointer=place, message=sentence("there is no active person {one!r}; give the id of one", one=one))
        for place, one in places
        if isinstance(one, str) and not active(person_id(one))
    ]
    if problems:
        raise InputInvalid(
            sentence("{pointer}: {message}", pointer=problems[0].pointer, message=problems[0].message),
            problems=tuple(problems),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """Which process it is, and where the request comes from."""

    template_id: str
    digest: str
    origin: Origin
    assignment: Assignment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """All that a request starts with."""

    template_id: str
    origin: Origin
    assignment: Assignment | None
    plan: Plan
    given: dict[str, Any]
    directory: Directory


OriginOf = Callable[[Connection], Origin]


async def _start(context: Context, request_id: str, draft: RequestDraft, origin_of: OriginOf) -> None:
    now = context.now()
    if draft.action is not None:
        check_action(draft.action, "/action", now=now)
    ready = await context.database.read(_at_once, draft, origin_of, context.plans, now, request_id=request_id)
    if isinstance(ready, _Chosen):
        template = await context.database.read(definitions.get, ready.template_id)
        plan = await context.plans.of(context.database, template, now)
        ready = await context.database.read(_filled, draft, ready, plan)
    if ready.assignment is not None:
        one = ready.assignment
        await context.database.write(canaries.assign, one.canary_id, request_id, one.arm, now)
    opening = _opening(request_id, draft, ready, now)
    await engine.start(context, Start(plan=ready.plan, opening=opening, template_id=ready.template_id))


def _opening(request_id: str, draft: RequestDraft, ready: _Ready, now: datetime) -> Opening:
    origin, plan = ready.origin, ready.plan
    title = draft.title
    if title is None and origin.parent_title is not None:
        title = f"{plan.name} ({origin.parent_title})"[:_LONGEST_TITLE]
    return Opening(
        request_id=request_id,
        requester=origin.requester,
        title=title or default_title(plan, ready.given),
        input=ready.given,
        directory=ready.directory,
        directory_at=now,
        started_by=origin.started_by,
        actor_type=origin.actor_type,
        created_from=origin.parent,
        secret=secrets.token_hex(SECRET_BYTES),
        titled=title is not None,
        files=draft.files,
        action=draft.action,
        principal=origin.principal,
    )


def _at_once(
    connection: Connection, draft: RequestDraft, origin_of: OriginOf, plans: Plans, now: datetime, *, request_id: str
) -> _Ready | _Chosen:
    """Read all that a request starts with from one snapshot, or what is chosen where its plan is not at hand."""
    origin = origin_of(connection)
    template, assignment = _template(connection, request_id, draft, origin)
    chosen = _Chosen(template_id=template.id, digest=template.digest, origin=origin, assignment=assignment)
    plan = plans.known(chosen.digest, now)
    return chosen if plan is None else _filled(connection, draft, chosen, plan)


def _filled(connection: Connection, draft: RequestDraft, chosen: _Chosen, plan: Plan) -> _Ready:
    given = accept_input(plan, draft.input)
    directory = people.read_directory(
        connection, plan.names, also=_concerned(chosen.origin), given=given, loads=plan.compares_loads
    )
    require_known(plan.asked(given), lambda person: directory.get(person) is not None)
    return _Ready(
        template_id=chosen.template_id,
        origin=chosen.origin,
        assignment=chosen.assignment,
        plan=plan,
        given=given,
        directory=directory,
    )


def _concerned(origin: Origin) -> list[str]:
    return [one for one in (origin.requester, origin.principal) if one is not None]


def _of_person(connection: Connection, principal: Principal, named: str | None) -> Origin:
    if named is None or named == principal.person:
        return Origin(
            requester=principal.person,
            sees_drafts=principal.designs,
            actor_type=principal.actor_type,
            principal=principal.principal,
        )
    if not principal.admin:
        raise NotPermitted("Only an admin can start a request for somebody else; leave `requester` out.")
    if not people.is_active(connection, named):
        raise InputInvalid.at(
            "/requester", sentence("there is no active person {named!r}; give the id of one", named=named)
        )
    return Origin(
        requester=named,
        started_by=principal.person,
        sees_drafts=principal.designs,
        actor_type=principal.actor_type,
        principal=principal.principal,
    )


def _of_parent(connection: Connection, request_id: str) -> Origin:
    parent = requests.read(connection, request_id).request
    if requests.generations(connection, request_id, most=MOST_GENERATIONS) >= MOST_GENERATIONS:
        raise Conflict(
            sentence(
                "Requests started each other {most_generations} times in a row, which is the limit. "
                "Change the process so that the chain ends.",
                most_generations=MOST_GENERATIONS,
            )
        )
    # Who designed the process named the version: it is theirs to know what became of it.
    return Origin(requester=parent.requester, parent=request_id, parent_title=parent.title, sees_drafts=True)


def _template(
    connection: Connection, request_id: str, draft: RequestDraft, origin: Origin
) -> tuple[VersionHeader, Assignment | None]:
    try:
        if draft.version is None:
            return pick(connection, draft.template, request_id)
        template = definitions.named(connection, draft.template, draft.version)
    except NotFound as error:
        place = "/template" if draft.version is None else "/version"
        raise InputInvalid.at(
            place, sentence("{message}; publish it, or name another", message=error.message)
        ) from error
    if template.status == "draft" and not origin.sees_drafts:  # that there is one is not theirs to know
        message = f"There is no process template {draft.template!r} in version {draft.version!r}"
        raise InputInvalid.at("/version", sentence("{message}; publish it, or name another", message=message))
    if template.status != "published":
        raise InputInvalid.at(
            "/version",
            sentence(
                "version {version} of {name!r} is {status}; name a published one",
                version=template.version,
                name=template.name,
                status=template.status,
            ),
        )
    return template, None


async def _recorded(context: Context, request_id: str, arrived: asyncio.Event, end: float) -> RequestWithTasks:
    """Return the request once it is recorded: as soon as this is announced, or when a look finds it."""
    announced = context.subscriptions.connected
    wait, longest = (_ANNOUNCED_LOOK, _LONGEST_ANNOUNCED) if announced else (_FIRST_LOOK, _LONGEST_WAIT)
    now = asyncio.get_running_loop().time
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(arrived.wait(), max(0.0, min(wait, end - now())))
        arrived.clear()
        if (stored := await context.database.look_up(_found, request_id, context.now())) is not None:
            return stored
        if now() >= end:
            raise Unavailable(sentence("No worker has begun request {request_id} in time.", request_id=request_id))
        wait = min(2 * wait, longest)


def _found(connection: Connection, request_id: str, now: datetime) -> RequestWithTasks | None:
    try:
        return present(connection, requests.read(connection, request_id), now)
    except NotFound:
        return None
