"""Automatic tasks: actions of the catalog, other processes, and rules of a DMN file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from placet.definition.bpmn.build import SET, Build, Context
from placet.definition.bpmn.dmn import rules
from placet.definition.bpmn.elements import events
from placet.definition.bpmn.file.reader import Part, attribute, children, texts
from placet.definition.bpmn.file.words import slug
from placet.sentences import sentence

if TYPE_CHECKING:
    from placet.definition.bpmn.walk import Walk


def act(walk: Walk, part: Part, context: Context) -> str:
    """Make an action of a service, send, script or rule task; the rules of a DMN file stand in its place."""
    build = walk.build
    if part.kind == "businessRuleTask" and (decided := rules.decide(walk, part, context)) is not None:
        return decided
    given = [attribute(part.element, "topic", "class", "delegateExpression", "type", "expression") or ""]
    given += [inner.get("type", "") for inner in children(part.element, "taskDefinition")]
    wanted = [text for name in (*given, part.name) for text in (name, slug(name, "")) if name]
    known = next((text for text in wanted if text in build.actions), None)
    node = build.made[part.id, context] = build.node(part.id, "action", part.name, action=known or SET)
    if known is not None:
        build.account.mapped(part.id, sentence("it runs the action {known!r}", known=known))
    else:
        build.account.assumed(
            part.id, sentence("the catalog has no action for it; it does nothing until it names one ({set})", set=SET)
        )
    if part.kind == "scriptTask" and any(texts(part.element, "script")):
        build.account.lost(part.id, "its script is not taken over and does not run")
    repeated(build, part)
    events.beside(walk, part, node, context, failing="failed")
    walk.go_on(part, node, context)
    return node


def called(build: Build, part: Part) -> str | None:
    """Return the published process that a call activity calls; says so where there is none."""
    wanted = [attribute(part.element, "calledElement") or "", part.name]
    wanted += [inner.get("processId", "") for inner in children(part.element, "calledElement")]
    found = next((name for name in wanted if name in build.processes), None)
    if found is None:
        named = next((name for name in wanted if name), part.id)
        build.account.lost(
            part.id,
            sentence(
                "no published process is called {named!r}, so it is left out; publish that, and import again",
                named=named,
            ),
        )
    return found


def call(walk: Walk, part: Part, context: Context, name: str) -> str:
    """Make a sub-process node of a call activity."""
    build = walk.build
    node = build.made[part.id, context] = build.node(part.id, "subprocess", part.name, template=name)
    build.account.assumed(
        part.id,
        "its input and output are not taken over; it goes on once it is approved, else the request ends likewise",
    )
    repeated(build, part)
    events.beside(walk, part, node, context, failing="failed")
    walk.go_on(part, node, context)
    return node


def enter(build: Build, part: Part) -> None:
    """Say what becomes of a sub-process whose content stands in its place."""
    build.account.mapped(part.id, "its content stands in its place")
    if part.kind == "adHocSubProcess":
        build.account.assumed(part.id, "its content is carried out all at once, each element once")
    if part.kind == "transaction":
        build.account.assumed(part.id, "it is not compensated when it is cancelled")
    repeated(build, part)


def repeated(build: Build, part: Part) -> None:
    """Say that a repetition is left out, where there is one of the element itself."""
    own = [child for child in part.element if str(child.tag).rpartition("}")[2].endswith("LoopCharacteristics")]
    if own:
        many = str(own[0].tag).endswith("multiInstanceLoopCharacteristics")
        what = sentence("it is carried out once, not for each item") if many else sentence("it is carried out once")
        build.account.lost(part.id, sentence("its repetition is left out: {what}", what=what))
