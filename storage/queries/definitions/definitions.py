"""Versions of process definitions: drafts, which can be changed, and published and deprecated ones, which cannot."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from semver import Version
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import Conflict, NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.prepared import Prepared
from storage.queries import canaries
from storage.queries import cursor as cursors
from storage.tables.approvals import DefinitionVersion


class VersionHeader(NamedTuple):
    """A version without its blueprint; `digest` is that of the blueprint."""

    id: str
    name: str
    version: str
    status: str
    digest: str


class Startable(NamedTuple):
    """The newest published version of a process, as lists show it."""

    id: str
    name: str
    description: str | None


_HEADERS = Prepared(
    select(
        col(DefinitionVersion.id),
        col(DefinitionVersion.name),
        col(DefinitionVersion.version),
        col(DefinitionVersion.status),
        col(DefinitionVersion.digest),
    ).where(col(DefinitionVersion.name) == bindparam("sought"))
)


@of_rows
def insert(session: Session, template: DefinitionVersion) -> DefinitionVersion:
    """Store a new version; raises Conflict where its name has that version already."""
    try:
        with session.begin_nested():
            session.add(template)
    except IntegrityError as error:
        raise Conflict(
            sentence(
                "{name!r} has a version {version} already; use a higher version number",
                name=template.name,
                version=template.version,
            )
        ) from error
    return template


@of_rows
def get(session: Session, template_id: str) -> DefinitionVersion:
    """Return one version by its id; raises NotFound."""
    found = session.get(DefinitionVersion, template_id)
    if found is None:
        raise unknown(template_id)
    return found


def unknown(template_id: str) -> NotFound:
    """Return the error for an id that no version has."""
    return NotFound(sentence("There is no process template {template_id!r}", template_id=template_id))


def find(connection: Connection, name: str, version: str | None = None) -> DefinitionVersion:
    """Return a version by name, or the newest published one; raises NotFound.

    Newest is by the precedence of semantic versions; a pre-release comes before its release.
    """
    return get(connection, named(connection, name, version).id)


def named(connection: Connection, name: str, version: str | None = None) -> VersionHeader:
    """Find the same version as `find`, without its blueprint."""
    rows = [VersionHeader(*row) for row in _HEADERS.rows(connection, sought=name)]
    if version is not None:
        found = next((row for row in rows if row.version == version), None)
        if found is None:
            raise NotFound(
                sentence("There is no process template {name!r} in version {version!r}", name=name, version=version)
            )
        return found
    return _published(name, rows)[0]


def published(connection: Connection, name: str) -> list[VersionHeader]:
    """Return the published versions of a process, the newest first; raises NotFound where there is none."""
    return _published(name, [VersionHeader(*row) for row in _HEADERS.rows(connection, sought=name)])


def _published(name: str, rows: list[VersionHeader]) -> list[VersionHeader]:
    found = [row for row in rows if row.status == "published"]
    if not found:
        raise NotFound(sentence("There is no published process template {name!r}", name=name))
    # Build metadata has no precedence; there the text decides, so that the answer does not change by itself.
    return sorted(found, key=lambda row: precedence(row.version), reverse=True)


def precedence(version: str) -> tuple[Version, str]:
    """Return the sort key of a version: of two versions, the newer has the greater key."""
    return Version.parse(version), version


@of_rows
def page(
    session: Session,
    *,
    limit: int,
    cursor: str | None = None,
    name: str | None = None,
    status: str | None = None,
    drafts_of: Collection[str] | None = None,
) -> cursors.Page[DefinitionVersion]:
    """List versions by name and then as they were made, `limit` at a time.

    `drafts_of` are the authors and owners whose drafts are included; None includes all drafts.
    """
    query = select(DefinitionVersion).order_by(col(DefinitionVersion.name), col(DefinitionVersion.id)).limit(limit + 1)
    if cursor is not None:
        after_name, after_id = cursors.read_names(cursor, 2)
        query = query.where(
            (col(DefinitionVersion.name) > after_name)
            | ((col(DefinitionVersion.name) == after_name) & (col(DefinitionVersion.id) > after_id))
        )
    if drafts_of is not None:
        theirs = col(DefinitionVersion.owner).in_(drafts_of) | col(DefinitionVersion.created_by).in_(drafts_of)
        query = query.where((col(DefinitionVersion.status) != "draft") | theirs)
    if name is not None:
        query = query.where(col(DefinitionVersion.name) == name)
    if status is not None:
        query = query.where(col(DefinitionVersion.status) == status)
    return cursors.page(session.scalars(query).all(), limit, lambda row: (row.name, row.id))


@of_rows
def publish(
    session: Session,
    template_id: str,
    *,
    by: str,
    now: datetime,
    digest: str | None = None,
    certificate: dict[str, Any] | None = None,
) -> DefinitionVersion:
    """Publish a draft; a published one stays as it is. Raises NotFound, and Conflict for a deprecated one.

    Raises Conflict also while a canary of the process runs.

    `digest` is that of the checked content; Conflict where the draft has changed since. `certificate` says what was
    proven and is stored with the version.
    """
    template = _for_change(session, template_id)
    if digest is not None and template.digest != digest:
        raise Conflict(
            sentence(
                "{name!r} {version} has changed since it was checked; publish it again",
                name=template.name,
                version=template.version,
            )
        )
    if template.status == "deprecated":
        raise Conflict(
            sentence(
                "{name!r} {version} is deprecated; make a new version instead",
                name=template.name,
                version=template.version,
            )
        )
    if template.status == "draft":
        canaries.require_none(session.connection(), template.name)
        template.status, template.published_by, template.published_at = "published", by, now
        template.certificate = certificate
    return template


@of_rows
def replace_draft(
    session: Session, template_id: str, written: DefinitionVersion, *, digest: str | None = None
) -> DefinitionVersion:
    """Replace the content of a draft and its author. Raises NotFound, and Conflict for a version that is no draft.

    `digest` is that of the content that is to be replaced; Conflict where there is other content by now.
    """
    template = _for_change(session, template_id)
    if digest is not None and template.digest not in {digest, written.digest}:
        raise Conflict(
            sentence(
                "somebody else has changed the draft {name!r} {version}; use another version number",
                name=template.name,
                version=template.version,
            )
        )
    if template.status != "draft":
        raise Conflict(
            sentence(
                "{name!r} {version} is {status} and cannot be changed; make a new version",
                name=template.name,
                version=template.version,
                status=template.status,
            )
        )
    try:
        with session.begin_nested():
            for name in ("name", "version", "template_type", "owner", "digest", "blueprint", "graph_spec"):
                setattr(template, name, getattr(written, name))
            template.created_by, template.created_at = written.created_by, written.created_at
    except IntegrityError as error:
        raise Conflict(
            sentence(
                "{name!r} has a version {version} already; use another version number",
                name=written.name,
                version=written.version,
            )
        ) from error
    return template


def published_names(connection: Connection) -> frozenset[str]:
    """Return the names that have a published version."""
    query = select(col(DefinitionVersion.name)).where(col(DefinitionVersion.status) == "published").distinct()
    return frozenset(connection.scalars(query))


def released_names(connection: Connection, *, most: int) -> list[str]:
    """Return the names that have or had a published version, in order; at most so many."""
    query = select(col(DefinitionVersion.name)).where(col(DefinitionVersion.status) != "draft").distinct()
    return sorted(connection.scalars(query.limit(most)), key=str.casefold)


def startable(connection: Connection, *, q: str = "", limit: int, cursor: str | None = None) -> cursors.Page[Startable]:
    """List the newest published version of each process whose name has every word of `q`, by name.

    While a canary runs, that is the one before: its new version is given to requests, and not chosen. Raises
    InputInvalid for an invalid cursor.
    """
    name, version, ident = col(DefinitionVersion.name), col(DefinitionVersion.version), col(DefinitionVersion.id)
    published: dict[str, list[tuple[str, str]]] = {}
    words = q.casefold().split()
    shared = canaries.shared_versions(connection)
    query = select(ident, name, version).where(col(DefinitionVersion.status) == "published")
    for found, called, number in connection.execute(query):
        if found not in shared and (not words or all(word in called.casefold() for word in words)):
            published.setdefault(called, []).append((number, found))
    page = cursors.part(sorted(published, key=lambda one: (one.casefold(), one)), limit, cursor)
    # Only of the processes that are shown: to compare versions takes longer than to read them.
    chosen = {one: max(published[one], key=lambda each: precedence(each[0]))[1] for one in page.items}
    said = select(ident, col(DefinitionVersion.blueprint)["description"].as_string()).where(ident.in_(chosen.values()))
    descriptions: dict[str, str | None] = {row[0]: row[1] for row in connection.execute(said)}
    items = tuple(Startable(id=one, name=called, description=descriptions[one]) for called, one in chosen.items())
    return cursors.Page(items=items, next_cursor=page.next_cursor)


def released(connection: Connection, name: str) -> dict[str, str]:
    """Return the ids of the published and deprecated versions of a name, by version."""
    query = select(col(DefinitionVersion.version), col(DefinitionVersion.id)).where(
        col(DefinitionVersion.name) == name, col(DefinitionVersion.status) != "draft"
    )
    return {row.version: row.id for row in connection.execute(query)}


@of_rows
def deprecate(session: Session, template_id: str) -> DefinitionVersion:
    """Deprecate a version; running requests keep it.

    Raises NotFound, and Conflict for a draft and for the versions of a canary that runs.
    """
    template = _for_change(session, template_id)
    split = canaries.split_of(session.connection(), template.name)
    if split is not None and template_id in {split.version_id, split.baseline_id}:
        canaries.require_none(session.connection(), template.name)
    if template.status == "draft":
        raise Conflict(
            sentence(
                "{name!r} {version} is a draft, which cannot be deprecated; publish it first",
                name=template.name,
                version=template.version,
            )
        )
    template.status = "deprecated"
    return template


def _for_change(session: Session, template_id: str) -> DefinitionVersion:
    found = session.get(DefinitionVersion, template_id, with_for_update=True)
    if found is None:
        raise unknown(template_id)
    return found
