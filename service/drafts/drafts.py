"""Create, save, submit, publish and discard drafts. Several people may have the same draft open.

A save says which revision it began with. What others have saved since is merged with it where both did not change the
same places, and refused with both sides' changes where they did; nothing that anybody saved is lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from placet.audit.admin_acts import Act, ActedBy
from placet.errors import Conflict, DraftChanged, InputInvalid, NotFound, NotPermitted, Unavailable
from placet.sentences import sentence
from service.administration.acts import write_with_act
from service.context import Context
from service.definitions import draft_definition, prove_publishable, publish_definition, replace_draft
from service.drafts.draft import Draft, Saved
from service.drafts.merge import ABSENT, FieldChange, MergeConflict, changes
from service.drafts.work import Prepared, fitting, prepare
from service.principal import Principal
from service.visibility import sees_definition
from storage.database import Database
from storage.queries.cursor import Page
from storage.queries.definitions import definitions, drafts
from storage.tables.approvals import DefinitionVersion
from storage.tables.drafts import BlueprintDraft, BlueprintDraftRevision

_LONGEST_NAME = 200
_TRIES = 8  # of a save, while others save as well


async def create(
    context: Context,
    principal: Principal,
    *,
    based_on: tuple[str, str | None] | None = None,
    content: Any = None,
    draft_id: str | None = None,
) -> Draft:
    """Begin a draft: with the content of a version (process and version; None: the newest published), or with this one.

    A draft with this id that is there already is that one. Raises InputInvalid where there is no such version, and for
    a content that is no JSON object within the bounds.
    """
    if (based_on is None) == (content is None):
        raise InputInvalid.at("/content", "give either the version that the draft is based on, or its content")
    version = None
    if based_on is not None:
        version = await context.database.read(_seen_version, principal, *based_on)
        content = version.blueprint
    else:
        content = await context.pool.run(fitting, content, "/content", by=principal.person)
    now = context.now()
    row = new_row(content, by=principal.person, now=now, draft_id=draft_id)
    if version is not None:
        row.based_on = version.version
        if version.status == "draft":
            # It goes on as the same version, which nobody can use yet.
            row.template_id, row.digest = version.id, version.digest
    return await store_new(context.database, row, by=principal.acted_by)


def new_row(content: dict[str, Any], *, by: str, now: datetime, draft_id: str | None = None) -> BlueprintDraft:
    """Return a new draft with a content that fits, as it is stored."""
    return BlueprintDraft(
        id=draft_id or uuid.uuid4().hex,
        process=_name_of(content, before=""),
        based_on=None,
        content=content,
        revision=1,
        status="open",
        authors=[by],
        created_by=by,
        created_at=now,
        updated_by=by,
        updated_at=now,
    )


async def store_new(database: Database, row: BlueprintDraft, *, by: ActedBy) -> Draft:
    """Store a new draft, unless it is there already, and who began it."""
    now = row.created_at
    return Draft.of(await write_with_act(database, by, now, _act("draft_created", now), drafts.insert, row))


def find(connection: Connection, principal: Principal, draft_id: str) -> Draft:
    """Return a draft; raises NotFound where there is none, or it is not for the caller."""
    if not principal.designs:
        raise drafts.unknown(draft_id)
    return Draft.of(drafts.get(connection, draft_id))


def list_(
    connection: Connection,
    principal: Principal,
    *,
    limit: int,
    cursor: str | None = None,
    process: str | None = None,
    status: Collection[str] | None = None,
) -> Page[Draft]:
    """List drafts, those that were changed last first; none to those who may see none."""
    if not principal.designs:
        return Page(items=(), next_cursor=None)
    page = drafts.page(connection, limit=limit, cursor=cursor, process=process, status=status)
    return Page(items=tuple(Draft.of(row) for row in page.items), next_cursor=page.next_cursor)


def acts(
    connection: Connection, principal: Principal, draft_id: str, *, limit: int, cursor: str | None = None
) -> Page[BlueprintDraftRevision]:
    """List what was done to a draft, by whom and when, the first act first; raises NotFound."""
    find(connection, principal, draft_id)
    return drafts.acts(connection, draft_id, limit=limit, cursor=cursor)


async def save(
    context: Context,
    principal: Principal,
    draft_id: str,
    *,
    revision: int,
    content: Any = None,
    patch: Any = None,
) -> Saved:
    """Save a content, or a JSON Patch (RFC 6902) on what the draft held in `revision`, the one that was read.

    What others have saved since is merged with it, and the answer says what that was. A content that changes nothing
    is no new revision. Raises DraftChanged, with both sides, where both changed the same places in different ways;
    InputInvalid; NotFound; and Conflict where the draft is not open.
    """
    if (content is None) == (patch is None):
        raise InputInvalid.at("/content", "give either the whole content, or a patch")
    for _ in range(_TRIES):
        row, base = await context.database.read(_with_base, principal, draft_id, revision)
        drafts.require(row, "open", doing="changed")
        made = await context.pool.run(prepare, base, row.content, content, patch, by=principal.person)
        if made.conflicts:
            raise _changed(row, made)
        stored: BlueprintDraft | None = row
        if made.differs:
            now = context.now()
            stored = await write_with_act(
                context.database,
                principal.acted_by,
                now,
                _act("draft_saved", now),
                drafts.save,
                draft_id,
                seen=row.revision,
                content=made.content,
                process=_name_of(made.content, before=row.process),
                by=principal.person,
                now=now,
            )
        if stored is not None:
            merged_by = row.updated_by if made.others else None
            return Saved(draft=Draft.of(stored), merged=made.others, merged_by=merged_by)
    raise Unavailable("others saved this draft during each attempt")


async def submit(context: Context, principal: Principal, draft_id: str, *, revision: int | None = None) -> Draft:
    """Submit a draft for publication: it becomes a version that waits for whoever publishes it, and rests meanwhile.

    `revision` is what the caller has seen; without, the newest. Raises DraftChanged where there is a newer one,
    BlueprintInvalid with what keeps it from being published, NotFound and Conflict.
    """
    row = await _current(context, principal, draft_id, revision)
    drafts.require(row, "open", doing="submitted")
    await prove_publishable(context, principal, row.content)
    version = await _as_version(context, principal, row)
    now = context.now()
    stored = await write_with_act(
        context.database,
        principal.acted_by,
        now,
        _act("draft_submitted", now),
        drafts.submit,
        draft_id,
        seen=row.revision,
        template_id=version.id,
        digest=version.digest,
        by=principal.person,
        now=now,
    )
    if stored is None:
        await _current(context, principal, draft_id, row.revision)
        raise Unavailable("this draft was changed while it was submitted")
    return Draft.of(stored)


async def publish(
    context: Context, principal: Principal, draft_id: str, *, revision: int | None = None
) -> tuple[Draft, DefinitionVersion]:
    """Publish a draft as a version of its process; an open one is submitted before.

    Where two people are needed (`publish_needs_two`), it has to be submitted, and is published by somebody who has
    saved none of it. Raises what `submit` raises, and NotPermitted.
    """
    row = await _current(context, principal, draft_id, revision)
    if context.publish_needs_two:
        drafts.require(row, "submitted", "published", doing="published")
        if principal.person in {*row.authors, row.submitted_by} and row.status != "published":
            raise NotPermitted(
                sentence("user:{person} wrote this; somebody else has to publish it.", person=principal.person)
            )
    if row.status == "open":
        await submit(context, principal, draft_id, revision=row.revision)
        row = await _current(context, principal, draft_id, row.revision)
    drafts.require(row, "submitted", "published", doing="published")
    assert row.template_id is not None, "it has been submitted"  # noqa: S101
    version = await publish_definition(context, principal, row.template_id, digest=row.digest)
    return await _end(context, principal, "draft_published", draft_id, "published", of=("submitted",)), version


async def reopen(context: Context, principal: Principal, draft_id: str) -> Draft:
    """Take a submitted draft back, so that it can be changed; raises NotFound and Conflict."""
    await context.database.read(find, principal, draft_id)
    return await _end(context, principal, "draft_reopened", draft_id, "open", of=("submitted",))


async def discard(context: Context, principal: Principal, draft_id: str) -> Draft:
    """Discard a draft that is not published: it can still be read. Raises NotFound and Conflict."""
    await context.database.read(find, principal, draft_id)
    return await _end(context, principal, "draft_discarded", draft_id, "discarded", of=("open", "submitted"))


def version_of(connection: Connection, draft: Draft) -> DefinitionVersion:
    """Return the version as which a draft was submitted: what requests can be moved to once it is published.

    Raises NotFound where it never was.
    """
    if draft.template_id is None:
        raise NotFound("This draft was never submitted; there is no version of it yet.")
    return definitions.get(connection, draft.template_id)


async def _end(
    context: Context, principal: Principal, kind: str, draft_id: str, status: str, *, of: Collection[str]
) -> Draft:
    now, by = context.now(), principal.person
    ended = await write_with_act(
        context.database, principal.acted_by, now, _act(kind, now), drafts.end, draft_id, status, of=of, by=by, now=now
    )
    return Draft.of(ended)


def _act(kind: str, now: datetime) -> Callable[[BlueprintDraft | None], Act | None]:
    """Return what makes the act of a draft, where it was changed at this moment."""

    def act(row: BlueprintDraft | None) -> Act | None:
        if row is None or row.updated_at != now:
            return None
        return Act(kind=kind, target=f"draft:{row.id}", detail={"process": row.process, "revision": row.revision})

    return act


async def _as_version(context: Context, principal: Principal, row: BlueprintDraft) -> DefinitionVersion:
    """Store a draft's content as the version that waits to be published."""
    if row.template_id is not None:
        there = await context.database.read(definitions.get, row.template_id)
        if there.status == "draft":
            return await replace_draft(context, principal, row.template_id, row.content, digest=row.digest)
    version = await draft_definition(context, principal, row.content)
    if version.status != "draft":
        raise Conflict(
            sentence(
                "{name!r} {version} is {status} with this content already; change something, and give it "
                "a higher version number",
                name=version.name,
                version=version.version,
                status=version.status,
            )
        )
    return version


async def _current(context: Context, principal: Principal, draft_id: str, revision: int | None) -> BlueprintDraft:
    """Return a draft in the revision that was seen; raises DraftChanged where it has a newer one."""
    row, base = await context.database.read(_with_base, principal, draft_id, revision)
    if revision is None or revision == row.revision:
        return row
    others = () if base is None else await context.pool.run(partial(changes, base, row.content), by=principal.person)
    raise _changed(row, Prepared(content=row.content, differs=False, others=others))


def _with_base(
    connection: Connection, principal: Principal, draft_id: str, revision: int | None
) -> tuple[BlueprintDraft, dict[str, Any] | None]:
    """Return a draft, and what it held in a revision; None where that is not kept any more."""
    find(connection, principal, draft_id)
    row = drafts.get(connection, draft_id)
    if revision is None or revision == row.revision:
        return row, row.content
    if not 0 < revision < row.revision:
        raise InputInvalid.at(
            "/revision",
            sentence("the draft is in revision {revision}; send the one that you read", revision=row.revision),
        )
    return row, drafts.content_of(connection, draft_id, revision)


def _seen_version(connection: Connection, principal: Principal, process: str, version: str | None) -> DefinitionVersion:
    """Return the version that a draft is to be based on; raises InputInvalid where the principal sees none."""
    message = sentence("There is no process template {process!r}", process=process)
    try:
        found = definitions.find(connection, process, version)
    except NotFound as error:
        raise InputInvalid.at("/based_on/process", message) from error
    if not sees_definition(principal, found):
        raise InputInvalid.at("/based_on/process", message)
    return found


def _changed(row: BlueprintDraft, made: Prepared) -> DraftChanged:
    return DraftChanged(
        by=row.updated_by,
        at=row.updated_at,
        revision=row.revision,
        content=row.content,
        difference=tuple(_described(change) for change in made.others),
        conflicts=tuple(_both(conflict) for conflict in made.conflicts),
        merged={} if made.mine_first is None else {"theirs": made.content, "mine": made.mine_first},
    )


def _described(change: FieldChange) -> dict[str, Any]:
    return {"pointer": change.pointer, "kind": change.kind, "before": change.before, "after": change.after}


def _both(conflict: MergeConflict) -> dict[str, Any]:
    """Return a conflict as JSON values; a side that has nothing there is left out."""
    sides = {"base": conflict.base, "theirs": conflict.theirs, "mine": conflict.mine}
    return {"pointer": conflict.pointer, **{side: value for side, value in sides.items() if value is not ABSENT}}


def _name_of(content: dict[str, Any], *, before: str) -> str:
    """Return the name of the process that a content says it is; where it says none, the one before."""
    name = content.get("name")
    return name if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME else before
