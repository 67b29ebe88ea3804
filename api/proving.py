"""Blueprints that people send: read, proven sound and compared in the pool, so that no call waits for another's."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from api.context import Context
from placet.definition.diff import Change
from placet.definition.model import ProcessDefinition, parse_definition
from placet.errors import BlueprintInvalid, Problem
from placet.proofs import Report, check
from placet.proofs.findings import Finding
from simulation.run import work
from storage.queries.definitions.dependencies import surroundings
from storage.queries.people import people


async def drafted(
    context: Context, raw: object, now: datetime, *, by: str
) -> tuple[ProcessDefinition, dict[str, Any], str]:
    """Return a blueprint that compiles, as it is stored and with its digest; raises BlueprintInvalid with every fault.

    What somebody wrote is read in the pool, and no session is held meanwhile.
    """
    blueprint = await context.pool.run(parse_definition, raw, by=by)
    async with context.database.session() as session:
        actions, children = await surroundings(session, blueprint, now)
    document, known = await context.pool.run(work.drafted, blueprint, now, actions, children, by=by)
    return blueprint, document, known


async def checked(context: Context, raw: object, *, by: str) -> Report:
    """Prove a blueprint sound among the stored people, or find what is wrong with it."""
    blueprint = await context.pool.run(work.read, raw, by=by)
    async with context.database.session() as session:
        everyone = await people.everyone(session)
        # What cannot be read refers to nothing; why it cannot is the check's to say.
        around = await surroundings(session, blueprint, datetime.now(UTC)) if blueprint is not None else ({}, {})
    proof = partial(check, raw, directory=everyone, actions=around[0], children=around[1])
    return await context.pool.run(proof, by=by)


async def prove(context: Context, raw: object, *, by: str) -> dict[str, Any]:
    """Return the certificate of a blueprint; raises BlueprintInvalid with every error that keeps it from being used."""
    report = await checked(context, raw, by=by)
    if report.certificate is None:
        found = [finding for finding in report.findings if finding.severity == "error"]
        problems = tuple(Problem(pointer=finding.pointer, message=finding.message) for finding in found)
        raise BlueprintInvalid(_summary(found), problems=problems)
    return report.certificate.described()


async def compared(context: Context, old: object, new: object, *, by: str) -> Change:
    """Say how two stored blueprints differ."""
    return await context.pool.run(work.compared, old, new, by=by)


async def rising(context: Context, old: object, new: object, *, by: str) -> None:
    """Raise BlueprintInvalid where a version's number does not rise by as much as its content changed."""
    await context.pool.run(work.risen, old, new, by=by)


def _summary(found: list[Finding]) -> str:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0].pointer}: {found[0].message}{more}"
