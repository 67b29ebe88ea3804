"""What the API sends and takes, as frozen dataclasses. Times are UTC; actors are `user:<id>` or `system`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Exactly one thing that shall be done, such as one transfer: an approval holds for this and nothing else.

    `parameters` are JSON; amounts are strings. The approval may be claimed until `expires_at`.
    """

    type: str
    target: str
    parameters: Mapping[str, Any]
    expires_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return the action as the API takes it."""
        return {
            "type": self.type,
            "target": self.target,
            "parameters": dict(self.parameters),
            "expires_at": moment(self.expires_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimState:
    """Whether the action of an approved request can be claimed (`open`), was claimed, or can no longer be."""

    status: str  # open, claimed, expired
    claimed_by: str | None
    claimed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The signature of a decision: who, in which sense, and by which proof."""

    name: str
    reason: str
    method: str
    authenticated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: somebody is asked to decide a request."""

    id: str
    request_id: str
    stage: str
    status: str  # open, decided, superseded, cancelled
    round: int
    assignee: str | None
    assigned_via: str
    candidates: tuple[str, ...]
    delegates: tuple[str, ...]
    opened_at: datetime
    due_at: datetime | None
    sla_state: str  # ok, warning, breached
    escalation_level: int
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    form: Mapping[str, Any] | None
    on_behalf_of: str | None
    undo_until: datetime | None
    signature: Signature | None
    revision: int
    content_digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTask(Task):
    """One task in a list, with a summary of its request."""

    title: str
    template: str
    requester: str
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to the requester; `answer` is None while it is open."""

    n: int
    task_id: str | None
    asked_by: str
    asked_at: datetime
    text: str | None
    answered_at: datetime | None
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Links to other views of a request."""

    temporal_ui: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request for approval, with all of its tasks, oldest first."""

    id: str
    template: str
    version: str
    title: str
    input: Mapping[str, Any]
    requester: str
    owner: str | None
    status: str  # pending, completed, failed, cancelled
    outcome: str | None  # approved, rejected, expired, withdrawn, cancelled, or the process's own
    stage: str | None
    round: int
    returned: bool
    revision: int
    content_digest: str | None
    started_at: datetime
    ended_at: datetime | None
    tasks: tuple[Task, ...]
    questions: tuple[Question, ...]
    links: Links
    action: Mapping[str, Any] | None = None  # as JSON, of a request for one
    action_digest: str | None = None
    claim: ClaimState | None = None  # once it is approved

    @property
    def approved(self) -> bool:
        """Whether it has ended as approved."""
        return self.status == "completed" and self.outcome == "approved"

    @property
    def settled(self) -> bool:
        """Whether waiting is over: it has ended, or was returned to its requester."""
        return self.status != "pending" or self.returned


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The proof that an approved action may be carried out, once, by whoever holds it."""

    request_id: str
    action_digest: str
    claimed_by: str
    claimed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a request's timeline; `detail` depends on its `kind`."""

    seq: int
    chain_seq: int
    at: datetime
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether a request's audit chain is intact, and whether its last hash is the one in the engine's history."""

    ok: bool
    entries: int
    head: str | None
    engine_head: str | None
    first_bad_seq: int | None
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitsFor:
    """One thing that a request waits for; `people` can end the waiting."""

    kind: str
    stage: str | None
    node: str | None
    task_id: str | None
    people: tuple[str, ...]
    queue: str | None
    name: str | None
    request_id: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAct:
    """What the engine does next by itself."""

    at: datetime
    does: str
    stage: str | None
    node: str | None
    task_id: str | None
    to: str | None
    final: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why a request is stuck or may wait for long: what is so (`says`), and what to do about it (`do`)."""

    code: str
    level: str
    stage: str | None
    node: str | None
    task_id: str | None
    people: tuple[str, ...]
    parameters: Mapping[str, Any]
    error: str | None
    says: str
    do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a request waits for, what happens next by itself, and why it is stuck."""

    request_id: str
    status: str
    at: datetime
    live: bool
    stuck: bool
    waits_for: tuple[WaitsFor, ...]
    next: tuple[NextAct, ...]
    findings: tuple[Finding, ...]
    sub_processes: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a process."""

    id: str
    name: str
    version: str
    status: str  # draft, published, deprecated
    template_type: str
    owner: str | None
    digest: str
    created_by: str
    created_at: datetime
    published_by: str | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A simulation: what would come of a request, without asking anybody."""

    id: str
    mode: str
    status: str  # running, completed, failed, cancelled
    template: str | None
    version: str | None
    request_id: str | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    error: str | None
    execution_path: tuple[Mapping[str, Any], ...]
    branch_explorations: tuple[Mapping[str, Any], ...]
    approval_chain: tuple[Mapping[str, Any], ...]
    predicted_duration_ms: int | None
    validation_errors: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who calls, and what they may do."""

    id: str
    name: str
    actor_type: str  # person, service, agent
    access: tuple[str, ...]
    principal: str | None = None  # whom an agent acts for


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list; `next_cursor` asks for the next one, None if this is the last."""

    items: tuple[T, ...]
    next_cursor: str | None


def moment(at: datetime) -> str:
    """Return a time as the API takes it; raises ValueError for one without an offset."""
    if at.utcoffset() is None:
        raise ValueError(f"{at.isoformat()} has no offset; give a time with one, such as datetime.now(UTC)")
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
