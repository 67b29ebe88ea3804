"""Temporal: what a receiver of Placet's webhooks does, so that a workflow hears of a decision at once.

The endpoint needs these events alone: completed, withdrawn, cancelled, failed, changes_requested.
"""

from __future__ import annotations

from collections.abc import Mapping

from standardwebhooks import Webhook
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from examples.approvals.temporal_workflow import WaitForDecision, waiting_id


async def tell(engine: Client, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Tell the workflow that waits for this request, if there is one; raises WebhookVerificationError for a forgery."""
    event = Webhook(secret).verify(body, dict(headers))
    handle = engine.get_workflow_handle(waiting_id(event["data"]["request"]["id"]))
    try:
        await handle.signal(WaitForDecision.told)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise  # answer 503, and Placet sends it again
        return False  # somebody else's request, or one that does not wait any more
    return True
