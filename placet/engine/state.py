"""The state of one request: one serialisable value, which continue-as-new passes on whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, assert_never

from pydantic import model_validator

from placet.audit.chain import Entry, moment
from placet.audit.sealed import Sealed
from placet.definition.action_spec import ActionCall
from placet.definition.formats import STORED, Rules, rules_of
from placet.definition.formats.upgrades import upgraded_state
from placet.directory import Directory
from placet.engine.bound_action import BoundAction
from placet.engine.content import Attachment, Revision
from placet.frozen import quick, stored_as
from placet.plan.plan import Plan

Status = Literal["pending", "completed", "failed", "cancelled"]
SlaState = Literal["ok", "warning", "breached"]
TaskStatus = Literal["open", "decided", "superseded", "cancelled"]
Decision = Literal["approve", "reject", "request_changes", "abstain"]
Side = Literal["for", "against", "nobody"]
ProofMethod = Literal["oidc", "passkey", "token", "simulated"]
"""How somebody proved who they are: at the identity provider, by a passkey, or by a token where there is neither."""


def counts(decision: Decision) -> Side | None:
    """Return the side of a stage's vote that a decision counts for. This is the only place that says so.

    An abstention is a vote for nobody, and its seat is used up. A request for changes (None) is no vote: the stage is
    asked again once the request is resubmitted.
    """
    match decision:
        case "approve":
            return "for"
        case "reject":
            return "against"
        case "abstain":
            return "nobody"
        case "request_changes":
            return None
        case _:
            assert_never(decision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A decision's signature: the signer's name as the directory had it then, what it means, and how it was proven."""

    name: str
    reason: str
    method: ProofMethod
    authenticated_at: datetime

    @property
    def stored(self) -> dict[str, str]:
        """Return the signature as JSON has it."""
        at = moment(self.authenticated_at)
        return {"name": self.name, "reason": self.reason, "method": self.method, "authenticated_at": at}


@quick
@dataclass(frozen=True, kw_only=True)
class Task:
    """One seat's task. People are bare ids; moments are absolute and in UTC.

    `assignee` is None while the task waits in a queue (`candidates`); `delegates` may decide it as well.
    """

    id: str
    node: Annotated[str, stored_as("point")]
    stage: str
    round: int
    seat: int
    weight: int
    assignee: str | None
    via: str
    opened_at: datetime
    revision: int  # of the request: the current one while it is open, then the one that was decided on
    content_digest: str  # of that revision
    candidates: tuple[str, ...] = ()
    delegates: tuple[str, ...] = ()
    held_by: tuple[str, ...] = ()  # everyone who has had it, oldest first
    hand_overs: int = 0  # how often its assignee has changed or a decision on it was undone
    due_at: datetime | None = None
    warn_at: datetime | None = None
    breached_at: datetime | None = None
    remind_at: datetime | None = None  # next of the repeating reminders
    remind_before: tuple[datetime, ...] = ()  # reminders before the deadline still to come
    escalate_at: datetime | None = None
    next_level: int = 0
    level: int = 0
    sla_state: SlaState = "ok"
    escalation_ended: Annotated[bool, stored_as("ladder_ended")] = (
        False  # the escalation has ended; the stage's final rule waits for the other tasks
    )
    status: TaskStatus = "open"
    result: str | None = None  # of a superseded task: the result of its stage
    decision: Decision | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    comment: str | None = None
    form: dict[str, Any] | None = None
    queue: str | None = (
        None  # the role or group (see placet.definition.assignees) whose people, as they then are, may claim it
    )
    on_behalf_of: str | None = None  # the person on whose behalf it was decided, if another
    critical_at: datetime | None = None  # when it becomes critical, once it is breached
    undo_until: datetime | None = None  # until when whoever decided may undo that; it has no effect before
    signature: Signature | None = None  # of the decision, where the stage asks for one

    @property
    def number(self) -> int:
        """Return its number among all tasks that the request ever had, from 1."""
        return int(self.id.rpartition(".")[2])

    @property
    def provisional(self) -> bool:
        """Say whether it is decided, and the decision does not stand yet: whoever decided may undo it."""
        return self.undo_until is not None

    @property
    def unsettled(self) -> bool:
        """Say whether it is open, or may be open again."""
        return self.status == "open" or self.provisional

    @property
    def people(self) -> tuple[str, ...]:
        """List who can act on it now: the assignee or the queue, and delegates; nobody while it is vacant."""
        return ((self.assignee,) if self.assignee else self.candidates) + self.delegates


ClaimStatus = Literal["open", "claimed", "expired"]
"""Of the approval of an action: whether it can be claimed, was claimed, or can no longer be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionClaim:
    """The claim of an approved action. `by`, `at` and `key` (that of the event) are set once it is claimed.

    `refused` counts the claims of other actions that are on record.
    """

    status: ClaimStatus = "open"
    by: str | None = None
    at: datetime | None = None
    key: str | None = None
    refused: int = 0


UNDECIDED: dict[str, Any] = dict.fromkeys(
    ("decision", "decided_by", "decided_at", "comment", "form", "on_behalf_of", "undo_until", "signature")
)
"""What a task says of its decision where nobody has decided."""


@quick
@dataclass(frozen=True, kw_only=True)
class Seat:
    """One vote of a stage: whom it belongs to when the stage opens.

    A queue has candidates and no person; a vacant seat has neither, and waits for an operator to assign it.
    """

    person: str | None
    via: str
    weight: int = 1
    candidates: tuple[str, ...] = ()
    added_by: str | None = None  # who asked for this approval besides the stage's quorum; it is needed as well
    added_as: Literal["own", "extra"] | None = None  # then: the stage's own seat, or one that its quorum does not count
    chosen_by: str | None = None  # the name by which its person was chosen, where `via` does not say it

    @property
    def extra(self) -> bool:
        """Say whether the stage itself does not have this seat."""
        return self.added_as == "extra"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedApprover:
    """An approver whom somebody added to a stage of this one request, for all of its rounds."""

    node: str
    stage: str
    person: str
    by: str
    reason: str


@quick
@dataclass(frozen=True, kw_only=True)
class StageRun:
    """A stage that is going on. `returned_at` is set while the requester has to change the request."""

    node: Annotated[str, stored_as("point")]
    round: int
    seats: tuple[Seat, ...]
    opened: int  # seats whose task has been opened; all of them unless the order is sequential
    first: int  # how many tasks the request had before this visit of the stage
    intended: int  # seats that the quorum is counted over, including those that nobody fills
    returned_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A wait that is going on: `until` a moment, or for an outside event (and then until its timeout, if any)."""

    node: Annotated[str, stored_as("point")]
    visit: int
    since: datetime
    until: datetime | None = None
    event: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinProgress:
    """A join that some branches have arrived at, each by its number in the fork."""

    node: Annotated[str, stored_as("point")]
    arrived: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCall:
    """Another process that a request runs as a request of its own; `child` is a key of the plan's children."""

    request_id: str
    node: Annotated[str, stored_as("point")]
    visit: int
    child: str
    title: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """The vote of a decided task that is no longer kept."""

    task_id: str
    node: Annotated[str, stored_as("point")]
    stage: str
    person: str
    decision: Decision
    at: datetime
    revision: int


def signed(task: Task) -> dict[str, str]:
    """Return what a notification says of the signature of a task's decision; nothing where there is none."""
    one = task.signature
    return {} if one is None else {"signed_by": one.name, "signed_reason": one.reason}


def vote_of(task: Task) -> Vote | None:
    """Return the vote of a task; None where nobody voted."""
    if task.decided_by is None or task.decided_at is None or task.decision is None or counts(task.decision) is None:
        return None
    return Vote(
        task_id=task.id,
        node=task.node,
        stage=task.stage,
        person=task.decided_by,
        decision=task.decision,
        at=task.decided_at,
        revision=task.revision,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldResult:
    """The result of an action or (with an `outcome`) of a sub-process that ended while the request was returned."""

    node: Annotated[str, stored_as("point")]
    visit: int
    key: str = ""
    ok: bool = True
    output: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """The result of an action or (with an `outcome`) of a sub-process, kept for when the process calls it again.

    `counts_for` is the revision (the `material` one) that it was last used in; `given` is the sha256 of its input.
    """

    node: Annotated[str, stored_as("point")]
    visit: int
    name: str
    given: str
    ok: bool
    counts_for: int
    output: dict[str, Any] = field(default_factory=dict)  # of what the node takes from it, by variable
    outcome: str | None = None
    request_id: str | None = None  # of the sub-process


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to the requester, by its number `n` in the request; `answer` is None while it is open.

    It stays open when its task changes hands or is settled, for whoever comes next may need the answer. The end of the
    request closes it without one.
    """

    n: int
    task_id: str | None  # None where an operator asked who has no task
    asked_by: str
    asked_at: datetime
    text: str
    answered_at: datetime | None = None
    answer: str | None = None

    @property
    def stored(self) -> dict[str, Any]:
        """Return the question as the store's JSON has it."""
        at = (self.asked_at, self.answered_at)
        asked_at, answered_at = (moment(one) if one else None for one in at)
        return {
            "n": self.n,
            "task_id": self.task_id,
            "asked_by": self.asked_by,
            "asked_at": asked_at,
            "text": self.text,
            "answered_at": answered_at,
            "answer": self.answer,
        }


@quick
@dataclass(frozen=True, kw_only=True)
class State:
    """The whole state of one request."""

    request_id: str
    requester: str
    title: str
    input: dict[str, Any]
    started_at: datetime
    directory: Directory
    directory_at: datetime
    directory_given: dict[str, Any] | None  # the input that it was read for; None: for any
    format: int  # as the plan's when the request began; see placet.definition.formats
    rules: int  # likewise
    secret: str  # what the salts of sealed values are made of; empty where nothing is sealed, see Opening
    given: dict[str, Any]  # the input as the requester gave it
    titled: bool  # whether the requester gave the title; else it is made of the input
    content_digest: str  # of the current revision
    status: Status = "pending"
    outcome: str | None = None
    ended_at: datetime | None = None
    round: int = 1
    stages: tuple[StageRun, ...] = ()
    tasks: tuple[Task, ...] = ()
    waits: tuple[Waiting, ...] = ()
    actions: tuple[ActionCall, ...] = ()  # that run, and whose result is waited for
    children: tuple[ChildCall, ...] = ()  # likewise
    joins: tuple[JoinProgress, ...] = ()
    visits: dict[str, int] = field(default_factory=dict)  # of nodes that wait, by id
    written: tuple[str, ...] = ()  # variables that the process itself has set
    seq: int = 0
    head: str = ""
    answered: dict[str, int] = field(default_factory=dict)  # key of an event -> seq after it
    revision: int = 1
    material: int = 1  # the first revision whose approvals count: those since differ from the current one immaterially
    revised: tuple[Revision, ...] = ()  # what each revision changed
    returned_at: datetime | None = None  # since when every branch is suspended, while the requester changes the request
    held: tuple[HeldResult, ...] = ()  # results that came in meanwhile
    results: tuple[CallResult, ...] = ()  # results of actions and sub-processes that a restart may use again
    strays: tuple[ActionCall, ...] = ()  # actions that run for a revision that is void
    opened: int = 0  # tasks there ever were; `tasks` lacks the oldest closed ones of a request with very many
    votes: tuple[Vote, ...] = ()  # of tasks that are no longer kept: the last of each person in each stage
    signals_refused: int = 0
    asked: dict[str, int] = field(default_factory=dict)  # visits of approvals, by node
    attachments: tuple[Attachment, ...] = ()
    added: tuple[AddedApprover, ...] = ()
    questions: tuple[Question, ...] = ()  # to the requester, oldest first
    reminded_at: datetime | None = None  # when the requester last reminded people
    action: BoundAction | None = None  # what a machine will do once it is approved
    started_by: str | None = None  # the person who entered it for the requester, if another
    principal: str | None = None  # whom the agent acts for that entered it
    claim: ActionClaim | None = None  # of the action, once it is approved
    stored_format: int = STORED

    @model_validator(mode="before")
    @classmethod
    def _current(cls, raw: Any) -> Any:
        return upgraded_state(raw)

    @property
    def follows(self) -> Rules:
        """Return the rules that the request began under."""
        return rules_of(self.format, self.rules, sealed=bool(self.secret))

    @property
    def claimable(self) -> bool:
        """Say whether the request is approved and its action waits to be claimed."""
        return self.claim is not None and self.claim.status == "open"

    @property
    def runs(self) -> bool:
        """Say whether anything can still happen: it has not ended, or its action waits to be claimed."""
        return self.status == "pending" or self.claimable

    @property
    def stage(self) -> str | None:
        """Name the stage that is going on, if any."""
        open_points = {run.node for run in self.stages}
        return next((t.stage for t in reversed(self.tasks) if t.node in open_points), None)

    @property
    def open_tasks(self) -> list[Task]:
        """List the tasks that wait for somebody."""
        return [t for t in self.tasks if t.status == "open"]

    def tasks_of(self, run: StageRun) -> list[Task]:
        """List the tasks of a stage that is going on, in the order of its seats; not those of earlier visits."""
        return [t for t in self.tasks if t.node == run.node and t.number > run.first]

    @property
    def people(self) -> list[str]:
        """List the ids of everybody whom the request concerns, for whom the directory has to be read."""
        tasks = (p for t in self.tasks for p in (*t.held_by, *t.candidates, *t.delegates))
        seats = (p for r in self.stages for s in r.seats for p in (s.person, *s.candidates) if p)
        principal = [self.principal] if self.principal else []
        added = (one.person for one in self.added)
        return list(dict.fromkeys([self.requester, *principal, *tasks, *seats, *added]))

    @property
    def revision_facts(self) -> dict[str, Any]:
        """Return the revision and its digest, as entries hold them."""
        if not self.follows.records_revisions:
            return {}
        # A guess of the content can be confirmed by its digest, so the digest is sealed as well.
        return {"revision": self.revision, "content_digest": Sealed(self.content_digest)}

    @property
    def open_questions(self) -> list[Question]:
        """List the questions that wait for the requester; after the end, nothing waits."""
        return [q for q in self.questions if q.answer is None] if self.status == "pending" else []

    def task(self, task_id: str) -> Task | None:
        """Find a task by id."""
        return next((t for t in self.tasks if t.id == task_id), None)


@quick
@dataclass(frozen=True, kw_only=True)
class Notification:
    """Something one person is to be told; `key` is unique to (request, entry, event, person)."""

    key: str
    event: str
    to: str
    seq: int
    task_id: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@quick
@dataclass(frozen=True, kw_only=True)
class Transition:
    """The result of one event: the new state, what to record, whom to notify, what to run, and which sub-processes to
    end.

    `plan` is what the request goes on under from here, compiled from `template_id`, where that is another than before.
    Where `needs_directory` is true nothing has happened yet: read the directory for the plan's names, the state's
    people and the input `given`, apply DirectoryRead, and offer the same event again at that moment.
    """

    state: State
    plan: Plan | None = None
    template_id: str | None = None
    entries: tuple[Entry, ...] = ()
    notifications: tuple[Notification, ...] = ()
    actions: tuple[ActionCall, ...] = ()
    children: tuple[ChildCall, ...] = ()
    ended_children: tuple[str, ...] = ()  # request ids
    needs_directory: bool = False
    given: dict[str, Any] | None = None
