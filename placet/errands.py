"""Errands: what a request has others do for it (catalog actions and sub-processes), and what it takes from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from placet.actions import ActionCall
from placet.errors import EvaluationFailed, InputInvalid
from placet.events import ActionDone, ChildEnded
from placet.fillings import fill, taken
from placet.points import Errand, Point
from placet.reasons import Reason, because
from placet.run import Run
from placet.sealed import Sealed
from placet.state import ChildCall
from placet.variables import Variable, normalise_input, values_of

_LONGEST_ERROR = 500  # characters of what went wrong, as entries keep it
_LONGEST_TITLE = 200


def begin_action(run: Run, point: Point) -> tuple[str, Reason] | None:
    """Have an action run; returns ("failed", why) at once where its input cannot be computed, None while it runs."""
    errand = errand_of(point)
    visit = run.visit(point.id)
    try:
        given = fill(errand.input, values_of(run.plan.variables, run.state.input))
    except EvaluationFailed as error:
        return "failed", _failed(run, "action_failed", point, because("input_not_computed", cause=error.reason))
    key = f"{run.state.request_id}:{point.id}:{visit}"
    call = ActionCall(key=key, point=point.id, visit=visit, action=errand.name, input=given)
    run.actions[point.id] = call
    run.record("action_started", node=point.id, action=errand.name, visit=visit, input=Sealed(given))
    return None


def end_action(run: Run, point: Point, event: ActionDone) -> tuple[str, Reason | None]:
    """Take the result of an action that runs; returns ("done" or "failed", why)."""
    call = run.actions.pop(point.id)
    if not event.ok:
        return "failed", _failed(run, "action_failed", point, reported(event), action=call.action)
    try:
        before, after = set_variables(run, errand_of(point).output, event.output, "/output")
    except InputInvalid as error:
        return "failed", _failed(run, "action_failed", point, because("output_unfit", cause=error.reason))
    run.record(
        "action_run",
        node=point.id,
        action=call.action,
        visit=call.visit,
        before=Sealed(before),
        after=Sealed(after),
    )
    return "done", None


def begin_child(run: Run, point: Point) -> tuple[str, Reason] | None:
    """Start a sub-process; returns ("failed", why) at once where its input does not fit, None while it runs."""
    errand = errand_of(point)
    child = run.plan.children[errand.name]
    visit = run.visit(point.id)
    try:
        given = fill(errand.input, values_of(run.plan.variables, run.state.input))
        given = normalise_input(child.plan.variables, given)
    except (EvaluationFailed, InputInvalid) as error:
        return "failed", _failed(run, "child_failed", point, because("input_unfit", cause=error.reason))
    call = ChildCall(
        request_id=f"{run.state.request_id}~{sum(run.state.visits.values())}",
        point=point.id,
        visit=visit,
        child=errand.name,
        title=f"{child.plan.name}: {run.state.title}"[:_LONGEST_TITLE],
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
    outcome = event.outcome
    why: Reason | None = None
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if outcome not in {"failed", "cancelled", "withdrawn"}:
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
