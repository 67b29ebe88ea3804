"""Telemetry of a process: the Temporal SDK's metrics, and traces from the HTTP call to the recording.

Metrics are served on loopback unless a setting names another address. Traces are off, and cost nothing, until
OTEL_EXPORTER_OTLP_ENDPOINT is set.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from temporalio.client import Interceptor
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from placet.errors import Conflict, InputInvalid
from worker.sdk_log import FORWARDED

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

LOOPBACK = "127.0.0.1"
PORTS_APART = 10  # of processes of one kind
# A port that was found free may be taken a moment later. Then other ports are tried.
PORT_ATTEMPTS = 5

# Threads of the SDK, unless the variable is set: one is enough for a process whose Python runs on one, and more of them
# wake each other.
_ONE_THREAD = ("TOKIO_WORKER_THREADS", "1")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class SdkMetrics(Enum):
    """The SDK metrics of one kind of process: the setting of their address, and their usual port."""

    WORKER = ("PLACET_WORKER_METRICS", 9464)  # the conventional port of OpenTelemetry's exporters
    NOTIFICATIONS = ("PLACET_NOTIFICATION_METRICS", 9465)
    API = ("PLACET_API_METRICS", 9466)

    @property
    def setting(self) -> str:
        """The variable that sets the address."""
        return self.value[0]

    @property
    def port(self) -> int:
        """The port without a setting."""
        return self.value[1]


def metrics_runtime(kind: SdkMetrics, given: str | None, *, index: int = 0) -> tuple[Runtime, str]:
    """Return the SDK runtime that shows its metrics at `http://<address>/metrics`, and that `host:port`.

    `given` is the setting: `host:port`, or a port on loopback. Without it, it is the usual port on loopback, or a
    free one where that is taken (by another installation on this machine). `index` counts the processes of a kind that
    run side by side: each next one uses a port that is 10 higher. One runtime a process is enough. Raises InputInvalid,
    and Conflict where nothing can listen at the address that was given.
    """
    problem: Exception | None = None
    for host, port in _places(kind, given, index):
        address = _free(host, port)
        if address is None:
            continue
        metrics = PrometheusConfig(
            bind_address=address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
        )
        os.environ.setdefault(*_ONE_THREAD)
        try:
            return Runtime(telemetry=TelemetryConfig(logging=FORWARDED, metrics=metrics)), address
        except (RuntimeError, ValueError) as error:  # the SDK's errors for an unusable address
            problem = error  # such as one that another process has taken since it was found free
    if given is None:
        raise Conflict(f"No port of this machine is free for the Temporal SDK's metrics: {problem}")
    detail = "" if problem is None else f" ({problem})"
    where = f"{given!r}" if index == 0 else f"{given!r}, of which process {index + 1} uses port {port}"
    raise Conflict(f"{kind.setting} is {where}, and nothing can listen there{detail}: name a free address.")


def tracer_provider(service: str, environ: Mapping[str, str] | None = None) -> TracerProvider | None:
    """Return the provider that sends this process's spans by OTLP/HTTP, or None without an endpoint.

    OpenTelemetry's own variables apply: OTEL_SERVICE_NAME overrides `service`, OTEL_TRACES_SAMPLER chooses a share.
    """
    environ = os.environ if environ is None else environ
    if not any(environ.get(name) for name in _ENDPOINTS):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = environ.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def tracing(provider: TracerProvider | None) -> tuple[Interceptor, ...]:
    """Return the interceptors for a client; workers of that client trace as well."""
    if provider is None:
        return ()
    from worker.tracing import Tracing

    return (Tracing(tracer=provider.get_tracer("placet")),)


def _places(kind: SdkMetrics, given: str | None, index: int) -> list[tuple[str, int]]:
    """Return the hosts and ports to try in turn; port 0 stands for any free port."""
    if given is None:
        return [(LOOPBACK, kind.port + index * PORTS_APART), *[(LOOPBACK, 0)] * PORT_ATTEMPTS]
    found = re.fullmatch(r"(?:(\[[0-9a-fA-F:.]+\]|[\w.-]+):)?(\d{1,5})", given)
    port = int(found[2]) if found else 65536
    if found and port:  # port 0 is a free one for each
        port += index * PORTS_APART
    if not found or port > 65535:
        raise InputInvalid(f"{kind.setting} is {given!r}: write host:port or a port, such as 127.0.0.1:{kind.port}.")
    return [(found[1] or LOOPBACK, port)]


def _free(host: str, port: int) -> str | None:
    """Return `host:port` with the port that can be listened on, or None; port 0 finds one."""
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        with socket.create_server((host.strip("[]"), port), family=family) as listener:
            return f"{host}:{listener.getsockname()[1]}"
    except OSError:
        return None
