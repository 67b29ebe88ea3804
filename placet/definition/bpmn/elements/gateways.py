"""Gateways: which edge is taken. Every condition of the file is kept, or becomes a question to a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from placet.definition.bpmn.build import Build, Context, ImportedStage
from placet.definition.bpmn.elements import events, tasks
from placet.definition.bpmn.elements.form_fields import Field
from placet.definition.bpmn.elements.outcomes import Choice
from placet.definition.bpmn.file.parser import read_term
from placet.definition.bpmn.file.reader import Flow, Part
from placet.definition.bpmn.file.terms import Term, Unclear, negated
from placet.definition.bpmn.file.words import slug
from placet.expressions.syntax import MAX_SOURCE
from placet.sentences import as_sentence, sentence

if TYPE_CHECKING:
    from placet.definition.bpmn.walk import Walk

_LONGEST = 300  # of a condition that is quoted


def split(walk: Walk, part: Part, outs: Sequence[Flow], context: Context, *, own: bool) -> str:
    """Make the fork, decision or race that takes the flows out of an element; `own`: the element is a gateway."""
    build = walk.build
    gateway = part.kind.endswith("Gateway")
    if (left := tasks.own_flow(build, part, outs)) is not None:
        return walk.follow(left, context)
    if part.kind == "eventBasedGateway":
        return events.race(walk, part, outs, context)
    if part.kind == "parallelGateway" or (not gateway and not any(flow.condition for flow in outs)):
        if own and gateway:
            build.account.mapped(part.id, "all of its edges are taken at once")
        return walk.fork(part, outs, context, {}, own=own)
    if part.kind == "inclusiveGateway" or (not gateway and not _exclusive(part, outs)):
        if gateway:
            build.account.mapped(part.id, "each of its edges whose condition holds is taken")
        return _some(walk, part, outs, context, own=own)
    if part.kind == "complexGateway":
        build.account.lost(part.id, "its rule is not taken over: exactly one of its edges is taken")
    return decide(walk, part, outs, context, own=own)


def decide(walk: Walk, part: Part, outs: Sequence[Flow], context: Context, *, own: bool) -> str:
    """Make a decision of the flows out of an element, of which one is taken."""
    build = walk.build
    default = _default(build, part, outs)
    asked = [flow for flow in outs if flow.id != default]
    try:
        choices: list[Choice] = [(flow, read_term(flow.condition or "")) for flow in asked]
        for _, term in choices:
            if term is not None:
                build.scope.condition(term)
    except Unclear as error:
        if any(flow.condition for flow in asked):
            for flow in asked:
                if flow.condition:
                    said = " ".join(flow.condition.split())[:_LONGEST]
                    build.account.lost(
                        flow.id,
                        sentence(
                            "its condition {said} is not taken over: a person chooses the edge instead", said=said
                        ),
                    )
            build.account.assumed(part.id, sentence("its conditions cannot be taken over ({error})", error=error.why))
        return _asked(walk, part, outs, context, default, own=own)
    choices += [(flow, None) for flow in outs if flow.id == default]
    return choose(walk, part, choices, context, own=own)


def choose(
    walk: Walk, part: Part, choices: Sequence[Choice], context: Context, *, own: bool, name: str | None = None
) -> str:
    """Make a decision of flows with conditions, the last without one being the default; one flow alone needs none."""
    build = walk.build
    if len(choices) == 1 and choices[0][1] is None:
        return walk.follow(choices[0][0], context)
    written = [(flow, condition(build, part, term) if term is not None else None) for flow, term in choices]
    shown = part.name if own else ""
    node = build.node(part.id if own else f"{part.id}.way", "decision", shown if name is None else name)
    build.decides[node] = part.id
    if own:
        build.made.setdefault((part.id, context), node)
    told = ", ".join(text for _, text in written if text is not None)[:_LONGEST]
    build.account.mapped(part.id, sentence("a decision on {told}", told=told) if told else "a decision")

    def lead() -> None:
        for flow, text in written:
            facts = {"default": True} if text is None else {"condition": text}
            if text is not None and flow.id:
                build.account.mapped(flow.id, sentence("it is taken where {text}", text=text[:_LONGEST]))
                build.told_offset(flow.id, flow.condition or "")
            build.edge(node, walk.follow(flow, context), flow.id, **facts)

    build.todo.append(lead)
    return node


def condition(build: Build, part: Part, term: Term) -> str:
    """Write a condition, and note what it reads, and where; raises Unclear."""
    text = build.scope.condition(term)
    for name in sorted(term.names()):
        build.read[build.scope.name_of(name)] = None
        build.readers.setdefault(build.scope.name_of(name), part.id)
    return text


def _default(build: Build, part: Part, outs: Sequence[Flow]) -> str | None:
    if any(flow.id == part.default for flow in outs):
        return part.default
    plain = [flow for flow in outs if flow.condition is None]
    if len(plain) == 1 and len(outs) > 1:
        build.account.assumed(
            part.id, sentence("{id!r} has no condition, so it is taken where no other flow is", id=plain[0].id)
        )
        return plain[0].id
    return None


def _exclusive(part: Part, outs: Sequence[Flow]) -> bool:
    """Whether at most one of the conditions can hold, as can be seen without thinking."""
    asked = [flow for flow in outs if flow.id != part.default]
    try:
        terms = [read_term(flow.condition or "") for flow in asked]
    except Unclear:
        return False
    return all(_apart(one, other) for n, one in enumerate(terms) for other in terms[n + 1 :])


def _apart(one: Term, other: Term) -> bool:
    if negated(one) == other or negated(other) == one:
        return True
    if one.op == other.op == "eq" and one.args[0] == other.args[0]:
        values = (one.args[1], other.args[1])
        return all(value.op in {"text", "number", "bool"} for value in values) and values[0] != values[1]
    return False


def _some(walk: Walk, part: Part, outs: Sequence[Flow], context: Context, *, own: bool) -> str:
    """Make the fork of flows that are taken where their conditions hold, behind a decision whether one does.

    A fork alone would pass over all of its branches, and go on with nobody asked.
    """
    build = walk.build
    conditions = _each(build, part, outs)
    text = " || ".join(f"({one})" for one in conditions.values())
    if part.default in conditions or any(flow.id not in conditions for flow in outs):
        return walk.fork(part, outs, context, conditions, own=own)
    if len(text) > MAX_SOURCE:
        build.account.lost(part.id, "its conditions are too long to ask whether one holds; where none does, it goes on")
        return walk.fork(part, outs, context, conditions, own=own)
    node = build.node(f"{part.id}.any", "decision")
    build.decides[node] = part.id
    build.guards.add(node)
    if own:
        build.made.setdefault((part.id, context), node)
    build.edge(node, walk.fork(part, outs, context, conditions, own=own), condition=text)
    return node


def _each(build: Build, part: Part, outs: Sequence[Flow]) -> dict[str, str]:
    """Return for each flow the condition under which it is taken beside others."""
    found: dict[str, str] = {}
    for flow in outs:
        if flow.id == part.default or (flow.condition is None and not part.kind.endswith("Gateway")):
            continue
        try:
            found[flow.id] = condition(build, part, read_term(flow.condition or ""))
            build.told_offset(flow.id, flow.condition or "")
        except Unclear as error:
            title = flow.name or build.flat.parts[flow.target].name or flow.id
            name = build.fresh(slug(title, "way", longest=50), type="boolean", title=title[:200])
            build.account.assumed(
                part.id,
                sentence(
                    "the input {name!r} says whether {title!r} is done ({error})",
                    name=name,
                    title=title,
                    error=as_sentence(error.why),
                ),
            )
            if flow.condition:
                build.account.lost(
                    flow.id,
                    sentence("its condition {condition} is not taken over", condition=flow.condition[:_LONGEST]),
                )
            found[flow.id] = name
    if part.default in {flow.id for flow in outs} and part.default is not None:
        found[part.default] = "!(" + " || ".join(f"({text})" for text in found.values()) + ")" if found else "true"
    return found


# Questions that somebody answers


def _asked(walk: Walk, part: Part, outs: Sequence[Flow], context: Context, default: str | None, *, own: bool) -> str:
    """Make a decision by a person: the approver right before, else the requester."""
    build = walk.build
    stage = _answering(build, part)
    labels = labels_of(build, outs)
    name = question(build, part.name or (f"{stage.part.name} way" if stage else ""), list(labels.values()), stage, outs)
    whom = (
        sentence("the approver of {stage_name!r} chooses", stage_name=stage.step["stage_name"])
        if stage
        else sentence("the requester chooses")
    )
    build.account.assumed(
        part.id,
        sentence("the file does not say which edge is taken when: {whom} it, in {name!r}", whom=whom, name=name),
    )
    known = Term("name", value=name)
    choices: list[Choice] = [
        (flow, Term("eq", (known, Term("text", value=labels[flow.id])))) for flow in outs if flow.id != default
    ]
    choices += [(flow, None) for flow in outs if flow.id == default]
    return choose(walk, part, choices, context, own=own)


def labels_of(build: Build, outs: Sequence[Flow]) -> dict[str, str]:
    """Return a distinct label for each flow."""
    labels: dict[str, str] = {}
    for flow in outs:
        label = (flow.name or build.flat.parts[flow.target].name or flow.id)[:150]
        labels[flow.id] = label if label not in labels.values() else f"{label} ({flow.id[:40]})"
    return labels


def question(
    build: Build, title: str, values: list[str], stage: ImportedStage | None, outs: Sequence[Flow] = ()
) -> str:
    """Declare a variable with these values; where a stage is given, its approvers fill it in. Returns its name."""
    conditions = "; ".join(f"{flow.name or flow.id}: {flow.condition}" for flow in outs if flow.condition)
    facts = {"type": "string", "enum": values, "title": title or "Which way"}
    name = build.fresh(
        slug(title, "way", longest=50), **facts, **({"description": conditions[:1000]} if conditions else {})
    )
    if stage is not None:
        for one in build.stages:
            if one.part is stage.part:
                one.fields[name] = Field(name=name, title=title or "Which way", required=True, enum=tuple(values))
                one.wanted[name] = None
        build.filled.add(name)
    return name


def _answering(build: Build, part: Part) -> ImportedStage | None:
    """Return the stage right before an element, where nothing else leads there."""
    seen = {part.id}
    at = part
    while True:
        leading = build.flat.ins.get(at.id, [])
        if len(leading) != 1 or leading[0].source in seen:
            return None
        at = build.flat.parts[leading[0].source]
        seen.add(at.id)
        if (stage := build.stage_of(at)) is not None:
            return stage
        if at.kind.endswith("Task") or at.kind in {"task", "callActivity", "startEvent", "pass"}:
            return None
        if len(build.flat.outs.get(at.id, [])) != 1:
            return None
