"""Preparation of the walk: the variables that people and services fill in, and those that hold decisions."""

from __future__ import annotations

from placet.definition.bpmn.build import Build
from placet.definition.bpmn.elements.form_fields import Field, fields_of
from placet.definition.bpmn.elements.outcomes import paths, root_of
from placet.definition.bpmn.elements.tasks import approves, by_requester
from placet.definition.bpmn.file.parser import read_term
from placet.definition.bpmn.file.reader import Part, attribute, children, tag
from placet.definition.bpmn.file.terms import Unclear
from placet.definition.bpmn.file.words import asks, words

_SERVICES = {"serviceTask", "sendTask", "scriptTask", "businessRuleTask", "callActivity"}
_PLAIN_WORDS = {"approve", "approval", "review", "check", "task", "is", "approved", "rejected", "decision", "the"}


def prepare(build: Build) -> None:
    """Declare what the file says of its variables, and note who fills in which."""
    for item in build.root.iter():
        if tag(item) not in {"property", "dataObject"}:
            continue
        kind = build.types.get(item.get("itemSubjectRef", ""), "")
        name = item.get("name") or item.get("id") or ""
        if kind and name:
            build.scope.declare(name, kind)
    for part in build.flat.parts.values():
        if part.kind == "startEvent":
            build.starters |= {name for name in (attribute(part.element, "initiator"),) if name}
    for part in build.flat.parts.values():
        fields = fields_of(part.element, build.types, build.forms) if part.inner is None else []
        if part.kind == "startEvent" or (part.kind == "userTask" and by_requester(build, part)):
            for field in fields:
                _asked_at_start(build, field, part)
        for field in fields:
            build.scope.declare(field.name, field.type)
            build.given.add(field.name)
        if part.kind in _SERVICES:
            found = attribute(part.element, "resultVariable", "resultVariableName")
            named = {one.get("resultVariable") or "" for one in children(part.element, "calledDecision")}
            build.given |= ({found} if found else set()) | (named - {""})
    build.verdicts = _verdicts(build)


def _asked_at_start(build: Build, field: Field, part: Part) -> None:
    name = build.scope.declare(field.name, field.type)
    first = part.kind == "startEvent" or not any(
        build.flat.parts[one].kind == "userTask" and not by_requester(build, build.flat.parts[one])
        for one in build.flat.before(part.id)
    )
    facts = {"title": field.title} if field.title else {}
    if field.enum:
        build.declared[name] = {"type": field.type, "enum": list(field.enum), **facts}
    else:
        build.declared.setdefault(name, {}).update(facts)
    build.asked[name] = build.asked.get(name, False) or (field.required and first)
    if first:
        build.at_start.add(name)


def _verdicts(build: Build) -> dict[str, tuple[set[str], set[str]]]:
    """Return the variables that say whether something was approved: by which tasks, and where they are read."""
    readers: dict[str, set[str]] = {}
    for source, flows in build.flat.outs.items():
        for flow in flows:
            try:
                term = read_term(flow.condition) if flow.condition else None
            except Unclear:
                continue
            for path in paths(term) if term is not None else ():
                if path.op == "name" and asks(root_of(path)) is not None and not _textual(build, root_of(path)):
                    readers.setdefault(root_of(path), set()).add(source)
    tasks = [part for part in build.flat.parts.values() if approves(build, part)]
    found = {}
    for variable, places in readers.items():
        deciding = {part.id for part in tasks if variable in _filled_in(build, part)}
        if not deciding and variable in build.given:
            continue
        if not deciding:
            deciding = _likely(build, tasks, variable, places)
        if deciding:
            found[variable] = (deciding, places)
    return found


def _textual(build: Build, variable: str) -> bool:
    kind = build.scope.kinds.get(build.scope.name_of(variable))
    return kind is not None and kind.root().of not in {None, "bool"}


def _filled_in(build: Build, part: Part) -> set[str]:
    return {field.name for field in fields_of(part.element, build.types, build.forms)}


def _likely(build: Build, tasks: list[Part], variable: str, places: set[str]) -> set[str]:
    """Return which tasks a variable that nobody declares is most likely about: by name, else the only one before."""
    before = {one for place in places for one in (place, *build.flat.before(place))}
    earlier = [part for part in tasks if part.id in before]
    wanted = set(words(variable)) - _PLAIN_WORDS
    alike = {part.id for part in earlier if wanted & set(words(f"{part.name} {part.id}"))}
    if alike:
        return alike
    right_before = {
        flow.source
        for place in places
        for flow in build.flat.ins.get(place, [])
        if flow.source in {t.id for t in earlier}
    } | ({part.id for part in earlier} & places)
    if right_before:
        return right_before
    return {earlier[0].id} if len(earlier) == 1 else set()
