"""Versions of workers at the engine: which ones there are, which is current, and whether an old one is still needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import WorkerDeploymentVersionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode

from placet.errors import Conflict, NotFound
from placet.sentences import sentence
from service.engine.client import reaching

_RPC = timedelta(seconds=10)
_AGAIN_SECONDS = 0.5
_STATUS = "WORKER_DEPLOYMENT_VERSION_STATUS_"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildVersion:
    """A version of a deployment: a build, and what the engine does with it.

    `status` is `current`, `ramping`, `draining` (requests still run on it: its workers have to stay), `drained` (its
    workers can go), `inactive` (it was never used) or `created` (no worker has polled). `share` is in percent.
    """

    build_id: str
    status: str
    share: float
    created_at: datetime
    used_at: datetime | None  # when it was current or ramping first; None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The versions of one deployment, the newest first. Without a current one, unversioned workers get the tasks."""

    name: str
    current: str | None
    ramping: str | None
    versions: tuple[BuildVersion, ...]
    token: bytes  # of this state: a change that names it is refused where another came first


async def describe(client: Client, name: str) -> Deployment:
    """Return a deployment; raises NotFound where no worker has registered for it yet, and Unavailable."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=name)
    async with _reaching(name):
        answer = await client.workflow_service.describe_worker_deployment(request, timeout=_RPC)
    info = answer.worker_deployment_info
    routing = info.routing_config
    current = routing.current_deployment_version.build_id or None
    ramping = routing.ramping_deployment_version.build_id or None
    ramp = routing.ramping_version_percentage if ramping else 0.0
    shares = {current: 100.0 - ramp, ramping: ramp}
    versions = [
        BuildVersion(
            build_id=each.deployment_version.build_id,
            status=WorkerDeploymentVersionStatus.Name(each.status).removeprefix(_STATUS).lower(),
            share=shares.get(each.deployment_version.build_id, 0.0),
            created_at=each.create_time.ToDatetime(UTC),
            used_at=_moment(each.first_activation_time),
        )
        for each in info.version_summaries
    ]
    return Deployment(
        name=info.name,
        current=current,
        ramping=ramping,
        versions=tuple(sorted(versions, key=lambda v: v.created_at, reverse=True)),
        token=answer.conflict_token,
    )


async def make_current(client: Client, name: str, build_id: str, *, wait: float = 0, token: bytes = b"") -> None:
    """Let every request go on with this version from its next task on.

    Waits at most `wait` seconds until its workers poll every queue that the current version's do. Raises NotFound,
    Conflict (they do not, or `token` is of an older state) and Unavailable.
    """
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace,
        deployment_name=name,
        build_id=build_id,
        identity=client.identity,
        conflict_token=token,
    )
    await _repeated(client, name, request, wait=wait)


async def ramp(client: Client, name: str, build_id: str, percent: float, *, wait: float = 0) -> None:
    """Give a version so many percent of the requests; 0 takes them back. Waits and raises as `make_current`."""
    request = SetWorkerDeploymentRampingVersionRequest(
        namespace=client.namespace,
        deployment_name=name,
        build_id=build_id if percent else "",
        percentage=percent,
        identity=client.identity,
    )
    await _repeated(client, name, request, wait=wait)


async def make_current_first(client: Client, version: WorkerDeploymentVersion, *, wait: float) -> bool:
    """Make a version current that never was, and tell whether it did; one that has been before is left as it is.

    So a worker of an old version that is started again takes nothing back. Raises as `make_current`.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            there = await describe(client, version.deployment_name)
            mine = next((v for v in there.versions if v.build_id == version.build_id), None)
            if mine is not None and mine.used_at is not None:
                return False
            await make_current(client, version.deployment_name, version.build_id, token=there.token)
        except (NotFound, Conflict):  # its workers do not poll everywhere yet, or another of them was first
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return True


async def _repeated(
    client: Client,
    name: str,
    request: SetWorkerDeploymentCurrentVersionRequest | SetWorkerDeploymentRampingVersionRequest,
    *,
    wait: float,
) -> None:
    """Send a change of the routing until it is taken, for at most `wait` seconds."""
    deadline = time.monotonic() + wait
    while True:
        try:
            async with _reaching(name):
                if isinstance(request, SetWorkerDeploymentCurrentVersionRequest):
                    await client.workflow_service.set_worker_deployment_current_version(request, timeout=_RPC)
                else:
                    await client.workflow_service.set_worker_deployment_ramping_version(request, timeout=_RPC)
        except (NotFound, Conflict):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return


@asynccontextmanager
async def _reaching(name: str) -> AsyncIterator[None]:
    """Turn what the engine answers into errors of ours."""
    async with reaching(_RPC):
        try:
            yield
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(
                    sentence(
                        "The deployment {name!r} has no such version: start a worker with it first. ({message})",
                        name=name,
                        message=error.message,
                    )
                ) from error
            if error.status is RPCStatusCode.FAILED_PRECONDITION:
                raise Conflict(
                    sentence(
                        "The engine keeps the versions of {name!r} as they are: {message}",
                        name=name,
                        message=error.message,
                    )
                ) from error
            raise


def _moment(at: Timestamp) -> datetime | None:
    return at.ToDatetime(UTC) if at.seconds else None
