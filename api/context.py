"""What the API is given when it starts: the store, the engine, and how this installation is set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.client import Client

from storage.database import Database


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything that the routes need from outside; made by whoever runs the API."""

    database: Database
    client: Client
    task_queue: str
    ui_url: str
    """The Temporal Web UI's address, without a trailing slash."""
    secret: str = field(repr=False)
    """Signs decision tokens and cursors; the worker has the same."""
    command_deadline: timedelta = timedelta(seconds=8)
    """How long an update may take before the answer is 503."""
    start_deadline: timedelta = timedelta(seconds=10)
    """How long a new request's opening record may take before the answer is 503."""
    retry_after: timedelta = timedelta(seconds=2)
    """What a 503 asks its caller to wait."""

    @property
    def namespace(self) -> str:
        """The engine's namespace in which requests run."""
        return self.client.namespace

    def ui_link(self, request_id: str) -> str:
        """Return where the Temporal Web UI shows a request."""
        return f"{self.ui_url}/namespaces/{self.namespace}/workflows/{request_id}"
