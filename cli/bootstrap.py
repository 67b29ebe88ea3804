"""Build and start the components that a command needs: database, engine and workers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import Worker

from activities.audit import Recorder
from activities.notifications.settings import NotifySettings
from activities.notifications.settings import load as load_notices
from cli.database import migrated_database
from cli.installation import has_database, running_instance
from engine_host.config import Ports
from engine_host.namespaces import prepare
from engine_host.serve import Engine, start_engine
from service.engine import client as engine_client
from storage.database import Database
from worker.actions import action_worker, seed_catalog
from worker.connect import EngineSettings, connect
from worker.converter import prepare as prepare_adapters
from worker.deployment import deployment_config
from worker.jobs import canary_job, departure_job, log_job, presence_job, retention_job, sla_job
from worker.notifications import notifications_running
from worker.settings import Settings
from worker.telemetry import tracing
from workflows.registration import MARKERS, WORKFLOWS, approval_worker, beside_recording

STARTUP_SECONDS = 120.0


class Duty(StrEnum):
    """What a worker process does."""

    APPROVALS = "approvals"
    ACTIONS = "actions"
    NOTIFICATIONS = "notifications"


EVERYTHING = frozenset(Duty)


@asynccontextmanager
async def database_or_empty(settings: Settings) -> AsyncIterator[Database]:
    """Open the database of this installation, or an empty temporary one if there is none."""
    if has_database(settings):
        async with open_database(settings) as database:
            yield database
        return
    with tempfile.TemporaryDirectory(prefix="placet-") as folder:
        (file := Path(folder) / "empty.db").touch()
        async with open_database(settings.model_copy(update={"database_url": f"sqlite:///{file}"})) as empty:
            yield empty


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database at the newest schema; the built-in actions are in its catalog."""
    async with migrated_database(settings) as database:
        await seed_catalog(database)
        yield database


def engine_settings(settings: Settings) -> EngineSettings:
    """Return how to reach the engine: the one that TEMPORAL_ADDRESS names, else the one that `placet up` started."""
    there = EngineSettings.read()
    if not there.named and (where := running_instance(settings)):
        return replace(there, address=where["temporal"], namespace=where["namespace"])
    return there


def temporal_ui_url(settings: Settings, there: EngineSettings) -> str:
    """Return the Temporal Web UI's address: TEMPORAL_UI_URL, the one of `placet up`, or the default port."""
    given = os.environ.get("TEMPORAL_UI_URL")
    where = running_instance(settings)
    if given:
        return given.rstrip("/")
    if where and where["temporal"] == there.address and where.get("temporal_ui"):
        return str(where["temporal_ui"])
    return f"http://{there.address.rsplit(':', 1)[0]}:8233"


def build_worker(database: Database, client: Client, settings: Settings) -> Worker:
    """Return the worker for approvals, with its activities bound to this database."""
    activities: list[Callable[..., Any]] = [
        Recorder(database).record,
        *beside_recording(client, database, settings.secret()),
    ]
    prepare_adapters(WORKFLOWS, [*activities, *MARKERS])
    return approval_worker(
        client,
        task_queue=settings.task_queue,
        activities=activities,
        cached=settings.cached_requests,
        deployment=deployment_config(settings),
    )


@asynccontextmanager
async def worker_running(
    database: Database,
    client: Client,
    settings: Settings,
    notify: NotifySettings | None = None,
    *,
    duties: Collection[Duty] = EVERYTHING,
) -> AsyncIterator[None]:
    """Run the duties of a worker process while the block runs."""
    notify = notify or load_notices()
    async with AsyncExitStack() as stack:
        if Duty.APPROVALS in duties:
            for each in (
                build_worker(database, client, settings),
                presence_job(database, client, settings.task_queue),
                departure_job(database, partial(engine_client.tell_directory_changed, client)),
                retention_job(database, settings, client, EngineSettings.read().rehearsal_namespace),
                sla_job(database, settings),
                canary_job(database),
                log_job(database, settings),
            ):
                await stack.enter_async_context(each)
        if Duty.ACTIONS in duties:
            await stack.enter_async_context(build_action_worker(database, client, settings, notify))
        if Duty.NOTIFICATIONS in duties:
            secret = settings.secret()
            sending = notifications_running(database, client, notify, task_queue=settings.task_queue, secret=secret)
            await stack.enter_async_context(sending)
        yield


def build_action_worker(
    database: Database, client: Client, settings: Settings, notify: NotifySettings | None = None
) -> Worker:
    """Return the worker for catalog actions; it has its own task queue."""
    return action_worker(
        client, database, task_queue=settings.task_queue, notify=notify, deployment=deployment_config(settings)
    )


@asynccontextmanager
async def engine_for(
    settings: Settings, progress: Any, *, ports: Ports | None = None, api: str | None = None
) -> AsyncIterator[tuple[EngineSettings, Engine | None]]:
    """Yield a prepared engine: the one that TEMPORAL_ADDRESS names, or an embedded one (at `ports`) for the block.

    `api` is where the API will be, which decodes payloads for the Web UI of an embedded engine.
    """
    there = EngineSettings.read()
    if there.named:
        progress(f"using the Temporal server at {there.address}")
        await prepare(there)
        yield there, None
        return
    async with await start_engine(
        settings.home / "engine",
        database=settings.engine_database,
        ui=True,
        ports=ports,
        codec=codec_server(there, api),
        progress=progress,
    ) as engine:
        there = replace(there, address=engine.address)
        await prepare(there, embedded=True)
        yield there, engine


def codec_server(there: EngineSettings, api: str | None) -> str | None:
    """Return the address at which the API decodes payloads for the Web UI; None where they are not encrypted."""
    return f"{api}/api/v1/codec" if api is not None and there.payload_keys is not None else None


async def connect_client(
    there: EngineSettings, *, traces: TracerProvider | None = None, runtime: Runtime | None = None
) -> Client:
    """Connect to the engine; `traces` and `runtime` are those of worker.telemetry."""
    return await connect(there, interceptors=tracing(traces), runtime=runtime)
