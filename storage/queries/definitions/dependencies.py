"""The dependencies of a process definition: the catalog actions and the other published processes that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from placet.definition.action_spec import ActionSpec
from placet.definition.model import ProcessDefinition, parse_definition
from placet.directory import Directory
from placet.errors import BlueprintInvalid, NotFound
from placet.nodes.facts import NamedAction, NamedProcess
from placet.nodes.registry import NODE_TYPES, type_of
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from storage.queries import actions
from storage.queries.definitions import definitions
from storage.queries.people import people
from storage.tables.approvals import DefinitionVersion

MOST_INSIDE = 4  # levels of nested processes
MOST_CHILDREN = 50  # of one process, nested ones included, since its plan contains them all


def dependencies_of(
    connection: Connection, definition: ProcessDefinition, start: datetime
) -> tuple[dict[str, ActionSpec], dict[str, Child]]:
    """Return the actions and processes that the nodes of a definition name, as far as they can be used now.

    Missing, invalid and too deeply nested ones are omitted, and the compiler refuses their nodes. A process that would
    run this definition again once it is published is omitted too.
    """
    return _DependencyReader(connection, start, definition).read(definition, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What a definition is checked against: the whole directory, and its actions and sub-processes."""

    directory: Directory
    actions: dict[str, ActionSpec]
    children: dict[str, Child]


def check_contexts(
    connection: Connection, blueprints: Sequence[ProcessDefinition | None], start: datetime
) -> list[CheckContext]:
    """Return the context of each definition. None stands for a document that is no definition; the check says why."""
    everyone = people.everyone(connection)
    found = []
    for blueprint in blueprints:
        known, children = dependencies_of(connection, blueprint, start) if blueprint is not None else ({}, {})
        found.append(CheckContext(directory=everyone, actions=known, children=children))
    return found


def has_dependencies(raw: Mapping[str, Any]) -> bool:
    """Tell whether a stored blueprint names actions or other processes."""
    nodes = (raw.get("graph_spec") or {}).get("nodes", ())
    types = (NODE_TYPES.get(node.get("type")) for node in nodes)
    return any(node_type is not None and (node_type.runs_action or node_type.runs_process) for node_type in types)


class _DependencyReader:
    def __init__(self, connection: Connection, start: datetime, whole: ProcessDefinition) -> None:
        self._connection = connection
        self._start = start
        self._whole = whole
        self._children = 0

    def read(self, definition: ProcessDefinition, depth: int) -> tuple[dict[str, ActionSpec], dict[str, Child]]:
        nodes = definition.graph_spec.nodes if definition.graph_spec is not None else ()
        named = [one for one in (type_of(node).named(node) for node in nodes) if one is not None]
        names = [one.name for one in named if isinstance(one, NamedAction)]
        known = actions.specs(self._connection, names) if names else {}
        children: dict[str, Child] = {}
        for one in named:
            if isinstance(one, NamedProcess) and one.reference not in children:
                child = self._child(one, depth)
                if child is not None:
                    children[one.reference] = child
        return known, children

    def _child(self, named: NamedProcess, depth: int) -> Child | None:
        self._children += 1
        if depth >= MOST_INSIDE or self._children > MOST_CHILDREN:
            return None
        try:
            row = definitions.find(self._connection, named.template, named.version)
            if row.status != "published" or self._is_recursive(named, row):
                return None
            inner = parse_definition(row.blueprint)
            known, children = self.read(inner, depth + 1)
            plan = compile_plan(inner, start=self._start, actions=known, children=children)
        except (NotFound, BlueprintInvalid):
            return None
        return Child(template_id=row.id, plan=plan)

    def _is_recursive(self, named: NamedProcess, found: DefinitionVersion) -> bool:
        """Tell whether the named process is the definition itself, by version or as the newest once it is published."""
        whole = self._whole
        if named.template != whole.name:
            return False
        if named.version is not None:
            return named.version == whole.version
        return definitions.precedence(whole.version) >= definitions.precedence(found.version)
