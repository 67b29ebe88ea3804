"""The worker for catalog actions, on a task queue of its own beside the one of approvals."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.actions import settings as action_settings
from activities.actions.builtin import BUILT_IN, DESCRIPTIONS, executors
from activities.actions.internal import Begin, SubRequest
from activities.actions.runner import QUEUE_SUFFIX, ActionRunner
from activities.notifications import settings as notify_settings
from activities.notifications.settings import NotifySettings
from placet.audit.sealed import SECRET_BYTES
from placet.definition.model import parse_definition
from placet.engine import machine
from placet.engine.events import Opening
from placet.engine.input import accept_input
from placet.errors import Conflict, InputInvalid, Problem, Unavailable
from placet.plan.compiler import compile_plan
from storage.database import Database
from storage.queries import actions
from storage.queries.definitions import definitions
from storage.queries.definitions.dependencies import surroundings
from storage.queries.people.people import directory_for
from storage.queries.requests import requests
from workflows import display
from workflows.approval import ApprovalWorkflow, Start

MOST_GENERATIONS = 8
"""How often requests may start each other, one after the other: a circle of processes would go on for ever."""

_AT_ONCE = 50  # attempts that one worker runs side by side
_GRACE = timedelta(seconds=10)
_START_SECONDS = timedelta(seconds=10)


def action_worker(
    client: Client, database: Database, *, task_queue: str, notify: NotifySettings | None = None
) -> Worker:
    """Return the worker for actions of the approvals on `task_queue`; raises InputInvalid for wrong settings.

    `notify` says where mails go, where that is not what the environment says.
    """
    mails = notify or notify_settings.load()
    found = executors(action_settings.load(), mails, beginner(client, database, task_queue))
    return Worker(
        client,
        task_queue=task_queue + QUEUE_SUFFIX,
        activities=[ActionRunner(database, found).run],
        max_concurrent_activities=_AT_ONCE,
        graceful_shutdown_timeout=_GRACE,
    )


async def seed_catalog(database: Database) -> None:
    """Put the actions that come with Placet into the catalog where they are missing."""
    async with database.begin() as session:
        await actions.seed(session, BUILT_IN, DESCRIPTIONS, datetime.now(UTC))


def beginner(client: Client, database: Database, task_queue: str) -> Begin:
    """Return what starts the requests that actions ask for."""

    async def begin(new: SubRequest) -> None:
        now = datetime.now(UTC)
        async with database.session() as session:
            parent = (await requests.get(session, new.parent)).request
            if await requests.generations(session, new.parent, most=MOST_GENERATIONS) >= MOST_GENERATIONS:
                raise Conflict(
                    f"Requests have started each other {MOST_GENERATIONS} times by now, so this one starts no other: "
                    "let the process that does so come to an end."
                )
            template = await definitions.find(session, new.template, new.version)
            if template.status != "published":
                message = f"version {template.version} of {template.name!r} is {template.status}; name a published one"
                raise InputInvalid(message, problems=(Problem(pointer="/version", message=message),))
            definition = parse_definition(template.blueprint)
            known, children = await surroundings(session, definition, now)
            plan = await asyncio.to_thread(compile_plan, definition, start=now, actions=known, children=children)
            given = accept_input(plan, new.input)
            directory = await directory_for(session, plan.names, also=[parent.requester], given=given)
        opening = Opening(
            request_id=new.request_id,
            requester=parent.requester,
            title=new.title or f"{plan.name} ({parent.title})"[:200],
            input=given,
            directory=directory,
            directory_at=now,
            created_from=new.parent,
            secret=secrets.token_hex(SECRET_BYTES),
            titled=True,
        )
        state = machine.begin(plan, opening, machine.opening_state(plan, opening, now), now).state
        try:
            await client.start_workflow(
                ApprovalWorkflow.run,
                Start(plan=plan, opening=opening, template_id=template.id),
                id=opening.request_id,
                task_queue=task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=display.summary(plan, opening.title),
                static_details=f"Request `{opening.request_id}`, started by request `{new.parent}`",
                search_attributes=display.opening_attributes(plan, state),
                rpc_timeout=_START_SECONDS,
            )
        except WorkflowAlreadyStartedError:
            return
        except RPCError as error:
            raise Unavailable(f"The engine answered {error.status.name}: {error.message}") from error

    return begin
