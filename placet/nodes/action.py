"""Action: a run of something out of the action catalog, whose result is waited for."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from pydantic import Field

from placet.actions import ActionCall, ActionSpec
from placet.definition.steps import SeparationOfDuties, Step
from placet.errands import (
    earlier_results,
    errand_of,
    keep,
    kept_result,
    record_failure,
    reported,
    result_of,
    set_variables,
)
from placet.errors import EvaluationFailed, InputInvalid
from placet.events import ActionDone
from placet.facts import values_at
from placet.fields import LONGEST_TITLE, PlainObject, Title
from placet.fillings import compile_filling, fill
from placet.nodes.approval import migrate_stage, stage_of
from placet.nodes.base import Answer, BaseNode, CameTo, CompilerContext, Entered, Move, Outputs, Written
from placet.nodes.call import CallType
from placet.pointer import pointer_to
from placet.points import Errand, Point, Seating, Stage
from placet.reasons import because
from placet.run import Run
from placet.sealed import Sealed
from placet.stages import close_stage, open_stage
from placet.state import Held


class ActionNode(BaseNode):
    """A run of a catalog action: `{"expr": …}` in `input` is computed, `output` sets variables from what comes back.

    Where the request is changed and comes here again with another input, an action that is not idempotent asks the
    owner before it runs again; with `rerun` it does not.
    """

    type: Literal["action"]
    action: Title
    input: PlainObject = Field(default_factory=dict)
    output: Outputs = Field(default_factory=dict)
    rerun: bool = False


class ActionType(CallType[ActionNode]):
    """Has an action run, and comes to `done` or `failed`."""

    kind = "action"
    runs = "action"
    plain = frozenset({"done"})
    faults = frozenset({"done", "failed"})

    def compile(self, context: CompilerContext, definition: ActionNode, here: str, written: Written) -> Point:
        """Compile its input, and hold the names of its parameters to the catalog."""
        ways = self.compile_ways(context, written)
        context.require_variables(definition.output, here)
        filling = compile_filling(definition.input, context.scope, f"{here}/input", context.problems)
        spec = context.actions.get(definition.action)
        if spec is None:
            known = ", ".join(sorted(context.actions)[:20]) or "none"
            message = f"there is no action {definition.action!r} in the catalog; there are: {known}"
            context.refuse(f"{here}/action", message)
        else:
            _require_parameters(context, definition, spec, here)
        return Point(
            id=definition.id,
            type=self.kind,
            ways=ways,
            errand=Errand(name=definition.action, input=filling, output=dict(definition.output)),
            repetition=_repetition(context, definition, spec),
        )

    def enter(self, run: Run, point: Point) -> Entered:
        """Have it run."""
        return self._begin(run, point, again=False)

    def settle(self, run: Run, point: Point, answer: Answer) -> Entered:
        """Take what it has come to, or what the owner says of running it again."""
        if isinstance(answer, ActionDone):
            return self._end(run, point, answer)
        if not isinstance(answer, str):
            self.unexpected(point, answer)
        close_stage(run, point, answer)
        if answer == "approved":
            return self._begin(run, point, again=True)
        before = next((r for r in earlier_results(run, point) if r.ok), None)
        if before is None:
            return CameTo("failed", record_failure(run, "action_failed", point, because("not_let_again")))
        return CameTo(*keep(run, point, before))

    def migrate(self, run: Run, point: Point, move: Move) -> None:
        """Go on with the same action there, or with asking the owner."""
        if point.id in run.stages:
            migrate_stage(run, point, move)
        else:
            super().migrate(run, point, move)

    def _begin(self, run: Run, point: Point, *, again: bool) -> Entered:
        """Have an action run, unless what it came to before counts.

        It fails at once where its input cannot be computed. Where the request goes again from its first node and asks
        for the same, it comes to what it came to before. What must not be done twice without a word asks the owner
        first, unless it is `again` because they said so.
        """
        errand = errand_of(point)
        visit = run.visit(point.id)
        try:
            given = fill(errand.input, values_at(run), run.allowance)
        except EvaluationFailed as error:
            why = because("input_not_computed", cause=error.reason)
            return CameTo("failed", record_failure(run, "action_failed", point, why))
        if (kept := kept_result(run, point, given)) is not None and kept.ok:
            return CameTo(*keep(run, point, kept))
        stray = next((c for c in run.strays if (c.point, c.action, c.input) == (point.id, errand.name, given)), None)
        if stray is not None:
            run.strays.remove(stray)
            run.actions[point.id] = stray
            run.record("action_kept", node=point.id, action=errand.name, visit=stray.visit)
            return None
        before = earlier_results(run, point)
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

    def _end(self, run: Run, point: Point, event: ActionDone) -> Entered:
        call = run.actions.pop(point.id)
        held = Held(point=point.id, visit=call.visit, ok=event.ok, output=event.output)
        run.keep_result(lambda: result_of(run, held, call, counts_for=run.state.material))
        if not event.ok:
            why = record_failure(run, "action_failed", point, reported(event), action=call.action)
            return CameTo("failed", why)
        try:
            before, after = set_variables(run, errand_of(point).output, event.output, "/output")
        except InputInvalid as error:
            why = because("output_unfit", cause=error.reason)
            return CameTo("failed", record_failure(run, "action_failed", point, why))
        run.record(
            "action_run",
            node=point.id,
            action=call.action,
            visit=call.visit,
            before=Sealed(before),
            after=Sealed(after),
        )
        return CameTo("done")


def _require_parameters(context: CompilerContext, definition: ActionNode, spec: ActionSpec, here: str) -> None:
    """Hold the names of an action's parameters to its input schema; the values are known when it runs."""
    known = spec.input_schema.get("properties")
    if isinstance(known, dict) and spec.input_schema.get("additionalProperties") is False:
        for name in definition.input:
            if name not in known:
                names = ", ".join(known) or "none"
                message = f"{definition.action!r} takes no {name!r}; it takes: {names}"
                context.refuse(pointer_to(f"{here}/input", name), message)
    for name in spec.input_schema.get("required", ()):
        if name not in definition.input:
            context.refuse(f"{here}/input", f"{definition.action!r} needs {name!r}; add it")


def _repetition(context: CompilerContext, definition: ActionNode, spec: ActionSpec | None) -> Stage | None:
    """Return the stage in which the owner says whether what must not be done twice is done again."""
    if spec is None or spec.is_idempotent or definition.rerun or context.on_change != "restart":
        return None
    step = Step(
        stage_name=f"Run {definition.action} again"[:LONGEST_TITLE],
        approvers=("owner",),
        separation_of_duties=SeparationOfDuties(repeat="allow"),
    )
    return stage_of(context, step, (Seating(who="owner"),))
