"""What the API is given when it starts: the store, the engine, and how this installation is set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from opentelemetry.trace import TracerProvider
from temporalio.client import Client

from activities.arrivals import Arrivals
from activities.notifications.settings import NotifySettings
from activities.notifications.settings import load as load_notify
from api.admission import Admission
from api.plans import Plans
from api.repeats import Repeats
from storage.database import Database
from storage.recording.group_commit import GroupCommit
from storage.recording.outbox import Confirmation, confirm_all
from worker.pool.pool import Limits, ProcessPool


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything that the routes need from outside; made by whoever runs the API."""

    database: Database
    client: Client
    task_queue: str
    ui_url: str
    """The Temporal Web UI's address, without a trailing slash."""
    secret: str = field(repr=False)
    """Signs decision tokens; the worker has the same."""
    metrics_token: str | None = field(default=None, repr=False)
    """What a scraper has to send as its bearer token; None lets everyone scrape."""
    tracer_provider: TracerProvider | None = None
    """Records the spans of calls; None traces nothing."""
    arrivals: Arrivals = field(default_factory=Arrivals)
    """Where a recorder of this process tells what it has recorded; the same one that the recorder has."""
    notify: NotifySettings = field(default_factory=load_notify)
    """How notices leave, as the workers have it: what previews and new webhooks are held to."""
    publish_needs_two: bool = False
    """Whether a blueprint is published by somebody else than who wrote it."""
    limits: Limits = field(default_factory=Limits)
    """What proofs, simulations and imports may use."""
    max_body_bytes: int = 1_000_000
    """Bodies that are longer get 413."""
    admission: Admission = field(default_factory=Admission)
    """How many starts and updates are at the engine at once; the others wait their turn."""
    command_deadline: timedelta = timedelta(seconds=8)
    """How long an update may take, once it has its turn, before the answer is 503."""
    start_deadline: timedelta = timedelta(seconds=10)
    """How long a new request's opening record may take, once it has its turn, before the answer is 503."""

    @property
    def namespace(self) -> str:
        """The engine's namespace in which requests run."""
        return self.client.namespace

    @cached_property
    def pool(self) -> ProcessPool:
        """The processes for heavy work on what others wrote."""
        return ProcessPool(self.limits)

    @cached_property
    def repeats(self) -> Repeats:
        """The keyed calls that are on their way in this process."""
        return Repeats()

    @cached_property
    def plans(self) -> Plans:
        """The compiled plans of this process."""
        return Plans()

    @cached_property
    def confirmations(self) -> GroupCommit[Confirmation]:
        """Releases notices about what history holds; calls that wait at the same time share a transaction."""
        return GroupCommit(self.database, confirm_all, key=lambda confirmation: confirmation.request_id)

    def ui_link(self, request_id: str) -> str:
        """Return where the Temporal Web UI shows a request."""
        return f"{self.ui_url}/namespaces/{self.namespace}/workflows/{request_id}"
