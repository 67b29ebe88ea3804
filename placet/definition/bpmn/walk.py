"""The walk through a process, from its start: every element that is reached becomes a node, or is passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from placet.definition.bpmn.build import Arrival, BranchFrame, Build, Context, Fork
from placet.definition.bpmn.elements import events, gateways, services, tasks
from placet.definition.bpmn.elements.branches import BranchMerge, frames_inside, meeting_of
from placet.definition.bpmn.file.reader import Flow, Part
from placet.definition.bpmn.file.words import says, slug
from placet.sentences import sentence

TASKS = {"userTask", "manualTask", "task"}
SERVICES = {"serviceTask", "sendTask", "scriptTask", "businessRuleTask"}
RETURNED = "returned"  # where the file goes back and a process cannot
_DONE = "completed"


@dataclass(slots=True, kw_only=True)
class Walk:
    """One walk: `reach` comes to an element, `run` follows all that is still to be followed."""

    build: Build
    earlier: dict[str, set[str]] = field(default_factory=dict)  # by fork: what comes before it

    def run(self) -> None:
        """Follow what is left."""
        while self.build.todo:
            self.build.todo.popleft()()

    def begin(self) -> str:
        """Make the trigger, and go on from it."""
        build = self.build
        part = build.flat.parts[build.flat.entry]
        begins = part.kind == "startEvent"
        trigger = build.node(part.id, "trigger", part.name if begins else "")
        if begins:
            build.made[part.id, ()] = trigger
            build.account.mapped(part.id, "requests begin here")
            if part.events:
                build.account.assumed(part.id, "requests begin when somebody starts them, not by this event")
            self.go_on(part, trigger, ())
        else:
            build.todo.append(lambda: build.edge(trigger, self.reach(part.id, ())))
        return trigger

    def follow(self, flow: Flow, context: Context) -> str:
        """Return the node to which a flow leads."""
        self.build.along(flow)
        return self.reach(flow.target, context, flow.id)

    def reach(self, ident: str, context: Context, via: str = "") -> str:
        """Return the node that an element becomes in a context, made when it is met first; `via`: by which flow."""
        build = self.build
        seen: set[tuple[str, Context]] = set()
        while (ident, context) not in build.made:
            part = build.flat.parts[ident]
            if self._returns(ident, context):
                build.account.lost(
                    via, "it would start branches that are already going on, so the request ends here instead"
                )
                return build.end(RETURNED)
            if (ident, context) in seen:
                build.account.lost(ident, "it leads in a circle in which nothing is done; the request ends here")
                return build.end(_DONE)
            seen.add((ident, context))
            if part.inner is not None:
                services.enter(build, part)
                raced = events.around(self, part, context)
                if raced is not None:
                    return raced
                ident, context = f"{ident}.in", (*context, BranchFrame(ident, -1))
                continue
            outs = build.flat.outs.get(ident, [])
            passed = self._passes(part, outs, context)
            if not passed:
                return self._make(part, context)
            build.along(outs[0])
            ident, via = outs[0].target, outs[0].id
        return build.made[ident, context]

    def _returns(self, ident: str, context: Context) -> bool:
        """Whether this leads out of a branch back to before its fork."""
        return any(frame.branch >= 0 and ident in self._earlier(frame.name) for frame in context)

    def _earlier(self, fork: str) -> set[str]:
        found = self.earlier.get(fork)
        if found is None:
            flat, part = self.build.flat, self.build.forks[fork].part
            level = flat.level[part.id]
            entry = f"{level}.in" if level else flat.entry
            outside = flat.distances(entry, around={part.id})
            found = self.earlier[fork] = {one for one in flat.before(part.id) if one in outside} | {part.id}
        return found

    def onward(self, part: Part, context: Context) -> str:
        """Return where an element leads: along its one flow, into its branches, or to its end where it has none."""
        last = f"{part.id}.out" if part.inner is not None else part.id
        outs = self.build.flat.outs.get(last, [])
        if not outs:
            return self.ended(part, context, _DONE)
        if len(outs) == 1 and (outs[0].condition is None or part.kind == "boundaryEvent"):
            return self.follow(outs[0], context)
        return gateways.split(self, part, outs, context, own=False)

    def go_on(self, part: Part, node: str, context: Context, **facts: str) -> None:
        """Lead a node on to where its element leads, later."""
        build = self.build
        outs = build.flat.outs.get(part.id, [])
        via = outs[0].id if len(outs) == 1 else None
        build.todo.append(lambda: build.edge(node, self.onward(part, context), via, **facts))

    # Ends

    def ended(self, part: Part, context: Context, outcome: str) -> str:
        """Return what follows where a token ends: the end of its branch, of its sub-process, or of the request."""
        build = self.build
        if not context:
            own = part.id if part.kind == "endEvent" else None
            return (
                build.made.setdefault((part.id, ()), build.end(outcome, part.name, ident=own))
                if own
                else build.end(outcome)
            )
        frame = context[-1]
        if frame.branch < 0:
            return self.reach(f"{frame.name}.out", context[:-1])
        fork = build.forks[frame.name]
        if fork.closing is None:
            return self.arrive(context, part, outcome)
        if any(one.branch < 0 for one in context):
            build.account.assumed(
                part.id,
                sentence("its branch counts as arrived at {closing!r}, which waits for it", closing=fork.closing),
            )
            return self.reach(fork.closing, context)
        build.account.assumed(
            part.id,
            sentence(
                "the other branches end too, for {closing!r} would wait for this one for ever", closing=fork.closing
            ),
        )
        return build.end(outcome, part.name, ident=part.id)

    def arrive(self, context: Context, part: Part, outcome: str, inner: Sequence[Arrival] = ()) -> str:
        """Return what stands for the end of a branch until all of them are known."""
        frame = context[-1]
        fork = self.build.forks[frame.name]
        stub = f"~{frame.name}~{frame.branch}~{part.id}~{outcome}"
        if all(arrival.stub != stub for arrival in fork.arrivals):
            fork.arrivals.append(Arrival(stub=stub, branch=frame.branch, outcome=outcome, inner=list(inner)))
        return stub

    # Forks

    def fork(
        self, part: Part, outs: Sequence[Flow], context: Context, conditions: Mapping[str, str], *, own: bool
    ) -> str:
        """Take several flows at once; those with a condition only where it holds. `own`: the element is the split."""
        build = self.build
        meeting = meeting_of(build, part, outs)
        ident = part.id if own and not build.flat.joins(part) else f"{part.id}.fork"
        node = self._forked(part, ident, meeting, context, conditions)
        if own:
            build.made.setdefault((part.id, context), node)
        return node

    def _forked(self, part: Part, ident: str, meeting: BranchMerge, context: Context, given: Mapping[str, str]) -> str:
        build, branches, closing = self.build, meeting.branches, meeting.closing
        node = build.node(ident, "fork", part.name if ident == part.id else "")
        build.forks[node] = Fork(node=node, part=part, context=context, branches=len(branches), closing=closing)

        def lead() -> None:
            for number, branch in enumerate(branches):
                inside = (*context, BranchFrame(node, number))
                if isinstance(branch, Flow):
                    build.edge(node, self._optional(part, branch, inside, given.get(branch.id)), branch.id)
                    continue
                flows = [flow for flow in branch if isinstance(flow, Flow)]
                inner = meeting_of(build, part, flows)
                build.edge(node, self._forked(part, f"{ident}.n", inner, inside, given))

        build.todo.append(lead)
        return node

    def _optional(self, part: Part, flow: Flow, context: Context, condition: str | None) -> str:
        """Lead into a branch; where its condition does not hold it is over at once."""
        if condition is None:
            return self.follow(flow, context)
        build = self.build
        node = build.node(f"{flow.id}.if", "decision", flow.name)
        build.edge(node, self.follow(flow, context), flow.id, condition=condition)
        closing = build.forks[context[-1].name].closing
        if closing is not None:
            build.edge(node, self.reach(closing, context), default=True)
        else:
            build.edge(node, self.arrive(context, part, ""), default=True)
        return node

    # What is passed, and what becomes a node

    def _passes(self, part: Part, outs: Sequence[Flow], context: Context) -> bool:
        """Say whether an element does nothing here and has one flow out; adds its remark."""
        build = self.build
        if len(outs) != 1 or outs[0].condition is not None:
            return False
        if part.kind in {"pass", "startEvent"}:
            build.account.mapped(part.id, "its sub-process begins here")
            return True
        if part.kind in TASKS:
            return tasks.passes(build, part)
        if part.kind == "callActivity":
            return services.called(build, part) is None
        if part.kind.endswith("ThrowEvent") or (
            part.kind == "intermediateCatchEvent" and "linkEventDefinition" in part.events
        ):
            events.thrown(build, part)
            return True
        if part.kind.endswith("Gateway") and part.kind != "eventBasedGateway":
            return self._merges(part, context)
        return part.kind not in {*TASKS, *SERVICES, "endEvent", "receiveTask", "intermediateCatchEvent"}

    def _merges(self, part: Part, context: Context) -> bool:
        """Say whether a gateway with one flow out waits for nothing here."""
        build = self.build
        if not build.flat.joins(part):
            if part.kind == "complexGateway":
                build.account.lost(part.id, "its rule is not taken over; each branch that arrives here goes on")
            build.account.mapped(part.id, "a request that arrives here goes on")
            return True
        forks = [build.forks[frame.name] for frame in frames_inside(context)]
        if any(fork.closing == part.id for fork in forks):
            return False
        if part.kind == "inclusiveGateway" or not forks:
            build.account.mapped(part.id, "one branch arrives at a time, and goes on")
        if part.kind == "parallelGateway":
            build.account.lost(
                part.id, "no fork's branches all come together here; each branch that arrives here goes on by itself"
            )
        return True

    def _make(self, part: Part, context: Context) -> str:
        build = self.build
        outs = build.flat.outs.get(part.id, [])
        if part.kind in TASKS:
            if not tasks.passes(build, part):
                return tasks.approve(self, part, context)
            return self.onward(part, context)
        if part.kind in SERVICES:
            return services.act(self, part, context)
        if part.kind == "callActivity" and (name := services.called(build, part)) is not None:
            return services.call(self, part, context, name)
        if part.kind == "endEvent":
            return self._finish(part, context)
        if part.kind in {"intermediateCatchEvent", "receiveTask"} and "linkEventDefinition" not in part.events:
            return events.wait(self, part, context)
        if build.flat.joins(part) and (joined := self._join(part, context)) is not None:
            return joined
        if part.kind.endswith("ThrowEvent"):
            events.thrown(build, part)
        if not outs:
            build.account.mapped(part.id, "the branch that arrives here has ended")
            return self.ended(part, context, _DONE)
        return gateways.split(self, part, outs, context, own=True)

    def _join(self, part: Part, context: Context) -> str | None:
        build = self.build
        frames = frames_inside(context)
        forks = [build.forks[frame.name] for frame in frames]
        if not forks or all(fork.closing != part.id for fork in forks):
            return None
        inner = forks[0]
        if inner.closing != part.id:
            outer = next(fork for fork in forks if fork.closing == part.id)
            build.account.assumed(
                part.id,
                sentence(
                    "the branches of {id!r} end together before one of them counts as arrived here", id=inner.part.id
                ),
            )
            if inner.closing is None and inner.leads_to in {None, part.id}:
                inner.leads_to = part.id
                return self.arrive(context, part, _DONE)
            build.account.lost(
                part.id,
                sentence(
                    "branches of {inner!r} and {outer!r} cross; they meet earlier",
                    inner=inner.part.id,
                    outer=outer.part.id,
                ),
            )
            return (
                build.made[part.id, context]
                if (part.id, context) in build.made
                else self.reach(str(inner.closing), context)
                if inner.closing
                else self.arrive(context, part, _DONE)
            )
        if inner.join is None:
            inner.join = build.node(part.id, "join", part.name, need="all")
            build.account.mapped(part.id, sentence("the branches of {id!r} come together here", id=inner.part.id))
            join, outer_context = inner.join, inner.context
            outs = build.flat.outs.get(part.id, [])
            via = outs[0].id if len(outs) == 1 else None
            build.todo.append(lambda: build.edge(join, self._behind(part, outs, outer_context), via))
        return inner.join

    def _behind(self, part: Part, outs: Sequence[Flow], context: Context) -> str:
        if not outs:
            return self.ended(part, context, _DONE)
        if len(outs) == 1 and outs[0].condition is None:
            return self.follow(outs[0], context)
        return gateways.split(self, part, outs, context, own=False)

    def _finish(self, part: Part, context: Context) -> str:
        build = self.build
        if "terminateEventDefinition" in part.events:
            return self._terminate(part, context)
        faulty = {"errorEventDefinition", "cancelEventDefinition"} & set(part.events)
        outcome = says(part.name) or slug(part.name, "failed" if faulty else _DONE)
        caught = events.caught(self, part, context) if part.events else None
        if caught is not None:
            return caught
        if faulty and not any(frame.branch < 0 for frame in context):
            build.account.mapped(
                part.id, sentence("the request ends here as {outcome}, whatever else goes on", outcome=outcome)
            )
            return build.made.setdefault((part.id, context), build.end(outcome, part.name, ident=part.id))
        if part.events and not faulty:
            build.account.lost(part.id, "its message is not sent; the end itself is kept")
        build.account.mapped(part.id, _end_of(context, outcome))
        return self.ended(part, context, outcome)

    def _terminate(self, part: Part, context: Context) -> str:
        build = self.build
        depth = next((n for n in range(len(context), 0, -1) if context[n - 1].branch < 0), 0)
        if not depth:
            outcome = says(part.name) or slug(part.name, _DONE)
            build.account.mapped(
                part.id, sentence("the request ends here as {outcome}, whatever else goes on", outcome=outcome)
            )
            return build.made.setdefault((part.id, context), build.end(outcome, part.name, ident=part.id))
        build.account.mapped(part.id, "its sub-process ends here, whatever else goes on in it")
        forks = [build.forks[frame.name] for frame in context[depth:]]
        if len(forks) == 1 and not forks[0].raced:
            return self._stop(forks[0])
        if forks:
            build.account.lost(part.id, "it does not end the other branches of its sub-process: they are waited for")
        return self.ended(part, context, _DONE)

    def _stop(self, fork: Fork) -> str:
        """Return the join at which one branch of a sub-process ends all of it."""
        build = self.build
        if fork.stop is None:
            stop = fork.stop = build.node(f"{fork.part.id}.stop", "join", need="any")
            outer = fork.context
            build.todo.append(lambda: build.edge(stop, self.reach(f"{outer[-1].name}.out", outer[:-1])))
        return fork.stop


def _end_of(context: Context, outcome: str) -> str:
    if not context:
        return sentence("the request ends here as {outcome}", outcome=outcome)
    if context[-1].branch < 0:
        return sentence("its sub-process ends here")
    return sentence("its branch ends here; the request goes on in the others")
