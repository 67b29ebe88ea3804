"""Administrative acts on record: each use case that changes something outside of requests goes through here.

The act is written in the transaction of what it changes, so that neither is ever there without the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from placet.audit.admin_acts import Act, ActedBy, Outcome
from service.principal import Principal
from storage.database import Database
from storage.recording import admin_acts

if TYPE_CHECKING:  # commands that need no engine do not load its client
    from service.context import Context

Given = ParamSpec("Given")
Result = TypeVar("Result")


async def write_with_act(
    database: Database,
    by: ActedBy,
    now: datetime,
    act: Act | Callable[[Result], Act | None],
    work: Callable[Concatenate[Connection, Given], Result],
    /,
    *args: Given.args,
    **kwargs: Given.kwargs,
) -> Result:
    """Run `work(connection, …)` in one transaction together with the record of the act; return what `work` returned.

    `act` is the act, or makes it of that result; None where nothing has changed. Where `work` raises, neither it nor
    the act has happened.
    """

    def whole(connection: Connection) -> Result:
        result = work(connection, *args, **kwargs)
        happened = act(result) if callable(act) else act
        if happened is not None:
            admin_acts.record(connection, by, happened, now)
        return result

    return await database.write(whole)


class TwoActs:
    """What is no single transaction, on record before it begins and after its end, so that no crash hides it."""

    def __init__(self, context: Context, principal: Principal, kind: str, target: str) -> None:
        self._context = context
        self._by = principal.acted_by
        self._kind = kind
        self._target = target
        self._begun = 0

    async def begin(self, detail: Mapping[str, Any]) -> None:
        """Put on record that it begins."""
        self._begun = await self._record(detail, "begun")

    async def end(self, counted: Mapping[str, int], *, done: Collection[str]) -> None:
        """Put on record what came of it: how many items had which result; `done` are the results of what was done."""
        well = sum(count for result, count in counted.items() if result in done)
        outcome: Outcome = "done" if well == sum(counted.values()) else "partly" if well else "nothing"
        await self._record({"begun": self._begun, **dict(sorted(counted.items()))}, outcome)

    async def _record(self, detail: Mapping[str, Any], outcome: Outcome) -> int:
        act = Act(kind=self._kind, target=self._target, detail=detail, outcome=outcome)
        return await self._context.database.write(admin_acts.record, self._by, act, self._context.now())
