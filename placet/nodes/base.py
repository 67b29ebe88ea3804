"""The base of all node types: the shape in a blueprint, and how a node is compiled, entered, settled and migrated.

Each type of node is one module in this package: the model of its JSON, and a `NodeType` with everything else.
placet.nodes.registry names them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Generic, NoReturn, TypeAlias, TypeVar

from pydantic import Field

from placet.audit.reasons import Reason, because
from placet.definition.action_spec import ActionSpec
from placet.definition.assignees import parse_assignee, undeclared
from placet.definition.fields import Condition, Identifier, Model, Outcome, Title
from placet.definition.formats import OnChange
from placet.definition.steps import ProcessSettings, SeparationOfDuties, Step
from placet.definition.variables.shapes import Name
from placet.engine.events import ActionDone, ChildEnded
from placet.engine.run import Run
from placet.errors import ConditionInvalid, Problem
from placet.expressions import Expression, Scope, compile_condition
from placet.json_pointer import pointer_to
from placet.nodes.facts import FactsContext, Named, NodeFacts
from placet.plan.graph import Edge, Frame, Node, Stage
from placet.plan.plan import Plan
from placet.sentences import sentence

# A field of what came back: its name, or a JSON Pointer to one further inside.
Source = Annotated[str, Field(min_length=1, max_length=300)]
Outputs = Annotated[dict[Name, Source], Field(max_length=100)]


class BaseNode(Model):
    """The fields of every node of a blueprint: an id, a place in the drawing, and a title."""

    id: Identifier
    x: Annotated[float, Field(allow_inf_nan=False)] | None = None
    y: Annotated[float, Field(allow_inf_nan=False)] | None = None
    name: Title | None = None


class EdgeDefinition(Model):
    """An edge from one node to another: taken `on` a result, or under a decision's `condition`."""

    source: Annotated[Identifier, Field(alias="from")]
    target: Annotated[Identifier, Field(alias="to")]
    on: Outcome | None = None
    condition: Condition | None = None
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerContext:
    """What the nodes of one blueprint are compiled with; faults are added to `problems`.

    `children` are the names of the variables of each process that a sub-process node may refer to, by reference.
    """

    start: datetime
    settings: ProcessSettings
    duties: SeparationOfDuties  # of every stage that does not say otherwise
    on_change: OnChange
    process_steps: tuple[Step, ...]
    scope: Scope
    ids: frozenset[str]
    actions: Mapping[str, ActionSpec]
    children: Mapping[str, frozenset[str]]
    problems: list[Problem]

    def refuse(self, pointer: str, message: str) -> None:
        """Add a fault."""
        self.problems.append(Problem(pointer=pointer, message=message))

    def step(self, name: str) -> tuple[int, Step] | None:
        """Return the process step with this stage name, and its index; None where there is none."""
        return next(((n, step) for n, step in enumerate(self.process_steps) if step.stage_name == name), None)

    def require_variables(self, output: Mapping[str, str], here: str) -> None:
        """Refuse an `output` that sets an undeclared variable; `here` is the pointer of its node."""
        for variable in output:
            if variable not in self.scope:
                message = sentence("there is no variable {variable!r}; declare it, or set another", variable=variable)
                self.refuse(pointer_to(f"{here}/output", variable), message)

    def require_people(self, names: Sequence[str], pointer: str) -> None:
        """Refuse names that stand for nobody where no task is open; `pointer` is that of the list."""
        for index, name in enumerate(names):
            if (unknown := undeclared(name, self.scope)) is not None:
                self.refuse(f"{pointer}/{index}", unknown)
            if parse_assignee(name).root.kind == "assignee":
                self.refuse(f"{pointer}/{index}", "no task is open here, and so nobody has it; name somebody else")


# The outgoing edges of a node as they are written, each with its index in the blueprint.
Written = Sequence[tuple[int, EdgeDefinition]]
Frames = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class NodeResult:
    """A node has a result, by which its edge is chosen."""

    result: str
    why: Reason | None = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """The request goes on at these nodes, each in its branches."""

    to: tuple[tuple[str, Frames], ...]


@dataclass(frozen=True, slots=True)
class RequestFails:
    """The request fails because of a fault in the process."""

    why: Reason


# The effect of entering or settling a node; None: the node waits, or the request has ended.
Entered: TypeAlias = NodeResult | Continuation | RequestFails | None
# What a node waited for: the result of a stage, of a wait or of a call.
Answer: TypeAlias = str | ActionDone | ChildEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationContext:
    """A move of a request to the plan of another version; what has no place there is added to `problems`.

    `moved` maps the node that a stage is at to the node of the other version where it goes on.
    """

    plan: Plan
    moved: dict[str, str]
    problems: list[Problem]

    def refuse(self, pointer: str, message: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(pointer=pointer, message=message))


D = TypeVar("D", bound=BaseNode)
Value = Callable[[Expression], object]
StageTime = Callable[[Stage], timedelta | None]


class NodeType(ABC, Generic[D]):
    """One type of node: everything that the rest of the code needs to know about it."""

    begins: ClassVar[bool] = False  # requests begin at it
    ends: ClassVar[bool] = False  # it ends the request
    splits: ClassVar[bool] = False  # all of its edges are taken at once
    gathers: ClassVar[bool] = False  # the branches of a fork come together at it
    runs_action: ClassVar[bool] = False  # it has an action of the catalog run
    runs_process: ClassVar[bool] = False  # it has another process run
    plain: ClassVar[frozenset[str]] = frozenset()  # the results for which an edge without "on" stands
    faults: ClassVar[frozenset[str]] = frozenset()  # the results that fail the request where no edge says otherwise
    in_vain: ClassVar[frozenset[str]] = frozenset()  # the results on which it sets nothing

    @property
    @abstractmethod
    def kind(self) -> str:
        """The `type` of its shape."""

    @property
    @abstractmethod
    def has_results(self) -> bool:
        """Say whether it has results, on which its edges are taken."""

    @property
    @abstractmethod
    def has_conditions(self) -> bool:
        """Say whether its edges carry conditions."""

    @property
    @abstractmethod
    def pauses(self) -> bool:
        """Say whether it waits for people or time, so that the input may have changed afterwards (a request for
        changes).
        """

    @property
    @abstractmethod
    def waits_outside(self) -> bool:
        """Say whether it waits for something other than people."""

    @abstractmethod
    def compile(self, context: CompilerContext, definition: D, here: str, written: Written) -> Node | None:
        """Compile a node that stands at the pointer `here`, with its outgoing edges; None where it cannot be."""

    @abstractmethod
    def facts(self, definition: D, context: FactsContext) -> NodeFacts:
        """Return the facts about a node that proofs use."""

    @abstractmethod
    def named(self, definition: D) -> Named | None:
        """Return the action or process that a node runs."""

    @abstractmethod
    def output(self, definition: D) -> Mapping[str, str]:
        """Return for each variable that a node sets the place of its value in the result."""

    @abstractmethod
    def step_name(self, definition: D) -> str | None:
        """Return the stage_name of the process step that a node asks."""

    @abstractmethod
    def results(self, node: Node) -> tuple[str, ...]:
        """Return the results of a node that simulations follow; empty where it does not wait.

        A result out of the ordinary is followed where an edge names it.
        """

    @abstractmethod
    def longest(self, node: Node, stage_time: StageTime) -> timedelta | None:
        """Return how long a node may take at most, in working time; None: without end. `stage_time`: a stage's."""

    @abstractmethod
    def visits(self, run: Run, node: Node) -> int:
        """Return how often the request has visited a node, for the bound of visits; 0 where visits are not counted."""

    @abstractmethod
    def enter(self, run: Run, node: Node) -> Entered:
        """Enter a node."""

    @abstractmethod
    def settle(self, run: Run, node: Node, answer: Answer) -> Entered:
        """Take the result that a node waited for."""

    @abstractmethod
    def migrate(self, run: Run, node: Node, move: MigrationContext) -> None:
        """Find the place of what goes on at a node in another version, and refuse the move where there is none."""

    @abstractmethod
    def follow(self, run: Run, before: Node, old: Plan) -> None:
        """Apply the rules of the version that the request has moved to; raises EvaluationFailed."""

    @abstractmethod
    def sets(self, node: Node) -> frozenset[str]:
        """Return the variables that a node may set."""

    @abstractmethod
    def possible_edges(self, node: Node, value: Value) -> list[str]:
        """Return the nodes that a node may lead to, as far as its expressions can be evaluated beforehand.

        `value` returns the value of an expression, None where it is not known yet; raises ValueAbsent.
        """

    def outcome(self, definition: D) -> str | None:
        """Return the outcome with which requests end at a node."""
        return None

    def arrive(self, run: Run, node: Node, branch: Frames) -> bool | None:
        """Count an arriving branch; say whether enough have arrived to go on (None: the node waits for none)."""
        return None

    def closes(self, node: Node, branch: Frames) -> bool:
        """Say whether going on from here ends this branch."""
        return False

    def edge_on(self, node: Node, result: str) -> Edge | None:
        """Return the edge that a result takes; None where it ends the request."""
        for edge in node.edges:
            if edge.on == result:
                return edge
        return next((w for w in node.edges if w.on is None), None) if result in self.plain else None

    def followed(self, node: Node, ordinary: str) -> tuple[str, ...]:
        """Return the results that edges name, and the ordinary one where an edge without "on" stands for it."""
        named = tuple(dict.fromkeys(edge.on for edge in node.edges if edge.on is not None))
        unnamed = any(edge.on is None for edge in node.edges)
        return (ordinary, *(n for n in named if n != ordinary)) if unnamed else named

    def unexpected(self, node: Node, answer: Answer) -> NoReturn:
        """Raise RuntimeError for a result that the node does not wait for, which is a fault of the caller."""
        raise AssertionError(f"{node.id} is a {self.kind} node, and waits for no {answer!r}")

    def compile_edges(
        self, context: CompilerContext, written: Written, *, chooses: bool | None = None
    ) -> tuple[Edge, ...]:
        """Compile the outgoing edges. With `chooses`, by default as `has_conditions`, each needs its condition."""
        wanted = self.has_conditions if chooses is None else chooses
        return tuple(self._edge(context, f"/graph_spec/edges/{index}", one, wanted) for index, one in written)

    def _edge(self, context: CompilerContext, here: str, one: EdgeDefinition, chooses: bool) -> Edge:
        compiled: Expression | None = None
        if one.condition is not None:
            if not self.has_conditions:
                context.refuse(f"{here}/condition", "only the edges of a decision carry a condition; remove it")
            elif chooses:
                try:
                    compiled = compile_condition(one.condition, context.scope)
                except ConditionInvalid as error:
                    context.refuse(f"{here}/condition", error.message)
        elif chooses and not one.default:
            context.refuse(here, 'an edge of a decision needs a "condition", or "default": true')
        if one.on is not None and not self.has_results:
            message = sentence('a {kind} node has no results; remove "on"', kind=self.kind)
            context.refuse(f"{here}/on", message)
        return Edge(target=one.target, on=one.on, condition=compiled, default=one.default)


class PassingType(NodeType[D]):
    """A type of node that does not wait."""

    has_results = False
    has_conditions = False
    pauses = False
    waits_outside = False

    def facts(self, definition: D, context: FactsContext) -> NodeFacts:
        """No facts."""
        return NodeFacts()

    def named(self, definition: D) -> Named | None:
        """No action or process."""
        return None

    def output(self, definition: D) -> Mapping[str, str]:
        """No output."""
        return {}

    def step_name(self, definition: D) -> str | None:
        """No step."""
        return None

    def results(self, node: Node) -> tuple[str, ...]:
        """No results."""
        return ()

    def longest(self, node: Node, stage_time: StageTime) -> timedelta | None:
        """No time."""
        return timedelta(0)

    def visits(self, run: Run, node: Node) -> int:
        """No limit on visits: a loop without a wait fails at once."""
        return 0

    def settle(self, run: Run, node: Node, answer: Answer) -> Entered:
        """No answer is expected."""
        self.unexpected(node, answer)

    def migrate(self, run: Run, node: Node, move: MigrationContext) -> None:
        """No reason against a migration."""

    def follow(self, run: Run, before: Node, old: Plan) -> None:
        """No state to carry over."""

    def sets(self, node: Node) -> frozenset[str]:
        """No variables."""
        return frozenset()

    def possible_edges(self, node: Node, value: Value) -> list[str]:
        """All edges are possible."""
        return [edge.target for edge in node.edges]

    def pass_on(self, node: Node) -> Entered:
        """Take the only edge."""
        if not node.edges:
            return RequestFails(because("leads_nowhere", node=node.id))
        return Continuation(((node.edges[0].target, node.frames),))
