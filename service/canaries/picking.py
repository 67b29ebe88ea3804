"""Which version a new request begins with, where only the name of its process is given."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from insight.canary.assignment import Arm, arm_of
from storage.queries import canaries
from storage.queries.canaries import Split
from storage.queries.definitions import definitions
from storage.queries.definitions.definitions import VersionHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Where a request belongs in a canary."""

    canary_id: str
    arm: Arm


def pick(connection: Connection, template: str, request_id: str) -> tuple[VersionHeader, Assignment | None]:
    """Return the version of a process that a request is given: the newest published one, unless a canary picks.

    The same request is always given the same one while the canary runs. Raises NotFound.
    """
    published = definitions.published(connection, template)
    # A canary has two published versions, so that most processes need no second query.
    split = canaries.split_of(connection, template) if len(published) > 1 else None
    if split is not None:
        arm = arm_of(split.id, request_id, share=split.share, people_sample=split.people_sample)
        wanted = split.version_id if arm == "new" else split.baseline_id
        for header in published:
            if header.id == wanted:
                return header, Assignment(canary_id=split.id, arm=arm)
    return published[0], None


def picked_for_form(connection: Connection, template_id: str, request_id: str) -> str | None:
    """Return which version's form a page shows for a request; None where no canary picks between versions of it."""
    row = definitions.get(connection, template_id)
    split: Split | None = canaries.split_of(connection, row.name)
    if split is None or template_id not in {split.version_id, split.baseline_id}:
        return None
    return pick(connection, row.name, request_id)[0].id
