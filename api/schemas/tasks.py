"""The models of tasks, and of what is done with them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import AliasChoices, ConfigDict, Field, StrictBool, StrictInt, model_validator

from api.schemas.common import Body, Shown, View, shown, with_examples
from placet.definition.fields import LONGEST_TITLE
from placet.engine.state import Decision, ProofMethod
from placet.json_pointer import pointer_of, value_at
from service.documents import PersonRef, Words
from storage.queries.requests.requests import ListedTask, TaskRow

EXAMPLE_TASK: dict[str, Any] = {
    "id": "0b0c4a7e1f6d4e0e9a51c2f0e1d3a5b7.1",
    "request_id": "0b0c4a7e1f6d4e0e9a51c2f0e1d3a5b7",
    "stage": "Manager Approval",
    "status": "open",
    "round": 1,
    "assignee": "user:mia",
    "assigned_via": "manager_of(requester)",
    "candidates": [],
    "delegates": [],
    "opened_at": "2026-03-02T09:00:00.000000Z",
    "due_at": "2026-03-03T09:00:00.000000Z",
    "sla_state": "ok",
    "escalation_level": 0,
    "decision": None,
    "decided_by": None,
    "decided_at": None,
    "comment": None,
    "form": None,
    "on_behalf_of": None,
    "undo_until": None,
    "signature": None,
    "revision": 1,
    "content_digest": "3f0a6c8f0f2f5e1f6f3f0a7b1a5c6f6a3a4be2b0f8a7f1ce2c9a9c0d9a1e7b55",
}
_EXAMPLE_ITEM: dict[str, Any] = {
    **EXAMPLE_TASK,
    "title": "Expense approval (7200)",
    "template": "Expense approval",
    "requester": "user:rita",
    "summary": {"amount": "7200"},
}


class NewDecision(Body):
    """A decision about a task. `revision` is the one that the approver saw; if it has changed, the call fails.

    `reason` is what the signature means, where a stage asks for one: one of its `reasons`. Such a decision needs the
    JWT of a person who has just logged in (`auth_time`), and the `revision`; others get 401 with `where` to sign.

    `abstain` counts neither for nor against. If it makes the quorum impossible, the stage is rejected.
    """

    model_config = with_examples({"decision": "approve", "comment": "Within budget.", "revision": 1})

    decision: Decision
    comment: Words | None = None
    form: dict[str, Any] | None = None
    round: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    revision: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    reason: Annotated[str, Field(max_length=LONGEST_TITLE)] | None = None


class HandOver(Body):
    """Reassign a task to another person."""

    model_config = with_examples({"to": "user:dora", "reason": "Dora knows the supplier."})

    to: Annotated[PersonRef, Field(validation_alias=AliasChoices("to", "assignee"))]
    reason: Annotated[Words | None, Field(validation_alias=AliasChoices("reason", "comment"))] = None


class NewDelegate(HandOver):
    """Delegate a task to another person. With `keep`, the delegator may still decide it."""

    model_config = with_examples({"to": "user:dora", "keep": True, "reason": "I am travelling."})

    keep: StrictBool = False


class NewApprover(Body):
    """Add an approver to the stage of a task: their approval is needed besides the stage's quorum."""

    model_config = with_examples({"who": "user:dora", "reason": "Dora signs for the budget of this project."})

    who: PersonRef
    reason: Words


class BulkDelegate(NewDelegate):
    """Delegate several tasks to one person."""

    model_config = with_examples({"task_ids": [EXAMPLE_TASK["id"]], "to": "user:dora", "reason": "I am travelling."})

    task_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]],
        Field(min_length=1, max_length=200, validation_alias=AliasChoices("task_ids", "tasks", "ids")),
    ]


class BulkItem(NewDecision):
    """One of several decisions."""

    model_config = with_examples({"task_id": EXAMPLE_TASK["id"], "decision": "approve"})

    task_id: Annotated[str, Field(min_length=1, max_length=200, validation_alias=AliasChoices("task_id", "id", "task"))]


class BulkDecision(Body):
    """Decisions about several tasks: one for each task (`items`, or just the list), or the same for all (`task_ids`).

    With `task_ids`, `revisions` may give the revision that was seen by task id; an item has its own `revision`.
    """

    model_config = with_examples({"items": [{"task_id": EXAMPLE_TASK["id"], "decision": "approve"}]})

    items: Annotated[
        Annotated[list[BulkItem], Field(min_length=1, max_length=200)] | None,
        Field(validation_alias=AliasChoices("items", "decisions")),
    ] = None
    task_ids: Annotated[
        Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=200)]
        | None,
        Field(validation_alias=AliasChoices("task_ids", "tasks", "ids")),
    ] = None
    revisions: dict[str, Annotated[StrictInt, Field(ge=1, le=1_000_000)]] | None = None
    decision: Decision | None = None
    comment: Words | None = None
    form: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, raw: Any) -> Any:
        return {"items": raw} if isinstance(raw, list) else raw

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> BulkDecision:
        if (self.items is None) == (self.task_ids is None):
            raise ValueError('give either "items", or "task_ids" with one "decision"')
        if self.task_ids is not None and self.decision is None:
            raise ValueError('"task_ids" needs a "decision"')
        if self.revisions is not None and (unknown := sorted(self.revisions.keys() - set(self.task_ids or ()))):
            raise ValueError(f'"revisions" has {unknown[0]!r}, which "task_ids" does not name')
        return self

    def place(self, task_id: str, pointer: str, raw: object) -> str:
        """Return the JSON Pointer in the whole body of a fault at this pointer of one decision."""
        if self.items is None:
            return pointer_of(["revisions", task_id]) if pointer == "/revision" else self.as_sent(pointer, raw)
        # If a task is named twice, its last decision counts.
        number = max(index for index, item in enumerate(self.items) if item.task_id == task_id)
        listed = raw if isinstance(raw, list) else value_at(raw, self.as_sent("/items", raw))
        sent = listed[number] if isinstance(listed, list) else None
        above = "" if isinstance(raw, list) else self.as_sent("/items", raw)
        return f"{above}/{number}{BulkItem.as_sent(pointer, sent)}"

    @property
    def each(self) -> list[BulkItem]:
        """The decisions one by one, each task once."""
        items = self.items
        if items is None:
            assert self.decision is not None  # noqa: S101 - the validator has seen to it
            items = [
                BulkItem(
                    task_id=task,
                    decision=self.decision,
                    comment=self.comment,
                    form=self.form,
                    revision=(self.revisions or {}).get(task),
                )
                for task in self.task_ids or ()
            ]
        return list({item.task_id: item for item in items}.values())


class SignatureView(View):
    """A decision's signature: the signer's name as the directory had it then, what it means, and how it was proven."""

    name: str
    reason: str
    method: ProofMethod
    authenticated_at: str


class TaskView(View):
    """One task."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [EXAMPLE_TASK]})

    id: str
    request_id: str
    stage: str
    status: Literal["open", "decided", "superseded", "cancelled"]
    round: int
    assignee: str | None
    assigned_via: str
    candidates: list[str]
    delegates: list[str]
    opened_at: Shown
    due_at: Shown | None
    sla_state: Literal["ok", "warning", "breached"]
    escalation_level: int
    decision: str | None
    decided_by: str | None
    decided_at: Shown | None
    comment: str | None
    form: dict[str, Any] | None
    on_behalf_of: str | None
    undo_until: Shown | None
    signature: SignatureView | None
    revision: int
    content_digest: str | None

    @classmethod
    def of(cls, row: TaskRow) -> TaskView:
        """Show a stored task."""
        return cls.model_construct(
            id=row.id,
            request_id=row.request_id,
            stage=row.stage,
            status=cast(Any, row.status),
            round=row.round,
            assignee=shown(row.assignee),
            assigned_via=row.assigned_via,
            candidates=[f"user:{person}" for person in row.candidates],
            delegates=[f"user:{person}" for person in row.delegates],
            opened_at=row.opened_at,
            due_at=row.due_at,
            sla_state=cast(Any, row.sla_state),
            escalation_level=row.escalation_level,
            decision=row.decision,
            decided_by=shown(row.decided_by),
            decided_at=row.decided_at,
            comment=row.comment,
            form=row.form,
            on_behalf_of=shown(row.on_behalf_of),
            undo_until=row.undo_until,
            signature=None if row.signature is None else SignatureView.model_construct(**row.signature),
            revision=row.revision,
            content_digest=row.content_digest,
        )


class TaskItem(TaskView):
    """One task in a list, with a summary of its request."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_EXAMPLE_ITEM]})

    title: str
    template: str
    requester: str
    summary: dict[str, Any]

    @classmethod
    def listed(cls, row: ListedTask) -> TaskItem:
        """Show a stored task with its request's title, template, requester, and summary (`settings.summary`)."""
        about: dict[str, Any] = {"title": row.title, "template": row.template, "requester": f"user:{row.requester}"}
        about["summary"] = row.values.summary
        return cls.model_construct(**dict(TaskView.of(row)), **about)


class DecisionToken(View):
    """A signed token for the `decide` signal. It decides one task in one round, until it is reassigned."""

    token: str
    task_id: str
    round: int
