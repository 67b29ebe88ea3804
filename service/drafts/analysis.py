"""What is known of a draft before it is published: findings with witnesses, the difference, and how it would run.

All that is heavy is done in the pool: whoever stops waiting (a task that is cancelled) ends it there.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection

from placet.definition.diff import Change, baseline, least_version
from placet.definition.fields import SEMVER
from placet.errors import NotFound, Problem
from placet.proofs.findings import Finding
from placet.sentences import sentence
from service.context import Context
from service.definitions import check_definition, unstored_version
from service.drafts.draft import Draft
from service.drafts.merge import FieldChange
from service.drafts.work import Comparison, compare
from service.migration import preflight as migration
from service.migration.preflight import RequestVerdict, Selection
from service.principal import Principal
from service.simulations import simulations
from service.simulations.simulations import SimulationWithRows
from storage.queries.definitions import definitions
from storage.tables.approvals import DefinitionVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What is known of one revision of a draft.

    `before` is the version that it follows, with `before_id`; None where nothing was published. `fields` are the
    places that differ from it. `change` says so in words, where both can be read, and `least_version` is the lowest
    number that may follow then. `obstacles` are what keeps it from being published, each with its place in the
    content; `needs_two` says that somebody else has to publish it.
    """

    revision: int
    findings: tuple[Finding, ...]
    before: str | None
    before_id: str | None
    fields: tuple[FieldChange, ...]
    change: Change | None
    least_version: str | None
    obstacles: tuple[Problem, ...]
    needs_two: bool

    @property
    def ok(self) -> bool:
        """Whether the proofs found no error."""
        return all(finding.severity != "error" for finding in self.findings)

    @property
    def publishable(self) -> bool:
        """Whether nothing keeps it from being published."""
        return not self.obstacles


async def analyse(context: Context, principal: Principal, draft: Draft) -> Analysis:
    """Prove a draft's content, compare it with the version before it, and say whether it could be published.

    Nothing is stored; `draft` may hold what is not saved yet. Raises Busy and TooMuchWork.
    """
    by = principal.person
    report = await check_definition(context, draft.content, by=by)
    before, taken = await context.database.read(_neighbours, draft)
    compared = Comparison(fields=(), change=None, too_low=None)
    if before is not None:
        compared = await context.pool.run(partial(compare, before.blueprint, draft.content), by=by)
    obstacles = [Problem(pointer=f.pointer, message=f.message) for f in report.findings if f.severity == "error"]
    least = _least(before, compared.change)
    if draft.status in {"published", "discarded"}:
        obstacles.append(
            Problem(pointer="", message=sentence("this draft is {status}; make a new one", status=draft.status))
        )
    elif taken:
        advice = f"write {least} or higher" if least is not None else "give it a higher number once it changes"
        message = sentence(
            "{process!r} has a version {version} already; {advice}",
            process=draft.process,
            version=draft.version,
            advice=advice,
        )
        obstacles.append(Problem(pointer="/version", message=message))
    elif compared.too_low is not None:
        obstacles.append(compared.too_low)
    return Analysis(
        revision=draft.revision,
        findings=report.findings,
        before=None if before is None else before.version,
        before_id=None if before is None else before.id,
        fields=compared.fields,
        change=compared.change,
        least_version=least,
        obstacles=tuple(obstacles),
        needs_two=context.publish_needs_two,
    )


async def explore(
    context: Context,
    principal: Principal,
    draft: Draft,
    options: Mapping[str, Any] | None = None,
    *,
    simulation_id: str | None = None,
    later: bool = False,
) -> SimulationWithRows:
    """Explore a draft's content, sound or not; `options` are more of a simulation's spec, such as `input`.

    `later` waits for nothing, and the simulation can be followed.
    """
    return await _simulate(context, principal, draft, "explore", options, simulation_id, later=later)


async def rehearse(
    context: Context,
    principal: Principal,
    draft: Draft,
    options: Mapping[str, Any] | None = None,
    *,
    simulation_id: str | None = None,
    later: bool = False,
) -> SimulationWithRows:
    """Rehearse a draft's content on the engine; `later` waits for nothing, and the simulation can be followed."""
    return await _simulate(context, principal, draft, "rehearse", options, simulation_id, later=later)


async def preflight(
    context: Context, principal: Principal, draft: Draft, selection: Selection
) -> tuple[list[RequestVerdict], int]:
    """Say what moving running requests to a draft would mean to each, before it is published as well; for admins.

    Return each request's verdict, and how many requests were left out. They are moved by service.migration.move, to
    the version that was published (`service.drafts.drafts.version_of`). Raises BlueprintInvalid where the content
    cannot be used, NotPermitted, InputInvalid and Unavailable.
    """
    principal.need(frozenset({"admin"}))
    target = await unstored_version(context, principal, draft.content)
    return await migration.preflight(context, target, selection, principal.actor)


async def _simulate(  # noqa: PLR0917 - of its two callers above alone
    context: Context,
    principal: Principal,
    draft: Draft,
    mode: Literal["explore", "rehearse"],
    options: Mapping[str, Any] | None,
    simulation_id: str | None,
    *,
    later: bool,
) -> SimulationWithRows:
    spec = {**(options or {}), "mode": mode, "blueprint": draft.content}
    return await simulations.create(
        context,
        principal,
        spec,
        simulation_id=simulation_id or uuid.uuid4().hex,
        fresh=simulation_id is None,
        later=later,
    )


def _least(before: DefinitionVersion | None, change: Change | None) -> str | None:
    if before is None or change is None or change.level == "none":
        return None
    return least_version(before.version, change.level)


def _neighbours(connection: Connection, draft: Draft) -> tuple[DefinitionVersion | None, bool]:
    """Return the release that a draft's version follows, and whether its number is taken by another content."""
    released = definitions.released(connection, draft.process)
    version = draft.version
    if version is None or not SEMVER.fullmatch(version):
        before, taken = max(released, key=definitions.precedence, default=None), False
    else:
        taken = False
        with suppress(NotFound):
            there = definitions.named(connection, draft.process, version)
            taken = there.id != draft.template_id
        before = version if taken and version in released else baseline(version, released)
    return None if before is None else definitions.get(connection, released[before]), taken
