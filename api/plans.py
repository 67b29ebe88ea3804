"""Plans of stored blueprints, compiled once a day each: holidays and time zone rules are frozen into them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from placet.actions import ActionSpec
from placet.blueprint import Blueprint, parse_blueprint
from placet.check import Report, check
from placet.check.findings import Finding
from placet.directory import Directory
from placet.errors import BlueprintInvalid, PlacetError, Problem
from placet.plan import Child, Plan, compile_plan, digest
from placet.versions import Change, check_bump, classify
from storage.surroundings import refers, surroundings
from storage.tables import ProcessTemplate

_MOST = 256
# A proof takes a core to itself, and the solver shares its memory between threads.
_ONE_PROOF = threading.Lock()


class Plans:
    """A cache by content: a digest always means the same blueprint."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str], Plan] = {}

    def known(self, template_digest: str, now: datetime) -> Plan | None:
        """Return the plan for requests that begin now if it is at hand: `of` compiles and keeps it."""
        return self._plans.get((template_digest, now.astimezone(UTC).date().isoformat()))

    async def of(self, session: AsyncSession, template: ProcessTemplate, now: datetime) -> Plan:
        """Return the plan for requests that begin now; raises BlueprintInvalid.

        What refers to actions or other processes is compiled each time: those may have changed.
        """
        if refers(template.blueprint):
            return (await read_blueprint(session, template.blueprint, now))[2]
        key = (template.digest, now.astimezone(UTC).date().isoformat())
        plan = self._plans.pop(key, None)
        if plan is None:
            plan = await asyncio.to_thread(_compile, template.blueprint, now)
        self._plans[key] = plan  # at the end: the one that was used last
        while len(self._plans) > _MOST:
            del self._plans[next(iter(self._plans))]
        return plan


async def read_blueprint(session: AsyncSession, raw: object, now: datetime) -> tuple[Blueprint, str, Plan]:
    """Return a blueprint that compiles, with its digest and plan; raises BlueprintInvalid with every fault."""
    blueprint = await asyncio.to_thread(parse_blueprint, raw)
    actions, children = await surroundings(session, blueprint, now)

    def work() -> tuple[Blueprint, str, Plan]:
        plan = compile_plan(blueprint, start=now, actions=actions, children=children)
        return blueprint, digest(blueprint), plan

    return await asyncio.to_thread(work)


Around = tuple[Mapping[str, ActionSpec], Mapping[str, Child]]


async def around(session: AsyncSession, raw: object) -> Around:
    """Return the actions and processes that a blueprint refers to; nothing for what cannot be read as one."""
    try:
        blueprint = await asyncio.to_thread(parse_blueprint, raw)
    except (PlacetError, RecursionError):  # why is the check's to say
        return {}, {}
    return await surroundings(session, blueprint, datetime.now(UTC))


async def checked(raw: object, about: Around, directory: Directory | None = None) -> Report:
    """Prove a blueprint sound, or find what is wrong with it."""

    def work() -> Report:
        with _ONE_PROOF:
            return check(raw, directory=directory, actions=about[0], children=about[1])

    return await asyncio.to_thread(work)


async def prove(raw: object, about: Around, directory: Directory) -> dict[str, Any]:
    """Return the certificate of a blueprint; raises BlueprintInvalid with every error that keeps it from being used."""
    report = await checked(raw, about, directory)
    if report.certificate is None:
        found = [finding for finding in report.findings if finding.severity == "error"]
        problems = tuple(Problem(pointer=finding.pointer, message=finding.message) for finding in found)
        raise BlueprintInvalid(_summary(found), problems=problems)
    return report.certificate.described()


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
