"""Content: what a request asks for, and what each revision changed.

A decision is about a revision. The content of a revision has a digest, SHA-256 over RFC 8785 of template, version,
title, input (what the requester gave, not what the process set), the attachments' hashes and the action.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from placet.audit.chain import digest_of_content
from placet.definition.fields import LONGEST_TITLE
from placet.engine.bound_action import BoundAction
from placet.plan.plan import Plan

# Fields of the content besides variables; a variable of the same name is written as "input.<name>".
_FIELDS = {"title", "attachments", "action"}
_FACTS_IN_A_TITLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One changed field of the content (a variable or `title`), before and after; None where it had no value."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A revision and what it changed."""

    revision: int
    changes: tuple[FieldChange, ...]


def content_digest(
    plan: Plan,
    title: str,
    given: Mapping[str, Any],
    attached: Iterable[Attachment] = (),
    action: BoundAction | None = None,
) -> str:
    """Return the digest (sha256, hex) of what a request asks for."""
    hashes = [one.sha256 for one in attached]
    document = action.document if action is not None else None
    return digest_of_content(plan.name, plan.version, title, given, hashes, document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file on a request, by its hash; the file itself is in the store of attachments.

    `n` counts the files of the request from 1. `size` is in bytes, and `sha256` in hex. `revision` is the one that the
    file made.
    """

    n: int
    name: str
    media_type: str
    size: int
    sha256: str
    uploaded_by: str
    uploaded_at: datetime
    revision: int


def default_title(plan: Plan, given: Mapping[str, Any]) -> str:
    """Return a title made of the process's name and the first values of the input."""
    facts = [f"{v.name} {given[v.name]}" for v in plan.variables if isinstance(given.get(v.name), str | int)]
    return (f"{plan.name}: {', '.join(facts[:_FACTS_IN_A_TITLE])}" if facts else plan.name)[:LONGEST_TITLE]


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Return the differences between two inputs, in the order of the variables' names."""
    return tuple(
        FieldChange(field=_field(name), before=before.get(name), after=after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def difference(revised: Sequence[Revision], since: int) -> tuple[FieldChange, ...]:
    """Return the differences between the content and that of the revision `since`, field by field."""
    found: dict[str, FieldChange] = {}
    for revision in revised:
        if revision.revision > since:
            for change in revision.changes:
                first = found.get(change.field, change)
                found[change.field] = FieldChange(field=change.field, before=first.before, after=change.after)
    return tuple(change for change in found.values() if change.before != change.after)


def changes_as_json(changes: Iterable[FieldChange]) -> list[dict[str, Any]]:
    """Return changes as JSON values."""
    return [{"field": c.field, "before": c.before, "after": c.after} for c in changes]


def is_material(changes: Collection[FieldChange], immaterial: Collection[str]) -> bool:
    """Say whether anything changed that approvals depend on."""
    return any(change.field not in {_field(name) for name in immaterial} for change in changes)


def _field(variable: str) -> str:
    return f"input.{variable}" if variable in _FIELDS else variable
