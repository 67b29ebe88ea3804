"""Process definitions: drafts that are proved sound and published, versions that are compared, and files that are read.

What people send is read, proved and compared in the pool, so that no call waits for another's, and no session is held
meanwhile.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from placet.audit.admin_acts import Act
from placet.definition.action_spec import ActionSpec
from placet.definition.bpmn import Imported, import_bpmn, import_dmn
from placet.definition.diff import Change, baseline
from placet.definition.model import ProcessDefinition, parse_definition, parse_or_none
from placet.errors import BlueprintInvalid, Conflict, NotFound, NotPermitted, Problem, and_more
from placet.proofs import Report, check
from placet.sentences import sentence
from service.administration.acts import write_with_act
from service.context import Context
from service.pool.pool import ProcessPool
from service.principal import Principal
from service.visibility import seen_definition
from simulation import pool_functions
from storage.database import Database
from storage.queries import actions
from storage.queries.definitions import definitions
from storage.queries.definitions.dependencies import check_contexts, dependencies_of
from storage.recording import admin_acts
from storage.tables.approvals import DefinitionVersion


async def check_definition(context: Context, raw: object, *, by: str) -> Report:
    """Prove a blueprint sound among the stored people, or find what is wrong with it. `by` is whose work it is."""
    return await prove(context.database, context.pool, raw, now=context.now(), by=by)


async def prove(
    database: Database, pool: ProcessPool, raw: object, *, now: datetime, by: str = "", background: bool = False
) -> Report:
    """Do what `check_definition` does where there is no context; `background`: nobody waits for it."""
    blueprint = await pool.run(parse_or_none, raw, by=by, background=background)
    (those,) = await database.read(check_contexts, [blueprint], now)
    proof = partial(check, raw, directory=those.directory, actions=those.actions, children=those.children)
    return await pool.run(proof, by=by, background=background)


async def unstored_version(context: Context, principal: Principal, raw: object) -> DefinitionVersion:
    """Return what was sent as a draft of somebody's, which is not stored; raises BlueprintInvalid with every fault.

    It was read and compiled in the pool, and so may be in this process.
    """
    now = context.now()
    blueprint: ProcessDefinition = await context.pool.run(parse_definition, raw, by=principal.person)
    around = await context.database.read(dependencies_of, blueprint, now)
    document, digest = await context.pool.run(
        pool_functions.compile_draft, blueprint, now, *around, by=principal.person
    )
    return DefinitionVersion(
        id=uuid.uuid4().hex,
        name=blueprint.name,
        version=blueprint.version,
        template_type=blueprint.template_type,
        status="draft",
        owner=blueprint.owner,
        digest=digest,
        blueprint=document,
        graph_spec=document.get("graph_spec"),
        created_by=principal.person,
        created_at=now,
    )


async def draft_definition(context: Context, principal: Principal, raw: object) -> DefinitionVersion:
    """Store a blueprint as a draft of somebody's; the same blueprint again is the same draft.

    Raises BlueprintInvalid with every fault, and Conflict where that version has other content.
    """
    row = await unstored_version(context, principal, raw)

    def store(connection: Connection) -> DefinitionVersion:
        try:
            return definitions.find(connection, row.name, row.version)
        except NotFound:
            made = definitions.insert(connection, row)
            admin_acts.record(connection, principal.acted_by, act_of("version_created", made), row.created_at)
            return made

    there = await context.database.write(store)
    if there.digest != row.digest:
        raise Conflict(
            sentence(
                "{name!r} has a version {version} already, with other content; give this one a higher version.",
                name=there.name,
                version=there.version,
            )
        )
    return there


async def replace_draft(
    context: Context, principal: Principal, template_id: str, raw: object, *, digest: str | None = None
) -> DefinitionVersion:
    """Give a draft other content; raises BlueprintInvalid, NotFound, and Conflict where it is no draft any more.

    Raises Conflict also where its content is not that of `digest` any more.
    """
    written = await unstored_version(context, principal, raw)

    def store(connection: Connection) -> DefinitionVersion:
        before = definitions.get(connection, template_id).digest
        row = definitions.replace_draft(connection, template_id, written, digest=digest)
        if row.digest != before:
            admin_acts.record(connection, principal.acted_by, act_of("version_changed", row), written.created_at)
        return row

    return await context.database.write(store)


async def prove_publishable(context: Context, principal: Principal, raw: object) -> None:
    """Raise what `publish_definition` would raise about this content: BlueprintInvalid."""
    row = await unstored_version(context, principal, raw)
    before = await context.database.read(_before, row)
    await _certificate(context, row, before, by=principal.person)


async def publish_definition(
    context: Context, principal: Principal, template_id: str, *, digest: str | None = None
) -> DefinitionVersion:
    """Publish a draft, proved sound: requests can begin with it, and it no longer changes.

    Raises BlueprintInvalid with what keeps it from being used, or where its version does not rise by as much as its
    content changed; NotPermitted where somebody else has to publish it; NotFound and Conflict, the latter also where
    its content is not that of `digest`.
    """

    def read(connection: Connection) -> tuple[DefinitionVersion, DefinitionVersion | None]:
        row = definitions.get(connection, template_id)
        return row, _before(connection, row)

    row, before = await context.database.read(read)
    if digest is not None and row.digest != digest:
        raise Conflict(
            sentence(
                "{name!r} {version} holds something else by now; submit your content again.",
                name=row.name,
                version=row.version,
            )
        )
    certificate = await _publishable(context, principal, row, before) if row.status == "draft" else None
    now = context.now()

    def act(published: DefinitionVersion) -> Act | None:
        return act_of("version_published", published) if published.published_at == now else None

    return await write_with_act(
        context.database,
        principal.acted_by,
        now,
        act,
        definitions.publish,
        template_id,
        digest=row.digest,
        by=principal.person,
        now=now,
        certificate=certificate,
    )


async def certificate_of(context: Context, principal: Principal, draft: DefinitionVersion) -> dict[str, Any]:
    """Return the certificate with which somebody can publish a draft.

    Raises BlueprintInvalid with what keeps it from being used, and NotPermitted where somebody else has to publish it.
    """
    before = await context.database.read(_before, draft)
    return await _publishable(context, principal, draft, before)


async def deprecate_definition(context: Context, principal: Principal, template_id: str) -> DefinitionVersion:
    """Take a version out of use; requests that began with it keep it. Raises NotFound and Conflict."""
    now = context.now()

    def store(connection: Connection) -> DefinitionVersion:
        before = definitions.get(connection, template_id).status
        row = definitions.deprecate(connection, template_id)
        if before != row.status:
            admin_acts.record(connection, principal.acted_by, act_of("version_deprecated", row), now)
        return row

    return await context.database.write(store)


async def compare_definitions(
    context: Context, principal: Principal, template_id: str, against: str | None = None
) -> tuple[DefinitionVersion, DefinitionVersion, Change]:
    """Say what a version changes since another one (by id; else the release before it): before, after, and the change.

    Raises NotFound where the caller may not see one, or nothing was published before.
    """

    def read(connection: Connection) -> tuple[DefinitionVersion, DefinitionVersion | None]:
        row = seen_definition(connection, principal, template_id)
        return row, seen_definition(connection, principal, against) if against else _before(connection, row)

    row, before = await context.database.read(read)
    if before is None:
        raise NotFound("There is no published version before this one; name another version with `against`.")
    change = await context.pool.run(
        pool_functions.compare_versions, before.blueprint, row.blueprint, by=principal.person
    )
    return before, row, change


async def read_bpmn(
    context: Context, principal: Principal, bpmn: str, *, dmn: list[str], name: str | None, version: str
) -> Imported:
    """Map the main process of a BPMN file among this installation's actions and processes.

    Raises InputInvalid and BlueprintInvalid.
    """

    def read(connection: Connection) -> tuple[dict[str, ActionSpec], frozenset[str]]:
        return actions.specs(connection), definitions.published_names(connection)

    catalog, processes = await context.database.read(read)
    reading = partial(
        import_bpmn,
        bpmn.encode(),
        dmn=[text.encode() for text in dmn],
        name=name,
        version=version,
        actions=catalog,
        processes=processes,
    )
    return await context.pool.run(reading, by=principal.person)


async def read_dmn(
    context: Context, principal: Principal, dmn: str, *, decision: str | None, name: str | None, version: str
) -> Imported:
    """Map the decision of a DMN file; raises InputInvalid and BlueprintInvalid."""
    reading = partial(import_dmn, dmn.encode(), decision=decision, name=name, version=version)
    return await context.pool.run(reading, by=principal.person)


def act_of(kind: str, row: DefinitionVersion) -> Act:
    """Return an act that something was done to a version."""
    detail = {"process": row.name, "version": row.version, "digest": row.digest}
    return Act(kind=kind, target=f"version:{row.id}", detail=detail)


def _before(connection: Connection, row: DefinitionVersion) -> DefinitionVersion | None:
    """Return the release that a version follows, if there is one."""
    released = definitions.released(connection, row.name)
    version = baseline(row.version, released)
    return None if version is None else definitions.get(connection, released[version])


async def _publishable(
    context: Context, principal: Principal, row: DefinitionVersion, before: DefinitionVersion | None
) -> dict[str, Any]:
    if context.publish_needs_two and row.created_by == principal.person:
        raise NotPermitted(
            sentence("user:{person} wrote this; somebody else has to publish it.", person=principal.person)
        )
    return await _certificate(context, row, before, by=principal.person)


async def _certificate(
    context: Context, row: DefinitionVersion, before: DefinitionVersion | None, *, by: str
) -> dict[str, Any]:
    """Return the certificate of a version that follows `before`; raises BlueprintInvalid with what keeps it unused."""
    report = await check_definition(context, row.blueprint, by=by)
    if report.certificate is None:
        found = [finding for finding in report.findings if finding.severity == "error"]
        problems = tuple(Problem(pointer=finding.pointer, message=finding.message) for finding in found)
        more = len(problems) - 1
        raise BlueprintInvalid(and_more(problems[0], more) if more else None, problems=problems)
    if before is not None:
        await context.pool.run(pool_functions.check_version, before.blueprint, row.blueprint, by=by)
    return report.certificate.described()
