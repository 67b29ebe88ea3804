"""Recorded histories: a request's workflow history as a file, which tests replay against later workflow code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from cli import bootstrap
from placet.errors import Conflict, NotFound
from worker.settings import Settings

_ANYBODY = "recorded"


async def record(settings: Settings, request_id: str, to: Path) -> int:
    """Write a request's history to a file and return its number of events; raises NotFound, Conflict, Unavailable."""
    client = await bootstrap.connect_client(bootstrap.engine_settings(settings))
    return write(await fetch(client, request_id), to)


async def fetch(client: Client, request_id: str) -> WorkflowHistory:
    """Return a request's history; raises NotFound if the engine does not have it."""
    try:
        return await client.get_workflow_handle(request_id).fetch_history()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise NotFound(
            f"The engine holds no history of {request_id!r}: it never ran here, or its retention period is over"
        ) from None


def write(history: WorkflowHistory, to: Path, *, again: bool = False) -> int:
    """Write a history without the names of the worker processes; raises Conflict if the file exists."""
    if to.exists() and not again:
        raise Conflict(f"{to} exists already, and recorded histories do not change; choose another name")
    document = _without_identities(json.loads(history.to_json()))
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n")
    return len(history.events)


def read(file: Path) -> WorkflowHistory:
    """Read a history from a file."""
    document = json.loads(file.read_text())
    workflow_id = document["events"][0]["workflowExecutionStartedEventAttributes"]["workflowId"]
    return WorkflowHistory.from_json(workflow_id, document)


def _without_identities(value: Any) -> Any:
    """Remove the names of machines and processes; a replay does not need them."""
    if isinstance(value, dict):
        # The queue that one worker keeps a request's tasks on is named after its process.
        named = "name" if value.get("kind") == "TASK_QUEUE_KIND_STICKY" else "identity"
        return {key: _ANYBODY if key == named else _without_identities(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_identities(inner) for inner in value]
    return value
