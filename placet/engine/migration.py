"""Migration: a running request goes on under another version of its process, with everything that has happened.

A move decides nothing. Everything that is going on needs a place in the other version: an approval is identified by the
name of its stage, every other node by its id. Where one thing has no place, the whole move is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from placet.audit.reasons import because
from placet.audit.sealed import Sealed, sealed
from placet.definition.json_schema.forms import check_text
from placet.definition.variables import normalise_input
from placet.directory import NEVER
from placet.engine.content import content_digest
from placet.engine.events import Migrate
from placet.engine.run import Run
from placet.engine.state import Task
from placet.errors import DoesNotMap, EvaluationFailed, InputInvalid, NotPermitted, Overtaken, Problem, Refused
from placet.frozen import evolve
from placet.json_pointer import pointer_to
from placet.nodes.approval import homes
from placet.nodes.base import Frames, MigrationContext
from placet.nodes.registry import type_at
from placet.plan.graph import Frame, Stage
from placet.plan.plan import Plan
from placet.sentences import sentence
from placet.tasks.deadlines import follow
from placet.tasks.permissions import require_running


def migrate(run: Run, event: Migrate) -> None:
    """Move the request to another version; raises DoesNotMap with everything that has no place there.

    Nothing changes where the request follows that version already.
    """
    require_running(run)
    old, new = run.plan, event.plan
    _require_mover(run, event)
    reason = check_text(event.reason, "/reason")
    if (new.version, new.digest) == (old.version, old.digest):
        return
    if event.seq is not None and event.seq != run.seq:
        raise Overtaken
    problems: list[Problem] = []
    before = run.state.input
    given = _input(run.state.input, new, problems)
    theirs = _input(run.state.given, new, problems)
    move = MigrationContext(plan=new, moved={}, problems=problems)
    for place in (*run.stages, *run.actions, *run.children, *run.waits, *run.joins):
        node = run.node(place)
        type_at(node).migrate(run, node, move)
    moved = move.moved
    if not problems:
        _branches(run, new, moved, problems)
    if problems:
        raise DoesNotMap(_summary(new, problems), problems=tuple(problems))

    stale = new.owner != old.owner or new.names != old.names  # other people have to be looked up
    written = tuple(name for name in run.state.written if name in {v.name for v in new.variables})
    run.set(input=given, written=written, **({"directory_at": NEVER} if stale else {}))
    _keep_revision(run, new, theirs)
    if new.on_change == "restart" and run.state.returned_at is None and any(s.returned_at for s in run.stages.values()):
        run.set(returned_at=run.now)  # from here on every branch is suspended until the request is resubmitted
    stages = {task.id: run.stage_of(task) for task in run.unsettled_tasks()}
    run.plan, run.moved_to = new, event.template_id
    _rename(run, old, moved)
    changed = [name for name in sorted({*before, *given}) if before.get(name) != given.get(name)]
    run.record(
        "migrated",
        actor=event.by.name,
        why=sealed(reason),
        nodes={place: to for place, to in moved.items() if place != to} or None,
        before=_shown(old, before, changed),
        after=_shown(new, given, changed),
    )
    for task in run.unsettled_tasks():
        _follow(run, task, stages[task.id], old)
    for place in list(run.waits):
        _follow_wait(run, place, old)


def _keep_revision(run: Run, new: Plan, theirs: dict[str, Any]) -> None:
    """Keep the revision and the approvals; the digest also covers the version that the content is for."""
    digest = content_digest(new, run.state.title, theirs, run.state.attachments, run.state.action)
    run.set(given=theirs, content_digest=digest)
    for task in run.open_tasks():
        run.change(task, content_digest=digest)


def _require_mover(run: Run, event: Migrate) -> None:
    if not event.by.admin:
        raise NotPermitted("Only an admin can move a request to another version.")
    if event.by.person == run.state.requester:
        raise NotPermitted("Nobody may move their own request to another version; ask another admin.")
    if event.plan.name != run.plan.name:
        raise Refused(sentence("The request is one of {name!r}; name a version of that process.", name=run.plan.name))


def _summary(new: Plan, problems: list[Problem]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"The request cannot go on under version {new.version}: {problems[0].message}{more}"


def _shown(plan: Plan, given: Mapping[str, Any], changed: list[str]) -> dict[str, Any]:
    values = {name: given[name] for name in changed if name in given}
    return {"version": plan.version, "digest": plan.digest, **({"input": Sealed(values)} if changed else {})}


def _input(given: Mapping[str, Any], new: Plan, problems: list[Problem]) -> dict[str, Any]:
    """Return the variables as the new version declares them; others are dropped, and that is recorded."""
    declared = {variable.name for variable in new.variables}
    known = {name: value for name, value in given.items() if name in declared}
    try:
        return normalise_input(new.variables, known)
    except InputInvalid as error:
        problems += (problem for problem in error.problems if problem not in problems)
        return known


def _branches(run: Run, new: Plan, moved: Mapping[str, str], problems: list[Problem]) -> None:
    """Refuse a move that would leave a branch of a fork in two places or in none: a join would wait for it forever."""
    names = [*moved.values(), *run.waits, *run.actions, *run.children]
    places: list[tuple[str, Frames]] = [(name, new.nodes[name].frames) for name in names]
    for name, gathering in run.joins.items():
        node = new.nodes[name]
        fork = node.join.fork if node.join is not None else name
        places += [(name, (*node.frames, Frame(fork=fork, edge=edge))) for edge in gathering.arrived]
    for index, (name, frames) in enumerate(places):
        here = pointer_to("/nodes", name)
        for other, others in places[index + 1 :]:
            depth = min(len(frames), len(others))
            if frames[:depth] == others[:depth]:
                message = sentence(
                    "{name!r} and {other!r} follow each other in that version, and the request is at both",
                    name=name,
                    other=other,
                )
                problems.append(Problem(pointer=here, message=message))
        for depth, frame in enumerate(frames):
            taken = {o[depth].edge for _, o in places if o[:depth] == frames[:depth] and len(o) > depth}
            if empty := set(range(len(new.nodes[frame.fork].edges))) - taken:
                targets = ", ".join(new.nodes[frame.fork].edges[edge].target for edge in sorted(empty))
                why = f"and nothing is in the branch of {targets}"
                message = sentence(
                    "{name!r} is in a branch of {fork!r} in that version, {why}", name=name, fork=frame.fork, why=why
                )
                problems.append(Problem(pointer=here, message=message))
                break


def _rename(run: Run, old: Plan, moved: Mapping[str, str]) -> None:
    """Assign stages and tasks to the nodes of the new version, also those that were settled long ago.

    A node of another stage may have the id of a node that is gone; decisions that were made at the old one do not count
    for it.
    """
    open_at = set(moved.values())

    def place_of(at: str, stage: str) -> str:
        place = moved.get(at)
        if place is None:
            found = homes(run.plan, at, stage)
            place = found[0] if len(found) == 1 and found[0] not in open_at else at
            node = run.plan.nodes.get(place)
            if place in open_at or (node is not None and (node.asked is None or node.asked.name != stage)):
                place = f"{at}@{old.version}"
        return place

    run.stages = {moved[place]: evolve(stage_run, node=moved[place]) for place, stage_run in run.stages.items()}
    for task in list(run.tasks.values()):
        if (place := place_of(task.node, task.stage)) != task.node:
            run.change(task, node=place)
    run.votes = [replace(vote, node=place_of(vote.node, vote.stage)) for vote in run.votes]
    run.set(added=tuple(replace(one, node=place_of(one.node, one.stage)) for one in run.state.added))


def _follow(run: Run, task: Task, before: Stage, old: Plan) -> None:
    changed = follow(run, task, before, old.calendar)
    if changed.due_at != task.due_at and task.status == "open":
        run.record(
            "extended",
            task=changed,
            why=because("deadline_of_version", version=run.plan.version),
            before={"due_at": task.due_at},
            after={"due_at": changed.due_at},
        )
        run.notify("extended", *changed.people, task=changed, due_at=changed.due_at)


def _follow_wait(run: Run, place: str, old: Plan) -> None:
    before = old.nodes[place]
    try:
        type_at(before).follow(run, before, old)
    except EvaluationFailed as error:
        problem = Problem(pointer=pointer_to("/nodes", place), message=error.message)
        raise DoesNotMap(_summary(run.plan, [problem]), problems=(problem,)) from error
