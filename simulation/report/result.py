"""The result of a simulation: frozen values with the published field names, and their JSON.

Times inside a simulation are milliseconds after its start (`…_ms`), because its calendar date has no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from placet.audit.chain import Entry, moment
from placet.audit.reasons import readable_detail, why_of
from placet.engine.state import Task
from placet.errors import Problem
from placet.sentences import read_sentence, sentences_in
from simulation.run.driver import AppliedEvent, Trace

SENTENCES = "sentences"  # the field of a stored result that says what its texts are made of


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """One step: an entry of the audit chain as it would be written, and a sentence about it."""

    seq: int
    after_ms: int
    at: datetime
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLink:
    """One task of the approval chain: its assignee, how it was assigned, and the decision."""

    stage: str
    task_id: str
    assignee: str | None
    assigned_via: str
    candidates: tuple[str, ...]
    held_by: tuple[str, ...]
    status: str
    decision: str | None
    decided_by: str | None
    opened_ms: int
    decided_ms: int | None
    due_ms: int | None
    sla_state: str
    escalation_level: int
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The predicted duration: median `p50_ms`, 90th percentile `p90_ms`, and how they were found.

    `source` is `history` (past response times), `sampled` (sampled approvers) or `declared` (one run by a stated rule);
    `distribution_ms` are the sampled durations, shortest first.
    """

    p50_ms: int | None
    p90_ms: int | None
    source: str
    rule: str
    samples: int = 1
    distribution_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionCost:
    """The cost of one request: the time of approvers, the actions and notifications, and the price of delay."""

    currency: str
    total: Decimal
    approvers: Decimal
    actions: Decimal
    delay: Decimal
    approver_hours: Decimal
    delay_hours: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One feasible route through the process, with an input that takes it.

    `path_condition` is one expression over the variables, `true` where the input does not matter. `results` are those
    of the waiting nodes on the route, `outcomes` those of the stages, in the order in which these were settled.
    `hurried` says that people decide one after the other here, each within a minute: with their usual response times
    another branch of a fork would arrive first.
    """

    id: str
    route: tuple[str, ...]
    path_condition: str
    conditions: tuple[dict[str, Any], ...]
    witness: dict[str, Any]
    witness_from: str
    results: tuple[dict[str, str], ...]
    outcomes: tuple[dict[str, str], ...]
    outcome: str | None
    approval_chain: tuple[ChainLink, ...]
    predicted_duration_ms: int | None
    sla_state: str
    steps: int
    stopped: str | None
    hurried: bool = False
    cost: ExecutionCost | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationResult:
    """The result of a simulation of one request, in any mode."""

    mode: str
    template: str
    version: str
    digest: str | None
    requester: str
    input: dict[str, Any]
    outcome: str | None = None
    end: str | None = None
    stopped: str | None = None
    execution_path: tuple[PathStep, ...] = ()
    approval_chain: tuple[ChainLink, ...] = ()
    branch_explorations: tuple[Branch, ...] = ()
    predicted_duration_ms: int | None = None
    predicted_duration: Prediction | None = None
    refused: tuple[dict[str, Any], ...] = ()
    withheld: dict[str, int] = field(default_factory=dict)
    cost: ExecutionCost | None = None
    validation_errors: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    statistics: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether nothing could be simulated."""
        return bool(self.validation_errors) and not self.execution_path

    def described(self) -> dict[str, Any]:
        """Return the result as JSON values; the fields of a mode (`extra`) stand beside the others."""
        values: dict[str, Any] = json_value(self)
        return {**{k: v for k, v in values.items() if k != "extra"}, **values["extra"]}


def json_value(value: Any) -> Any:
    """Return a value as JSON values: times in RFC 3339, durations in milliseconds, decimals as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: json_value(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(k): json_value(v) for k, v in value.items()}
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, timedelta):
        return milliseconds(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    return [json_value(v) for v in value]


def milliseconds(span: timedelta) -> int:
    """Return a span in whole milliseconds."""
    return span // timedelta(milliseconds=1)


def path_of(trace: Trace) -> tuple[PathStep, ...]:
    """Return the entries of a trace as steps."""
    return tuple(step_of(entry, trace.started_at) for entry in trace.entries)


def step_of(entry: Entry, start: datetime) -> PathStep:
    """Return an entry as a step of a simulation that started at `start`."""
    return PathStep(
        seq=entry.seq,
        after_ms=milliseconds(entry.at - start),
        at=entry.at,
        kind=entry.kind,
        actor=entry.actor,
        stage=entry.stage,
        task_id=entry.task_id,
        detail=readable_detail(entry.detail),
        what=sentence(entry),
    )


def chain_of(trace: Trace) -> tuple[ChainLink, ...]:
    """Return the tasks of a trace, oldest first."""
    return tuple(link_of(task, trace.started_at) for task in trace.state.tasks)


def link_of(task: Task, start: datetime) -> ChainLink:
    """Return a task as a link of the approval chain of a simulation that started at `start`."""
    return ChainLink(
        stage=task.stage,
        task_id=task.id,
        assignee=_user(task.assignee),
        assigned_via=task.via,
        candidates=tuple(f"user:{c}" for c in task.candidates),
        held_by=tuple(f"user:{p}" for p in task.held_by),
        status=task.status,
        decision=task.decision,
        decided_by=_user(task.decided_by),
        opened_ms=milliseconds(task.opened_at - start),
        decided_ms=milliseconds(task.decided_at - start) if task.decided_at else None,
        due_ms=milliseconds(task.due_at - start) if task.due_at else None,
        sla_state=task.sla_state,
        escalation_level=task.level,
        round=task.round,
    )


def refusals_of(trace: Trace) -> tuple[dict[str, Any], ...]:
    """Return the events that the core refused."""
    return tuple(_refusal(applied) for applied in trace.applied_events if applied.refused is not None)


def worst_sla(trace: Trace) -> str:
    """Return the worst SLA state of the tasks of a trace."""
    order = ("ok", "warning", "breached")
    return max((t.sla_state for t in trace.state.tasks), key=order.index, default="ok")


def with_sentences(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result to be stored: `sentences` says what its findings and warnings are made of, for other languages.

    Stored text is plain; whoever reads it takes the sentence of a text by `told_sentence`.
    """
    findings = [one["message"] for one in result.get("validation_errors") or ()]
    made = sentences_in([*findings, *(result.get("warnings") or ())])
    return {**result, SENTENCES: made} if made else result


def told_sentence(result: Mapping[str, Any], text: str) -> str:
    """Return the sentence that a text of a result is; the plain text where nothing is stored about it."""
    made = result.get(SENTENCES)
    return read_sentence(made.get(text), text) if isinstance(made, Mapping) and type(text) is str else text


def problem_json(problem: Problem, *, code: str = "schema") -> dict[str, Any]:
    """Return a problem as a validation error."""
    return {"code": code, "pointer": problem.pointer, "message": problem.message}


def sentence(entry: Entry) -> str:
    """Return a short sentence that says what an entry means."""
    detail = entry.detail
    who = entry.actor.removeprefix("user:")
    sentence_of: Callable[[], str] | None = {
        "started": lambda: f"{who} starts {detail.get('blueprint')} {detail.get('version')}",
        "task_opened": lambda: f"{_asked(detail)} is asked ({detail.get('assigned_via')})",
        "reminded": lambda: f"{_names(detail.get('to'))} is reminded",
        "sla_warning": lambda: "the deadline approaches",
        "sla_breached": lambda: "the deadline has passed",
        "sla_critical": lambda: "the delay is critical",
        "escalated": lambda: (
            f"escalates to {_names((detail.get('after') or {}).get('to'))}, level {detail.get('level')}"
        ),
        "decided": lambda: f"{who} decides: {detail.get('decision')}",
        "changes_requested": lambda: f"{who} requests changes",
        "decision_undone": lambda: f"{who} undoes the decision",
        "decision_stands": lambda: f"the decision of {str(detail.get('by')).removeprefix('user:')} stands",
        "resubmitted": lambda: f"{who} resubmits, round {detail.get('round')}",
        "stage_settled": lambda: ": ".join(filter(None, (f"{entry.stage} is {detail.get('result')}", why_of(detail)))),
        "routed": lambda: f"at {detail.get('node')}: {detail.get('condition')}, on to {detail.get('to')}",
        "claim_refused": lambda: f"{who} claims another action than the approved one",
        "claim_expired": lambda: "the time to claim the approved action is over",
        "completed": lambda: f"ends: {detail.get('outcome')}",
    }.get(entry.kind)
    if sentence_of is not None:
        return sentence_of()
    what = entry.kind.replace("_", " ")
    return f"{what}: {_names(detail['to'])}" if isinstance(detail.get("to"), list) else f"{what} by {who}"


def _asked(detail: dict[str, Any]) -> str:
    if detail.get("assignee"):
        return _names([detail["assignee"]])
    return f"a queue of {len(detail['candidates'])}" if detail.get("candidates") else "nobody"


def _names(people: Any) -> str:
    return ", ".join(str(p).removeprefix("user:") for p in people or ()) or "nobody"


def _user(person: str | None) -> str | None:
    return f"user:{person}" if person else None


def _refusal(applied: AppliedEvent) -> dict[str, Any]:
    by = getattr(applied.event, "by", None)
    return {
        "after_ms": milliseconds(applied.after),
        "what": type(applied.event).__name__.lower(),
        "by": by.name if by is not None else "system",
        "why": applied.refused,
    }
