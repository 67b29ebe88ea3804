"""Callers: they offer events through the service's own engine client, and repeat under the same key what is cut off."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from zlib import crc32

from sqlalchemy import Connection, select
from sqlmodel import col
from temporalio.service import RPCError, RPCStatusCode

from activities.decision_tokens import DecisionTokens
from placet.engine.events import (
    Actor,
    AddApprover,
    AnswerQuestion,
    AskQuestion,
    Claim,
    ClaimAction,
    Comment,
    Decide,
    Delegate,
    Extend,
    Reassign,
    Resubmit,
    Undo,
    Withdraw,
)
from placet.errors import Gone, PlacetError, Unavailable
from service.engine import client as engine_client
from storage.recording import outbox
from storage.recording.outbox import Confirmation
from storage.tables.approvals import ApprovalRequest
from tests.clocks import machine_time
from tests.faults import scenario
from tests.faults.processes.database import ProcessDatabase
from tests.faults.processes.worker import SECRET
from workflows.approval import Answer

if TYPE_CHECKING:
    from tests.faults.world import World

DEADLINE = timedelta(seconds=30)
ATTEMPTS = 4


@dataclass(eq=False)
class Call:
    """What somebody asked for under one key, and what they were told."""

    request_id: str
    key: str
    event: Any
    begun: int  # the number of entries in history when it was first sent
    answers: list[tuple[int, Answer]] = field(default_factory=list)  # with the number of entries when it came
    refusals: list[tuple[int, PlacetError]] = field(default_factory=list)
    claims: list[bool] = field(default_factory=list)  # of an action: whether the caller was told that it is theirs
    given_up: int = 0


class _Handle:
    """A workflow as the client knows it."""

    def __init__(self, world: World, workflow_id: str) -> None:
        self._world = world
        self._id = workflow_id

    async def execute_update(self, name: str, event: Any, *, id: str, **_: Any) -> Any:  # noqa: A002 - the SDK's name
        """Offer an update; raises RPCError where the connection is cut before or after."""
        if self._world.fault("the request to the engine is lost"):
            raise RPCError("cut", RPCStatusCode.UNAVAILABLE, b"")
        result = await self._world.engine.update(self._id, name, event, id)
        if self._world.fault("the answer of the engine is lost"):
            raise RPCError("cut", RPCStatusCode.UNAVAILABLE, b"")
        return result


class Callers:
    """The API process and those who call it."""

    def __init__(self, world: World) -> None:
        self.name = "api"
        self.alive = True
        self.calls: list[Call] = []
        self._world = world
        self._database: Any = ProcessDatabase(world.store, lambda what, writes: world.pause(self, what, writes))
        client = SimpleNamespace(get_workflow_handle=lambda id_: _Handle(world, id_))
        self._context: Any = SimpleNamespace(client=client, command_deadline=DEADLINE)
        self.underway: set[asyncio.Task[None]] = set()

    def begin(self, request_id: str, event: Any) -> Call:
        """Ask for something, and repeat it until there is an answer, a few times at most."""
        call = Call(request_id, event.key, event, self._world.checker.length(request_id))
        self.calls.append(call)
        self.repeat(call)
        return call

    def repeat(self, call: Call) -> None:
        """Send the same call again, beside whatever is underway."""
        task = self._world.loop.create_task(self._call(call))
        self.underway.add(task)
        task.add_done_callback(self.underway.discard)

    async def _call(self, call: Call) -> None:
        world = self._world
        for _ in range(ATTEMPTS):
            try:
                answer = await engine_client.command(self._context, call.request_id, call.event, key=call.key)
            except Unavailable:
                await asyncio.sleep(1)
                continue
            except Gone as error:
                call.refusals.append((world.checker.length(call.request_id), error))
                if isinstance(call.event, ClaimAction) and not await self._told_of_claim(call):
                    continue
                return
            except PlacetError as error:
                call.refusals.append((world.checker.length(call.request_id), error))
                world.checker.refused(call, error)
                return
            call.answers.append((world.checker.length(call.request_id), answer))
            world.checker.answered(call, answer)
            if isinstance(call.event, ClaimAction) and not await self._told_of_claim(call):
                continue
            confirmed = Confirmation(request_id=call.request_id, seq=answer.seq, head=answer.head)
            try:
                await self._database.write(outbox.confirm_all, [confirmed])
            except Unavailable:
                world.note("the API's confirmation is lost")
            return
        call.given_up += 1

    async def _told_of_claim(self, call: Call) -> bool:
        """Tell a caller whether the claim is theirs, as service.claims does; False where the store does not answer."""
        try:
            key = await self._database.read(_claim_key, call.request_id)
        except Unavailable:
            await asyncio.sleep(1)
            return False
        call.claims.append(key == call.key)
        self._world.checker.told_of_claim(call)
        return True


def _claim_key(connection: Connection, request_id: str) -> str | None:
    where = col(ApprovalRequest.id) == request_id
    return connection.execute(select(col(ApprovalRequest.claim_key)).where(where)).scalar_one_or_none()


def event_for(world: World, request_id: str, key: str) -> Any:
    """Draw something that somebody wants."""
    choices = world.choices
    if request_id in world.actions and choices.happens(0.3):
        return claim_for(world, request_id, key)
    tasks = world.store.raw("SELECT id, assignee, status FROM approval_task WHERE request_id = ?", request_id)
    query = "SELECT id, decided_by FROM approval_task WHERE request_id = ? AND undo_until IS NOT NULL ORDER BY id"
    undoable = world.store.raw(query, request_id)
    if undoable and choices.happens(0.5):
        undone, decider = choices.one(undoable)
        return Undo(by=Actor(person=decider), task_id=undone, key=key)
    opened = [task for task in tasks if task[2] == "open"] or tasks
    task_id, assignee = choices.one(opened)[:2] if opened else (f"{request_id}.1", "mo")
    by = Actor(person=assignee or "mo")
    if choices.happens(0.2):
        by = Actor(person=choices.one(scenario.APPROVERS))
    kind = choices.number(12)
    if kind < 5:
        decision = choices.one(("approve", "approve", "reject", "request_changes"))
        return Decide(by=by, task_id=task_id, decision=decision, comment=key, key=key)
    other = choices.one(scenario.APPROVERS)
    operator = Actor(person=scenario.OPERATOR, admin=True)
    requester = Actor(person=scenario.REQUESTER)
    return (
        _words(by, requester, task_id, key),
        Claim(by=by, task_id=task_id, key=key),
        Reassign(by=operator, task_id=task_id, to=f"user:{other}", reason=key, key=key),
        _handed_on(by, task_id, other, key),
        Extend(by=operator, task_id=task_id, seconds=3600.0, reason=key, key=key),
        Resubmit(by=requester, comment=key, title="Another title", key=key),
        Withdraw(by=requester, how="withdrawn", reason=key, key=key),
    )[kind - 5]


def claim_for(world: World, request_id: str, key: str) -> ClaimAction:
    """Draw the claim of a request's action: mostly by its requester, and of the action that people see."""
    by = scenario.REQUESTER if not world.choices.happens(0.1) else world.choices.one(scenario.APPROVERS)
    action = world.actions[request_id]
    if world.choices.happens(0.2):
        action = replace(action, parameters=action.parameters | {"amount": 8200})
    return ClaimAction(by=Actor(person=by), digest=action.digest, key=key)


def _handed_on(by: Actor, task_id: str, other: str, key: str) -> Any:
    """Return how somebody brings another person in, by the key likewise."""
    kind = AddApprover if crc32(key.encode()) % 4 == 0 else Delegate
    return kind(by=by, task_id=task_id, to=f"user:{other}", reason=key, key=key)


def _words(by: Actor, requester: Actor, task_id: str, key: str) -> Any:
    """Return what people say to each other in a request, by the key, so that seeds keep their schedules."""
    kind = crc32(key.encode()) % 8
    if kind == 0:
        return AnswerQuestion(by=requester, n=1, text=key, key=key)
    if kind == 1:
        return AskQuestion(by=by, task_id=task_id, text=key, key=key)
    return Comment(by=by, text=key, key=key)


def signed_decision(world: World, request_id: str) -> dict[str, Any]:
    """Return the value of a `decide` signal, with a token that is valid or was."""
    tasks = world.store.raw(
        "SELECT id, round, hand_overs, revision, assignee FROM approval_task WHERE request_id = ?", request_id
    )
    task_id, round_, hand_overs, revision, assignee = (
        world.choices.one(tasks) if tasks else (f"{request_id}.1", 1, 0, 1, "mo")
    )
    token = DecisionTokens(SECRET, machine_time).issue(
        assignee or "mo", task_id, round_, hand_overs=hand_overs or 0, revision=revision
    )
    return {"token": token, "task_id": task_id, "decision": world.choices.one(("approve", "reject"))}
