"""What a request waits for, what happens next, and what keeps it: for whoever may see the request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from placet.errors import NotFound
from service.context import Context
from service.principal import Principal
from service.visibility import seen_request, sees_failures
from service.waiting.findings import Finding, findings_of
from service.waiting.situation import situation_of
from service.waiting.waits import NextAct, WaitsFor, next_acts, waits_of
from storage.queries.requests.requests import RequestWithTasks

# How long the engine may take to say how a request stands; the rest is said without it.
PATIENCE = timedelta(seconds=8)
# Sub-processes are at most four deep; a parent may run several beside each other.
_DEEPEST, _MOST_CHILDREN = 4, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a request waits for; nothing of it where the request has ended.

    `live` says whether the engine has confirmed it; else it is what was stored last. `with_private` says whether the
    reader may see errors. `children` are the running sub-processes that the reader may see.
    """

    stored: RequestWithTasks
    at: datetime
    live: bool
    with_private: bool
    waits_for: tuple[WaitsFor, ...] = ()
    next: tuple[NextAct, ...] = ()
    findings: tuple[Finding, ...] = ()
    children: tuple[Waiting, ...] = ()

    @property
    def stuck(self) -> bool:
        """Whether nothing goes on until somebody does what a finding says."""
        return any(one.level == "stuck" for one in self.findings) or any(child.stuck for child in self.children)


async def waiting_for(
    context: Context, principal: Principal, request_id: str, *, patience: timedelta = PATIENCE
) -> Waiting:
    """Return what a request waits for; raises NotFound where the caller may not see it."""
    return await _waiting(context, principal, request_id, patience, _DEEPEST)


async def _waiting(context: Context, principal: Principal, request_id: str, patience: timedelta, depth: int) -> Waiting:
    now = context.now()
    stored = await context.database.read(seen_request, principal, request_id, now)
    with_private = sees_failures(principal, stored.request.owner)
    if stored.request.status != "pending":
        return Waiting(stored=stored, at=now, live=True, with_private=with_private)
    situation = await situation_of(context, stored, patience=patience)
    if situation.silence == "request_gone":  # or it has just ended
        stored = await context.database.read(seen_request, principal, request_id, now)
        if stored.request.status != "pending":
            return Waiting(stored=stored, at=now, live=True, with_private=with_private)
    children = []
    running = situation.state.children if situation.state is not None and depth else ()
    for call in running[:_MOST_CHILDREN]:
        try:
            children.append(await _waiting(context, principal, call.request_id, patience, depth - 1))
        except NotFound:
            continue  # not theirs to see, or not stored yet
    return Waiting(
        stored=stored,
        at=now,
        live=situation.state is not None,
        with_private=with_private,
        waits_for=tuple(waits_of(situation)),
        next=tuple(next_acts(situation)),
        findings=tuple(findings_of(situation)),
        children=tuple(children),
    )
