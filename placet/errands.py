"""Errands: what a request has others do for it (catalog actions and sub-processes), and what it takes from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from placet.actions import ActionCall
from placet.audit import canonical_json, exact
from placet.errors import EvaluationFailed, InputInvalid
from placet.events import ActionDone, ChildEnded
from placet.facts import values_at
from placet.fields import LONGEST_TITLE
from placet.fillings import fill, taken
from placet.points import Errand, Point
from placet.reasons import Reason, because
from placet.run import Run
from placet.sealed import Sealed
from placet.stages import open_stage
from placet.state import ChildCall, Held, Result
from placet.variables import Variable, normalise_input

_LONGEST_ERROR = 500  # characters of what went wrong, as entries keep it
UNFINISHED = frozenset({"failed", "cancelled", "withdrawn"})  # outcomes of a sub-process that came to nothing


def begin_action(run: Run, point: Point, *, again: bool = False) -> tuple[str, Reason | None] | None:
    """Have an action run; returns its result at once where it has one, None while it runs.

    That is ("failed", why) where its input cannot be computed, and what it came to before where the request goes again
    from its first node and asks for the same. What must not be done twice without a word asks the owner first, unless
    it is `again` because they said so.
    """
    errand = errand_of(point)
    visit = run.visit(point.id)
    try:
        given = fill(errand.input, values_at(run), run.allowance)
    except EvaluationFailed as error:
        return "failed", _failed(run, "action_failed", point, because("input_not_computed", cause=error.reason))
    if (kept := _kept(run, point, given)) is not None and kept.ok:
        return _keep(run, point, kept)
    stray = next((c for c in run.strays if (c.point, c.action, c.input) == (point.id, errand.name, given)), None)
    if stray is not None:
        run.strays.remove(stray)
        run.actions[point.id] = stray
        run.record("action_kept", node=point.id, action=errand.name, visit=stray.visit)
        return None
    before = _earlier(run, point)
    if again:
        run.results = [r for r in run.results if r not in before[:1]]
    elif point.repetition is not None and (before or any(c.point == point.id for c in run.strays)):
        open_stage(run, point)
        return None
    # It goes into headers, which take no other letters; what ASCII an id had before stays as it is.
    key = f"{run.state.request_id}:{quote(point.id, safe=':')}:{visit}"
    call = ActionCall(key=key, point=point.id, visit=visit, action=errand.name, input=given)
    run.actions[point.id] = call
    run.record("action_started", node=point.id, action=errand.name, visit=visit, input=Sealed(given))
    return None


def answer_repetition(run: Run, point: Point, answer: str) -> tuple[str, Reason | None] | None:
    """Do as the owner says: run an action again, or let stand what it came to; as `begin_action` otherwise."""
    if answer == "approved":
        return begin_action(run, point, again=True)
    before = next((r for r in _earlier(run, point) if r.ok), None)
    if before is None:
        return "failed", _failed(run, "action_failed", point, because("not_let_again"))
    return _keep(run, point, before)


def end_action(run: Run, point: Point, event: ActionDone) -> tuple[str, Reason | None]:
    """Take the result of an action that runs; returns ("done" or "failed", why)."""
    call = run.actions.pop(point.id)
    held = Held(point=point.id, visit=call.visit, ok=event.ok, output=event.output)
    run.keep_result(lambda: result_of(run, held, call, counts_for=run.state.material))
    if not event.ok:
        return "failed", _failed(run, "action_failed", point, reported(event), action=call.action)
    try:
        before, after = set_variables(run, errand_of(point).output, event.output, "/output")
    except InputInvalid as error:
        return "failed", _failed(run, "action_failed", point, because("output_unfit", cause=error.reason))
    run.record(
        "action_run", node=point.id, action=call.action, visit=call.visit, before=Sealed(before), after=Sealed(after)
    )
    return "done", None


def begin_child(run: Run, point: Point) -> tuple[str, Reason | None] | None:
    """Start a sub-process; returns its result at once where it has one, as `begin_action` does, else None."""
    errand = errand_of(point)
    child = run.plan.children[errand.name]
    visit = run.visit(point.id)
    try:
        given = fill(errand.input, values_at(run), run.allowance)
        given = normalise_input(child.plan.variables, given)
    except (EvaluationFailed, InputInvalid) as error:
        return "failed", _failed(run, "child_failed", point, because("input_unfit", cause=error.reason))
    if (kept := _kept(run, point, given)) is not None and kept.outcome not in UNFINISHED:
        return _keep(run, point, kept)
    call = ChildCall(
        request_id=f"{run.state.request_id}~{sum(run.state.visits.values())}",
        point=point.id,
        visit=visit,
        child=errand.name,
        title=f"{child.plan.name}: {run.state.title}"[:LONGEST_TITLE],
        input=given,
    )
    run.children[point.id] = call
    run.record(
        "child_started",
        node=point.id,
        request=call.request_id,
        blueprint=child.plan.name,
        version=child.plan.version,
        input=Sealed(given),
    )
    return None


def end_child(run: Run, point: Point, event: ChildEnded) -> tuple[str, Reason | None]:
    """Take the outcome of a sub-process; returns it, or ("failed", why)."""
    call = run.children.pop(point.id)
    held = Held(point=point.id, visit=call.visit, output=event.output, outcome=event.outcome)
    run.keep_result(lambda: result_of(run, held, call, counts_for=run.state.material))
    outcome = event.outcome
    why: Reason | None = None
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if outcome not in UNFINISHED:
        try:
            before, after = set_variables(run, errand_of(point).output, event.output, "/output")
        except InputInvalid as error:
            outcome, why = "failed", because("result_unfit", cause=error.reason)
    run.record(
        "child_ended",
        node=point.id,
        request=call.request_id,
        outcome=outcome,
        why=why,
        before=Sealed(before),
        after=Sealed(after),
    )
    return outcome, why or because("child_came_to", request=call.request_id, outcome=outcome)


def result_of(run: Run, held: Held, call: ActionCall | ChildCall, *, counts_for: int) -> Result:
    """Return what is remembered of what came of a call."""
    point = run.plan.points.get(call.point)
    output = point.errand.output if point is not None and point.errand is not None else {}
    return Result(
        point=call.point,
        visit=call.visit,
        name=call.action if isinstance(call, ActionCall) else call.child,
        given=_fingerprint(call.input),
        ok=held.ok,
        counts_for=counts_for,
        output={variable: taken(held.output, source) for variable, source in output.items()} if held.ok else {},
        outcome=held.outcome,
        request_id=call.request_id if isinstance(call, ChildCall) else None,
    )


def _earlier(run: Run, point: Point) -> list[Result]:
    """List what a node came to for revisions that are void, oldest first, and has not been used again since."""
    return [r for r in run.results if r.point == point.id and r.counts_for < run.state.material]


def _kept(run: Run, point: Point, given: Mapping[str, Any]) -> Result | None:
    """Return what a node came to when it was asked for the same."""
    errand = errand_of(point)
    same = [r for r in _earlier(run, point) if r.name == errand.name and r.output.keys() == errand.output.keys()]
    if not same:
        return None
    fingerprint = _fingerprint(given)
    return next((r for r in same if r.given == fingerprint), None)


def _keep(run: Run, point: Point, kept: Result) -> tuple[str, Reason | None]:
    """Let what a node came to before count for this revision too."""
    run.results[run.results.index(kept)] = replace(kept, counts_for=run.state.material)
    try:
        before, after = set_variables(run, {name: name for name in kept.output}, kept.output, "/output")
    except InputInvalid as error:  # another version declares the variables in another way
        kind = "action_failed" if kept.outcome is None else "child_failed"
        return "failed", _failed(run, kind, point, because("output_unfit", cause=error.reason))
    if kept.outcome is None:
        run.record(
            "action_kept", node=point.id, action=kept.name, visit=kept.visit, before=Sealed(before), after=Sealed(after)
        )
        return "done", None
    run.record(
        "child_kept",
        node=point.id,
        request=kept.request_id,
        outcome=kept.outcome,
        before=Sealed(before),
        after=Sealed(after),
    )
    return kept.outcome, because("child_came_to", request=kept.request_id, outcome=kept.outcome)


def _fingerprint(given: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(exact(given))).hexdigest()


def set_variables(
    run: Run, output: Mapping[str, str], given: Mapping[str, Any], pointer: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set the variables that `output` names from what came back; returns their values before and after.

    What is not there unsets a variable. Raises InputInvalid where a value does not fit the variable's declaration.
    """
    if not output:
        return {}, {}
    before = run.state.input
    after = after_output(run.plan.variables, before, output, given, pointer)
    run.set(input=after, written=tuple(sorted({*run.state.written, *output})))
    return {name: before.get(name) for name in output}, {name: after.get(name) for name in output}


def after_output(
    variables: Sequence[Variable],
    before: Mapping[str, Any],
    output: Mapping[str, str],
    given: Mapping[str, Any],
    pointer: str = "/output",
) -> dict[str, Any]:
    """Return the variables' values once `output` has taken theirs from what came back; raises InputInvalid."""
    found = {variable: taken(given, source) for variable, source in output.items()}
    return normalise_input(variables, {**before, **found}, pointer=pointer)


def errand_of(point: Point) -> Errand:
    """Return what an action or sub-process node asks for."""
    assert point.errand is not None, f"{point.id} is an action or a sub-process"  # noqa: S101
    return point.errand


def reported(event: ActionDone) -> Reason:
    """Return why an action failed, by what it said itself."""
    return because("reported", error=Sealed(event.error[:_LONGEST_ERROR])) if event.error else because("unexplained")


def _failed(run: Run, kind: str, point: Point, why: Reason, **detail: Any) -> Reason:
    run.record(kind, node=point.id, why=why, **detail)
    return why
