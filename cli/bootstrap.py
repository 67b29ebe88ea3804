"""Open and reach what a command needs: the database and the engine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio.client import Client
from temporalio.runtime import Runtime

from cli.database import migrated_database
from cli.installation import has_database, running_instance
from engine_host.config import Ports
from engine_host.namespaces import prepare
from engine_host.serve import Engine, start_engine
from storage.database import Database
from worker.catalog import seed_catalog
from worker.connect import EngineSettings, connect
from worker.settings import Settings
from worker.telemetry import tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

STARTUP_SECONDS = 120.0


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
