"""The graph of a process: its nodes, and the edges that lead from one to the next.

docs/blueprint.md shows each kind of node with an example. What spans several nodes (branches that do not come together,
ids that lead nowhere) is said when the blueprint is compiled.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from placet.fields import Condition, Count, Hours, Identifier, Model, Outcome, PlainObject, Title, shape
from placet.shapes import Name

# A field of what came back: its name, or a JSON Pointer to one further inside.
Source = Annotated[str, Field(min_length=1, max_length=300)]
Outputs = Annotated[dict[Name, Source], Field(max_length=100)]


class _Node(Model):
    id: Identifier
    x: Annotated[float, Field(allow_inf_nan=False)] | None = None
    y: Annotated[float, Field(allow_inf_nan=False)] | None = None
    name: Title | None = None


class TriggerNode(_Node):
    """Where a request begins; exactly one."""

    type: Literal["trigger"]


class ApprovalNode(_Node):
    """A stage: `step` is the stage_name of one of process_steps, `output` sets variables from the decision's form."""

    type: Literal["approval"]
    step: Title
    output: Outputs = Field(default_factory=dict)


def _cells(cell: Any) -> str:
    return "tests" if isinstance(cell, list | tuple) else "nothing" if cell is None else "test"


Test = Annotated[str, Field(min_length=1, max_length=1000)]
Cell = Annotated[
    Annotated[Test, Tag("test")]
    | Annotated[Annotated[tuple[Test, ...], Field(min_length=1, max_length=10)], Tag("tests")]
    | Annotated[None, Tag("nothing")],
    Discriminator(_cells),
]


class Rule(Model):
    """One row of a decision table: a test for each input (null: anything; a list: all of them), and where it leads."""

    when: Annotated[tuple[Cell, ...], Field(min_length=1, max_length=50)]
    target: Annotated[Identifier, Field(alias="to")]


class Table(Model):
    """A decision table: `inputs` are expressions, a test such as `>= 1000`, `in ["a", "b"]` or a value is put to each.

    `hit_policy`: the first rule that fits is taken, or exactly one may fit (`unique`), or all that fit must agree
    (`any`). `default` is where it goes when none fits.
    """

    hit_policy: Literal["first", "unique", "any"] = "first"
    inputs: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=50)]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=500)]
    default: Identifier | None = None

    @model_validator(mode="after")
    def _a_cell_for_each_input(self) -> Table:
        for number, rule in enumerate(self.rules):
            if len(rule.when) != len(self.inputs):
                raise ValueError(
                    f"rule {number} has {len(rule.when)} tests for {len(self.inputs)} inputs; "
                    "write one for each, null where anything goes"
                )
        return self


class DecisionNode(_Node):
    """A branch: the first outgoing edge whose condition holds is taken, else the default; or a `table` says where."""

    type: Literal["decision"]
    table: Table | None = None


class ActionNode(_Node):
    """A run of a catalog action: `{"expr": …}` in `input` is computed, `output` sets variables from what comes back.

    Where the request is changed and comes here again with another input, an action that is not idempotent asks the
    owner before it runs again; with `rerun` it does not.
    """

    type: Literal["action"]
    action: Title
    input: PlainObject = Field(default_factory=dict)
    output: Outputs = Field(default_factory=dict)
    rerun: bool = False


class ForkNode(_Node):
    """All outgoing edges are taken at once."""

    type: Literal["fork"]


class AtLeast(Model):
    """So many of a join's branches."""

    at_least: Count


Arrivals = Annotated[
    Annotated[Literal["any", "all", "every"], Tag("text")] | Annotated[AtLeast, Tag("object")], Discriminator(shape)
]


class JoinNode(_Node):
    """Where the branches of a fork come together: it goes on once as many as it `need`s have arrived.

    `all` are the branches that lead to it, `every` are the fork's, also those that only lead to a terminator: what
    arrives here then has ended without ending the request.
    """

    type: Literal["join"]
    need: Arrivals = "all"


class WaitNode(_Node):
    """A pause: for `hours` of working time, `until` a date or moment, or for an outside `event`."""

    type: Literal["wait"]
    hours: Hours | None = None
    until: Condition | None = None
    event: Identifier | None = None
    timeout_hours: Hours | None = None
    output: Outputs = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_thing(self) -> WaitNode:
        if sum(v is not None for v in (self.hours, self.until, self.event)) != 1:
            raise ValueError('give exactly one of "hours", "until" and "event"')
        if self.event is None and (self.timeout_hours is not None or self.output):
            raise ValueError('only a wait for an "event" has "timeout_hours" and "output"')
        return self


class SubprocessNode(_Node):
    """Another process, run as a request of its own; its outcome decides the way on."""

    type: Literal["subprocess"]
    template: Title
    version: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    input: PlainObject = Field(default_factory=dict)
    output: Annotated[dict[Name, Name], Field(max_length=100)] = Field(default_factory=dict)


class TerminatorNode(_Node):
    """An end, with the outcome of the request; in a fork it ends every branch."""

    type: Literal["terminator"]
    outcome: Outcome


Node = Annotated[
    TriggerNode
    | ApprovalNode
    | DecisionNode
    | ActionNode
    | ForkNode
    | JoinNode
    | WaitNode
    | SubprocessNode
    | TerminatorNode,
    Field(discriminator="type"),
]


class Edge(Model):
    """A way from one node to another: `on` what a node came to, or under a decision's `condition`."""

    source: Annotated[Identifier, Field(alias="from")]
    target: Annotated[Identifier, Field(alias="to")]
    on: Outcome | None = None
    condition: Condition | None = None
    default: bool = False


class GraphSpec(Model):
    """Nodes and edges; layout x and y are kept."""

    nodes: Annotated[tuple[Node, ...], Field(min_length=1, max_length=500)]
    edges: Annotated[tuple[Edge, ...], Field(max_length=2000)]
