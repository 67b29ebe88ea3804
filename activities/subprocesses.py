"""The activities for sub-processes: sign and verify their results, and look a result up where no signal brought it.

A sub-process sends its result to its parent by a signal, and everyone who reaches the engine can send signals. So the
worker signs the result with the installation's secret, for one sub-process at one visit of one node of one request. A
parent takes no other result, and a signed result that is sent again or to another request has no effect.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from itsdangerous import Signer
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import (
    SubprocessOutcome,
    SubprocessQuery,
    SubprocessResult,
    SubprocessResultCheck,
    SubprocessResultVerdict,
)
from placet.definition.fields import Outcome
from placet.errors import Conflict, NotFound
from storage.database import Database
from storage.queries.requests import requests
from storage.queries.requests.requests import RequestRow

_RPC_SECONDS = timedelta(seconds=10)
_RUNS = {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW}


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClosedWorkflow:
    """The result of a request's workflow (workflows.interface.Answer)."""

    seq: int
    head: str
    status: str
    outcome: str | None


class SubprocessResultReader:
    """Look up how sub-processes ended: the outcome from the engine, the variables from the store."""

    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database

    @activity.defn(name="child_result")
    async def result(self, asked: SubprocessQuery) -> SubprocessOutcome:
        """Return the outcome and variables of a sub-process.

        Fails while the sub-process runs, so that the engine retries, which costs no event. Fails as well without engine
        or database, and where the database does not hold the end that the engine knows.
        """
        handle = self._client.get_workflow_handle(asked.child, result_type=_ClosedWorkflow)
        try:
            status = (await handle.describe(rpc_timeout=_RPC_SECONDS)).status
            if status in _RUNS:
                raise ApplicationError(
                    f"request {asked.child} still runs", type="StillRuns", category=ApplicationErrorCategory.BENIGN
                )
            if status is not WorkflowExecutionStatus.COMPLETED:
                return SubprocessOutcome(
                    outcome="cancelled" if status is WorkflowExecutionStatus.CANCELED else "failed"
                )
            closed: _ClosedWorkflow = await handle.result(rpc_timeout=_RPC_SECONDS)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            stored = await self._database.read(_stored, asked.child)  # the engine no longer knows it
            return _outcome_of(stored) if stored is not None else SubprocessOutcome(outcome="failed")
        stored = await self._database.read(_stored, asked.child)
        if stored is None or (stored.seq, stored.head) != (closed.seq, closed.head):
            raise Conflict(
                f"The database lacks the end of request {asked.child}, which the engine knows; restore a complete copy"
            )
        return _outcome_of(stored)


def _stored(connection: Connection, request_id: str) -> RequestRow | None:
    try:
        return requests.read(connection, request_id).request
    except NotFound:
        return None


def _outcome_of(stored: RequestRow) -> SubprocessOutcome:
    outcome, output = stored.outcome or "failed", dict[str, Any](stored.input)
    return (
        SubprocessOutcome(outcome=outcome, output=output)
        if is_outcome(outcome)
        else SubprocessOutcome(outcome="failed")
    )


_SALT = "placet.ending"
_OUTCOMES: TypeAdapter[str] = TypeAdapter(Outcome)
_RESULTS = TypeAdapter(SubprocessResult)


class SubprocessResultSigner:
    """Sign and verify the results of sub-processes with the installation's secret."""

    def __init__(self, secret: str) -> None:
        """Sign with this secret; all workers must share it."""
        self._signer = Signer(secret, salt=_SALT, digest_method=hashlib.sha256)

    @activity.defn(name="sign_ending")
    async def sign(self, ending: SubprocessResult) -> str:
        """Return the signature of a result. It needs no I/O, so it runs as a local activity."""
        return self._signer.get_signature(_signed_text(ending)).decode()

    @activity.defn(name="verify_ending")
    async def verify(self, check: SubprocessResultCheck) -> SubprocessResultVerdict:
        """Check the signature and the outcome of a result. It needs no I/O, so it runs as a local activity."""
        code = None
        if not check.signature:
            code = "ending_unsigned"
        elif not self._signer.verify_signature(_signed_text(check.ending), check.signature):
            code = "ending_forged"
        elif not is_outcome(check.ending.outcome):
            code = "ending_shape"
        return SubprocessResultVerdict(code=code, at=check.at)


def is_outcome(text: str) -> bool:
    """Tell whether a text can be an outcome: one that blueprints may name, or one of Placet's own."""
    try:
        _OUTCOMES.validate_python(text)
    except ValidationError:
        return False
    return True


def _signed_text(ending: SubprocessResult) -> bytes:
    return json.dumps(_RESULTS.dump_python(ending, by_alias=True), sort_keys=True, separators=(",", ":")).encode()
