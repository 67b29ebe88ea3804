"""Parse the JSON of a simulation spec: which process to simulate, in which mode, with which assumptions."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import jsonpatch
from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from placet.definition.assignees import person_id
from placet.definition.fields import Model
from placet.definition.limits import excess
from placet.errors import InputInvalid
from placet.sentences import sentence, shortened
from simulation.report.costs import Prices
from simulation.scenario import aliases
from simulation.scenario.approver_model import Sample
from simulation.scenario.asked_action import AskedAction
from simulation.scenario.script import MOST_LINES, ScriptLine

Mode = Literal["explore", "rehearse", "replay", "backtest", "shadow"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
MOST_NAMED = 500  # request ids in one spec


class Operation(Model):
    """One operation of a JSON Patch (RFC 6902) on the blueprint."""

    model_config = ConfigDict(populate_by_name=False)  # RFC 6902 has `from` alone

    op: Literal["add", "replace", "remove", "move", "copy", "test"]
    path: Annotated[str, Field(max_length=1000)]
    origin: Annotated[str | None, Field(alias="from", max_length=1000)] = None
    value: Any = None


class SimulationSpec(Model):
    """The JSON body of a request for a simulation.

    explore, rehearse: `template` (with `version`), `blueprint`, or `request_id` for the process and the input of a real
    request; optionally `input`, `action`, `requester`, `script`, and `sample` for sampled approvers. replay:
    `request_id`, and what to change: another blueprint or version, a `patch`, a `script`. backtest, shadow: `template`
    names the process whose requests are compared (default: the candidate's name); `blueprint`, `patch` or `version`
    give the candidate (default: the newest published version); `request_ids` selects requests. A shadow runs
    `for_hours`; with 0 it compares once.
    """

    mode: Mode = "explore"
    template: Name | None = None
    version: Annotated[str, Field(max_length=100)] | None = None
    blueprint: dict[str, Any] | None = None
    patch: Annotated[tuple[Operation, ...], Field(max_length=100)] = ()
    request_id: Name | None = None
    request_ids: Annotated[tuple[Name, ...], Field(max_length=MOST_NAMED)] = ()
    input: dict[str, Any] | None = None
    action: AskedAction | None = None
    requester: Name | None = None
    script: Annotated[tuple[ScriptLine, ...], Field(max_length=MOST_LINES), BeforeValidator(aliases.script_lines)] = ()
    prices: Prices = Field(default_factory=Prices)
    decide_after_hours: Annotated[float, Field(ge=0, le=24 * 366, allow_inf_nan=False)] | None = None
    sample: Sample | None = None
    horizon_days: Annotated[float, Field(gt=0, le=3660, allow_inf_nan=False)] = 366
    most_branches: Annotated[int, Field(ge=1, le=1000)] = 200
    limit: Annotated[int, Field(ge=1, le=50_000)] = 1000
    starts_at: Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)] | None = None
    for_hours: Annotated[float, Field(ge=0, le=24 * 366, allow_inf_nan=False)] = 24 * 7

    @model_validator(mode="before")
    @classmethod
    def _with_standard_names(cls, raw: Any) -> Any:
        return aliases.standard_names(raw)

    @model_validator(mode="after")
    def _names_a_process(self) -> SimulationSpec:
        process = (self.template, self.blueprint, self.request_id)
        if self.mode in {"explore", "rehearse"} and all(named is None for named in process):
            raise ValueError(
                'name the process to simulate: "template" (its name), "blueprint" (its JSON) or "request_id"'
            )
        if self.compares and self.requests_of is None:
            raise ValueError(
                'name the process whose requests are compared: "template", or a "blueprint" that has a "name"'
            )
        return self

    @property
    def ignored_fields(self) -> list[str]:
        """List warnings about the fields that this mode ignores."""
        people = ("script", "input", "requester", "decide_after_hours", "starts_at")
        ignored = people if self.compares else ("request_ids",)
        named = [f'"{name}"' for name in ignored if name in self.model_fields_set]
        if not named:
            return []
        why = sentence("people act as recorded") if self.compares else sentence("it simulates one request")
        told = ", ".join(named)
        return [sentence("{named}: ignored in mode {mode}, because {why}", named=told, mode=self.mode, why=why)]

    @property
    def compares(self) -> bool:
        """Whether the mode compares a candidate with real requests."""
        return self.mode in {"backtest", "shadow"}

    @property
    def requests_of(self) -> str | None:
        """The name of the process whose requests are compared."""
        named = (self.blueprint or {}).get("name")
        return self.template or (named if isinstance(named, str) and named else None)

    @property
    def is_standing(self) -> bool:
        """Whether this is a shadow that follows live requests for some time."""
        return self.mode == "shadow" and self.for_hours > 0

    @property
    def person(self) -> str | None:
        """The requester's bare id."""
        return person_id(self.requester) if self.requester else None

    @property
    def decide_after(self) -> timedelta | None:
        """How long every decision takes; None where the spec does not say."""
        return None if self.decide_after_hours is None else timedelta(hours=self.decide_after_hours)

    @property
    def horizon(self) -> timedelta:
        """The virtual time after which an open request is no longer simulated."""
        return timedelta(days=self.horizon_days)


def parse_spec(raw: object) -> SimulationSpec:
    """Parse a simulation spec from JSON values; raises InputInvalid with the JSON Pointer of each problem."""
    try:
        spec = SimulationSpec.model_validate(raw)
    except ValidationError as error:
        inside: dict[str, type[Model]] = {
            "": SimulationSpec,
            "script": ScriptLine,
            "patch": Operation,
            "action": AskedAction,
            "prices": Prices,
            "sample": Sample,
        }
        fields = {
            place: tuple(field.alias or name for name, field in model.model_fields.items())
            for place, model in inside.items()
        }
        problems = tuple(aliases.problem_of(fault, raw, fields=fields) for fault in error.errors(include_url=False))
        first = problems[0]
        raise InputInvalid(
            sentence("{value}: {message}", value=first.pointer or "/", message=first.message), problems=problems
        ) from None
    if spec.action is not None:
        spec.action.bound(spec.starts_at or _EARLIEST)
        if spec.mode not in {"explore", "rehearse"}:
            raise InputInvalid.at("/action", '"action" applies to explore and rehearse only')
    if spec.mode == "replay" and spec.request_id is None:
        raise InputInvalid.at("/request_id", 'a replay needs "request_id", the id of the request to simulate again')
    if spec.sample is not None and spec.mode not in {"explore", "rehearse"}:
        raise InputInvalid.at(
            "/sample", '"sample" applies to explore and rehearse only; the other modes use recorded decisions'
        )
    return spec


def patched(blueprint: Any, patch: tuple[Operation, ...]) -> Any:
    """Return the blueprint with a JSON Patch applied; raises InputInvalid for an operation that cannot be applied.

    Each copy is bounded as a whole document is: a few of them, each of what the ones before made, would fill memory.
    """
    if not patch:
        return blueprint
    changed = deepcopy(blueprint)
    for number, operation in enumerate(patch):
        one = operation.model_dump(exclude_unset=True, by_alias=True)
        try:
            changed = jsonpatch.apply_patch(changed, [one], in_place=True)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
            raise InputInvalid.at(
                f"/patch/{number}",
                shortened(
                    sentence("this operation cannot be applied to the blueprint: {error}", error=str(error)), 500
                ),
            ) from None
        if operation.op == "copy" and (too_much := excess(changed)) is not None:
            raise InputInvalid.at(f"/patch/{number}", too_much.message)
    return changed
