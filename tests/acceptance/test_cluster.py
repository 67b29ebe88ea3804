"""Placet on a cluster: the engine's services apart and doubled on PostgreSQL, two API and four worker processes.

`PLACET_CLUSTER_APPROVALS` says how many approvals; `make test-production` asks for 10,000.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
from temporalio.api.enums.v1 import EventType

from tests.approvals import EXPENSE
from tests.cluster import SERVICES, Cluster, cluster
from tests.postgresql import Server
from tests.processes import STAFF, Caller, Installation, Process, installation
from tests.waiting import PATIENCE, poll
from worker.connect import EngineSettings, connect

APPROVALS = int(os.environ.get("PLACET_CLUSTER_APPROVALS", "100"))
APIS, WORKERS, CALLERS = 2, 4, 8
LOOKED_AT = 60  # requests whose histories are read
VERIFIED = 10


class Placet:
    """Placet's processes, each at one of the engine's frontends in turn."""

    def __init__(self, place: Installation, there: Cluster) -> None:
        self.tokens = place.load(STAFF)
        self.engine = [{"TEMPORAL_ADDRESS": address} for address in there.frontends]

        def frontend(number: int) -> dict[str, str]:
            return self.engine[number % len(self.engine)]

        self.workers = [
            place.spawn("worker", "--only", "approvals,actions", **frontend(number)) for number in range(WORKERS)
        ]
        self.notifier = place.spawn("worker", "--only", "notifications", **frontend(0))
        apis = [place.spawn("api", "--port", "0", "--json", **frontend(number)) for number in range(APIS)]
        self.urls = [json.loads(api.line())["api"] for api in apis]
        self.processes: list[Process] = [*self.workers, self.notifier, *apis]

    def caller(self, person: str, number: int) -> Caller:
        """Return how to call one of the API processes as a person."""
        return Caller(self.urls[number % len(self.urls)], self.tokens[person])


def approve(placet: Placet, number: int) -> str:
    """Ask at one API process, and decide at the other."""
    body = {"template": EXPENSE["name"], "input": {"amount": number + 1}}
    request = placet.caller("ann", number)("POST", "requests/", body, expect=201, key=f"start {number}")
    task = request["tasks"][0]["id"]
    decide = placet.caller("bob", number + 1)
    decide("POST", f"tasks/{task}/decide/", {"decision": "approve"}, key=f"decide {number}")
    return str(request["id"])


def took_part(there: Cluster, requests: list[str]) -> set[int]:
    """Return the process ids of the workers that carried out tasks of these requests, by the engine's history."""

    async def look() -> set[int]:
        client = await connect(EngineSettings(address=there.frontends[1]))
        found: set[int] = set()
        for ident in requests:
            for event in (await client.get_workflow_handle(ident).fetch_history()).events:
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                    done = event.workflow_task_completed_event_attributes
                    found.add(int(done.identity.partition("@")[0]))
        return found

    return asyncio.run(look())


def members(url: str) -> Counter[int]:
    """Return how many processes of each role have told the others that they are there."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT role, count(DISTINCT host_id) FROM cluster_membership GROUP BY role")
        return Counter(dict(rows.fetchall()))


def test_many_approvals_on_a_cluster_end_once_each_and_every_process_takes_part(
    tmp_path: Path, postgresql: Server
) -> None:
    engine, store = (f"{name}_{uuid.uuid4().hex[:8]}" for name in ("engine", "placet"))
    postgresql.run(f"CREATE DATABASE {store}")
    try:
        with (
            cluster(tmp_path / "engine", postgresql.url(engine)) as there,
            installation(tmp_path / "home", PLACET_DATABASE_URL=postgresql.url(store)) as place,
        ):
            checked(place, Placet(place, there), there, postgresql.url(engine))
    finally:
        for name in (engine, f"{engine}_visibility", store):
            postgresql.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def checked(place: Installation, placet: Placet, there: Cluster, engine: str) -> None:
    """Carry the approvals out, and check what is left of them."""
    poll(lambda: all(ready(url) for url in placet.urls), what="API processes that are ready")
    olivia = placet.caller("olivia", 0)
    template = olivia("POST", "process-templates/", EXPENSE, expect=201)
    olivia("POST", f"process-templates/{template['id']}/publish/")
    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as threads:
        requests = list(threads.map(lambda number: approve(placet, number), range(APPROVALS)))
    took = time.monotonic() - began
    sys.stderr.write(f"{APPROVALS} approvals in {took:.1f} s: {APPROVALS / took:.1f} a second\n")

    assert len(set(requests)) == APPROVALS
    told: list[Any] = place.rows("SELECT status, outcome, count(*) FROM approval_request GROUP BY status, outcome")
    assert [tuple(row) for row in told] == [("completed", "approved", APPROVALS)]
    decided = "SELECT count(*), count(DISTINCT request_id) FROM approval_task WHERE decided_by = 'bob'"
    assert tuple(place.rows(decided)[0]) == (APPROVALS, APPROVALS)
    assert {worker.pid for worker in placet.workers} == took_part(there, requests[:LOOKED_AT])
    # Roles are numbered by the engine: each service has as many members as it has processes.
    assert sorted(members(engine).values()) == sorted(SERVICES.values())
    place.run("verify", *requests[:: max(1, APPROVALS // VERIFIED)], **placet.engine[1])
    assert all(process.running for process in placet.processes)
    assert all(process.code() is None for process in there.processes.values()), there.said()


def ready(url: str) -> bool:
    """Tell whether an API process finds engine, database and workers."""
    return httpx.get(f"{url}/api/v1/health/ready", timeout=PATIENCE, trust_env=False).is_success
