"""A blueprint: the JSON that people write, export and import to describe an approval process.

The models check shape and ranges; `placet.proofs` checks what spans several places (dangling ids, unreachable nodes,
types of conditions). Field names are those of the published format (docs/blueprint.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, ValidationError, field_validator, model_validator

from placet.definition.assignees import parse_assignee
from placet.definition.fields import SEMVER, AssigneeText, Model, Number, Title
from placet.definition.formats import CURRENT, ON_CHANGE, OnChange
from placet.definition.limits import excess
from placet.definition.steps import ProcessSettings, SeparationOfDuties, Step
from placet.definition.validation_messages import sentence_of
from placet.definition.variables import Variable
from placet.errors import BlueprintInvalid, Problem
from placet.json_pointer import pointer_of
from placet.nodes.base import EdgeDefinition
from placet.nodes.registry import NODE_TYPES, SHAPES, NodeDefinition
from placet.sentences import sentence

_AMOUNTS = {"decimal", "integer"}


class GraphSpec(Model):
    """The nodes and the edges between them, with their places in the drawing."""

    nodes: Annotated[tuple[NodeDefinition, ...], Field(min_length=1, max_length=500)]
    edges: Annotated[tuple[EdgeDefinition, ...], Field(max_length=2000)]


class ProcessDefinition(Model):
    """A whole process template. `format` is that of the language it is written in; see placet.definition.formats."""

    format: Annotated[Literal[1, 2], Number] = CURRENT
    name: Title
    version: Annotated[str, Field(max_length=100)]
    template_type: Annotated[str, Field(min_length=1, max_length=60)] = "approval"
    owner: AssigneeText | None = None
    description: Annotated[str, Field(max_length=4000)] | None = None
    variables: Annotated[tuple[Variable, ...], Field(max_length=200)] = ()
    settings: ProcessSettings = ProcessSettings()
    separation_of_duties: SeparationOfDuties | None = None  # of every stage, as in the settings
    process_steps: Annotated[tuple[Step, ...], Field(max_length=300)] = ()
    graph_spec: GraphSpec | None = None

    @field_validator("version")
    @classmethod
    def _semantic(cls, version: str) -> str:
        if not SEMVER.fullmatch(version):
            raise ValueError(
                sentence('{version!r} is not a semantic version; write for example "1.0.0"', version=version)
            )
        return version

    @field_validator("owner")
    @classmethod
    def _names_somebody(cls, owner: str | None) -> str | None:
        if owner is not None and parse_assignee(owner).root.kind in {"owner", "assignee"}:
            raise ValueError("the owner of a process cannot be named after itself; write user:ID")
        return owner

    @field_validator("variables")
    @classmethod
    def _variables_once(cls, variables: tuple[Variable, ...]) -> tuple[Variable, ...]:
        _once("variable", [v.name for v in variables])
        return variables

    @model_validator(mode="after")
    def _amount_is_a_number(self) -> ProcessDefinition:
        named = self.settings.amount
        if named is not None and named not in {v.name for v in self.variables if v.type in _AMOUNTS}:
            raise ValueError(
                sentence(
                    '"amount" names {named!r}, which is no decimal or integer variable; declare it as one', named=named
                )
            )
        return self

    @model_validator(mode="after")
    def _named_variables_are_declared(self) -> ProcessDefinition:
        declared = {variable.name for variable in self.variables}
        for setting, names in (("immaterial", self.settings.immaterial), ("summary", self.settings.summary)):
            unknown = sorted({*names} - declared)
            if unknown:
                raise ValueError(
                    sentence(
                        '"{setting}" names {unknown!r}, which is no variable; declare it or leave it out',
                        setting=setting,
                        unknown=unknown[0],
                    )
                )
        return self

    @field_validator("process_steps")
    @classmethod
    def _stages_once(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        _once("stage_name", [s.stage_name for s in steps])
        return steps

    @model_validator(mode="after")
    def _has_a_process(self) -> ProcessDefinition:
        if not self.process_steps and self.graph_spec is None:
            raise ValueError('give "process_steps", or a "graph_spec"')
        if self.separation_of_duties is not None and "separation_of_duties" in self.settings.model_fields_set:
            raise ValueError('give "separation_of_duties" in the "settings" or beside them, not both')
        return self

    @property
    def on_change(self) -> OnChange:
        """Return what a change of the request does to approvals: as it is set, else as the format has it."""
        return self.settings.on_change or ON_CHANGE[self.format]

    @property
    def duties(self) -> SeparationOfDuties:
        """Return what one person may do in two stages that do not say so themselves."""
        return self.separation_of_duties or self.settings.separation_of_duties


def _once(what: str, names: list[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise ValueError(
            sentence("{what} {twice!r} is declared twice; give each its own name", what=what, twice=twice[0])
        )


def parse_definition(raw: object) -> ProcessDefinition:
    """Read a blueprint from JSON values; raises BlueprintInvalid with the faults of its shape, by JSON Pointer.

    A document that exceeds its bounds is refused unread; otherwise the first two hundred faults are listed.
    """
    if (problem := excess(raw)) is not None:
        raise BlueprintInvalid(problems=(problem,))
    try:
        return ProcessDefinition.model_validate(raw)
    except ValidationError as error:
        problems = _problems(error)
        raise BlueprintInvalid(problems[0].message if len(problems) == 1 else None, problems=problems) from None


def parse_or_none(raw: object) -> ProcessDefinition | None:
    """Return the parsed blueprint; None where it is invalid, which the simulation or the proofs report."""
    try:
        return parse_definition(raw)
    except BlueprintInvalid:
        return None


def unknown_fields(raw: object) -> tuple[str, ...]:
    """Return the pointers of what a blueprint says in fields that the format does not have."""
    if excess(raw) is not None:
        return ()
    try:
        ProcessDefinition.model_validate(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        unknown = [fault["loc"] for fault in faults if fault["type"] == "extra_forbidden"]
        return tuple(pointer_of(_document_path(one)) for one in unknown[:_MOST_PROBLEMS])
    return ()


def canonical(definition: ProcessDefinition) -> dict[str, Any]:
    """Return the blueprint as JSON values without defaults left unsaid: what is exported, stored and hashed."""
    return definition.model_dump(mode="json", by_alias=True, exclude_unset=True)


@lru_cache(maxsize=1)
def definition_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the format, which docs/blueprint.schema.json publishes.

    What it cannot say (ids that lead nowhere, types of expressions) only `placet check` holds.
    """
    schema = ProcessDefinition.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Placet blueprint", **schema}


_MOST_PROBLEMS = 200  # of one document that are told

# The tags of unions, which pydantic puts into a location after an index or a field, are no part of the document.
_TAGS = {*NODE_TYPES, "text", "object", "chosen", "test", "tests", "nothing"}
# By a field's name: how deep in the document it stands, and how far behind it its union's tag does.
_TAGGED = {"nodes": ({1}, 2), "approvers": ({2}, 2), "quorum": ({2}, 1), "when": ({7}, 2)}
_TAGGED |= {
    name: ({4}, 1)
    for shape in SHAPES
    for name, one in shape.model_fields.items()
    if any(isinstance(fact, Discriminator) for fact in one.metadata)
}


def _problems(error: ValidationError) -> tuple[Problem, ...]:
    found: list[Problem] = []
    faults = error.errors(include_url=False)[:_MOST_PROBLEMS]
    for fault in faults:
        if fault["type"] == "too_short" and any(_below(f["loc"], fault["loc"]) for f in faults):
            continue  # pydantic leaves an item with a fault out, and then counts the items
        pointer = pointer_of(_document_path(fault["loc"]))
        found.append(Problem(pointer=pointer, message=sentence_of(fault)))
    return tuple(found)


def _below(inner: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _document_path(location: tuple[int | str, ...]) -> list[str]:
    tags = {
        index + behind
        for index, part in enumerate(location)
        if isinstance(part, str)
        for depths, behind in [_TAGGED.get(part, (set[int](), 0))]
        if index in depths
    }
    return [str(part) for index, part in enumerate(location) if not (index in tags and part in _TAGS)]


def amount_variable(raw: Mapping[str, Any]) -> str | None:
    """Return the variable of a stored blueprint that holds the amount: `settings.amount`, else one of that name."""
    named = (raw.get("settings") or {}).get("amount")
    if named is not None:
        return str(named)
    declared = {variable.get("name"): variable.get("type") for variable in raw.get("variables") or ()}
    return "amount" if declared.get("amount") in _AMOUNTS else None
