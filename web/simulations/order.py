"""The form that orders a simulation: the fields of each mode, and the specification that comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from placet.definition.model import ProcessDefinition
from placet.definition.variables import normalise_input
from placet.errors import InputInvalid, NotFound, Problem
from placet.json_text import read_json, with_floats
from service.principal import Principal
from service.visibility import drafts_of, seen_definition, seen_request, viewer_of
from simulation.scenario.spec import parse_spec
from storage.queries.definitions import definitions
from storage.queries.simulations import simulations
from storage.tables.approvals import DefinitionVersion
from web.forms import shapes
from web.forms.fields import Field, written
from web.forms.reading import Entries, as_json
from web.languages import Wording
from web.simulations.effort import Past, read_past
from web.simulations.script import faults_of_lines, number_of, read_script, script_field, script_of
from web.simulations.wording import MODES
from web.views.versions import Version, Versions

_MOST_VERSIONS = 100
_MOST_REQUESTS = 100
_ONE_REQUEST = {"explore", "rehearse"}
_COMPARES = {"backtest", "shadow"}
LOOKS_AT_OTHERS = frozenset({"designer", "auditor", "admin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilled:
    """What a form begins with: the specification of an earlier simulation, a witness, or a real request."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    template_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What somebody can choose for a process: its version, others to compare, and requests."""

    version: Version
    definition: ProcessDefinition
    row_version: str
    versions: tuple[tuple[str, str], ...]  # ids of all versions that the reader may see, with what they are called
    requests: tuple[tuple[str, str], ...]
    about: tuple[str, str] | None  # the real request whose input is simulated: its id and title
    past: Past


def read_choices(  # noqa: PLR0917 - what is read for whom
    connection: Connection,
    principal: Principal,
    template_id: str,
    versions: Versions,
    wording: Wording,
    mode: str,
    *,
    request_id: str = "",
) -> Choices:
    """Read what can be chosen; raises NotFound for a version that the reader may not see or that cannot be read.

    `request_id` is the real request that is simulated; one that the reader may not see is left out.
    """
    row = seen_definition(connection, principal, template_id)
    version = versions.of(connection, template_id)
    if version.definition is None:
        raise NotFound(wording.say("This version of the process cannot be read any more, so it cannot be simulated."))
    page = definitions.page(connection, limit=_MOST_VERSIONS, name=row.name, drafts_of=drafts_of(principal))
    viewer = viewer_of(principal)
    requests: Sequence[tuple[str, str, str]] = ()
    if mode == "replay":
        requests = simulations.recent(connection, row.name, viewer=viewer, limit=_MOST_REQUESTS)
    return Choices(
        version=version,
        definition=version.definition,
        row_version=row.version,
        versions=tuple((one.id, _called(one, wording)) for one in page.items),
        requests=tuple((ident, title) for ident, title, _ in requests),
        about=next(iter(simulations.titles(connection, [request_id], viewer=viewer).items()), None)
        if request_id and mode in _ONE_REQUEST
        else None,
        past=read_past(connection, row.name, mode, viewer=viewer),
    )


def _called(row: DefinitionVersion, wording: Wording) -> str:
    if row.status == "published":
        return row.version
    return wording.say("{version} (draft)").format(version=row.version) if row.status == "draft" else row.version


def read_prefilled(
    connection: Connection, principal: Principal, given: Mapping[str, str], wording: Wording
) -> Prefilled:
    """Read what a form begins with, by the address: `from` a simulation and its `branch`, or a `request`."""
    simulation_id, request_id = given.get("from", "")[:200], given.get("request", "")[:200]
    if simulation_id:
        row = simulations.get(connection, simulation_id, viewer=viewer_of(principal))
        spec = dict(row.question)
        result = row.result or {}
        branch = next(
            (one for one in result.get("branch_explorations") or () if one["id"] == given.get("branch")), None
        )
        if branch is not None:
            spec |= {"input": branch["witness"], "script": script_of(branch)}
        name, version = result.get("template") or row.template, result.get("version") or row.version
        return Prefilled(spec=spec, template_id=_template_id(connection, name, version))
    if request_id:
        stored = seen_request(connection, principal, request_id, wording.now).request
        return Prefilled(spec={"input": stored.input, "request_id": request_id}, template_id=stored.template_id)
    return Prefilled()


def _template_id(connection: Connection, name: str | None, version: str | None) -> str | None:
    if not name:
        return None
    try:
        return definitions.find(connection, name, version).id
    except NotFound:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderForm:
    """The fields of a form, in groups."""

    inputs: tuple[Field, ...]
    script: tuple[Field, ...]
    settings: tuple[Field, ...]

    @property
    def every(self) -> tuple[Field, ...]:
        """All fields."""
        return (*self.inputs, *self.script, *self.settings)


def form_of(
    mode: str,
    choices: Choices,
    given: Mapping[str, Any],
    principal: Principal,
    wording: Wording,
    *,
    compare_with: str = "",
) -> OrderForm:
    """Return the form of a mode, filled with a specification."""
    inputs: tuple[Field, ...] = ()
    if mode in _ONE_REQUEST:
        inputs = shapes.fields_of(choices.version.asked, given.get("input") or {}, wording)
    script: tuple[Field, ...] = ()
    if mode not in _COMPARES:
        lines = given.get("script")
        script = (script_field(choices.definition, lines if isinstance(lines, list) else [], wording),)
    return OrderForm(
        inputs=inputs,
        script=script,
        settings=tuple(_settings(mode, choices, given, principal, wording, compare_with)),
    )


def _settings(  # noqa: PLR0917 - as form_of
    mode: str,
    choices: Choices,
    given: Mapping[str, Any],
    principal: Principal,
    wording: Wording,
    compare_with: str,
) -> list[Field]:
    say = wording.say
    sample = given.get("sample") or {}

    def one(name: str, label: str, note: str, value: Any = None, **more: Any) -> Field:
        shown = written(value, wording.decimal_sign) if isinstance(value, int | float) else str(value or "")
        pointer = "/" + name.replace(".", "/")
        return Field(name=name, pointer=pointer, label=label, help=note, value=shown, **{"widget": "number"} | more)

    found: list[Field] = []
    if mode == "replay":
        found.append(
            one(
                "request_id",
                say("Request"),
                say("The latest requests of this process that you may see."),
                given.get("request_id"),
                widget="choice",
                options=choices.requests,
                required=True,
            )
        )
    if mode in _ONE_REQUEST:
        others = tuple(pair for pair in choices.versions if pair[0] != choices.version.id)
        if others:
            note = say("Simulates the same with another version too, and shows both timelines side by side.")
            found.append(
                one("compare_with", say("Compare with version"), note, compare_with, widget="choice", options=others)
            )
        if principal.access & LOOKS_AT_OTHERS:
            note = say("Whose request it is: an id such as “anna”. Empty: yours.")
            if choices.about:
                note = say("Whose request it is: an id such as “anna”. Empty: as in the real request.")
            found.append(one("requester", say("Requester"), note, given.get("requester"), widget="text", longest=200))
        note = say("How many of 100 decisions are approvals, drawn at random. Empty: everybody approves.")
        share = sample.get("approve")
        percent = None if share is None else round(float(share) * 100, 2)
        found.append(one("sample.approve", say("Approvals"), note, percent, unit="%"))
        note = say("The same number gives the same random draw.")
        found.append(one("sample.seed", say("Number of the draw"), note, sample.get("seed")))
        note = say("What a machine asks for: “type” and “target”; if wanted, “parameters” and “expires_after_hours”.")
        action = given.get("action")
        shown = action if isinstance(action, str) else as_json(with_floats(action)) if action else ""
        # A field that is called `action` would hide where the form is sent to from scripts.
        found.append(replace(one("bound_action", say("Action"), note, shown, widget="json"), pointer="/action"))
    if mode not in _COMPARES:
        note = say("How long each decision takes. Empty: half of the stage’s time, or as past decisions took.")  # noqa: RUF001
        found.append(
            one(
                "decide_after_hours",
                say("Time for a decision"),
                note,
                given.get("decide_after_hours"),
                unit=say("hours"),
            )
        )
        note = say("How far into the future it looks, 1 to 3,660 days. What is open then is shown as open.")
        found.append(one("horizon_days", say("Horizon"), note, given.get("horizon_days", 366), unit=say("days")))
    if mode == "explore":
        note = say("1 to 1,000. Where there are more branches, the result says so.")
        found.append(one("most_branches", say("At most so many branches"), note, given.get("most_branches", 200)))
    if mode == "backtest":
        note = say("1 to 50,000, the latest first.")
        found.append(one("limit", say("At most so many requests"), note, given.get("limit", 1000)))
    if mode == "shadow":
        note = say("0 compares once, what runs now. At most 8,784 hours, a year.")
        found.append(one("for_hours", say("Watch for"), note, given.get("for_hours", 168), unit=say("hours")))
        note = say("1 to 50,000, the latest first.")
        found.append(one("limit", say("At most so many requests"), note, given.get("limit", 1000)))
    return found


def spec_of(mode: str, choices: Choices, entries: Entries) -> dict[str, Any]:
    """Return the specification that a form asks for, as the API takes it; empty fields are left out."""
    raw: dict[str, Any] = {"mode": mode, "template": choices.definition.name, "version": choices.row_version}
    if mode in _ONE_REQUEST:
        raw["input"] = shapes.read_input(choices.version.asked, entries)
        raw["requester"] = entries.text("requester") or None
        raw["request_id"] = choices.about[0] if choices.about else None
        share, seed = (number_of(entries.text(f"sample.{name}"), entries) for name in ("approve", "seed"))
        if share is not None or seed is not None:
            raw["sample"] = {
                **({} if share is None else {"approve": share / 100 if isinstance(share, int | float) else share}),
                **({} if seed is None else {"seed": seed}),
            }
        if action := entries.text("bound_action"):
            raw["action"] = _action(action)
    if mode == "replay":
        raw["request_id"] = entries.text("request_id")[:200] or None
    if mode not in _COMPARES and (lines := read_script(entries)):
        raw["script"] = lines
    for name in ("decide_after_hours", "horizon_days", "most_branches", "limit", "for_hours"):
        if (value := number_of(entries.text(name), entries)) is not None:
            raw[name] = value
    return {name: value for name, value in raw.items() if value is not None}


def _action(text: str) -> Any:
    """Return an action that was entered; the text itself where it is no JSON, for the rules to refuse."""
    try:
        return read_json(text.encode())
    except InputInvalid:
        return text


def check(raw: Mapping[str, Any], choices: Choices, wording: Wording) -> None:
    """Raise InputInvalid with all faults of a specification, those of its input too."""
    problems = faults_of_lines(raw.get("script") or [], wording)
    problems += _out_of_percent(raw.get("sample") or {}, wording)
    known = {problem.pointer for problem in problems} | {problem.pointer.rpartition("/")[0] for problem in problems}
    try:
        if "input" in raw:
            normalise_input(choices.definition.variables, raw["input"], pointer="/input")
    except InputInvalid as error:
        problems += error.problems
    try:
        parse_spec(dict(raw))
    except InputInvalid as error:
        problems += [problem for problem in error.problems if problem.pointer not in known]
    if problems:
        raise InputInvalid(problems=tuple(problems))


def _out_of_percent(sample: Mapping[str, Any], wording: Wording) -> list[Problem]:
    """Return the fault of a share that the form asks for in percent, and the specification holds from 0 to 1."""
    value = sample.get("approve")
    if not isinstance(value, int | float) or 0 <= value <= 1:
        return []
    return [Problem(pointer="/sample/approve", message=wording.say("Write a percentage from 0 to 100."))]


def mode_of(text: str) -> str:
    """Return a mode by its name; explore where it is none."""
    return text if text in MODES else "explore"
