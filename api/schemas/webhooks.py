"""The models of webhooks: endpoints, what was delivered to them, and replays."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, StrictBool

from api.schemas.common import Body, Shown, View, shown, with_examples
from api.schemas.notifications import MessageView, of_message
from placet.audit.chain import KINDS
from service.documents import Moment
from storage.tables.notifications import NotificationMessage, WebhookEndpoint

_WEBHOOK: dict[str, Any] = {
    "url": "https://hooks.example.com/placet",
    "events": ["completed", "escalated"],
    "description": "The ERP",
    "secret_ref": "derived:1",
}


def _known(kind: str) -> str:
    """Refuse an unknown kind of entry: the endpoint would never get one."""
    if kind not in KINDS:
        raise ValueError(f"this is not a kind of audit entry; write one of {', '.join(sorted(KINDS))}")
    return kind


Kind = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(KINDS)})]


class WebhookBody(Body):
    """An endpoint that receives future events, signed by Standard Webhooks. Without `events` it receives all."""

    model_config = with_examples(_WEBHOOK)

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    events: Annotated[list[Kind], Field(max_length=100)] = Field(default_factory=list)
    description: Annotated[str, Field(max_length=500)] = ""
    secret_ref: Annotated[str, Field(max_length=200)] = "derived:1"  # noqa: S105 - names a secret, and is none
    """`derived:N`, which Placet creates and the answer shows; or `env:PLACET_WEBHOOK_SECRET_…` or `file:NAME`."""


class WebhookView(View):
    """One endpoint. `problem` says why it was switched off."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                _WEBHOOK
                | {
                    "id": "wh_3f0c",
                    "active": True,
                    "problem": None,
                    "created_by": "user:adam",
                    "created_at": "2026-08-03T00:00:00Z",
                }
            ]
        },
    )

    id: str
    url: str
    events: list[str]
    description: str
    secret_ref: str
    active: bool
    problem: str | None
    created_by: str
    created_at: Shown

    @classmethod
    def of(cls, row: WebhookEndpoint) -> WebhookView:
        """Show a stored endpoint."""
        return cls.model_construct(**_endpoint(row))


class WebhookMade(WebhookView):
    """A new endpoint with its secret. Only this answer shows it; it is null if the operator provides the secret."""

    secret: str | None

    @classmethod
    def made(cls, row: WebhookEndpoint, secret: str | None) -> WebhookMade:
        """Show an endpoint with its secret."""
        return cls.model_construct(**_endpoint(row), secret=secret)


class WebhookSecret(Body):
    """Which secret signs from now on: as `secret_ref` of a new endpoint. Without it, Placet makes one."""

    model_config = with_examples({"secret_ref": "derived:2"})

    secret_ref: Annotated[str, Field(max_length=200)] | None = None


class WebhookSwitch(Body):
    """Whether an endpoint shall get events."""

    model_config = with_examples({"active": True})

    active: StrictBool


class DeliveryView(MessageView):
    """One event on its way to an endpoint, and the request that it is about."""

    request_id: str

    @classmethod
    def made(cls, row: NotificationMessage) -> DeliveryView:
        """Show a stored message to an endpoint."""
        return cls.model_construct(**of_message(row, with_error=True), request_id=row.request_id)


class Replay(Body):
    """Which deliveries to send again: those given up from `since` until `until` (now, where it is left out)."""

    model_config = with_examples({"since": "2026-03-02T09:00:00Z", "preview": True})

    since: Moment
    until: Moment | None = None
    preview: StrictBool = False
    """Only count them."""


class Replayed(View):
    """How many deliveries had failed in the span, and how many of them are being sent again."""

    since: Shown
    until: Shown
    failed: int
    queued: int


def _endpoint(row: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "secret_ref": row.secret_ref,
        "active": row.active,
        "problem": row.problem,
        "created_by": shown(row.created_by),
        "created_at": row.created_at,
    }
