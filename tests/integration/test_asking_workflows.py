"""Workflows that ask Placet for approval (`examples/approvals`), on the real engine, where nobody approves.

They end, they leave no request behind, and they ask once. Placet is a script; tests/acceptance/test_client_temporal.py
has the real one.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from examples.approvals import temporal_workflow
from examples.approvals.temporal_activities import Approvals, Asked
from examples.approvals.temporal_workflow import (
    ActionApproval,
    TransferWorkflow,
    WaitForDecision,
    transfer,
    waiting_id,
)
from placet.client import AsyncClient, Retries
from tests.scripted_api import URL, claimed, ended, refused, request
from tests.waiting import until

SENT = "820.00 EUR were sent to DE02."
ASKED = Asked(
    process="Payments",
    title="Pay",
    type="transfer",
    target="DE02",
    parameters={"amount": "820.00"},
    expires_at=(datetime.now(UTC) + timedelta(days=1)).isoformat(),
)
Answer = Callable[[], httpx.Response]


@dataclass
class Api:
    """Placet as one request sees it: `stands` is how it stands, and the rest answers calls otherwise than with yes."""

    ident: str = field(default_factory=lambda: uuid.uuid4().hex)
    stands: Answer = request
    opens: list[httpx.Response | Exception] = field(default_factory=list)
    calls: list[tuple[str, str | None]] = field(default_factory=list)

    def __call__(self, call: httpx.Request) -> httpx.Response:
        what = call.method if call.method == "GET" else call.url.path.rstrip("/").rpartition("/")[2]
        self.calls.append((what, call.headers.get("idempotency-key")))
        if what == "requests" and self.opens:
            answer = self.opens.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if what == "claim":
            return claimed()
        if what == "withdraw":
            self.stands = lambda: ended("withdrawn")
        found = self.stands()
        return httpx.Response(200, json={**found.json(), "id": self.ident}) if found.is_success else found

    def keys(self, what: str) -> list[str | None]:
        """Return the Idempotency-Keys of the calls of a kind."""
        return [key for kind, key in self.calls if kind == what]


@asynccontextmanager
async def asking(
    client: Client, api: Api, given: Asked = ASKED, **more: Any
) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """Run a transfer that has to be approved, by workers of its own."""
    queue = f"asking-{uuid.uuid4().hex[:8]}"
    transport = httpx.MockTransport(api)
    async with AsyncClient(URL, "t", retries=Retries(seconds=0), transport=transport) as placet:
        activities = Approvals(placet, poll_seconds=0)
        async with Worker(
            client,
            task_queue=queue,
            workflows=[TransferWorkflow, ActionApproval, WaitForDecision],
            activities=[activities.ask, activities.look, activities.claim, activities.withdraw, transfer],
            **more,
        ):
            yield await client.start_workflow(TransferWorkflow.run, given, id=queue, task_queue=queue)


async def failure(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    """Return why the approval failed."""
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    why = caught.value.cause.cause  # type: ignore[union-attr]  # of the child
    assert isinstance(why, ApplicationError)
    return why


async def seen(api: Api, what: str) -> None:
    async def there() -> bool:
        return bool(api.keys(what))

    await until(there, what=f"a call: {what}")


@pytest.mark.parametrize(("end", "as_what"), [("cancel", CancelledError), ("terminate", TerminatedError)])
async def test_the_request_of_a_workflow_that_is_ended_is_withdrawn(
    client: Client, end: str, as_what: type[Exception]
) -> None:
    api = Api()
    async with asking(client, api) as handle:
        await seen(api, "GET")
        await getattr(handle, end)()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, as_what)
        await seen(api, "withdraw")
    assert api.keys("claim") == []


async def test_a_workflow_that_is_cancelled_while_it_asks_withdraws_what_it_has_asked(client: Client) -> None:
    api = Api(opens=[httpx.ConnectError("away")])
    async with asking(client, api) as handle:
        await seen(api, "requests")  # and is asked again in a second
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
    first, again = api.keys("requests")
    assert first == again
    assert [kind for kind, _ in api.calls if kind != "GET"] == ["requests", "requests", "withdraw"]


async def test_patience_has_an_end(client: Client) -> None:
    api = Api()
    async with asking(client, api, replace(ASKED, patience=1)) as handle:
        why = await failure(handle)
    assert why.type == "StillPending"
    assert len(api.keys("withdraw")) == 1


async def test_nobody_waits_for_an_action_that_has_expired(client: Client) -> None:
    api = Api()
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    async with asking(client, api, replace(ASKED, expires_at=soon)) as handle:
        assert (await failure(handle)).type == "StillPending"
    assert len(api.keys("withdraw")) == 1


@pytest.mark.parametrize(
    ("stands", "why"),
    [
        (lambda: ended("rejected"), "Rejected"),
        (lambda: ended("expired"), "Expired"),
        (lambda: request(returned=True), "ChangesRequested"),  # it would stay with the requester for ever
    ],
)
async def test_what_is_no_approval_has_its_name(client: Client, stands: Answer, why: str) -> None:
    api = Api(stands=stands)
    async with asking(client, api) as handle:
        assert (await failure(handle)).type == why
    assert api.keys("claim") == []


async def test_what_cannot_be_asked_is_asked_once(client: Client) -> None:
    api = Api(opens=[refused(422)])
    async with asking(client, api) as handle:
        assert (await failure(handle)).type == "Invalid"
    assert [kind for kind, _ in api.calls] == ["requests"]


async def test_a_signal_makes_it_look_at_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal_workflow, "LOOKS", RetryPolicy(initial_interval=timedelta(hours=1)))
    api = Api()
    async with asking(client, api, workflow_runner=UnsandboxedWorkflowRunner()) as handle:
        await seen(api, "GET")
        waits = client.get_workflow_handle(waiting_id(api.ident))
        await waits.signal(WaitForDecision.told)  # a forged one: nobody has decided

        async def twice() -> bool:
            return len(api.keys("GET")) == 2

        await until(twice, what="another look")
        api.stands = lambda: ended("approved")
        await waits.signal(WaitForDecision.told)
        assert await handle.result() == SENT
    assert len(api.keys("claim")) == 1
