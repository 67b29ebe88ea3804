"""Differences between two versions of a blueprint: in words, as JSON Patch, and how much the number has to rise.

Major: whoever starts requests or reads outcomes has to change something. Minor: the process behaves differently, or
offers more. Patch: only texts and layout differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import jsonpatch
import rfc8785
from semver import Version

from placet.definition.model import ProcessDefinition, canonical
from placet.errors import BlueprintInvalid, Problem
from placet.nodes.registry import type_of
from placet.sentences import as_sentence, joined, sentence, shortened

Level = Literal["none", "patch", "minor", "major"]
_ORDER: tuple[Level, ...] = ("none", "patch", "minor", "major")
# What people read or see; nothing that happens depends on it.
_LOOKS = {"description", "title", "x", "y"}
_FLOORS = ("minimum", "min_length")
_CEILINGS = ("maximum", "max_length", "scale")
_LONGEST_VALUE = 120  # characters of a value that is told in words; the patch has the others


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReason:
    """One difference: its level, its place (a JSON Pointer into the newer version, else the older) and a sentence."""

    level: Level
    pointer: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """All differences between two versions; `patch` turns the older one's canonical JSON into the newer one's."""

    level: Level
    reasons: tuple[ChangeReason, ...]
    patch: tuple[dict[str, Any], ...]


def export_bytes(document: Mapping[str, Any]) -> bytes:
    """Write a blueprint's canonical JSON as RFC 8785 has it: the same bytes for the same blueprint, wherever it was."""
    try:
        return rfc8785.dumps(document)
    except rfc8785.IntegerDomainError:  # a number that RFC 8785 has no form for, such as a bound of a form
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def classify(old: ProcessDefinition, new: ProcessDefinition) -> Change:
    """Compare two versions of a blueprint; the version numbers themselves are no difference."""
    before, after = (_whole(blueprint) for blueprint in (old, new))
    reasons = [
        *_variables(before["variables"], after["variables"]),
        *_stages(before, after),
        *_graph(before.get("graph_spec"), after.get("graph_spec")),
        *_ends(old, new),
        *_top(before, after),
    ]
    patch = tuple(jsonpatch.make_patch(canonical(old), canonical(new)).patch)
    if not reasons and any(step["path"] != "/version" for step in patch):
        reasons.append(_reason("patch", "", "only the way it is written has changed"))
    level: Level = _ORDER[max((_ORDER.index(reason.level) for reason in reasons), default=0)]
    ordered = sorted(reasons, key=lambda reason: -_ORDER.index(reason.level))
    return Change(level=level, reasons=tuple(ordered), patch=patch)


def least_version(old: str, level: Level) -> str:
    """Return the lowest version that may follow `old` after a change of this level; below 1.0.0 a major one is 0.y."""
    version = Version.parse(old).finalize_version()
    if Version.parse(old).prerelease:
        return str(version)  # a pre-release promises nothing
    if level == "major":
        return str(version.bump_minor() if version.major == 0 else version.bump_major())
    if level == "minor" and version.major > 0:
        return str(version.bump_minor())
    return str(version.bump_patch())


def baseline(version: str, published: Iterable[str]) -> str | None:
    """Return the version that `version` follows: the highest release below it, else the highest of all that there are.

    None where nothing has been released.
    """
    wanted = Version.parse(version)
    releases = [text for text in published if text != version and not Version.parse(text).prerelease]
    below = [text for text in releases if Version.parse(text) < wanted]
    return max(below or releases, key=lambda text: (Version.parse(text), text), default=None)


def check_bump(old: ProcessDefinition, new: ProcessDefinition) -> Change:
    """Return how two versions differ; raises BlueprintInvalid about /version where the number rose too little."""
    change = classify(old, new)
    least = least_version(old.version, change.level)
    # A pre-release may carry the number that its release will have.
    if Version.parse(new.version).finalize_version() >= Version.parse(least):
        return change
    said = [reason.message for reason in change.reasons if reason.level == change.level]
    why = shortened(joined("; ", said), 500)
    message = (
        sentence(
            "{version} is too low: since {version_2} there is a {level} change ({why}); write {least} or higher",
            version=new.version,
            version_2=old.version,
            level=change.level,
            why=why,
            least=least,
        )
        if change.level != "none"
        else sentence(
            "{version} is lower than {version_2}, which is published; write {least} or higher",
            version=new.version,
            version_2=old.version,
            least=least,
        )
    )
    raise BlueprintInvalid(message, problems=(Problem(pointer="/version", message=message),))


def _whole(definition: ProcessDefinition) -> dict[str, Any]:
    """Return the definition with its defaults, so that a default that is written out is no difference."""
    return definition.model_dump(mode="json", by_alias=True)


def _reason(level: Level, pointer: str, message: str) -> ChangeReason:
    return ChangeReason(level=level, pointer=pointer, message=as_sentence(message))


def _variables(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> Iterable[ChangeReason]:
    before, after = _by(old, "name"), _by(new, "name")
    for name, (index, variable) in after.items():
        here = f"/variables/{index}"
        if name in before:
            yield from _shape(sentence("variable {name!r}", name=name), before[name][1], variable, here)
        elif variable.get("required") and variable.get("default") is None:
            yield _reason("major", here, sentence("variable {name!r} is new and has to be given", name=name))
        else:
            yield _reason("minor", here, sentence("variable {name!r} is new, and may be left out", name=name))
    for name, (index, _) in before.items():
        if name not in after:
            yield _reason("major", f"/variables/{index}", sentence("variable {name!r} is gone", name=name))


def _shape(what: str, old: Mapping[str, Any], new: Mapping[str, Any], here: str) -> Iterable[ChangeReason]:
    if old["type"] != new["type"]:
        yield _reason(
            "major",
            f"{here}/type",
            sentence("{what} is {type} where it was {was}", what=what, type=new["type"], was=old["type"]),
        )
        return
    needed = [shape.get("required") and shape.get("default") is None for shape in (old, new)]
    if needed[0] != needed[1]:
        if needed[1]:
            yield _reason("major", f"{here}/required", sentence("{what} has to be given now", what=what))
        else:
            yield _reason("minor", f"{here}/required", sentence("{what} may be left out now", what=what))
    elif old.get("default") != new.get("default"):
        message = _change_text(sentence("the default of {what}", what=what), old.get("default"), new.get("default"))
        yield _reason("minor", f"{here}/default", message)
    for name in (*_FLOORS, *_CEILINGS):
        if old.get(name) != new.get(name):
            yield _bound(what, name, old.get(name), new.get(name), here)
    yield from _choices(what, old.get("enum"), new.get("enum"), here)
    for name in ("pattern", "currency"):
        if old.get(name) != new.get(name):
            level = "minor" if new.get(name) is None else "major"
            message = _change_text(sentence("the {name} of {what}", name=name, what=what), old.get(name), new.get(name))
            yield _reason(level, f"{here}/{name}", message)  # type: ignore[arg-type]  # of these two
    if old.get("items") and new.get("items"):
        yield from _shape(sentence("an item of {what}", what=what), old["items"], new["items"], f"{here}/items")
    yield from _members(what, old.get("properties") or {}, new.get("properties") or {}, here)
    if any(old.get(name) != new.get(name) for name in _LOOKS):
        yield _reason("patch", here, sentence("the texts about {what} have changed", what=what))


def _members(what: str, old: Mapping[str, Any], new: Mapping[str, Any], here: str) -> Iterable[ChangeReason]:
    for name in sorted(old.keys() | new.keys()):
        at, member = f"{here}/properties/{name}", sentence("{name!r} of {what}", name=name, what=what)
        if name not in new:
            yield _reason("major", at, sentence("{member} is gone", member=member))
        elif name not in old:
            level: Level = "major" if new[name].get("required") and new[name].get("default") is None else "minor"
            yield _reason(level, at, sentence("{member} is new", member=member))
        else:
            yield from _shape(member, old[name], new[name], at)


def _bound(what: str, name: str, old: Any, new: Any, here: str) -> ChangeReason:
    tighter = _above if name in _FLOORS else _below
    narrows = new is not None and (old is None or tighter(new, old))
    if narrows:
        told = sentence("{what} takes less: {name} is {new}, and was {old}", what=what, name=name, new=new, old=old)
    else:
        told = sentence("{what} takes more: {name} is {new}, and was {old}", what=what, name=name, new=new, old=old)
    return _reason("major" if narrows else "minor", f"{here}/{name}", told)


def _above(new: Any, old: Any) -> bool:
    return bool(_comparable(new) > _comparable(old))


def _below(new: Any, old: Any) -> bool:
    return bool(_comparable(new) < _comparable(old))


def _comparable(value: Any) -> Any:
    """Numbers may be written as text, and compare as numbers; dates and moments compare as text."""
    try:
        return (0, Decimal(str(value)), "")
    except InvalidOperation:
        return (1, Decimal(0), str(value))


def _choices(what: str, old: Sequence[Any] | None, new: Sequence[Any] | None, here: str) -> Iterable[ChangeReason]:
    if old == new:
        return
    known = [json.dumps(value) for value in old or ()]
    offered = [json.dumps(value) for value in new or ()]
    gone = [text for text in known if text not in offered]
    more = [text for text in offered if text not in known]
    if new is not None and (old is None or gone):
        if gone:
            why = sentence("{what} no longer takes {gone}", what=what, gone=", ".join(gone))
        else:
            why = sentence("{what} takes only some values now", what=what)
        yield _reason("major", f"{here}/enum", why)
    elif more or new is None:
        yield _reason(
            "minor",
            f"{here}/enum",
            sentence("{what} takes {more} as well", what=what, more=", ".join(more) or sentence("any value")),
        )
    else:
        yield _reason("patch", f"{here}/enum", sentence("the values of {what} are in another order", what=what))


def _stages(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[ChangeReason]:
    old, new = _by(before["process_steps"], "stage_name"), _by(after["process_steps"], "stage_name")
    for name, (index, step) in new.items():
        here = f"/process_steps/{index}"
        if name not in old:
            yield _reason("minor", here, sentence("stage {name!r} is new", name=name))
            continue
        was = old[name][1]
        yield from _form(name, was.get("form"), step.get("form"), here)
        fields = sorted(key for key in step if step[key] != was[key] and key not in {"form", *_LOOKS})
        for key in fields:
            yield _reason(
                "minor",
                f"{here}/{key}",
                _change_text(sentence("{key} of stage {name!r}", key=key, name=name), was[key], step[key]),
            )
        if any(was.get(key) != step.get(key) for key in _LOOKS):
            yield _reason("patch", here, sentence("the texts about stage {name!r} have changed", name=name))
    for name, (index, _) in old.items():
        if name not in new:
            yield _reason(
                "major",
                f"/process_steps/{index}",
                sentence("stage {name!r} is gone, also for tasks that wait in it", name=name),
            )
    kept = [[name for name in steps if name in old and name in new] for steps in (old, new)]
    if kept[0] != kept[1]:
        level: Level = "patch" if before.get("graph_spec") and after.get("graph_spec") else "minor"
        yield _reason(level, "/process_steps", "the stages are in another order")


def _form(stage: str, old: Any, new: Any, here: str) -> Iterable[ChangeReason]:
    """Compare forms: programs fill them in, and break where a form newly demands or refuses something."""
    if old == new:
        return
    if new is None:
        yield _reason("major", f"{here}/form", sentence("stage {stage!r} has no form any more", stage=stage))
    elif old is None:
        level: Level = "major" if new.get("required") else "minor"
        yield _reason(level, f"{here}/form", sentence("stage {stage!r} has a form now", stage=stage))
    else:
        more = set(new.get("required", ())) - set(old.get("required", ()))
        level = "major" if more or set(old.get("properties", ())) - set(new.get("properties", ())) else "minor"
        yield _reason(level, f"{here}/form", sentence("the form of stage {stage!r} has changed", stage=stage))


def _graph(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterable[ChangeReason]:
    if old is None or new is None:
        if old != new:
            drawn = "the process is drawn as a graph now" if new else "the process is a straight chain now"
            yield _reason("minor", "/graph_spec", drawn)
        return
    before, after = _by(old["nodes"], "id"), _by(new["nodes"], "id")
    looks = False
    for name, (index, node) in after.items():
        here = f"/graph_spec/nodes/{index}"
        if name not in before:
            yield _reason("minor", here, sentence("{type} node {name!r} is new", type=node["type"], name=name))
            continue
        was = before[name][1]
        if was["type"] != node["type"]:
            yield _reason(
                "minor",
                f"{here}/type",
                sentence(
                    "node {name!r} is a {type} where it was a {was}",
                    name=name,
                    type=node["type"],
                    was=was["type"],
                ),
            )
        else:
            for key in sorted(key for key in _bare(node) if node[key] != was[key]):
                message = _change_text(
                    sentence("{key} of {type} node {name!r}", key=key, type=node["type"], name=name),
                    was[key],
                    node[key],
                )
                yield _reason("minor", f"{here}/{key}", message)
        looks = looks or (was != node and _bare(was) == _bare(node))
    for name, (index, node) in before.items():
        if name not in after:
            yield _reason(
                "minor",
                f"/graph_spec/nodes/{index}",
                sentence("{type} node {name!r} is gone", type=node["type"], name=name),
            )
    if _by_source(old["edges"]) != _by_source(new["edges"]):
        yield from _edges(old["edges"], new["edges"])
    elif old["edges"] != new["edges"] or list(before) != list(after) or looks:
        yield _reason("patch", "/graph_spec", "the drawing has changed")


def _bare(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in {"x", "y", "name", "description"}}


def _edges(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterable[ChangeReason]:
    """Compare edges by source, target and result; several such edges in their order."""
    before, after = _by_ends(old), _by_ends(new)
    for key, (index, edge) in after.items():
        here = f"/graph_spec/edges/{index}"
        if key not in before:
            yield _reason("minor", here, _new_edge(edge))
            continue
        was = before[key][1]
        for name in ("condition", "default"):
            if edge.get(name) != was.get(name):
                message = _change_text(
                    sentence("{name} of {edge_text}", name=name, edge_text=_edge_text(edge)),
                    was.get(name),
                    edge.get(name),
                )
                yield _reason("minor", f"{here}/{name}", message)
    for key, (index, edge) in before.items():
        if key not in after:
            yield _reason("minor", f"/graph_spec/edges/{index}", sentence("{edge} is gone", edge=_edge_text(edge)))
    kept = [[key for key in edges if key in before and key in after] for edges in (before, after)]
    for source in dict.fromkeys(key[0] for key in kept[1]):
        if [key for key in kept[0] if key[0] == source] != [key for key in kept[1] if key[0] == source]:
            yield _reason(
                "minor", "/graph_spec/edges", sentence("the edges from {source!r} are in another order", source=source)
            )


_Ends = tuple[str, str, str | None, int]


def _by_ends(edges: Sequence[Mapping[str, Any]]) -> dict[_Ends, tuple[int, Mapping[str, Any]]]:
    found: dict[_Ends, tuple[int, Mapping[str, Any]]] = {}
    for index, edge in enumerate(edges):
        same = sum(key[:3] == (edge["from"], edge["to"], edge.get("on")) for key in found)
        found[edge["from"], edge["to"], edge.get("on"), same] = index, edge
    return found


def _edge_text(edge: Mapping[str, Any]) -> str:
    if edge.get("on"):
        return sentence(
            "the edge from {source!r} to {target!r} on {result}",
            source=edge["from"],
            target=edge["to"],
            result=edge["on"],
        )
    return sentence("the edge from {source!r} to {target!r}", source=edge["from"], target=edge["to"])


def _new_edge(edge: Mapping[str, Any]) -> str:
    if edge.get("condition"):
        return sentence("{edge} is new, where {condition}", edge=_edge_text(edge), condition=edge["condition"])
    return sentence("{edge} is new", edge=_edge_text(edge))


def _change_text(what: str, old: Any, new: Any) -> str:
    """Describe the new and the old value, where both are short."""
    texts = [_words(value) for value in (new, old)]
    if any(len(text) > _LONGEST_VALUE for text in texts):
        return sentence("{what} has changed", what=what)
    return sentence("{what} is {new}, and was {old}", what=what, new=texts[0], old=texts[1])


def _words(value: Any) -> str:
    if value is None:
        return sentence("none")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _by_source(edges: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Edges by where they begin: their order counts there, and nowhere else."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for edge in edges:
        found.setdefault(edge["from"], []).append(edge)
    return found


def _ends(old: ProcessDefinition, new: ProcessDefinition) -> Iterable[ChangeReason]:
    before, after = _outcomes(old), _outcomes(new)
    for outcome in sorted(before - after):
        yield _reason("major", "/graph_spec/nodes", sentence("no request ends {outcome!r} any more", outcome=outcome))
    for outcome in sorted(after - before):
        yield _reason("minor", "/graph_spec/nodes", sentence("requests can end {outcome!r} now", outcome=outcome))


def _outcomes(definition: ProcessDefinition) -> set[str]:
    if definition.graph_spec is None:
        return {"approved", "rejected"}
    outcomes = (type_of(node).outcome(node) for node in definition.graph_spec.nodes)
    return {outcome for outcome in outcomes if outcome is not None}


def _top(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[ChangeReason]:
    told = {"name", "version", "variables", "process_steps", "graph_spec", "settings"}
    for key in sorted((before.keys() | after.keys()) - told):
        if before.get(key) != after.get(key):
            level: Level = "major" if key == "template_type" else "patch" if key in _LOOKS else "minor"
            yield _reason(level, f"/{key}", _change_text(key, before.get(key), after.get(key)))
    settings = [side.get("settings") or {} for side in (before, after)]
    for key in sorted(settings[0].keys() | settings[1].keys()):
        if settings[0].get(key) != settings[1].get(key):
            message = _change_text(
                sentence("{key} of the settings", key=key), settings[0].get(key), settings[1].get(key)
            )
            yield _reason("minor", f"/settings/{key}", message)


def _by(parts: Sequence[dict[str, Any]], key: str) -> dict[str, tuple[int, dict[str, Any]]]:
    return {part[key]: (index, part) for index, part in enumerate(parts)}
