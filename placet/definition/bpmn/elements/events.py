"""Events: waits, deadlines on tasks, errors, and event-based gateways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from placet.definition.bpmn.build import BranchFrame, Build, Context, Fork
from placet.definition.bpmn.elements.people import variable_of
from placet.definition.bpmn.file.reader import Flow, Part, texts
from placet.definition.bpmn.file.terms import moment_of
from placet.definition.bpmn.file.words import hours_from_now, slug
from placet.sentences import sentence

if TYPE_CHECKING:
    from placet.definition.bpmn.walk import Walk

_TIMER = "timerEventDefinition"
_LEAVING = {  # how an end event leaves a sub-process
    "errorEventDefinition": "errorEventDefinition",
    "escalationEventDefinition": "escalationEventDefinition",
    "cancelEventDefinition": "cancelEventDefinition",
}
_CATCHING = {"intermediateCatchEvent", "receiveTask"}


# Waits


def wait(walk: Walk, part: Part, context: Context) -> str:
    """Make a wait of an event that is waited for, or of a receive task."""
    build = walk.build
    node = build.made[part.id, context] = build.node(part.id, "wait", part.name, **_waits(build, part))
    beside(walk, part, node, context)
    walk.go_on(part, node, context)
    return node


def _waits(build: Build, part: Part) -> dict[str, Any]:
    if _TIMER in part.events:
        facts = _timed(build, part)
        if facts is not None:
            return facts
    name = slug(part.name, slug(part.id, "event"))
    if _TIMER in part.events or "conditionalEventDefinition" in part.events:
        text = next(texts(part.element, "timeDuration", "timeDate", "timeCycle", "condition"), "")[:200]
        build.account.lost(
            part.id,
            sentence(
                "{text} is not taken over; the event {name!r} is waited for instead",
                text=text or sentence("what it waits for"),
                name=name,
            ),
        )
    build.account.mapped(part.id, sentence("it waits until the event {name!r} is reported", name=name))
    return {"event": name}


def _timed(build: Build, part: Part) -> dict[str, Any] | None:
    hours = _hours(part)
    if hours is not None:
        build.account.mapped(part.id, sentence("it waits for {hours:g} hours", hours=hours))
        return {"hours": hours}
    text = next(texts(part.element, "timeDate"), "")
    moment = moment_of(text.strip().lstrip("=").strip().strip("\"'")) if text else None
    if moment is not None:
        build.account.mapped(part.id, sentence("it waits until {until}", until=moment.value))
        build.told_offset(part.id, text)
        return {"until": f'{moment.op}("{moment.value}")'}
    variable = variable_of(text) if text else None
    if variable is None:
        return None
    name = build.scope.declare(variable, "datetime")
    build.read[name] = None
    build.account.mapped(part.id, sentence("it waits until {until}", until=name))
    return {"until": name}


def _hours(part: Part) -> float | None:
    found = (hours_from_now(text) for text in texts(part.element, "timeDuration"))
    return next((hours for hours in found if hours is not None), None)


def thrown(build: Build, part: Part) -> None:
    """Say what becomes of an event that is thrown, or of a link."""
    if "linkEventDefinition" in part.events:
        if part.kind == "intermediateThrowEvent" and part.id not in build.flat.links:
            build.account.lost(part.id, "nothing catches this link")
        build.account.mapped(part.id, "the link is followed")
    elif part.events:
        what = ", ".join(event.removesuffix("EventDefinition") for event in part.events)
        build.account.lost(
            part.id, sentence("its {what} is not sent; add an action where somebody has to be notified", what=what)
        )
    else:
        build.account.mapped(part.id, "the request goes on")


# What sits on a task, an action or a sub-process


def beside(
    walk: Walk,
    part: Part,
    node: str,
    context: Context,
    *,
    step: dict[str, Any] | None = None,
    failing: str | None = None,
) -> None:
    """Take over the events on an element: a timer is the deadline of an approval, an error what follows a failure."""
    build = walk.build
    taken = False
    for event in build.flat.boundaries.get(part.id, []):
        if step is not None and event.events == (_TIMER,):
            taken = _deadline(walk, event, step, taken=taken, expires=(node, context))
        elif failing is not None and event.events == ("errorEventDefinition",) and not taken:
            taken = True
            build.account.mapped(event.id, "it is where the request goes on once this has failed, for whatever reason")
            _leads(walk, event, node, context, failing)
        else:
            _lost(build, event)


def _deadline(walk: Walk, event: Part, step: dict[str, Any], *, taken: bool, expires: tuple[str, Context]) -> bool:
    """Make a deadline or reminders of a timer; returns whether the stage has a timer of its own by now."""
    build = walk.build
    hours = _hours(event)
    cycle = _cycle(event)
    if not event.interrupting and cycle is not None and "reminders" not in step:
        step["reminders"] = {"every_hours": cycle}
        build.account.assumed(
            event.id, sentence("its people are reminded every {cycle:g} hours; its edge is not taken", cycle=cycle)
        )
        return taken
    if hours is None or taken:
        build.account.lost(event.id, "only one timer with a duration can sit on a task; it never fires")
        return taken
    if step.get("sla_hours", hours) != hours:
        build.account.assumed(
            event.id,
            sentence(
                "the task's own due date of {sla_hours:g} hours gives way to this timer", sla_hours=step["sla_hours"]
            ),
        )
    step["sla_hours"] = hours
    build.account.mapped(event.id, sentence("the stage's deadline, after {hours:g} hours", hours=hours))
    if event.interrupting:
        step["final"] = "expire"
        _leads(walk, event, *expires, "expired")
    elif build.flat.outs.get(event.id):
        build.account.lost(event.id, "it became the deadline; its edge beside the task is not taken")
    return True


def _cycle(event: Part) -> float | None:
    for text in texts(event.element, "timeCycle"):
        repeating = re.fullmatch(r"""[="'\s]*R\d*/(?:[^/]*/)?(P[^/"']+)["']?""", text.strip())
        if repeating is not None:
            return hours_from_now(repeating[1])
    return None


def _leads(walk: Walk, event: Part, node: str, context: Context, on: str) -> None:
    outs = walk.build.flat.outs.get(event.id, [])
    via = outs[0].id if len(outs) == 1 else None
    walk.build.todo.append(lambda: walk.build.edge(node, walk.onward(event, context), via, on=on))


def _lost(build: Build, event: Part) -> None:
    what = ", ".join(one.removesuffix("EventDefinition") for one in event.events) or "event"
    build.account.lost(event.id, sentence("its {what} is not watched for here: its edge is never taken", what=what))


# Sub-processes


def around(walk: Walk, part: Part, context: Context) -> str | None:
    """Make a race of a sub-process and the timer on it; None where there is no such timer."""
    build = walk.build
    if (part.id, context) in build.made:
        return build.made[part.id, context]
    boundaries = build.flat.boundaries.get(part.id, [])
    timers = [event for event in boundaries if event.events == (_TIMER,) and event.interrupting and _hours(event)]
    caught = [event for event in boundaries if set(event.events) & set(_LEAVING)]
    for event in boundaries:
        if event not in caught and event not in timers[: 0 if caught else 1]:
            _lost(build, event)
    if not timers or caught:
        return None
    (event, *_), flag = timers, build.fresh(f"{slug(part.name, 'part', longest=40)}_late", type="boolean")
    fork = build.node(f"{part.id}.race", "fork")
    join = build.node(f"{part.id}.over", "join", need="any")
    inside = (*context, BranchFrame(fork, 0))
    build.forks[fork] = Fork(node=fork, part=part, context=context, branches=2, closing=None, join=join, raced=True)
    build.made[f"{part.id}.out", inside] = join
    late = build.sets(f"{event.id}.late", {flag: True}, join)
    timer = build.node(event.id, "wait", event.name, hours=_hours(event))
    build.edge(timer, late)
    build.account.mapped(event.id, "once this time has passed, the sub-process ends and the request goes on from here")
    decision = build.node(f"{part.id}.way", "decision")
    build.edge(join, decision)
    first = build.sets(f"{part.id}.begins", {flag: False}, fork)
    build.made[part.id, context] = first

    def lead() -> None:
        build.edge(fork, walk.reach(f"{part.id}.in", (*inside, BranchFrame(part.id, -1))))
        build.edge(fork, timer)
        build.edge(decision, walk.onward(event, context), condition=flag)
        build.edge(decision, walk.onward(part, context), default=True)

    build.todo.append(lead)
    return first


def caught(walk: Walk, part: Part, context: Context) -> str | None:
    """Return where an end that leaves a sub-process by an error leads: to what catches it; None where nothing does."""
    build = walk.build
    kinds = {_LEAVING[event] for event in part.events if event in _LEAVING}
    depth = next((n for n in range(len(context), 0, -1) if context[n - 1].branch < 0), 0)
    if not kinds or not depth:
        return None
    events = build.flat.boundaries.get(context[depth - 1].name, [])
    matching = [event for event in events if set(event.events) & kinds and event.thrown in {None, part.thrown}]
    if not matching:
        return None
    event = matching[0]
    if depth < len(context):
        build.account.lost(event.id, "it cannot end the other branches of its sub-process; its edge is never taken")
        return None
    build.account.mapped(part.id, sentence("it leads to {event_id!r}", event_id=event.id))
    build.account.mapped(event.id, "what ends in its sub-process with this goes on here")
    return walk.onward(event, context[: depth - 1])


def by_event(build: Build) -> None:
    """Say that sub-processes that an event begins are not there, nor anything in them."""
    for part in build.flat.by_event:
        starts = [one for one in part.inner.parts.values() if one.kind == "startEvent"] if part.inner else []
        what = ", ".join(e.removesuffix("EventDefinition") for start in starts for e in start.events) or "event"
        build.account.lost(part.id, sentence("its {what} is not watched for: what is in it is never done", what=what))
        build.account.lose_inside(
            part.id, sentence("it lies in {part_id!r}, which an event would begin and nothing does", part_id=part.id)
        )


# Whichever happens first


def race(walk: Walk, part: Part, outs: Sequence[Flow], context: Context) -> str:
    """Make an event-based gateway: one wait with a timeout, or several waits of which the first ends the others."""
    build = walk.build
    targets = [build.flat.parts[flow.target] for flow in outs]
    if any(target.kind not in _CATCHING for target in targets):
        build.account.lost(part.id, "only events can follow it; its edges are taken all at once")
        return walk.fork(part, outs, context, {}, own=True)
    build.account.mapped(part.id, "the event that happens first decides the edge")
    for flow in outs:
        build.along(flow)
    timed = [target for target in targets if _TIMER in target.events and _hours(target) is not None]
    if len(targets) == 2 and len(timed) == 1:
        other = next(target for target in targets if target is not timed[0])
        facts = _waits(build, other)
        if "event" in facts:
            build.account.mapped(
                timed[0].id,
                sentence(
                    "the wait for {event!r} ends after {hours:g} hours", event=facts["event"], hours=_hours(timed[0])
                ),
            )
            node = build.node(part.id, "wait", part.name or other.name, **facts, timeout_hours=_hours(timed[0]))
            build.made[part.id, context] = node
            walk.go_on(other, node, context, on="event")
            walk.go_on(timed[0], node, context, on="timeout")
            return node
    return _first(walk, part, targets, context)


def _first(walk: Walk, part: Part, targets: Sequence[Part], context: Context) -> str:
    build = walk.build
    labels = [f"{target.name or target.id}"[:100] for target in targets]
    labels = [label if labels.index(label) == n else f"{label} ({n + 1})" for n, label in enumerate(labels)]
    name = build.fresh(slug(part.name, "happened", longest=50), type="string", enum=labels)
    fork = build.made[part.id, context] = build.node(part.id, "fork", part.name)
    join = build.node(f"{part.id}.first", "join", need="any")
    decision = build.node(f"{part.id}.way", "decision")
    build.forks[fork] = Fork(
        node=fork, part=part, context=context, branches=len(targets), closing=None, join=join, raced=True
    )
    for target, label in zip(targets, labels, strict=True):
        waits = build.node(target.id, "wait", target.name, **_waits(build, target))
        build.edge(fork, waits)
        build.edge(waits, build.sets(f"{target.id}.first", {name: label}, join))
    build.edge(join, decision)

    def lead() -> None:
        for target, label in zip(targets, labels, strict=True):
            escaped = label.replace("\\", "\\\\").replace('"', '\\"')
            build.edge(decision, walk.onward(target, context), condition=f'{name} == "{escaped}"')

    build.todo.append(lead)
    return fork
