"""One simulation as it is shown: what was asked, how it ended, its figures with their basis, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection

from service.principal import Principal
from service.visibility import viewer_of
from storage.queries.simulations import simulation_rows, simulations
from storage.tables.simulations import WorkflowSimulation
from web.languages import Wording
from web.simulations.timelines import ComparedStep, Step, compared_steps, steps_of
from web.simulations.wording import MODES, STATUSES, TONES, ending, plain, span, tone_of
from web.views.people import names_of

_MOST_STEPS = 500
_MOST_INPUTS = 12
OFFERED = 30  # other simulations that a simulation can be compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure, and in small what it is based on."""

    label: str
    value: str
    basis: str = ""


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
    faults: tuple[Fault, ...]
    groups: tuple[BranchGroup, ...]
    steps: tuple[Step, ...]
    steps_left: int
    compared: tuple[ComparedStep, ...]
    sides: tuple[str, str]
    history_link: str | None
    revision: int  # of the rows that it has by now
    agrees: str | None
    can_compare: tuple[tuple[str, str], ...]  # references, with what they are called

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
        figures=tuple(_figures(row.mode, result, wording)),
        warnings=tuple(str(one) for one in result.get("warnings") or ()),
        faults=tuple(_fault(one) for one in result.get("validation_errors") or ()),
        groups=groups_of(row.id, result.get("branch_explorations") or (), wording),
        steps=() if timelines else steps_of(connection, path[:_MOST_STEPS], wording),
        steps_left=0 if timelines else max(0, len(path) - _MOST_STEPS),
        compared=compared_steps(connection, timelines, wording, one=sides[0], other=sides[1]),
        sides=sides,
        history_link=_link(result),
        revision=simulation_rows.revision(connection, row.id) if row.status == "running" else 0,
        agrees=_agrees(result, wording) if row.mode == "rehearse" else None,
        can_compare=_others(connection, row, wording) if path and row.status == "completed" else (),
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
    return row.error or wording.say("The process or the input has faults, which are listed below.")


def _figures(mode: str, result: Mapping[str, Any], wording: Wording) -> list[Figure]:
    say = wording.say
    if mode in {"backtest", "shadow"}:
        return _totals(result.get("totals") or {}, wording)
    if not result.get("execution_path"):
        return []
    found = [Figure(label=say("Ends"), value=ending(say, result.get("outcome"), result.get("stopped")))]
    predicted = result.get("predicted_duration") or {}
    if predicted:
        found.append(
            Figure(
                label=say("Takes, in the median"),
                value=span(predicted.get("p50_ms"), wording),
                basis=_basis(predicted, wording),
            )
        )
        if predicted.get("p90_ms") is not None and predicted.get("samples", 1) > 1:
            found.append(Figure(label=say("Nine in ten take at most"), value=span(predicted["p90_ms"], wording)))
    cost = result.get("cost")
    if cost and _positive(cost.get("total")):
        value = f"{cost['total']} {cost['currency']}"
        found.append(Figure(label=say("Costs"), value=value, basis=say("by the prices that were given")))
    branches = result.get("branch_explorations")
    if branches:
        found.append(Figure(label=say("Branches"), value=wording.number(len(branches))))
    if "timelines_differ" in result:
        of = say("of {number}").format(number=wording.number(len(result.get("timelines") or ())))
        found.append(
            Figure(label=say("Steps that differ"), value=wording.number(int(result["timelines_differ"])), basis=of)
        )
    withheld = sum((result.get("withheld") or {}).values())
    if withheld:
        found.append(
            Figure(
                label=say("Withheld"),
                value=wording.number(withheld),
                basis=say("messages and actions, none of them sent"),
            )
        )
    return found


def _basis(predicted: Mapping[str, Any], wording: Wording) -> str:
    say = wording.say
    number = wording.number(int(predicted.get("samples") or 1))
    match predicted.get("source"):
        case "history":
            return say("from past response times, over {number} runs").format(number=number)
        case "sampled":
            return say("over {number} runs with sampled approvers").format(number=number)
        case _:
            return say("one run by a stated rule, not a forecast")


def _totals(totals: Mapping[str, Any], wording: Wording) -> list[Figure]:
    if not totals:
        return []
    say = wording.say
    known, requests = int(totals["known"]), int(totals["requests"])
    of_known = say("of {number} that are known").format(number=wording.number(known))
    found = [
        Figure(label=say("Requests compared"), value=wording.number(requests)),
        Figure(
            label=say("Unknown"),
            value=wording.number(int(totals["unknown"])),
            basis=say("of {number}; the record does not tell").format(number=wording.number(requests)),
        ),
        Figure(label=say("Would change"), value=wording.number(int(totals["changed"]["count"])), basis=of_known),
        Figure(
            label=say("Would end differently"),
            value=wording.number(int(totals["outcome_changed"]["count"])),
            basis=of_known,
        ),
    ]
    hours = totals["hours"]
    median = [_hours(hours[name], wording) for name in ("median_before", "median_after")]
    found.append(Figure(label=say("Median duration, before → after"), value=" → ".join(median), basis=of_known))
    breached = totals["breached"]
    found.append(
        Figure(
            label=say("Overdue, before → after"),
            value=f"{wording.number(int(breached['before']))} → {wording.number(int(breached['after']))}",
            basis=of_known,
        )
    )
    return found


def _hours(hours: float | None, wording: Wording) -> str:
    return span(None if hours is None else round(hours * 3_600_000), wording)


def _positive(value: Any) -> bool:
    try:
        return Decimal(str(value)) > 0
    except InvalidOperation:
        return False


def _fault(one: Mapping[str, Any]) -> Fault:
    witness = one.get("witness")
    return Fault(
        place=str(one.get("pointer") or ""),
        message=str(one.get("message") or ""),
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


def _others(connection: Connection, row: WorkflowSimulation, wording: Wording) -> tuple[tuple[str, str], ...]:
    """Return what this simulation can be compared with: its real request, and others of the same person and process."""
    say = wording.say
    found = []
    if row.request_id and row.mode != "replay":
        found.append((f"request:{row.request_id}", say("the real request")))
    page = simulations.page(connection, limit=OFFERED, viewer=row.created_by, status="completed", with_results=False)
    for other in page.items:
        if other.id != row.id and other.mode in {"explore", "rehearse", "replay"} and other.template == row.template:
            mode = say(MODES[other.mode])
            text = " · ".join(filter(None, (mode, other.version, wording.moment(other.created_at))))
            found.append((f"simulation:{other.id}", text))
    return tuple(found)
