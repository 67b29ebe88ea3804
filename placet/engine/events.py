"""The events that a request is given from outside: one frozen value each, as updates and signals carry them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from placet.audit.reasons import Reason
from placet.directory import Directory
from placet.engine.bound_action import BoundAction
from placet.engine.state import Decision, ProofMethod
from placet.frozen import stored_as
from placet.plan.plan import Plan

SYSTEM = "system"


ActorType = Literal["person", "service", "agent"]
"""What an actor is: a human being, a program of the organisation, or an AI agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: a person id, whether they have the access `admin`, what they are, and whom an agent acts for."""

    person: str
    admin: bool = False
    type: ActorType = "person"
    principal: str | None = None

    @property
    def name(self) -> str:
        """Write the actor as entries do."""
        return SYSTEM if self.person == SYSTEM else f"user:{self.person}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningFile:
    """A file that a request begins with. It is stored already; `size` is in bytes and `sha256` in hex."""

    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A request as it was submitted; `input` is normalised (placet.definition.variables)."""

    request_id: str
    requester: str
    title: str
    input: dict[str, Any]
    directory: Directory
    directory_at: datetime
    started_by: str | None = None  # the person who entered it for the requester, if another
    parent: str | None = None  # the request that runs this one as a sub-process
    created_from: str | None = None  # the request whose action started this one; the two are independent from then on
    # Random, and known to this request alone: what the salts of its entries' sealed values are made of. Requests that
    # began before there were any have none, and their entries hold words and values themselves.
    secret: str
    actor_type: ActorType = "person"  # of whoever entered it
    titled: bool  # whether the requester gave the title; else it is made of the input, again whenever that changes
    files: tuple[OpeningFile, ...] = ()  # of the first revision, so that nobody is asked before they are there
    action: BoundAction | None = None  # what a machine will do once it is approved
    principal: str | None = None  # whom it acts for, where an agent has entered it


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A fresh proof of who decides, as the service has checked it; `name` is the person's, as the directory has it."""

    name: str
    method: ProofMethod
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Decide one task. `revision` and `round` are those that the decider saw; a decision on another one is refused.

    `hand_overs` is how often the task had changed hands when the token was signed; after another hand-over it is
    invalid.
    """

    by: Actor
    task_id: str
    decision: Decision
    comment: str | None = None
    form: dict[str, Any] | None = None
    round: int | None = None
    revision: int | None = None
    hand_overs: int | None = None
    key: str | None = None
    via: str = "api"
    stands_in: bool = False  # whether they decide as the substitute of one of the task's people, who is away
    reason: str | None = None  # what the signature means, where the stage asks for one
    proof: Proof | None = None  # of who signs; where a stage asks for no signature, it is not looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Undo one's own decision on a task, before it stands (`undo_seconds` of the stage)."""

    by: Actor
    task_id: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassign:
    """Give a task to somebody else permanently."""

    by: Actor
    task_id: str
    to: str
    reason: str | None = None
    key: str | None = None
    seq: int | None = None  # the entry after which it is meant; None: whatever the request has come to


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """Let somebody else decide a task; with `keep` the delegator may still decide it too."""

    by: Actor
    task_id: str
    to: str
    keep: bool = False
    reason: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddApprover:
    """Ask one more person in the stage of a task: their approval is then needed besides the stage's quorum."""

    by: Actor
    task_id: str
    to: str
    reason: str
    key: str | None = None
    stands_in: bool = False  # as in Decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Take a task out of its queue."""

    by: Actor
    task_id: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Put a claimed task back into its queue."""

    by: Actor
    task_id: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """Comment on the request.

    `mentions` are the people whom the text mentions and who may see the request, by the API; they are notified.
    """

    by: Actor
    text: str
    mentions: tuple[str, ...] = ()
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskQuestion:
    """Ask the requester something; the request is not returned for it, and its clocks run on.

    `task_id` is the task that the question is about; without one, it is the task that the asker has.
    """

    by: Actor
    text: str
    task_id: str | None = None
    mentions: tuple[str, ...] = ()  # as of a comment
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerQuestion:
    """Answer a question by its number in the request."""

    by: Actor
    n: int
    text: str
    mentions: tuple[str, ...] = ()  # as of a comment
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remind:
    """Remind, as the requester, those whom the request waits for."""

    by: Actor
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """Move deadlines: of one task or of all open ones, by `seconds` of working time or to a moment."""

    by: Actor
    task_id: str | None = None
    seconds: float | None = None
    due_at: datetime | None = None
    reason: str | None = None
    key: str | None = None
    seq: int | None = None  # the entry after which it is meant; None: whatever the request has come to


@dataclass(frozen=True, slots=True, kw_only=True)
class Resubmit:
    """Answer a request for changes, with or without a new input, title or action."""

    by: Actor
    input: dict[str, Any] | None = None
    title: str | None = None
    action: BoundAction | None = None
    comment: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """Add a file to the request. It is stored already; `size` is in bytes and `sha256` in hex."""

    by: Actor
    name: str
    media_type: str
    size: int
    sha256: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAction:
    """Claim the approved action of the request, by its digest: whoever has claimed it carries it out."""

    by: Actor
    digest: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Take the request back (the requester), or cancel it (owner, admin)."""

    by: Actor
    how: Literal["withdrawn", "cancelled"] = "withdrawn"
    reason: str | None = None
    key: str | None = None
    seq: int | None = None  # the entry after which it is meant; None: whatever the request has come to


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrate:
    """Go on under another version of the process, compiled for the moment when the request began.

    `seq` guards against moving a request that has changed since it was read.
    """

    by: Actor
    plan: Plan
    template_id: str
    seq: int | None = None
    reason: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRead:
    """The directory as it is now, for the plan's names and everyone in the request."""

    directory: Directory
    at: datetime
    given: dict[str, Any] | None = None  # the input that it was read for, whose people it holds; None: for any


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDone:
    """An action has ended, with its `output` or with an error. `key` is that of its call."""

    node: Annotated[str, stored_as("point")]
    visit: int
    key: str
    ok: bool
    output: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An outside event that the request may wait for."""

    by: Actor
    name: str
    payload: dict[str, Any] = field(default_factory=dict)
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """A sub-process has ended; `output` are its variables, normalised. `outcome` is `failed` where it has none."""

    node: Annotated[str, stored_as("point")]
    visit: int
    outcome: str
    output: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRefused:
    """A signal that is invalid: nothing changes, and the attempt is recorded.

    `reason` holds the words that entries had before they held `why`.
    """

    claimed: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    why: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAhead:
    """The store holds entries up to `stored`, which history does not: a lost workflow task has recorded them."""

    stored: int


NamesPerson = Reassign | Delegate | AddApprover
"""The events that name a person (`to`), who may be new to the request."""

Event = (
    Decide
    | Undo
    | Reassign
    | Delegate
    | AddApprover
    | Claim
    | Release
    | Comment
    | AskQuestion
    | AnswerQuestion
    | Remind
    | Extend
    | Resubmit
    | Attach
    | ClaimAction
    | Withdraw
    | Migrate
    | DirectoryRead
    | ActionDone
    | Happened
    | ChildEnded
    | SignalRefused
    | StoreAhead
)
