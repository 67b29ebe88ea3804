"""What a request waits for, and why somebody is asked or not, as the API shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.common import Shown, View, shown
from placet.audit.reasons import words
from placet.engine.timers import Purpose
from service.waiting.findings import Finding, Level
from service.waiting.waiting import Waiting
from service.waiting.waits import Kind, NextAct, WaitsFor
from service.waiting.why import StageAnswer, Why
from service.waiting.words import advice, parameters_of, says

_ID = "0b0c4a7e1f6d4e0e9a51c2f0e1d3a5b7"
_EXAMPLE: dict[str, Any] = {
    "request_id": _ID,
    "status": "pending",
    "at": "2026-03-03T10:00:00.000000Z",
    "live": True,
    "stuck": True,
    "waits_for": [
        {
            "kind": "decision",
            "stage": "Manager Approval",
            "node": None,
            "task_id": f"{_ID}.1",
            "people": ["user:mia"],
            "queue": None,
            "name": None,
            "request_id": None,
            "since": "2026-03-02T09:00:00.000000Z",
            "until": "2026-03-04T09:00:00.000000Z",
        }
    ],
    "next": [
        {
            "at": "2026-03-04T07:00:00.000000Z",
            "does": "warning",
            "stage": "Manager Approval",
            "node": "manager",
            "task_id": f"{_ID}.1",
            "to": None,
            "final": None,
        }
    ],
    "findings": [
        {
            "code": "away_without_substitute",
            "level": "stuck",
            "stage": "Manager Approval",
            "node": None,
            "task_id": f"{_ID}.1",
            "people": ["user:mia"],
            "parameters": {"until": "2026-03-09T07:00:00.000000Z"},
            "error": None,
            "says": "user:mia is away until 2026-03-09T07:00:00.000000Z, and nobody stands in.",
            "do": "user:mia or an admin names a substitute, or the process owner or an admin reassigns the task.",
        }
    ],
    "sub_processes": [],
}
_EXAMPLE_WHY: dict[str, Any] = {
    "request_id": _ID,
    "person": "user:max",
    "at": "2026-03-03T10:00:00.000000Z",
    "stages": [
        {
            "stage": "Manager Approval",
            "round": 1,
            "asked": False,
            "task_id": None,
            "code": "away",
            "parameters": {"name": "role:team_lead"},
            "says": "user:max is away and has no substitute",
            "seq": 2,
            "since": "2026-03-02T09:00:00.000000Z",
        }
    ],
}


class WaitsForView(View):
    """One thing that a request waits for; `people` can end the waiting. `until` is a deadline, or the end of a wait."""

    kind: Kind
    stage: str | None
    node: str | None
    task_id: str | None
    people: list[str]
    queue: str | None = Field(description="The role or group whose people may claim the task.")
    name: str | None = Field(description="Of the action, the event or the sub-process.")
    request_id: str | None = Field(description="Of the sub-process that is waited for.")
    since: Shown | None
    until: Shown | None

    @classmethod
    def of(cls, one: WaitsFor) -> WaitsForView:
        """Show one thing."""
        return cls(
            kind=one.kind,
            stage=one.stage,
            node=one.node,
            task_id=one.task_id,
            people=[f"user:{person}" for person in one.people],
            queue=one.queue,
            name=one.name,
            request_id=one.request_id,
            since=one.since,
            until=one.until,
        )


class NextActView(View):
    """What the engine does next by itself. An escalation goes `to` whom the process names, or ends by `final`."""

    at: Shown
    does: Purpose
    stage: str | None
    node: str | None
    task_id: str | None
    to: str | None
    final: str | None

    @classmethod
    def of(cls, one: NextAct) -> NextActView:
        """Show one act."""
        return cls(
            at=one.at, does=one.does, stage=one.stage, node=one.node, task_id=one.task_id, to=one.to, final=one.final
        )


class FindingView(View):
    """Why a request is stuck, or may wait for long (`note`): what is so, and what to do about it."""

    code: str
    level: Level
    stage: str | None
    node: str | None
    task_id: str | None
    people: list[str]
    parameters: dict[str, Any]
    error: str | None = Field(description="What went wrong; the process owner, auditors and admins see it.")
    says: str
    do: str

    @classmethod
    def of(cls, one: Finding, *, with_private: bool) -> FindingView:
        """Show a finding."""
        return cls(
            code=one.code,
            level=one.level,
            stage=one.stage,
            node=one.node,
            task_id=one.task_id,
            people=[f"user:{person}" for person in one.people],
            parameters=parameters_of(one),
            error=one.error if with_private else None,
            says=says(one),
            do=advice(one),
        )


class WaitingView(View):
    """What a request waits for, what the engine does next by itself, and what keeps it.

    `live` is false where the engine did not answer: then this is what was stored last. `stuck` says that nothing goes
    on until somebody does what a finding says, here or in a sub-process.
    """

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    request_id: str
    status: Literal["pending", "completed", "failed", "cancelled"]
    at: Shown
    live: bool
    stuck: bool
    waits_for: list[WaitsForView]
    next: list[NextActView]
    findings: list[FindingView]
    sub_processes: list[WaitingView] = Field(description="The running sub-processes that the caller may see.")

    @classmethod
    def of(cls, found: Waiting) -> WaitingView:
        """Show what a request waits for."""
        return cls.model_validate(
            {
                "request_id": found.stored.request.id,
                "status": found.stored.request.status,
                "at": found.at,
                "live": found.live,
                "stuck": found.stuck,
                "waits_for": [WaitsForView.of(one) for one in found.waits_for],
                "next": [NextActView.of(one) for one in found.next],
                "findings": [FindingView.of(one, with_private=found.with_private) for one in found.findings],
                "sub_processes": [cls.of(child) for child in found.children],
            }
        )


class StageAnswerView(View):
    """Whether a person is asked at an open stage. `seq` is the audit entry that says so, and `since` its moment."""

    stage: str
    round: int
    asked: bool
    task_id: str | None
    code: str
    parameters: dict[str, Any]
    says: str
    seq: int | None
    since: Shown | None

    @classmethod
    def of(cls, one: StageAnswer, person: str) -> StageAnswerView:
        """Show an answer."""
        whether = one.whether
        return cls(
            stage=one.stage,
            round=one.round,
            asked=whether.asked,
            task_id=whether.task_id,
            code=whether.why.code,
            parameters={name: _plain(value) for name, value in whether.why.parameters.items()},
            says=f"user:{person} {words(whether.why)}",
            seq=whether.seq,
            since=whether.at,
        )


class WhyView(View):
    """Whether a person is asked at each open stage of a request, and why; no stages where none is open."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE_WHY]})

    request_id: str
    person: str | None
    at: Shown
    stages: list[StageAnswerView]

    @classmethod
    def of(cls, found: Why) -> WhyView:
        """Show the answers."""
        return cls(
            request_id=found.stored.request.id,
            person=shown(found.person),
            at=found.at,
            stages=[StageAnswerView.of(one, found.person) for one in found.stages],
        )


def _plain(value: Any) -> Any:
    """Return a parameter as JSON: another reason as its code and parameters."""
    if hasattr(value, "code"):
        return {"code": value.code, **{name: _plain(one) for name, one in value.parameters.items()}}
    return value
