"""Telemetry of processes: one trace from the HTTP call to the record, and the SDK's metrics."""

from __future__ import annotations

import socket
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Interceptor,
    OutboundInterceptor,
    QueryWorkflowInput,
    SignalWorkflowInput,
    StartWorkflowUpdateInput,
)

from placet.engine.events import Decide
from placet.errors import Conflict, InputInvalid
from storage.database import Database
from tests.api_desk import api_desk
from tests.approvals import by, desk, store_people, worker
from tests.engine import SharedEngine
from tests.unit.test_dashboards import names_of, queries
from tests.waiting import until
from worker import telemetry
from worker.connect import connect
from worker.telemetry import SdkMetrics, metrics_runtime, tracer_provider, tracing
from workflows.approval import ApprovalWorkflow


@pytest_asyncio.fixture
async def stored(sqlite_url: str) -> AsyncIterator[Database]:
    database = Database(sqlite_url)
    yield database
    await database.close()


def ancestors(span: ReadableSpan, spans: dict[int, ReadableSpan]) -> list[str]:
    """Return the names of the spans that a span hangs below, its parent first."""
    names: list[str] = []
    while span.parent is not None and span.parent.span_id in spans:
        span = spans[span.parent.span_id]
        names.append(span.name)
    return names


async def test_a_call_and_its_record_are_one_trace(engine: SharedEngine, stored: Database) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    client = await connect(engine.settings, interceptors=tracing(provider))
    queue = f"traced-{uuid.uuid4().hex[:8]}"
    async with (
        worker(client, stored, queue),
        api_desk(stored, client, task_queue=queue, tracer_provider=provider) as api,
    ):
        started = await api.start(await api.publish(), amount="12.50")
        exporter.clear()
        task = started["tasks"][0]["id"]
        answer = await api.post(f"/workflow/tasks/{task}/decide/", {"decision": "approve"}, as_="bob")
        assert answer.status_code == 200, answer.text

        async def recorded() -> list[ReadableSpan]:
            return [s for s in exporter.get_finished_spans() if s.name == "RunActivity:record"]

        record = (await until(recorded, what="the span of the record"))[0]
        await api.get("/health/live", as_=None)
    spans = {span.context.span_id: span for span in exporter.get_finished_spans()}
    call = next(span for span in spans.values() if span.name.startswith("POST"))
    assert call.parent is None
    assert record.context.trace_id == call.context.trace_id
    above = ancestors(record, spans)
    assert above == ["StartActivity:record", "StartWorkflowUpdate:decide", call.name]
    assert not any("health" in span.name for span in spans.values())  # what watches us is no person's call


class _Stranger(Interceptor, OutboundInterceptor):
    """Sends what is no trace in the header for traces."""

    def __init__(self, sent: Payload) -> None:
        self._sent = {"_tracer-data": sent}

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        self.next = next
        return self

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:  # noqa: A002
        await self.next.signal_workflow(replace(input, headers=self._sent))

    async def query_workflow(self, input: QueryWorkflowInput) -> Any:  # noqa: A002
        return await self.next.query_workflow(replace(input, headers=self._sent))

    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> Any:  # noqa: A002
        return await self.next.start_workflow_update(replace(input, headers=self._sent))


@pytest.mark.parametrize(
    "sent",
    [
        Payload(metadata={"encoding": b"json/plain"}, data=b'["a list"]'),
        Payload(metadata={"encoding": b"json/plain"}, data=b'{"traceparent": 7}'),
        Payload(metadata={"encoding": b"json/plain"}, data=b"no JSON"),
        Payload(metadata={"encoding": b"of somebody else"}, data=b"?"),
    ],
    ids=["a list", "numbers", "no json", "unknown encoding"],
)
async def test_a_header_that_carries_no_trace_stops_no_request(
    engine: SharedEngine, stored: Database, sent: Payload
) -> None:
    await store_people(stored)
    client = await connect(engine.settings, interceptors=tracing(TracerProvider(shutdown_on_exit=False)))
    stranger = await connect(engine.settings, interceptors=[_Stranger(sent)])
    async with desk(client, stored) as office:
        handle = await office.start()
        theirs = stranger.get_workflow_handle_for(ApprovalWorkflow.run, handle.id)
        await theirs.signal("decide", "nonsense")
        await theirs.signal("directory_changed")
        assert (await theirs.query(ApprovalWorkflow.recorded)).status == "pending"
        event = Decide(by=by("bob"), task_id=f"{handle.id}.1", decision="approve")
        await theirs.execute_update(ApprovalWorkflow.decide, event)
        assert (await handle.result()).outcome == "approved"


async def test_without_an_endpoint_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert tracer_provider("placet-api", {}) is None
    assert tracing(None) == ()


async def test_an_endpoint_turns_tracing_on_under_the_name_of_the_process() -> None:
    provider = tracer_provider("placet-api", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert provider is not None
    assert provider.resource.attributes["service.name"] == "placet-api"
    provider.shutdown()
    named = tracer_provider("x", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SERVICE_NAME": "mine"})
    assert named is not None
    assert named.resource.attributes["service.name"] == "mine"
    named.shutdown()


async def test_the_sdk_shows_its_metrics_and_what_the_dashboards_ask_of_them(
    engine: SharedEngine, stored: Database
) -> None:
    runtime, address = metrics_runtime(SdkMetrics.WORKER, None)
    client = await connect(engine.settings, runtime=runtime)
    asked = {name for query in queries() for name in names_of(query) if name.startswith("temporal_")}
    assert asked
    await store_people(stored)
    async with desk(client, stored) as office, httpx.AsyncClient() as http:
        await office.start()

        async def shown() -> bool:
            text = (await http.get(f"http://{address}/metrics")).text
            return asked <= {line.split("{")[0] for line in text.splitlines()}

        await until(shown, what=f"every one of {sorted(asked)}")


def test_an_address_that_is_taken_or_none_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Conflict, match="PLACET_WORKER_METRICS"):
        metrics_runtime(SdkMetrics.WORKER, f"127.0.0.1:{taken.getsockname()[1]}")
    for wrong in ("nonsense", "127.0.0.1:", "127.0.0.1:70000", "http://127.0.0.1:9464"):
        with pytest.raises(InputInvalid, match="PLACET_WORKER_METRICS"):
            metrics_runtime(SdkMetrics.WORKER, wrong)


async def test_an_address_that_was_given_is_where_the_metrics_are() -> None:
    _, free = metrics_runtime(SdkMetrics.WORKER, "0")
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"http://{free}/metrics")).status_code == 200


def test_two_installations_on_one_machine_both_have_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(SdkMetrics, "port", property(lambda _: port))
        assert len({metrics_runtime(SdkMetrics.WORKER, None)[1] for _ in range(2)} - {f"127.0.0.1:{port}"}) == 2


def test_each_further_process_of_a_kind_uses_a_port_that_is_ten_higher() -> None:
    with socket.create_server(("127.0.0.1", 0)) as lower:
        port = lower.getsockname()[1] - 10  # so that the port of the second process is taken
    _, address = metrics_runtime(SdkMetrics.API, f"127.0.0.1:{port}", index=1)
    assert address == f"127.0.0.1:{port + 10}"
    with pytest.raises(Conflict, match=rf"PLACET_API_METRICS is .* process 2 uses port {port + 10}"):
        metrics_runtime(SdkMetrics.API, f"127.0.0.1:{port}", index=1)
    with pytest.raises(InputInvalid, match="PLACET_NOTIFICATION_METRICS"):
        metrics_runtime(SdkMetrics.NOTIFICATIONS, "65535", index=1)


def test_a_port_that_another_takes_in_the_same_moment_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    look, taken = telemetry._free, []

    def overtaken(host: str, port: int) -> str | None:
        found = look(host, port)
        if not taken and found:  # the other one was faster, once
            taken.append(socket.create_server((host, int(found.rsplit(":", 1)[1]))))
        return found

    monkeypatch.setattr(telemetry, "_free", overtaken)
    _, address = metrics_runtime(SdkMetrics.WORKER, None)
    with taken[0] as other:
        assert address != f"127.0.0.1:{other.getsockname()[1]}"
