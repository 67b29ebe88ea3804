"""Migration: a running request goes on under another version of its process, with everything that has happened.

A move never decides anything. Whatever is going on has to have its place in the other version: an approval is known by
the name of its stage, every other node by its id. Where something has none, all of it is refused and nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from placet.branching import Frames
from placet.clocks import follow
from placet.content import content_digest
from placet.directory import NEVER
from placet.errors import DoesNotMap, EvaluationFailed, InputInvalid, NotPermitted, Overtaken, Problem, Refused
from placet.events import Migrate
from placet.forms import check_text
from placet.plan import Plan, Point
from placet.pointer import pointer_to
from placet.points import Frame, Stage
from placet.policy import decided_elsewhere, reachable, verdict
from placet.reasons import because
from placet.rights import require_running
from placet.run import Run
from placet.sealed import Sealed, sealed
from placet.state import Gathering, StageRun, Task, Waiting
from placet.upgrades import upgraded_plan
from placet.values import evolve
from placet.variables import normalise_input
from placet.waits import pause_of, until_of


def migrate(run: Run, event: Migrate) -> None:
    """Put the request onto another version; raises DoesNotMap with everything that has no place there.

    Where the request follows that very version already, nothing changes.
    """
    require_running(run)
    old, new = run.plan, upgraded_plan(event.plan)
    _require_mover(run, event)
    reason = check_text(event.reason, "/reason")
    if (new.version, new.digest) == (old.version, old.digest):
        return
    if event.seq is not None and event.seq != run.seq:
        raise Overtaken
    problems: list[Problem] = []
    before = run.state.input
    given = _input(run.state.input, new, problems)
    theirs = _input(run.state.given or {}, new, problems)
    moved = _stages(run, new, problems)
    _errands(run, new, problems)
    _waiting(run, new, problems)
    _gatherings(run, new, moved, problems)
    if not problems:
        _branches(run, new, moved, problems)
    if problems:
        raise DoesNotMap(_summary(new, problems), problems=tuple(problems))

    stale = new.owner != old.owner or new.names != old.names  # other people have to be looked up
    written = tuple(name for name in run.state.written if name in {v.name for v in new.variables})
    run.set(input=given, written=written, **({"directory_at": NEVER} if stale else {}))
    _keep_revision(run, new, theirs)
    if new.on_change == "restart" and run.state.returned_at is None and any(s.returned_at for s in run.stages.values()):
        run.set(returned_at=run.now)  # from here on every branch stands still until the request is resubmitted
    stages = {task.id: run.stage_of(task) for task in run.open_tasks()}
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
    for task in run.open_tasks():
        _follow(run, task, stages[task.id], old)
    for name, wait in list(run.waits.items()):
        run.waits[name] = _resumed(run, wait, old.points[name], old)


def _keep_revision(run: Run, new: Plan, theirs: dict[str, Any]) -> None:
    """Keep the revision and the approvals; the digest also tells which version the content is for."""
    digest = content_digest(new, run.state.title, theirs)
    run.set(given=theirs, content_digest=digest)
    for task in run.open_tasks():
        run.change(task, content_digest=digest)


def _require_mover(run: Run, event: Migrate) -> None:
    if not event.by.admin:
        raise NotPermitted("Only an admin can move a request to another version.")
    if event.by.person == run.state.requester:
        raise NotPermitted("Nobody moves their own request to other rules; another admin can.")
    if event.plan.name != run.plan.name:
        raise Refused(f"The request is one of {run.plan.name!r}; name a version of that process.")


def _summary(new: Plan, problems: list[Problem]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"The request cannot go on under version {new.version}: {problems[0].message}{more}"


def _shown(plan: Plan, given: Mapping[str, Any], changed: list[str]) -> dict[str, Any]:
    values = {name: given[name] for name in changed if name in given}
    return {"version": plan.version, "digest": plan.digest, **({"input": Sealed(values)} if changed else {})}


def _input(given: Mapping[str, Any], new: Plan, problems: list[Problem]) -> dict[str, Any]:
    """Return the variables as the new version declares them; what it does not know is left behind, on record."""
    declared = {variable.name for variable in new.variables}
    known = {name: value for name, value in given.items() if name in declared}
    try:
        return normalise_input(new.variables, known)
    except InputInvalid as error:
        problems += (problem for problem in error.problems if problem not in problems)
        return known


def _stages(run: Run, new: Plan, problems: list[Problem]) -> dict[str, str]:
    """Find the node of every stage that is going on; return them by the nodes they were at."""
    moved: dict[str, str] = {}
    for place, stage_run in run.stages.items():
        before = run.stage_at(place)
        here = pointer_to("/stages", before.name)
        found = _homes(new, place, before.name)
        if len(found) != 1:
            why = "has several nodes there, and none of them is" if found else "is gone there; it is open at node"
            problems.append(Problem(pointer=here, message=f"stage {before.name!r} {why} {place!r}"))
            continue
        if found[0] in moved.values():
            message = f"two stages that are open would both be at node {found[0]!r}"
            problems.append(Problem(pointer=here, message=message))
            continue
        moved[place] = found[0]
        stage = new.points[found[0]].stage
        if stage is not None and stage_run.returned_at is None:
            problems += (Problem(pointer=here, message=m) for m in _unfit(run, stage_run, before, stage))
    return moved


def _homes(new: Plan, place: str, stage: str) -> list[str]:
    """List the nodes that a stage can be at: the one of the same id where it has that stage, else all that have."""
    found = [point.id for point in new.points.values() if point.asked is not None and point.asked.name == stage]
    return [place] if place in found else found


def _unfit(run: Run, stage_run: StageRun, before: Stage, stage: Stage) -> Iterator[str]:
    """Say why a stage's seats and votes cannot be counted by other rules. The seats stay as they were filled."""
    name = repr(stage.name)
    if stage.order != before.order and len(stage_run.seats) > 1:
        yield f"stage {name} asks its people {stage.order} there, and has begun to ask them {before.order}"
    if not reachable(stage.need, stage_run.seats, stage_run.intended):
        yield f"the quorum of stage {name} there can never be met by the {len(stage_run.seats)} seats that it opened"
    elif result := verdict(run, stage_run, stage):
        yield f"by the votes so far stage {name} would be {result} there at once; move it when the stage is settled"
    if stage.repeat != "forbid":
        return
    for task in run.tasks_of(stage_run):
        if task.status == "open" and task.people:
            barred = [person for person in task.people if decided_elsewhere(run, person, stage_run.point)]
            if len(barred) == len(task.people):
                yield f"user:{barred[0]} decided another stage, and may not decide {name} there; reassign {task.id}"


def _errands(run: Run, new: Plan, problems: list[Problem]) -> None:
    """Find the nodes of the actions and sub-processes that run: what they come to has to be what is asked for."""
    for place, what in (*((p, "action") for p in run.actions), *((p, "sub-process") for p in run.children)):
        point, errand = new.points.get(place), run.point(place).errand
        why = None
        if point is None or point.type != run.point(place).type:
            why = f"node {place!r} is gone there, and its {what} is under way"
        elif errand is None or point.errand is None or errand.name != point.errand.name:
            why = f"node {place!r} runs another {what} there, and this one is under way"
        elif errand.output != point.errand.output:
            why = f"node {place!r} takes something else from its {what} there, which is under way"
        if why is not None:
            problems.append(Problem(pointer=pointer_to("/nodes", place), message=f"{why}; move it when that has ended"))


def _waiting(run: Run, new: Plan, problems: list[Problem]) -> None:
    for place, wait in run.waits.items():
        point = new.points.get(place)
        why = None
        if point is None or point.type != "wait":
            why = f"node {place!r} is gone there, and the request waits at it"
        elif pause_of(point).event != wait.event:
            why = f"node {place!r} waits for {pause_of(point).event or 'a time'} there, not {wait.event or 'a time'}"
        if why is not None:
            problems.append(Problem(pointer=pointer_to("/nodes", place), message=why))


def _gatherings(run: Run, new: Plan, moved: Mapping[str, str], problems: list[Problem]) -> None:
    """Find the joins at which branches have arrived, and translate which branches those were."""
    for place, gathering in list(run.joins.items()):
        point, before = new.points.get(place), run.point(place)
        join = point.join if point is not None else None
        fork = new.points[join.fork] if join is not None else None
        here = pointer_to("/nodes", place)
        if join is None or fork is None or before.join is None:
            problems.append(Problem(pointer=here, message=f"join {place!r} is gone there, and branches have arrived"))
            continue
        ways = _translated(run.point(before.join.fork), fork, moved)
        arrived = tuple(sorted(ways.get(way, -1) for way in gathering.arrived))
        if len(set(arrived)) < len(arrived) or not set(arrived) <= set(join.ways):
            message = f"branches that have arrived at join {place!r} do not lead to it there"
            problems.append(Problem(pointer=here, message=message))
        elif len(arrived) >= join.need:
            message = f"enough branches have arrived at join {place!r} for that version; move it when it has gone on"
            problems.append(Problem(pointer=here, message=message))
        else:
            run.joins[place] = Gathering(point=place, arrived=arrived)


def _translated(before: Point, after: Point, moved: Mapping[str, str]) -> dict[int, int]:
    """Say which way of a fork is which: those that lead to the same node, and of the others those at the same place."""
    free = dict(enumerate(way.target for way in after.ways))
    same: dict[int, int] = {}
    for n, way in enumerate(before.ways):
        target = moved.get(way.target, way.target)
        there = next((m for m, to in free.items() if to == target), None)
        if there is not None:
            same[n] = there
            del free[there]
    return same | {n: n for n in range(len(before.ways)) if n not in same and n in free}


def _branches(run: Run, new: Plan, moved: Mapping[str, str], problems: list[Problem]) -> None:
    """Refuse what would leave a branch of a fork in two places, or in none: a join would wait for it for ever."""
    names = [*moved.values(), *run.waits, *run.actions, *run.children]
    places: list[tuple[str, Frames]] = [(name, new.points[name].frames) for name in names]
    for name, gathering in run.joins.items():
        point = new.points[name]
        fork = point.join.fork if point.join is not None else name
        places += [(name, (*point.frames, Frame(fork=fork, way=way))) for way in gathering.arrived]
    for index, (name, frames) in enumerate(places):
        here = pointer_to("/nodes", name)
        for other, others in places[index + 1 :]:
            depth = min(len(frames), len(others))
            if frames[:depth] == others[:depth]:
                message = f"{name!r} and {other!r} are one after the other there, and the request is at both"
                problems.append(Problem(pointer=here, message=message))
        for depth, frame in enumerate(frames):
            taken = {o[depth].way for _, o in places if o[:depth] == frames[:depth] and len(o) > depth}
            if empty := set(range(len(new.points[frame.fork].ways))) - taken:
                targets = ", ".join(new.points[frame.fork].ways[way].target for way in sorted(empty))
                message = f"{name!r} is in a branch of {frame.fork!r} there, and that of {targets} is empty"
                problems.append(Problem(pointer=here, message=message))
                break


def _rename(run: Run, old: Plan, moved: Mapping[str, str]) -> None:
    """Let stages and tasks belong to the nodes of the new version, also those that were settled long ago.

    A node of another stage may have the id of one that is gone: what was decided there is not what is decided here.
    """
    open_at = set(moved.values())

    def place_of(at: str, stage: str) -> str:
        place = moved.get(at)
        if place is None:
            homes = _homes(run.plan, at, stage)
            place = homes[0] if len(homes) == 1 and homes[0] not in open_at else at
            point = run.plan.points.get(place)
            if place in open_at or (point is not None and (point.asked is None or point.asked.name != stage)):
                place = f"{at}@{old.version}"
        return place

    run.stages = {moved[place]: evolve(stage_run, point=moved[place]) for place, stage_run in run.stages.items()}
    for task in list(run.tasks.values()):
        if (place := place_of(task.point, task.stage)) != task.point:
            run.change(task, point=place)
    run.votes = [replace(vote, point=place_of(vote.point, vote.stage)) for vote in run.votes]


def _follow(run: Run, task: Task, before: Stage, old: Plan) -> None:
    changed = follow(run, task, before, old.calendar)
    if changed.due_at != task.due_at:
        run.record(
            "extended",
            task=changed,
            why=because("deadline_of_version", version=run.plan.version),
            before={"due_at": task.due_at},
            after={"due_at": changed.due_at},
        )
        run.tell("extended", *changed.people, task=changed, due_at=changed.due_at)


def _resumed(run: Run, wait: Waiting, before: Point, old: Plan) -> Waiting:
    """Return a wait by the rule of its node as it is now: counted from when it began, where the rule is another."""
    was, now = pause_of(before), pause_of(run.point(wait.point))
    rules = [(p.hours, p.until, p.timeout) for p in (was, now)]
    if rules[0] == rules[1] and old.calendar == run.calendar:
        return wait
    try:
        return replace(wait, until=until_of(run, now, wait.since))
    except EvaluationFailed as error:
        problem = Problem(pointer=pointer_to("/nodes", wait.point), message=error.message)
        raise DoesNotMap(_summary(run.plan, [problem]), problems=(problem,)) from error
