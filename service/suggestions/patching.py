"""What the pool carries out for suggestions: the changed blueprint, and the next version that it becomes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from semver import Version

from placet.definition.diff import classify, least_version
from placet.definition.model import parse_definition
from placet.errors import Conflict, InputInvalid
from placet.sentences import joined, sentence
from service.drafts.merge import merge, same
from service.drafts.work import fitting, operations_of
from simulation.scenario.spec import patched

_TOLD = 5  # places of a conflict that its message names


def changed(blueprint: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Return a blueprint with a JSON Patch (RFC 6902) applied, as a document that can be stored.

    Raises InputInvalid, with the place, where an operation cannot be applied, or the patch changes nothing, or names
    another process.
    """
    operations = operations_of(patch)
    document = fitting(patched(blueprint, operations), "/patch")
    if same(document, blueprint):
        raise InputInvalid.at("/patch", "this patch changes nothing; send at least one operation that does")
    if document.get("name") != blueprint.get("name"):
        raise InputInvalid.at("/patch", "a suggestion changes one process; leave its /name as it is")
    return document


def next_version(
    base: dict[str, Any], suggested: dict[str, Any], current: dict[str, Any], taken: Collection[str]
) -> dict[str, Any]:
    """Return the current version's document with what was suggested for `base`, under the next number that is free.

    What was published since is kept. Raises Conflict where it changed the same places, and BlueprintInvalid where the
    document can be no blueprint. A number that the suggestion brings along is kept where it is free.
    """
    number = suggested.get("version")
    # Each version has a number of its own, which is no conflict.
    sides = ({**side, "version": current["version"]} for side in (base, current, suggested))
    merged = merge(*sides)
    if merged.conflicts:
        places = joined(", ", [conflict.pointer or "/" for conflict in merged.conflicts[:_TOLD]])
        raise Conflict(
            sentence(
                "Version {current} has changed the same places since version {base}, for which this was suggested: "
                "{places}. Reject it, and have suggestions generated again.",
                current=current["version"],
                base=base["version"],
                places=places,
            )
        )
    document: dict[str, Any] = merged.content
    if number != base["version"] and number not in taken:
        return {**document, "version": number}
    before, after = parse_definition(current), parse_definition(document)
    level = classify(before, after).level
    if level == "none":
        raise Conflict(
            sentence("Version {current} holds what was suggested already; reject it.", current=current["version"])
        )
    free = Version.parse(least_version(before.version, level))
    while str(free) in taken:
        free = free.bump_patch()
    return {**document, "version": str(free)}
