"""Points: the nodes of a compiled process, with every default filled in and every expression checked.

Durations are working time of the plan's calendar.
"""

from __future__ import annotations

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
    """One entry of a stage's approvers: a name (see placet.definition.assignees) and the weight of each seat it fills.

    `when` says when it counts, where an expression chooses the approvers (placet.plan.assignee_expressions).
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One way on from a node: where it leads, and when it is taken."""

    target: str
    on: str | None = None
    condition: Expression | None = None
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One branch of a fork: the fork's id, and which of its ways it is, from 0."""

    fork: str
    edge: Annotated[int, stored_as("way")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Where the branches of `fork` come together: it goes on once `need` of the `ways` that lead to it have arrived.

    With `every`, `need` counts all ways of the fork: where some lead elsewhere only, it may never go on.
    """

    fork: str
    edges: Annotated[tuple[int, ...], stored_as("ways")]
    need: int
    every: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSpec:
    """What an action or a sub-process node asks for: `name` is a key of the plan's actions or children.

    `output` says for each variable where its value stands in what comes back: a field, or a JSON Pointer.
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
    """One node of the process, with its ways on in the order they were written.

    `frames` are the branches that it lies in, the innermost last; whatever happens there ends when that branch does.
    `output` is an approval's: for each variable, where its value stands in the form of the decision that settles it.
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
    people: tuple[str, ...] = ()  # names (see placet.definition.assignees) of those whom it concerns besides a stage's
    values: ValueTemplate | None = None  # what it computes besides an errand's input
    repetition: Stage | None = None  # whom an action asks before it does again, with other input, what it has done

    @property
    def asked(self) -> Stage | None:
        """The stage whose tasks may be open at this node."""
        return self.stage or self.repetition
