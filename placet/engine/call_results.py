"""Results of calls (actions and sub-processes): which are kept, when they are used again, and what they set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from placet.audit.chain import canonical_json, exact
from placet.audit.reasons import Reason, because
from placet.audit.sealed import Sealed
from placet.definition.action_spec import ActionCall
from placet.definition.variables import Variable, normalise_input
from placet.engine.events import ActionDone
from placet.engine.run import Run
from placet.engine.state import CallResult, ChildCall, HeldResult
from placet.errors import InputInvalid
from placet.expressions.templates import value_from
from placet.plan.graph import Node

_LONGEST_ERROR = 500  # characters of what went wrong, as entries keep it
UNFINISHED = frozenset({"failed", "cancelled", "withdrawn"})  # outcomes of a sub-process that came to nothing


def result_of(run: Run, held: HeldResult, call: ActionCall | ChildCall, *, counts_for: int) -> CallResult:
    """Return the result of a call as the state keeps it."""
    node = run.plan.nodes.get(call.node)
    output = node.sources if node is not None and node.calls is not None else {}
    return CallResult(
        node=call.node,
        visit=call.visit,
        name=call.action if isinstance(call, ActionCall) else call.child,
        given=_fingerprint(call.input),
        ok=held.ok,
        counts_for=counts_for,
        output={variable: value_from(held.output, source) for variable, source in output.items()} if held.ok else {},
        outcome=held.outcome,
        request_id=call.request_id if isinstance(call, ChildCall) else None,
    )


def earlier_results(run: Run, node: Node) -> list[CallResult]:
    """List a node's results for void revisions, oldest first, that have not been used again since."""
    return [r for r in run.results if r.node == node.id and r.counts_for < run.state.material]


def reusable_result(run: Run, node: Node, given: Mapping[str, Any]) -> CallResult | None:
    """Return the earlier result of a node for the same input."""
    called = (node.calls, node.sources.keys())
    same = [r for r in earlier_results(run, node) if (r.name, r.output.keys()) == called]
    if not same:
        return None
    fingerprint = _fingerprint(given)
    return next((r for r in same if r.given == fingerprint), None)


def reuse_result(run: Run, node: Node, kept: CallResult) -> tuple[str, Reason | None]:
    """Use an earlier result of a node for this revision too."""
    run.results[run.results.index(kept)] = replace(kept, counts_for=run.state.material)
    try:
        before, after = set_variables(run, {name: name for name in kept.output}, kept.output, "/output")
    except InputInvalid as error:  # another version declares the variables differently
        kind = "action_failed" if kept.outcome is None else "child_failed"
        return "failed", record_failure(run, kind, node, because("output_unfit", cause=error.reason))
    if kept.outcome is None:
        run.record(
            "action_kept", node=node.id, action=kept.name, visit=kept.visit, before=Sealed(before), after=Sealed(after)
        )
        return "done", None
    run.record(
        "child_kept",
        node=node.id,
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
    """Set the variables that `output` names from a result; returns their values before and after.

    A variable whose source is missing is unset. Raises InputInvalid where a value does not fit the variable's
    declaration.
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
    """Return the variables with the values that `output` takes from a result; raises InputInvalid."""
    found = {variable: value_from(given, source) for variable, source in output.items()}
    return normalise_input(variables, {**before, **found}, pointer=pointer)


def failure_reason(event: ActionDone) -> Reason:
    """Return why an action failed, from its own error."""
    return because("reported", error=Sealed(event.error[:_LONGEST_ERROR])) if event.error else because("unexplained")


def record_failure(run: Run, kind: str, node: Node, why: Reason, **detail: Any) -> Reason:
    run.record(kind, node=node.id, why=why, **detail)
    return why
