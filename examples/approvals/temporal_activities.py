"""Temporal: the activities by which another workflow asks Placet, and what is handed to them and back.

The worker that runs them has the client and its token; neither is ever in a workflow's history. Each may be carried out
again: a request and a claim have keys that the workflow gives, so that a repeat finds the first one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from placet.client import (
    Action,
    AsyncClient,
    Busy,
    ClientError,
    Conflict,
    NotFound,
    StillPending,
    Unavailable,
    Unreachable,
)

POLL_SECONDS = 20.0  # of one attempt to wait; so short that it needs no heartbeat


@dataclass(frozen=True)
class Asked:
    """What shall be done, and by which process people decide; all of it is JSON."""

    process: str
    title: str
    type: str
    target: str
    parameters: dict[str, Any]
    expires_at: str  # RFC 3339: after that the action may not be claimed, and nobody waits any longer
    input: dict[str, Any] = field(default_factory=dict)  # of the process
    patience: float | None = None  # seconds after which to give up earlier

    @property
    def action(self) -> Action:
        """Return the action that people approve."""
        return Action(
            type=self.type,
            target=self.target,
            parameters=self.parameters,
            expires_at=datetime.fromisoformat(self.expires_at),
        )


@dataclass(frozen=True)
class Granted:
    """An approval that is claimed: what was asked for may be done, once, now."""

    request_id: str
    claimed_at: str


class Approvals:
    """The activities; they belong to the worker that has the client."""

    def __init__(self, placet: AsyncClient, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._placet = placet
        self._poll_seconds = poll_seconds

    @activity.defn
    async def ask(self, asked: Asked, key: str) -> str:
        """Ask for approval and return the id of the request."""
        with _translated():
            started = await self._placet.start(
                asked.process, asked.input, title=asked.title, action=asked.action, key=key
            )
        return started.id

    @activity.defn
    async def look(self, request_id: str) -> None:
        """Return if people have approved, wait a little if nobody has decided; raises what is no approval."""
        with _translated():
            await self._placet.wait_for_approval(request_id, timeout=self._poll_seconds)

    @activity.defn
    async def claim(self, request_id: str, asked: Asked, key: str) -> Granted:
        """Claim the action."""
        with _translated():
            claim = await self._placet.claim(request_id, asked.action, key=key)
        return Granted(request_id=claim.request_id, claimed_at=claim.claimed_at.isoformat())

    @activity.defn
    async def withdraw(self, request_id: str) -> None:
        """Withdraw a request that nobody waits for any more; one that has ended stays as it is."""
        with _translated():
            try:
                await self._placet.withdraw(
                    request_id, reason="The workflow that asked has ended.", key=f"withdraw {request_id}"
                )
            except (Conflict, NotFound):
                activity.logger.info("request %s has ended already", request_id)


@contextmanager
def _translated() -> Iterator[None]:
    """Have the engine repeat what may come out otherwise later, and nothing else."""
    try:
        yield
    except (Unreachable, Busy, Unavailable):
        raise
    except StillPending as error:  # the usual case, and no fault
        kind = ApplicationErrorCategory.BENIGN
        raise ApplicationError(error.message, type="StillPending", category=kind) from None
    except ClientError as error:
        raise ApplicationError(error.message, type=type(error).__name__, non_retryable=True) from None
