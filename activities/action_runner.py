"""The activity that runs catalog actions: it checks input and output, counts executions and hides secrets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.actions.executor import ActionFailed, ActionJob, Executor
from activities.actions.secrets import SecretResolver
from activities.messages import ActionRun
from placet.definition.json_schema.validation import schema_problems, value_problems
from placet.errors import PlacetError, Problem
from storage.database import Database
from storage.queries.actions import record_execution
from storage.tables.actions import ActionExecution

log = logging.getLogger(__name__)

QUEUE_SUFFIX = "-actions"
"""Actions have their own task queue, so that a slow action delays no decision."""

_MARGIN = 0.9  # share of the engine's timeout that an attempt may use, so that its answer arrives in time
_NO_LIMIT = 24 * 3600.0


class ActionRunner:
    """Run catalog actions for a worker."""

    def __init__(
        self, database: Database, executors: Mapping[str, Executor], *, environ: Mapping[str, str] | None = None
    ) -> None:
        self._database = database
        self._executors = executors
        self._environ = environ

    @activity.defn(name="run_action")
    async def run(self, asked: ActionRun) -> dict[str, Any]:
        """Return the action's output, checked against its schema.

        Fails with type InputInvalid, OutputInvalid or ActionFailed; details are `{"problems": [{pointer, message}]}`.
        """
        began, clock = self._database.now(), time.monotonic()
        fault: str | None = "Cancelled"
        vault = SecretResolver(self._environ)
        try:
            async with _heartbeats():
                output = await carry_out(self._executors, asked, vault)
            fault = None
        except ApplicationError as error:
            fault = error.type
            places = [problem["pointer"] for problem in error.details[0]["problems"]] if error.details else []
            log.warning("action %s failed with %s %s", asked.spec.name, fault, " ".join(places))
            raise
        except Exception as error:
            # The text of an unexpected error may hold a secret, so only its type is reported.
            fault = type(error).__name__
            log.warning("action %s failed with %s", asked.spec.name, fault)
            raise _failure(
                f"The executor {asked.spec.executor!r} failed with {fault}; see the worker's log",
                "ActionFailed",
                (),
                permanent=False,
            ) from None
        else:
            return output
        finally:
            await self._record(asked, began, time.monotonic() - clock, fault)

    async def _record(self, asked: ActionRun, began: datetime, took: float, fault: str | None) -> None:
        info = activity.info()
        spec, call = asked.spec, asked.call
        same = f"{info.workflow_run_id}:{call.key}:{info.activity_id}:{info.attempt}"
        execution = ActionExecution(
            id=hashlib.sha256(same.encode()).hexdigest()[:32],
            request_id=info.workflow_id or "",
            node=call.node,
            visit=call.visit,
            action=spec.name,
            attempt=info.attempt,
            started_at=began,
            finished_at=self._database.now(),
            duration=took,
            ok=fault is None,
            error=fault,
        )
        try:
            await asyncio.shield(self._database.write(record_execution, execution, spec))
        except PlacetError as error:
            # The action has been carried out. An error here would repeat it only because of a statistic.
            log.warning("execution %s of action %s could not be counted: %s", execution.id, spec.name, error)


async def carry_out(executors: Mapping[str, Executor], asked: ActionRun, vault: SecretResolver) -> dict[str, Any]:
    """Return an action's output, checked on the way in and out; raises ApplicationError. Call it inside an activity."""
    spec, call = asked.spec, asked.call
    _check(spec.input_schema, call.input, "/input", "InputInvalid", "The action's input breaks its input_schema")
    executor = executors.get(spec.executor)
    if executor is None:
        message = f"this worker has no executor {spec.executor!r}; install the package that brings it"
        raise _failure(message, "ActionFailed", (Problem(pointer="/executor", message=message),), permanent=False)
    info = activity.info()
    limit = info.start_to_close_timeout.total_seconds() if info.start_to_close_timeout else _NO_LIMIT
    try:
        job = ActionJob(
            action=spec.name,
            request_id=info.workflow_id or "",
            node=call.node,
            key=call.key,
            attempt=info.attempt,
            seconds=limit * _MARGIN,
            config=vault.resolve(spec.config),
            input=call.input,
        )
        output = vault.hide(await executor.run(job))
    except ActionFailed as error:
        raise _failure(vault.hide(error.message), "ActionFailed", (), permanent=error.permanent) from None
    except PlacetError as error:
        problems = tuple(Problem(pointer=p.pointer, message=vault.hide(p.message)) for p in error.problems)
        raise _failure(vault.hide(error.message), "ActionFailed", problems, permanent=False) from None
    _check(spec.output_schema, output, "/output", "OutputInvalid", "The action's output breaks its output_schema")
    return dict(output)


def _check(schema: dict[str, Any], value: Any, pointer: str, kind: str, summary: str) -> None:
    problems = schema_problems(schema, pointer) or value_problems(schema, value, pointer)
    if problems:
        raise _failure(f"{summary}: {problems[0].pointer}: {problems[0].message}", kind, problems, permanent=True)


def _failure(message: str, kind: str, problems: tuple[Problem, ...], *, permanent: bool) -> ApplicationError:
    detail = {"problems": [{"pointer": p.pointer, "message": p.message} for p in problems]}
    # The failure is expected, so the SDK shall not log a traceback, which would only show our own code.
    return ApplicationError(
        message, detail, type=kind, non_retryable=permanent, category=ApplicationErrorCategory.BENIGN
    )


@asynccontextmanager
async def _heartbeats() -> AsyncIterator[None]:
    """Send heartbeats, three in each heartbeat timeout of the attempt."""
    span = activity.info().heartbeat_timeout
    if span is None:
        yield
        return

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(span.total_seconds() / 3)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
