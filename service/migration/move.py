"""Move running requests to another version: each by itself, at a moment when nothing else happens to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace

from placet.engine.events import Migrate
from placet.errors import Conflict, Ended, InputInvalid, Overtaken, Refused, Unavailable
from placet.sentences import sentence
from service.administration.acts import TwoActs
from service.commands import act_on_request
from service.context import Context
from service.migration.preflight import AT_ONCE, Judge, Judged, RequestVerdict, Selection, meant
from service.principal import Principal
from storage.tables.approvals import DefinitionVersion

_MOVED_AT_ONCE = 8  # the engine's workflow tasks are what takes long, and others wait for them too
# How often a request is looked at that changes while it is looked at, and how long to wait before, in seconds.
_LOOKS, _PAUSE = 5, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOrder:
    """Which requests shall move, why, and whether also those whose outcome would have been another.

    `key` makes a repeat of the same move the same move.
    """

    selection: Selection
    allow_outcome_change: bool = False
    reason: str | None = None
    key: str


async def move(
    context: Context, principal: Principal, target: DefinitionVersion, order: MoveOrder
) -> tuple[list[RequestVerdict], int]:
    """Move every request that maps, and where the order allows it those whose outcome would have been another.

    Return each request's fate with its result, and how many requests were left out. Raises InputInvalid, and Conflict
    where the version is not published.
    """
    if target.status != "published":
        raise Conflict(
            sentence(
                "{name!r} {version} is {status}; requests move to published versions only",
                name=target.name,
                version=target.version,
                status=target.status,
            )
        )
    about = await meant(context, target, order.selection, dry_run=False)
    mover = _Mover(context, principal, target, order, await Judge.of(context, target))
    fates = about.plain
    if not about.ids:
        return fates, about.left_out
    acts = TwoActs(context, principal, "requests_moved", f"version:{target.id}")
    await acts.begin({"process": target.name, "version": target.version, "requests": len(about.ids)})
    for first in range(0, len(about.ids), AT_ONCE):
        fates += await mover.move(about.ids[first : first + AT_ONCE])
    await acts.end(Counter(fate.result for fate in fates if fate.result), done={"moved"})
    return fates, about.left_out


class _Mover:
    def __init__(
        self, context: Context, principal: Principal, target: DefinitionVersion, order: MoveOrder, judge: Judge
    ) -> None:
        self._context = context
        self._principal = principal
        self._target = target
        self._order = order
        self._judge = judge
        self._room = asyncio.Semaphore(_MOVED_AT_ONCE)

    async def move(self, ids: list[str]) -> list[RequestVerdict]:
        return await asyncio.gather(*(self._one(judged) for judged in await self._judge.look(ids)))

    async def _one(self, judged: Judged) -> RequestVerdict:
        async with self._room:
            for look in range(1, _LOOKS + 1):
                fate = judged.fate
                if not self._goes(fate):
                    return replace(fate, result="stays")
                try:
                    await self._offer(judged)
                except Overtaken:
                    # What it was judged by is not how it is any more; it may go another way now.
                    await asyncio.sleep(look * _PAUSE)
                    (judged,) = await self._judge.look([fate.request_id])
                    continue
                except Unavailable:
                    why = "the engine or every worker is away; repeat the call"
                    return replace(fate, reasons=(*fate.reasons, why), result="unknown")
                except (Ended, InputInvalid, Refused) as error:
                    reasons = tuple(problem.message for problem in error.problems) or (error.message,)
                    return replace(fate, verdict="does_not_map", reasons=reasons, result="stays")
                return replace(fate, result="moved")
        why = "the request changed during each attempt; repeat the call later"
        return replace(judged.fate, reasons=(*judged.fate.reasons, why), result="stays")

    def _goes(self, fate: RequestVerdict) -> bool:
        return fate.verdict == "maps" or (fate.verdict == "changes_outcome" and self._order.allow_outcome_change)

    async def _offer(self, judged: Judged) -> None:
        event = Migrate(
            by=self._principal.actor,
            plan=judged.plan,
            template_id=self._target.id,
            seq=judged.seq,
            reason=self._order.reason,
            key=self._order.key,
        )
        # Another look is another update: the engine remembers what it refused.
        key = f"{self._order.key}:{judged.seq}"
        await act_on_request(self._context, self._principal, judged.fate.request_id, event, key=key)
