"""The models of AuthZEN: evaluations, access requests and their tasks, with the names that AuthZEN gives them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StrictBool

from api.schemas.common import Body, View
from service.authzen.access import Access, Submission

_SUBJECT: dict[str, Any] = {"type": "user", "id": "ann"}
_RESOURCE: dict[str, Any] = {"type": "document", "id": "q4-plan"}
_ACTION: dict[str, Any] = {"name": "can_read"}
_LONGEST = 500  # characters of an id, a type or a name


def _named(*names: str) -> Any:
    def check(value: dict[str, Any]) -> dict[str, Any]:
        for name in names:
            text = value.get(name)
            if not isinstance(text, str) or not 0 < len(text) <= _LONGEST:
                raise ValueError(f"this needs {name!r}, a text of at most {_LONGEST} characters")
        return value

    return AfterValidator(check)


Subject = Annotated[dict[str, Any], _named("type", "id")]
Resource = Annotated[dict[str, Any], _named("type", "id")]
Action = Annotated[dict[str, Any], _named("name")]


class Evaluation(Body):
    """Whether a subject may carry out an action on a resource. `context.approval` is of an access request."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={"examples": [{"subject": _SUBJECT, "resource": _RESOURCE, "action": _ACTION}]},
    )

    subject: Subject
    resource: Resource
    action: Action
    context: dict[str, Any] = Field(default_factory=dict)

    @property
    def access(self) -> Access:
        """Return what is to be evaluated."""
        return Access(subject=self.subject, resource=self.resource, action=self.action, context=self.context)


class Decision(View):
    """A decision, and its context: why it is a denial, and how people can be asked."""

    decision: StrictBool
    context: dict[str, Any]


class AccessRequest(Body):
    """An access request: what was denied, and the denial as it was.

    `requested_access.requested_until` shortens the approval. Variables of the process come from `requested_access` and
    `context`, by their names. `callback` and `items` are refused.
    """

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "subject": _SUBJECT,
                    "resource": _RESOURCE,
                    "action": _ACTION,
                    "context": {"business_justification": "The renewal is due on Friday."},
                    "denial": {"expires_at": "2026-03-09T09:00:00Z", "binding_token": "eyJhbGciOi…"},
                }
            ]
        },
    )

    subject: Subject
    resource: Resource | None = None
    action: Action | None = None
    items: list[dict[str, Any]] | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    denial: dict[str, Any] = Field(default_factory=dict)
    requested_access: dict[str, Any] = Field(default_factory=dict)
    client: dict[str, Any] = Field(default_factory=dict)
    callback: dict[str, Any] | None = None

    @property
    def submission(self) -> Submission:
        """Return what is submitted; for one that has a resource and an action."""
        access = Access(
            subject=self.subject, resource=self.resource or {}, action=self.action or {}, context=self.context
        )
        return Submission(access=access, denial=self.denial, requested_access=self.requested_access, client=self.client)


class Cancellation(Body):
    """Why an access request is taken back."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    reason: Annotated[str, Field(max_length=200)] | None = None
    comment: Annotated[str, Field(max_length=2_000)] | None = None


class AccessTask(View):
    """The task of an access request."""

    id: str
    status: Literal["pending", "approved", "denied", "expired", "cancelled", "failed"]
    status_endpoint: str
    expires_at: str
    progress: dict[str, str] | None = None
    display: dict[str, str]
    links: dict[str, str]


class AccessResult(View):
    """What an approved task gives: the approval to present in a new evaluation, at `context.approval`."""

    mode: Literal["reevaluate"]
    approval: dict[str, str]


class AccessTaskView(View):
    """A task, with its result once it is approved."""

    task: AccessTask
    result: AccessResult | None = None


class DecisionPoint(View):
    """What this decision point offers."""

    policy_decision_point: str
    access_evaluation_endpoint: str
    access_request_endpoint: str
    jwks_uri: str
    capabilities: list[str]
