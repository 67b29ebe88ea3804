"""Plans of stored blueprints, compiled once a day each: holidays and time zone rules are frozen into them."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

from placet.blueprint import Blueprint, parse_blueprint
from placet.check import Report, check
from placet.check.findings import Finding
from placet.directory import Directory
from placet.errors import BlueprintInvalid, Problem
from placet.plan import Plan, compile_plan, digest
from placet.versions import Change, check_bump, classify
from storage.tables import ProcessTemplate

_MOST = 256
# A proof takes a core to itself, and the solver shares its memory between threads.
_ONE_PROOF = threading.Lock()


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
        compile_plan(blueprint, start=now)
        return blueprint, digest(blueprint)

    return await asyncio.to_thread(work)


async def checked(raw: object, directory: Directory | None = None) -> Report:
    """Prove a blueprint sound, or find what is wrong with it."""

    def work() -> Report:
        with _ONE_PROOF:
            return check(raw, directory=directory)

    return await asyncio.to_thread(work)


async def prove(raw: object) -> None:
    """Raise BlueprintInvalid with every error that keeps a blueprint from being used."""
    found = [finding for finding in (await checked(raw)).findings if finding.severity == "error"]
    if found:
        problems = tuple(Problem(pointer=finding.pointer, message=finding.message) for finding in found)
        raise BlueprintInvalid(_summary(found), problems=problems)


async def compared(old: object, new: object) -> Change:
    """Say how two stored blueprints differ."""
    return await asyncio.to_thread(lambda: classify(parse_blueprint(old), parse_blueprint(new)))


async def rising(old: object, new: object) -> None:
    """Raise BlueprintInvalid where a version's number does not rise by as much as its content changed."""
    await asyncio.to_thread(lambda: check_bump(parse_blueprint(old), parse_blueprint(new)))


def _summary(found: list[Finding]) -> str:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0].pointer}: {found[0].message}{more}"


def _compile(raw: object, now: datetime) -> Plan:
    return compile_plan(parse_blueprint(raw), start=now)
