"""Build the API and serve it over HTTP, for `placet up` and `placet api`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from temporalio.client import Client

from api.context import ApiContext, own_process
from api.http.connections import Connection
from placet.errors import Conflict
from service.administration.certificates import certificates_of
from service.engine.admission import Admission
from storage.announcements.listener import Subscriptions
from storage.database import Database
from web.app import create_app
from worker.certificate_files import certificate_files
from worker.connect import EngineSettings
from worker.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


def build_api(
    database: Database,
    client: Client,
    settings: Settings,
    ui_url: str,
    traces: TracerProvider | None = None,
    *,
    subscriptions: Subscriptions,
    processes: Callable[[], Mapping[str, int]] = own_process,
) -> Any:
    """Return the API's application. Raises InputInvalid for certificates that cannot be read.

    `subscriptions` are where this process listens to what others have committed, and `processes` returns the ids of
    those that are measured, by their names.
    """
    return create_app(
        ApiContext(
            database=database,
            client=client,
            clock=database.now,
            task_queue=settings.task_queue,
            ui_url=ui_url,
            rehearsal_namespace=EngineSettings.read().rehearsal_namespace,
            secret=settings.secret(),
            identity=settings.identity,
            drafting=settings.drafting,
            authzen=settings.authzen,
            publish_needs_two=settings.publish_needs_two,
            max_body_bytes=settings.max_body_bytes,
            home=settings.home,
            attachments=settings.attachments,
            attachment_bytes=settings.attachment_bytes,
            clamd_url=settings.clamd_url or "",
            evidence_days=settings.evidence_days,
            periods=settings.periods,
            event_log_bytes=settings.event_log_bytes,
            unsent_files_days=settings.unsent_files_days,
            limits=settings.limits,
            admission=Admission(at_once=settings.calls_at_once),
            metrics_token=settings.metrics_token,
            tracer_provider=traces,
            subscriptions=subscriptions,
            processes=processes,
            certificates=certificates_of(certificate_files(settings, EngineSettings.read())),
        )
    )


class Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own: the command that runs it decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave the signals to the command."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """Bind the address before anything else starts, so that a taken port is reported at once. Raises Conflict."""
    try:
        return socket.create_server((host, port), backlog=2048, reuse_port=False)
    except OSError as error:
        raise Conflict(
            f"{host}:{port} is not available ({error.strerror}). Choose another port with --port, or 0 for a free one."
        ) from error


@asynccontextmanager
async def serve(
    app: Any, listener: socket.socket, drain: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve the application on a bound socket while the block runs. `drain` ends its calls before the server stops."""
    config = uvicorn.Config(
        app, http=Connection, log_level="warning", access_log=False, timeout_graceful_shutdown=5, lifespan="on"
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield task
    finally:
        if drain is not None and not task.done():
            await drain()
        server.should_exit = True
        await task
