"""The models of requests."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from api.schemas.claims import EXAMPLE_ACTION, EXAMPLE_DIGEST, BoundActionBody, ClaimView
from api.schemas.common import Body, Shown, View, shown, with_examples
from api.schemas.conversation import QuestionView
from api.schemas.tasks import EXAMPLE_TASK, TaskView
from service.documents import Moment, PersonRef, Words
from storage.queries.requests.requests import RequestWithTasks
from storage.queries.requests.timelines import TimelineRow

_EXAMPLE_REQUEST: dict[str, Any] = {
    "id": "0b0c4a7e1f6d4e0e9a51c2f0e1d3a5b7",
    "template": "Expense approval",
    "version": "1.0.0",
    "title": "Team offsite in Hamburg",
    "input": {"amount": "7200", "department": "sales"},
    "requester": "user:sam",
    "owner": "user:olivia",
    "status": "pending",
    "outcome": None,
    "stage": "Manager Approval",
    "round": 1,
    "returned": False,
    "revision": 1,
    "content_digest": EXAMPLE_TASK["content_digest"],
    "started_at": "2026-03-02T09:00:00.000000Z",
    "ended_at": None,
    "action": EXAMPLE_ACTION,
    "action_digest": EXAMPLE_DIGEST,
    "claim": None,
    "tasks": [EXAMPLE_TASK],
    "questions": [],
    "links": {"temporal_ui": "http://127.0.0.1:8233/namespaces/default/workflows/0b0c4a7e1f6d4e0e9a51c2f0e1d3a5b7"},
}


class NewRequest(Body):
    """A new request for approval. With an `action`, the approval is for exactly that action, which is claimed once."""

    model_config = with_examples(
        {
            "template": "Expense approval",
            "title": "Team offsite in Hamburg",
            "input": {"amount": "7200", "department": "sales"},
        }
    )

    template: Annotated[str, Field(min_length=1, max_length=200)]
    version: Annotated[str, Field(max_length=100)] | None = None
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    input: dict[str, Any] = Field(default_factory=dict)
    requester: PersonRef | None = None
    action: BoundActionBody | None = None


class NewComment(Body):
    """A comment on a request."""

    model_config = with_examples({"text": "The offer is attached in the shared folder."})

    text: Annotated[Words, Field(validation_alias=AliasChoices("text", "comment", "body", "message"))]


class ReasonBody(Body):
    """The reason for a command."""

    model_config = with_examples({"reason": "No longer needed."})

    reason: Annotated[Words | None, Field(validation_alias=AliasChoices("reason", "comment"))] = None


class Nothing(Body):
    """An empty body."""


class NewDeadline(Body):
    """Extend the deadline of one open task, or of all: by working hours, by seconds, or to a moment."""

    model_config = with_examples({"hours": 8, "reason": "Public holiday in Bavaria."})
    stands_for: ClassVar[dict[str, tuple[str, ...]]] = {"seconds": ("hours",)}

    task_id: Annotated[str, Field(max_length=200)] | None = None
    hours: Annotated[
        Annotated[float, Field(gt=0, le=87_660, allow_inf_nan=False)] | None,
        Field(validation_alias=AliasChoices("hours", "by_hours", "additional_hours")),
    ] = None
    seconds: Annotated[float, Field(gt=0, le=315_576_000, allow_inf_nan=False)] | None = None
    due_at: Annotated[Moment | None, Field(validation_alias=AliasChoices("due_at", "until"))] = None
    reason: Annotated[Words | None, Field(validation_alias=AliasChoices("reason", "comment"))] = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> NewDeadline:
        if sum(given is not None for given in (self.hours, self.seconds, self.due_at)) != 1:
            raise ValueError('give exactly one of "hours", "seconds" and "due_at"')
        return self


class NewEvent(Body):
    """An event outside of the process."""

    model_config = with_examples({"name": "contract_signed", "payload": {"signed_on": "2026-03-02"}})

    name: Annotated[str, Field(min_length=1, max_length=100)]
    payload: dict[str, Any] = Field(default_factory=dict)


class Resubmission(Body):
    """The requester's answer to a request for changes, with or without new input, a new title or another action.

    Another action is a new revision, and voids the approvals that there are.
    """

    model_config = with_examples(
        {"input": {"amount": "6900", "department": "sales"}, "comment": "Two nights not three."}
    )

    input: dict[str, Any] | None = None
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    comment: Words | None = None
    action: BoundActionBody | None = None


class Links(View):
    """Links to other views of a request."""

    temporal_ui: str


class RequestView(View):
    """One request with all of its tasks, oldest first."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE_REQUEST]})

    id: str
    template: str
    version: str
    title: str
    input: dict[str, Any]
    requester: str
    owner: str | None
    status: Literal["pending", "completed", "failed", "cancelled"]
    outcome: str | None
    stage: str | None
    round: int
    returned: bool
    revision: int
    content_digest: str | None
    started_at: Shown
    ended_at: Shown | None
    tasks: list[TaskView]
    questions: list[QuestionView]
    action: dict[str, Any] | None
    action_digest: str | None
    claim: ClaimView | None
    links: Links

    @classmethod
    def of(cls, stored: RequestWithTasks, temporal_ui: str) -> RequestView:
        """Show a stored request."""
        row = stored.request
        return cls.model_construct(
            id=row.id,
            template=row.template,
            version=row.version,
            title=row.title,
            input=row.input,
            requester=f"user:{row.requester}",
            # An owner that is not one person is stored with its kind, such as role:cfo.
            owner=row.owner if row.owner is None or ":" in row.owner else f"user:{row.owner}",
            status=cast(Any, row.status),
            outcome=row.outcome,
            stage=row.stage,
            round=row.round,
            returned=row.returned,
            revision=row.revision,
            content_digest=row.content_digest,
            started_at=row.started_at,
            ended_at=row.ended_at,
            tasks=[TaskView.of(task) for task in stored.tasks],
            questions=[QuestionView.of(question) for question in row.questions or ()],
            action=row.action,
            action_digest=row.action_digest,
            claim=None
            if row.claim_status is None
            else ClaimView.model_construct(
                status=cast(Any, row.claim_status), claimed_by=shown(row.claimed_by), claimed_at=row.claimed_at
            ),
            links=Links(temporal_ui=temporal_ui),
        )


class BulkResult(View):
    """The result of one of several tasks."""

    task_id: str
    status: int
    request: RequestView | None = None
    problem: dict[str, Any] | None = None


class BulkResults(View):
    """The result of each task, in the order of the call."""

    results: list[BulkResult]


class TimelineItem(View):
    """One entry of the timeline.

    `seq` numbers the entries of the timeline. `chain_seq` is the entry's number in its own hash chain: the audit chain
    or the chain of deliveries. `why` in `detail` is a person's comment, or the text of Placet's `code` and
    `parameters`. Erased values are null, and `erased` names their places.
    """

    seq: int
    chain_seq: int
    at: Shown
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]
    hash: str

    @classmethod
    def of(cls, row: TimelineRow, number: int) -> TimelineItem:
        """Show one entry of a timeline."""
        return cls.model_construct(
            seq=number,
            chain_seq=row.seq,
            at=row.at,
            kind=row.kind,
            actor=row.actor,
            stage=row.stage,
            task_id=row.task_id,
            detail=row.detail,
            hash=row.hash,
        )


class Verified(View):
    """Whether the audit chain is intact, and whether its last hash is the one in the engine's history."""

    ok: bool
    entries: int
    head: str | None
    engine_head: str | None
    first_bad_seq: int | None
    differs: list[str]
