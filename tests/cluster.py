"""The engine as a cluster on PostgreSQL: each service in processes of its own, several of them, with one configuration.

The configuration is the one of deploy/temporal, which Docker Compose and the embedded engine use too. The services find
each other by the table of members in the database.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psycopg
from temporalio.service import ConnectConfig, RPCError, ServiceClient

from engine_host.config import HOST, Ports, Postgres, free_ports, server_environment
from engine_host.database import prepare_schema
from engine_host.locate import Binaries, locate_startable
from engine_host.namespaces import prepare
from engine_host.process import GuardedProcess
from placet.errors import Unavailable
from tests.waiting import until
from worker.connect import EngineSettings

_RACED = "Unable to create server"
"""What a process says that ends at its start: others have made or changed the cluster's own record meanwhile."""
_STARTS = 5  # of a process at most
# How many processes of each service; the roles' numbers in the table of members are in the same order.
SERVICES: Mapping[str, int] = {"frontend": 2, "history": 2, "matching": 2, "worker": 1}


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running cluster: where its frontends are, and its processes by service and number."""

    frontends: tuple[str, ...]
    processes: dict[str, GuardedProcess]
    folder: Path

    def said(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(f"{log.name}: {log.read_text()[-1000:]}" for log in sorted(self.folder.glob("*.log")))


@contextmanager
def cluster(folder: Path, url: str) -> Iterator[Cluster]:
    """Run a cluster on the PostgreSQL database that `url` names, with its schema by the engine's own tool."""
    programs = locate_startable(kind="server")
    assert isinstance(programs, Binaries)
    folder.mkdir(parents=True)
    store = Postgres.parse(url)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "SQL_"))}
    prepare_schema(programs.sql_tool, store, directory=folder, environ=plain, progress=lambda _line: None)
    running: dict[str, GuardedProcess] = {}
    given: dict[str, dict[str, str]] = {}
    frontends: list[Ports] = []

    def start(name: str) -> None:
        with (folder / f"{name}.log").open("ab") as log:
            running[name] = GuardedProcess(
                [programs.server, "--allow-no-auth", "start", "--service", name.rpartition("-")[0]],
                environ=given[name],
                output=log,
                directory=folder,
            )

    try:
        for service, number in ((s, n) for s, many in SERVICES.items() for n in range(1, many + 1)):
            ports = free_ports(Ports())
            if service == "frontend":
                frontends.append(ports)
            else:  # each service names the frontend that its own clients call
                ports = replace(ports, frontend=frontends[0].frontend)
            name = f"{service}-{number}"
            given[name] = server_environment(database=store, ports=ports, inherited=os.environ)
            start(name)
        there = Cluster(
            frontends=tuple(f"{HOST}:{ports.frontend}" for ports in frontends), processes=running, folder=folder
        )
        asyncio.run(_ready(there, start, partial(is_whole, url)))
        yield there
    finally:
        for process in running.values():
            process.kill()


async def _ready(there: Cluster, start: Callable[[str], None], whole: Callable[[], bool]) -> None:
    """Wait for each frontend, and register namespaces and search attributes once the services have found each other."""

    async def complete() -> bool:
        _start_again(there, start)
        return await _prepared(there) and whole()

    for address in there.frontends:
        await until(lambda address=address: _healthy(there, address, start), what=f"the frontend at {address}")  # type: ignore[misc]  # mypy does not infer a lambda's default
    await until(complete, what="a cluster that works")


def _start_again(there: Cluster, start: Callable[[str], None]) -> None:
    """Start what has lost a race at its start, as whatever supervises the processes of a cluster does."""
    for name in [name for name, process in there.processes.items() if process.code() is not None]:
        said = (there.folder / f"{name}.log").read_text()
        assert 0 < said.count(_RACED) < _STARTS, f"{name} has ended\n{said[:4000]}\n{there.said()}"
        there.processes[name].wait()  # closes what was its
        start(name)


async def _healthy(there: Cluster, address: str, start: Callable[[str], None]) -> bool:
    _start_again(there, start)
    with suppress(RPCError, RuntimeError):  # not yet
        return await (await ServiceClient.connect(ConnectConfig(target_host=address))).check_health()
    return False


async def _prepared(there: Cluster) -> bool:
    with suppress(Unavailable, RPCError):  # not yet
        await prepare(EngineSettings(address=there.frontends[0]), embedded=True)
        return True
    return False


def is_whole(url: str) -> bool:
    """Tell by the engine's database whether each service has told the others of as many processes as it has.

    Services are numbered there, as roles.
    """
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT role, count(DISTINCT host_id) FROM cluster_membership GROUP BY role")
        return sorted(number for _, number in rows) == sorted(SERVICES.values())
