"""Drafts of blueprints and their revisions. Each change is made in one transaction, with the act that made it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, defer
from sqlmodel import col

from placet.errors import Conflict, NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.queries import cursor as cursors
from storage.tables.drafts import STORED, BlueprintDraft, BlueprintDraftRevision

KEPT = 100  # revisions of a draft whose content is kept, the newest ones


@of_rows
def insert(session: Session, draft: BlueprintDraft) -> BlueprintDraft:
    """Store a new draft; one of this id that is there already stays as it is, and is returned."""
    there = session.get(BlueprintDraft, draft.id)
    if there is not None:
        return _read(there)
    session.add(draft)
    _note(session, draft, "created", by=draft.created_by, now=draft.created_at)
    return draft


@of_rows
def get(session: Session, draft_id: str) -> BlueprintDraft:
    """Return a draft; raises NotFound, and Conflict where a newer program has written it."""
    found = session.get(BlueprintDraft, draft_id)
    if found is None:
        raise unknown(draft_id)
    return _read(found)


def unknown(draft_id: str) -> NotFound:
    """Return the error for an id that no draft has."""
    return NotFound(sentence("There is no draft {draft_id!r}", draft_id=draft_id))


@of_rows
def page(
    session: Session,
    *,
    limit: int,
    cursor: str | None = None,
    process: str | None = None,
    status: Collection[str] | None = None,
) -> cursors.Page[BlueprintDraft]:
    """List drafts, those that were changed last first, `limit` at a time; `status`: with one of these alone."""
    at, ident = col(BlueprintDraft.updated_at), col(BlueprintDraft.id)
    query = select(BlueprintDraft).order_by(at.desc(), ident.desc()).limit(limit + 1)
    if cursor is not None:
        when, after = cursors.read_moment(cursor)
        query = query.where((at < when) | ((at == when) & (ident < after)))
    if process is not None:
        query = query.where(col(BlueprintDraft.process) == process)
    if status is not None:
        query = query.where(col(BlueprintDraft.status).in_(status))
    rows = [_read(row) for row in session.scalars(query)]
    return cursors.page(rows, limit, lambda row: (row.updated_at, row.id))


@of_rows
def content_of(session: Session, draft_id: str, revision: int) -> dict[str, Any] | None:
    """Return what a draft held in one of its revisions; None where that is not kept, or never was."""
    query = (
        select(BlueprintDraftRevision)
        .where(
            col(BlueprintDraftRevision.draft_id) == draft_id,
            col(BlueprintDraftRevision.revision) == revision,
            col(BlueprintDraftRevision.content).is_not(None),
        )
        .limit(1)
    )
    found = session.scalars(query).first()
    return None if found is None or found.stored_format > STORED else found.content


@of_rows
def acts(
    session: Session, draft_id: str, *, limit: int, cursor: str | None = None
) -> cursors.Page[BlueprintDraftRevision]:
    """List what was done to a draft, in its order, `limit` acts at a time; their `content` may not be read."""
    query = (
        select(BlueprintDraftRevision)
        .options(defer(cast(Any, BlueprintDraftRevision.content), raiseload=True))
        .where(
            col(BlueprintDraftRevision.draft_id) == draft_id,
            col(BlueprintDraftRevision.number) > (0 if cursor is None else cursors.read_number(cursor)),
        )
        .order_by(col(BlueprintDraftRevision.number))
        .limit(limit + 1)
    )
    return cursors.page(session.scalars(query).all(), limit, lambda row: (str(row.number),))


@of_rows
def save(
    session: Session,
    draft_id: str,
    *,
    seen: int,
    content: dict[str, Any],
    process: str,
    by: str,
    now: datetime,
) -> BlueprintDraft | None:
    """Give a draft its next content. None where `seen` is not its revision any more, and nothing has happened.

    Raises NotFound, and Conflict where it is not open.
    """
    draft = _for_change(session, draft_id)
    if draft.revision != seen:
        return None
    require(draft, "open", doing="changed")
    draft.content, draft.process, draft.stored_format = content, process, STORED
    draft.revision += 1
    draft.authors = [*draft.authors, *({by} - {*draft.authors})]
    _touch(draft, by, now)
    _note(session, draft, "saved", by=by, now=now)
    return draft


@of_rows
def submit(
    session: Session, draft_id: str, *, seen: int, template_id: str, digest: str, by: str, now: datetime
) -> BlueprintDraft | None:
    """Note that a draft waits for its publication as a version; None, NotFound and Conflict as for `save`."""
    draft = _for_change(session, draft_id)
    if draft.revision != seen:
        return None
    require(draft, "open", doing="submitted")
    draft.status, draft.submitted_by, draft.submitted_at = "submitted", by, now
    draft.template_id, draft.digest = template_id, digest
    _touch(draft, by, now)
    _note(session, draft, "submitted", by=by, now=now)
    return draft


@of_rows
def end(session: Session, draft_id: str, status: str, *, of: Collection[str], by: str, now: datetime) -> BlueprintDraft:
    """Reopen, publish or discard a draft; one that is so already stays. Raises NotFound and Conflict."""
    draft = _for_change(session, draft_id)
    if draft.status == status:
        return draft
    act = "reopened" if status == "open" else status
    require(draft, *of, doing=act)
    draft.status = status
    if status == "open":
        draft.submitted_by = draft.submitted_at = None
    _touch(draft, by, now)
    _note(session, draft, act, by=by, now=now)
    return draft


def require(draft: BlueprintDraft, *status: str, doing: str) -> None:
    """Raise Conflict for a draft that is in none of these states."""
    if draft.status in status:
        return
    advice = {
        "submitted": "reopen it first",
        "published": "make a new draft of that version",
        "discarded": "make a new draft",
        "open": "submit it first",
    }
    raise Conflict(
        sentence(
            "This draft is {status} and cannot be {doing}; {advice}.",
            status=draft.status,
            doing=doing,
            advice=advice[draft.status],
        )
    )


def _read(draft: BlueprintDraft) -> BlueprintDraft:
    if draft.stored_format > STORED:
        raise Conflict(sentence("A newer Placet has written the draft {id!r}; open it with that one.", id=draft.id))
    return draft


def _for_change(session: Session, draft_id: str) -> BlueprintDraft:
    found = session.get(BlueprintDraft, draft_id, with_for_update=True)
    if found is None:
        raise unknown(draft_id)
    return _read(found)


def _touch(draft: BlueprintDraft, by: str, now: datetime) -> None:
    draft.updated_by, draft.updated_at = by, now


def _note(session: Session, draft: BlueprintDraft, act: str, *, by: str, now: datetime) -> None:
    """Record an act, and drop the contents that are too old to be merged with."""
    of_draft = col(BlueprintDraftRevision.draft_id) == draft.id
    number = session.scalar(select(func.max(col(BlueprintDraftRevision.number))).where(of_draft)) or 0
    holds = act in {"created", "saved"}
    session.add(
        BlueprintDraftRevision(
            draft_id=draft.id,
            number=number + 1,
            revision=draft.revision,
            act=act,
            content=draft.content if holds else None,
            by=by,
            at=now,
        )
    )
    if holds:
        old = of_draft & (col(BlueprintDraftRevision.revision) <= draft.revision - KEPT)
        session.execute(update(BlueprintDraftRevision).where(old).values(content=None))
