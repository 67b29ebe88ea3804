"""The models of actions that approvals are bound to, and of their claims."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.common import Body, Shown, View, with_examples
from placet.engine.bound_action import BoundAction, bound_action
from service.documents import Moment

EXAMPLE_ACTION: dict[str, Any] = {
    "type": "payment",
    "target": "DE02120300000000202051",
    "parameters": {"amount": 82000, "currency": "EUR", "supplier": "Nordwind GmbH"},
    "expires_at": "2026-03-09T09:00:00Z",
}
EXAMPLE_DIGEST = "8f0f2f5e1f6f3f0a7b1a5c6f6a3a4be2b0f8a7f1ce2c9a9c0d9a1e7b553f0a6c"


class BoundActionBody(Body):
    """An action of a machine: what it is (`type`), on what (`target`), with which `parameters`, and up to when.

    The digest is SHA-256 over its RFC 8785 form, in which 1 and 1.0 are the same. A number that JSON does not keep
    exactly is refused: write it as text.
    """

    model_config = with_examples(EXAMPLE_ACTION)

    type: Annotated[str, Field(min_length=1, max_length=500)]
    target: Annotated[str, Field(min_length=1, max_length=500)]
    parameters: dict[str, Any]
    expires_at: Moment

    @property
    def bound(self) -> BoundAction:
        """Return the action; raises InputInvalid for values that nobody can approve exactly."""
        return bound_action(
            kind=self.type, target=self.target, parameters=self.parameters, expires_at=self.expires_at, at="/action"
        )


class NewClaim(Body):
    """The claim of the action that a request was approved for; it has to be exactly that action."""

    model_config = with_examples({"action": EXAMPLE_ACTION})

    action: BoundActionBody


class ClaimedView(View):
    """The claim of an action: whoever has it carries the action out."""

    request_id: str
    action_digest: str
    claimed_by: str
    claimed_at: Shown


class ClaimView(View):
    """Whether the action of an approved request can be claimed (`open`), was claimed, or can no longer be."""

    status: Literal["open", "claimed", "expired"]
    claimed_by: str | None
    claimed_at: Shown | None
