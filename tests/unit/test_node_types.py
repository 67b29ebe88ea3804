"""The types of nodes: one module each, one registration, and nobody else tells them apart."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import placet.nodes
from placet.engine.events import ChildEnded
from placet.engine.run import Run
from placet.nodes.base import NodeType
from placet.nodes.registry import NODE_TYPES, SHAPES, type_of
from placet.plan.graph import Node
from tests.unit.core import case

ROOT = Path(__file__).parents[2]
ROOMS = (
    "placet",
    "simulation",
    "storage",
    "activities",
    "workflows",
    "worker",
    "service",
    "api",
    "cli",
    "insight",
    "languages",
)


def subtypes(of: type[Any]) -> Iterator[type[Any]]:
    for inner in of.__subclasses__():
        yield from subtypes(inner)
        if not inspect.isabstract(inner):
            yield inner


def test_every_type_of_node_is_registered_once() -> None:
    for module in pkgutil.walk_packages(placet.nodes.__path__, "placet.nodes."):
        importlib.import_module(module.name)  # a module that nobody registers is imported by nobody else
    assert sorted(type(one).__name__ for one in NODE_TYPES.values()) == sorted(t.__name__ for t in subtypes(NodeType))
    assert len(NODE_TYPES) == len(SHAPES)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_shape_and_its_type_have_the_same_name_in_a_blueprint(shape: type[Any]) -> None:
    (kind,) = get_args(shape.model_fields["type"].annotation)
    assert type_of(shape.model_construct()) is not None
    assert NODE_TYPES[kind].kind == kind
    assert type(NODE_TYPES[kind]) is type(type_of(shape.model_construct()))


@pytest.mark.parametrize("node_type", NODE_TYPES.values(), ids=lambda node_type: node_type.kind)
def test_a_type_of_node_is_one_module_with_its_shape(node_type: NodeType[Any]) -> None:
    shape = next(shape for shape in SHAPES if type(type_of(shape.model_construct())) is type(node_type))
    assert shape.__module__ == type(node_type).__module__
    assert node_type.faults <= {"done", "failed", "elapsed", "event", "cancelled", "withdrawn"}
    assert not (node_type.plain and not node_type.has_results)


@pytest.mark.parametrize("node_type", NODE_TYPES.values(), ids=lambda node_type: node_type.kind)
def test_what_no_node_of_a_type_waits_for_is_a_fault_of_the_code_and_no_answer(node_type: NodeType[Any]) -> None:
    request = case({"approvers": ["user:ann"]})
    run = Run(request.plan, request.state, request.now)
    answer: Any = ChildEnded(node="n", visit=1, outcome="approved", output={})
    if node_type.runs_process:
        answer = "approved"
    with pytest.raises(AssertionError, match=f"n is a {node_type.kind} node"):
        node_type.settle(run, Node(id="n", type=node_type.kind), answer)


def sources() -> list[Path]:
    files = (file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")))
    # The fields of a compiled node stand in placet.plan.graph, beside what it says for all types.
    return [f for f in files if (ROOT / "placet" / "nodes") not in f.parents and f != ROOT / "placet/plan/graph.py"]


def told_apart(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Generate where types of nodes are told apart: by their names, by the classes of their shapes and types, or by
    the fields of a compiled node that only some types fill.
    """
    classes = {shape.__name__ for shape in SHAPES} | {type(one).__name__ for one in NODE_TYPES.values()}
    nodes = {"node", *_nodes_of_loops(tree)}
    for found in ast.walk(tree):
        if isinstance(found, ast.Compare):
            sides = [found.left, *found.comparators]
            names = {c.value for side in sides for c in ast.walk(side) if isinstance(c, ast.Constant)}
            if any(_is_a_type(side) for side in sides) and names & NODE_TYPES.keys():
                yield found.lineno, ast.unparse(found)
        if isinstance(found, ast.Set | ast.Dict):
            members = found.elts if isinstance(found, ast.Set) else [key for key in found.keys if key is not None]
            names = {m.value if isinstance(m, ast.Constant) else None for m in members}
            if len(names) > 1 and names <= NODE_TYPES.keys():
                yield found.lineno, ast.unparse(found)
        if isinstance(found, ast.Call) and ast.unparse(found.func) == "isinstance":
            names = {n.id for n in ast.walk(found) if isinstance(n, ast.Name)}
            if names & classes:
                yield found.lineno, ast.unparse(found)
        if isinstance(found, ast.MatchClass) and ast.unparse(found.cls) in classes:
            yield found.lineno, ast.unparse(found)
        if isinstance(found, ast.Attribute) and _is_of_some_types(found, nodes):
            yield found.lineno, ast.unparse(found)


def _nodes_of_loops(tree: ast.AST) -> Iterator[str]:
    """Generate the names that loops over the nodes of a plan give to these."""
    for loop in ast.walk(tree):
        if isinstance(loop, ast.For | ast.comprehension):
            over, target = ast.unparse(loop.iter), loop.target
            if over.endswith("nodes.values()") and isinstance(target, ast.Name):
                yield target.id
            if over.endswith("nodes.items()") and isinstance(target, ast.Tuple):
                yield ast.unparse(target.elts[1])


def _is_of_some_types(found: ast.Attribute, nodes: set[str]) -> bool:
    """Whether this is `x.call_spec`, `x.wait_spec`, or the stage of a node: `node.stage`, `plan.nodes[x].stage`.

    Tasks, entries and other things have a stage as well, of which nothing is wrong to say.
    """
    if found.attr in {"stage", "repetition"}:
        of = found.value
        if isinstance(of, ast.Subscript):
            return ast.unparse(of.value).endswith("nodes")
        if isinstance(of, ast.Call):
            return ast.unparse(of.func).endswith(("nodes.get", ".node"))
        return ast.unparse(of).rpartition(".")[2] in nodes
    return found.attr in {"call_spec", "wait_spec"}


def _is_a_type(side: ast.expr) -> bool:
    """Whether this is `x.type`, `x.kind`, `x["type"]` or `x.get("type")`."""
    if isinstance(side, ast.Attribute):
        return side.attr in {"type", "kind"}
    if isinstance(side, ast.Call) and isinstance(side.func, ast.Attribute) and side.func.attr == "get":
        return any(isinstance(arg, ast.Constant) and arg.value == "type" for arg in side.args)
    return isinstance(side, ast.Subscript) and isinstance(side.slice, ast.Constant) and side.slice.value == "type"


@pytest.mark.parametrize("file", sources(), ids=lambda file: str(file.relative_to(ROOT)))
def test_nobody_outside_of_the_room_tells_types_of_nodes_apart(file: Path) -> None:
    assert not list(told_apart(ast.parse(file.read_text())))


@pytest.mark.parametrize(
    "text",
    [
        'point.type == "wait"',
        'node["type"] in {"action", "subprocess"}',
        'node.get("type") != "decision"',
        "isinstance(node, WaitNode | ActionNode)",
        '{"approval": 1, "wait": 2}',
        "node.wait_spec is not None",
        "[n for n in plan.nodes.values() if n.call_spec]",
        "[p.stage for p in plan.nodes.values() if p.stage]",
        "{name: n for name, n in plan.nodes.items() if n.stage is not None}",
        "node.stage is not None",
        "plan.nodes[name].stage",
        "plan.nodes.get(name).stage",
        "run.node(name).repetition",
    ],
)
def test_what_tells_types_of_nodes_apart_is_found(text: str) -> None:
    assert list(told_apart(ast.parse(text)))


@pytest.mark.parametrize("text", ["task.stage is not None", "entry.stage or ''", "plan.stages_by_node[node.id]"])
def test_the_stage_of_a_task_tells_no_types_of_nodes_apart(text: str) -> None:
    assert not list(told_apart(ast.parse(text)))
