"""Plans of stored blueprints, compiled once a day each: holidays and time zone rules are frozen into them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from placet.definition.model import parse_definition
from placet.plan.compiler import compile_plan
from placet.plan.plan import Plan
from storage.database import Database
from storage.queries.definitions.dependencies import dependencies_of, has_dependencies
from storage.tables.approvals import DefinitionVersion

_MOST = 256


class Plans:
    """A cache by content: a digest always means the same blueprint."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str], Plan] = {}

    def known(self, template_digest: str, now: datetime) -> Plan | None:
        """Return the plan for requests that begin now if it is at hand: `of` compiles and keeps it."""
        return self._plans.get((template_digest, now.astimezone(UTC).date().isoformat()))

    async def of(self, database: Database, template: DefinitionVersion, now: datetime) -> Plan:
        """Return the plan for requests that begin now; raises BlueprintInvalid.

        What refers to actions or other processes is compiled each time: those may have changed.
        """
        if has_dependencies(template.blueprint):
            return await _around(database, template.blueprint, now)
        key = (template.digest, now.astimezone(UTC).date().isoformat())
        plan = self._plans.pop(key, None)
        if plan is None:
            plan = await asyncio.to_thread(_compile, template.blueprint, now)
        self._plans[key] = plan  # at the end: the one that was used last
        while len(self._plans) > _MOST:
            del self._plans[next(iter(self._plans))]
        return plan


async def _around(database: Database, raw: object, now: datetime) -> Plan:
    """Return the plan of a stored blueprint among the actions and processes that there are now."""
    blueprint = await asyncio.to_thread(parse_definition, raw)
    actions, children = await database.read(dependencies_of, blueprint, now)
    return await asyncio.to_thread(compile_plan, blueprint, start=now, actions=actions, children=children)


def _compile(raw: object, now: datetime) -> Plan:
    return compile_plan(parse_definition(raw), start=now)
