"""Plans of stored blueprints, compiled once a day each: holidays and time zone rules are frozen into them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import rfc8785

from placet.blueprint import Blueprint, parse_blueprint
from placet.errors import BlueprintInvalid, Problem
from placet.plan import Plan, compile_plan, digest
from storage.tables import ProcessTemplate

_MOST = 256


class Plans:
    """A cache by content: a digest always means the same blueprint."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str], Plan] = {}

    async def of(self, template: ProcessTemplate, now: datetime) -> Plan:
        """Return the plan for requests that begin now; raises BlueprintInvalid."""
        key = (template.digest, now.astimezone(UTC).date().isoformat())
        plan = self._plans.pop(key, None)
        if plan is None:
            plan = await asyncio.to_thread(_compile, template.blueprint, now)
        self._plans[key] = plan  # at the end: the one that was used last
        while len(self._plans) > _MOST:
            del self._plans[next(iter(self._plans))]
        return plan


async def read_blueprint(raw: object, now: datetime) -> tuple[Blueprint, str]:
    """Return a blueprint that compiles, with its digest; raises BlueprintInvalid with every fault."""

    def work() -> tuple[Blueprint, str]:
        blueprint = parse_blueprint(raw)
        try:
            mark = digest(blueprint)
        except rfc8785.CanonicalizationError as error:
            message = f"a number is too large to be written exactly ({error}); write it as text"
            raise BlueprintInvalid(message, problems=(Problem(pointer="", message=message),)) from error
        compile_plan(blueprint, start=now)
        return blueprint, mark

    return await asyncio.to_thread(work)


def _compile(raw: object, now: datetime) -> Plan:
    return compile_plan(parse_blueprint(raw), start=now)
