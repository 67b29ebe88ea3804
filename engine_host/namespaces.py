"""Prepare an engine: register namespaces and search attributes once, and wait until they work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from placet.errors import Unavailable
from worker.connect import EngineSettings, connect
from workflows import search_attributes

PREPARE_SECONDS = 60.0

# How often a server's services refresh their namespaces (system.namespaceCacheRefreshInterval), plus a little: by
# default, and with our deploy/temporal/dynamicconfig.yaml.
CACHE_SECONDS = 2.2
EMBEDDED_CACHE_SECONDS = 0.7

# Errors that do not pass. Others may come from an engine that is starting or has not read a new namespace yet.
_REFUSED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED)


@dataclass(frozen=True, kw_only=True)
class NamespaceSpec:
    """A namespace, and how long its closed workflows are kept."""

    name: str
    retention: timedelta


def namespaces_of(settings: EngineSettings) -> tuple[NamespaceSpec, ...]:
    """Return the namespaces that Placet works in: the one for requests, and the one for rehearsals."""
    return (
        NamespaceSpec(name=settings.namespace, retention=timedelta(days=30)),
        NamespaceSpec(name=settings.rehearsal_namespace, retention=timedelta(days=3)),
    )


async def prepare(settings: EngineSettings, *, embedded: bool = False, seconds: float = PREPARE_SECONDS) -> bool:
    """Register what is missing and return whether anything was; idempotent, also when several processes do it at once.

    Temporal Cloud allows no registration by clients; existing namespaces are used there. `embedded` says that the
    server runs with our settings, which shorten the wait. Raises Unavailable after `seconds`, naming what is missing.
    """
    end = time.monotonic() + seconds
    client = await connect(settings)
    specs = namespaces_of(settings)
    changed = any(await asyncio.gather(*(_prepare_one(client, spec, end) for spec in specs)))
    if changed:
        # The frontend knows them now; the cache of the service that runs workflows cannot be queried, so wait.
        await asyncio.sleep(EMBEDDED_CACHE_SECONDS if embedded else CACHE_SECONDS)
    return changed


async def _prepare_one(client: Client, spec: NamespaceSpec, end: float) -> bool:
    changed = await _until(end, f"namespace {spec.name!r}", partial(_ensure_namespace, client, spec))
    what = f"search attributes of {spec.name!r}"
    changed |= await _until(end, what, partial(_ensure_attributes, client, spec.name))
    if changed:
        await _until(end, what, partial(_try_query, client, spec.name))
    return changed


async def missing_attributes(client: Client, namespace: str) -> list[str]:
    """Return the search attributes that the namespace lacks or has with another type."""
    there = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
    return [key.name for key in search_attributes.ALL if there.custom_attributes.get(key.name) != _type(key)]


def _type(key: SearchAttributeKey[Any]) -> IndexedValueType.ValueType:
    return IndexedValueType.ValueType(int(key.indexed_value_type))


async def _ensure_namespace(client: Client, spec: NamespaceSpec) -> bool:
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=spec.name))
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
    else:
        return False
    await _register(client, spec)
    return True


async def _register(client: Client, spec: NamespaceSpec) -> None:
    retention = Duration()
    retention.FromTimedelta(spec.retention)
    try:
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=spec.name, workflow_execution_retention_period=retention)
        )
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise


async def _ensure_attributes(client: Client, namespace: str) -> bool:
    missing = await missing_attributes(client, namespace)
    if not missing:
        return False
    types = {key.name: _type(key) for key in search_attributes.ALL}
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=namespace, search_attributes={name: types[name] for name in missing})
        )
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
    return True


async def _try_query(client: Client, namespace: str) -> bool:
    """Query workflows by every attribute: the engine refuses unknown ones."""
    condition = " AND ".join(f"{key.name} IS NULL" for key in search_attributes.ALL)
    await client.workflow_service.count_workflow_executions(
        CountWorkflowExecutionsRequest(namespace=namespace, query=condition)
    )
    return True


async def _until(end: float, what: str, step: Callable[[], Awaitable[bool]]) -> bool:
    """Repeat a step until it succeeds: an engine that was just started or changed needs a moment."""
    while True:
        try:
            return await step()
        except RPCError as error:
            if error.status in _REFUSED or time.monotonic() >= end:
                raise Unavailable(
                    f"The Temporal server cannot be prepared: {what}: {error.message} ({error.status.name}). "
                    "On Temporal Cloud, create the namespaces and search attributes of docs/operations.md first."
                ) from error
        await asyncio.sleep(0.1)
