"""What the pool carries out for drafts: work on documents that others wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from placet.definition.diff import Change, check_bump, classify
from placet.definition.limits import excess, unfit
from placet.definition.model import parse_or_none
from placet.errors import BlueprintInvalid, InputInvalid, Problem
from placet.json_pointer import pointer_of
from placet.json_values import UNSTORABLE, pointer_at, storable, walk
from placet.sentences import sentence
from service.drafts.merge import ABSENT, FieldChange, MergeConflict, changes, merge, same
from simulation.scenario.spec import Operation, patched

MOST_OPERATIONS = 1000  # of one patch

_PATCH = TypeAdapter(tuple[Operation, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a save makes of a draft: its content, whether that is another one, and what others did meanwhile.

    `content` has both sides' changes. Where there are conflicts they are the others', and in `mine_first` one's own.
    """

    content: dict[str, Any]
    differs: bool
    others: tuple[FieldChange, ...] = ()
    conflicts: tuple[MergeConflict, ...] = ()
    mine_first: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a content differs from the version before it: by places, in words where it can be read, and its number.

    `too_low` says why the version's number cannot follow.
    """

    fields: tuple[FieldChange, ...]
    change: Change | None
    too_low: Problem | None


def fitting(content: Any, pointer: str = "") -> dict[str, Any]:
    """Return a content that can be stored; raises InputInvalid where it is no object, too large, too deep, or no JSON.

    What is wrong with it as a blueprint is for the proofs to find.
    """
    if not isinstance(content, dict):
        raise InputInvalid.at(pointer, "a draft is a JSON object; send the whole blueprint")
    problem = excess(content) or unfit(content)
    if problem is not None:
        raise InputInvalid.at(pointer + problem.pointer, problem.message)
    for value, place, _ in walk(content):
        key = place[1] if place is not None else ""
        if (isinstance(value, str) and not storable(value)) or (isinstance(key, str) and not storable(key)):
            raise InputInvalid.at(pointer_at(place, pointer), UNSTORABLE)
    return content


def prepare(base: Any, current: dict[str, Any], content: Any, patch: Any) -> Prepared:
    """Work out what a save of `content`, or of `patch` on `base`, makes of a draft that holds `current` by now.

    `base` is what was read. It may be None where it is not kept any more: then each difference is a conflict. Raises
    InputInvalid.
    """
    if patch is not None:
        if base is None:
            raise InputInvalid.at("/revision", "this revision is not kept any more; read the draft again")
        content = patched(base, operations_of(patch))
    mine = fitting(content, "/content")
    if base is None:
        conflicts = () if same(current, mine) else (MergeConflict(pointer="", base=ABSENT, theirs=current, mine=mine),)
        return Prepared(content=current, differs=False, conflicts=conflicts, mine_first=mine)
    merged = merge(base, current, mine)
    others = changes(base, current)
    if merged.conflicts:
        first = merge(base, current, mine, conflicts_to="mine").content
        return Prepared(
            content=merged.content, differs=True, others=others, conflicts=merged.conflicts, mine_first=first
        )
    # Two contents that fit may not fit together.
    together = fitting(merged.content, "/content")
    return Prepared(content=together, differs=not same(together, current), others=others)


def compare(before: dict[str, Any], content: dict[str, Any]) -> Comparison:
    """Compare a content, which may be invalid, with the version before it."""
    fields = changes(before, content)
    old, new = parse_or_none(before), parse_or_none(content)
    if old is None or new is None:
        return Comparison(fields=fields, change=None, too_low=None)
    too_low = None
    try:
        check_bump(old, new)
    except BlueprintInvalid as error:
        too_low = error.problems[0]
    return Comparison(fields=fields, change=classify(old, new), too_low=too_low)


def operations_of(patch: Any) -> tuple[Operation, ...]:
    """Return the operations of a JSON Patch; raises InputInvalid, with the place below `/patch`."""
    if not isinstance(patch, list | tuple) or len(patch) > MOST_OPERATIONS:
        raise InputInvalid.at(
            "/patch",
            sentence(
                "send a list of at most {most_operations} operations of a JSON Patch", most_operations=MOST_OPERATIONS
            ),
        )
    try:
        return _PATCH.validate_python(patch)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        raise InputInvalid.at(
            pointer_of(("patch", *fault["loc"])), sentence("{fault}; see RFC 6902", fault=fault["msg"])
        ) from None
