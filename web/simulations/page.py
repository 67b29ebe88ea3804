"""One simulation as it is shown: what was asked, how it ended, its figures with their basis, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from service.principal import Principal
from service.visibility import viewer_of
from simulation.report.result import told_sentence
from storage.queries.simulations import simulation_rows, simulations
from storage.tables.simulations import WorkflowSimulation
from web.languages import Wording
from web.simulations.figures import Figure, figures_of
from web.simulations.timelines import ComparedStep, Step, compared_steps, steps_of
from web.simulations.wording import MODES, STATUSES, TONES, ending, plain, span, tone_of
from web.views.people import names_of
from web.views.words import marked

_MOST_STEPS = 500
_MOST_INPUTS = 12
OFFERED = 30  # requests, and other simulations, that a simulation can be compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value of an input."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchLine:
    """A branch in the list: its way, the input that takes it, and how long it takes."""

    id: str
    number: str
    way: str
    condition: str
    witness: tuple[Given, ...]
    takes: str
    hurried: bool
    address: str
    reuse: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchGroup:
    """The branches with one outcome."""

    outcome: str
    tone: str
    branches: tuple[BranchLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong: where, what, and an input that shows it."""

    place: str
    message: str
    witness: tuple[Given, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparableGroup:
    """What a simulation can be put beside: references to timelines, with what they are called."""

    heading: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultGroup:
    """The faults of one part of what was asked."""

    heading: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationPage:
    """What the page of a simulation shows."""

    id: str
    mode: str
    heading: str
    mode_word: str
    status: str
    status_word: str
    tone: str
    by: str | None
    created_at: datetime
    finished_at: datetime | None
    why: str | None  # why it failed, or was stopped
    request_id: str | None
    requester: str
    given: tuple[Given, ...]
    figures: tuple[Figure, ...]
    warnings: tuple[str, ...]
    faults: tuple[FaultGroup, ...]
    groups: tuple[BranchGroup, ...]
    steps: tuple[Step, ...]
    steps_left: int
    compared: tuple[ComparedStep, ...]
    sides: tuple[str, str]
    history_link: str | None
    counted: Mapping[str, int] | None  # rows by filter, where the result has it
    revision: int  # of the rows that it has by now
    agrees: str | None
    can_compare: tuple[ComparableGroup, ...]

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.status == "running"

    @property
    def has_rows(self) -> bool:
        """Whether it has a row for each of many requests."""
        return self.mode in {"backtest", "shadow"}


def read_simulation(
    connection: Connection, principal: Principal, simulation_id: str, wording: Wording
) -> SimulationPage:
    """Read the page of a simulation; raises NotFound where the reader may see none."""
    row = simulations.get(connection, simulation_id, viewer=viewer_of(principal))
    result: Mapping[str, Any] = row.result or {}
    say = wording.say
    names = names_of(connection, {row.created_by, str(result.get("requester") or "")})
    path = result.get("execution_path") or ()
    sides = (say("as recorded"), say("forecast") if result.get("forecast") else say("simulated again"))
    timelines = (result.get("timelines") or ())[:_MOST_STEPS]
    version = result.get("version") or row.version or ""
    process = result.get("template") or row.template or say("the process of a request")
    return SimulationPage(
        id=row.id,
        mode=row.mode,
        heading=f"{process} {version}".strip(),
        mode_word=say(MODES.get(row.mode, row.mode)),
        status=row.status,
        status_word=say(STATUSES.get(row.status, row.status)),
        tone=TONES.get(row.status, "open"),
        by=None if row.created_by == principal.person else names(row.created_by),
        created_at=row.created_at,
        finished_at=row.finished_at,
        why=_why(row, wording),
        request_id=row.request_id,
        requester=names(str(result["requester"])) if result.get("requester") else "",
        given=given_of(result.get("input") or row.question.get("input") or {}),
        figures=tuple(figures_of(row.mode, result, wording)),
        warnings=tuple(told_sentence(result, one) for one in result.get("warnings") or ()),
        faults=_faults(result, wording),
        groups=groups_of(row.id, result.get("branch_explorations") or (), wording),
        steps=() if timelines else steps_of(connection, path[:_MOST_STEPS], wording),
        steps_left=0 if timelines else max(0, len(path) - _MOST_STEPS),
        compared=compared_steps(connection, timelines, wording, one=sides[0], other=sides[1]),
        sides=sides,
        history_link=_link(result),
        counted=(result.get("totals") or {}).get("shown"),
        revision=simulation_rows.revision(connection, row.id) if row.status == "running" else 0,
        agrees=_agrees(result, wording) if row.mode == "rehearse" else None,
        can_compare=_others(connection, row, principal, wording) if path and row.status == "completed" else (),
    )


def groups_of(simulation_id: str, branches: Sequence[Mapping[str, Any]], wording: Wording) -> tuple[BranchGroup, ...]:
    """Return branches grouped by their outcome, the largest group first."""
    found: dict[tuple[str, str], list[BranchLine]] = {}
    for branch in branches:
        key = (ending(wording.say, branch["outcome"], branch["stopped"]), tone_of(branch["outcome"]))
        found.setdefault(key, []).append(branch_line(simulation_id, branch, wording))
    ordered = sorted(found.items(), key=lambda one: -len(one[1]))
    return tuple(BranchGroup(outcome=word, tone=tone, branches=tuple(lines)) for (word, tone), lines in ordered)


def branch_line(simulation_id: str, branch: Mapping[str, Any], wording: Wording) -> BranchLine:
    """Return a branch as a line."""
    settled = [f"{one['stage']}: {_result(one['result'], wording)}" for one in branch["outcomes"]]
    condition = str(branch["path_condition"])
    return BranchLine(
        id=branch["id"],
        number=str(branch["id"]).removeprefix("branch-"),
        way=" → ".join(settled) or " → ".join(branch["route"]),
        condition=wording.say("any input") if condition == "true" else condition,
        witness=given_of(branch["witness"]),
        takes=span(branch["predicted_duration_ms"], wording),
        hurried=bool(branch.get("hurried")),
        address=f"/simulations/{simulation_id}/branches/{branch['id']}",
        reuse=f"/simulations/new?from={simulation_id}&branch={branch['id']}",
    )


def given_of(given: Mapping[str, Any]) -> tuple[Given, ...]:
    """Return the values of an input, the first of them."""
    return tuple(Given(name=name, value=plain(value)) for name, value in list(given.items())[:_MOST_INPUTS])


def _result(result: str, wording: Wording) -> str:
    return ending(wording.say, result, None)


def _why(row: WorkflowSimulation, wording: Wording) -> str | None:
    if row.status == "cancelled":
        return wording.say("It was cancelled before its end.")
    if row.status != "failed":
        return None
    return row.error or wording.say("What was asked has faults, which are listed below.")


_FAULTY: Final = {
    "/input": marked("Faults of the input"),
    "/script": marked("Faults of the script"),
    "": marked("Faults of the process"),
}
"""What the faults below a pointer are called; the rest is about the blueprint."""


def _faults(result: Mapping[str, Any], wording: Wording) -> tuple[FaultGroup, ...]:
    groups: dict[str, list[Fault]] = {}
    for one in result.get("validation_errors") or ():
        pointer = str(one.get("pointer") or "")
        part = next(part for part in _FAULTY if not part or pointer == part or pointer.startswith(f"{part}/"))
        groups.setdefault(part, []).append(_fault(result, one))
    return tuple(
        FaultGroup(heading=wording.say(heading), faults=tuple(groups[part]))
        for part, heading in _FAULTY.items()
        if part in groups
    )


def _fault(result: Mapping[str, Any], one: Mapping[str, Any]) -> Fault:
    witness = one.get("witness")
    return Fault(
        place=str(one.get("pointer") or ""),
        message=told_sentence(result, one.get("message") or ""),
        witness=given_of(witness) if isinstance(witness, Mapping) else (),
    )


def _link(result: Mapping[str, Any]) -> str | None:
    link = (result.get("links") or {}).get("temporal_ui")
    return link if isinstance(link, str) and link else None


def _agrees(result: Mapping[str, Any], wording: Wording) -> str:
    if result.get("fell_back_to"):
        return wording.say("No engine was connected, so this was explored and not rehearsed.")
    agrees = result.get("agrees_with_explore")
    if agrees is True:
        return wording.say("The engine did what the simulation of the core foresaw.")
    if agrees is False:
        return wording.say("The engine did something else than the core foresaw; the warnings say what.")
    return wording.say("Whether engine and core agree is unknown, because values were assumed.")


def _others(
    connection: Connection, row: WorkflowSimulation, principal: Principal, wording: Wording
) -> tuple[ComparableGroup, ...]:
    """Return what this simulation can be put beside: real requests that the reader may see, and simulations."""
    say = wording.say
    template = (row.result or {}).get("template") or row.template
    real = simulations.recent(connection, template, viewer=viewer_of(principal), limit=OFFERED) if template else []
    requests = {f"request:{ident}": title for ident, title, _ in real}
    if row.request_id:
        titles = simulations.titles(connection, [row.request_id], viewer=viewer_of(principal))
        own = {f"request:{ident}": title for ident, title in titles.items()}
        requests = {**own, **requests}  # its own stands first
    page = simulations.page(connection, limit=OFFERED, viewer=row.created_by, status="completed", with_results=False)
    others = {}
    for other in page.items:
        if other.id != row.id and other.mode in {"explore", "rehearse", "replay"} and other.template == row.template:
            mode = say(MODES[other.mode])
            text = " · ".join(filter(None, (mode, other.version, wording.moment(other.created_at))))
            others[f"simulation:{other.id}"] = text
    groups = (
        ComparableGroup(heading=say("Real requests"), options=tuple(requests.items())),
        ComparableGroup(heading=say("Simulations"), options=tuple(others.items())),
    )
    return tuple(group for group in groups if group.options)
