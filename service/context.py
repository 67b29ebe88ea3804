"""The context of the use cases: the database, the engine's client, and the settings of this installation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio.client import Client

from activities.notifications.settings import NotifySettings
from activities.notifications.settings import load as load_notify
from service.attachments.scanner import Scanner
from service.attachments.store import FileStore
from service.authzen.settings import AuthzenSettings
from service.drafting.settings import DraftingSettings
from service.engine.admission import Admission
from service.engine.confirmations import Confirmations
from service.engine.plans import Plans
from service.identity.settings import IdentitySettings
from service.pool.pool import Limits, ProcessPool
from storage.announcements.listener import Subscriptions
from storage.database import Database

if TYPE_CHECKING:
    from service.erasure.erasing import Eraser
    from service.forecasts.forecasts import Forecasters
    from service.identity.oidc.provider import Provider
    from service.identity.rate_limits import RateLimits
    from service.simulations.jobs import SimulationJobs
    from service.simulations.shadows import Shadows
    from service.simulations.simulator import Simulator


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Context:
    """The dependencies and settings of the use cases; created once when a process of Placet starts."""

    database: Database
    client: Client
    task_queue: str
    ui_url: str = ""
    """The Temporal Web UI's address, without a trailing slash; empty where nobody is shown it."""
    rehearsal_namespace: str = "placet-rehearsal"
    """The engine's namespace for rehearsals."""
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    """Where this process is told what others have committed."""
    notify: NotifySettings = field(default_factory=load_notify)
    """How notifications leave, as the workers have it: what previews and new webhooks are held to."""
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    """How people log in, and how long their sessions last."""
    drafting: DraftingSettings | None = None
    """The language model that writes drafts from words; None: there is none, and nothing is ever sent."""
    authzen: AuthzenSettings = field(default_factory=AuthzenSettings)
    """Which denials people may be asked about, for programs that speak AuthZEN."""
    publish_needs_two: bool = False
    """Whether a blueprint is published by somebody else than who wrote it."""
    limits: Limits = field(default_factory=Limits)
    """What proofs, simulations and imports may use."""
    admission: Admission = field(default_factory=Admission)
    """How many starts and updates are at the engine at once; the others wait their turn."""
    command_deadline: timedelta = timedelta(seconds=8)
    """How long an update may take, once it has its turn, before its outcome is unknown."""
    start_deadline: timedelta = timedelta(seconds=10)
    """How long a new request's opening record may take, once it has its turn, before its outcome is unknown."""
    clock: Callable[[], datetime] = utc_now
    """What tells the time."""

    def now(self) -> datetime:
        """Return the time by this context's clock."""
        return self.clock()

    attachments: str = ""
    """The URL of the object store, or the folder, that holds the files of requests; empty where there is none."""
    attachment_bytes: int = 25_000_000
    """How large a file may be."""
    clamd_url: str = ""
    """The malware scanner that files are shown before they are stored; empty: there is none."""

    @cached_property
    def scanner(self) -> Scanner:
        """The malware scanner of this installation."""
        return Scanner(self.clamd_url)

    @cached_property
    def files(self) -> FileStore:
        """The store of the files of requests."""
        return FileStore(self.attachments)

    evidence_days: int = 30
    """How long the file of an evidence pack is kept."""
    unsent_files_days: int = 7
    """After how many days the files of a form that was not sent in are deleted."""

    home: Path | None = None
    """The data folder of this installation, where this process has it: its mailbox and an embedded engine."""

    @property
    def eraser(self) -> Eraser:
        """What erases people; those that erase nobody load nothing of it."""
        from service.erasure.erasing import Eraser

        return Eraser(
            database=self.database,
            files=self.files,
            client=self.client,
            rehearsals=self.rehearsal_namespace,
            home=self.home,
            clock=self.clock,
        )

    @cached_property
    def archives(self) -> asyncio.Lock:
        """Held while this process makes the archive of a person."""
        return asyncio.Lock()

    @property
    def namespace(self) -> str:
        """The engine's namespace in which requests run."""
        return self.client.namespace

    @cached_property
    def pool(self) -> ProcessPool:
        """The processes for heavy work on what others wrote."""
        return ProcessPool(self.limits)

    @cached_property
    def drafting_turns(self) -> asyncio.Semaphore:
        """How many drafts are written from words at the same time."""
        return asyncio.Semaphore(1 if self.drafting is None else self.drafting.at_once)

    @cached_property
    def rate_limits(self) -> RateLimits:
        """The rate limits of log-ins and decisions; those that take no calls, as workers, load nothing of them."""
        from service.identity.rate_limits import RateLimits

        return RateLimits(
            self.database,
            self.now,
            login=self.identity.login_rate,
            login_person=self.identity.login_rate_person,
            decision=self.identity.decision_rate,
        )

    @cached_property
    def oidc(self) -> Provider:
        """The identity provider, where one is set up."""
        from service.identity.oidc.provider import Provider

        assert self.identity.oidc is not None, "asked for only where it is set up"  # noqa: S101
        return Provider(self.identity.oidc.issuer, self.now)

    @cached_property
    def plans(self) -> Plans:
        """The compiled plans of this process."""
        return Plans()

    @cached_property
    def confirmations(self) -> Confirmations:
        """Releases notifications about what history holds."""
        return Confirmations(self.database)

    @cached_property
    def forecasters(self) -> Forecasters:
        """What forecasts open requests; those that forecast none, as workers, load nothing of it."""
        from service.forecasts.forecasts import Forecasters

        return Forecasters()

    @cached_property
    def jobs(self) -> SimulationJobs:
        """The simulations that this process runs; those that run none, as workers, load nothing of it."""
        from service.simulations.jobs import SimulationJobs

        return SimulationJobs(self.database, self.simulator, clock=self.clock)

    @cached_property
    def simulator(self) -> Simulator:
        """What carries simulations out."""
        from service.simulations.simulator import Simulator

        return Simulator(
            database=self.database,
            pool=self.pool,
            client=self.client,
            rehearsals=self.rehearsal_namespace,
            ui_url=self.ui_url,
        )

    @cached_property
    def shadows(self) -> Shadows:
        """The standing shadows that this process feeds."""
        from service.simulations.shadows import Shadows

        return Shadows(self.database, self.pool, clock=self.clock)

    def ui_link(self, request_id: str) -> str:
        """Return where the Temporal Web UI shows a request."""
        return f"{self.ui_url}/namespaces/{self.namespace}/workflows/{request_id}"
