"""The nodes and edges of a compiled process.

Every default is filled in and every expression is checked. Durations are working time of the plan's calendar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal

from placet.expressions import Expression
from placet.expressions.templates import ValueTemplate
from placet.frozen import stored_as

FinalRule = Literal["wait", "approve", "reject", "expire"]
RepeatRule = Literal["allow", "carry", "forbid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaLevel:
    """One escalation level; `after` counts from the breach, in working time."""

    after: timedelta
    to: str
    action: Literal["reassign", "add", "notify"] = "reassign"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverSpec:
    """One approver that a stage names, and the weight of each seat that the name fills.

    The name is one of placet.definition.assignees. Where an expression chooses the approvers, `when` is the condition
    under which it chooses this one (placet.plan.assignee_expressions).
    """

    who: str
    weight: int = 1
    when: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumRule:
    """How much approval a stage needs: `kind` any, all, at_least (seats), percent (of seats) or weight."""

    kind: Literal["any", "all", "at_least", "percent", "weight"]
    value: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignRule:
    """A decision is signed: by a fresh proof of who decides, and with one of these reasons."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One approval stage with every default filled in; durations are working time of the plan's calendar."""

    name: str
    approvers: tuple[ApproverSpec, ...]
    need: QuorumRule
    rejection: Literal["any", "unreachable"]
    order: Literal["parallel", "sequential"]
    claim: bool
    least_loaded: bool
    sla: timedelta | None
    warn_before: timedelta
    re_escalate_after: timedelta
    levels: tuple[SlaLevel, ...]
    to_the_top: bool  # after the last level, go on with the manager of whoever has the task
    final: FinalRule
    remind_every: timedelta | None
    remind_before: tuple[timedelta, ...]
    form: dict[str, Any] | None
    comment_required: tuple[str, ...]
    repeat: RepeatRule
    critical: timedelta | None = None  # after the deadline
    undo: timedelta | None = None  # by the clock: how long whoever decides may undo that
    ad_hoc: Literal["forbidden"] | None = None  # whether somebody may add an approver for one request
    sign: SignRule | None = None
    agent_principal: Literal["forbid"] | None = None  # whether the principal of the agent that asked may decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An edge from one node to another, and the result or condition on which it is taken."""

    target: str
    on: str | None = None
    condition: Expression | None = None
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One branch of a fork: the fork's id and the number of the branch, from 0."""

    fork: str
    edge: Annotated[int, stored_as("way")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """The point where the branches of `fork` come together.

    The request goes on once `need` of the branches in `edges` have arrived. With `every`, `need` counts all branches of
    the fork; where some of them lead elsewhere, the join may never be complete.
    """

    fork: str
    edges: Annotated[tuple[int, ...], stored_as("ways")]
    need: int
    every: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSpec:
    """What an action or sub-process node runs: `name` is a key of the plan's actions or children.

    `output` gives for each variable the field (or JSON Pointer) of the result that its value is read from.
    """

    name: str
    input: ValueTemplate
    output: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitSpec:
    """What a wait node waits for: a time (`hours`), a date or moment (`until`), or an outside `event`.

    `offsets` are the time zone's, for dates: (epoch seconds, offset from UTC in seconds from then on), in order.
    """

    hours: timedelta | None = None
    until: Expression | None = None
    offsets: tuple[tuple[int, int], ...] = ()
    event: str | None = None
    timeout: timedelta | None = None
    output: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of the process, with its outgoing edges in the order in which they were written.

    `frames` are the branches that it lies in, the innermost last; when a branch ends, what goes on at its nodes ends
    too. `output` belongs to an approval: for each variable, the field of the decision's form that its value is read
    from.
    """

    id: str
    type: str  # the kind of a type of nodes, see placet.nodes.registry
    edges: Annotated[tuple[Edge, ...], stored_as("ways")] = ()
    stage: Stage | None = None
    outcome: str | None = None
    hit_policy: Literal["first", "unique", "any"] = "first"
    frames: tuple[Frame, ...] = ()
    join: Join | None = None
    call_spec: Annotated[CallSpec | None, stored_as("errand")] = None
    wait_spec: Annotated[WaitSpec | None, stored_as("pause")] = None
    output: dict[str, str] = field(default_factory=dict)
    people: tuple[
        str, ...
    ] = ()  # names (see placet.definition.assignees) of people it concerns, besides a stage's approvers
    values: ValueTemplate | None = None  # values that it computes, besides the input of a call
    repetition: Stage | None = (
        None  # the stage in which the owner decides whether an action runs again with other input
    )

    # What the fields say of a node of any type: outside of placet.nodes nobody reads from a field which type it is.

    @property
    def asked(self) -> Stage | None:
        """Return the stage whose tasks may be open at this node."""
        return self.stage or self.repetition

    @property
    def calls(self) -> str | None:
        """Return the name of the action or process that the node runs."""
        return self.call_spec.name if self.call_spec is not None else None

    @property
    def event(self) -> str | None:
        """Return the outside event that the node waits for."""
        return self.wait_spec.event if self.wait_spec is not None else None

    @property
    def sources(self) -> dict[str, str]:
        """Return for each variable that a form, an event or a result sets the field that its value is read from."""
        called = self.call_spec.output if self.call_spec is not None else {}
        awaited = self.wait_spec.output if self.wait_spec is not None else {}
        return {**self.output, **called, **awaited}

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Return every expression of the node."""
        found = [edge.condition for edge in self.edges]
        found += self.call_spec.input.expressions.values() if self.call_spec is not None else ()
        found += [self.wait_spec.until] if self.wait_spec is not None else []
        found += self.values.expressions.values() if self.values is not None else ()
        for stage in (self.stage, self.repetition):
            found += [approver_spec.when for approver_spec in stage.approvers] if stage is not None else []
        return tuple(expression for expression in found if expression is not None)

    @property
    def names(self) -> frozenset[str]:
        """Return the names (see placet.definition.assignees) of people whom the node concerns.

        A repetition asks the owner, whom the plan itself names.
        """
        asked = [approver_spec.who for approver_spec in self.stage.approvers] if self.stage is not None else []
        told = [level.to for level in self.stage.levels] if self.stage is not None else []
        return frozenset({*asked, *told, *self.people})


def approval_stages(nodes: Mapping[str, Node]) -> dict[str, Stage]:
    """Return the stages of the approvals among some nodes, by the ids of these and in their order."""
    return {node.id: node.stage for node in nodes.values() if node.stage is not None}
